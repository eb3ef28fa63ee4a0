"""The commands that train: dataset, train, finetune."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from vidcolor.cli.terminal import Bar, Parser, Usage, downloading, must_be_there, pairs

__all__ = ["add_commands"]

_log = logging.getLogger("vidcolor")

_EVERY_KEY = "Every key of its settings is a flag too, {example}; --keys lists them."

Add = Callable[..., Parser]


def add_commands(add: Add) -> None:
    """Enter the commands.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    dataset = add("dataset", "make sets of color pictures to train on, and look at them", _nothing)
    actions = dataset.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    actions.required = True
    summary = "make a set from films, episodes and pictures"
    build = actions.add_parser(
        "build",
        help=summary,
        description=summary,
        epilog=_EVERY_KEY.format(example="--per_shot 8 (behind the sources)"),
    )
    build.set_defaults(run=_build)
    _sources(build, "films, pictures, folders of pictures, tar shards")
    build.add_argument("--out", type=Path, help="the folder of the set")
    build.add_argument("--config", type=Path, help="a TOML file with settings of the set")
    build.add_argument(
        "--detector", help="who looks for objects: auto, torchvision, detectron2, motion, none"
    )
    build.add_argument(
        "--pairs", action="store_true", help="store a later frame beside each picture of a film"
    )
    build.add_argument(
        "--keep-partial", action="store_true", help="take what can be read of damaged sources"
    )
    build.add_argument("--coco", nargs="+", help="COCO JSON files with the boxes of pictures")
    _common(build)
    summary = "a sheet that shows what film effects do to pictures"
    preview = actions.add_parser("preview", help=summary, description=summary)
    preview.set_defaults(run=_preview)
    _sources(preview, "tar shards, folders of pictures, pictures, films")
    preview.add_argument("--out", type=Path, required=True, help="SHEET.png")
    preview.add_argument("--config", type=Path, help="a training file; its [degrade] is shown")
    preview.add_argument("--seed", type=int, default=0, help="another number, other pictures")
    preview.add_argument("--count", type=int, default=4, help="pictures to show (4)")
    preview.add_argument("--overwrite", action="store_true", help="replace SHEET.png")
    preview.add_argument("--quiet", action="store_true", help="print errors only")

    train = add(
        "train",
        "train a network; a killed run goes on where it was",
        _train,
        epilog=_EVERY_KEY.format(example="--fit.lr 1e-3"),
    )
    train.add_argument("--config", type=Path, help="a TOML file, see configs/train")
    train.add_argument("--phase", help="of a file with several phases, just this one")
    train.add_argument("--export", type=Path, help="write the best weights here when done")
    _common(train)

    tune = add(
        "finetune",
        "adapt a network to a film or series, from episodes in color",
        _finetune,
        epilog=_EVERY_KEY.format(example="--steps 300"),
    )
    tune.add_argument("--on", type=Path, nargs="+", help="episodes in color, folders of pictures")
    tune.add_argument("--for", dest="target", type=Path, help="the black-and-white episode")
    tune.add_argument("--out", type=Path, help="SERIES.safetensors")
    tune.add_argument("--weights", help="what is adapted; default: starter")
    tune.add_argument("--config", type=Path, help="a TOML file with settings")
    tune.add_argument("--overwrite", action="store_true", help="replace SERIES.safetensors")
    _common(tune)


def _sources(parser: Parser, what: str) -> None:
    parser.add_argument("sources", type=Path, nargs="*", metavar="SOURCE", help=what)


def _common(parser: Parser) -> None:
    parser.add_argument("--keys", action="store_true", help="list every key with its default")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def _nothing(args: argparse.Namespace, extra: Sequence[str]) -> int:
    raise Usage("dataset needs an action: build or preview")


def _settings(kind: type[Any], args: argparse.Namespace, extra: Sequence[str], **flags: Any) -> Any:
    """A config of `kind`: defaults, --config, keys, and the flags that have a value."""
    from vidcolor import schema as c

    known = {leaf.name: leaf for leaf in c.leaves(kind)}
    data = c.read_toml(args.config) if args.config else {}
    c.load(kind, data, str(args.config))
    over: dict[str, Any] = {}
    for name, text in pairs(extra, known, hint="; --keys lists them"):
        c.put(over, known[name].path, c.parse(text, known[name]))
    for name, value in flags.items():
        if value is not None:
            c.put(over, tuple(name.split("__")), value)
    return c.load(kind, c.merge(data, over))


def _list_keys(kind: type[Any], settings: Any = None) -> int:
    from vidcolor import schema as c

    for leaf in c.leaves(kind):
        value = "(must be given)" if leaf.default is MISSING else leaf.default
        if settings is not None:
            value = functools.reduce(getattr, leaf.path, settings)
        sys.stdout.write(f"--{leaf.name} {value}\n    {leaf.help}\n")
    return 0


def _need(args: argparse.Namespace, **names: str) -> None:
    for name, shown in names.items():
        if not getattr(args, name):
            raise Usage(f"{shown} is missing; see --help")


