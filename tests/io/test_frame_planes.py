import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vidcolor.color.compose import ComposeConfig, chroma_planes
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo

SIZE = (48, 64)
HELD = (False, True, False, True, True, False)


def _info(**changes) -> VideoInfo:
    info = VideoInfo(*SIZE, rate=Fraction(24), time_base=Fraction(1, 24))
    return replace(info, **changes)


def _colored(held=HELD, shot=0, index=0, start=0) -> Colored:
    """Drawings that are held, with noise of a codec in their luma; color as stages give it."""
    rng = np.random.default_rng(shot)
    count = len(held)
    luma = np.empty((count, 1, *SIZE), np.uint8)
    ab = np.empty((count, 2, 12, 16), np.float32)
    lightness = np.empty((count, 1, 12, 16), np.float32)
    for number, is_held in enumerate(held):
        if not is_held:
            drawing = np.kron(rng.integers(60, 200, (6, 8)), np.ones((8, 8)))
            color = rng.normal(0, 20, (2, 12, 16))
        luma[number, 0] = drawing + rng.integers(-2, 3, SIZE)
        ab[number] = color
        lightness[number, 0] = drawing[::4, ::4] * (100 / 255) + rng.normal(0, 0.2, (12, 16))
    frames = FrameBatch(
        torch.from_numpy(luma),
        tuple(range(index, index + count)),
        _info(),
        index=index,
        shot=shot,
        start=start,
        held=torch.tensor(held),
    )
    return Colored(
        frames, Tracks.empty(), Chroma(torch.from_numpy(ab), torch.from_numpy(lightness))
    )


def _part(colored: Colored, part: slice) -> Colored:
    return Colored(colored.frames[part], colored.tracks, colored.chroma[part])


def _laid(planes: ColoredPlanes, batches: list[Colored], path="a.mkv"):
    """Y', Cb and Cr of every frame."""
    encoding = planes.encoding(Path(path), _info(), OutputConfig(codec="ffv1"))
    return [
        planes.lay(batch, number, encoding)
        for batch in batches
        for number in range(len(batch.frames))
    ]


def _composed(colored: Colored, number: int):
    """Cb and Cr of a frame by itself."""
    planes = ColoredPlanes()
    encoding = planes.encoding(Path("a.mkv"), _info(), OutputConfig(codec="ffv1"))
    return chroma_planes(
        colored.frames.luma[number, 0].numpy(),
        colored.chroma.ab[number].numpy(),
        colored.chroma.lightness[number, 0].numpy(),
        colored.frames.info.color,
        encoding.layout,
        ComposeConfig(),
    )


@pytest.mark.parametrize("cuts", [(), (1,), (4,), (1, 2, 3, 4, 5)])
def test_a_held_frame_has_the_chroma_of_the_frame_that_it_repeats(cuts):
    colored = _colored()
    edges = [0, *cuts, len(HELD)]
    batches = [_part(colored, slice(*edge)) for edge in itertools.pairwise(edges)]
    laid = _laid(ColoredPlanes(), batches)
    repeats = (0, 0, 2, 2, 2, 5)
    for number, (luma, *chroma) in enumerate(laid):
        np.testing.assert_array_equal(luma, colored.frames.luma[number, 0])
        for plane, expected in zip(chroma, _composed(colored, repeats[number]), strict=True):
            np.testing.assert_array_equal(plane, expected)
    # else there would be nothing to tell: noise of luma moves codes of chroma
    assert any(
        (a != b).any() for a, b in zip(_composed(colored, 0), _composed(colored, 1), strict=True)
    )


def _second(first: Colored, **changes) -> Colored:
    """The held frame that follows, changed; its a*b* stays."""
    second = _part(first, slice(1, 2))
    return replace(second, frames=replace(second.frames, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"shot": 1, "start": 0},
        {"index": 2},
        {"held": torch.tensor([False])},
        {"held": None},
        {"info": _info(rate=Fraction(25))},
    ],
    ids=["cut", "gap", "drawn anew", "not known", "another film"],
)
def test_no_chroma_is_taken_from_a_frame_that_is_not_repeated(changes):
    colored = _colored((False, True))
    second = _second(colored, **changes)
    laid = _laid(ColoredPlanes(), [_part(colored, slice(0, 1)), second])
    for plane, expected in zip(laid[1][1:], _composed(colored, 1), strict=True):
        np.testing.assert_array_equal(plane, expected)
    assert any((a != b).any() for a, b in zip(laid[0][1:], laid[1][1:], strict=True))


def test_a_held_frame_that_got_another_color_shows_it():
    colored = _colored((False, True))
    colored.chroma.ab[1] += 10
    laid = _laid(ColoredPlanes(), [colored])
    for plane, expected in zip(laid[1][1:], _composed(colored, 1), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_chroma_laid_for_another_encoder_is_not_taken():
    colored, planes = _colored((False, True)), ColoredPlanes()
    shallow = planes.encoding(Path("a.mkv"), _info(), OutputConfig(codec="ffv1"))
    deep = replace(shallow, layout=replace(shallow.layout, bits=10))
    planes.lay(colored, 0, shallow)
    _, blue, red = planes.lay(colored, 1, deep)
    assert blue.dtype == red.dtype == np.uint16
