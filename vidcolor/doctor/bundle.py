"""A support bundle: one zip with what others need to help, and nothing that is private."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidcolor.doctor.packages import installed_packages
from vidcolor.doctor.privacy import Veil
from vidcolor.doctor.report import Finding, lines
from vidcolor.errors import MediaError

__all__ = ["CONTENTS", "new_file", "report_text", "write_bundle"]

CONTENTS = (
    "the report (text, JSON), settings, installed packages with versions, the log of the "
    "self-test; no film, no names of people or machines, no other environment"
)
"""What is in a bundle, in one line."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file that gets its name when it is whole, and replaces nothing.

    Not `io.target`, which cannot be had where FFmpeg is what is broken.

    Args:
        path: Its name.

    Yields:
        An empty file beside it, gone if anything fails.

    Raises:
        MediaError: If a file of that name is there, or it cannot be written.
    """
    if path.exists():
        raise MediaError(f"{path}: exists; give another name")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:100]}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            try:
                path.hardlink_to(temporary)  # fails where a name is taken, unlike a rename
            except FileExistsError:
                raise MediaError(f"{path}: has appeared meanwhile; give another name") from None
            except OSError:  # a disk without links
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (MediaError, BrokenPipeError):  # nobody reads what is printed: not about this file
        raise
    except OSError as error:
        raise MediaError(f"{path}: cannot be written ({error.strerror})") from error


def report_text(findings: Sequence[Finding]) -> str:
    """A whole report, as it is printed."""
    rows: list[str] = []
    area = None
    for finding in findings:
        rows += lines(finding, area)
        area = finding.area
    return "\n".join(rows) + "\n"


def write_bundle(
    path: Path,
    findings: Sequence[Finding],
    report: str,
    settings: str,
    log: Sequence[str],
    veil: Veil,
) -> None:
    """Write the zip into a file that was made for it.

    Args:
        path: An empty file.
        findings: Of the examination, private things taken out.
        report: The same as JSON.
        settings: Those of the environment, as TOML.
        log: Of the self-test, and of what broke off.
        veil: Takes private things out of settings and log.

    Raises:
        OSError: If the disk fails.
    """
    # keys are ours, whatever people are called
    settings = _QUOTED.sub(lambda found: veil(found[0]), settings)
    packages = "".join(f"{name}=={version}\n" for name, version in installed_packages())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.txt", report_text(findings))
        archive.writestr("report.json", report)
        archive.writestr("config.toml", settings + "\n")
        archive.writestr("packages.txt", packages)
        archive.writestr("log.txt", "".join(f"{veil(row)}\n" for row in log))
