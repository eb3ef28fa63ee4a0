"""The finder asks every detector about every frame, and shows each what it wants to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.find import Finder
from vidcolor.repair.records import Kind, Link, Marked, Moved, Spot
from vidcolor.repair.window import Window

SIZE = (8, 70)
FLOW = np.zeros((2, 2, 2), np.float32)
LENGTHS = (5, 1, 9)  # frames of each shot


def film(batch: int, lengths: Sequence[int] = LENGTHS) -> list[Moved]:
    """Shots in batches; frame n of the film is of brightness n."""
    batches, index = [], 0
    for shot, length in enumerate(lengths):
        luma = torch.arange(index, index + length, dtype=torch.uint8).reshape(-1, 1, 1, 1)
        pts = tuple(range(10 * index, 10 * (index + length), 10))
        whole = FrameBatch(luma.repeat(1, 1, *SIZE), pts, VideoInfo(*SIZE), index, shot)
        for first in range(0, length, batch):
            part = whole[first : first + batch]
            links = tuple(Link(FLOW, FLOW) if part.start + i else None for i in range(len(part)))
            batches.append(Moved(part, links))
        index += length
    return batches


Seen = tuple[tuple[int, ...], int, bool, bool]


@dataclass
class Witness:
    """Remembers what it was shown; finds one spot a frame, whose column tells how often it has
    been asked in that shot."""

    kind: Kind
    before: int = 0
    after: int = 0
    calls: list[tuple[str, int]] | None = None
    shots: list[list[Seen]] = field(default_factory=list)

    def begin(self) -> Callable[[Window], list[Spot]]:
        shot: list[Seen] = []
        self.shots.append(shot)

        def ask(window: Window) -> list[Spot]:
            numbers = tuple(int(frame.plane[0, 0]) for frame in window.frames)
            shot.append((numbers, window.at, window.begins, window.ends))
            if self.calls is not None:
                self.calls.append((self.kind, window.frame.number))
            return [Spot(self.kind, 0, len(shot) - 1, np.ones((1, 1), np.bool_))]

        return ask


def found(batches: Sequence[Marked]) -> list[tuple[tuple[str, int], ...]]:
    """Kind and column of the spots of every frame."""
    return [
        tuple((spot.kind, spot.left) for spot in spots)
        for batch in batches
        for spots in batch.spots
    ]


def test_detectors_are_asked_in_order_about_every_frame() -> None:
    calls: list[tuple[str, int]] = []
    dust, hair = Witness("dust", 1, 2, calls), Witness("hair", calls=calls)
    marked = list(Finder((dust, hair))(film(4, (3, 2))))
    assert calls == [(kind, number) for number in range(5) for kind in ("dust", "hair")]
    # every frame has the spots of both in that order, and each counts its shot from the start
    assert found(marked) == [(("dust", i), ("hair", i)) for i in (0, 1, 2, 0, 1)]


def test_each_sees_the_frames_that_it_wants() -> None:
    past, future = Witness("dust", 2, 0), Witness("scratch", 0, 3)
    list(Finder((past, future))(film(2, (5,))))
    assert past.shots == [
        [
            ((0,), 0, True, False),
            ((0, 1), 1, True, False),
            ((0, 1, 2), 2, True, False),
            ((1, 2, 3), 2, False, False),
            ((2, 3, 4), 2, False, False),
        ]
    ]
    assert future.shots == [
        [
            ((0, 1, 2, 3), 0, True, False),
            ((1, 2, 3, 4), 0, False, False),
            ((2, 3, 4), 0, False, True),
            ((3, 4), 0, False, True),
            ((4,), 0, False, True),
        ]
    ]


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_one_sees_does_not_depend_on_who_else_looks(before: int, after: int) -> None:
    alone, beside = Witness("dust", before, after), Witness("dust", before, after)
    list(Finder((alone,))(film(3)))
    list(Finder((Witness("hair", 4, 6), beside, Witness("burn")))(film(3)))
    assert beside.shots == alone.shots


def test_nobody_sees_across_a_cut() -> None:
    witness = Witness("dust", 4, 4)
    list(Finder((witness,))(film(4)))
    of_shots = ({0, 1, 2, 3, 4}, {5}, set(range(6, 15)))
    assert len(witness.shots) == 3  # begun anew at every cut
    for shot, own in zip(witness.shots, of_shots, strict=True):
        assert [numbers[at] for numbers, at, _, _ in shot] == sorted(own)
        assert set().union(*(numbers for numbers, _, _, _ in shot)) == own


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_nothing_depends_on_how_frames_are_batched(batch: int) -> None:
    def look(size: int) -> tuple[list[list[Seen]], list[tuple[tuple[str, int], ...]]]:
        witness = Witness("dust", 2, 3)
        return witness.shots, found(list(Finder((witness,))(film(size))))

    assert look(batch) == look(4)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_batches_come_back_as_they_went_in(batch: int) -> None:
    given = film(batch)
    marked = list(Finder((Witness("dust", 2, 3),))(given))
    assert len(marked) == len(given)
    assert all(one.moved is other for one, other in zip(marked, given, strict=True))


def test_without_detectors_no_frame_has_damage_and_none_waits() -> None:
    given = iter(film(2, (4,)))
    marked = Finder(())(given)
    assert next(marked).spots == ((), ())
    assert next(given).frames.index == 2  # nothing was taken ahead


def test_no_more_is_taken_than_the_farthest_look_needs() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for one in film(1, (20,)):
            taken += 1
            yield one

    marked = Finder((Witness("dust", 5, 1), Witness("hair", 0, 3)))(counted())  # type: ignore[arg-type]
    for done in range(1, 16):
        next(marked)
        assert taken == done + 3
