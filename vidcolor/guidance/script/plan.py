"""The first color script of a film: its shots, seen while they pass, and its tracks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcolor.guidance.script.entries import (
    VERSION,
    ColorScript,
    ShotEntry,
    SourceEntry,
    Table,
    fingerprint,
    timecode,
)
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.records import FrameBatch, VideoInfo

__all__ = ["ShotLog", "first_script"]


class ShotLog:
    """Writes down the shots of a film while they pass.

    Memory: a few numbers a shot. Lookahead: none.
    """

    def __init__(self) -> None:
        self._bounds: array[int] = array("q")  # start, end, pts, end_pts of every shot
        self._info: VideoInfo | None = None

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """The same batches, whose shots are known."""
        last = None
        for batch in frames:
            self._info = batch.info
            end, end_pts = batch.index + len(batch) - 1, batch.pts[-1]
            if batch.shot != last:
                self._bounds.extend((batch.index, end, batch.pts[0], end_pts))
            else:
                self._bounds[-3], self._bounds[-1] = end, end_pts
            last = batch.shot
            yield batch

    @property
    def info(self) -> VideoInfo:
        """What all frames share."""
        if self._info is None:
            raise RuntimeError("no frame has passed")
        return self._info

    def shots(self) -> tuple[ShotEntry, ...]:
        """All shots so far."""
        tick = self.info.time_base
        rows = zip(*(self._bounds[i::4] for i in range(4)), strict=True)
        return tuple(
            ShotEntry(
                number=number,
                start=start,
                end=end,
                pts=pts,
                end_pts=end_pts,
                time=timecode((pts - self._bounds[2]) * tick),
                end_time=timecode((end_pts - self._bounds[2]) * tick),
            )
            for number, (start, end, pts, end_pts) in enumerate(rows)
        )

    def source(self, film: Path) -> SourceEntry:
        """The film that has passed.

        Args:
            film: Its file.
        """
        info = self.info
        length = 1 / info.rate if info.rate > 0 else Fraction(0)
        ticks = self._bounds[-1] - self._bounds[2]
        return SourceEntry(
            name=film.name,
            frames=self._bounds[-3] + 1,
            duration=timecode(ticks * info.time_base + length),
            time_base=str(info.time_base),
            fingerprint=fingerprint(film),
        )


def first_script(
    film: Path, log: ShotLog, tracks: tuple[TrackEntry, ...], settings: Mapping[str, Any]
) -> ColorScript:
    """A script that says nothing yet.

    Args:
        film: The file of the film.
        log: Its shots, after all of it has passed.
        tracks: What was found in it.
        settings: Keys of the config that are not as usual.
    """
    return ColorScript(
        version=VERSION,
        source=log.source(film),
        settings=Table(settings),
        shots=log.shots(),
        tracks=tracks,
    )
