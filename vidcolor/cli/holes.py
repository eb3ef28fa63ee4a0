"""The command that makes sets of masks, shows them and says what is in them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vidcolor.cli.terminal import Bar, Parser, Usage, refuse

if TYPE_CHECKING:
    from vidcolor.holes.outlines import Hole

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

T = TypeVar("T")

_SHOWN = 24
_EPILOG = "White is damaged, in every mask of every command. docs/holes.md tells more."
_KINDS = ("strokes", "thin", "shapes", "rectangles", "walk", "film", "thin_film")
_CLASSES = ("0.01-0.1", "0.1-0.2", "0.2-0.3", "0.3-0.4", "0.4-0.5", "0.5-0.6")


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    masks = add(
        "masks", "make sets of masks (holes to be filled), and look at them", _nothing,
        epilog=_EPILOG,
    )  # fmt: skip
    actions = masks.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    actions.required = True
    for name, summary, enter in (
        ("build", "draw a set of masks by seed", _enter_build),
        ("show", "a sheet of masks of a folder, or of a kind", _enter_show),
        ("sort", "count share and border of the masks of a folder", _enter_sort),
    ):
        action = actions.add_parser(name, help=summary, description=summary, epilog=_EPILOG)
        action.add_argument("--quiet", action="store_true", help="print errors only")
        enter(action)


def _enter_build(build: Parser) -> None:
    build.set_defaults(run=_build)
    build.add_argument("out", type=Path, metavar="OUT_DIR", help="the folder of the set")
    build.add_argument("--count", type=_positive, required=True, help="number of masks")
    build.add_argument("--size", type=_positive, default=512, help="their side in pixels (512)")
    build.add_argument(
        "--kinds", nargs="+", choices=_KINDS, default=_KINDS, metavar="KIND",
        help=f"what is drawn: {', '.join(_KINDS)}; default: all",
    )  # fmt: skip
    build.add_argument(
        "--classes", nargs="+", choices=_CLASSES, default=_CLASSES, metavar="SHARE",
        help=f"how much of the picture is hole: {', '.join(_CLASSES)}; default: all in turn",
    )  # fmt: skip
    build.add_argument(
        "--border", choices=("with", "without", "both"), default="both",
        help="whether holes touch the border; default: both in turn",
    )  # fmt: skip
    build.add_argument("--seed", type=_seed, default=0, help="another number, another set (0)")
    build.add_argument("--overwrite", action="store_true", help="replace the set in OUT_DIR")


def _enter_show(show: Parser) -> None:
    show.set_defaults(run=_show)
    show.add_argument("what", metavar="DIR_OR_KIND", help=f"a folder, or {', '.join(_KINDS)}")
    show.add_argument("--out", type=Path, required=True, help="SHEET.png")
    show.add_argument(
        "--count", type=_positive, default=_SHOWN, help=f"most masks on the sheet ({_SHOWN})"
    )
    show.add_argument("--size", type=_positive, default=512, help="of a kind: its side (512)")
    show.add_argument("--seed", type=_seed, default=0, help="of a kind: another number, others")
    show.add_argument("--invert", action="store_true", help="white means valid in the folder")
    show.add_argument("--overwrite", action="store_true", help="replace SHEET.png")


def _enter_sort(sort: Parser) -> None:
    sort.set_defaults(run=_sort)
    sort.add_argument("folder", type=Path, metavar="DIR", help="any folder of masks")
    sort.add_argument("--invert", action="store_true", help="white means valid in the folder")


def _positive(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return int(text)


def _nothing(args: argparse.Namespace, extra: Sequence[str]) -> int:
    raise Usage("masks needs an action: build, show or sort")


def _build(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor.holes.files import SetConfig, build_set

    config = SetConfig(
        count=args.count,
        size=args.size,
        kinds=tuple(args.kinds),
        classes=tuple(_CLASSES.index(name) for name in args.classes),
        border=args.border,
        seed=args.seed,
    )
    with Bar(config.count, "mask", args.quiet, args.stop) as bar:
        build_set(args.out, config, overwrite=args.overwrite, progress=bar)
    _log.info("%s: %d mask%s", args.out, config.count, "" if config.count == 1 else "s")
    return 0


def _show(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor.holes.sheet import draw_sheet
    from vidcolor.io.image import save_png

    cells = _drawn(args) if args.what in _KINDS else _read(args)
    with Bar(None, "mask", args.quiet, args.stop) as bar:
        save_png(args.out, draw_sheet(list(_counted(cells, bar))), args.overwrite)
    _log.info("wrote %s", args.out)
    return 0


def _drawn(args: argparse.Namespace) -> Iterator[tuple[str, Hole]]:
    """Holes of a kind as they come."""
    import numpy as np

    from vidcolor.holes.classes import share
    from vidcolor.holes.draw import draw_hole

    for index in range(args.count):
        rng = np.random.default_rng((args.seed, index))
        hole = draw_hole(args.what, (args.size, args.size), rng)
        yield f"{args.seed}-{index}  {share(hole):.3f}", hole


def _read(args: argparse.Namespace) -> Iterator[tuple[str, Hole]]:
    """Masks of a folder, evenly over it."""
    from vidcolor.errors import ConfigError
    from vidcolor.holes.classes import share
    from vidcolor.holes.files import HoleFiles

    folder = Path(args.what)
    if not folder.is_dir():
        raise ConfigError(f"{args.what}: is neither a folder nor a kind ({', '.join(_KINDS)})")
    files = HoleFiles(folder, args.invert)
    count = min(args.count, len(files))
    for place in range(count):
        index = place * len(files) // count
        hole = files.read(index)
        yield f"{files.paths[index].stem[:16]}  {share(hole):.3f}", hole


def _sort(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor.holes.files import HoleFiles
    from vidcolor.holes.sheet import set_table

    files = HoleFiles(args.folder, args.invert)
    with Bar(len(files), "mask", args.quiet, args.stop) as bar:
        table = set_table(_counted(files.measured(), bar))
    sys.stdout.write(f"{table}\n")
    return 0


def _counted(items: Iterator[T], bar: Bar) -> Iterator[T]:
    for item in items:
        bar(1)
        yield item
