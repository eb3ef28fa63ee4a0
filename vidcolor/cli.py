"""The command line: flags, progress bars, exit codes.

Exit codes: 0 done, 1 something of the user's is wrong (one line on stderr), 2 usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vidcolor.errors import ConfigError, VidcolorError

if TYPE_CHECKING:
    from vidcolor.config import Config

__all__ = ["main"]

_log = logging.getLogger("vidcolor")
_LOG_EVERY_S = 10.0

# Torch, OpenCV and FFmpeg take seconds to import: every command imports what it needs when it
# runs, so that `--help` answers at once.


class _Usage(Exception):
    """The command line itself is wrong."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, takes no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise _Usage(f"{message}\n{self.format_usage().strip()}")


class _Stop:
    """Remembers Ctrl-C and SIGTERM, so that half files are removed as after an error.

    What a signal raises can be lost in code that swallows every error; whoever counts progress
    raises it again by `check`.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def __call__(self, number: int, frame: object) -> None:
        self._number = number
        self.check()

    def check(self) -> None:
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is not None:
            raise SystemExit(128 + self._number)


class _Bar:
    """Progress: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

    def __init__(self, total: int | None, unit: str, quiet: bool, stop: _Stop) -> None:
        self._bar: Any = None
        self._stop = stop
        self._around = ExitStack()
        self._quiet = quiet
        self._unit = unit
        self._total = total
        self._done = 0
        self._started = self._said = time.monotonic()
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._bar = self._around.enter_context(
                tqdm(total=total, unit=unit, dynamic_ncols=True, smoothing=0.1)
            )
            self._around.enter_context(logging_redirect_tqdm())

    def __call__(self, count: int) -> None:
        self._stop.check()
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self._quiet and time.monotonic() - self._said >= _LOG_EVERY_S:
            self._said = time.monotonic()
            self._say()

    def _say(self) -> None:
        rate = self._done / max(1e-6, time.monotonic() - self._started)
        text = f"{self._done}{f' of about {self._total}' if self._total else ''} {self._unit}s"
        left = ""
        if self._total and self._total > self._done:
            left = f", {_clock((self._total - self._done) / max(rate, 1e-6))} left"
        _log.info("%s, %.1f a second%s", text, rate, left)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._around.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _seconds(text: str) -> float:
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


def _parser() -> _Parser:
    root = _Parser(
        prog="vidcolor",
        description="Colorizes black-and-white films: luma carried, chroma added, steady.",
        epilog="vidcolor COMMAND --help tells more; nobody needs an option for a good result.",
    )
    root.add_argument("--version", action="store_true", help="print the version")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, summary: str, run: Callable[..., int], **settings: Any) -> _Parser:
        parser = commands.add_parser(name, help=summary, description=summary, **settings)
        parser.set_defaults(run=run)
        return parser

    color = add(
        "colorize",
        "color a video, a picture or a folder of pictures",
        _colorize,
        epilog=_EVERY_KEY,
    )
    color.add_argument("input", type=Path, help="a video, a picture, or a folder of pictures")
    color.add_argument("output", type=Path, help="the same in color: .mkv, .mp4, .mov, .png, ...")
    _add_line_flags(color)
    color.add_argument("--colorizer", help="network; default: quarternet")
    color.add_argument("--weights", help="name of known weights, or a file; default: starter")
    color.add_argument("--codec", help="h264 (default), h265, av1, prores, ffv1 (lossless)")
    color.add_argument("--crf", help="quality of the encoder, lower is better")
    color.add_argument("--preset", help="speed of the encoder, in its own words")
    color.add_argument("--pix-fmt", help="pixel format, like yuv420p10le")
    color.add_argument("--no-stabilize", action="store_true", help="color every frame by itself")
    color.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    color.add_argument(
        "--keep-partial",
        action="store_true",
        help="of a film that breaks off, keep what could be decoded as OUTPUT.partial.EXT",
    )

    detect = add(
        "detect", "write the objects that the line sees as JSON lines", _detect, epilog=_EVERY_KEY
    )
    detect.add_argument("input", type=Path, help="a video")
    detect.add_argument("output", type=Path, help="BOXES.jsonl, one line a frame")
    _add_line_flags(detect)
    detect.add_argument("--overwrite", action="store_true", help="replace BOXES.jsonl")

    shots = add("shots", "list the shots of a video, as JSON", _shots, epilog=_EVERY_KEY)
    shots.add_argument("input", type=Path, help="a video")
    shots.add_argument("output", type=Path, nargs="?", help="SHOTS.json; default: print a table")
    _add_line_flags(shots)
    shots.add_argument("--overwrite", action="store_true", help="replace SHOTS.json")

    weights = add("weights", "list, fetch and import weights", _weights)
    actions = weights.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser)
    actions.required = True
    actions.add_parser("list", help="known weights and whether they are installed")
    actions.add_parser("path", help="the folder that keeps weights")
    fetch = actions.add_parser("fetch", help="download weights")
    fetch.add_argument("name")
    fetch.add_argument("--base-url", help="a mirror: the files' folder there")
    fetch.add_argument("--accept-license", action="store_true")
    take = actions.add_parser("import", help="install weights that you have as files")
    take.add_argument("name")
    take.add_argument("files", type=Path, nargs="+")

    train = add("train", "train a network; a killed run goes on where it was", _train)
    train.add_argument("--config", type=Path, required=True, help="a TOML file, see configs/train")
    train.add_argument("--export", type=Path, help="write the weights here when done")
    train.add_argument("--quiet", action="store_true", help="print errors only")

    settings = add("settings", "print every key of the config with its default", _settings)
    settings.add_argument("--config", type=Path, help="a TOML file to lay over the defaults")
    return root


