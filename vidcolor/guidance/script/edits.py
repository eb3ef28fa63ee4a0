"""Changes of a color script, one for each thing that a person may say; all give a new script.

Whatever cannot be is a `GuidanceError` that says what to do. What comes out can be written and
reads back equal. Whether a setting is known is not asked here: whoever knows all settings checks.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, Table
from vidcolor.guidance.script.file import FILM_TABLES
from vidcolor.guidance.script.text import to_data
from vidcolor.guidance.script.track_edits import (
    forget_tracks,
    grade_track,
    know_tracks,
    merge_tracks,
    name_track,
    part_track,
    pin_track,
)
from vidcolor.guidance.script.words import (
    as_guidance,
    check_line,
    check_text,
    check_words,
    graded,
    shown,
)
from vidcolor.records import TRACKS_OF_A_SHOT
from vidcolor.schema import load

__all__ = [
    "add_hint",
    "add_reference",
    "change_hint",
    "forget_tracks",
    "grade_track",
    "hint_id",
    "know_tracks",
    "merge_tracks",
    "name_track",
    "part_track",
    "pin_track",
    "reference_id",
    "remove_hint",
    "remove_reference",
    "set_grade",
    "set_network",
    "set_note",
    "set_setting",
    "use_references",
]

_ID_DIGITS = 10
_MOST_INTEGER = 2**62
_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,5}")
_SHAPES = ("points", "region", "whole")

Entry = TypeVar("Entry", HintEntry, ReferenceEntry)


def hint_id(entry: HintEntry) -> str:
    """The name of a hint: 10 hexadecimal digits of all that it says."""
    return _content_id(entry)


def reference_id(entry: ReferenceEntry) -> str:
    """The name of a reference: 10 hexadecimal digits of all that it says."""
    return _content_id(entry)


def _content_id(entry: HintEntry | ReferenceEntry) -> str:
    text = json.dumps(to_data(entry), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def add_hint(script: ColorScript, words: Mapping[str, Any]) -> ColorScript:
    """A hint after all others; one that says the very same is moved there.

    Args:
        script: The script.
        words: Keys of a hint, as in the file.

    Raises:
        GuidanceError: If it is no hint, or lies outside the film, or names an object that is not
            there.
    """
    hint = _entry(HintEntry, words, "the hint")
    _check_hint(script, hint)
    others = tuple(other for other in script.hints if other != hint)
    return replace(script, hints=(*others, hint))


def change_hint(script: ColorScript, name: str, words: Mapping[str, Any]) -> ColorScript:
    """A hint that says something else, in its old place among the others.

    Args:
        script: The script.
        name: As `hint_id` gives it.
        words: Keys of a hint that change; None takes a key out. A new shape (`points`, `region`,
            `whole`) takes the place of the old one.

    Raises:
        GuidanceError: As `add_hint`, and if there is no such hint.
    """
    old = _find_hint(script, name)
    data = to_data(old)
    if any(words.get(shape) for shape in _SHAPES):
        data = {key: value for key, value in data.items() if key not in _SHAPES}
        if not words.get("points"):
            data.pop("radius_px", None)
    data = {key: value for key, value in {**data, **words}.items() if value is not None}
    hint = _entry(HintEntry, data, "the hint")
    _check_hint(script, hint)
    changed = [hint if other == old else other for other in script.hints]
    return replace(script, hints=tuple(dict.fromkeys(changed)))


def remove_hint(script: ColorScript, name: str) -> ColorScript:
    """The script without a hint.

    Raises:
        GuidanceError: If there is no such hint.
    """
    old = _find_hint(script, name)
    return replace(script, hints=tuple(other for other in script.hints if other != old))


def add_reference(script: ColorScript, words: Mapping[str, Any]) -> ColorScript:
    """A reference after all others; one that says the very same is moved there.

    Args:
        script: The script.
        words: Keys of a reference, as in the file.

    Raises:
        GuidanceError: If it is no reference, or lies outside the film.
    """
    entry = _entry(ReferenceEntry, words, "the reference")
    for shot in entry.shots:
        _shot(script, shot)
    _check_frame(script, entry.frame)
    others = tuple(other for other in script.references if other != entry)
    return replace(script, references=(*others, entry))


def remove_reference(script: ColorScript, name: str) -> ColorScript:
    """The script without a reference; its picture stays where it is.

    Args:
        script: The script.
        name: As `reference_id` gives it.

    Raises:
        GuidanceError: If there is no such reference.
    """
    kept = tuple(entry for entry in script.references if reference_id(entry) != name)
    if len(kept) == len(script.references):
        raise GuidanceError(
            "this reference is not there any more: it was changed or removed meanwhile; "
            "look at the list as it is now"
        )
    return replace(script, references=kept)


def set_setting(script: ColorScript, shot: int | None, key: str, value: Any) -> ColorScript:
    """A setting of the film, or of one shot.

    Args:
        script: The script.
        shot: Number of the shot; None is the film.
        key: Like "stabilize.tau".
        value: A number, a word, true or false, or a list of these; None takes it out, so that it
            is as usual, or as in the film.

    Raises:
        GuidanceError: If there is no such shot, or the key has no place there.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise GuidanceError(f"{shown(key)} is no setting; a setting is named like stabilize.tau")
    path = tuple(key.split("."))
    if path[0] == "grade":
        raise GuidanceError(f"{key} is a part of the grade, which is no setting; change the grade")
    _check_value(key, value)
    if shot is None:
        return replace(script, settings=_with(script.settings, path, value))
    entry = _shot(script, shot)
    if path[0] in FILM_TABLES:
        raise GuidanceError(f"{key} goes for the whole film; change it there, not in shot {shot}")
    return _with_shot(script, replace(entry, settings=_with(entry.settings, path, value)))


