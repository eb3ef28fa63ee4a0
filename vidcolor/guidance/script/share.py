"""What of a color script concerns single shots, for films of very many shots."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.moment import Moment
from vidcolor.guidance.script.entries import ColorScript, TrackGrade
from vidcolor.guidance.script.key import shot_key, shots_of_hint
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.records import TRACKS_OF_A_SHOT

__all__ = ["Shares", "shots_at"]


class Shares:
    """A script, divided by its shots; the whole script is gone through once.

    Args:
        script: The script.
    """

    def __init__(self, script: ColorScript) -> None:
        self._script = script
        self._hints: dict[int, list[HintEntry]] = defaultdict(list)
        for hint in script.hints:
            for shot in shots_of_hint(script, hint):
                self._hints[shot].append(hint)
        self._named: dict[str, list[TrackEntry]] = defaultdict(list)
        self._names: dict[int, dict[str, None]] = defaultdict(dict)
        for track in script.tracks:
            self._named[track.identity].append(track)
            self._names[track.shot][track.identity] = None
        self._graded: dict[int | str, list[tuple[int, TrackGrade]]] = defaultdict(list)
        for number, grade in enumerate(script.track_grades):
            if grade.track is not None:
                self._graded[grade.track // TRACKS_OF_A_SHOT].append((number, grade))
            elif grade.identity is not None:
                self._graded[grade.identity].append((number, grade))

    def of(self, shot: int) -> ColorScript:
        """The script as it is for one shot: the same key, the same color.

        All shots are still in it. Left out are hints that do not reach this one, and tracks that
        are neither in it nor share an identity with one that is, with their grades.

        Args:
            shot: Number of the shot.
        """
        names = self._names.get(shot, {})
        tracks = tuple(track for name in names for track in self._named[name])
        places: set[int | str] = {shot, *names, *(track.id // TRACKS_OF_A_SHOT for track in tracks)}
        grades = [grade for place in places for grade in self._graded.get(place, [])]
        return replace(
            self._script,
            tracks=tracks,
            track_grades=tuple(grade for _, grade in sorted(grades, key=itemgetter(0))),
            hints=tuple(self._hints.get(shot, ())),
        )

    def key(self, shot: int, folder: Path) -> str:
        """As `shot_key` of the whole script."""
        return shot_key(self.of(shot), shot, folder)


def shots_at(script: ColorScript, moment: Moment | None, track: int | None) -> set[int]:
    """Where something lies that was said; empty if the script does not tell.

    Args:
        script: The script.
        moment: When.
        track: The object that it lies on.
    """
    if track is not None:
        return {track // TRACKS_OF_A_SHOT}
    place = None if moment is None else script.shot_at(moment)
    return set() if place is None else {place}