_EVERY_KEY = (
    "Every key of the config is a flag too (--stabilize.tau 4); `vidcolor settings` lists them. "
    "Layers: defaults, --config, environment (VIDCOLOR_STABILIZE__TAU=4), flags."
)


def _add_line_flags(parser: _Parser) -> None:
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    parser.add_argument(
        "--detector", help="auto, torchvision, detectron2, motion, boxes:FILE or none"
    )
    parser.add_argument("--shots", help="SHOTS.json that replaces the search for cuts")
    parser.add_argument("--start", type=_seconds, help="begin here: seconds or h:mm:ss")
    parser.add_argument("--duration", type=_seconds, help="this long: seconds or h:mm:ss")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--precision", help="auto, float32, bfloat16, float16")
    parser.add_argument("--batch-size", help="frames at a time")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def _config(args: argparse.Namespace, extra: Sequence[str]) -> Config:
    """All layers: defaults, file, environment, flags."""
    from vidcolor import schema as c
    from vidcolor.config import SHORT_NAMES, Config

    flags: dict[str, Any] = {}
    known = {leaf.name: leaf for leaf in c.leaves(Config)}
    for name, text in _pairs(extra, known):
        leaf = known[name]
        c.put(flags, leaf.path, c.parse(text, leaf))
    for short, path in SHORT_NAMES.items():
        value = getattr(args, short, None)
        if value is None or value is False:
            continue
        if isinstance(value, str):
            value = c.parse(value, known[".".join(path)])
        c.put(flags, path, value)
    if getattr(args, "no_stabilize", False):
        c.put(flags, ("stabilize", "enabled"), False)
    data: dict[str, Any] = {}
    if args.config:
        data = c.read_toml(args.config)
        c.load(Config, data, str(args.config))
    data = c.merge(data, c.from_environment(Config))
    return c.load(Config, c.merge(data, flags))


