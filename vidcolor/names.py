"""Names of files: which are films, and in what order people count them."""

from __future__ import annotations

import re

__all__ = ["FILM_EXTENSIONS", "natural"]

FILM_EXTENSIONS = (
    ".mkv", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts",
    ".m2ts", ".mts", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogm", ".rm", ".rmvb", ".divx",
    ".mxf", ".3gp", ".dv", ".nut", ".y4m",
)  # fmt: skip
"""File name extensions by which films in a folder are known."""

_MOST_DIGITS = 4000  # Python makes no number of more


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A key by which 2 comes before 10."""
    parts = re.split(r"(\d+)", name.casefold())
    numbered = [
        (0, int(part[:_MOST_DIGITS]), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)
    ]
    return numbered, name
