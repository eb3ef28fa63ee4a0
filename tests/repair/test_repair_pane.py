import cv2
import numpy as np
import pytest
from made_lines import scene

from vidcolor.errors import ConfigError
from vidcolor.repair.pane import PaneConfig, picture_window

SIZE = (540, 720)


def _frames(bars=(0, 0, 0, 0), count=3):
    top, left, bottom, right = bars
    frames = []
    for seed in range(count):
        plane = np.full(SIZE, 16.0, np.float32)
        inside = np.s_[top : SIZE[0] - bottom, left : SIZE[1] - right]
        plane[inside] = scene(SIZE[1], seed, SIZE)[inside]
        frames.append(np.rint(plane).astype(np.uint8))
    return frames


def test_a_picture_up_to_the_edges_is_whole():
    pane = picture_window(_frames())
    assert pane.whole
    assert (pane.top, pane.left, pane.bottom, pane.right) == (0, 0, *SIZE)


@pytest.mark.parametrize("bars", [(40, 0, 40, 0), (0, 12, 0, 40), (20, 30, 24, 36)])
def test_bars_are_cut_off_with_a_margin(bars):
    pane = picture_window(_frames(bars), config=PaneConfig(margin_px=4))
    found = (pane.top, pane.left, SIZE[0] - pane.bottom, SIZE[1] - pane.right)
    for one, true in zip(found, bars, strict=True):
        assert (one == 0) if true == 0 else (true <= one <= true + 5)


def test_ten_bits_are_seen_like_eight():
    frames = _frames((40, 0, 40, 0))
    deep = [one.astype(np.int16) * 4 for one in frames]
    assert np.array_equal(picture_window(frames).inside, picture_window(deep, 10).inside)


def test_rounded_corners_lie_outside():
    frames = _frames()
    rounded = np.zeros(SIZE, np.uint8)
    cv2.rectangle(rounded, (40, 0), (SIZE[1] - 41, SIZE[0]), 1, -1)
    cv2.rectangle(rounded, (0, 40), (SIZE[1], SIZE[0] - 41), 1, -1)
    for x in (40, SIZE[1] - 41):
        for y in (40, SIZE[0] - 41):
            cv2.circle(rounded, (x, y), 40, 1, -1)
    inside = picture_window([np.where(rounded, one, 16).astype(np.uint8) for one in frames]).inside
    assert not inside[:3, :3].any()
    assert np.mean(inside == (rounded > 0)) > 0.999
    assert inside[40:-40, 40:-40].all()


def test_a_dark_sky_and_a_dark_corner_are_picture():
    sky = _frames()
    for one in sky:
        edge = 150 + 40 * np.sin(np.arange(SIZE[1]) / 60)
        one[np.arange(SIZE[0])[:, None] < edge] = 18
    assert picture_window(sky).whole
    corner = _frames()
    for one in corner:
        one[:200, :300] = 18
    assert picture_window(corner).whole


def test_what_is_lit_in_one_frame_is_picture():
    frames = _frames((40, 0, 40, 0))
    frames[1] = _frames()[1]
    assert picture_window(frames).whole


def test_switched_off_all_is_picture():
    assert picture_window(_frames((40, 0, 40, 0)), config=PaneConfig(enabled=False)).whole
    with pytest.raises(ConfigError, match="widest"):
        PaneConfig(widest=0.7)
