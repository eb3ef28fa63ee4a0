"""Importing what colors films, which takes more than a second."""

from __future__ import annotations

import gc
import sys

__all__ = ["import_line"]


def import_line() -> None:
    """Import the line, with the garbage collector at rest.

    The modules make some hundred thousand objects that stay as long as the process. The collector
    would look through them again and again, for a sixth of the time of the import, and later with
    every full collection. So they are told to it as what need not be looked at.
    """
    if "vidcolor.api" in sys.modules:
        return
    gc.disable()
    try:
        import vidcolor.api  # noqa: F401  (for what it brings along)
    finally:
        gc.enable()
    gc.freeze()
