"""Flags of commands that color: which networks, and what a person says about the color."""

from __future__ import annotations

from pathlib import Path

from vidcolor.cli.restore import add_repair_flags
from vidcolor.cli.terminal import Parser

__all__ = ["add_color_flags", "add_output_flags"]


def add_color_flags(parser: Parser, plan: bool = True) -> None:
    """Flags for `colorize` and for looks at what it would do.

    Args:
        parser: Of the command.
        plan: Whether the command takes one film, which may have a color script.
    """
    parser.add_argument("--restore", action="store_true", help="heal damage first, see restore")
    add_repair_flags(parser)
    parser.add_argument("--colorizer", help="network; default: quarternet")
    parser.add_argument("--weights", help="name of known ones, a file, or recipe; default: starter")
    parser.add_argument(
        "--render-factor", help="size of the network's picture in 16 pixels, as in DeOldify"
    )
    parser.add_argument(
        "--cadence", help="the network looks: auto, every (frame), or every N frames"
    )
    parser.add_argument("--hints", help="HINTS.json, or a folder of painted frames NNNN.png")
    parser.add_argument(
        "--reference",
        nargs="+",
        metavar="PICTURE",
        help="colored pictures of the scene, or frames of the film (frame_000120.png)",
    )
    parser.add_argument(
        "--style",
        metavar="PICTURE",
        help="season, time of day and mood of this one (networks that see the whole: iizuka16)",
    )
    parser.add_argument("--tracks", help="TRACKS.json by `vidcolor tracks`, edited")
    if plan:
        parser.add_argument("--plan", type=Path, help="film.vidcolor by `vidcolor plan`, edited")


def add_output_flags(parser: Parser) -> None:
    """Flags of commands that write whole films in color."""
    parser.add_argument(
        "--codec", help="h264 (default), h265, av1, prores, ffv1 (lossless), h264_nvenc, hevc_nvenc"
    )
    parser.add_argument("--crf", help="quality of the encoder, lower is better")
    parser.add_argument("--preset", help="speed of the encoder, in its own words")
    parser.add_argument("--pix-fmt", help="pixel format, like yuv420p10le")
    parser.add_argument("--format", help="of a pipe: nut (default), matroska or y4m")
    parser.add_argument("--no-stabilize", action="store_true", help="color every frame by itself")
    parser.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    parser.add_argument(
        "--fresh", action="store_true", help="forget what is finished from before, begin anew"
    )
    parser.add_argument(
        "--keep-partial",
        action="store_true",
        help="of a film that breaks off, keep what could be decoded as OUTPUT.partial.EXT",
    )
