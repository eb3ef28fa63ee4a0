"""What commands share: usage errors, Ctrl-C, progress, flags for keys of a config."""

from __future__ import annotations

import argparse
import difflib
import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from vidcolor.errors import MediaError, printable

__all__ = [
    "Bar",
    "Parser",
    "Plain",
    "Stop",
    "Usage",
    "clock",
    "downloading",
    "must_be_there",
    "pairs",
    "refuse",
    "seconds",
]

_log = logging.getLogger("vidcolor")
_LOG_EVERY_S = 10.0
_RATE_OVER_S = 60.0


class Plain(logging.Formatter):
    """Log lines that do nothing to a terminal, whatever file names and titles are in them."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback keeps its own."""
        shown = logging.makeLogRecord({**vars(record), "msg": printable(record.getMessage())})
        shown.args = None
        return super().format(shown)


class Usage(Exception):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, takes no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """A usage error, with how the command is used."""
        raise Usage(f"{message}\n{self.format_usage().strip()}")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and no plain `KeyboardInterrupt`.

    When one of those has passed through code compiled from text (an import that makes a dataclass
    is enough), Python may end the program by a signal, and not with our exit code, although it was
    caught.
    """


class Stop:
    """Remembers Ctrl-C and SIGTERM, so that half files are removed as after an error.

    What a signal raises can be lost in code that swallows every error; whoever counts progress
    raises it again by `check`.

    Attributes:
        gentle: The first signal is only remembered, for whoever asks `asked` between two steps
            and ends in its own time; the second raises.
    """

    def __init__(self) -> None:
        self.gentle = False
        self._number: int | None = None

    def __call__(self, number: int, frame: object) -> None:
        """A signal came."""
        first, self._number = self._number is None, number
        if first and self.gentle:
            _log.info("finishing this step and saving; once more to stop at once")
            return
        self.gentle = False
        self.check()

    def asked(self) -> bool:
        """Whether somebody wants the program to end."""
        return self._number is not None

    def check(self) -> None:
        """Raise what the last signal means."""
        if self._number is None or self.gentle:
            return
        if self._number == signal.SIGINT:
            raise Interrupted
        raise SystemExit(128 + self._number)

    def code(self) -> int:
        """The exit code of a program that ended because it was asked to."""
        return 130 if self._number == signal.SIGINT else 128 + (self._number or 0)


class Bar:
    """Progress: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

    def __init__(self, total: int | None, unit: str, quiet: bool, stop: Stop) -> None:
        self._bar: Any = None
        self._stop = stop
        self._around = ExitStack()
        self._quiet = quiet
        self._unit = unit
        self._name = ""
        self._total = total
        self._done = 0
        self._said = time.monotonic()
        self._seen = deque([(self._said, 0)])  # when how many were done
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._bar = self._around.enter_context(
                tqdm(total=total, unit=unit, dynamic_ncols=True, smoothing=0.1)
            )
            self._around.enter_context(logging_redirect_tqdm())

    def __call__(self, count: int) -> None:
        """So many more are done."""
        self._stop.check()
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self._quiet and time.monotonic() - self._said >= _LOG_EVERY_S:
            self._said = time.monotonic()
            self._say()

    def turn_to(self, name: str, left: int | None) -> None:
        """Say what comes now.

        Args:
            name: What to call it.
            left: About how many there are still to do, with it and after it, if known.
        """
        self._name = f"{name}: "
        self._total = None if left is None else self._done + left
        if self._bar is not None:
            self._bar.total = self._total
            self._bar.set_description(name)

    def _say(self) -> None:
        self._seen.append((self._said, self._done))
        while len(self._seen) > 2 and self._said - self._seen[1][0] >= _RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = (self._done - before) / max(1e-6, self._said - since)
        total = f" of about {self._total}" if self._total else ""
        text = f"{self._name}{self._done}{total} {self._unit}s"
        left = ""
        if rate and self._total and self._total > self._done:
            left = f", {clock((self._total - self._done) / rate)} left"
        _log.info("%s, %.1f a second%s", text, rate, left)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._around.close()


def clock(seconds: float) -> str:
    """`1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds(text: str) -> float:
    """`12.5`, `1:02.5` or `1:02:03`."""
    try:
        value = 0.0
        for part in text.split(":"):
            value = 60 * value + float(part)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write seconds (12.5) or h:mm:ss"
        ) from None
    return value


@contextmanager
def downloading(quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A callback for downloads that draws a bar on a terminal."""
    bar: Any = None

    def show(done: int, total: int | None) -> None:
        nonlocal bar
        if quiet or not sys.stderr.isatty():
            return
        if bar is None:
            from tqdm import tqdm

            bar = tqdm(total=total, unit="B", unit_scale=True, desc="weights")
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def pairs(
    extra: Sequence[str], known: Mapping[str, Any], short: Iterable[str] = (), hint: str = ""
) -> Iterator[tuple[str, str]]:
    """`--a.b value` and `--a.b=value`.

    Args:
        extra: What the parser did not know.
        known: Keys of the config by dotted name.
        short: Other flags of the command, to be named where one is misspelled.
        hint: What to say where nothing is near.
    """
    rest = list(extra)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise Usage(f"unexpected argument {flag!r}")
        name, equals, text = flag[2:].partition("=")
        name = name.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *short], 1)
            raise Usage(f"unknown option --{name}; did you mean --{near[0]}?" if near
                        else f"unknown option --{name}{hint}")  # fmt: skip
        if not equals:
            if not rest:
                raise Usage(f"--{name} needs a value")
            text = rest.pop(0)
        yield name, text


def must_be_there(paths: Iterable[Path | None], what: str = "file") -> None:
    """Miss an input before anything slow is imported.

    Args:
        paths: Inputs; None was not given, and `-` is a pipe.
        what: They may be.

    Raises:
        MediaError: If nothing has one of the names.
    """
    for path in paths:
        try:
            there = path is None or str(path) == "-" or path.expanduser().exists()
        except (OSError, RuntimeError, ValueError):  # whoever reads it says what is wrong
            continue
        if not there:
            raise MediaError(f"{path}: no such {what}")


def refuse(extra: Sequence[str]) -> None:
    """For commands that take no keys."""
    if extra:
        raise Usage(f"unknown option {extra[0]}")
