"""The command that lists the tracks of a film for a person to name, merge and pin."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli.line import add_line_flags, line_config
from vidcolor.cli.terminal import Bar, Parser, Usage, downloading

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    tracks = add(
        "tracks",
        "list the objects of a video as a file and a sheet of pictures, to name and pin them",
        _tracks,
        epilog="Every key of the config is a flag too; `vidcolor settings` lists them.",
    )
    tracks.add_argument("input", type=Path, help="a video")
    tracks.add_argument("output", type=Path, help="TRACKS.json, one line a track")
    add_line_flags(tracks)
    tracks.add_argument("--sheet", type=Path, help="SHEET.png; default: beside TRACKS.json")
    tracks.add_argument("--no-sheet", action="store_true", help="write no sheet")
    tracks.add_argument(
        "--update",
        action="store_true",
        help="TRACKS.json exists: list anew, keep its names, merges, splits and pins",
    )
    tracks.add_argument(
        "--overwrite", action="store_true", help="replace TRACKS.json and SHEET.png"
    )


def _tracks(args: argparse.Namespace, extra: Sequence[str]) -> int:
    if args.sheet and args.no_sheet:
        raise Usage("--sheet and --no-sheet exclude each other")
    sheet = None if args.no_sheet else args.sheet or args.output.with_suffix(".png")
    if args.input.is_dir():
        raise Usage(f"{args.input}: is a folder; tracks are those of a video")
    config = line_config(args, extra)
    from vidcolor.api import write_text
    from vidcolor.build import build_line, choose_device, load_describer
    from vidcolor.guidance.tracks.file import load_tracks, to_text
    from vidcolor.guidance.tracks.identities import Describer
    from vidcolor.guidance.tracks.sheet import track_sheet
    from vidcolor.guidance.tracks.survey import Survey, to_file
    from vidcolor.guidance.tracks.update import keep_words
    from vidcolor.io.image import write_image
    from vidcolor.io.prefetch import prefetch
    from vidcolor.io.target import Target
    from vidcolor.io.video import VideoReader

    replaced = args.overwrite or args.update
    old = load_tracks(args.output) if args.update and args.output.exists() else None
    for path in (args.output, sheet):  # before any work
        if path is not None:
            Target(path, replaced, (args.input,)).discard()
    device = choose_device(config.device)
    with downloading(args.quiet) as download:
        line = build_line(config, download=download)
    describe = Describer(load_describer(device), device)
    survey = Survey(describe, config.remember.firmness)
    with (
        VideoReader(args.input, config.input) as reader,
        Bar(reader.frames_estimate, "frame", args.quiet, args.stop) as bar,
    ):
        for colored in survey(line(prefetch(reader, 2))):
            bar(len(colored.frames))
    found = survey.finish()
    file = to_file(found, survey.times)
    if old is not None:
        file = keep_words(old, file)
    write_text(args.output, [to_text(file)], replaced)
    if sheet is not None:
        pictures = {one.entry.id: one.picture for one in found}
        write_image(sheet, track_sheet(file.tracks, pictures), overwrite=replaced)
    objects = len({entry.identity for entry in file.tracks})
    _log.info(
        "%s: %d track%s, %d object%s",
        args.output, len(found), "" if len(found) == 1 else "s",
        objects, "" if objects == 1 else "s",
    )  # fmt: skip
    return 0
