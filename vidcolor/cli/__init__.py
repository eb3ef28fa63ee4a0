"""The command line: flags, progress bars, exit codes.

Exit codes: 0 done, 1 something of the user's is wrong (one line on stderr), 2 usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import functools
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidcolor.cli import (
    batch,
    doctor,
    evaluate,
    export,
    holes,
    plan,
    preview,
    restore,
    tracks,
    training,
    weights,
)
from vidcolor.cli.color_flags import add_color_flags, add_output_flags
from vidcolor.cli.engine_flags import add_engine_flags, chosen_engine
from vidcolor.cli.evaluate_sets import joined
from vidcolor.cli.line import EVERY_KEY, add_line_flags, line_config, line_layers
from vidcolor.cli.loading import share_cores
from vidcolor.cli.terminal import Bar, Parser, Plain, Stop, Usage, clock, downloading, refuse
from vidcolor.errors import ConfigError, VidcolorError

__all__ = ["main"]

_log = logging.getLogger("vidcolor")

# Torch, OpenCV and FFmpeg take seconds to import: every command imports what it needs when it
# runs, so that `--help` answers at once.


def _parser() -> Parser:
    root = Parser(
        prog="vidcolor",
        description="Colorizes black-and-white films: luma carried, chroma added, steady.",
        epilog="vidcolor COMMAND --help tells more; nobody needs an option for a good result.",
    )
    root.add_argument("--version", action="store_true", help="print the version")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def add(name: str, summary: str, run: Callable[..., int], **settings: Any) -> Parser:
        parser = commands.add_parser(name, help=summary, description=summary, **settings)
        parser.set_defaults(run=run)
        return parser

    color = add(
        "colorize",
        "color a video, a picture or a folder of pictures",
        _colorize,
        epilog=EVERY_KEY,
    )
    color.add_argument(
        "input", type=Path, help="a video, a picture, a folder of pictures, or - (a pipe)"
    )
    color.add_argument(
        "output", type=Path, help="the same in color: .mkv, .mp4, .mov, .png, ..., or - (a pipe)"
    )
    add_line_flags(color)
    add_color_flags(color)
    add_output_flags(color)
    add_engine_flags(color)

    detect = add(
        "detect", "write the objects that the line sees as JSON lines", _detect, epilog=EVERY_KEY
    )
    detect.add_argument("input", type=Path, help="a video")
    detect.add_argument("output", type=Path, help="BOXES.jsonl, one line a frame")
    add_line_flags(detect)
    detect.add_argument("--overwrite", action="store_true", help="replace BOXES.jsonl")

    shots = add("shots", "list the shots of a video, as JSON", _shots, epilog=EVERY_KEY)
    shots.add_argument("input", type=Path, help="a video")
    shots.add_argument("output", type=Path, nargs="?", help="SHOTS.json; default: print a table")
    add_line_flags(shots)
    shots.add_argument("--overwrite", action="store_true", help="replace SHOTS.json")

    for command in (
        batch, preview, restore, weights, export, tracks, plan, evaluate, holes, doctor,
    ):  # fmt: skip
        command.add_command(add)
    training.add_commands(add)

    settings = add("settings", "print every key of the config with its default", _settings)
    settings.add_argument("--config", type=Path, help="a TOML file to lay over the defaults")
    return root


def _colorize(args: argparse.Namespace, extra: Sequence[str]) -> int:
    layers = line_layers(args, extra)
    from vidcolor import api
    from vidcolor.config import Config
    from vidcolor.schema import load, merge

    given = {"fresh": args.fresh, "engine": chosen_engine(args)}
    with downloading(args.quiet) as download:
        if args.plan:
            job = api.open_plan(args.input, args.output, args.plan, layers, download, **given)
        else:
            config = load(Config, functools.reduce(merge, layers))
            job = api.open_job(args.input, args.output, config, download, **given)
    started = time.monotonic()
    with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
        done = job.run(bar)
    seconds = time.monotonic() - started
    _log.info(
        "%s: %d %s%s in %s, %.1f a second",
        args.output, done, job.unit, "" if done == 1 else "s", clock(seconds),
        done / max(seconds, 1e-6),
    )  # fmt: skip
    return 0


def _detect(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = line_config(args, extra)
    from vidcolor import api

    with downloading(args.quiet) as download:
        rows = api.detect_rows(args.input, config, download)
    with Bar(None, "frame", args.quiet, args.stop) as bar:
        api.write_text(args.output, _counted(rows, bar), args.overwrite)
    return 0


def _shots(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = line_config(args, extra)
    from vidcolor import api

    with Bar(None, "frame", args.quiet, args.stop) as bar:
        text = api.find_shots(args.input, config, bar)
    if args.output:
        api.write_text(args.output, [text], args.overwrite)
    else:
        sys.stdout.write(text + "\n")
    return 0


def _counted(lines: Iterator[str], bar: Bar) -> Iterator[str]:
    for line in lines:
        bar(1)
        yield line


def _settings(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor import schema as c

    data = c.read_toml(args.config) if args.config else {}
    from vidcolor.config import Config

    settings = c.load(Config, data, str(args.config))
    for leaf in c.leaves(Config):
        value = functools.reduce(getattr, leaf.path, settings)
        sys.stdout.write(f"--{leaf.name} {value}\n    {leaf.help}\n")
    return 0


def _configure_logging(quiet: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if quiet else logging.INFO,
        format="vidcolor: %(message)s",
        force=True,
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Plain("vidcolor: %(message)s"))
    logging.getLogger("vidcolor").setLevel(logging.WARNING if quiet else logging.INFO)


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to `stop` (only the main thread may ask for that)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _line(text: str) -> None:
    sys.stderr.write(f"vidcolor: {text}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: Arguments without the program's name; default: the process's.

    Returns:
        The exit code.
    """
    share_cores()
    words = joined(sys.argv[1:] if argv is None else argv)
    root = _parser()
    try:
        args, extra = root.parse_known_args(words)
        if args.version:
            from importlib.metadata import version

            sys.stdout.write(f"vidcolor {version('vidcolor')}\n")
            return 0
        if args.command is None:
            root.print_help()
            return 2
        _configure_logging(getattr(args, "quiet", False))
        args.stop = Stop()
        with _signals(args.stop):
            return int(args.run(args, extra))
    except Usage as error:
        _line(str(error))
        return 2
    except ConfigError as error:
        _line(str(error))
        return 2 if str(error).startswith("--") else 1
    except VidcolorError as error:
        _line(" ".join(str(error).split("\n")))
        return 1
    except KeyboardInterrupt:
        _line("interrupted; nothing was written under the final name")
        return 130
    except BrokenPipeError:
        return 1
