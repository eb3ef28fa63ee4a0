import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import flat

from vidcolor.train.data.planes import film_at, shrunk
from vidcolor.train.data.window import (
    Window,
    around,
    box_window,
    crop_window,
    random_boxes,
    visible,
)
from vidcolor.train.degrade import DegradeConfig, degrade

OFF = dict.fromkeys(
    ("stock", "tone", "blur", "grain", "flicker", "scratches", "dust", "interlace", "compression"),
    0.0,
)


def _boxes(*boxes):
    return np.array(boxes, np.float32)


def test_boxes_follow_the_window():
    boxes = _boxes([30, 20, 40, 40], [0, 0, 25, 15], [90, 90, 99, 99])
    placed = Window(10, 20, 40, 20, False).place(boxes, 80)
    assert placed.tolist() == [[40, 20, 80, 60], [0, 0, 20, 10], [80, 80, 80, 80]]
    mirrored = Window(10, 20, 40, 20, True).place(boxes, 80)
    assert mirrored.tolist() == [[0, 20, 40, 60], [60, 0, 80, 10], [0, 80, 0, 80]]


def test_content_and_boxes_agree():
    rgb = flat((0, 0, 0), (60, 80))
    rgb[20:40, 30:40] = 255
    for mirrored in (False, True):
        window = Window(10, 20, 40, 40, mirrored)
        x0, y0, x1, y1 = window.place(_boxes([30, 20, 40, 40]), 40)[0].astype(int)
        shown = window.cut(rgb, 40)
        assert shown[y0:y1, x0:x1].min() == 255
        assert shown.astype(int).sum() == 255 * 3 * (y1 - y0) * (x1 - x0)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0, 0, 38, 40], True),  # 18 x 20 pixels are seen, a quarter of the window's 40 x 36
        ([0, 0, 37, 40], False),  # less than that
        ([25, 25, 35, 35], False),  # too small
        ([25, 25, 41, 41], True),
        ([0, 30, 200, 200], True),  # a small part of it fills the window
        ([50, 0, 300, 300], False),  # a small part of it fills a sixth of the window
        ([90, 90, 120, 120], False),  # elsewhere
    ],
)
def test_which_boxes_count(box, expected):
    window = Window(20, 20, 40, 36, False)
    assert visible(_boxes(box), window, 12).tolist() == [expected]


def test_crops_of_a_fixed_part_lie_anywhere():
    rng = np.random.default_rng(0)
    windows = [crop_window((256, 320), 224 / 256, False, rng, 224 / 256) for _ in range(50)]
    assert {(one.height, one.width) for one in windows} == {(224, 224)}
    assert len({(one.top, one.left) for one in windows}) > 40
    parts = [crop_window((100, 100), 0.5, False, rng, 0.75).height for _ in range(200)]
    assert (min(parts), max(parts)) == (50, 75)


sides = st.integers(20, 200)


@settings(deadline=None, max_examples=60)
@given(sides, sides, st.integers(0, 2**31), st.floats(0.1, 1), st.booleans())
def test_windows_lie_inside_and_can_be_moved_to_a_box(height, width, seed, smallest, squash):
    rng = np.random.default_rng(seed)
    size = (height, width)
    window = crop_window(size, smallest, squash, rng)
    short = min(size)
    assert window.height >= max(1, round(smallest * (height if squash else short)))
    if not squash:
        assert window.height == window.width
    boxes = random_boxes(size, 5, rng)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= np.array([width, height]) + 1e-3).all()
    for box in boxes.clip(0, np.tile(size[::-1], 2)).astype(np.float32):
        moved = around(window, box, size, rng)
        jittered = box_window(box, 0.3, size, rng)
        for one in (window, moved, jittered):
            assert one.top >= 0
            assert one.left >= 0
            assert one.height >= 1
            assert one.width >= 1
            assert one.top + one.height <= height
            assert one.left + one.width <= width
        assert (moved.height, moved.width) == (window.height, window.width)
        # it holds the box, or the box holds it, but for part of a pixel
        for low, high, first, shown in (
            (box[1], box[3], moved.top, moved.height),
            (box[0], box[2], moved.left, moved.width),
        ):
            common = min(high, first + shown) - max(low, first)
            assert common >= min(high - low, shown) - 1


def test_edges_move_by_no_more_than_the_jitter():
    rng = np.random.default_rng(0)
    windows = [
        box_window(_boxes([100, 100, 140, 200])[0], 0.1, (300, 300), rng) for _ in range(300)
    ]
    lefts = np.array([w.left for w in windows])
    bottoms = np.array([w.top + w.height for w in windows])
    assert (lefts.min(), lefts.max()) == (96, 104)
    assert 190 <= bottoms.min() < 192
    assert 208 < bottoms.max() <= 210
    assert {w.mirrored for w in windows} == {False, True}


def test_film_of_a_larger_picture_looks_the_same_when_shrunk():
    """Grain keeps its strength, softness and combing their size, as they else would not."""
    for effect, amount in (("grain", {}), ("blur", {"blur_px": 2.0}), ("interlace", {})):
        film = DegradeConfig(**{**OFF, effect: 1.0}, **amount)
        strength = {True: [], False: [], None: []}
        for seed in range(12):
            for scaled in strength:
                side = 64 if scaled is None else 128
                rgb = np.zeros((side, side, 3), np.float32)
                rgb[:, side // 2 :] = 1
                if effect == "grain":
                    rgb[:] = 0.5
                plain = shrunk(degrade(rgb, DegradeConfig(**OFF), np.random.default_rng(seed)), 64)
                used = film_at(film, 2.0) if scaled else film
                gray = shrunk(degrade(rgb, used, np.random.default_rng(seed)), 64)
                strength[scaled].append(float(np.abs(gray - plain).mean()))
        wanted, same, other = (np.mean(strength[key]) for key in (None, True, False))
        assert abs(same / wanted - 1) < 0.3, effect
        assert abs(other / wanted - 1) > 0.35, effect
    assert film_at(DegradeConfig(), 1) == DegradeConfig()
