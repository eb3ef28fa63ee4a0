"""Batches of a shot lie the same way, wherever reading began and however frames came."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.stages.align import AlignedShots

INFO = VideoInfo(2, 3, rate=Fraction(25), time_base=Fraction(1, 25))


def film(count, sizes):
    """Frames of their number, in batches of the given sizes, over and over."""
    first = 0
    while first < count:
        for size in sizes:
            last = min(count, first + size)
            if last == first:
                break
            numbers = torch.arange(first, last, dtype=torch.int16)
            luma = numbers[:, None, None, None].expand(-1, 1, 2, 3).clone()
            yield FrameBatch(luma, tuple(range(first, last)), INFO, index=first)
            first = last


def cut_at(cuts):
    """A stage that splits at these frames."""

    def cut(frames):
        for batch in frames:
            edges = [c - batch.index for c in cuts if 0 < c - batch.index < len(batch)]
            for a, b in zip([0, *edges], [*edges, len(batch)], strict=True):
                part = batch[a:b]
                shot = sum(c <= part.index for c in cuts)
                start = part.index - max([0, *(c for c in cuts if c <= part.index)])
                held = torch.arange(len(part)) % 2 == 1
                yield replace(part, shot=shot, start=start, held=held)

    return cut


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sets(st.integers(1, 59), max_size=5),
    st.integers(1, 9),
)
def test_every_batch_of_a_shot_is_full_but_for_the_last(count, sizes, cuts, size):
    cuts = sorted(cut for cut in cuts if cut < count)
    batches = list(AlignedShots(cut_at(cuts), size, shot=3)(film(count, sizes)))
    edges = [0, *cuts, count]
    wanted = [
        (shot + 3, start, min(size, b - start))
        for shot, (a, b) in enumerate(itertools.pairwise(edges))
        for start in range(a, b, size)
    ]
    assert [(batch.shot, batch.index, len(batch)) for batch in batches] == wanted
    assert [batch.start for batch in batches] == [
        start - edges[shot - 3] for shot, start, _ in wanted
    ]
    assert [pts for batch in batches for pts in batch.pts] == list(range(count))
    assert [int(luma[0, 0, 0]) for batch in batches for luma in batch.luma] == list(range(count))


def test_marks_of_held_frames_come_with_their_frames():
    (one,) = AlignedShots(cut_at([]), 9)(film(9, [4, 2]))
    assert one.held.tolist() == [False, True, False, True, False, True, False, True, False]


def test_frames_that_do_not_follow_are_not_joined():
    one, other, third = film(9, [3])
    assert len(FrameBatch.join([one, replace(other, start=3)])) == 6
    with pytest.raises(ValueError, match="do not follow"):
        FrameBatch.join([one, replace(third, start=3)])
    with pytest.raises(ValueError, match="no frames"):
        FrameBatch.join([])
    marked = replace(other, start=3, held=torch.zeros(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="only some"):
        FrameBatch.join([one, marked])
