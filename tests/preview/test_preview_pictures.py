"""Pictures to show: upright, at any size, with the color that frames have or get."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.preview.annotate import BoxMark, box_color, caption, draw_boxes, marks_of
from vidcolor.preview.pictures import after, before, jpeg, png, shown_size
from vidcolor.records import (
    Chroma,
    Colored,
    ColorSpec,
    Detections,
    FrameBatch,
    Tracks,
    VideoInfo,
)

PLAIN = ComposeConfig(filter="bilinear")


def frame(luma: np.ndarray, **info) -> FrameBatch:
    height, width = luma.shape
    bits = 8 if luma.dtype == np.uint8 else 10
    spec = ColorSpec(bits=bits)
    codes = luma if bits == 8 else luma.astype(np.int16)
    batch = VideoInfo(height, width, color=spec, **info)
    return FrameBatch(torch.from_numpy(codes)[None, None], (0,), batch)


def painted(batch: FrameBatch, a: float, b: float) -> Colored:
    ab = torch.tensor([float(a), float(b)]).view(1, 2, 1, 1).expand(1, 2, 6, 8).contiguous()
    return Colored(batch, Tracks.empty(), Chroma(ab, torch.full((1, 1, 6, 8), 50.0)))


@pytest.mark.parametrize(
    ("info", "width", "size"),
    [
        ({}, None, (40, 60)),
        ({}, 30, (20, 30)),
        ({}, 100, (40, 60)),
        ({"rotation": 90}, None, (60, 40)),
        ({"rotation": 270}, 20, (30, 20)),
        ({"sample_aspect": Fraction(2)}, None, (40, 120)),
        ({"sample_aspect": Fraction(2)}, 60, (20, 60)),
        ({"sample_aspect": Fraction(1, 2), "rotation": 90}, None, (60, 80)),
    ],
)
def test_both_sides_have_the_size_that_a_viewer_sees(info, width, size):
    batch = frame(np.full((40, 60), 90, np.uint8), **info)
    assert shown_size(batch.info, width) == size
    assert before(batch, width).shape == (*size, 3)
    assert after(painted(batch, 10, 10), 0, PLAIN, width).shape == (*size, 3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("width", [None, 16])
def test_a_corner_lies_where_players_turn_it(rotation, width):
    luma = np.full((32, 32), 16, np.uint8)
    luma[:16, :16] = 235
    batch = frame(luma, rotation=rotation)
    # counter-clockwise: upper left, lower left, lower right, upper right
    down, right = {0: (0, 0), 90: (1, 0), 180: (1, 1), 270: (0, 1)}[rotation]
    for picture in (before(batch, width), after(painted(batch, 0, 0), 0, PLAIN, width)):
        half = len(picture) // 2
        light = picture[down * half : (down + 1) * half, right * half : (right + 1) * half]
        assert light.min() > 225
        assert picture.mean() < 80


def test_at_full_size_the_codes_are_those_of_the_output():
    rng = np.random.default_rng(0)
    batch = frame(rng.integers(16, 236, (48, 64), dtype=np.uint8))
    ab = torch.from_numpy(rng.normal(0, 20, (1, 2, 12, 16)).astype(np.float32))
    light = torch.from_numpy(rng.uniform(20, 80, (1, 1, 12, 16)).astype(np.float32))
    colored = Colored(batch, Tracks.empty(), Chroma(ab, light))
    config = ComposeConfig(saturation=1.2)
    expected = compose_rgb(
        batch.luma[0, 0].numpy(), ab[0].numpy(), light[0, 0].numpy(), batch.info.color, config
    )
    np.testing.assert_array_equal(after(colored, 0, config), expected)


@pytest.mark.parametrize("bits", [8, 10])
def test_a_small_picture_has_the_color_of_the_large_one(bits):
    luma = np.full((64, 96), 100 << (bits - 8), np.uint8 if bits == 8 else np.uint16)
    colored = painted(frame(luma), 25, -30)
    large, small = after(colored, 0, PLAIN), after(colored, 0, PLAIN, 24)
    assert np.abs(small.astype(int) - large[:16, :24]).max() <= 1
    red, green, blue = (int(v) for v in small[5, 5])
    assert blue > red > green, "a* 25, b* -30 is violet"
    # Y' of BT.709 is that of the code: (100 - 16) / 219 of white
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue == pytest.approx(84 / 219 * 255, abs=1)


def test_a_small_picture_of_fine_lines_is_gray_and_no_pattern():
    luma = np.full((64, 96), 16, np.uint8)
    luma[:, ::2] = 235
    small = after(painted(frame(luma), 0, 0), 0, PLAIN, 24)
    assert np.ptp(small) <= 2
    assert small.mean() == pytest.approx(128, abs=2)


def test_before_is_in_color_where_the_film_is():
    batch = frame(np.full((16, 16), 81, np.uint8))
    chroma = torch.full((1, 2, 8, 8), 128, dtype=torch.uint8)
    chroma[0, 0], chroma[0, 1] = 90, 200
    batch = FrameBatch(batch.luma, batch.pts, batch.info, chroma=chroma)
    # BT.709, by hand: Y' 65/219, Cb -38/224, Cr 72/224
    red = 65 / 219 + 1.5748 * 72 / 224
    blue = 65 / 219 - 1.8556 * 38 / 224
    green = (65 / 219 - 0.2126 * red - 0.0722 * blue) / 0.7152
    expected = np.clip([red, green, blue], 0, 1) * 255
    np.testing.assert_allclose(before(batch)[8, 8], expected, atol=1)


def test_files_hold_the_picture():
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8), (60, 40))
    data = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(data[..., ::-1], picture)
    clear = np.dstack((picture, np.full((40, 60), 70, np.uint8)))
    data = cv2.imdecode(np.frombuffer(png(clear), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(data[..., [2, 1, 0, 3]], clear)
    data = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(data[..., ::-1].astype(int) - picture).mean() < 4
    assert len(jpeg(picture, 30)) < len(jpeg(picture, 95))


def tracked(batch: FrameBatch) -> Colored:
    boxes = torch.tensor([[0.0, 0, 20, 10], [10.0, 5, 70, 40], [0.0, 0, 60, 40]])
    seen = Detections(
        boxes,
        torch.tensor([0.5, 0.9, 0.8]),
        torch.tensor([1, 0, 0]),
        torch.tensor([0, 0, 1]),
        ("person", "hat"),
    )
    tracks = Tracks(seen, torch.tensor([300007, 300002, 300002]), torch.ones(3))
    both = FrameBatch(batch.luma.repeat(2, 1, 1, 1), (0, 1), batch.info, shot=3)
    return Colored(both, tracks, Chroma(torch.zeros(2, 2, 1, 1), torch.zeros(2, 1, 1, 1)))


def test_boxes_are_fractions_of_the_upright_picture_the_largest_first():
    colored = tracked(frame(np.full((40, 60), 90, np.uint8)))
    large, small = marks_of(colored, 0, {300007: "Anna's"}.get)
    assert large.box == pytest.approx((10 / 60, 5 / 40, 1, 1)), "what lies outside is cut off"
    assert small.box == pytest.approx((0, 0, 20 / 60, 10 / 40))
    assert (large.text, small.text) == ("person 2", "Anna's 7")
    assert large.score == pytest.approx(0.9)
    assert len(marks_of(colored, 1)) == 1


def test_boxes_turn_with_the_picture():
    colored = tracked(frame(np.full((40, 60), 90, np.uint8), rotation=90))
    _, small = marks_of(colored, 0)
    # turned to the left, the upper left corner becomes the lower left one
    assert small.box == pytest.approx((0, 40 / 60, 10 / 40, 1))


def test_boxes_are_drawn_where_they_are():
    picture = np.full((100, 200, 3), 128, np.uint8)
    mark = BoxMark((0.25, 0.4, 0.75, 0.8), "person", 5)
    drawn = draw_boxes(picture, [mark])
    assert (picture == 128).all(), "what was given stays"
    color = box_color(5)
    assert tuple(drawn[79, 120]) == color  # lower edge
    assert tuple(drawn[70, 149]) == color  # right edge
    assert (drawn[60:75, 60:140] == 128).all(), "nothing is hidden inside"
    assert (drawn[:35] == 128).all()
    assert box_color(5) != box_color(6)


def test_captions_stay_in_the_picture():
    picture = np.full((40, 80, 3), 200, np.uint8)
    caption(picture, "a caption far too long for it", (70, 39))
    changed = np.argwhere((picture != 200).any(2))
    assert changed[:, 0].min() == 26
    assert changed[:, 0].max() == 39
    assert changed[:, 1].min() == 0
