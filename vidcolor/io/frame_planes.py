"""What the encoder is given of a frame: as a colored film wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vidcolor.color.compose import ComposeConfig, chroma_planes
from vidcolor.io.codecs import Encoding, OutputConfig, choose_encoding
from vidcolor.records import Colored, FrameBatch, VideoInfo

__all__ = ["ColoredPlanes", "Planes"]

Array = npt.NDArray[Any]
T_contra = TypeVar("T_contra", contravariant=True)


class Planes(Protocol[T_contra]):
    """How batches of some kind become a film: with which encoder, and which planes.

    Stateless; `lay` is called in the encoding thread.
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


class ColoredPlanes:
    """Chroma made of a*b*, beside luma as decoded (shifted up where the output is deeper).

    Args:
        compose: How color is laid beside luma.
    """

    def __init__(self, compose: ComposeConfig | None = None) -> None:
        self._compose = compose or ComposeConfig()

    def encoding(self, path: Path, info: VideoInfo, output: OutputConfig, /) -> Encoding:
        """As `choose_encoding`."""
        return choose_encoding(path, info, output)

    def frames(self, batch: Colored, /) -> FrameBatch:
        """What was colored."""
        return batch.frames

    def lay(self, batch: Colored, number: int, encoding: Encoding, /) -> tuple[Array, ...]:
        """Y', Cb and Cr."""
        frames, chroma = batch.frames, batch.chroma
        luma = frames.luma[number, 0].numpy()
        blue, red = chroma_planes(
            luma,
            chroma.ab[number].numpy(),
            chroma.lightness[number, 0].numpy(),
            frames.info.color,
            encoding.layout,
            self._compose,
        )
        depth = encoding.layout.bits
        if depth > 8:
            luma = luma.astype(np.uint16) << (depth - frames.info.color.bits)
        return luma, blue, red
