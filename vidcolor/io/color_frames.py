"""The color of films and pictures, for training: R'G'B', upright, with square pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.compose import MATRIX_WEIGHTS, PlaneLayout
from vidcolor.errors import MediaError
from vidcolor.io.image import upright_pixels
from vidcolor.io.input_config import InputConfig
from vidcolor.io.planes import chroma_planes_of, layout_of, plane_view, rgb_of, subsampling_of
from vidcolor.io.source import reason
from vidcolor.io.video import VideoReader
from vidcolor.ops.boxes import Upright
from vidcolor.records import ColorSpec

__all__ = ["ColorReader", "frame_rgb", "read_picture", "resize"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class ColorReader(VideoReader):
    """A film as batches of luma, and the color of those of its frames that are asked for.

    Everything is decoded once: frames are kept as the decoder gave them until `forget`, so that
    whoever looks at the luma can come back for the color of a few. The conversion knows matrix,
    range, depth, chroma siting, rotation and pixel aspect; of a frame that is marked interlaced
    only the lines of one field are taken, because woven fields have combs.

    Args:
        path: As for `VideoReader`.
        config: As for `VideoReader`.

    Raises:
        MediaError: As `VideoReader`.
    """

    def __init__(self, path: str | Path, config: InputConfig | None = None) -> None:
        super().__init__(path, config)
        self._near: dict[int, Any] = {}
        self._handing = threading.Lock()  # frames come in the thread that reads ahead

    def _wanted(self) -> Iterator[tuple[Any, int]]:
        for frame, pts in super()._wanted():
            with self._handing:
                self._near[pts] = frame
            yield frame, pts

    def color(self, pts: int, size: tuple[int, int] | None = None) -> Bytes:
        """The color of a frame, as a viewer sees it.

        Args:
            pts: Of a frame that was yielded, and not forgotten.
            size: `(height, width)` of the upright result; `Upright(info).size` if None.

        Returns:
            (height, width, 3) uint8 R'G'B', upright, with square pixels.

        Raises:
            ValueError: If the frame is not there (any more).
        """
        with self._handing:
            frame = self._near.get(pts)
        if frame is None:
            raise ValueError(f"the frame with pts {pts} is not kept")
        size = size or Upright(self.info).size
        turns = self.info.rotation // 90
        coded = size if turns % 2 == 0 else (size[1], size[0])
        rgb = frame_rgb(frame, self.info.color, coded)
        codes = np.rint(rgb * np.float32(255)).astype(np.uint8)
        return np.ascontiguousarray(np.rot90(codes, turns))

    def forget(self, pts: int) -> None:
        """Let go of all frames up to and with `pts`."""
        with self._handing:
            for time in [time for time in self._near if time <= pts]:
                del self._near[time]


def frame_rgb(frame: Any, spec: ColorSpec, size: tuple[int, int]) -> Floats:
    """R'G'B' of a decoded frame, in coded orientation.

    Planes are brought to `size` before they are joined, which is the same as shrinking the joined
    picture, as all of it is linear, and cheaper.

    Args:
        frame: An `av.VideoFrame`.
        spec: How to read its codes.
        size: `(height, width)` of the result.

    Returns:
        (height, width, 3) float32 in 0..1; what lies outside the gamut is clipped.
    """
    layout = layout_of(frame.format)
    rows = slice(None, None, 2 if frame.interlaced_frame else 1)
    if layout.kind == "rgb":
        rgb = resize(rgb_of(frame, layout)[rows].astype(np.float32), size)
        return np.clip(rgb / np.float32((1 << layout.bits) - 1), 0, 1)
    if layout.via is not None:
        frame = frame.reformat(format=layout.via)
    luma = (plane_view(frame, 0)[rows] >> layout.shift).astype(np.float32)
    signal = (resize(luma, size) - np.float32(spec.black)) / np.float32(spec.white - spec.black)
    if layout.gray or len(frame.planes) < 2:
        return np.clip(np.repeat(signal[..., None], 3, axis=2), 0, 1)
    grid = _chroma_grid(frame.format.name, spec)
    blue, red = (
        (_at_center(plane[rows] >> layout.shift, grid, size) - grid.neutral)
        / np.float32(grid.scale)
        for plane in chroma_planes_of(frame)
    )
    return _joined(signal, blue, red, spec)


def _joined(signal: Floats, blue: Floats, red: Floats, spec: ColorSpec) -> Floats:
    """R'G'B' of Y' in 0..1 and of Cb and Cr in -0.5..0.5 (ITU-R BT.601, 709, 2020)."""
    kr, kb = MATRIX_WEIGHTS[spec.matrix]
    r = signal + np.float32(2 * (1 - kr)) * red
    b = signal + np.float32(2 * (1 - kb)) * blue
    g = (signal - np.float32(kr) * r - np.float32(kb) * b) / np.float32(1 - kr - kb)
    return np.clip(np.stack((r, g, b), axis=2), 0, 1)


def _chroma_grid(name: str, spec: ColorSpec) -> PlaneLayout:
    """Where chroma lies in a pixel format; MPEG's place unless the format is JPEG's."""
    rows, columns = subsampling_of(name)
    return PlaneLayout(
        subsample_y=rows,
        subsample_x=columns,
        bits=spec.bits,
        full_range=spec.full_range,
        matrix=spec.matrix,
        siting="center" if name.startswith("yuvj") else "left",
    )


def _at_center(plane: Array, grid: PlaneLayout, size: tuple[int, int]) -> Floats:
    """A chroma plane on the grid of the result, its siting taken into account."""
    codes = np.ascontiguousarray(plane, dtype=np.float32)
    y, x = grid.offset
    down = ((grid.subsample_y - 1) / 2 - y) / grid.subsample_y
    right = ((grid.subsample_x - 1) / 2 - x) / grid.subsample_x
    if down or right:
        move = np.array([[1, 0, right], [0, 1, down]], np.float64)
        codes = cast(
            Floats,
            cv2.warpAffine(
                codes,
                move,
                (codes.shape[1], codes.shape[0]),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            ),
        )
    return np.asarray(resize(codes, size), np.float32)


def resize(picture: Array, size: tuple[int, int]) -> Array:
    """A picture at another size: areas are averaged where it shrinks, interpolated where it grows.

    Args:
        picture: (H, W) or (H, W, C) uint8, uint16 or float32.
        size: `(height, width)` of the result.
    """
    height, width = min(size[0], picture.shape[0]), min(size[1], picture.shape[1])
    if picture.shape[:2] != (height, width):
        picture = cast(Array, cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    if picture.shape[:2] != size:
        picture = cast(
            Array, cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        )
    return picture


def read_picture(path: str | Path, data: bytes | None = None) -> Bytes:
    """The color of a still picture.

    Orientation noted in the file is applied, transparency is laid over white, 16 bits are rounded
    to 8. Color profiles are not read: codes are taken for sRGB.

    Args:
        path: PNG, JPEG or TIFF.
        data: The content of the file, where it was read already; `path` only names it then.

    Returns:
        (H, W, 3) uint8 R'G'B'.

    Raises:
        MediaError: If the file is missing, cut off, or no such picture.
    """
    path = Path(path)
    if data is None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
    pixels = upright_pixels(path, data)
    white = 255 if pixels.dtype == np.uint8 else 65535
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    values = pixels.astype(np.float32) * np.float32(255 / white)
    if pixels.shape[2] == 4:
        opaque = values[..., 3:] / np.float32(255)
        values = values[..., :3] * opaque + np.float32(255) * (1 - opaque)
    elif pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels[..., ::-1])
    return np.ascontiguousarray(np.rint(values[..., ::-1]).astype(np.uint8))
