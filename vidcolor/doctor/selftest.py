"""The program tried out: a tiny film, made here, colored by the real line and looked at."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidcolor.doctor.report import Finding
from vidcolor.errors import VidcolorError

if TYPE_CHECKING:
    from vidcolor.config import Config
    from vidcolor.io.specimen import Specimen

__all__ = ["captured", "judge", "self_test"]

_log = logging.getLogger(__name__)

_AREA = "self-test"
_REPORT = "please report this, with the file of vidcolor doctor --bundle"
_LEAST_COLOR = 0.5  # codes from neutral, on average
_MOST_FLICKER = 1.5  # codes from a frame to the next one of its shot, on average
_SHOWN_STAGES = 6


@contextlib.contextmanager
def captured() -> Iterator[list[str]]:
    """What the program logs meanwhile, instead of showing it."""
    rows: list[str] = []

    class Keep(logging.Handler):
        """Adds to the list."""

        def emit(self, record: logging.LogRecord) -> None:
            """Write one line."""
            rows.append(f"{record.levelname.lower()} {record.name}: {record.getMessage()}")

    logger = logging.getLogger("vidcolor")
    keep, level, spread = Keep(), logger.level, logger.propagate
    logger.addHandler(keep)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield rows
    finally:
        logger.removeHandler(keep)
        logger.setLevel(level)
        logger.propagate = spread


def self_test(config: Config, log: list[str]) -> Iterator[Finding]:
    """Color a tiny film and look at what came of it.

    Shipped weights, detector `motion`, lossless: what does not depend on anything fetched.

    Args:
        config: Its device and precision are used.
        log: What the program says meanwhile is added.
    """
    from vidcolor.api import colorize_video, make_config
    from vidcolor.io.specimen import look_at, write_specimen

    settings = make_config(
        device=config.device, precision=config.precision, detector="motion", codec="ffv1"
    )
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder, captured() as rows:
        source, colored = Path(folder) / "gray.mkv", Path(folder) / "color.mkv"
        try:
            write_specimen(source)
            _log.info("%s, %s, %s", source.name, settings.device, settings.precision)
            started = time.perf_counter()
            yield from _stages(source, settings)
            done = colorize_video(source, colored, config=settings)
            seconds = time.perf_counter() - started
            _log.info("%d frames colored after %.2f s", done, seconds)
            yield from judge(look_at(source), look_at(colored))
            yield Finding(_AREA, "time", f"{seconds:.1f} s for {done} frames, twice, and loading")
        except (VidcolorError, OSError, ValueError, RuntimeError) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            rows += traceback.format_exc().splitlines()
            yield Finding(_AREA, "coloring a tiny film", text, "wrong", _REPORT)
        finally:
            log.extend(rows)


def _stages(source: Path, settings: Config) -> Iterator[Finding]:
    """Time of each stage, in one thread."""
    from vidcolor.build import build_line
    from vidcolor.doctor.clock import StageClock
    from vidcolor.io.video import VideoReader

    clock = StageClock()
    line = clock.wrap(clock.call("loading", build_line, settings))
    with VideoReader(source, settings.input) as reader:
        frames = sum(len(colored.frames) for colored in line(clock.items("decode", reader)))
    longest = sorted(clock.seconds.items(), key=lambda pair: -pair[1])[:_SHOWN_STAGES]
    found = ", ".join(f"{name} {seconds:.2f}" for name, seconds in longest)
    for name, seconds in clock.seconds.items():
        _log.info("%s: %.3f s", name, seconds)
    yield Finding(_AREA, "stages", f"{frames} frames, seconds: {found}")


def judge(source: Specimen, colored: Specimen) -> Iterator[Finding]:
    """Whether a colored film keeps what was promised.

    Args:
        source: In gray.
        colored: What was made of it, lossless.
    """
    count, back = len(source.luma), len(colored.luma)
    yield _verdict("frames", back == count, f"{back} of {count}")
    same = colored.times == source.times
    yield _verdict(
        "times", same, f"{len(set(source.times))} times, {'as they were' * same or 'changed'}"
    )
    if colored.luma.shape != source.luma.shape:
        yield _verdict("luma", False, f"{colored.luma.shape} instead of {source.luma.shape}")
        return
    wrong = int(np.count_nonzero(colored.luma != source.luma))
    found = "the source's, bit for bit" if not wrong else f"{wrong} codes are not the source's"
    yield _verdict("luma", wrong == 0, found)
    yield from _colors(source, colored)
    packets = sum(len(stream) for stream in source.others)
    passed = colored.others == source.others
    found = f"{packets} packets, {'as they were' if passed else 'changed or lost'}"
    yield _verdict("sound", passed, found)


def _colors(source: Specimen, colored: Specimen) -> Iterator[Finding]:
    if colored.chroma.shape[1] != 2:
        yield _verdict("color", False, "there is none")
        return
    chroma = colored.chroma.astype(np.float64) - 128
    away = float(np.hypot(chroma[:, 0], chroma[:, 1]).mean())
    yield _verdict("color", away >= _LEAST_COLOR, f"{away:.1f} codes from neutral on average")
    steps = np.diff(chroma, axis=0)
    moved = np.hypot(steps[:, 0], steps[:, 1]).mean(axis=(1, 2))
    # the step over the cut is the largest change of luma, and no flicker
    inside = np.delete(
        moved, np.abs(np.diff(source.luma.astype(np.int64), axis=0)).mean((1, 2)).argmax()
    )
    flicker = float(inside.max())
    found = f"at most {flicker:.2f} codes from a frame to the next"
    yield _verdict("steadiness", flicker <= _MOST_FLICKER, found)


def _verdict(what: str, right: bool, found: str) -> Finding:
    return Finding(_AREA, what, found) if right else Finding(_AREA, what, found, "wrong", _REPORT)
