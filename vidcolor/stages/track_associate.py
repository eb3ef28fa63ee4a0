"""Which detection is which object: association through a shot, frame by frame.

High scores are matched first, then low ones, then the high ones left over once more with boxes
grown further; tracks that are not believed yet get what is left. Overlap is that of boxes grown
by a part of their size, so that objects animated on twos or small and fast still touch
themselves.

Reference: Zhang et al., "ByteTrack", ECCV 2022, arXiv:2110.06864 (low scores in a second round);
    Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It
    Easier by Buffering the Matching Space", WACV 2023, arXiv:2211.14317 (grown boxes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.ops.boxes import grow, iou

if TYPE_CHECKING:
    from vidcolor.stages.track import TrackConfig

__all__ = ["Association", "Observation", "Track"]

_FORBIDDEN = 1e6


@dataclass(frozen=True, slots=True)
class Observation:
    """A detection that belongs to a track: frame within the shot, xyxy box, score, label."""

    frame: int
    box: tuple[float, float, float, float]
    score: float
    label: int

    @property
    def area(self) -> float:
        """Square pixels."""
        x0, y0, x1, y1 = self.box
        return max(0.0, x1 - x0) * max(0.0, y1 - y0)


@dataclass(slots=True, eq=False)
class Track:
    """One object through a shot.

    Attributes:
        observations: Kept detections, by frame.
        confirmed: It has scored well enough to be believed.
        votes: Sum of scores of each label.
        belief: Where the box is believed to be at the latest observation.
        velocity: Pixels a frame of the center, exponential mean.
        extent: Sum of the areas of all its boxes, the forgotten ones too.
        forgotten: Early observations were dropped.
        id: Number in the film, given when it is first sent on.
        label: Label that was sent on.
        on_at: Last frame sent on.
        since: Frame at which it appeared for good; None while it is off.
        play: Last box sent on, center form, before padding.
        sides: Last width and height sent on when they are quantized.
    """

    observations: list[Observation]
    confirmed: bool = False
    votes: dict[int, float] = field(default_factory=dict)
    belief: NDArray[np.float64] | None = None
    velocity: NDArray[np.float64] | None = None
    extent: float = 0.0
    forgotten: bool = False
    id: int | None = None
    label: int = 0
    on_at: int = -1
    since: float | None = None
    play: NDArray[np.float64] | None = None
    sides: NDArray[np.float64] | None = None

    @property
    def last(self) -> Observation:
        """The latest observation."""
        return self.observations[-1]

    def voted(self) -> int:
        """Label with the most score; the lower one of equals."""
        return min(self.votes, key=lambda label: (-self.votes[label], label))

    def key(self) -> tuple[object, ...]:
        """What sorts tracks the same way however detections were ordered."""
        first = self.observations[0]
        return (first.frame, first.box, first.score, first.label)

    def predicted(self, frame: int, coast_frames: int) -> NDArray[np.float64]:
        """(4,) box expected at `frame`."""
        box = np.asarray(self.last.box) if self.belief is None else self.belief
        if self.velocity is None:
            return box
        steps = min(frame - self.last.frame, coast_frames)
        return box + np.tile(self.velocity * steps, 2)

    def add(self, seen: Observation, config: TrackConfig) -> None:
        """Take an observation in."""
        box = np.asarray(seen.box)
        if self.observations:
            # a false box taken in passing must not carry the track away
            trust = config.box_memory
            self.belief = (
                trust * self.predicted(seen.frame, config.coast_frames) + (1 - trust) * box
            )
            x0, y0, x1, y1 = self.last.box
            u0, v0, u1, v1 = seen.box
            moved = np.array(((u0 + u1 - x0 - x1) / 2, (v0 + v1 - y0 - y1) / 2))
            step = moved / max(1, seen.frame - self.last.frame)
            memory = config.velocity_memory
            # the second hit sets the velocity whole, or it would start from standstill
            self.velocity = (
                step if self.velocity is None else memory * self.velocity + (1 - memory) * step
            )
        self.observations.append(seen)
        self.votes[seen.label] = self.votes.get(seen.label, 0.0) + seen.score
        self.extent += seen.area
        recent = [one.score for one in self.observations[-3:]]
        if seen.score >= config.birth or (len(recent) == 3 and sum(recent) / 3 > config.birth_mean):
            self.confirmed = True


class Association:
    """Tracks of one shot, fed frame by frame.

    Attributes:
        tracks: All that are not forgotten yet.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._given: dict[int, Track] = {}
        self.tracks: list[Track] = []

    def obey(self, frame: int, seen: Sequence[Observation], ids: Sequence[int]) -> None:
        """Detections whose identity a person gave."""
        for one, number in zip(seen, ids, strict=True):
            track = self._given.get(number)
            if track is None:
                track = self._given[number] = Track([], id=number)
                self.tracks.append(track)
            track.add(one, self._config)
            track.confirmed = True

    def step(self, frame: int, seen: Sequence[Observation]) -> None:
        """Match the detections of a frame with the tracks, begin new ones."""
        config = self._config
        seen = self._without_duplicates(seen)
        sure, unsure = [], []
        for track in self.tracks:
            unseen = frame - track.last.frame
            if track.confirmed and unseen <= config.lost_frames:
                sure.append(track)
            elif not track.confirmed and unseen <= config.fill_frames:
                unsure.append(track)
        high = [one for one in seen if one.score >= config.high]
        low = [one for one in seen if one.score < config.high]
        sure, high = self._match(frame, sure, high, config.grow_first, config.gate)
        sure, low = self._match(frame, sure, low, config.grow_first, config.gate_low)
        _, high = self._match(frame, sure, high, config.grow_last, config.gate)
        # what may be a false alarm must not take a known object's box
        unsure, high = self._match(frame, unsure, high, config.grow_first, config.gate)
        _, low = self._match(frame, unsure, low, config.grow_first, config.gate_low)
        for one in high + low:
            if one.score >= config.start:
                track = Track([])
                track.add(one, config)
                self.tracks.append(track)

    def forget(self, before: int) -> None:
        """Drop what was seen before a frame, and tracks that ended there; bounds memory."""
        kept = []
        for track in self.tracks:
            if track.last.frame < before:
                continue
            if track.observations[0].frame < before:
                track.observations = [one for one in track.observations if one.frame >= before]
                track.forgotten = True
            kept.append(track)
        self.tracks = kept
        self._given = {number: track for number, track in self._given.items() if track in kept}

    def _without_duplicates(self, seen: Sequence[Observation]) -> list[Observation]:
        """Best first, without boxes that nearly cover a better one (whatever their class)."""
        ordered = sorted(seen, key=lambda one: (-one.score, one.box, one.label))
        if len(ordered) < 2:
            return ordered
        boxes = torch.tensor([one.box for one in ordered], dtype=torch.float64)
        overlap = iou(boxes, boxes).numpy()
        kept: list[int] = []
        for i in range(len(ordered)):
            if not any(overlap[i, j] > self._config.duplicate for j in kept):
                kept.append(i)
        return [ordered[i] for i in kept]

    def _match(
        self,
        frame: int,
        tracks: list[Track],
        seen: list[Observation],
        ratio: float,
        gate: float,
    ) -> tuple[list[Track], list[Observation]]:
        """Give detections to tracks; returns what is left of both."""
        if not tracks or not seen:
            return tracks, seen
        coast = self._config.coast_frames
        expected = torch.from_numpy(np.stack([one.predicted(frame, coast) for one in tracks]))
        boxes = torch.tensor([one.box for one in seen], dtype=torch.float64)
        overlap = iou(grow(expected, ratio), grow(boxes, ratio)).numpy()
        labels = np.array([one.label for one in seen])
        same = np.stack([labels == track.voted() for track in tracks])
        gain = overlap + self._config.class_bonus * same
        pairs = _pairs(gain, gain >= gate)
        for i, j in pairs:
            tracks[i].add(seen[j], self._config)
        taken_tracks = {i for i, _ in pairs}
        taken_seen = {j for _, j in pairs}
        return (
            [track for i, track in enumerate(tracks) if i not in taken_tracks],
            [one for j, one in enumerate(seen) if j not in taken_seen],
        )


def _pairs(gain: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Rows and columns that belong together: as many as can be, of those the most gain.

    Args:
        gain: (R, C) of each pair.
        allowed: (R, C) which pairs can be.
    """
    if (allowed.sum(axis=0) <= 1).all() and (allowed.sum(axis=1) <= 1).all():
        return [(int(i), int(j)) for i, j in np.argwhere(allowed)]  # nobody has a rival
    from scipy.optimize import linear_sum_assignment  # seldom needed, and slow to import

    places = zip(*linear_sum_assignment(np.where(allowed, -gain, _FORBIDDEN)), strict=True)
    return [(int(i), int(j)) for i, j in places if allowed[i, j]]
