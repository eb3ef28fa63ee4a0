"""Folders and the environment: where files go, whether there is room, what is set."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.doctor.report import Finding, State
from vidcolor.errors import ConfigError

if TYPE_CHECKING:
    from vidcolor.config import Config

__all__ = ["see_environment", "see_folders", "settings_here"]

_GIB = 1 << 30
_LEAST_ROOM = 2 * _GIB
_PREFIX = "VIDCOLOR_"
_SHOWN = (
    "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK", "RAY_ADDRESS", "SSL_CERT_FILE",
    "TMPDIR", "TORCH_HOME", "XDG_CACHE_HOME",
)  # fmt: skip
_NAMED = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Told of without their values: those of proxies may hold passwords and names of machines."""


def see_folders() -> Iterator[Finding]:
    """The folders that are written to, with the room on their disks."""
    from vidcolor.models.store import cache_dir

    yield _folder("cache", cache_dir(), "VIDCOLOR_CACHE names another folder")
    yield _folder("temporary files", Path(tempfile.gettempdir()), "TMPDIR names another folder")
    yield _folder("working folder", Path.cwd(), "outputs cannot be written here")


def _folder(what: str, folder: Path, advice: str) -> Finding:
    """A folder that is there, or can be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"vidcolor")
        room = shutil.disk_usage(there).free
    except OSError as error:
        found = f"{folder}: cannot be written ({error.strerror})"
        state: State = "warning" if what == "working folder" else "wrong"
        return Finding("folders", what, found, state, advice)
    kind = "" if there == folder else ", not made yet"
    found = f"{folder}{kind}; {room / _GIB:.1f} GB free"
    if room < _LEAST_ROOM:
        return Finding("folders", what, found, "warning", f"make room on this disk, or {advice}")
    return Finding("folders", what, found)


def see_environment(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Variables of ours, and the few others that change what happens."""
    own = sorted(name for name in environment if name.startswith(_PREFIX))
    shown = [name for name in _SHOWN if name in environment]
    for name in (*own, *shown):
        yield Finding("environment", name, environment[name])
    for name in _NAMED:
        if environment.get(name):
            yield Finding("environment", name, "is set")
    if not own:
        yield Finding("environment", f"{_PREFIX}...", "none is set", "absent")


def settings_here(environment: Mapping[str, str] = os.environ) -> tuple[Config, Finding | None]:
    """The settings that the environment makes of the defaults.

    Returns:
        The settings; where they cannot be read, the defaults, and what is wrong.
    """
    from vidcolor.config import Config
    from vidcolor.schema import from_environment, load

    try:
        return load(Config, from_environment(Config, environment), "environment"), None
    except ConfigError as error:
        finding = Finding(
            "environment", "settings", str(error), "wrong",
            "change or unset the variable; vidcolor settings lists those that there are",
        )  # fmt: skip
        return Config(), finding
