"""Frames of a shot, one after the other, with those around."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.records import Link, Marked, Moved, Spot
from vidcolor.repair.window import Frame, Window, each_frame, each_marked

SIZE = (3, 4)
SHOTS = (4, 1, 6)


def link(number: int) -> Link:
    flow = np.full((1, 1, 2), number, np.float32)
    return Link(flow, -flow)


def speck(number: int) -> Spot:
    return Spot("dust", 0, number, np.ones((1, 1), np.bool_))


def film(batch: int) -> Iterator[Marked]:
    """Frame n is of brightness n, and n is in its link and its spot."""
    index = 0
    for shot, count in enumerate(SHOTS):
        luma = torch.arange(index, index + count, dtype=torch.uint8).reshape(-1, 1, 1, 1)
        pts = tuple(100 + 2 * n for n in range(index, index + count))
        whole = FrameBatch(luma.repeat(1, 1, *SIZE), pts, VideoInfo(*SIZE), index, shot)
        for first in range(0, count, batch):
            part = whole[first : first + batch]
            numbers = range(part.index, part.index + len(part))
            links = tuple(None if n == index else link(n) for n in numbers)
            yield Marked(Moved(part, links), tuple((speck(n),) for n in numbers))
        index += count


def window(count: int, at: int) -> Window:
    plane = np.zeros(SIZE, np.uint8)
    frames = tuple(Frame(plane, VideoInfo(*SIZE), i, i, i) for i in range(count))
    return Window(frames, at, begins=True, ends=True)


def numbers(frames: Sequence[Frame]) -> list[int]:
    return [frame.number for frame in frames]


@pytest.mark.parametrize(
    ("bits", "kind", "code", "gray"),
    [(8, np.uint8, 200, 200.0), (10, np.int16, 802, 200.5), (16, np.int32, 51328, 200.5)],
)
def test_a_frame_in_code_values_of_8_bits(bits: int, kind: type, code: int, gray: float) -> None:
    plane = np.full(SIZE, code, kind)
    frame = Frame(plane, VideoInfo(*SIZE, color=ColorSpec(bits=bits)), 0, 0, 0)
    assert frame.unit * 200 <= code < frame.unit * 201
    assert frame.gray().dtype == np.float32
    assert (frame.gray() == gray).all()
    frame.gray()[:] = 0
    assert (frame.plane == code).all()


def test_frames_know_who_they_are() -> None:
    seen: list[Frame] = []

    def begin() -> Callable[[Window], None]:
        return lambda window: seen.append(window.frame)

    assert sum(len(results) for _, results in each_marked(film(3), 1, 1, begin)) == 11
    assert numbers(seen) == list(range(11))
    assert [frame.place for frame in seen] == [0, 1, 2, 3, 0, 0, 1, 2, 3, 4, 5]
    assert [frame.pts for frame in seen] == list(range(100, 122, 2))
    assert [int(frame.plane[0, 0]) for frame in seen] == list(range(11))
    assert [frame.spots[0].left for frame in seen] == list(range(11))
    links = [None if frame.link is None else int(frame.link.back[0, 0, 0]) for frame in seen]
    assert links == [None, 1, 2, 3, None, None, 6, 7, 8, 9, 10]


def test_where_damage_is_not_known_frames_have_none() -> None:
    def begin() -> Callable[[Window], tuple[Spot, ...]]:
        return lambda window: window.frame.spots

    moved = (batch.moved for batch in film(3))
    for batch, results in each_frame(moved, 1, 1, begin):
        assert results == [()] * len(batch.frames)


@pytest.mark.parametrize("batch", [1, 2, 4, 50])
def test_each_batch_gets_the_results_of_its_frames(batch: int) -> None:
    def begin() -> Callable[[Window], int]:
        return lambda window: 10 * window.frame.number

    for marked, results in each_marked(film(batch), 2, 2, begin):
        first = marked.frames.index
        assert results == [10 * n for n in range(first, first + len(marked.frames))]


def seen_by(before: int, after: int, batch: int) -> list[tuple[list[int], int, bool, bool]]:
    rows: list[tuple[list[int], int, bool, bool]] = []

    def begin() -> Callable[[Window], None]:
        return lambda w: rows.append((numbers(w.frames), w.frame.number, w.begins, w.ends))

    list(each_marked(film(batch), before, after, begin))
    return rows


@pytest.mark.parametrize("batch", [1, 2, 4, 50])
def test_windows_at_the_ends_of_shots(batch: int) -> None:
    assert seen_by(1, 2, batch) == [
        ([0, 1, 2], 0, True, False),
        ([0, 1, 2, 3], 1, True, False),
        ([1, 2, 3], 2, False, True),
        ([2, 3], 3, False, True),
        ([4], 4, True, True),
        ([5, 6, 7], 5, True, False),
        ([5, 6, 7, 8], 6, True, False),
        ([6, 7, 8, 9], 7, False, False),
        ([7, 8, 9, 10], 8, False, False),
        ([8, 9, 10], 9, False, True),
        ([9, 10], 10, False, True),
    ]


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 0), (0, 3), (30, 30)])
def test_windows_of_any_reach(before: int, after: int) -> None:
    first = 0
    rows = iter(seen_by(before, after, 3))
    for count in SHOTS:
        last = first + count - 1
        for number in range(first, last + 1):
            low, high = max(first, number - before), min(last, number + after)
            short = number + after > last
            assert next(rows) == (list(range(low, high + 1)), number, low == first, short)
        first = last + 1
    assert next(rows, None) is None


def test_each_shot_has_a_work_of_its_own() -> None:
    begun = 0

    def begin() -> Callable[[Window], int]:
        nonlocal begun
        begun += 1
        memory: list[int] = []

        def work(window: Window) -> int:
            memory.append(window.frame.number)
            return len(memory)

        return work

    results = [n for _, results in each_marked(film(3), 2, 2, begin) for n in results]
    assert begun == len(SHOTS)
    assert results == [1, 2, 3, 4, 1, 1, 2, 3, 4, 5, 6]


def test_a_batch_is_given_back_as_soon_as_its_future_is_known() -> None:
    taken: list[int] = []

    def counted() -> Iterator[Marked]:
        for batch in film(2):
            taken.append(batch.frames.index)
            yield batch

    def begin() -> Callable[[Window], None]:
        return lambda window: None

    walk = each_marked(counted(), 5, 1, begin)
    ready = [(next(walk)[0].frames.index, list(taken)) for _ in range(3)]
    # the last two of a shot wait for what begins the next
    assert ready == [(0, [0, 2]), (2, [0, 2, 4]), (4, [0, 2, 4, 5])]
