"""`vidcolor evaluate inpaint`: methods that fill holes, on pictures with holes of known truth."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.cli.evaluate_sets import Keys, layers
from vidcolor.cli.terminal import Bar, Parser

if TYPE_CHECKING:
    from vidcolor.evaluate.inpaint import InpaintConfig, InpaintReport
    from vidcolor.evaluate.inpaint.run import InpaintJob

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_KIND = "inpaint"
_EPILOG = (
    "PICTURES come first. Every key of the protocol is a flag too (--radius 5, "
    "--exemplar.patch 9); --keys lists them. Layers: defaults, --config, flags. "
    "docs/inpainting.md explains protocol and numbers."
)
_FILES = ("results.json", "results.csv", "results.md", "results.tex", "sheet.png")
_LISTS = ("methods", "weights", "classes", "metrics")
_VALUES = ("side", "per_class", "masks", "film_masks", "seed", "channels", "border", "device")


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    parser = add(
        "evaluate inpaint",
        "compare methods that fill holes, by hole size and border, and on film damage",
        _inpaint,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "data", nargs="+", metavar="PICTURES", help="tar shards, folders, pictures, lists (.txt)"
    )
    parser.add_argument("--config", type=Path, help="a protocol, as in configs/evaluate")
    parser.add_argument("--folder", type=Path, help="where names in lists begin")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME",
        help="telea, navier-stokes, exemplar, mean; or none",
    )  # fmt: skip
    parser.add_argument(
        "--weights", nargs="+", metavar="W", help="networks: names, files or LABEL=FILE"
    )
    parser.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="0.01-0.1 to 0.5-0.6, film; default: all"
    )
    parser.add_argument("--border", help="holes that touch the border: with, without, both")
    parser.add_argument("--per-class", type=int, metavar="N", help="pairs in each row; default: 20")
    parser.add_argument("--side", type=int, metavar="PX", help="side of the squares; 0: their own")
    parser.add_argument("--channels", help="gray, rgb, or auto: what the networks want")
    parser.add_argument("--masks", metavar="DIR", help="mask files (white: damaged) for classes")
    parser.add_argument("--film-masks", metavar="DIR", help="the same for the row of film")
    parser.add_argument("--seed", type=int, metavar="N", help="of pairs and drawn holes")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="l1, psnr, ssim, lpips")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="write JSON, CSV, Markdown, LaTeX and a sheet there; started again, it goes on",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="begin anew in DIR")
    parser.add_argument(
        "--keys", action=Keys, kind=_KIND, nargs=0, help="list every key with its default"
    )
    parser.add_argument("--quiet", action="store_true", help="print the tables and errors only")


def _config(args: argparse.Namespace, extra: Sequence[str]) -> InpaintConfig:
    """The protocol: file, flags."""
    from vidcolor import schema as c
    from vidcolor.evaluate.inpaint import InpaintConfig

    below, flags = layers(_KIND, args.config, extra)
    for key in _LISTS:
        given = getattr(args, key)
        if given is not None:
            parts = (
                given if key == "weights" else [one for text in given for one in text.split(",")]
            )
            flags[key] = [] if parts == ["none"] else parts
    for key in _VALUES:
        if getattr(args, key) is not None:
            flags[key] = getattr(args, key)
    return c.load(InpaintConfig, c.merge(below, flags), "options")


def _inpaint(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra)
    from vidcolor.evaluate.inpaint.ledger import Ledger
    from vidcolor.evaluate.inpaint.markup import to_text
    from vidcolor.evaluate.inpaint.run import InpaintJob

    job = InpaintJob(args.data, config, args.folder)
    with Ledger(args.out, args.overwrite) as ledger:
        if ledger.count:
            _log.info("%s: %d fillings are known from before", args.out, ledger.count)
        with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
            report = job.run(bar, ledger)
    sys.stdout.write(to_text(report))
    if args.out:
        _write(args.out, report, job)
    return 0


def _write(folder: Path, report: InpaintReport, job: InpaintJob) -> None:
    from vidcolor.api import write_text
    from vidcolor.evaluate.inpaint.markup import to_latex, to_markdown
    from vidcolor.evaluate.sets.gallery import draw_gallery
    from vidcolor.io.image import save_png

    texts: tuple[Any, ...] = (
        report.to_json(), report.to_csv(), to_markdown(report), to_latex(report),
    )  # fmt: skip
    # what an earlier run left there is of the same folder of results
    for name, text in zip(_FILES, texts, strict=False):
        write_text(folder / name, [text], overwrite=True)
    save_png(folder / _FILES[-1], draw_gallery(job.columns, job.gallery), overwrite=True)
    _log.info("wrote %s", ", ".join(str(folder / name) for name in _FILES))
