"""Where pictures are damaged, written as files that a person sees: white (255) is damaged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np
import torch

from vidcolor.errors import MediaError
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.encode import VideoWriter
from vidcolor.io.masks import Hole
from vidcolor.io.source import reason
from vidcolor.io.source_format import SourceFormat
from vidcolor.io.source_planes import SourcePlanes
from vidcolor.io.target import Target, TargetFolder, must_not_be
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

__all__ = ["HolesWriter"]

_DAMAGED = 255
_OURS = re.compile(r"\d+\.png")


class HolesWriter:
    """Holes as files, whole or not at all; what is written can be edited and read back.

    A folder gets an 8-bit PNG `000123.png` of each frame that is damaged, and of the first one in
    any case; a frame without one is whole. A name that ends in `.mkv` gets a lossless gray film
    with all frames. A name that ends in `.png` gets the one picture of a still.

    Use as a context manager. Everything is made under a hidden name beside `path` and gets its
    name when the context ends without error.

    Args:
        path: A folder to be, or see above.
        info: Of the film or picture.
        overwrite: Replace what is there; a folder only if it holds nothing but such masks.
        sources: Files and folders that must not be replaced in any case.

    Raises:
        MediaError: On entering, if the output exists and is not to be replaced, is a source, or
            cannot be made; later, if the disk fails.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        overwrite: bool = False,
        sources: Iterable[Path] = (),
    ) -> None:
        self.path, self._info = Path(path), info
        self._overwrite, self._sources = overwrite, tuple(sources)
        self._next = 0
        self._kept: _Keeper | None = None

    def __enter__(self) -> Self:
        keepers: dict[str, type[_Keeper]] = {".mkv": _FilmKeeper, ".png": _PictureKeeper}
        must_not_be(self.path, self._sources)
        keeper = keepers.get(self.path.suffix.lower(), _FolderKeeper)
        self._kept = keeper(self.path, self._info, self._overwrite)
        return self

    def write(self, index: int, hole: Hole | None) -> None:
        """Write the hole of a frame; frames that are left out between two are whole.

        Args:
            index: Number of the frame, from 0, higher than the one before. The last frame of the
                film must be written for a `.mkv` to have as many frames.
            hole: (H, W) bool, True = damaged; None where nothing is.

        Raises:
            MediaError: If the disk fails.
            ValueError: If frames come in another order, or a hole is of another size or type.
        """
        if self._kept is None:
            raise RuntimeError("the writer is not open")
        if index < self._next:
            raise ValueError(f"frame {index} comes after {self._next - 1}")
        if hole is not None and (hole.shape != self._info.size or hole.dtype != np.bool_):
            raise ValueError(
                f"a hole must be bool {self._info.size}, not {hole.dtype} {hole.shape}"
            )
        for between in range(self._next, index):
            self._kept.put(between, None)
        self._kept.put(index, hole)
        self._next = index + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.end(kind, error, trace)


class _Keeper(Protocol):
    """One of the ways to keep holes."""

    def __init__(self, path: Path, info: VideoInfo, overwrite: bool) -> None: ...

    def put(self, index: int, hole: Hole | None, /) -> None: ...

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def _png(path: Path, info: VideoInfo, hole: Hole | None) -> bytes:
    codes = np.zeros(info.size, np.uint8)
    if hole is not None:
        codes[hole] = _DAMAGED
    done, data = cv2.imencode(".png", codes)
    if not done:
        raise MediaError(f"{path}: cannot be encoded")
    return data.tobytes()


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MediaError(f"{path}: cannot be written ({reason(error)})") from error


class _FolderKeeper:
    def __init__(self, path: Path, info: VideoInfo, overwrite: bool) -> None:
        self._info = info
        self._target = TargetFolder(path, overwrite, lambda name: bool(_OURS.fullmatch(name)))

    def put(self, index: int, hole: Hole | None, /) -> None:
        if index > 0 and (hole is None or not hole.any()):
            return
        path = self._target.temporary / f"{index:06}.png"
        _write(path, _png(path, self._info, hole))

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        try:
            if kind is None:
                self._target.land()
        finally:
            self._target.discard()


class _PictureKeeper:
    def __init__(self, path: Path, info: VideoInfo, overwrite: bool) -> None:
        self._path, self._info = path, info
        self._target = Target(path, overwrite)
        self._data: bytes | None = None

    def put(self, index: int, hole: Hole | None, /) -> None:
        if index > 0:
            raise MediaError(
                f"{self._path}: holds the mask of one picture; give a folder or a .mkv for a film"
            )
        self._data = _png(self._path, self._info, hole)

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        try:
            if kind is None:
                if self._data is None:
                    raise MediaError(f"{self._path}: no frames were written")
                _write(self._target.temporary, self._data)
                self._target.land()
        finally:
            self._target.discard()


class _FilmKeeper:
    def __init__(self, path: Path, info: VideoInfo, overwrite: bool) -> None:
        self._info = VideoInfo(
            info.height,
            info.width,
            rate=info.rate,
            time_base=1 / Fraction(info.rate),
            sample_aspect=info.sample_aspect,
            rotation=info.rotation,
            color=ColorSpec(full_range=True),
        )
        planes = SourcePlanes(SourceFormat("gray"))
        output = OutputConfig("ffv1", overwrite=overwrite)
        self._writer = VideoWriter(path, None, self._info, planes, output)
        self._writer.__enter__()

    def put(self, index: int, hole: Hole | None, /) -> None:
        codes = np.zeros(self._info.size, np.uint8)
        if hole is not None:
            codes[hole] = _DAMAGED
        luma = torch.from_numpy(codes)[None, None]
        self._writer.write(FrameBatch(luma, (index,), self._info, index=index))

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._writer.__exit__(kind, error, trace)
