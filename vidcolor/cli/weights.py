"""`vidcolor weights`: which weights there are, and how they get here."""

from __future__ import annotations

import argparse
import logging
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from vidcolor.cli.terminal import Parser, downloading, refuse
from vidcolor.errors import WeightsError

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "docs/weights.md tells what there is, how to get it behind a proxy, from a mirror or without "
    "a network, and what each colorizer needs."
)
_LABEL = 14  # columns of a heading of `show`
_LINE = 100


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    parser = add("weights", "list, fetch and import weights", _weights, epilog=_EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    actions.required = True
    actions.add_parser("list", help="known weights and whether they are installed")
    show = actions.add_parser("show", help="everything known of some weights")
    show.add_argument("name", nargs="+")
    actions.add_parser("path", help="the folder that keeps weights")
    fetch = actions.add_parser("fetch", help="download weights, go on where a download broke off")
    fetch.add_argument("name", nargs="+")
    fetch.add_argument("--base-url", help="a mirror: the files' folder there (http, file or path)")
    fetch.add_argument(
        "--accept-license", action="store_true", help="also those not for commercial use"
    )
    fetch.add_argument(
        "--allow-http", action="store_true", help="also from makers who do not encrypt"
    )
    take = actions.add_parser("import", help="install weights that you have as files")
    take.add_argument("name")
    take.add_argument("files", type=Path, nargs="+")


def _weights(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    from vidcolor.models import store

    if args.action == "list":
        folder = store.cache_dir()
        sys.stdout.write(f"{_table()}\nfetched and imported files are kept in {folder}\n")
    elif args.action == "show":
        sys.stdout.write("\n".join(_page(name) for name in args.name))
    elif args.action == "path":
        sys.stdout.write(f"{store.cache_dir()}\n")
    elif args.action == "fetch":
        return _fetch(args)
    else:
        paths = store.import_files(args.name, args.files)
        _log.info("installed %s", ", ".join(str(path) for path in paths))
    return 0


def _fetch(args: argparse.Namespace) -> int:
    """Fetch what was named; what fails keeps nothing else from coming."""
    from vidcolor.models import store

    names = list(dict.fromkeys(args.name))
    for name in names:  # before the first byte
        store.refuse_unaccepted(name, args.accept_license)
    failed = []
    for name in names:
        try:
            with downloading(False) as download:
                paths = store.fetch(
                    name,
                    base_url=args.base_url,
                    accept_license=args.accept_license,
                    progress=download,
                    plain=args.allow_http,
                )
        except WeightsError as error:
            if len(names) == 1:
                raise
            _log.error("%s", error)
            failed.append(name)
        else:
            _log.info("installed %s", ", ".join(str(path) for path in paths))
    if failed:
        raise WeightsError(f"{len(failed)} of {len(names)} not installed: {', '.join(failed)}")
    return 0


def _page(name: str) -> str:
    from vidcolor.models import store

    lines = [
        textwrap.fill(
            text,
            _LINE,
            initial_indent=heading.ljust(_LABEL),
            subsequent_indent=" " * _LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for heading, text in store.describe(name)
    ]
    return "\n".join(lines) + "\n"


def _table() -> str:
    from vidcolor.models import store

    rows = [("name", "kind", "network", "license", "size", "sha256", "installed", "source")]
    for row in store.list_weights():
        size = "" if row.size is None else f"{row.size / 1e6:.1f} MB"
        rows.append(
            (
                row.name, row.kind, row.model, row.license, size, row.sha256[:12],
                row.installed, row.source,
            )
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
