"""Flags that say who colors: this process, or many workers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from vidcolor.cli.terminal import Parser, Usage

if TYPE_CHECKING:
    from vidcolor.distributed.engine import Engine

__all__ = ["add_engine_flags", "chosen_engine"]

_LOCAL, _RAY = "local", "ray"


def add_engine_flags(parser: Parser) -> None:
    """Flags for commands that color whole films."""
    parser.add_argument(
        "--engine",
        choices=(_LOCAL, _RAY),
        default=_LOCAL,
        help="local (default): in this process; ray: on all GPUs of this machine or of a cluster",
    )
    parser.add_argument(
        "--address",
        help="Ray cluster to join: auto on its head, or HOST:PORT; default: this machine alone",
    )
    parser.add_argument(
        "--workers", type=int, help="how many; default: one a GPU, or one for every four cores"
    )


def chosen_engine(args: argparse.Namespace) -> Engine | None:
    """The engine that the flags ask for; None: no other than this process.

    Raises:
        Usage: If flags do not go together.
        ConfigError: If Ray is not installed or a flag is out of range.
    """
    if args.engine == _LOCAL:
        for name in ("address", "workers"):
            if getattr(args, name) is not None:
                raise Usage(f"--{name} is for --engine ray")
        return None
    from vidcolor.distributed.ray_engine import RayEngine

    return RayEngine(args.address, args.workers)