def _pairs(extra: Sequence[str], known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """`--a.b value` and `--a.b=value`."""
    rest = list(extra)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise _Usage(f"unexpected argument {flag!r}")
        name, equals, text = flag[2:].partition("=")
        name = name.replace("-", "_")
        if name not in known:
            raise _Usage(f"unknown option --{name}{_nearest(name, known)}")
        if not equals:
            if not rest:
                raise _Usage(f"--{name} needs a value")
            text = rest.pop(0)
        yield name, text


def _nearest(name: str, known: dict[str, Any]) -> str:
    from vidcolor.config import SHORT_NAMES

    flags = [*known, *(short.replace("_", "-") for short in SHORT_NAMES), "no-stabilize", "config"]
    near = difflib.get_close_matches(name, flags, 1)
    return f"; did you mean --{near[0]}?" if near else "; `vidcolor settings` lists all keys"


@contextmanager
def _download(quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
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


def _colorize(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra)
    from vidcolor import api

    with _download(args.quiet) as download:
        job = api.open_job(args.input, args.output, config, download)
    started = time.monotonic()
    with _Bar(job.total, job.unit, args.quiet, args.stop) as bar:
        done = job.run(bar)
    seconds = time.monotonic() - started
    _log.info(
        "%s: %d %s%s in %s, %.1f a second",
        args.output, done, job.unit, "" if done == 1 else "s", _clock(seconds),
        done / max(seconds, 1e-6),
    )  # fmt: skip
    return 0


def _detect(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra)
    from vidcolor import api

    with _download(args.quiet) as download:
        rows = api.detect_rows(args.input, config, download)
    with _Bar(None, "frame", args.quiet, args.stop) as bar:
        api.write_text(args.output, _counted(rows, bar), args.overwrite)
    return 0


def _shots(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra)
    from vidcolor import api

    with _Bar(None, "frame", args.quiet, args.stop) as bar:
        text = api.find_shots(args.input, config, bar)
    if args.output:
        api.write_text(args.output, [text], args.overwrite)
    else:
        sys.stdout.write(text + "\n")
    return 0


def _counted(lines: Iterator[str], bar: _Bar) -> Iterator[str]:
    for line in lines:
        bar(1)
        yield line


def _weights(args: argparse.Namespace, extra: Sequence[str]) -> int:
    _refuse(extra)
    from vidcolor.models import store as w

    if args.action == "list":
        sys.stdout.write(f"{_table(w)}\nfetched and imported files are kept in {w.cache_dir()}\n")
    elif args.action == "path":
        sys.stdout.write(f"{w.cache_dir()}\n")
    elif args.action == "fetch":
        with _download(False) as download:
            paths = w.fetch(
                args.name,
                base_url=args.base_url,
                accept_license=args.accept_license,
                progress=download,
            )
        _log.info("installed %s", ", ".join(str(path) for path in paths))
    else:
        paths = w.import_files(args.name, args.files)
        _log.info("installed %s", ", ".join(str(path) for path in paths))
    return 0


def _train(args: argparse.Namespace, extra: Sequence[str]) -> int:
    from vidcolor import schema as c
    from vidcolor.train.run import TrainConfig, export, train

    known = {leaf.name: leaf for leaf in c.leaves(TrainConfig)}
    flags: dict[str, Any] = {}
    for name, text in _pairs(extra, known):
        c.put(flags, known[name].path, c.parse(text, known[name]))
    data = c.merge(c.read_toml(args.config), flags)
    config = c.load(TrainConfig, data, str(args.config))
    with _Bar(config.fit.steps, "step", args.quiet, args.stop) as bar:
        shown = 0
        for progress in train(config):
            bar(progress.report.step - shown)
            shown = progress.report.step
            if progress.scores:
                _log.info(
                    "step %d: PSNR %.2f dB (%+.2f over gray), chroma %.1f of %.1f",
                    shown, progress.scores.psnr, progress.scores.gain,
                    progress.scores.chroma, progress.scores.chroma_true,
                )  # fmt: skip
    if args.export:
        export(config, args.export)
        _log.info("wrote %s", args.export)
    return 0


def _settings(args: argparse.Namespace, extra: Sequence[str]) -> int:
    _refuse(extra)
    from vidcolor import schema as c
    from vidcolor.config import Config

    data = c.read_toml(args.config) if args.config else {}
    settings = c.load(Config, data, str(args.config))
    for leaf in c.leaves(Config):
        value = functools.reduce(getattr, leaf.path, settings)
        sys.stdout.write(f"--{leaf.name} {value}\n    {leaf.help}\n")
    return 0


def _table(w: Any) -> str:
    rows = [("name", "network", "license", "size", "sha256", "installed", "source")]
    for row in w.list_weights():
        size = "" if row.size is None else f"{row.size / 1e6:.1f} MB"
        rows.append(
            (row.name, row.model, row.license, size, row.sha256[:12], row.installed, row.source)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _refuse(extra: Sequence[str]) -> None:
    if extra:
        raise _Usage(f"unknown option {extra[0]}")


def _configure_logging(quiet: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if quiet else logging.INFO,
        format="vidcolor: %(message)s",
        force=True,
    )
    logging.getLogger("vidcolor").setLevel(logging.WARNING if quiet else logging.INFO)


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
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
    words = sys.argv[1:] if argv is None else list(argv)
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
        args.stop = _Stop()
        with _signals(args.stop):
            return int(args.run(args, extra))
    except _Usage as error:
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


if __name__ == "__main__":
    raise SystemExit(main())
