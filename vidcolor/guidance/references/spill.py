"""What a pass through a shot must remember for the way back, kept in a file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.guidance.references.memory import Match

__all__ = ["Passed", "Spill"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """One frame of the way forward.

    Attributes:
        pts: Of the frame.
        gray: (h, w) uint8 of its L*.
        match: What the memory found for it.
        ab: (h, w, 2) a*b* carried to it.
        cost: (h, w) how badly that fits.
        weight: (h, w) how sure it is, in 0..1.
    """

    pts: int
    gray: npt.NDArray[np.uint8]
    match: Match
    ab: Floats
    cost: Floats
    weight: Floats


class Spill:
    """Frames of one shot in a temporary file, half precision; nothing of them stays in memory.

    Args:
        folder: Where the file lies; None: the system's folder for such files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        self._frames: list[tuple[int, int, tuple[int, int], tuple[int, int]]] = []

    def __len__(self) -> int:
        return len(self._frames)

    def clear(self) -> None:
        """Forget all: a shot has ended."""
        self._file.seek(0)
        self._file.truncate()
        self._frames.clear()

    def add(self, frame: Passed) -> None:
        """Keep the next frame."""
        height, width = frame.gray.shape
        place = self._file.seek(0, 2)
        self._frames.append(
            (
                frame.pts,
                place,
                (height, width),
                (len(frame.match.distance), frame.match.cells.shape[1]),
            )
        )
        weight = np.clip(np.rint(frame.weight * 255), 0, 255).astype(np.uint8)
        match = frame.match
        for values in (
            frame.gray, weight, _half(frame.ab), _half(frame.cost), _half(match.distance),
            _half(match.ab), _half(match.doubt), match.cells.astype(np.int32),
        ):  # fmt: skip
            self._file.write(np.ascontiguousarray(values).tobytes())

    def get(self, number: int) -> Passed:
        """Frame `number` of the shot, as it was kept."""
        pts, place, (height, width), (cells, best) = self._frames[number]
        self._file.seek(place)
        size, half = height * width, np.dtype(np.float16)
        gray = self._read(size, np.dtype(np.uint8)).reshape(height, width)
        weight = self._read(size, np.dtype(np.uint8)).reshape(height, width)
        ab = self._read(2 * size, half).reshape(height, width, 2)
        cost = self._read(size, half).reshape(height, width)
        distance = self._read(cells, half)
        known = self._read(2 * cells, half).reshape(cells, 2)
        doubt = self._read(cells, half)
        numbers = self._read(best * cells, np.dtype(np.int32)).reshape(cells, best)
        return Passed(
            pts,
            gray,
            Match(_full(distance), numbers.astype(np.int64), _full(known), _full(doubt)),
            _full(ab),
            _full(cost),
            weight.astype(np.float32) * np.float32(1 / 255),
        )

    def _read(self, count: int, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        return np.frombuffer(self._file.read(count * kind.itemsize), kind)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_HALF_MOST = 60000.0  # float16 ends at 65504


def _half(values: Floats) -> npt.NDArray[np.float16]:
    return np.minimum(values, np.float32(_HALF_MOST)).astype(np.float16)


def _full(values: npt.NDArray[Any]) -> Floats:
    return values.astype(np.float32)
