"""The color script of one open film: changed by whoever has the page open, kept in its file.

The file is the truth. Before every change it is looked at: what somebody else has saved there is
taken over as a step of its own, and what cannot be read stops the change, with its line. After
every change it is written, whole or not at all.

A page may have been drawn before somebody else's change. Its edits are still good as long as the
numbers in them mean what they meant then: the same frames of the film, the same objects. Hints and
references have names of their own and need no such care.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.script import edits as changes_of
from vidcolor.guidance.script.entries import ColorScript, Table
from vidcolor.guidance.script.file import script_text
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.io.video import VideoReader
from vidcolor.preview.web.desk.changes import Edit, check_meaning, read_edit
from vidcolor.preview.web.desk.controls import check_settings
from vidcolor.preview.web.desk.edit_words import is_whole
from vidcolor.preview.web.desk.script_file import Film, ScriptFile
from vidcolor.records import TRACKS_OF_A_SHOT, VideoInfo
from vidcolor.schema import load, merge

__all__ = ["Desk"]

_log = logging.getLogger(__name__)

_MOST_STEPS = 200  # that can be taken back
_MOST_SEEN = 1000  # revisions whose edits are still understood
_MOST_EDITS = 500  # at once


@dataclass(frozen=True, slots=True)
class _Step:
    """A script as it was at one time.

    Attributes:
        script: What it said.
        data: The very bytes, where somebody else wrote them; None: as `script_text` has it.
    """

    script: ColorScript
    data: bytes | None = None

    def bytes(self) -> bytes:
        return script_text(self.script).encode() if self.data is None else self.data


class Desk:
    """A color script that several people may change at once. Thread-safe.

    Memory: the last 200 steps, which share what they have in common.

    Attributes:
        film: See above.

    Args:
        film: The film, and where its script lies.
        base: Keys of the config that a new script gets.
        info: What the film's frames share; None: the film is asked when it matters.

    Raises:
        GuidanceError: If there is a script that cannot be read, or is for another film.
    """

    def __init__(
        self, film: Film, base: Mapping[str, Any] | None = None, info: VideoInfo | None = None
    ) -> None:
        self.film = film
        self._base = dict(base or {})
        self._known_info = info
        self._lock = threading.RLock()
        self._steps: list[_Step] = []
        self._at = -1
        # so that a page of an earlier run of the program is never taken for one of this
        self._revision = time.time_ns() // 1_000_000
        self._seen: OrderedDict[int, ColorScript] = OrderedDict()
        self._found: dict[int, tuple[TrackEntry, ...]] = {}
        self._file = ScriptFile(film)
        self.reload_if_changed()

    # -- what there is ---------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Changes with every change; a later one is larger."""
        with self._lock:
            return self._revision

    @property
    def script(self) -> ColorScript | None:
        """The script as it is; None until the shots of the film are known."""
        with self._lock:
            step = self._step
            return None if step is None or not step.script.shots else step.script

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        with self._lock:
            return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        with self._lock:
            return self._at + 1 < len(self._steps)

    def text(self) -> str:
        """The script as its file has it.

        Raises:
            GuidanceError: If there is none yet.
        """
        with self._lock:
            if self._step is None:
                raise GuidanceError("there is no color script yet; wait until the shots are found")
            return self._step.bytes().decode("utf-8-sig")

    @property
    def _step(self) -> _Step | None:
        return self._steps[self._at] if self._steps else None

    # -- changes ---------------------------------------------------------------------------------

    def begin(self, script: ColorScript) -> int:
        """Take a first script, with the settings that new scripts get.

        A script that is there already is kept; one that says nothing of shots gets them.

        Args:
            script: As `first_script` makes it.

        Returns:
            The revision.

        Raises:
            GuidanceError: If there is a script that cannot be read or does not fit these shots.
            MediaError: If it cannot be saved.
        """
        with self._lock:
            self.reload_if_changed()
            step = self._step
            if step is not None and step.script.shots:
                return self._revision
            first = self._first(script) if step is None else _with_shots(step.script, script)
            check_settings(None, first, self.film.script.parent)
            self._save(_Step(first))
            self._steps = []  # nobody can go back to before there were shots
            return self._push(_Step(first))

    def _first(self, script: ColorScript) -> ColorScript:
        settings = merge(self._base, script.settings)
        grade = settings.pop("grade", {})
        try:
            own = load(GradeConfig, grade, "grade")
        except ConfigError as error:
            raise GuidanceError(str(error)) from None
        own = script.grade if own == GradeConfig() else own
        return replace(script, settings=Table(settings), grade=own)

    def apply(self, edits: Sequence[Mapping[str, Any]], revision: int | None = None) -> int:
        """Change the script: all of the edits, as one step, or none.

        Args:
            edits: As the page sends them; see `changes.KINDS`.
            revision: Of the script that the page shows; None: the script as it is.

        Returns:
            The new revision; the old one if nothing has changed.

        Raises:
            GuidanceError: If an edit cannot be done, or its numbers mean something else by now, or
                the file was changed by somebody else and cannot be read.
            MediaError: If it cannot be saved.
        """
        if isinstance(edits, str | Mapping) or not isinstance(edits, Sequence):
            raise GuidanceError("edits are a list; reload the page")
        if len(edits) > _MOST_EDITS:
            raise GuidanceError(f"{len(edits)} edits at once are too many; reload the page")
        if revision is not None and not is_whole(revision):
            raise GuidanceError("the revision is no number; reload the page")
        wanted = [read_edit(edit) for edit in edits]

        def change(script: ColorScript) -> ColorScript:
            if revision is not None and revision != self._revision:
                check_meaning(wanted, self._seen.get(revision), script)
            for edit in wanted:
                script = edit.apply(self._with_found(script, edit), self._info)
            return script

        revision = self.change(change)
        for edit in wanted:
            if edit.looks_anew:
                self._forget(edit.words.get("shot"))
        return revision

    def change(self, change: Callable[[ColorScript], ColorScript]) -> int:
        """Change the script by a function of `guidance.script.edits`, as one step.

        Args:
            change: Makes the new script of the old one.

        Returns:
            The new revision; the old one if nothing has changed.

        Raises:
            GuidanceError: As `apply`.
            MediaError: If it cannot be saved.
        """
        with self._lock:
            self.reload_if_changed()
            old = self.script
            if old is None:
                raise GuidanceError("the shots of the film are not known yet; wait a moment")
            new = change(old)
            if new == old:
                return self._revision
            check_settings(old, new, self.film.script.parent)
            self._save(_Step(new))
            return self._push(_Step(new))

    def add_reference(
        self, file: str, shot: int | None = None, frame: int | None = None, **words: Any
    ) -> int:
        """Let a picture say what color things have. Not for the page, which knows no files.

        Args:
            file: The picture, seen from the folder of the script.
            shot: In which it counts; None: in all.
            frame: Number of the frame of that shot that it shows, colored; None: none.
            **words: `strength`, `method`, as in the script.

        Raises:
            GuidanceError: If there is no such shot or frame, or as `apply`.
            MediaError: If it cannot be saved.
        """

        def change(script: ColorScript) -> ColorScript:
            place: dict[str, Any] = {}
            if shot is not None:
                place["shots"] = [shot]
            if frame is not None:
                known = shot is not None and 0 <= shot < len(script.shots)
                entry = script.shots[shot] if known and shot is not None else None
                if entry is None or not 0 <= frame < len(entry):
                    raise GuidanceError(
                        "there is no such frame in this shot; show the frame and add the picture "
                        "again"
                    )
                place = {"frame": entry.start + frame}
            return changes_of.add_reference(script, {"file": file, **place, **words})

        return self.change(change)

    def offer(self, entries: Sequence[TrackEntry]) -> None:
        """Tell which objects a shot was found to have.

        They become a part of the script when an edit names one that it does not know yet.

        Args:
            entries: Of one shot or several; what was told of these shots before is forgotten.
        """
        with self._lock:
            for shot in {entry.shot for entry in entries}:
                self._found[shot] = tuple(entry for entry in entries if entry.shot == shot)

    def _forget(self, shot: int | None) -> None:
        """Forget the objects of a shot, or all, that another detector will not find."""
        with self._lock:
            self._found = (
                {} if shot is None else {n: e for n, e in self._found.items() if n != shot}
            )

    def _with_found(self, script: ColorScript, edit: Edit) -> ColorScript:
        known = {entry.id for entry in script.tracks}
        for track in edit.tracks:
            if track not in known:
                found = self._found.get(track // TRACKS_OF_A_SHOT, ())
                if any(entry.id == track for entry in found):
                    script = changes_of.know_tracks(script, found)
        return script

    def undo(self) -> int:
        """Take the latest step back, whoever made it.

        Returns:
            The new revision.

        Raises:
            GuidanceError: If there is none, or the file was changed and cannot be read.
            MediaError: If it cannot be saved.
        """
        return self._move(-1, "there is nothing to undo")

    def redo(self) -> int:
        """Make the step again that was taken back last.

        Returns:
            The new revision.

        Raises:
            GuidanceError: If there is none, or the file was changed and cannot be read.
            MediaError: If it cannot be saved.
        """
        return self._move(1, "there is nothing to do again")

    def _move(self, by: int, nothing: str) -> int:
        with self._lock:
            self.reload_if_changed()
            place = self._at + by
            if not 0 <= place < len(self._steps):
                raise GuidanceError(nothing)
            before = self._step
            self._save(self._steps[place])
            self._at = place
            return self._next_revision(before)

    def _save(self, step: _Step) -> None:
        self._file.save(step.script, step.bytes())

    def _push(self, step: _Step) -> int:
        before = self._step
        self._steps = [*self._steps[: self._at + 1], step][-_MOST_STEPS:]
        self._at = len(self._steps) - 1
        return self._next_revision(before)

    def _next_revision(self, before: _Step | None) -> int:
        self._revision += 1
        step = self._step
        assert step is not None, "something has been done"
        if before is not None and _cuts(before.script) != _cuts(step.script):
            self._found.clear()
        self._seen[self._revision] = step.script
        while len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        return self._revision

    def _info(self) -> VideoInfo:
        if self._known_info is None:
            with VideoReader(self.film.path) as reader:
                self._known_info = reader.info
        return self._known_info

    def reload_if_changed(self) -> bool:
        """Take over what somebody else has saved, as a step that can be taken back.

        Returns:
            Whether there was something.

        Raises:
            GuidanceError: If it cannot be read, or is for another film; the last good script stays,
                and nothing is written until the file is mended.
        """
        with self._lock:
            found = self._file.read()
            if found is None:
                return False
            script, data = found
            if self.script is not None and not script.shots:
                raise GuidanceError(
                    f"{self.film.script.name} has lost its shots; put them back into the file"
                )
            if self._steps:
                _log.info("%s was changed by somebody else", self.film.script)
            self._file.take(data)
            self._push(_Step(script, data))
            return True


def _cuts(script: ColorScript) -> list[tuple[int, int]]:
    return [(shot.start, shot.end) for shot in script.shots]


def _with_shots(own: ColorScript, found: ColorScript) -> ColorScript:
    """What a person wrote without knowing the shots, with the shots."""
    source = own.source
    if source is None or source.frames != (found.source.frames if found.source else None):
        source = found.source
    tracks = own.tracks or found.tracks
    return replace(own, source=source, shots=found.shots, tracks=tracks)
