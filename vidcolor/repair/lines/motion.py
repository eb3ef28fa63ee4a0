"""Lines followed through a shot: those that stay while the scene moves are damage.

A lamp post, a door frame or the bar of a window looks like a scratch in a single frame. But it
goes with the scene, and a scratch goes with the film. So each line's way is compared with that of
what lies beside it. Where the scene stands still nothing can be told. Where a large part of the
frame stands still with the line, and only the rest moves, nothing can be told either: the line may
be part of what stands, as the bar of a window is before which people pass. And what is seen beside
a scratch must really be another part of the scene then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidcolor.repair.lines.trace import Line
from vidcolor.repair.records import Hole, Link

__all__ = ["LineTracks", "MotionLimits", "Seen", "Track", "Verdict"]

Floats = npt.NDArray[np.float32]
Verdict = Literal["scratch", "scene", "undecided"]

_LOST_FRAMES = 4  # a line unseen for longer is another one
_NEAR_CELLS, _FAR_CELLS = 3, 24  # beside a line, where the scene's motion is taken
_STANDS = 0.25  # of the scene's motion beside the line: a cell that moves less stands still
_CHANGE = 2.0  # cv, that what lies beside a line must differ by when the scene has moved
_CHANGE_PART = 0.3  # likewise, of how much it varies along the line
_PROOF = 4  # comparisons that a verdict needs
_MAJORITY = 0.9  # of the comparisons


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """How lines are told from things.

    Attributes:
        near_px: A line moves at most so much from frame to frame, in pixels of the picture.
        frames: Comparisons reach over so many frames.
        moved_px: The scene must move so much between the frames compared.
        far_px: It must have moved so much in one of them, or nothing is a scratch.
        longest: A scratch takes so much of the height in some frame.
        stays: A scratch moves at most so much of that, or half a pixel.
        goes: A thing moves at least so much of that.
        standing: Most of the frame that may stand still while the scene moves beside a line, or
            it proves nothing.
    """

    near_px: float
    frames: int
    moved_px: float
    far_px: float
    longest: float
    stays: float
    goes: float
    standing: float


_STAYS_PX = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A line in one frame.

    Attributes:
        place: Of the frame in its shot.
        x: How far the line has moved since it was first seen.
        way: How far the scene beside it has.
        mixed: In how many frames so far that was doubtful.
        fresh: The frame does not repeat the one before.
        strong: The line stands out by itself.
        line: It.
    """

    place: int
    x: float
    way: float
    mixed: int
    fresh: bool
    strong: bool
    line: Line


@dataclass(slots=True, eq=False)
class Track:
    """A line through the frames of a shot.

    Attributes:
        line: As last seen.
        place: Where in the shot that was.
        way: How far the scene beside it has moved since the line was first seen, in pixels.
        mixed: Frames so far in which much of the frame stood still while that moved.
        x: How far the line itself has moved.
        seen: It in the latest frames.
        stays: Comparisons by which it stays while the scene moves.
        goes: Comparisons by which it goes with the scene.
        farthest: Longest way of the scene in which it stayed, in pixels.
        longest: Largest share of the height that it took.
    """

    line: Line
    place: int
    way: float = 0.0
    mixed: int = 0
    x: float = 0.0
    seen: deque[Seen] = field(default_factory=deque)
    stays: int = 0
    goes: int = 0
    farthest: float = 0.0
    longest: float = 0.0


