"""`vidcolor restore`: heal damage, without coloring."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli.line import EVERY_KEY, add_line_flags, line_config
from vidcolor.cli.terminal import Bar, Parser, Usage, clock

__all__ = ["add_command", "add_repair_flags"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "Outside the places that are healed every code value stays the source's (.mkv is lossless). "
    "Of a picture only what --masks marks is filled, unless --restore.stills finds more. "
    + EVERY_KEY
)


def add_repair_flags(parser: Parser) -> None:
    """Flags of repair, for this command and for colorize."""
    parser.add_argument("--sensitivity", help="low, normal, high or maximum")
    parser.add_argument(
        "--masks", metavar="MASKS", help="your own: white is damaged; replaces the search for it"
    )
    parser.add_argument("--protect", metavar="MASKS", help="white is never touched")
    parser.add_argument(
        "--spots", help="SPOTS.jsonl by --spots-out, edited: accept or reject spots"
    )


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    restore = add(
        "restore", "heal scratches, dust and holes of a video or picture", _restore, epilog=_EPILOG
    )
    restore.add_argument("input", type=Path, help="a video, a picture, or a folder of pictures")
    restore.add_argument(
        "output",
        type=Path,
        nargs="?",
        help="the same, healed; left out: only look (--preview, ...)",
    )
    add_line_flags(restore)
    add_repair_flags(restore)
    restore.add_argument("--strength", help="part of the repair that is applied, 0 to 1 (1)")
    restore.add_argument("--deflicker", help="level pulsing light, 0 to 1 (0); changes all luma")
    restore.add_argument("--steady", help="hold a shaking picture, 0 to 1 (0); changes all luma")
    restore.add_argument("--repair-weights", help="network for what time cannot tell, or none")
    restore.add_argument(
        "--preview", type=Path, help="SHEET.png of what was found, or a film with damage in color"
    )
    restore.add_argument("--masks-out", type=Path, help="final masks: a folder, .mkv or .png")
    restore.add_argument("--spots-out", type=Path, help="SPOTS.jsonl: what was found, to be edited")
    restore.add_argument("--codec", help="ffv1 (.mkv: exact), h264, h265, av1, prores")
    restore.add_argument("--crf", help="quality of lossy encoders, lower is better")
    restore.add_argument("--preset", help="speed of the encoder, in its own words")
    restore.add_argument("--pix-fmt", help="pixel format, like yuv420p10le")
    restore.add_argument("--overwrite", action="store_true", help="replace what exists")
    restore.add_argument(
        "--keep-partial", action="store_true", help="of a film that breaks off, keep OUTPUT.partial"
    )


def _restore(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = line_config(args, extra)
    from vidcolor import restoration

    findings = restoration.Findings(args.masks_out, args.spots_out, args.preview)
    if args.output is None and not findings:
        raise Usage("OUTPUT is missing; without it, ask for --preview, --masks-out or --spots-out")
    job = restoration.open_restoration(args.input, args.output, config, findings)
    started = time.monotonic()
    with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
        tally = job.run(bar)
    seconds = time.monotonic() - started
    sys.stdout.write("\n".join(tally.lines()) + "\n")
    _log.info(
        "%s: %d %s%s in %s, %.1f a second",
        args.output or "nothing written but what was asked for", tally.frames, job.unit,
        "" if tally.frames == 1 else "s", clock(seconds), tally.frames / max(seconds, 1e-6),
    )  # fmt: skip
    return 0