def set_grade(script: ColorScript, shot: int | None, field: str, value: Any) -> ColorScript:
    """A part of the grade of the film, or of one shot.

    Args:
        script: The script.
        shot: Number of the shot; None is the film.
        field: Of `GradeConfig`.
        value: None is neutral.

    Raises:
        GuidanceError: If there is no such shot or field, or the value is out of range.
    """
    if shot is None:
        return replace(script, grade=graded(script.grade, field, value))
    entry = _shot(script, shot)
    return _with_shot(script, replace(entry, grade=graded(entry.grade, field, value)))


def set_network(
    script: ColorScript, shot: int | None, colorizer: str | None, weights: str | None
) -> ColorScript:
    """Which network colors the film, or one shot, with which weights.

    Args:
        script: The script.
        shot: Number of the shot; None is the film.
        colorizer: None is as usual, or as in the film.
        weights: None are those of the colorizer, or as usual, or as in the film.

    Raises:
        GuidanceError: If there is no such shot, or a name is empty.
    """
    for name in (colorizer, weights):
        if name is not None:
            check_line("the name of a network or of weights", name)
            if not name.strip():
                raise GuidanceError("the name of a network or of weights is empty; choose one")
    if shot is None:
        settings = _with(script.settings, ("colorize", "colorizer"), colorizer)
        return replace(script, settings=_with(settings, ("colorize", "weights"), weights))
    entry = _shot(script, shot)
    # settings of a shot lie over its network: what they say of it would hide the choice
    settings = _with(entry.settings, ("colorize", "colorizer"), None)
    settings = _with(settings, ("colorize", "weights"), None)
    return _with_shot(
        script, replace(entry, colorizer=colorizer, weights=weights, settings=settings)
    )


def use_references(script: ColorScript, shot: int, use: bool) -> ColorScript:
    """Whether references have a say in a shot.

    Raises:
        GuidanceError: If there is no such shot.
    """
    if not isinstance(use, bool):
        raise GuidanceError(f"references are used or not: true or false, not {shown(use)}")
    return _with_shot(script, replace(_shot(script, shot), references=use))


def set_note(script: ColorScript, shot: int, text: str) -> ColorScript:
    """A person's note on a shot.

    Raises:
        GuidanceError: If there is no such shot, or the text cannot be written.
    """
    check_text("the note", text)
    return _with_shot(script, replace(_shot(script, shot), note=text))


