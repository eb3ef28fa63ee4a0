"""What the encoder is given of a frame: as a colored film wants it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.color.compose import ComposeConfig, chroma_planes
from vidcolor.io.codecs import Encoding, OutputConfig, choose_encoding
from vidcolor.records import Colored, FrameBatch, VideoInfo

__all__ = ["ColoredPlanes", "Planes"]

Array = npt.NDArray[Any]
T_contra = TypeVar("T_contra", contravariant=True)


class Planes(Protocol[T_contra]):
    """How batches of some kind become a film: with which encoder, and which planes.

    Of one film at a time; `lay` is called in the encoding thread, frame by frame.
    """

    def encoding(self, path: Path, info: VideoInfo, output: OutputConfig, /) -> Encoding:
        """Settle the encoder of a film.

        Raises:
            MediaError: If the output cannot hold the film as asked.
        """

    def frames(self, batch: T_contra, /) -> FrameBatch:
        """The frames of a batch: how many, of which times."""

    def lay(self, batch: T_contra, number: int, encoding: Encoding, /) -> tuple[Array, ...]:
        """Planes of frame `number` of a batch, in the encoding's pixel format."""


@dataclass(frozen=True, slots=True)
class _Laid:
    """The frame that was laid last; its luma is not kept.

    Attributes:
        place: Its shot, and its number in the film.
        info: Of its film.
        ab: (2, h, w) its a*b*.
        encoding: What it was laid for.
        planes: Its Cb and Cr.
    """

    place: tuple[int, int]
    info: VideoInfo
    ab: Tensor
    encoding: Encoding
    planes: tuple[Array, Array]

    def is_repeated(self, frame: FrameBatch, ab: Tensor, encoding: Encoding) -> bool:
        """Whether the frame follows, repeats this one, and has its color."""
        shot, index = self.place
        return (
            bool(frame.is_held().all())
            and (frame.shot, frame.index) == (shot, index + 1)
            and (frame.info, encoding) == (self.info, self.encoding)
            and torch.equal(ab, self.ab)
        )


class ColoredPlanes:
    """Chroma made of a*b*, beside luma as decoded (shifted up where the output is deeper).

    A held frame has the Cb and Cr of the frame that it repeats: their luma differs by noise only.
    Memory: the frame before. Cut: its color is not taken on.

    Args:
        compose: How color is laid beside luma.
    """

    def __init__(self, compose: ComposeConfig | None = None) -> None:
        self._compose = compose or ComposeConfig()
        self._last: _Laid | None = None

    def encoding(self, path: Path, info: VideoInfo, output: OutputConfig, /) -> Encoding:
        """As `choose_encoding`."""
        return choose_encoding(path, info, output)

    def frames(self, batch: Colored, /) -> FrameBatch:
        """What was colored."""
        return batch.frames

    def lay(self, batch: Colored, number: int, encoding: Encoding, /) -> tuple[Array, ...]:
        """Y', Cb and Cr; not to be written to."""
        frame, ab = batch.frames[number : number + 1], batch.chroma.ab[number]
        luma, last = frame.luma[0, 0].numpy(), self._last
        if last is not None and last.is_repeated(frame, ab, encoding):
            planes = last.planes
        else:
            planes = chroma_planes(
                luma,
                ab.numpy(),
                batch.chroma.lightness[number, 0].numpy(),
                frame.info.color,
                encoding.layout,
                self._compose,
            )
        self._last = _Laid((frame.shot, frame.index), frame.info, ab, encoding, planes)
        depth = encoding.layout.bits
        if depth > 8:
            luma = luma.astype(np.uint16) << (depth - frame.info.color.bits)
        return luma, *planes
