"""What a person said in an old script, taken over into one with other shots."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, TrackGrade
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.records import TRACKS_OF_A_SHOT

__all__ = ["carry_over"]

_log = logging.getLogger(__name__)


def carry_over(old: ColorScript, new: ColorScript) -> ColorScript:
    """The shots of one script with what another one says.

    A shot takes over what is said of the old one that it shares most frames with. Tracks of shots
    that are as they were stay as they were, with the numbers that go with the new number of their
    shot; in other shots those of `new` count, and know the old identities again where the new
    grouping joins them with a track that stayed.

    Args:
        old: Says something.
        new: Of the same film, fresh from `first_script`.
    """
    return _Carry(old, new).script()


class _Carry:
    def __init__(self, old: ColorScript, new: ColorScript) -> None:
        self.old, self.new = old, new
        places = {(shot.start, shot.end): shot.number for shot in new.shots}
        self.same = {
            shot.number: places[shot.start, shot.end]
            for shot in old.shots
            if (shot.start, shot.end) in places
        }
        self.homes = {shot.number: self._home(shot) for shot in new.shots}

    def script(self) -> ColorScript:
        return replace(
            self.new,
            settings=self.old.settings,
            grade=self.old.grade,
            shots=tuple(map(self._shot, self.new.shots)),
            tracks=self._tracks(),
            track_grades=tuple(map(self._grade, self.old.track_grades)),
            hints=tuple(self._hint(i, hint) for i, hint in enumerate(self.old.hints)),
            references=tuple(
                replace(entry, shots=self._shots(entry.shots)) for entry in self.old.references
            ),
        )

    def _home(self, shot: ShotEntry) -> int | None:
        """The old shot with the most frames of a new one."""
        common = {
            other.number: min(shot.end, other.end) - max(shot.start, other.start) + 1
            for other in self.old.shots
        }
        best = max(common, key=lambda number: common[number], default=None)
        return best if best is not None and common[best] > 0 else None

    def _shots(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """New numbers of old shots; where one was swallowed, that of what swallowed it."""
        found = {number for number, home in self.homes.items() if home in numbers}
        for number in numbers:
            if number not in self.homes.values() and number < len(self.old.shots):
                start = self.old.shots[number].start
                found |= {s.number for s in self.new.shots if s.start <= start <= s.end}
        return tuple(sorted(found))

    def _shot(self, shot: ShotEntry) -> ShotEntry:
        home = self.homes[shot.number]
        if home is None:
            return shot
        told = self.old.shots[home]
        return replace(
            told,
            number=shot.number,
            start=shot.start,
            end=shot.end,
            pts=shot.pts,
            end_pts=shot.end_pts,
            time=shot.time,
            end_time=shot.end_time,
        )

    def _number(self, track: int, shot: int) -> int | None:
        """The new number of an old track, if its shot is as it was."""
        if shot not in self.same:
            return None
        return track + (self.same[shot] - shot) * TRACKS_OF_A_SHOT

    def _shot_of(self, track: int) -> int:
        found = (entry.shot for entry in self.old.tracks if entry.id == track)
        return next(found, track // TRACKS_OF_A_SHOT)

    def _tracks(self) -> tuple[TrackEntry, ...]:
        stayed = [
            replace(entry, id=number, shot=self.same[entry.shot])
            for entry in self.old.tracks
            if (number := self._number(entry.id, entry.shot)) is not None
        ]
        kept = {entry.id: entry.identity for entry in stayed}
        votes: dict[str, Counter[str]] = {}
        for entry in self.new.tracks:
            if entry.id in kept:
                votes.setdefault(entry.identity, Counter())[kept[entry.id]] += 1
        taken = set(kept.values())
        fresh = []
        for entry in self.new.tracks:
            if entry.shot in self.same.values():
                continue
            if entry.identity in votes:
                name = votes[entry.identity].most_common(1)[0][0]
            else:
                name = entry.identity
                while name in taken:
                    name += "-new"
            fresh.append(replace(entry, identity=name))
        return tuple(sorted((*stayed, *fresh), key=lambda entry: (entry.shot, entry.first)))

    def _grade(self, grade: TrackGrade) -> TrackGrade:
        if grade.track is None:
            return grade
        number = self._number(grade.track, self._shot_of(grade.track))
        if number is None:
            _log.warning("a grade is for track %d, whose shot was cut anew: check it", grade.track)
            return grade
        return replace(grade, track=number)

    def _hint(self, i: int, hint: HintEntry) -> HintEntry:
        if not isinstance(hint.track, int):
            return hint
        number = self._number(hint.track, self._shot_of(hint.track))
        if number is not None:
            return replace(hint, track=number)
        if hint.moment is not None:
            return replace(hint, track="auto")
        _log.warning("hints[%d] is for track %d, whose shot was cut anew: check it", i, hint.track)
        return hint
