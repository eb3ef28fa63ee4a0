"""Changes of the objects of a color script: which tracks are one, their names, colors, grades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import GuidanceError
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.script.entries import ColorScript, TrackGrade
from vidcolor.guidance.script.text import to_data
from vidcolor.guidance.script.words import as_guidance, check_line, check_words, graded, shown
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.schema import load

__all__ = [
    "forget_tracks",
    "grade_track",
    "know_tracks",
    "merge_tracks",
    "name_track",
    "part_track",
    "pin_track",
]


def know_tracks(script: ColorScript, entries: Sequence[TrackEntry]) -> ColorScript:
    """A script with the tracks that were found in some shots.

    What the script says of tracks that it knows stays. New ones that were found to be one object
    with a known one join its identity; else their identity gets a name that no other has.

    Args:
        script: The script.
        entries: Tracks as `tracks.survey.to_file` gives them.

    Raises:
        GuidanceError: If one is in a shot that is not there.
    """
    known = {entry.id: entry.identity for entry in script.tracks}
    names = {entry.identity: known[entry.id] for entry in reversed(entries) if entry.id in known}
    taken = set(known.values())
    fresh: list[TrackEntry] = []
    for entry in entries:
        if entry.id in known:
            continue
        if not 0 <= entry.shot < max(len(script.shots), 1):
            raise GuidanceError(
                f"there is no shot {entry.shot} for object {entry.id}; the shots of the film have "
                "changed, look for its objects again"
            )
        if entry.identity not in names:
            names[entry.identity] = _free_name(entry.identity, taken)
            taken.add(names[entry.identity])
        words = to_data(replace(entry, identity=names[entry.identity]))
        check_words("the object", words)
        with as_guidance("the object"):
            fresh.append(load(TrackEntry, words, "the object"))
    if not fresh:
        return script
    lines = sorted((*script.tracks, *fresh), key=lambda entry: (entry.shot, entry.first, entry.id))
    return _checked(replace(script, tracks=tuple(lines)))


def forget_tracks(script: ColorScript, shot: int | None) -> ColorScript:
    """A script without the tracks of which a person has said nothing.

    They belong to a detector: with another one they would not be found where the script says.

    Args:
        script: The script.
        shot: Only those of this shot; None: of all.
    """
    spoken = {grade.track for grade in script.track_grades}
    spoken |= {hint.track for hint in script.hints if isinstance(hint.track, int)}
    names = {grade.identity for grade in script.track_grades}
    kept = tuple(
        entry
        for entry in script.tracks
        if shot not in (None, entry.shot)
        or entry.id in spoken
        or entry.identity in names
        or any((entry.name, entry.color, entry.since != "", entry.until != ""))
    )
    return script if len(kept) == len(script.tracks) else replace(script, tracks=kept)


def merge_tracks(script: ColorScript, ids: Sequence[int]) -> ColorScript:
    """Say that tracks are one object; whatever was one with any of them comes along.

    The identity, and the grade where both have one, are those of the first; so is the name, if it
    has one.

    Args:
        script: The script.
        ids: Of the tracks.

    Raises:
        GuidanceError: If there are fewer than two, one is not known, or their pinned colors
            differ.
    """
    if not isinstance(ids, Sequence) or isinstance(ids, str) or len(ids) < 2:
        raise GuidanceError("choose two objects or more that are to be one")
    families = list(dict.fromkeys(name for track in ids for name in _names(script, track)))
    members = [entry for name in families for entry in script.tracks if entry.identity == name]
    colors = list(dict.fromkeys(entry.color for entry in members if entry.color))
    if len({parse_color(color).ab for color in colors}) > 1:
        raise GuidanceError(
            f"these objects are pinned to different colors ({' and '.join(colors)}); unpin all "
            "but one of them, then merge them"
        )
    if len(families) == 1:
        return script
    first = families[0]
    called = next((entry.name for entry in members if entry.name), "")
    color = next(iter(colors), "")
    lines = tuple(
        replace(entry, identity=first, name=called, color=color)
        if entry.identity in families
        else entry
        for entry in script.tracks
    )
    merged = replace(script, tracks=lines, track_grades=_one_grade(script, families))
    return _checked(merged)


def _one_grade(script: ColorScript, families: Sequence[str]) -> tuple[TrackGrade, ...]:
    """Grades after a merge: of several identities' the first one's, under its name."""
    own = [grade for grade in script.track_grades if grade.identity in families]
    own.sort(key=lambda grade: families.index(grade.identity or ""))
    kept = []
    for grade in script.track_grades:
        if grade.identity not in families:
            kept.append(grade)
        elif grade == own[0]:
            kept.append(replace(grade, identity=families[0]))
    return tuple(kept)


def part_track(script: ColorScript, track: int) -> ColorScript:
    """Say that a track is an object of its own, of which nothing is said yet.

    Name, color and grade stay with those that it was one with.

    Raises:
        GuidanceError: If it is not known, or split in the script.
    """
    name = _name(script, track)
    others = [e for e in script.tracks if e.identity == name and e.id != track]
    if not others:
        return script
    mine = next(entry for entry in script.tracks if entry.id == track)
    taken = {entry.identity for entry in script.tracks}
    own = _free_name(mine.label or "track", taken, always=True)
    family = [entry for entry in script.tracks if entry.identity == name]
    called = next((entry.name for entry in family if entry.name), "")
    color = next((entry.color for entry in family if entry.color), "")
    lines = []
    for entry in script.tracks:
        if entry.id == track:
            entry = replace(entry, identity=own, name="", color="")
        elif entry.identity == name:
            entry = replace(entry, name=called, color=color)
        lines.append(entry)
    return _checked(replace(script, tracks=tuple(lines)))


def pin_track(script: ColorScript, track: int, color: str | None) -> ColorScript:
    """Give an object a color, in all its tracks.

    Args:
        script: The script.
        track: One of its tracks.
        color: As a person writes it, like "#a03020"; None: what it has by itself.

    Raises:
        GuidanceError: If the track is not known, or split in the script, or it is no color.
    """
    name = _name(script, track)
    if color is not None:
        check_line("the color", color)
        with as_guidance("the color"):
            parse_color(color)
    return _with_lines(script, name, color=color or "")


def name_track(script: ColorScript, track: int, text: str) -> ColorScript:
    """Call an object something; an empty text takes the name away.

    Raises:
        GuidanceError: If the track is not known, or split in the script, or the text is no name.
    """
    name = _name(script, track)
    check_line("the name", text)
    return _with_lines(script, name, name=text.strip())


def grade_track(script: ColorScript, track: int, field: str, value: Any) -> ColorScript:
    """Change a part of the grade of an object, in all its tracks.

    Where the script grades the track itself, which counts more, that is what changes.

    Args:
        script: The script.
        track: One of its tracks.
        field: Of `GradeConfig`.
        value: None is neutral.

    Raises:
        GuidanceError: If the track is not known, or split in the script, or the value is out of
            range.
    """
    name = _name(script, track)
    meant = [grade for grade in script.track_grades if grade.track == track]
    meant = meant or [grade for grade in script.track_grades if grade.identity == name]
    old = meant[-1] if meant else TrackGrade(identity=name)  # of several the last one counts
    new = replace(old, grade=graded(old.grade, field, value))
    kept = [grade for grade in script.track_grades if grade not in meant]
    if new.grade != GradeConfig() or new.note:
        kept.append(new)
    return replace(script, track_grades=tuple(kept))


# --- families -----------------------------------------------------------------------------------


def _names(script: ColorScript, track: Any) -> list[str]:
    """Identities of a track; several where it is split."""
    whole = isinstance(track, int) and not isinstance(track, bool)
    names = [entry.identity for entry in script.tracks if whole and entry.id == track]
    if not names:
        raise GuidanceError(
            f"there is no object {shown(track)}; color the shot once so that its objects are "
            "found, and choose one of them"
        )
    return list(dict.fromkeys(names))


def _name(script: ColorScript, track: Any) -> str:
    names = _names(script, track)
    if len(names) > 1:
        raise GuidanceError(
            f"object {track} is split in the script: at first it is {names[0]}, later {names[1]}; "
            "change its lines in the file"
        )
    return names[0]


def _free_name(name: str, taken: Iterable[str], always: bool = False) -> str:
    """A name that no identity has: this one or, `always`, with a number."""
    names, number = set(taken), 1
    free = f"{name}-1" if always else name
    while free in names:
        number += 1
        free = f"{name}-{number}"
    return free


def _with_lines(script: ColorScript, identity: str, **words: str) -> ColorScript:
    lines = tuple(
        replace(entry, **words) if entry.identity == identity else entry  # type: ignore[arg-type]  # texts
        for entry in script.tracks
    )
    return _checked(replace(script, tracks=lines))


def _checked(script: ColorScript) -> ColorScript:
    """A script whose tracks do not contradict each other."""
    with as_guidance("objects"):
        script.tracks_file()
    return script
