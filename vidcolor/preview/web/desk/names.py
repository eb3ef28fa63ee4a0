"""Names of files that browsers send, made safe on any system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

__all__ = ["numbered", "safe_name"]

_MOST_STEM_BYTES = 100
"""Of UTF-8, so that there is room for what is added to names beside the film."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*%]')
_BLANKS = re.compile(r"\s+")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


def safe_name(name: str, otherwise: str) -> str:
    """A file name: no folder, nothing hidden, nothing that a system or a shell takes for more.

    Args:
        name: Any text.
        otherwise: The stem where nothing of the name is left.

    Returns:
        A name of at most 100 bytes and an extension of at most 8 letters, if it has one.
    """
    last = re.split(r"[/\\]", name)[-1]
    last = re.sub(r"^[A-Za-z]:", "", last)  # of a drive
    text = unicodedata.normalize("NFC", last)
    # controls, marks that turn the direction of text, halves of characters
    text = "".join(
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    text = _BLANKS.sub(" ", _FORBIDDEN.sub("_", text)).rstrip(" .")
    found = _SUFFIX.search(text)
    suffix = found[0].lower() if found else ""
    stem = _short(text[: len(text) - len(suffix)].lstrip(" .-~"))
    if not stem:
        stem = otherwise
    if _RESERVED.fullmatch(stem.split(".")[0].strip()):
        stem = f"_{stem}"
    return stem + suffix


def _short(stem: str) -> str:
    data = stem.encode()[:_MOST_STEM_BYTES]
    return data.decode(errors="ignore").rstrip(" .")


def numbered(name: str) -> Iterator[str]:
    """The name, then "NAME-2", "NAME-3" and so on, before the extension."""
    suffix = PurePosixPath(name).suffix
    stem = name[: len(name) - len(suffix)] if suffix else name
    yield name
    number = 1
    while True:
        number += 1
        yield f"{stem}-{number}{suffix}"
