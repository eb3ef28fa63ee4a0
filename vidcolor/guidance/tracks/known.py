"""What is known of tracks before the line runs: their lines in the file, and what pins mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vidcolor.errors import GuidanceError
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.template import Pin, Template
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile, whole_pin
from vidcolor.ops.boxes import iou
from vidcolor.records import FrameBatch, Tracks

__all__ = ["KnownTracks"]

_FITS = 0.3  # least overlap of a box with that of the file
_OWN, _OTHERS = 40.0, 40.0  # frames that a track's own template stands for, and all others of its
# identity together


class KnownTracks:
    """A person's file and pins, asked by the stage that remembers.

    Args:
        file: The tracks; None: nobody listed them.
        pins: A person's word on single tracks; with a file it goes for all of their identity.
    """

    def __init__(self, file: TracksFile | None = None, pins: Sequence[Pin] = ()) -> None:
        self.file = file
        self._pins = tuple(pins)
        self._lines: dict[int, list[TrackEntry]] = {}
        self._families: dict[str, list[TrackEntry]] = {}
        self._places: dict[int, list[TrackEntry]] = {}
        for entry in file.tracks if file is not None else ():
            self._lines.setdefault(entry.id, []).append(entry)
            self._families.setdefault(entry.identity, []).append(entry)
            if entry.at is not None and entry.box:
                self._places.setdefault(entry.at, []).append(entry)

    def line(self, track: int, pts: int) -> TrackEntry | None:
        """What the file says of a track at a time."""
        if self.file is None:
            return None
        seconds = self.file.seconds(pts)
        return next((one for one in self._lines.get(track, ()) if one.holds(seconds)), None)

    def seeds(self, entry: TrackEntry | None) -> list[tuple[Template, float]]:
        """Templates of a line and of the others of its identity, with the frames they stand for."""
        if entry is None:
            return []
        others = [one.known() for one in self._families[entry.identity] if one is not entry]
        templates = [one for one in others if one is not None]
        seeds = [(one, _OTHERS / len(templates)) for one in templates]
        own = entry.known()
        return seeds if own is None else [(own, _OWN), *seeds]

    def pinned(self, track: int, entry: TrackEntry | None) -> list[Template]:
        """Colors that a person gave a track, later ones over earlier ones."""
        members = {track}
        found = []
        if entry is not None:
            family = self._families[entry.identity]
            members |= {one.id for one in family}
            words = [one.color for one in family if one.color]
            if words:
                found.append(whole_pin(track, parse_color(words[0]).ab).template)
            # of a track that is split, hints are a matter of the line's own part
            members -= {one.id for one in family if len(self._lines[one.id]) > 1} - {track}
        return found + [pin.template for pin in self._pins if pin.track in members]

    def check(self, frames: FrameBatch, tracks: Tracks, number: int) -> None:
        """See that tracks of the film are those of the file.

        Raises:
            GuidanceError: If a track of the file is not where the file says, in this frame.
        """
        for entry in self._places.get(frames.pts[number], ()):
            self._check(entry, tracks, number)

    def _check(self, entry: TrackEntry, tracks: Tracks, number: int) -> None:
        here = tracks.detections.frame == number
        mine = here & (tracks.ids == entry.id)
        what = f"track {entry.id} ({entry.name or entry.identity}) of the tracks file"
        mend = (
            "the film, its shots or the detector are others than when tracks were listed; "
            "list them anew with `vidcolor tracks --update`"
        )
        if not bool(mine.any()):
            known = ", ".join(str(v) for v in tracks.ids[here].tolist()) or "none"
            raise GuidanceError(
                f"{what} is not in the film at pts {entry.at} (there: {known}); {mend}"
            )
        box = torch.tensor([entry.box], dtype=torch.float32)
        if float(iou(tracks.detections.boxes[mine], box).max()) < _FITS:
            place = ", ".join(f"{v:.0f}" for v in tracks.detections.boxes[mine][0].tolist())
            raise GuidanceError(
                f"{what} is somewhere else at pts {entry.at}: its box there is {place}; {mend}"
            )
