"""Broken files handed to a process of their own, and what is to be said of what it did."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WORKER = Path(__file__).with_name("media_worker.py")
ROOM_MB = 3000
"""Addresses that a case may take besides what the process has."""
GROWTH_MB = 900
"""Memory that a case may take."""
LONGEST_S = 60.0
STEPS = ("read", "color", "walk", "picture")
"""What a worker does with a file."""
_STDERR_KEPT = 4000


@dataclass
class Lab:
    """One worker, started again when a file has killed it or made it hang.

    Args:
        folder: For what it writes.
        room_mb: Its limit of addresses; 0: none.
        longest_s: After so long it hangs.
    """

    folder: Path
    room_mb: int = ROOM_MB
    longest_s: float = LONGEST_S
    _process: Any = field(default=None, repr=False)
    _errors: Any = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the worker)
        settings = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self.room_mb), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=settings,
        )

    def stop(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._errors.close()
            self._process = None

    def ask(self, path: Path, *do: str, **more: Any) -> dict[str, Any]:
        """What the worker did with a file; `died` or `hung` if that was its end."""
        if self._process is None:
            self._start()
        order = {"path": str(path), "do": list(do), **more}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._line()
        if line is None or not line:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, self._errors.tell() - _STDERR_KEPT))
            said = self._errors.read().decode(errors="replace")
            kind = "hung" if line is None else "died"
            if kind == "died":
                self._process.wait()
            code = self._process.returncode
            self.stop()
            return {kind: True, "said": said, "code": code}
        told: dict[str, Any] = json.loads(line)
        return told

    def _line(self) -> bytes | None:
        """The answer; empty if the worker died, None if it takes too long."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            if not ready.select(self.longest_s):
                return None
            return bytes(self._process.stdout.readline())


@functools.lru_cache(maxsize=1)
def shared_lab() -> Lab:
    """One worker for all tests of a process; it takes seconds to start."""
    folder = Path(tempfile.mkdtemp(prefix="vidcolor-hostile-"))
    lab = Lab(folder)

    def leave() -> None:
        lab.stop()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    return lab


def faults(
    path: Path, told: dict[str, Any], frames: int | None = None, growth_mb: float = GROWTH_MB
) -> list[str]:
    """What is wrong with what the worker did; empty if nothing is.

    Args:
        path: The file.
        told: The worker's answer.
        frames: So many there were before the file was damaged; None: nobody knows.
        growth_mb: Memory it may have taken.
    """
    if "died" in told or "hung" in told:
        word = "died" if "died" in told else "hung"
        return [f"{word} (code {told['code']}): {told['said'][-600:]}"]
    found = []
    for step in STEPS:
        if "error" in told.get(step, {}):
            found += [f"{step}: {fault}" for fault in bad_words(path, told[step]["error"])]
    if told["grown_mb"] > growth_mb:
        found.append(f"took {told['grown_mb']} MB")
    read, color = told.get("read"), told.get("color")
    if read is not None:
        if "error" not in read and len(read["times"]) < (frames or 0):
            found.append(f"lie: {len(read['times'])} of {frames} frames read, no error")
        times = [Fraction(time) for time in read["times"]]
        if any(after <= before for before, after in itertools.pairwise(times)):
            found.append("lie: times of the reader do not rise")
    if color is not None:
        found += written_faults(color, read)
    return found


def bad_words(path: Path, error: dict[str, Any]) -> list[str]:
    """What is wrong with how an error was told."""
    text = error["text"]
    if not error["ours"]:
        return [f"{error['kind']}: {text[:200]}\n{error['trace']}"]
    found = []
    if any(not c.isprintable() for c in text.replace(str(path), "")):
        found.append(f"unprintable: {text!r}")
    if path.name not in text and "out" not in text:
        found.append(f"does not name the file: {text!r}")
    return found


def written_faults(color: dict[str, Any], read: dict[str, Any] | None) -> list[str]:
    """What is wrong with a film that was written, beside the one that was read."""
    if "error" in color:
        left = [name for name in color["beside"] if not name.endswith(".parts")]
        found = [f"left behind: {left}"] if left else []
        return [*found, "an error, and an output"] if "written" in color else found
    if "written" not in color:
        return ["lie: no error, no output"]
    if "unreadable" in color:
        return [f"lie: the output cannot be read ({color['unreadable']})"]
    if read is None or "times" not in color:
        return []
    if "error" in read:
        return [f"lie: reading ended with {read['error']['text']!r}, coloring with success"]
    if len(color["times"]) != len(read["times"]):
        return [f"lie: {len(color['times'])} frames written, {len(read['times'])} read"]
    pairs = zip(read["times"], color["times"], strict=True)
    far = [pair for pair in pairs if abs(Fraction(pair[0]) - Fraction(pair[1])) > Fraction(1, 1000)]
    found = [f"lie: times differ, {far[0][0]} was written as {far[0][1]}"] if far else []
    same = [a == b for a, (b, _) in zip(read["luma"], color["luma"], strict=True)]
    if not all(same):
        found.append(f"lie: luma of frame {same.index(False)} differs")
    return found


def said(told: dict[str, Any]) -> list[str]:
    """The errors of all steps."""
    steps = (told[step] for step in STEPS if step in told)
    return [step["error"]["text"] for step in steps if "error" in step]
