"""`vidcolor plan`: write the color script of a film."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli.line import add_line_flags, line_config
from vidcolor.cli.terminal import Bar, Parser, Usage, downloading

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "The script holds shots and tracks; what is to be done with them is added by hand, see "
    "docs/color-script.md. Then: vidcolor colorize INPUT OUTPUT --plan film.vidcolor. Settings "
    "that are given here as flags or by --config are kept in it."
)


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    plan = add("plan", "write the color script of a film", _plan, epilog=_EPILOG)
    plan.add_argument("input", type=Path, help="a video")
    plan.add_argument("output", type=Path, help="film.vidcolor, the color script")
    add_line_flags(plan)
    plan.add_argument("--no-tracks", action="store_true", help="only find shots: far faster")
    plan.add_argument(
        "--keep", type=Path, metavar="OLD", help="take over what another script of the film says"
    )
    plan.add_argument(
        "--overwrite", action="store_true", help="replace the script, with all that it says"
    )


def _plan(args: argparse.Namespace, extra: Sequence[str]) -> int:
    if args.start is not None or args.duration is not None:
        raise Usage("a color script is of a whole film; leave out --start and --duration")
    config = line_config(args, extra)
    from vidcolor.api import write_text
    from vidcolor.errors import MediaError
    from vidcolor.guidance.script.carry import carry_over
    from vidcolor.guidance.script.file import check_source, read_script, script_text
    from vidcolor.planning import plan_film

    if args.output.exists() and not args.overwrite:
        raise MediaError(f"{args.output}: exists; use --overwrite to replace it")
    old = None
    if args.keep:
        old = read_script(args.keep)
        check_source(old, args.keep, args.input)
    with downloading(args.quiet) as download, Bar(None, "frame", args.quiet, args.stop) as bar:
        script = plan_film(
            args.input, config, tracks=not args.no_tracks, progress=bar, download=download
        )
    if old is not None:
        script = carry_over(old, script)
    write_text(args.output, [script_text(script)], args.overwrite)
    _log.info(
        "%s: %d shots, %d tracks, %d objects",
        args.output, len(script.shots), len(script.tracks),
        len({entry.identity for entry in script.tracks}),
    )  # fmt: skip
    return 0
