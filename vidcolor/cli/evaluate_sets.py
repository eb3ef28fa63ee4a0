"""`vidcolor evaluate pictures` and `vidcolor evaluate videos`: colorizers on data sets."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.cli.terminal import Bar, Parser, Usage, downloading, pairs

if TYPE_CHECKING:
    from vidcolor.evaluate.sets import SetReport
    from vidcolor.evaluate.sets.folder import PictureFolder

__all__ = ["Keys", "add_commands", "joined", "layers"]

_log = logging.getLogger("vidcolor")

_COMMAND = "evaluate"
_KINDS = ("pictures", "videos", "inpaint")
_EPILOG = (
    "DATA comes first. Every key of the protocol is a flag too (--least_chroma 4, "
    "--line.colorize.short_side 256); --keys lists them. Layers: defaults, --config, flags. "
    "docs/measures.md explains protocols and numbers."
)
_DATA = {
    "pictures": "folders, tar shards, pictures, films, COCO annotations (.json), lists (.txt)",
    "videos": "films, folders of frames, folders of such, lists (.txt)",
}


def joined(words: Sequence[str]) -> list[str]:
    """The command line with `evaluate pictures` and its like as one word each."""
    if len(words) > 1 and words[0] == _COMMAND and words[1] in _KINDS:
        return [f"{words[0]} {words[1]}", *words[2:]]
    return list(words)


def add_commands(add: Callable[..., Parser]) -> None:
    """Enter the commands.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    pictures = add(
        "evaluate pictures",
        "compare colorizers on color pictures, by a protocol",
        _pictures,
        epilog=_EPILOG,
    )
    _add_common(pictures, "pictures")
    pictures.add_argument("--way", help="line: as films are colored; network: as papers do")
    pictures.add_argument(
        "--size", type=int, metavar="PX", help="side at which pictures are compared; 0: their own"
    )
    pictures.add_argument("--limit", type=int, metavar="N", help="so many pictures at most")
    pictures.add_argument("--save", type=Path, metavar="DIR", help="keep the colored pictures")
    pictures.add_argument(
        "--mean-of", nargs="+", metavar="TAR", help="a row that wears the mean color of these"
    )
    videos = add(
        "evaluate videos",
        "compare colorizers on color clips whose color is thrown away",
        _videos,
        epilog=_EPILOG,
    )
    _add_common(videos, "videos")
    videos.add_argument("--limit", type=int, metavar="N", help="so many clips at most")
    videos.add_argument("--frames", type=int, metavar="N", help="so many frames of each at most")
    videos.add_argument(
        "--lines", nargs="+", metavar="LINE", help="settings to compare: whole, alone, FILE.toml"
    )


def _add_common(parser: Parser, kind: str) -> None:
    parser.add_argument("data", nargs="+", metavar="DATA", help=_DATA[kind])
    parser.add_argument("--config", type=Path, help="a protocol, as in configs/evaluate")
    parser.add_argument("--folder", type=Path, help="where names in annotations and lists begin")
    parser.add_argument(
        "--colorizer", nargs="+", metavar="NAME", help="networks; all is every one there is"
    )
    parser.add_argument(
        "--weights", nargs="+", metavar="W",
        help="names, files or LABEL=FILE; recipe, installed",
    )  # fmt: skip
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="what is measured; or none")
    parser.add_argument("--speed", action="store_true", help="time, size and memory too")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--precision", help="auto, float32, bfloat16, float16")
    parser.add_argument("--json", type=Path, help="write all numbers to OUT.json")
    parser.add_argument("--table", type=Path, help="write Markdown to OUT.md")
    parser.add_argument("--latex", type=Path, help="write booktabs to OUT.tex")
    parser.add_argument("--sheet", type=Path, help="show colorings side by side on OUT.png")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--keys", action=Keys, kind=kind, nargs=0, help="list every key with its default"
    )
    parser.add_argument("--quiet", action="store_true", help="print the table and errors only")


