"""What repair finds and does, for people to see: the spots that matter, before and after."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

import cv2
import numpy as np

from vidcolor.ops.draw import Bytes, Color, fitted, paper, write
from vidcolor.records import ColorSpec, FrameBatch
from vidcolor.repair.pulse import Pulse
from vidcolor.repair.records import KINDS, Kind, Repaired, Spot

__all__ = ["COLORS", "SpotSheet", "Tally"]

COLORS: dict[Kind, Color] = {
    "dust": (230, 60, 60),
    "hair": (230, 140, 30),
    "scratch": (60, 140, 240),
    "splice": (170, 80, 220),
    "burn": (230, 60, 180),
    "user": (60, 190, 90),
}
"""R'G'B' of each kind of damage, in sheets and overlays."""

_TILE = 112
_CONTEXT_PX = 24  # around a spot, at least
_GAP, _TEXT, _HEAD = 10, 15, 28
_COLUMNS = 4
_LETTER = 0.4
_STAYING = ("scratch", "hair", "burn", "user")
_SAME = 0.3  # part of the smaller box
_SURE = 0.5  # confidence at which it could be either


@dataclass(slots=True)
class Tally:
    """Counts of a film.

    Attributes:
        frames: Frames seen.
        pixels: Pixels of them.
        changed: Pixels that repair was allowed to change.
        touched: Frames in which it was.
        spots: By kind and state.
        pulse: How much it flickers and shakes.
    """

    frames: int = 0
    pixels: int = 0
    changed: int = 0
    touched: int = 0
    spots: Counter[tuple[str, str]] = field(default_factory=Counter)
    pulse: Pulse = field(default_factory=Pulse)

    def add(self, repaired: Repaired) -> None:
        """Count a batch."""
        info = repaired.frames.info
        self.pulse.add(repaired)
        self.frames += len(repaired.frames)
        self.pixels += len(repaired.frames) * info.height * info.width
        self.changed += sum(repaired.changed)
        self.touched += sum(count > 0 for count in repaired.changed)
        for spots in repaired.marked.spots:
            self.spots.update((spot.kind, spot.state) for spot in spots)

    def lines(self) -> list[str]:
        """The counts in words."""
        share = 100 * self.changed / max(1, self.pixels)
        rows = [f"{self.touched} of {self.frames} frames touched, {share:.4f} % of all pixels"]
        for kind in KINDS:
            counts = [
                f"{self.spots[kind, state]} {state}"
                for state in ("accepted", "review", "rejected")
                if self.spots[kind, state]
            ]
            if counts:
                rows.append(f"{kind}: {', '.join(counts)}")
        flicker, weave = self.pulse.flicker(), self.pulse.weave()
        if flicker or weave:
            rows.append(f"flicker {flicker:.2f} % of the light, weave {weave:.2f} px, at most")
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    caption: str
    before: Bytes
    marked: Bytes
    after: Bytes


class SpotSheet:
    """Keeps the largest spots and the least sure ones of a film, and draws them.

    Memory: three small pictures for each of them, however long the film.

    Args:
        most: So many of each sort.
    """

    def __init__(self, most: int = 50) -> None:
        self._most = most
        self._count = 0  # makes entries of equal weight comparable
        self._large: list[tuple[float, int, _Entry]] = []
        self._unsure: list[tuple[float, int, _Entry]] = []
        self._shown: list[Spot] = []  # what stays through many frames is shown once

    def add(self, repaired: Repaired) -> None:
        """Look at a batch."""
        for number, spots in enumerate(repaired.marked.spots):
            for spot in spots:
                if spot.state != "rejected" and not self._seen(spot):
                    self._offer(repaired, number, spot)

    def _seen(self, spot: Spot) -> bool:
        """Whether this is the scratch or hair of a frame before."""
        if spot.kind not in _STAYING:
            return False
        if any(spot.kind == one.kind and _shared(spot, one) > _SAME for one in self._shown):
            return True
        self._shown = [*self._shown[1 - self._most :], spot]
        return False

    def _offer(self, repaired: Repaired, number: int, spot: Spot) -> None:
        doubt = -abs(spot.confidence - _SURE)
        wanted = [
            (heap, weight)
            for heap, weight in ((self._large, float(spot.area)), (self._unsure, doubt))
            if len(heap) < self._most or weight > heap[0][0]
        ]
        if not wanted:
            return
        entry = _entry(repaired, number, spot)
        self._count += 1
        for heap, weight in wanted:
            push = heapq.heappush if len(heap) < self._most else heapq.heapreplace
            push(heap, (weight, -self._count, entry))

    def draw(self, tally: Tally) -> Bytes:
        """The sheet: counts, the largest spots, the least sure ones.

        Returns:
            (H, W, 3) uint8 R'G'B'; each spot as it was, marked, and repaired.
        """
        width = _GAP + _COLUMNS * (3 * _TILE + 2 + _GAP)
        strips = [_text(line, width) for line in tally.lines()]
        for title, heap in (("largest", self._large), ("least sure", self._unsure)):
            strips.append(_text(f"{title} (as found, marked, repaired)", width, _HEAD))
            entries = [entry for _, _, entry in sorted(heap, key=lambda one: one[:2], reverse=True)]
            if not entries:
                strips.append(_text("none", width))
            for first in range(0, len(entries), _COLUMNS):
                strips.append(_row(entries[first : first + _COLUMNS], width))
        return np.concatenate(strips)


