"""How much a film flickers and shakes: what `deflicker` and `steady` would have to do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidcolor.repair.records import Link, Repaired

__all__ = ["Pulse"]

Floats = npt.NDArray[np.float64]

_SPAN = 5  # frames, of whose median a frame differs


class Pulse:
    """Light and place of every frame, against the median of the five around it in its shot.

    Memory: three numbers a frame.
    """

    def __init__(self) -> None:
        self._shots: list[list[tuple[float, float, float]]] = []
        self._shot: int | None = None

    def add(self, repaired: Repaired) -> None:
        """Look at a batch, as it was before repair."""
        frames = repaired.marked.frames
        if frames.shot != self._shot:
            self._shots.append([])
            self._shot = frames.shot
        spec = frames.info.color
        for plane, link in zip(frames.luma[:, 0], repaired.marked.moved.links, strict=True):
            light = float(plane[::4, ::4].double().mean()) - spec.black
            x, y = _step(link, frames.info.size)
            self._shots[-1].append((light / (spec.white - spec.black), x, y))

    def flicker(self) -> float:
        """Standard deviation of the light, in percent of what it is; 0 if no shot is long enough.

        Things that come and go count too, so it is an upper bound.
        """
        found = []
        for shot in self._long():
            light = shot[:, 0]
            usual = np.maximum(_median(light), 1e-3)
            found.append(100 * (light / usual - 1))
        return _deviation(found)

    def weave(self) -> float:
        """Standard deviation of jumps of the background, in pixels; an upper bound, as above."""
        found = []
        for shot in self._long():
            for axis in (1, 2):
                steps = shot[1:, axis]
                # a frame that is off its place makes two jumps
                found.append((steps - _median(steps)) / np.sqrt(2))
        return _deviation(found)

    def _long(self) -> list[Floats]:
        return [np.array(shot) for shot in self._shots if len(shot) > 2 * _SPAN]


def _step(link: Link | None, size: tuple[int, int]) -> tuple[float, float]:
    """How far the background went since the frame before, in pixels."""
    if link is None or link.same:
        return 0.0, 0.0
    height, width = link.back.shape[:2]
    x, y = (float(value) for value in np.median(link.back.reshape(-1, 2), axis=0))
    return -x * size[1] / width, -y * size[0] / height


def _median(values: Floats) -> Floats:
    padded = np.pad(values, _SPAN // 2, mode="reflect")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, _SPAN), axis=1))


def _deviation(parts: list[Floats]) -> float:
    return float(np.concatenate(parts).std()) if parts else 0.0
