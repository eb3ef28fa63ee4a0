"""vidcolor: a black-and-white video in, the same video in color out."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidcolor.api import colorize_image, colorize_video, restore_video

__all__ = ["__version__", "colorize_image", "colorize_video", "restore_video"]

__version__ = version("vidcolor")


def __getattr__(name: str) -> Any:
    """The functions of `vidcolor.api`, imported (with torch) when first asked for."""
    if name in ("colorize_image", "colorize_video", "restore_video"):
        from vidcolor import api

        return getattr(api, name)
    raise AttributeError(f"module 'vidcolor' has no attribute {name!r}")
