"""The line itself: frames in, colored frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

from vidcolor.io.prefetch import prefetch
from vidcolor.ops.threads import one_opencv_thread
from vidcolor.records import Colored, FrameBatch, Tracked
from vidcolor.stages.base import (
    Colorize,
    Cut,
    Detect,
    Lay,
    Remember,
    Restore,
    SeeWhole,
    Stabilize,
    Track,
)
from vidcolor.stages.restore import NoRestore

__all__ = ["Pipeline"]

_AHEAD = 1  # batches that wait between two threads: frames are large


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All stages in order; a stage switched off is a null object.

    Attributes:
        cut: Finds shots and held frames.
        restore: Heals damage.
        detect: Sees objects.
        track: Follows them and steadies their boxes.
        see_whole: Says what a shot is as a whole, for networks that ask.
        colorize: Predicts color.
        refer: Lays color that references know over it.
        anchor: Keeps the color of a place from drifting through a shot.
        remember: Keeps the color of an object.
        stabilize: Holds color still.
        tone: Gives shots the palette of a picture.
        obey: Lays the colors that a person gave over it.
        grade: Changes color as a whole, after taste.
    """

    cut: Cut
    restore: Restore
    detect: Detect
    track: Track
    see_whole: SeeWhole
    colorize: Colorize
    refer: Lay
    anchor: Remember
    remember: Remember
    stabilize: Stabilize
    tone: Remember
    obey: Lay
    grade: Lay

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Colored]:
        """Color a film, a clip or a still.

        Three threads share the work: up to tracks, the network, and what comes after it.

        Args:
            frames: Batches of consecutive frames, as a reader yields them. Where one may be waited
                for without end, their method `cancel` must end that.

        Yields:
            All frames in order with their color, in batches that never span a cut.
        """
        cancel = getattr(frames, "cancel", None)
        with (
            self._cores(),
            closing(prefetch(self.follow(self.shots(frames)), _AHEAD, cancel)) as tracked,
            closing(prefetch(self.predict(tracked), _AHEAD, cancel)) as predicted,
        ):
            yield from self.finish(predicted)

    def _cores(self) -> AbstractContextManager[None]:
        """Restoration works on whole pictures, for which OpenCV's own threads are worth it."""
        return one_opencv_thread() if isinstance(self.restore, NoRestore) else nullcontext()

    def shots(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """The line up to restoration: shots are known."""
        shots = self.cut(frames)
        return self.restore(shots)

    def follow(self, shots: Iterable[FrameBatch]) -> Iterator[Tracked]:
        """From frames whose shots are known to tracks: what `vidcolor detect` writes."""
        seen = self.detect(shots)
        return self.track(seen)

    def color(self, tracked: Iterable[Tracked]) -> Iterator[Colored]:
        """From tracks to the end of the line."""
        return self.finish(self.predict(tracked))

    def predict(self, tracked: Iterable[Tracked]) -> Iterator[Colored]:
        """From tracks to the color that the network gives."""
        known = self.see_whole(tracked)
        return self.colorize(known)

    def finish(self, predicted: Iterable[Colored]) -> Iterator[Colored]:
        """From the network's color to the end of the line."""
        referred = map(self.refer, predicted)
        anchored = self.anchor(referred)
        remembered = self.remember(anchored)
        steady = self.stabilize(remembered)
        toned = self.tone(steady)
        obedient = map(self.obey, toned)
        return map(self.grade, obedient)