class LineTracks:
    """Lines of one shot; frames are told in order.

    Args:
        limits: What tells lines from things.
        size: `(height, width)` of the frame in pixels.
        inside: (h, w) bool, cells of the grid of motion that show a picture.
    """

    def __init__(
        self, limits: MotionLimits, size: tuple[int, int], inside: Hole | None = None
    ) -> None:
        self._limits = limits
        self._size = size
        self._inside = inside
        self._tracks: list[Track] = []

    def add(self, place: int, lines: Sequence[Line], link: Link | None) -> list[Track]:
        """Continue tracks by the lines of a frame; their tracks in the same order."""
        self._tracks = [one for one in self._tracks if place - one.place <= _LOST_FRAMES]
        fresh = link is None or not link.same
        if link is not None and fresh:
            for track in self._tracks:
                self._go(track, link)
        free = list(self._tracks)
        found = []
        for line in lines:
            known, moved = self._match(line, free, place)
            track = known or Track(line, place)
            if known is None:
                self._tracks.append(track)
            else:
                free.remove(track)
            track.line, track.place = line, place
            track.x += moved
            track.longest = max(track.longest, float(line.there.mean()))
            seen = Seen(place, track.x, track.way, track.mixed, fresh, line.strong, line)
            self._compare(track, seen)
            track.seen.append(seen)
            while track.seen[0].place < place - self._limits.frames:
                track.seen.popleft()
            found.append(track)
        return found

    def verdict(self, track: Track) -> Verdict:
        """What is known of a line by now."""
        count = track.stays + track.goes
        long = track.longest >= self._limits.longest
        enough = track.stays >= _PROOF and track.farthest >= self._limits.far_px
        if long and enough and track.stays >= _MAJORITY * count:
            return "scratch"
        if track.goes >= _PROOF and track.goes >= _MAJORITY * count:
            return "scene"
        return "undecided"

    def _match(self, line: Line, tracks: Sequence[Track], place: int) -> tuple[Track | None, float]:
        best: tuple[float, Track | None, float] = (np.inf, None, 0.0)
        for track in tracks:
            other = track.line
            both = line.there & other.there
            if line.contrast * other.contrast <= 0 or not both.any():
                continue
            moved = float(np.median(line.x[both] - other.x[both]))
            if abs(moved) <= self._limits.near_px * (place - track.place) and abs(moved) < best[0]:
                best = (abs(moved), track, moved)
        return best[1], best[2]

    def _go(self, track: Track, link: Link) -> None:
        """Add the scene's motion beside the line from the frame before to this one."""
        way, standing = self._beside(track.line, link)
        track.way += way
        track.mixed += standing > self._limits.standing

    def _beside(self, line: Line, link: Link) -> tuple[float, float]:
        """Motion beside a line in pixels to the right, and how much of the frame stands still."""
        height, width = link.back.shape[:2]
        across = -link.back[..., 0]
        scale = self._size[1] / width
        rows = line.top + (np.flatnonzero(line.there) + 0.5) * line.rows
        cells = np.minimum((rows * height / self._size[0]).astype(np.intp), height - 1)
        at = (line.x[line.there] / scale).astype(np.intp)
        sides = []
        for sign in (-1, 1):
            columns = at[:, None] + sign * np.arange(_NEAR_CELLS, _FAR_CELLS + 1, 3)
            within = (columns >= 0) & (columns < width)
            if within.mean() < 0.5:
                continue
            values = across[cells[:, None], np.clip(columns, 0, width - 1)]
            sides.append(float(np.median(values[within])))
        if len(sides) < 2 or min(sides) * max(sides) < 0:
            return 0.0, 1.0
        way = min(sides, key=abs)
        moves = np.abs(across) >= _STANDS * abs(way)
        if self._inside is not None:
            moves = moves[self._inside]
        standing = 1.0 - float(moves.mean()) if way and moves.size else 1.0
        return way * scale, standing

    def _compare(self, track: Track, now: Seen) -> None:
        for then in track.seen:
            frames = now.place - then.place
            way = now.way - then.way
            if frames > self._limits.frames or abs(way) < self._limits.moved_px:
                continue
            moved = now.x - then.x
            part = moved / way
            if part >= self._limits.goes:
                track.goes += 1
            elif abs(moved) <= max(_STAYS_PX, self._limits.stays * abs(way)):
                clear = now.mixed - then.mixed <= frames / 3 and _changed(now.line, then.line)
                track.stays += clear
                track.farthest = max(track.farthest, abs(way) if clear else 0.0)


def _changed(one: Line, other: Line) -> bool:
    """Whether something else lies beside a line than did in another frame.

    It does if the scene moved behind the line. Where motion was mistaken it does not.
    """
    both = one.there & other.there
    if not both.any():
        return False
    now, then = one.beside[:, both], other.beside[:, both]
    change = now - then
    change = np.abs(change - np.median(change, axis=1, keepdims=True)).mean(axis=1)
    usual = np.minimum(now.std(axis=1), then.std(axis=1))
    return bool((change >= np.maximum(_CHANGE, _CHANGE_PART * usual)).all())
