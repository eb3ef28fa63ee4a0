"""Objects followed through a shot, their boxes steadied.

A color that an instance network gives to a crop changes with the crop, so a box that jitters
is color that jitters, and an instance that comes and goes is a patch that blinks. Detections
are therefore kept from low scores on, and tracks decide: they are born on good scores, live on
poor ones, have their gaps filled and their boxes smoothed with the future known, and fade in
and out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from vidcolor.errors import ConfigError
from vidcolor.records import TRACKS_OF_A_SHOT, Detected, Tracked, Tracks
from vidcolor.stages.track_shot import ShotTracks

__all__ = ["NoTracker", "TrackConfig", "Tracker"]


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """How objects are followed and their boxes steadied.

    Attributes:
        enabled: Follow objects; off: every detection stands alone.
        high: Score from which a detection is matched in the first round.
        start: Score from which a detection may begin a track.
        birth: Score at which a track is believed at once.
        birth_mean: Mean score of three detections in a row at which a track is believed.
        keep: A track ends with its last detection of at least this score.
        grow_first: Part of its size by which a box grows on each side before overlap is taken.
        grow_last: The same in the last round.
        gate: Least overlap of grown boxes, bonus added, for a match of a high score.
        gate_low: The same for a low score.
        class_bonus: Added to the overlap when the class is the same.
        box_memory: Part of the expected box kept at each detection, 0 to 1.
        velocity_memory: Part of the old velocity kept at each detection, 0 to 1.
        lost_frames: A track unseen for longer is not taken up again.
        coast_frames: A lost box moves on with its velocity for so long.
        duplicate: Detections overlapping a better one by more are dropped.
        fill_frames: Longest gap between two detections that is filled.
        hold_frames: A track lasts so long before its first and after its last detection.
        min_frames: Tracks seen for a shorter time are dropped, unless they fill the shot.
        ramp_frames: Length of the fade at birth and death, none at the shot's own borders.
        smooth_frames: Motion of boxes with this period is halved, faster is jitter; 0 is off.
        outlier: Part of its size from which a box that leaps counts less.
        still: Part of its size by which a box may drift before it is moved.
        padding: Part of its size by which a box is made larger.
        quantum_px: Sides are rounded up to multiples of this, with hysteresis; 0 is off.
        max_instances: Most tracks at one time; the largest and longest are chosen.
        window_frames: Longest part of a shot settled at once.
        lookahead_frames: Frames known beyond that part.
    """

    enabled: bool = True
    high: float = 0.5
    start: float = 0.3
    birth: float = 0.7
    birth_mean: float = 0.5
    keep: float = 0.3
    grow_first: float = 0.3
    grow_last: float = 0.6
    gate: float = 0.4
    gate_low: float = 0.5
    class_bonus: float = 0.1
    velocity_memory: float = 0.7
    box_memory: float = 0.4
    lost_frames: int = 30
    coast_frames: int = 4
    duplicate: float = 0.8
    fill_frames: int = 12
    hold_frames: int = 3
    min_frames: int = 5
    ramp_frames: int = 5
    smooth_frames: float = 12.0
    outlier: float = 0.1
    still: float = 0.01
    padding: float = 0.0
    quantum_px: int = 0
    max_instances: int = 8
    window_frames: int = 120
    lookahead_frames: int = 24

    def __post_init__(self) -> None:
        for name in ("high", "start", "birth", "birth_mean", "keep", "gate", "gate_low"):
            _in_range(name, getattr(self, name), 0, 1)
        for name in ("duplicate", "velocity_memory", "box_memory", "class_bonus"):
            _in_range(name, getattr(self, name), 0, 1)
        for name in ("grow_first", "grow_last", "padding"):
            _in_range(name, getattr(self, name), 0, 2)
        _in_range("outlier", self.outlier, 1e-3, 10)
        _in_range("still", self.still, 0, 0.5)
        _in_range("smooth_frames", self.smooth_frames, 0, 250)
        for name in ("lost_frames", "coast_frames", "fill_frames", "hold_frames", "ramp_frames"):
            _in_range(name, getattr(self, name), 0, 1000)
        _in_range("quantum_px", self.quantum_px, 0, 256)
        for name in ("min_frames", "max_instances", "window_frames"):
            _in_range(name, getattr(self, name), 1, 100_000)
        least = self.fill_frames + self.hold_frames + self.ramp_frames
        if self.lookahead_frames < least:
            raise ConfigError(
                f"track.lookahead_frames is {self.lookahead_frames}, expected at least "
                f"fill_frames + hold_frames + ramp_frames = {least}"
            )


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"track.{name} is {value}, expected {low} to {high}")


class NoTracker:
    """Every detection stands alone, with an identity of its own and full weight.

    Memory, lookahead: none. Detections below `birth` are left out, and beyond `max_instances`
    a frame the smaller ones.

    Args:
        config: Only `birth` and `max_instances` are used.
    """

    def __init__(self, config: TrackConfig | None = None) -> None:
        self._config = config or TrackConfig()

    def __call__(self, seen: Iterable[Detected]) -> Iterator[Tracked]:
        """Number the detections."""
        shot, count = -1, 0
        for item in seen:
            if item.frames.shot != shot:
                shot, count = item.frames.shot, 0
            kept = self._chosen(item)
            numbers = torch.arange(1, len(kept) + 1) + count
            count += len(kept)
            ids = shot * TRACKS_OF_A_SHOT + numbers
            if item.ids is not None:
                ids = item.ids[kept]
            yield Tracked(item.frames, Tracks(item.detections[kept], ids, torch.ones(len(kept))))

    def _chosen(self, item: Detected) -> torch.Tensor:
        found = item.detections
        order = [
            (int(frame), -float(size), i)
            for i, (frame, size, score) in enumerate(
                zip(
                    found.frame,
                    (found.boxes[:, 2:] - found.boxes[:, :2]).prod(dim=1),
                    found.scores,
                    strict=True,
                )
            )
            if item.ids is not None or score >= self._config.birth
        ]
        kept: list[int] = []
        taken: dict[int, int] = {}
        for frame, _, i in sorted(order):
            taken[frame] = taken.get(frame, 0) + 1
            if item.ids is not None or taken[frame] <= self._config.max_instances:
                kept.append(i)
        return torch.tensor(kept, dtype=torch.int64)


class Tracker:
    """Follows objects through a shot and sends their steadied boxes on.

    Memory: the luma of `window_frames + lookahead_frames` frames of the running shot; none
        where the detector does not look. Lookahead: shots up to that length are settled whole;
        of longer ones the first `window_frames` are settled each time that many frames beyond
        are known, and tracks go on with their identity. Windows are counted from the start of
        the shot, batches come out as they came in. At a cut everything ends.

    A frame at which the detector did not look is no miss. A held frame has the tracks of the
    one before it. Boxes with given identities are obeyed: neither smoothed, filled, held on nor
    dropped; they only fade in and out.

    Args:
        config: Numbers.
    """

    def __init__(self, config: TrackConfig | None = None) -> None:
        self._config = config or TrackConfig()

    def __call__(self, seen: Iterable[Detected]) -> Iterator[Tracked]:
        """Follow objects."""
        shot: ShotTracks | None = None
        for item in seen:
            if shot is None or shot.number != item.frames.shot:
                if shot is not None:
                    yield from shot.finish()
                shot = ShotTracks(self._config, item.frames)
            yield from shot.add(item)
        if shot is not None:
            yield from shot.finish()
