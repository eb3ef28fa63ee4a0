"""The color script as a file: read with line and key for whatever is wrong, and written."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.given import nearest, one_line, parse_toml, read_text, shown
from vidcolor.guidance.moment import parse_time
from vidcolor.guidance.script.entries import (
    TIME_TOLERANCE_S,
    VERSION,
    ColorScript,
    Table,
    fingerprint,
    timecode,
)
from vidcolor.guidance.script.lines import KeyPath, key_lines, nearest_line
from vidcolor.guidance.script.text import to_data, to_text
from vidcolor.schema import load

__all__ = ["FILM_TABLES", "check_source", "read_script", "script_text"]

_MOST_BYTES = 64 << 20
Check = Callable[[Mapping[str, Any]], object]

FILM_TABLES = (
    "device", "precision", "input", "cut", "output", "compose", "grade", "guidance", "hints",
    "references",
)  # fmt: skip
"""Tables of the config that no shot can have of its own."""

_HEAD = """\
# Color script of vidcolor; every key is explained in docs/color-script.md. Programs that write this
# file again do not keep comments: use `note` for what is to stay.
"""


def check_source(script: ColorScript, path: Path, film: Path) -> None:
    """Make sure that a script is for a film.

    Args:
        script: The script.
        path: Its file, for the message.
        film: The film.

    Raises:
        GuidanceError: If it is for another one.
    """
    source = script.source
    if source is None or source.fingerprint is None:
        return
    found = fingerprint(film)
    if found != source.fingerprint:
        line = _line_of(path, ("source", "fingerprint"))
        other = one_line(f"{source.name}, fingerprint {source.fingerprint}")
        raise GuidanceError(
            f"{path}{line}: the script is for another film: {other}; {film} has {found}. "
            "Write a script of it with `vidcolor plan`, or take the line out if the frames are "
            "the same"
        )


def _line_of(path: Path, key: KeyPath) -> str:
    """`, line 12`; nothing if the file has changed since it was read."""
    try:
        text = read_text(path, _MOST_BYTES)
        parse_toml(text)
    except (OSError, ValueError):
        return ""
    line = nearest_line(key_lines(text), key)
    return "" if line is None else f", line {line}"


def script_text(script: ColorScript) -> str:
    """The script as a file: what is as it always is, is left out; comments are not kept."""
    data = to_data(script)
    return f"{_HEAD}\n{to_text(data)}"


def read_script(path: Path, check: Check | None = None) -> ColorScript:
    """A color script, checked.

    Args:
        path: The file.
        check: Is given the settings of the film, and those of every shot laid over them; raises
            `ConfigError` for what is no setting (`functools.partial(schema.load, Config)`).

    Raises:
        GuidanceError: If the file cannot be read or is not as it should be, with line and key.
    """
    return _Reader(path).read(check)


class _Reader:
    """Reads one file; knows in which line each key stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = read_text(path, _MOST_BYTES)
        except OSError as error:
            raise GuidanceError(
                f"{path}: the color script cannot be read: {error.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise GuidanceError(f"{path}: no color script: it is no text in UTF-8") from None
        try:
            self.data = parse_toml(self.text)
        except tomllib.TOMLDecodeError as error:
            raise GuidanceError(f"{path}, {one_line(_place_first(str(error)))}") from None

    @functools.cached_property
    def lines(self) -> dict[KeyPath, int]:
        """Lines of keys; found only when something is wrong."""
        return key_lines(self.text)

    def fail(self, key: KeyPath, message: str) -> NoReturn:
        """Say what is wrong with a key; if it is missing, the line is that of its table."""
        line = nearest_line(self.lines, key)
        where = "" if line is None else f", line {line}"
        raise GuidanceError(f"{self.path}{where}: {one_line(f'{_dotted(key)}: {message}')}")

    def read(self, check: Check | None) -> ColorScript:
        version = self.data.get("version")
        if version is None:
            raise GuidanceError(
                f"{self.path}: version is missing; a color script begins with version = {VERSION}"
            )
        if version != VERSION or isinstance(version, bool):
            self.fail(("version",), f"is {shown(version)}, this program reads {VERSION}")
        try:
            script = load(ColorScript, self.with_tables(), "script")
        except ConfigError as error:
            self.rephrase(str(error), ())
        self.check_shots(script)
        self.check_tracks(script)
        self.check_hints(script)
        self.check_settings(script, check)
        return script

    def with_tables(self) -> dict[str, Any]:
        """The data with its settings marked as such."""
        data = dict(self.data)
        if isinstance(data.get("settings"), dict):
            data["settings"] = Table(data["settings"])
        if isinstance(data.get("shots"), list):
            data["shots"] = [
                {**shot, "settings": Table(shot["settings"])}
                if isinstance(shot, dict) and isinstance(shot.get("settings"), dict)
                else shot
                for shot in data["shots"]
            ]
        return data

    def rephrase(self, message: str, inside: KeyPath) -> NoReturn:
        """Turn the path that begins a message of `schema` into line and key."""
        where, _, rest = message.partition(": ")
        key = (*inside, *_parts(where)[1:])
        # a check of values knows only the table: find the key that it speaks of
        if (word := re.match(r"\w+", rest)) and (*key, word[0]) in self.lines:
            key, rest = (*key, word[0]), rest[word.end() :].strip()
        elif word := re.match(r"'([^']*)'", rest):
            lines = self.text.splitlines()
            for inner, line in self.lines.items():
                if inner[:-1] == key and f'"{word[1]}"' in lines[line - 1]:
                    key = inner
                    break
        self.fail(key, rest)

    def check_shots(self, script: ColorScript) -> None:
        """In order, without holes, in agreement with themselves and the source."""
        source, after = script.source, 0
        for i, shot in enumerate(script.shots):
            key: KeyPath = ("shots", i)
            if shot.number != i:
                self.fail((*key, "number"), f"is {shot.number}, but this is shot {i} of the list")
            if shot.start != after:
                kind = "overlaps the shot before" if shot.start < after else "leaves a hole"
                self.fail(
                    (*key, "start"),
                    f"is {shot.start} and {kind}: it must be {after}, "
                    + ("the frame after that shot's end" if i else "the first frame"),
                )
            after = shot.end + 1
            before = script.shots[i - 1].end_pts if i else None
            if before is not None and shot.pts is not None and shot.pts <= before:
                self.fail(
                    (*key, "pts"), f"is {shot.pts}, not after {before}, where shot {i - 1} ends"
                )
            for name, pts, time in (
                ("time", shot.pts, shot.time),
                ("end_time", shot.end_pts, shot.end_time),
            ):
                first = script.shots[0].pts
                if source and time is not None and pts is not None and first is not None:
                    meant = (pts - first) * source.tick
                    if abs(parse_time(time) - meant) > TIME_TOLERANCE_S:
                        self.fail(
                            (*key, name),
                            f"is {time}, but its pts {pts} is at {timecode(meant)}; times are for "
                            "reading, change start and end and leave pts and times out",
                        )
        if source and script.shots and after != source.frames:
            self.fail(
                ("shots", len(script.shots) - 1, "end"),
                f"is {after - 1}, but the film has frames 0 to {source.frames - 1}",
            )

    def check_tracks(self, script: ColorScript) -> None:
        """Of shots that there are, each once; grades of tracks that there are."""
        for i, entry in enumerate(script.tracks):
            if script.shots and not 0 <= entry.shot < len(script.shots):
                self.fail(
                    ("tracks", i, "shot"),
                    f"there is no shot {entry.shot}; the last one is {len(script.shots) - 1}",
                )
        try:
            script.tracks_file()
        except ConfigError as error:
            numbers = set(re.findall(r"track (\d+)", str(error)))
            found = [i for i, entry in enumerate(script.tracks) if str(entry.id) in numbers]
            self.fail(("tracks", *found[-1:]), str(error))
        ids = {str(entry.id) for entry in script.tracks}
        names = {entry.identity for entry in script.tracks}
        for i, grade in enumerate(script.track_grades):
            name, known = "identity", names
            if grade.track is not None:
                name, known = "track", ids
            wanted = str(getattr(grade, name))
            if wanted not in known and (name == "identity" or known):
                near = nearest(wanted, known)
                hint = f"did you mean {near!r}?" if near else "see tracks"
                self.fail(("track_grades", i, name), f"there is no {shown(wanted)}; {hint}")

    def check_hints(self, script: ColorScript) -> None:
        """Within the film, as far as the script knows it."""
        if script.source is None:
            return
        for i, hint in enumerate(script.hints):
            if hint.frame is not None and hint.frame >= script.source.frames:
                self.fail(
                    ("hints", i, "frame"),
                    f"{hint.frame} lies behind the end; the film has frames 0 to "
                    f"{script.source.frames - 1}",
                )

    def check_settings(self, script: ColorScript, check: Check | None) -> None:
        """Keys of the config that are there, in their place."""
        if "grade" in script.settings:
            self.fail(("settings", "grade"), "the grade of the film is [grade]")
        for i, shot in enumerate(script.shots):
            for name in shot.settings:
                if name in FILM_TABLES:
                    place = "[shots.grade]" if name == "grade" else "[settings]"
                    self.fail(
                        ("shots", i, "settings", name),
                        f"belongs into {place}"
                        + ("" if name == "grade" else ", to the whole film"),
                    )
        if check is None:
            return
        tables: list[tuple[KeyPath, Table]] = [(("settings",), script.settings)]
        tables += [
            (("shots", i, "settings"), shot.settings)
            for i, shot in enumerate(script.shots)
            if shot.settings
        ]
        for key, table in tables:
            try:
                check(table)
            except ConfigError as error:
                self.rephrase(str(error), key)


def _place_first(message: str) -> str:
    """`line 3, column 5: no TOML: ...` of a message of `tomllib`."""
    found = re.fullmatch(r"(.*) \(at (line \d+, column \d+|end of document)\)", message)
    return f"{found[2]}: no TOML: {found[1]}" if found else f"no TOML: {message}"


def _parts(where: str) -> KeyPath:
    """`script.shots[3].grade` as a path."""
    return tuple(
        int(found[2]) if found[2] else found[1]
        for found in re.finditer(r"([^.\[\]]+)|\[(\d+)\]", where)
    )


def _dotted(key: KeyPath) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".") or "the script"
