"""What commands that run the line have in common: flags, and the settings that come of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.cli.keys import key_names, short_names
from vidcolor.cli.loading import import_line
from vidcolor.cli.terminal import Parser, must_be_there, pairs, seconds

if TYPE_CHECKING:
    from vidcolor.config import Config

__all__ = ["EVERY_KEY", "add_line_flags", "line_config", "line_layers"]

EVERY_KEY = (
    "Every key of the config is a flag too (--stabilize.tau 4); `vidcolor settings` lists them. "
    "Layers: defaults, --config, environment (VIDCOLOR_STABILIZE__TAU=4), flags."
)
"""What the help of such a command ends with."""


def add_line_flags(parser: Parser) -> None:
    """Flags of everything that looks at a film."""
    parser.add_argument("--config", type=Path, help="TOML file with settings")
    parser.add_argument(
        "--detector", help="auto, torchvision, detectron2, motion, boxes:FILE or none"
    )
    parser.add_argument("--shots", help="SHOTS.json that replaces the search for cuts")
    parser.add_argument("--start", type=seconds, help="begin here: seconds or h:mm:ss")
    parser.add_argument("--duration", type=seconds, help="this long: seconds or h:mm:ss")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--precision", help="auto, float32, bfloat16, float16")
    parser.add_argument("--batch-size", help="frames at a time")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def line_layers(args: argparse.Namespace, extra: Sequence[str]) -> list[Mapping[str, Any]]:
    """What the config file, the environment and the flags set, each by itself.

    Raises:
        Usage: If a flag is not known.
        ConfigError: If a layer sets what is no setting, or to what it cannot be.
        MediaError: If there is no file of the input's name.
    """
    named = _named(extra)
    if isinstance(source := getattr(args, "input", None), Path):
        must_be_there([source])
    from vidcolor import schema as c

    data = c.read_toml(args.config) if args.config else {}
    import_line()
    from vidcolor.config import ALONE, SHORT_NAMES, Config

    flags: dict[str, Any] = {}
    known = {leaf.name: leaf for leaf in c.leaves(Config)}
    for name, text in named:
        leaf = known[name]
        c.put(flags, leaf.path, c.parse(text, leaf))
    for short, path in SHORT_NAMES.items():
        value = getattr(args, short, None)
        if value is None or value is False:
            continue
        if isinstance(value, str):
            value = c.parse(value, known[".".join(path)])
        c.put(flags, path, value)
    if getattr(args, "no_stabilize", False):
        flags = c.merge(ALONE, flags)
    if args.config:
        c.load(Config, data, str(args.config))
    return [data, c.from_environment(Config), flags]


def _named(extra: Sequence[str]) -> list[tuple[str, str]]:
    """Keys and values among the arguments that the parser did not know."""
    if not extra:
        return []
    keys = dict.fromkeys(key_names())
    others = [*(name.replace("_", "-") for name in short_names()), "no-stabilize", "config"]
    return list(pairs(extra, keys, others, "; `vidcolor settings` lists all keys"))


def line_config(args: argparse.Namespace, extra: Sequence[str]) -> Config:
    """All layers together.

    Raises:
        Usage: If a flag is not known.
        ConfigError: If a setting is wrong.
    """
    below, environment, flags = line_layers(args, extra)
    from vidcolor.config import Config
    from vidcolor.schema import load, merge

    return load(Config, merge(merge(below, environment), flags))
