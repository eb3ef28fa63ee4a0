"""`vidcolor doctor`: what is here, whether it works, and a bundle for those who help."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.cli.terminal import Parser, Usage, refuse

if TYPE_CHECKING:
    from vidcolor.doctor import Finding

__all__ = ["add_command"]

_log = logging.getLogger("vidcolor")

_EPILOG = (
    "Nothing is fetched and nothing is sent. Exit code 0: the program works here, whatever the "
    "warnings; 1: something is broken. Home folders are shown as ~, and names of people and "
    "machines are left out, so that a report can be shown to anybody."
)


def add_command(add: Callable[..., Parser]) -> None:
    """Enter the command.

    Args:
        add: Makes the parser of a command from its name, summary and function.
    """
    doctor = add("doctor", "look whether everything works here", _doctor, epilog=_EPILOG)
    doctor.add_argument(
        "--bundle", type=Path, metavar="FILE.zip", help="write all of it to a file for a report"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    doctor.add_argument(
        "--no-test", action="store_true", help="do not color a tiny film to see whether it works"
    )
    doctor.add_argument("--device", help="auto, cpu, cuda, ...: where networks are to compute")


def _doctor(args: argparse.Namespace, extra: Sequence[str]) -> int:
    refuse(extra)
    if args.bundle and args.bundle.suffix.lower() != ".zip":
        raise Usage(f"--bundle: {args.bundle} must end in .zip")
    with contextlib.suppress(ValueError, OSError):  # no stderr to write to
        faulthandler.enable()  # libraries built for another processor end a program without a word
    if args.bundle is None:
        return _examine(args, None)
    from vidcolor.doctor import CONTENTS, new_file

    with new_file(args.bundle) as file:
        code = _examine(args, file)
    _log.info("%s: %s", args.bundle, CONTENTS)
    return code


def _examine(args: argparse.Namespace, bundle: Path | None) -> int:
    from vidcolor.doctor import Examination, Veil, lines, to_json, works, write_bundle

    started = time.monotonic()
    veil = Veil.here()
    examination = Examination(args.device, not args.no_test, veil)
    findings: list[Finding] = []
    for finding in examination:
        args.stop.check()
        if not args.json:
            area = findings[-1].area if findings else None
            sys.stdout.write("\n".join(lines(finding, area)) + "\n")
            sys.stdout.flush()
        findings.append(finding)
    seconds = time.monotonic() - started
    report = to_json(findings, seconds=round(seconds, 1))
    sys.stdout.write(report if args.json else f"\n{_summary(findings, seconds)}\n")
    if bundle is not None:
        write_bundle(bundle, findings, report, examination.settings(), examination.log, veil)
    return 0 if works(findings) else 1


def _summary(findings: Sequence[Finding], seconds: float) -> str:
    counts = {state: sum(one.state == state for one in findings) for state in ("wrong", "warning")}
    warnings = f"{counts['warning']} warning{'' if counts['warning'] == 1 else 's'}"
    if counts["wrong"]:
        what = f"{counts['wrong']} thing{'' if counts['wrong'] == 1 else 's'} wrong, {warnings}"
    else:
        what = f"vidcolor works here, {warnings}"
    return f"{what} ({seconds:.0f} s)"