def _shared(one: Spot, other: Spot) -> float:
    """Part of the smaller box that lies in the other one."""
    (a, b, c, d), (e, f, g, h) = one.box, other.box
    width, height = min(c, g) - max(a, e), min(d, h) - max(b, f)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((c - a) * (d - b), (g - e) * (h - f))


def _entry(repaired: Repaired, number: int, spot: Spot) -> _Entry:
    source, healed = repaired.marked.frames, repaired.frames
    rows, columns = _view(spot, source.info.size)
    before = _shown(source, number, rows, columns)
    after = _shown(healed, number, rows, columns)
    marked = before.copy()
    hole = np.zeros(source.info.size, np.bool_)[rows, columns]
    top, left = spot.top - rows.start, spot.left - columns.start
    seen = hole[max(0, top) : top + spot.hole.shape[0], max(0, left) : left + spot.hole.shape[1]]
    seen |= spot.hole[max(0, -top) :, max(0, -left) :][: seen.shape[0], : seen.shape[1]]
    color = np.array(COLORS[spot.kind], np.float32)
    marked[hole] = (0.35 * marked[hole] + 0.65 * color).astype(np.uint8)
    caption = f"{source.index + number}: {spot.kind} {spot.area} px, {spot.confidence:.2f}"
    if spot.state == "review":
        caption += ", not repaired"
    return _Entry(caption, _tile(before), _tile(marked), _tile(after))


def _view(spot: Spot, size: tuple[int, int]) -> tuple[slice, slice]:
    """A square around the spot, or of a large one around its middle."""
    left, top, right, bottom = spot.box
    side = min(max(right - left, bottom - top) + 2 * _CONTEXT_PX, 4 * _TILE, *size)
    y = min(max(0, (top + bottom - side) // 2), size[0] - side)
    x = min(max(0, (left + right - side) // 2), size[1] - side)
    return slice(y, y + side), slice(x, x + side)


def _shown(frames: FrameBatch, number: int, rows: slice, columns: slice) -> Bytes:
    """(h, w, 3) uint8 gray R'G'B' of a part."""
    spec: ColorSpec = frames.info.color
    plane = frames.luma[number, 0, rows, columns].numpy().astype(np.float32)
    tone = (plane - spec.black) * np.float32(255 / (spec.white - spec.black))
    gray = np.clip(np.rint(tone), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _tile(picture: Bytes) -> Bytes:
    return fitted(picture, (_TILE, _TILE), cv2.INTER_NEAREST)


def _text(words: str, width: int, height: int = 20) -> Bytes:
    strip = paper(height, width)
    write(strip, words, _GAP, height - 6, scale=_LETTER)
    return strip


def _row(entries: list[_Entry], width: int) -> Bytes:
    strip = paper(_TILE + _TEXT + _GAP, width)
    for place, entry in enumerate(entries):
        left = _GAP + place * (3 * _TILE + 2 + _GAP)
        for step, picture in enumerate((entry.before, entry.marked, entry.after)):
            x = left + step * (_TILE + 1)
            strip[:_TILE, x : x + _TILE] = picture
        write(strip, entry.caption, left, _TILE + _TEXT - 4, scale=_LETTER)
    return strip