def _build(args: argparse.Namespace, extra: Sequence[str]) -> int:
    must_be_there(args.sources, "file or folder")
    from vidcolor.train.dataset.build import BuildConfig, build_dataset
    from vidcolor.train.dataset.report import report_table

    if args.keys:
        return _list_keys(BuildConfig, BuildConfig())
    _need(args, sources="SOURCE", out="--out DIR")
    config = _settings(
        BuildConfig,
        args,
        extra,
        detect__detector=args.detector,
        coco=args.coco,
        pairs=args.pairs or None,
        keep_partial=args.keep_partial or None,
    )
    with downloading(args.quiet) as fetched, Bar(None, "frame", args.quiet, args.stop) as bar:
        report = build_dataset(args.sources, args.out, config, progress=bar, download=fetched)
    sys.stdout.write(f"{report_table(report)}\n")
    _log.info(
        "%s: %s%d pictures to train on, %d to measure on",
        args.out, "" if report.new else "was there already: ", report.total.train,
        report.total.val,
    )  # fmt: skip
    return 0


def _preview(args: argparse.Namespace, extra: Sequence[str]) -> int:
    if extra:
        raise Usage(f"unknown option {extra[0]}")
    _need(args, sources="SOURCE")
    must_be_there(args.sources, "file or folder")
    from vidcolor import schema as c
    from vidcolor.train.degrade import DegradeConfig
    from vidcolor.train.preview import write_preview

    data = c.read_toml(args.config) if args.config else {}
    config = c.load(DegradeConfig, data.get("degrade", {}), f"{args.config}.degrade")
    side = int(max(data.get("data", {}).get("sizes", (128,))))
    with Bar(None, "row", args.quiet, args.stop) as bar:
        write_preview(
            args.sources, args.out, config, args.seed, args.count, side=side,
            overwrite=args.overwrite, progress=bar,
        )  # fmt: skip
    _log.info("wrote %s", args.out)
    return 0


def _train(args: argparse.Namespace, extra: Sequence[str]) -> int:
    from vidcolor import schema as c

    data = c.read_toml(args.config) if args.config else {}
    from vidcolor.train.kinds import kind_of
    from vidcolor.train.loop.distributed import world_of_environment
    from vidcolor.train.plan import flags, plan
    from vidcolor.train.run import export, train

    kind = kind_of(data)
    if args.keys:
        return _list_keys(kind.config)
    _need(args, config="--config FILE")
    known = flags(kind)
    over: dict[str, Any] = {}
    for name, text in pairs(extra, known, hint="; --keys lists them"):
        c.put(over, known[name].path, c.parse(text, known[name]))
    runs = plan(data, over, str(args.config), args.phase)
    args.stop.gentle = True
    if not world_of_environment().first:
        args.quiet = True
        logging.getLogger("vidcolor").setLevel(logging.WARNING)
    for run in runs:
        with closing(train(run, args.stop.asked)) as steps:
            halted = _run(steps, run, args)
        if halted or args.stop.asked():
            return _stopped(args)
    if args.export:
        export(runs[-1], args.export)
        _log.info("wrote %s", args.export)
    return 0


def _run(steps: Any, run: Any, args: argparse.Namespace) -> bool:
    """Show a run until it ends; true if some process was asked to stop."""
    halted = False
    _log.info("phase %s in %s", run.phase.name, run.run.folder)
    with Bar(run.fit.steps, "step", args.quiet, args.stop) as bar:
        shown = 0
        for progress in steps:
            bar(progress.report.step - shown)
            shown, halted = progress.report.step, progress.report.halted
            if progress.scores:
                best = ", best so far" if progress.best else ""
                _log.info("step %d: %s%s", shown, progress.scores.summary, best)
    return halted


def _finetune(args: argparse.Namespace, extra: Sequence[str]) -> int:
    from vidcolor.train.finetune import FinetuneConfig, finetune

    if args.keys:
        return _list_keys(FinetuneConfig, FinetuneConfig())
    _need(args, on="--on EPISODE...", out="--out SERIES.safetensors")
    config = _settings(FinetuneConfig, args, extra, weights=args.weights)
    args.stop.gentle = True
    with (
        Bar(None, "frame", args.quiet, args.stop) as frames,
        Bar(config.steps, "step", args.quiet, args.stop) as bar,
    ):
        report = finetune(
            args.on, args.out, config, target=args.target, overwrite=args.overwrite,
            frames=frames, steps=bar, stop=args.stop.asked,
        )  # fmt: skip
    if report is None:
        return _stopped(args)
    sys.stdout.write(f"{report.table()}\n")
    if not report.written:
        _log.error(
            "it did not help: nothing was written. More episodes, or ones more like the film, may"
        )
        return 1
    _log.info("wrote %s", " and ".join(str(path) for path in report.written))
    return 0


def _stopped(args: argparse.Namespace) -> int:
    _log.info("stopped and saved; the same command goes on from here")
    return int(args.stop.code())
