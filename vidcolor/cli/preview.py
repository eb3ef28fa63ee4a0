"""`vidcolor preview`: look before the long run; a sheet, a clip, or the page."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.cli.color_flags import add_color_flags
from vidcolor.cli.line import EVERY_KEY, add_line_flags, line_layers
from vidcolor.cli.terminal import Bar, Parser, Usage, clock, downloading, must_be_there, seconds

if TYPE_CHECKING:
    from vidcolor.preview.contender import Contender

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "Without options: a sheet of every shot, before and after. With --at: a clip, before and after "
    "side by side, that every browser plays. With --serve: a page on which color is changed by "
    "clicks and kept in a color script. " + EVERY_KEY
)
_CLIP = ("at", "layout", "height")
_SHEET = ("boxes", "limit", "columns", "width")
_PAGE = ("port", "host", "token", "folder", "no_browser", "upload_limit")
_UPLOADS = Path("vidcolor-films")
_NAME_BYTES = 220  # of a film's name in names that are made of it; disks take 255
_GIB = 1 << 30


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    preview = add(
        "preview", "look at a video in color before the long run", _preview, epilog=_EPILOG
    )
    preview.add_argument(
        "input",
        type=Path,
        nargs="*",
        help="a video or picture; for --serve several, or folders, or none",
    )
    preview.add_argument(
        "--out", type=Path, help="SHEET.png or CLIP.mp4; default: INPUT-preview.png or .mp4, here"
    )
    preview.add_argument(
        "--compare",
        nargs="+",
        metavar="WAY",
        help="two or more: colorizers, weights, configs (.toml), color scripts (.vidcolor)",
    )
    preview.add_argument("--boxes", action="store_true", help="sheet: objects and their numbers")
    preview.add_argument("--limit", type=int, metavar="N", help="sheet: so many shots at most")
    preview.add_argument("--columns", type=int, metavar="N", help="sheet: shots beside each other")
    preview.add_argument("--width", type=int, metavar="PX", help="sheet: its width at most")
    preview.add_argument("--at", type=seconds, help="clip: begin here, seconds or h:mm:ss")
    preview.add_argument(
        "--layout", help="clip: side (default), split, or wipe, whose line travels"
    )
    preview.add_argument(
        "--height", type=int, metavar="PX", help="clip: lines at most; default 1080"
    )
    preview.add_argument("--serve", action="store_true", help="open the page in a browser")
    preview.add_argument("--port", type=int, help="page: default 8470, or another if it is taken")
    preview.add_argument("--host", help="page: default 127.0.0.1, which only this machine reaches")
    preview.add_argument("--token", help="page: a secret that browsers must bring along")
    preview.add_argument(
        "--folder", type=Path, metavar="DIR", help=f"page: for uploads; default {_UPLOADS}"
    )
    preview.add_argument("--no-browser", action="store_true", help="page: only print its address")
    preview.add_argument(
        "--upload-limit", type=float, metavar="GB", help="page: size of an upload; default 16"
    )
    add_line_flags(preview)
    add_color_flags(preview)
    preview.add_argument("--no-stabilize", action="store_true", help="color every frame by itself")
    preview.add_argument("--overwrite", action="store_true", help="replace what exists")


def _preview(args: argparse.Namespace, extra: Sequence[str]) -> int:
    if args.start is not None and args.at is not None:
        raise Usage("--at and --start are the same; leave one out")
    args.at = args.at if args.start is None else args.start
    if args.serve:
        return _serve(args, line_layers(args, extra))
    _refuse(args, _PAGE, "is for --serve")
    if len(args.input) != 1:
        raise Usage(f"name one video, not {len(args.input)}; only --serve takes several or none")
    if args.input[0].is_dir():
        raise Usage(f"{args.input[0]}: is a folder; name one video, or look at all with --serve")
    must_be_there(args.input)
    if args.at is None:
        if args.duration is not None:
            raise Usage("--duration is of a clip; say by --at where it begins")
        _refuse(args, _CLIP, "is of a clip; say by --at where it begins")
        return _sheet(args, line_layers(args, extra))
    _refuse(args, _SHEET, "is of a sheet; leave out --at")
    return _clip(args, line_layers(args, extra))


def _refuse(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    for name in names:
        if getattr(args, name) not in (None, False):
            raise Usage(f"--{name.replace('_', '-')} {why}")


def _given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Options that were given; what they are otherwise is up to whoever is called."""
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _contenders(
    args: argparse.Namespace, layers: Sequence[Mapping[str, Any]]
) -> tuple[Contender, ...]:
    from vidcolor.preview.contender import find_contenders, one_contender

    if args.compare:
        return find_contenders(args.compare, layers, args.plan)
    return (one_contender("after", layers, args.plan),)


def _beside(source: Path, suffix: str) -> Path:
    """The name of what is made of a film, in the working folder."""
    stem = os.fsencode(source.stem)[:_NAME_BYTES].decode(errors="ignore")
    return Path(f"{stem}-preview{suffix}")


def _sheet(args: argparse.Namespace, layers: Sequence[Mapping[str, Any]]) -> int:
    (source,) = args.input
    out = args.out or _beside(source, ".png")
    if out.suffix.lower() == ".mp4":
        raise Usage(f"{out}: a sheet is written as .png; for a clip say by --at where it begins")
    contenders = _contenders(args, layers)
    from vidcolor.preview.contender import one_contender
    from vidcolor.preview.sheet import make_sheet

    with downloading(args.quiet) as download, Bar(None, "shot", args.quiet, args.stop) as bar:
        pages = make_sheet(
            source,
            out,
            one_contender("after", layers).config,
            script=args.plan,
            layers=layers,
            contenders=contenders if args.compare else (),
            overwrite=args.overwrite,
            progress=bar,
            download=download,
            **_given(args, _SHEET),
        )
    for page in pages:
        _log.info("%s", page)
    return 0


def _clip(args: argparse.Namespace, layers: Sequence[Mapping[str, Any]]) -> int:
    (source,) = args.input
    out = args.out or _beside(source, ".mp4")
    contenders = _contenders(args, layers)
    from vidcolor.preview.clip import ClipConfig, open_clip

    config = ClipConfig(**_given(args, (*_CLIP, "duration")))
    started = time.monotonic()
    with downloading(args.quiet) as download:
        job = open_clip(
            source, out, contenders, config, overwrite=args.overwrite, download=download
        )
        with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
            done = job.run(bar)
    _log.info(
        "%s: %d frame%s in %s", out, done, "" if done == 1 else "s",
        clock(time.monotonic() - started),
    )  # fmt: skip
    return 0


def _serve(args: argparse.Namespace, layers: Sequence[Mapping[str, Any]]) -> int:
    why = "is not for --serve; films and scripts are opened on the page"
    _refuse(args, (*_CLIP, *_SHEET, "duration", "compare", "out", "plan", "overwrite"), why)
    options = _given(args, ("port", "host", "token"))
    if args.upload_limit is not None:
        if not args.upload_limit > 0:
            raise Usage(f"--upload-limit must be more than 0 GB, not {args.upload_limit}")
        options["upload_limit"] = round(args.upload_limit * _GIB)
    from vidcolor.preview.web.server.serve import serve

    return serve(
        args.input,
        layers,
        folder=args.folder or _UPLOADS,
        browser=not args.no_browser,
        stop=args.stop,
        **options,
    )
