"""What a color script means for single shots: their settings, and whether they have changed."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import GuidanceError
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.entries import ColorScript, ShotEntry
from vidcolor.guidance.script.text import to_data
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.records import TRACKS_OF_A_SHOT
from vidcolor.schema import merge

__all__ = [
    "content_mark",
    "film_settings",
    "overrides",
    "shot_key",
    "shots_of_hint",
]

_EDITION = 1  # of the key: raised when the same script comes to mean another result
_CHUNK_BYTES = 1 << 20
_OF_TRACKS_FOR_PEOPLE = (
    "name", "time", "seconds", "mean", "note", "at", "box", "first", "last", "label",
)  # fmt: skip


def film_settings(script: ColorScript, folder: Path) -> dict[str, Any]:
    """Keys of the config for the whole film, with its grade.

    Args:
        script: The script.
        folder: Where paths in the script begin: the folder of its file.
    """
    grade = to_data(_placed(script.grade, folder))
    return merge(script.settings, {"grade": grade} if grade else {})


def overrides(script: ColorScript, shot: int, folder: Path) -> dict[str, Any]:
    """Keys of the config for one shot: the film's, and over them its own.

    Args:
        script: The script.
        shot: Number of the shot.
        folder: Where paths in the script begin.
    """
    return merge(film_settings(script, folder), _own_settings(script.shots[shot]))


def _own_settings(shot: ShotEntry) -> dict[str, Any]:
    colorize: dict[str, Any] = {}
    if shot.colorizer is not None:
        colorize = {"colorizer": shot.colorizer, "weights": "auto"}
    if shot.weights is not None:
        colorize["weights"] = shot.weights
    return merge({"colorize": colorize} if colorize else {}, shot.settings)


def _placed(grade: GradeConfig, folder: Path) -> GradeConfig:
    """The same with a look that can be found from anywhere."""
    return grade if grade.lut is None else replace(grade, lut=str(folder / grade.lut))


def shot_key(script: ColorScript, shot: int, folder: Path) -> str:
    """A text that changes when the script makes another result of a shot.

    It covers the shot's frames, its settings and the film's, the grades that reach it, its tracks,
    all tracks that share an identity with one of them, the hints and references that touch it or
    such a track, and the content of files that these name. It does not cover what the script does
    not know: the film, the weights, the program. Notes, names and the number of the shot are left
    out. Where the script does not tell which shot something touches, it counts for all.

    Args:
        script: The script.
        shot: Number of the shot.
        folder: Where paths in the script begin.

    Returns:
        64 hexadecimal digits.

    Raises:
        GuidanceError: If a file that the script names cannot be read.
    """
    entry = script.shots[shot]
    family = _family(script, shot)
    grades = script.grades_of_tracks()
    mine = {track.id for track in script.tracks if track.shot == shot}
    mine |= {track for track in grades if track // TRACKS_OF_A_SHOT == shot}
    content = {
        "edition": _EDITION,
        "frames": (entry.start, entry.end, entry.pts, entry.end_pts),
        "settings": merge(script.settings, _own_settings(entry)),
        "grades": [_grade(script.grade, folder), _grade(entry.grade, folder)],
        "grades of tracks": {
            str(track - shot * TRACKS_OF_A_SHOT): _grade(grade, folder)
            for track, grade in grades.items()
            if track in mine and not grade.neutral
        },
        "tracks": _tracks(family, shot),
        "hints": [
            _without_note(to_data(hint))
            for hint in script.hints
            if shot in shots_of_hint(script, hint)
        ],
        "references": [
            _reference(reference, folder)
            for reference in script.references
            if entry.references and reference.counts_in(shot)
        ],
    }
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _family(script: ColorScript, shot: int) -> list[TrackEntry]:
    """Tracks of a shot, and all that share an identity with one of them."""
    names = {track.identity for track in script.tracks if track.shot == shot}
    return [track for track in script.tracks if track.identity in names]


def _tracks(family: Iterable[TrackEntry], shot: int) -> list[Any]:
    """What identities make of their tracks; those of the shot have numbers, from its first."""
    identities: dict[str, list[Any]] = {}
    for track in family:
        row = {k: v for k, v in to_data(track).items() if k not in _OF_TRACKS_FOR_PEOPLE}
        del row["id"]
        row.pop("shot", None)
        if track.shot == shot:
            row["own"] = track.id - shot * TRACKS_OF_A_SHOT
        identities.setdefault(row.pop("identity"), []).append(row)
    return sorted((sorted(rows, key=_canonical) for rows in identities.values()), key=_canonical)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _grade(grade: GradeConfig, folder: Path) -> Any:
    if grade.neutral:
        return None
    if grade.lut is None or not grade.looks:
        return to_data(replace(grade, lut=None))
    return to_data(replace(grade, lut=content_mark(folder / grade.lut)))


def _without_note(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "note"}


def shots_of_hint(script: ColorScript, hint: HintEntry) -> frozenset[int]:
    """Numbers of the shots whose color a hint may change.

    A hint on a tracked object goes wherever that object is known; one that finds its object by
    itself (`track = "auto"`) may bind to any track that is there at its moment.

    Args:
        script: The script.
        hint: One of its hints.
    """
    every = frozenset(range(len(script.shots)))
    shots: set[int] = set()
    tracks: list[TrackEntry] = []
    if hint.moment is not None:
        here = script.shot_at(hint.moment)
        if here is None:
            return every
        shots.add(here)
        if hint.track == "auto":
            tracks = [track for track in script.tracks if track.shot == here]
    if isinstance(hint.track, int):
        tracks = [track for track in script.tracks if track.id == hint.track]
        if not tracks:
            shots.add(hint.track // TRACKS_OF_A_SHOT)
    names = {track.identity for track in tracks}
    shots |= {track.shot for track in script.tracks if track.identity in names}
    return frozenset(shots) & every


def _reference(reference: ReferenceEntry, folder: Path) -> Any:
    """The same wherever the pictures lie and in whichever other shots they count."""
    data = to_data(replace(reference, shots=()))
    return {**data, "file": content_mark(folder / Path(reference.file).expanduser())}


def content_mark(path: Path) -> str:
    """Hash of a file, or of all files of a folder.

    Args:
        path: The file or folder.

    Raises:
        GuidanceError: If it cannot be read.
    """
    try:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file())
            return json.dumps([(file.name, content_mark(file)) for file in inside])
        state = path.stat()
        return _hash(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise GuidanceError(f"{path}: cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, size: int, modified_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