class Keys(argparse.Action):
    """Lists the keys of a protocol, and ends the program as --help does.

    Args:
        kind: What the protocol is for, see `vidcolor evaluate KIND`.
    """

    def __init__(self, *args: Any, kind: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._kind = kind

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        """List them."""
        from vidcolor import schema

        leaves = list(schema.leaves(_class_of(self._kind)))
        own = [leaf for leaf in leaves if leaf.path[0] != "line"]
        for leaf in own:
            sys.stdout.write(f"--{leaf.name} {leaf.default}\n    {leaf.help}\n")
        if len(own) < len(leaves):
            sys.stdout.write("--line.KEY\n    Every KEY of the line: vidcolor settings\n")
        parser.exit()


def _class_of(kind: str) -> type[Any]:
    from vidcolor.evaluate.inpaint import InpaintConfig
    from vidcolor.evaluate.sets import PicturesConfig, VideosConfig

    return {"pictures": PicturesConfig, "videos": VideosConfig, "inpaint": InpaintConfig}[kind]


def layers(
    kind: str, file: Path | None, extra: Sequence[str]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The protocol as a file has it, and the keys that were given as flags.

    Args:
        kind: What the protocol is for.
        file: A TOML file, or None.
        extra: What the parser did not know.

    Raises:
        ConfigError: If the file is none of that kind, or a value does not fit.
        Usage: If a flag is unknown or lacks its value.
    """
    from vidcolor import schema as c
    from vidcolor.errors import ConfigError

    cls = _class_of(kind)
    below: Mapping[str, Any] = {}
    if file:
        below = c.read_toml(file)
        named = below.get("of", kind)
        if named != kind and named in _KINDS:
            raise ConfigError(f"{file}: is for: vidcolor evaluate {named} DATA ...")
        c.load(cls, below, str(file))
    known = {leaf.name: leaf for leaf in c.leaves(cls)}
    flags: dict[str, Any] = {}
    try:
        for name, text in pairs(extra, known, hint="; --keys lists them"):
            c.put(flags, known[name].path, c.parse(text, known[name]))
    except Usage as error:
        # what was not known yet when DATA was read may have lost its value to it
        first = "; DATA comes before keys" if str(error).endswith("needs a value") else ""
        raise Usage(f"{error}{first}") from None
    return below, flags


def _config(args: argparse.Namespace, extra: Sequence[str], kind: str) -> Any:
    """The protocol: file, flags."""
    from vidcolor import schema as c

    below, flags = layers(kind, args.config, extra)
    for key, given in (("colorizers", args.colorizer), ("metrics", args.metrics)):
        if given is not None:
            parts = [part for text in given for part in text.split(",")]
            flags[key] = [] if parts == ["none"] else parts
    for key in ("weights", "lines", "limit", "size", "way", "frames"):
        if getattr(args, key, None) is not None:
            flags[key] = getattr(args, key)
    for key in ("device", "precision"):
        if getattr(args, key) is not None:
            c.put(flags, ("line", key), getattr(args, key))
    if args.speed:
        flags["speed"] = True
    if getattr(args, "mean_of", None):
        from vidcolor.io.shards import Pictures
        from vidcolor.train.measured import mean_ab

        flags["mean_color"] = [*mean_ab(Pictures(tuple(args.mean_of)))]
    return c.load(_class_of(kind), c.merge(below, flags), "options")


_SUFFIXES = {"json": ".json", "table": ".md", "latex": ".tex", "sheet": ".png"}


def _check_outputs(args: argparse.Namespace) -> None:
    """Before the work, not after it."""
    from vidcolor.errors import MediaError

    seen: set[Path] = set()
    for name, suffix in _SUFFIXES.items():
        path: Path | None = getattr(args, name)
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            raise MediaError(f"{path}: --{name} writes {suffix}; name it {path.stem}{suffix}")
        if path.exists() and not args.overwrite:
            raise MediaError(f"{path}: exists; use --overwrite to replace it")
        if not path.absolute().parent.is_dir():
            raise MediaError(f"{path}: there is no folder {path.absolute().parent}")
        if path.absolute() in seen:
            raise MediaError(f"{path}: is named twice")
        seen.add(path.absolute())


def _pictures(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra, "pictures")
    _check_outputs(args)
    from vidcolor.evaluate.sets.folder import PictureFolder
    from vidcolor.evaluate.sets.pictures import PictureJob

    with ExitStack() as stack:
        save: PictureFolder | None = None
        if args.save:
            save = stack.enter_context(PictureFolder(args.save, args.overwrite))
        with downloading(args.quiet) as download:
            job = PictureJob(args.data, config, args.folder, download)
        with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
            report = job.run(bar, save)
        _write(args, report, job)
        if save is not None:
            save.land()
    return 0


def _videos(args: argparse.Namespace, extra: Sequence[str]) -> int:
    config = _config(args, extra, "videos")
    _check_outputs(args)
    from vidcolor.evaluate.sets.videos import VideoJob

    with downloading(args.quiet) as download:
        job = VideoJob(args.data, config, args.folder, download)
    with Bar(job.total, job.unit, args.quiet, args.stop) as bar:
        report = job.run(bar)
    _write(args, report, job)
    return 0


def _write(args: argparse.Namespace, report: SetReport, job: Any) -> None:
    """The table on stdout, and the files that were asked for."""
    from vidcolor.api import write_text
    from vidcolor.evaluate.sets.gallery import draw_gallery
    from vidcolor.evaluate.sets.markup import to_latex, to_markdown, to_text
    from vidcolor.io.image import save_png

    sys.stdout.write(to_text(report))
    if args.json:
        write_text(args.json, [report.to_json()], args.overwrite)
    if args.table:
        write_text(args.table, [to_markdown(report)], args.overwrite)
    if args.latex:
        write_text(args.latex, [to_latex(report)], args.overwrite)
    if args.sheet:
        save_png(args.sheet, draw_gallery(job.columns, job.gallery), args.overwrite)
    written = [path for name in (*_SUFFIXES, "save") if (path := getattr(args, name, None))]
    if written:
        _log.info("wrote %s", ", ".join(str(path) for path in written))
