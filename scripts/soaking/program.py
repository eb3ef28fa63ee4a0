"""The program, with settings at random, in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from soaking.footage import Footage

__all__ = [
    "Ended",
    "Moment",
    "Settings",
    "command",
    "draw_settings",
    "end",
    "finished",
    "listed",
    "parts_of",
    "plan_command",
    "start",
    "unfinished",
]

WHEN = {"clock": 1, "work": 6, "span": 3, "join": 1}
LONGEST_RUN_S = 900.0

LAUNCH = """
import os, resource, sys
import vidcolor.cli.terminal as terminal
from vidcolor.cli import main
limit = int(os.environ.get("SOAK_FILE_LIMIT", 0))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
terminal._LOG_EVERY_S = 0.1
sys.exit(main())
"""
"""The program, telling more often how far it is; with a limit on files where one is set."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a film is colored.

    Attributes:
        line: Flags of the line.
        codec: Of the output.
        suffix: Of the output.
        span: Start and duration in seconds, if only a part is colored.
        restore: Whether damage is healed first.
        plan: Whether it is colored by a color script.
    """

    line: tuple[str, ...]
    codec: str
    suffix: str
    span: tuple[float, float] | None
    restore: bool
    plan: bool


def draw_settings(rng: random.Random, footage: Footage) -> Settings:
    """Settings at random that go together with the film."""
    even = footage.size[0] % 2 == 0 and footage.size[1] % 2 == 0
    codec = rng.choice(("ffv1", "ffv1", "ffv1", "h264", "h265")) if even else "ffv1"
    suffix = ".mkv" if codec == "ffv1" else rng.choice((".mkv", ".mp4", ".mov"))
    plan = footage.frames > 5 and rng.random() < 0.2
    restore = footage.frames < 500 and rng.random() < 0.15
    line = ["--device", "cpu", "--precision", "float32", "--colorize.short_side", "64"]
    line += ["--detector", rng.choice(("none", "none", "motion"))]
    line += ["--batch-size", str(rng.choice((1, 3, 8, 16)))]
    if rng.random() < 0.65:
        line += ["--stabilize.enabled", "false"]
    if rng.random() < 0.3:
        line += ["--anchor.enabled", "false"]
    line += ["--cadence.cadence", rng.choice(("auto", "auto", "every", "16"))]
    if not plan and rng.random() < 0.1:
        line += ["--remember.across_shots", "true"]
    span = None
    if not plan and footage.frames > 60 and rng.random() < 0.25:
        length = sum(footage.times[n % len(footage.times)] for n in range(footage.frames)) / 1000
        start = round(rng.uniform(0, length / 2), 2)
        span = start, round(rng.uniform(length / 4, length - start), 2)
    return Settings(tuple(line), codec, suffix, span, restore, plan)


def command(source: Path, output: Path, settings: Settings) -> list[str]:
    """Arguments of the program."""
    words = ["colorize", str(source), str(output), "--codec", settings.codec]
    if settings.plan:
        words += ["--plan", str(source.with_name("film.vidcolor")), "--device", "cpu"]
    else:
        words += settings.line
        words += ["--restore"] if settings.restore else []
    if settings.codec in ("h264", "h265"):
        words += ["--preset", "ultrafast"]
    if settings.span is not None:
        words += ["--start", str(settings.span[0]), "--duration", str(settings.span[1])]
    return words


def plan_command(source: Path, settings: Settings) -> list[str]:
    """Arguments for the color script of a film."""
    words = ["plan", str(source), str(source.with_name("film.vidcolor")), "--no-tracks"]
    words += [*settings.line, *(("--restore.enabled", "true") if settings.restore else ())]
    return words


@dataclasses.dataclass
class Ended:
    """How a process ended.

    Attributes:
        code: As a shell gives it.
        seconds: How long it ran.
        peak_mib: Most memory that it had.
        said: The last lines that it wrote.
        done: Frames that it said were finished.
        struck: Whether what was planned for it happened.
    """

    code: int
    seconds: float
    peak_mib: float
    said: str
    done: int
    struck: bool


def start(arguments: list[str], log: Path, file_limit: int = 0) -> subprocess.Popen[bytes]:
    """A process of the program."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SOAK_FILE_LIMIT": str(file_limit)}
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *arguments],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment,
        )  # fmt: skip


def end(
    process: subprocess.Popen[bytes],
    log: Path,
    began: float,
    strike: Callable[[], bool] | None = None,
) -> Ended:
    """Wait for a process.

    Args:
        process: Which.
        log: Where it writes.
        began: When it was started, by `time.monotonic`.
        strike: Asked all the time while it runs, until it says that it has done something.
    """
    struck = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if strike is not None and not struck:
            struck = strike()
        if time.monotonic() - began > LONGEST_RUN_S:
            process.kill()
        time.sleep(0.003)
    process.returncode = code = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    counts = [line.split()[1] for line in said.splitlines() if " frames, " in line]
    done = next((int(word) for word in reversed(counts) if word.isdigit()), 0)
    return Ended(
        128 - code if code < 0 else code, time.monotonic() - began, usage.ru_maxrss / 1024,
        said[-2000:], done, struck,
    )  # fmt: skip


class Moment:
    """A random moment in the life of a process that makes a film.

    Args:
        rng: Where chance comes from.
        output: The film.
        whole: Seconds that a run takes until it begins to color, and then until its end.
        left: Share of the film that is still to be colored.
    """

    def __init__(
        self, rng: random.Random, output: Path, whole: tuple[float, float], left: float
    ) -> None:
        self.kind = rng.choices(tuple(WHEN), tuple(WHEN.values()))[0]
        self._output, self._parts = output, parts_of(output)
        ready, color = whole
        self._delay = {
            "clock": rng.uniform(0, ready + color * left), "work": rng.random() * color * left,
            "span": rng.random() ** 3, "join": rng.random() ** 4 / 10,
        }[self.kind]  # fmt: skip
        self._spans = len(finished(self._parts)) + rng.randint(1, 2)
        self._since: float | None = time.monotonic() if self.kind == "clock" else None

    def come(self) -> bool:
        """Whether it is now."""
        if self._since is None and self._begun():
            self._since = time.monotonic()
        return self._since is not None and time.monotonic() - self._since >= self._delay

    def _begun(self) -> bool:
        if self.kind == "work":
            return any(path.name.endswith(".segment") for path in listed(self._parts))
        if self.kind == "span":
            return len(finished(self._parts)) >= self._spans
        return any(path.stat().st_size for path in unfinished(self._output) if path.exists())


def parts_of(output: Path) -> Path:
    """Where its spans wait."""
    return output.with_name(output.name + ".parts")


def listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing if it is not there."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def finished(parts: Path) -> list[Path]:
    """Spans under their final names."""
    return [p for p in listed(parts) if p.suffix == ".segment" and not p.name.startswith(".")]


def unfinished(output: Path) -> list[Path]:
    """Files beside the output that are to become it."""
    return [
        path for path in listed(output.parent)
        if path.name.startswith(f".{output.stem}.partial-") and path.is_file()
    ]  # fmt: skip
