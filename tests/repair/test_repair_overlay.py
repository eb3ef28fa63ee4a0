"""The overlay colors damage and nothing else, over the film as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from vidcolor.records import Colored, ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.overlay import overlay
from vidcolor.repair.records import KINDS, Kind, Marked, Moved, Repaired, Spot
from vidcolor.repair.sheet import COLORS

SIZE = (20, 30)


def spot(height: int, width: int, top: int, left: int, **more: object) -> Spot:
    made = Spot("dust", top, left, np.ones((height, width), np.bool_))
    return replace(made, **more)  # type: ignore[arg-type]


def shown(
    *spots: Sequence[Spot], size: tuple[int, int] = SIZE, luma: torch.Tensor | None = None
) -> Colored:
    info = VideoInfo(*size, color=ColorSpec(full_range=True))
    if luma is None:
        luma = torch.full((len(spots), 1, *size), 128, dtype=torch.uint8)
    count = len(luma)
    found = FrameBatch(luma, tuple(range(count)), info, index=40, shot=3, start=7)
    marked = Marked(Moved(found, (None,) * count), tuple(tuple(one) for one in spots))
    return overlay(Repaired(replace(found, luma=255 - luma), marked, (0,) * count))


def strength(colored: Colored, number: int = 0) -> np.ndarray:
    """Chroma C* of each cell."""
    return np.asarray(np.hypot(*colored.chroma.ab[number].numpy()))


def test_the_frames_are_those_that_were_found_not_the_healed_ones() -> None:
    luma = torch.randint(0, 256, (2, 1, *SIZE), dtype=torch.uint8)
    before = luma.clone()
    colored = shown([spot(4, 6, 2, 4), spot(1, 1, 9, 9, state="rejected")], [], luma=luma)
    assert torch.equal(luma, before)
    drawn = colored.frames.luma != before
    drawn[0, 0, 2:6, 4:10] = False
    assert not drawn.any()
    # black and white have no color, so damage is shown in between
    assert set(colored.frames.luma[0, 0, 2:6, 4:10].flatten().tolist()) == {115}
    assert (colored.frames.index, colored.frames.shot, colored.frames.start) == (40, 3, 7)
    assert len(colored.tracks) == 0


def test_color_is_where_spots_are_and_nowhere_else() -> None:
    colored = shown([], [spot(4, 6, 2, 4), spot(2, 2, 18, 28)])
    # two pixels to a cell
    expected = np.zeros((10, 15), np.bool_)
    expected[1:3, 2:5] = True
    expected[9, 14] = True
    assert not strength(colored, 0).any()
    assert np.array_equal(strength(colored, 1) > 0, expected)
    full = strength(colored, 1)[expected]
    assert full == pytest.approx(full[0])
    assert full[0] > 60


def test_of_a_ragged_spot_the_rest_of_its_box_stays_neutral() -> None:
    hole = np.zeros((4, 4), np.bool_)
    hole[:2] = hole[:, :2] = True
    colored = shown([spot(1, 1, 0, 0, hole=hole)])
    assert (strength(colored)[:2, :2] > 0).tolist() == [[True, True], [True, False]]


def test_a_line_of_one_pixel_has_half_the_color() -> None:
    full = strength(shown([spot(20, 2, 0, 8)]))
    half = strength(shown([spot(20, 1, 0, 9)]))
    assert half[:, 4] == pytest.approx(full[:, 4] / 2)
    assert not np.delete(half, 4, axis=1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_hue(kind: Kind) -> None:
    colored = shown([spot(4, 6, 2, 4, kind=kind)])
    rgb = np.array(COLORS[kind], np.float32).reshape(1, 1, 3) / 255
    _, a, b = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0, 0]
    found = colored.chroma.ab[0, :, 1, 2].numpy()
    assert np.hypot(*found) > np.hypot(a, b)
    assert np.degrees(np.arctan2(*found[::-1])) == pytest.approx(
        np.degrees(np.arctan2(b, a)), abs=1
    )


def test_the_less_sure_the_paler() -> None:
    spots = [spot(2, 2, 2, 6 * i, confidence=sure) for i, sure in enumerate((1.0, 0.5, 0.0))]
    sure, doubt, no_idea = strength(shown(spots))[1, [0, 3, 6]]
    assert sure > 1.2 * doubt > 1.4 * no_idea
    assert no_idea > 0.25 * sure  # it still is to be seen


def test_rejected_spots_are_left_out_and_those_in_review_shown() -> None:
    spots = [spot(2, 2, 2, 2, state="rejected"), spot(2, 2, 2, 10, state="review")]
    assert np.argwhere(strength(shown(spots)) > 0).tolist() == [[1, 5]]


def test_sizes_that_are_odd() -> None:
    colored = shown([spot(3, 5, 18, 26)], size=(21, 31))
    assert colored.chroma.ab.shape == (1, 2, 11, 16)
    assert colored.chroma.lightness.shape == (1, 1, 11, 16)
    full = strength(colored)
    # the last row and column of cells have one pixel only, and all of it is damaged
    assert full[9:, 13:] == pytest.approx(float(full.max()))
    assert full.max() > 60
    full[9:, 13:] = 0
    assert not full.any()


def test_lightness_is_that_of_the_film() -> None:
    luma = torch.zeros(2, 1, *SIZE, dtype=torch.uint8)
    luma[1, :, :, ::2] = 255
    luma[1, :, 10:] = 255
    black, striped = shown([], [], luma=luma).chroma.lightness[:, 0].numpy()
    # L* is 0 and 100 side by side in the upper half of the second
    assert black == pytest.approx(0, abs=0.01)
    assert striped[:5] == pytest.approx(50, abs=0.01)
    assert striped[5:] == pytest.approx(100, abs=0.01)
