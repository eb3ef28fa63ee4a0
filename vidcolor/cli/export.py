"""The command that writes a colorizer as a file for other programs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli.terminal import Parser, refuse

__all__ = ["add_command"]

_EPILOG = (
    "The file takes any number of pictures, of any size unless --size is given, and is written "
    "only if it answers as the network does. `vidcolor colorize --weights OUT.onnx` uses it. "
    "docs/export.md tells more."
)


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    export = add(
        "export",
        "write a colorizer as ONNX or as a PyTorch program, for other programs",
        _export,
        epilog=_EPILOG,
    )
    export.add_argument("weights", help="name of known weights, a file, or recipe")
    export.add_argument("output", type=Path, help="OUT.onnx or OUT.pt2")
    export.add_argument("--colorizer", default="auto", help="network, where weights are recipe")
    export.add_argument(
        "--size", type=_size, metavar="HEIGHTxWIDTH", help="of the only pictures it is to take"
    )
    more = export.add_mutually_exclusive_group()
    more.add_argument("--hints", action="store_true", help="with inputs for given colors")
    more.add_argument(
        "--whole",
        action="store_true",
        help="with vectors of whole pictures, to hold them through a shot or to transfer style",
    )
    export.add_argument("--opset", type=int, help="version of ONNX's operators; default: 18")
    export.add_argument("--overwrite", action="store_true", help="replace OUT")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write HEIGHTxWIDTH, like 256x448")
    return int(found[1]), int(found[2])


def _export(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor.export import OPSET, export_colorizer
    from vidcolor.models.onnx import LEFT_OUT

    report = export_colorizer(
        args.weights,
        args.output,
        colorizer=args.colorizer,
        size=args.size,
        hints=args.hints,
        whole=args.whole,
        opset=OPSET if args.opset is None else args.opset,
        overwrite=args.overwrite,
    )
    card = report.card
    size = f"{args.size[0]}x{args.size[1]}" if args.size else "any size"
    lines = [
        f"{report.path}: {card.model}, {report.size_bytes / 1e6:.1f} MB",
        f"{', '.join(card.inputs)} -> {', '.join(card.outputs)}, for any number of pictures of "
        f"{size}, sides in multiples of {card.multiple}",
        f"differs from PyTorch by at most {report.difference:.2g} (a*b* up to "
        f"{report.largest:.3g}, {len(report.compared)} comparisons, limit {report.allowed:.2g})",
    ]
    lines += [f"without {LEFT_OUT[name]}" for name in card.left_out]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
