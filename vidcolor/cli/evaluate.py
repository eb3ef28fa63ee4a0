"""`vidcolor evaluate`: how steady the color of a film is, and how true; and of data sets."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli import evaluate_inpaint, evaluate_sets
from vidcolor.cli.terminal import Bar, Parser, Usage, must_be_there, pairs, seconds

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "Every key of its settings is a flag too (--motion_side 384); --keys lists them. "
    "docs/measures.md explains the numbers. Colorizers on data sets: vidcolor evaluate pictures, "
    "vidcolor evaluate videos. What fills holes: vidcolor evaluate inpaint."
)


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command, and those of data sets beside it.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    parser = add(
        "evaluate",
        "measure how steady the color of a film is, and how true",
        _evaluate,
        epilog=_EPILOG,
    )
    parser.add_argument("result", type=Path, nargs="?", help="a film in color")
    parser.add_argument("--truth", type=Path, help="the same film in its true color")
    parser.add_argument("--source", type=Path, help="the same film in gray, as it was colored")
    parser.add_argument("--shots", type=Path, help="SHOTS.json that replaces the search for cuts")
    parser.add_argument("--boxes", type=Path, help="BOXES.jsonl: measure inside its tracks too")
    parser.add_argument("--start", type=seconds, help="RESULT is a part that begins here")
    parser.add_argument("--json", type=Path, help="write all numbers to OUT.json")
    parser.add_argument("--plot", type=Path, help="draw curves over time to OUT.png")
    parser.add_argument("--sheet", type=Path, help="show the worst moments on OUT.png")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--keys", action="store_true", help="list every key with its default")
    parser.add_argument("--quiet", action="store_true", help="print the table and errors only")
    evaluate_sets.add_commands(add)
    evaluate_inpaint.add_command(add)


def _evaluate(args: argparse.Namespace, extra: Sequence[str]) -> int:
    if args.result is None and not args.keys:
        raise Usage("RESULT is missing; see vidcolor evaluate --help")
    must_be_there((args.result, args.truth, args.source))
    from vidcolor import schema as c
    from vidcolor.api import write_text
    from vidcolor.errors import MediaError
    from vidcolor.evaluate import EvaluateConfig, evaluate_film
    from vidcolor.evaluate.plot import draw_plot
    from vidcolor.evaluate.sheet import draw_sheet
    from vidcolor.io.image import save_png

    known = {leaf.name: leaf for leaf in c.leaves(EvaluateConfig)}
    if args.keys:
        for leaf in known.values():
            sys.stdout.write(f"--{leaf.name} {leaf.default}\n    {leaf.help}\n")
        return 0
    data: dict[str, object] = {}
    for name, text in pairs(extra, known, hint="; --keys lists them"):
        c.put(data, known[name].path, c.parse(text, known[name]))
    if args.start is not None:
        data["start"] = args.start
    config = c.load(EvaluateConfig, data, "options")
    outputs = [path for path in (args.json, args.plot, args.sheet) if path is not None]
    for path in outputs:  # before the work, not after it
        if path.exists() and not args.overwrite:
            raise MediaError(f"{path}: exists; use --overwrite to replace it")
        if path in (args.plot, args.sheet) and path.suffix.lower() != ".png":
            raise MediaError(f"{path}: is written as PNG; name it {path.stem}.png")
    with Bar(None, "frame", args.quiet, args.stop) as bar:
        report = evaluate_film(
            args.result, truth=args.truth, source=args.source, shots=args.shots,
            boxes=args.boxes, config=config, progress=bar,
        )  # fmt: skip
    sys.stdout.write(report.to_table())
    if args.json:
        write_text(args.json, [report.to_json()], args.overwrite)
    if args.plot:
        save_png(args.plot, draw_plot(report), args.overwrite)
    if args.sheet:
        save_png(args.sheet, draw_sheet(report), args.overwrite)
    if outputs:
        _log.info("wrote %s", ", ".join(str(path) for path in outputs))
    return 0
