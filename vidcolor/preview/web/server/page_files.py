"""The files of the page: a fixed table, read once from the package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from vidcolor.errors import ConfigError

__all__ = ["PageFile", "page_files"]

_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page.

    Attributes:
        data: Its bytes.
        media_type: What it is.
        tag: Changes with its bytes (`ETag`).
    """

    data: bytes
    media_type: str
    tag: str


def page_files(package: str = "vidcolor.preview.web", folder: str = "page") -> dict[str, PageFile]:
    """All files of known kinds that lie directly in the folder, by name.

    Raises:
        ConfigError: If the page itself is not there.
    """
    table = {}
    for entry in files(package).joinpath(folder).iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _TYPES and not entry.name.startswith(".") and entry.is_file():
            data = entry.read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
            table[entry.name] = PageFile(data, _TYPES[suffix], tag)
    if _INDEX not in table:
        raise ConfigError(
            f"{folder}/{_INDEX} is missing from this installation of vidcolor; install it again"
        )
    return table