# --- checks -------------------------------------------------------------------------------------


def _shot(script: ColorScript, number: Any) -> ShotEntry:
    if not script.shots:
        raise GuidanceError("the shots of the film are not known yet; wait until they are found")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not 0 <= number < len(script.shots):
        raise GuidanceError(
            f"there is no shot {shown(number)}; the film has shots 0 to {len(script.shots) - 1}"
        )
    return script.shots[number]


def _with_shot(script: ColorScript, shot: ShotEntry) -> ColorScript:
    shots = (*script.shots[: shot.number], shot, *script.shots[shot.number + 1 :])
    return replace(script, shots=shots)


def _entry(cls: type[Entry], words: Mapping[str, Any], what: str) -> Entry:
    """A record of keys, every value of the type that the file would give it."""
    check_words(what, words)
    with as_guidance(what):
        return load(cls, words, what)


def _find_hint(script: ColorScript, name: str) -> HintEntry:
    for hint in script.hints:
        if hint_id(hint) == name:
            return hint
    raise GuidanceError(
        "this hint is not there any more: it was changed or removed meanwhile; "
        "look at the shot as it is now"
    )


def _check_frame(script: ColorScript, frame: int | None) -> None:
    frames = script.shots[-1].end + 1 if script.shots else None
    if script.source is not None:
        frames = script.source.frames
    if frame is not None and frame >= (_MOST_INTEGER if frames is None else frames):
        raise GuidanceError(
            f"frame {shown(frame)} lies behind the end; the film has frames 0 to "
            f"{(frames or _MOST_INTEGER) - 1}"
        )


def _check_hint(script: ColorScript, hint: HintEntry) -> None:
    """Inside the film, and on an object that can be there."""
    _check_frame(script, hint.frame)
    if not isinstance(hint.track, int) or not script.shots:
        return
    lines = [entry.shot for entry in script.tracks if entry.id == hint.track]
    home = lines[0] if lines else hint.track // TRACKS_OF_A_SHOT
    listed = any(entry.shot == home for entry in script.tracks)
    if home >= len(script.shots) or (listed and not lines):
        raise GuidanceError(
            f"there is no object {shown(hint.track)}; color the shot once so that its objects are "
            "found, and choose one of them"
        )
    here = None if hint.moment is None else script.shot_at(hint.moment)
    if here is not None and here != home:
        raise GuidanceError(
            f"object {hint.track} is in shot {home}, but the hint is in shot {here}; choose an "
            "object of that shot"
        )


def _check_value(key: str, value: Any) -> None:
    if isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, list | tuple) or item is None:
                raise GuidanceError(f"{key}: a list holds numbers or words, not {shown(item)}")
            _check_value(key, item)
    elif isinstance(value, str):
        check_text(key, value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise GuidanceError(f"{key}: {value} is no number; give another one")
    elif isinstance(value, int) and abs(value) > _MOST_INTEGER:
        raise GuidanceError(f"{key}: the number is too large; give a smaller one")
    elif not isinstance(value, bool | int | float | None):
        raise GuidanceError(
            f"{key}: must be a number, a word, true or false, not {type(value).__name__}"
        )


def _with(table: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Table:
    """A table with one value set or, for None, taken out; tables left empty go too."""
    return Table(_laid(table, path, list(value) if isinstance(value, tuple) else value, ""))


def _laid(
    table: Mapping[str, Any], path: tuple[str, ...], value: Any, above: str
) -> dict[str, Any]:
    key, *rest = path
    name, found, result = above + key, table.get(key), dict(table)
    if rest:
        if found is not None and not isinstance(found, Mapping):
            raise GuidanceError(f"{name} is a single value; {'.'.join(path)} is not in it")
        value = _laid(found or {}, tuple(rest), value, f"{name}.") or None
    elif isinstance(found, Mapping):
        raise GuidanceError(f"{name} is a group of settings; name one of them")
    if value is None:
        result.pop(key, None)
    else:
        result[key] = value
    return result
