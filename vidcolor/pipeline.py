"""The line itself: frames in, colored frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vidcolor.records import Colored, Detected, FrameBatch, Tracked
from vidcolor.stages.base import Colorize, Cut, Detect, Restore, Stabilize, Track

__all__ = ["Pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All stages in order; a stage switched off is a null object.

    Attributes:
        cut: Finds shots and held frames.
        restore: Heals damage.
        detect: Sees objects.
        track: Follows them and steadies their boxes.
        colorize: Predicts color.
        stabilize: Holds it still.
    """

    cut: Cut
    restore: Restore
    detect: Detect
    track: Track
    colorize: Colorize
    stabilize: Stabilize

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Colored]:
        """Color a film, a clip or a still.

        Args:
            frames: Batches of consecutive frames, as a reader yields them.

        Yields:
            All frames in order with their color, in batches that never span a cut.
        """
        colored = map(self.colorize, self.follow(frames))
        return self.stabilize(colored)

    def look(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """The line up to detection."""
        shots = self.cut(frames)
        clean = map(self.restore, shots)
        return self.detect(clean)

    def follow(self, frames: Iterable[FrameBatch]) -> Iterator[Tracked]:
        """The line up to tracking: what `vidcolor detect` writes."""
        return self.track(self.look(frames))
