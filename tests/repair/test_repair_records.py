"""Spots, their union, and what the records of a repair refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.records import Link, Marked, Moved, Repaired, Spot, union

SIZE = (6, 9)


def spot(hole: list[list[int]], **more: object) -> Spot:
    return replace(Spot("dust", 2, 5, np.array(hole, np.bool_)), **more)  # type: ignore[arg-type]


def frames(count: int) -> FrameBatch:
    luma = torch.zeros(count, 1, *SIZE, dtype=torch.uint8)
    return FrameBatch(luma, tuple(range(count)), VideoInfo(*SIZE))


RAGGED = spot([[0, 1, 1], [1, 1, 0]])


def test_a_spot_knows_its_box_its_area_and_its_place() -> None:
    assert RAGGED.box == (5, 2, 8, 4)
    assert RAGGED.area == 4
    plane = np.arange(54).reshape(SIZE)
    # row 2 begins with 18, row 3 with 27
    assert plane[RAGGED.place].tolist() == [[23, 24, 25], [32, 33, 34]]
    assert plane[RAGGED.place][RAGGED.hole].tolist() == [24, 25, 32, 33]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hole": np.ones((2, 3), np.uint8)}, "hole must be bool"),
        ({"hole": np.ones((1, 2, 3), np.bool_)}, "hole must be bool"),
        ({"top": -1}, "outside"),
        ({"left": -1}, "outside"),
        ({"confidence": 1.01}, "confidence must be 0 to 1, not 1.01"),
        ({"confidence": -0.01}, "confidence must be 0 to 1"),
        ({"confidence": float("nan")}, "confidence must be 0 to 1"),
    ],
)
def test_a_spot_refuses(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(RAGGED, **wrong)  # type: ignore[arg-type]


def pixels(hole: np.ndarray) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in zip(*np.nonzero(hole), strict=True)}


def test_the_union_is_what_is_accepted() -> None:
    other = spot([[1, 1]], top=3, left=5)  # shares a pixel with the first
    doubt = spot([[1]], top=0, left=0, state="review")
    refused = spot([[1, 1], [1, 1]], top=4, left=7, state="rejected")
    spots = (RAGGED, other, doubt, refused)
    accepted = {(2, 6), (2, 7), (3, 5), (3, 6)}
    whole = union(spots, SIZE)
    assert whole.dtype == np.bool_
    assert whole.shape == SIZE
    assert pixels(whole) == accepted
    assert pixels(union(spots, SIZE, review=True)) == accepted | {(0, 0)}


def test_a_later_spot_takes_nothing_from_an_earlier_one() -> None:
    # the box of the second covers the first, its hole does not
    frame = spot([[1, 1, 1], [1, 0, 0]], top=2, left=5)
    assert pixels(union((RAGGED, frame), SIZE)) == {(2, 5), (2, 6), (2, 7), (3, 5), (3, 6)}


def test_no_spots_no_hole() -> None:
    assert not union((), SIZE).any()


def test_a_link_refuses_what_is_no_flow() -> None:
    flow = np.zeros((3, 4, 2), np.float32)
    assert Link(flow, flow).same is False
    with pytest.raises(ValueError, match="back must be"):
        Link(flow[..., 0], flow)
    with pytest.raises(ValueError, match="back must be"):
        Link(np.zeros((3, 4, 3), np.float32), flow)
    with pytest.raises(ValueError, match="onward must be"):
        Link(flow, flow[:2])


def test_every_frame_has_its_link_its_spots_and_its_count() -> None:
    moved = Moved(frames(2), (None, None))
    marked = Marked(moved, ((RAGGED,), ()))
    assert marked.frames is moved.frames
    with pytest.raises(ValueError, match="one link a frame"):
        Moved(frames(2), (None,))
    with pytest.raises(ValueError, match="one list of spots a frame"):
        Marked(moved, ((RAGGED,),))
    with pytest.raises(ValueError, match="keeps every frame"):
        Repaired(frames(1), marked, (4,))
    with pytest.raises(ValueError, match="one count a frame"):
        Repaired(moved.frames, marked, (4,))
