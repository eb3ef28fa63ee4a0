"""What the page asks for, as changes of a color script: read strictly, one word after the other.

Shots and frames are numbered from 0 as in scripts; sentences count from 1, as the page does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.script import edits
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.words import shown
from vidcolor.preview.web.desk.controls import check_network, fit
from vidcolor.preview.web.desk.edit_words import Words, is_whole, listed
from vidcolor.preview.web.desk.geometry import radius_to_coded, to_coded
from vidcolor.records import TRACKS_OF_A_SHOT, VideoInfo

__all__ = ["KINDS", "Edit", "check_meaning", "read_edit"]

_BEYOND = 0.1  # of the picture that a stroke may run over its edge; it is cut off there
_DIGITS = 6  # of a fraction
_MOST_POINTS = 5000
_MOST_RADIUS = 1.0
_COLORIZE = ("colorize.colorizer", "colorize.weights")

Info = Callable[[], VideoInfo]
Apply = Callable[[Words, ColorScript, Info], ColorScript]


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that the page asks for.

    Attributes:
        kind: What is to be done.
        words: The rest of what it says.
    """

    kind: str
    words: Mapping[str, Any]

    @property
    def tracks(self) -> tuple[int, ...]:
        """Ids of the objects that it names."""
        named = [self.words.get("track"), *listed(self.words.get("tracks"))]
        return tuple(track for track in named if is_whole(track))

    @property
    def looks_anew(self) -> bool:
        """Whether other objects may be found after it."""
        return self.kind == "setting" and str(self.words.get("key")).startswith("detect.")

    def meaning(self, script: ColorScript) -> dict[str, Any]:
        """What the numbers in it stand for: frames of shots, and objects with all their tracks.

        An edit that means something else in another script would hit what nobody pointed at.
        Objects that the script does not know are left out.

        Args:
            script: In which its numbers are looked up.
        """
        meant: dict[str, Any] = {}
        shots = [track // TRACKS_OF_A_SHOT for track in self.tracks]
        shots += [shot for shot in (self.words.get("shot"),) if is_whole(shot)]
        for shot in shots:
            meant[f"shot {shot + 1}"] = _frames(script, shot)
        if "frame" in self.words and "id" in self.words:
            home = _shot_of(script, _hint(script, self.words["id"]))
            if home is not None:
                meant["the shot of the hint"] = _frames(script, home)
        for track in self.tracks:
            names = {entry.identity for entry in script.tracks if entry.id == track}
            if names and "hint" not in self.kind:
                family = {entry.id for entry in script.tracks if entry.identity in names}
                meant[f"object {track}"] = family
        return meant

    def apply(self, script: ColorScript, info: Info) -> ColorScript:
        """The script with the change.

        Args:
            script: As it is.
            info: Says what the frames of the film share; only asked where there are places.

        Raises:
            GuidanceError: If it cannot be done.
        """
        words = Words(self.kind, self.words)
        changed = KINDS[self.kind](words, script, info)
        words.done()
        return changed


def read_edit(data: Any) -> Edit:
    """An edit of JSON.

    Raises:
        GuidanceError: If it is none.
    """
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise GuidanceError('an edit is an object like {"do": "note", ...}; reload the page')
    kind = data.get("do")
    if not isinstance(kind, str) or kind not in KINDS:
        raise GuidanceError(f"{shown(kind)} is nothing that can be done here; reload the page")
    return Edit(kind, {key: value for key, value in data.items() if key != "do"})


def check_meaning(edits: Sequence[Edit], shown: ColorScript | None, now: ColorScript) -> None:
    """See that the numbers in edits mean what they meant on the page that sent them.

    Args:
        edits: The edits.
        shown: The script that the page shows; None: it is not known any more.
        now: The script as it is.

    Raises:
        GuidanceError: If one would hit something else than the person saw.
    """
    for edit in edits:
        means = edit.meaning(now)
        if shown is None and means:
            raise GuidanceError(
                "this page shows an old state of the film; reload it and do that again"
            )
        meant = {} if shown is None else edit.meaning(shown)
        for what in means.keys() & meant.keys():
            if means[what] != meant[what]:
                changed = "the cuts" if "shot" in what else "which objects are one"
                raise GuidanceError(
                    f"{what} is another one by now: somebody changed {changed} meanwhile; look at "
                    "it and do that again"
                )


# --- hints --------------------------------------------------------------------------------------


def _add_hint(words: Words, script: ColorScript, info: Info) -> ColorScript:
    shot = _shot(script, words.need("shot"))
    hint: dict[str, Any] = {"color": words.need("color"), **_place(words, info)}
    frame = words.get("frame")
    whole_object = hint.get("whole") and is_whole(words.get("track"))
    if not whole_object:
        hint["frame"] = _frame(script, shot, 0 if hint.get("whole") and frame is None else frame)
    return edits.add_hint(script, {**hint, **_manner(words, info)})


def _change_hint(words: Words, script: ColorScript, info: Info) -> ColorScript:
    name = words.name()
    old = _hint(script, name)
    new = _place(words, info)
    if "color" in words:
        new["color"] = words.need("color")
    shot = words.get("shot")
    if "frame" in words:
        home = _shot(script, _shot_of(script, old) if shot is None else shot)
        new.update(frame=_frame(script, home, words.get("frame")), time=None, pts=None)
    new.update(_manner(words, info))
    if old is not None and _whole_object(old, new):
        new.update(frame=None, time=None, pts=None)
    return edits.change_hint(script, name, new)


def _remove_hint(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.remove_hint(script, words.name())


def _hint(script: ColorScript, name: Any) -> HintEntry | None:
    return next((hint for hint in script.hints if edits.hint_id(hint) == name), None)


def _whole_object(old: HintEntry, new: Mapping[str, Any]) -> bool:
    whole = new.get("whole", old.whole and not (new.get("points") or new.get("region")))
    return bool(whole) and is_whole(new.get("track", old.track))


def _shot_of(script: ColorScript, hint: HintEntry | None) -> int | None:
    if hint is None:
        return None
    if hint.moment is not None:
        return script.shot_at(hint.moment)
    return None if not isinstance(hint.track, int) else hint.track // TRACKS_OF_A_SHOT


def _frames(script: ColorScript, shot: int) -> tuple[int, int] | None:
    """First and last frame of a shot, if there is one of that number."""
    if not 0 <= shot < len(script.shots):
        return None
    return script.shots[shot].start, script.shots[shot].end


def _shot(script: ColorScript, number: Any) -> int:
    if not script.shots:
        raise GuidanceError("the shots of the film are not known yet; wait until they are found")
    if not is_whole(number) or not 0 <= number < len(script.shots):
        raise GuidanceError(
            f"there is no such shot; the film has {len(script.shots)}, choose one of them"
        )
    return int(number)


def _frame(script: ColorScript, shot: int, number: Any) -> int:
    """Number in the film of a frame of a shot."""
    entry = script.shots[shot]
    if not is_whole(number) or not 0 <= number < len(entry):
        raise GuidanceError(
            f"there is no such frame in shot {shot + 1}; it has {len(entry)}, choose one of them"
        )
    return int(entry.start + number)


def _place(words: Words, info: Info) -> dict[str, Any]:
    """Points, region or whole, as far as they are said."""
    place: dict[str, Any] = {}
    for shape in ("points", "region"):
        numbers = words.get(shape)
        if numbers:
            place[shape] = _fractions(shape, numbers, info())
            place["unit"] = "fractions"
    whole = words.get("whole")
    if whole:
        if whole is not True:
            raise GuidanceError("whole is true or false; reload the page")
        place["whole"] = True
    return place


def _fractions(shape: str, numbers: Any, info: VideoInfo) -> list[float]:
    """Fractions of the coded frame of those of the upright picture."""
    numbers = listed(numbers)
    if not numbers or len(numbers) % 2 or len(numbers) > 2 * _MOST_POINTS:
        raise GuidanceError(
            f"{shape} must be x0, y0, x1, y1, ..., {_MOST_POINTS} places at most; draw it again"
        )
    places = []
    for value in numbers:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not -_BEYOND <= value <= 1 + _BEYOND:
            raise GuidanceError(f"{shape} lie outside the picture; draw inside of it")
        places.append(min(max(float(value), 0.0), 1.0))
    return [round(value, _DIGITS) for value in to_coded(places, info)]


def _manner(words: Words, info: Info) -> dict[str, Any]:
    """How a hint spreads, and to which object it belongs, as far as that is said."""
    manner: dict[str, Any] = {}
    radius = words.number("radius", 0, _MOST_RADIUS)
    if "radius" in words:
        rounded = round(radius_to_coded(radius, info()), 2) if radius else 0.0
        manner["radius_px"] = rounded or None
        if words.get("region") or words.get("whole"):
            manner["radius_px"] = None  # of what was drawn before
    reach = words.number("reach", 0, 100)
    if reach is not None:
        manner["reach"] = reach
    track = words.get("track")
    if track is not None:
        manner["track"] = track
    note = words.get("note")
    if note is not None:
        manner["note"] = note
    return {key: value for key, value in manner.items() if value is not None or key == "radius_px"}


# --- settings -----------------------------------------------------------------------------------


def _setting(words: Words, script: ColorScript, info: Info) -> ColorScript:
    shot, key = words.get("shot"), words.need("key")
    value = fit(key, words.need("value"), shot is not None)
    if key in _COLORIZE:
        return _one_of_network(script, shot, key, value)
    if key.startswith("grade."):
        return edits.set_grade(script, shot, key.removeprefix("grade."), value)
    changed = edits.set_setting(script, shot, key, value)
    if key.startswith("detect."):  # another detector finds other objects
        return edits.forget_tracks(changed, shot)
    return changed


def _one_of_network(script: ColorScript, shot: int | None, key: str, value: Any) -> ColorScript:
    """A colorizer brings its own weights; weights stay with a colorizer that is theirs."""
    if key == "colorize.colorizer":
        return edits.set_network(script, shot, value, None)
    colorizer = _colorizer_of(script, shot)
    try:
        check_network(colorizer, value)
    except GuidanceError:
        colorizer = None
    return edits.set_network(script, shot, colorizer, value)


def _colorizer_of(script: ColorScript, shot: int | None) -> str | None:
    if shot is not None:
        return script.shots[_shot(script, shot)].colorizer
    table = script.settings.get("colorize")
    found = table.get("colorizer") if isinstance(table, Mapping) else None
    return found if isinstance(found, str) else None


def _grade(words: Words, script: ColorScript, info: Info) -> ColorScript:
    shot, field = words.get("shot"), words.need("field")
    value = fit(f"grade.{field}", words.need("value"), shot is not None)
    return edits.set_grade(script, shot, field, value)


def _network(words: Words, script: ColorScript, info: Info) -> ColorScript:
    shot = words.get("shot")
    colorizer = fit("colorize.colorizer", words.need("colorizer"), shot is not None)
    weights = fit("colorize.weights", words.get("weights"), shot is not None)
    assert isinstance(colorizer, str | None), "a choice is a word"
    assert isinstance(weights, str | None), "a choice is a word"
    check_network(colorizer, weights)
    return edits.set_network(script, shot, colorizer, weights)


def _note(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.set_note(script, words.need("shot"), words.need("text"))


# --- references and objects ---------------------------------------------------------------------


def _references(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.use_references(script, words.need("shot"), words.need("use"))


def _remove_reference(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.remove_reference(script, words.name())


def _pin_track(words: Words, script: ColorScript, info: Info) -> ColorScript:
    color = words.need("color")
    return edits.pin_track(script, words.need("track"), None if color == "" else color)


def _name_track(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.name_track(script, words.need("track"), words.need("name"))


def _merge_tracks(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.merge_tracks(script, words.need("tracks"))


def _part_track(words: Words, script: ColorScript, info: Info) -> ColorScript:
    return edits.part_track(script, words.need("track"))


def _grade_track(words: Words, script: ColorScript, info: Info) -> ColorScript:
    field = words.need("field")
    value = fit(f"grade.{field}", words.need("value"), False)
    return edits.grade_track(script, words.need("track"), field, value)


KINDS: Mapping[str, Apply] = {
    "add_hint": _add_hint,
    "change_hint": _change_hint,
    "remove_hint": _remove_hint,
    "setting": _setting,
    "grade": _grade,
    "network": _network,
    "references": _references,
    "remove_reference": _remove_reference,
    "pin_track": _pin_track,
    "name_track": _name_track,
    "merge_tracks": _merge_tracks,
    "part_track": _part_track,
    "grade_track": _grade_track,
    "note": _note,
}
"""What the page may ask for."""
