"""Room on the disk: what browsers send must leave some."""

from __future__ import annotations

import shutil
from pathlib import Path

from vidcolor.errors import MediaError

__all__ = ["check_room"]

_LEFT_BYTES = 1 << 30


def check_room(folder: Path, shown: str) -> None:
    """See that a disk is not nearly full.

    Args:
        folder: On the disk.
        shown: The name of what is to be kept.

    Raises:
        MediaError: If less than 1 GB is left.
    """
    if shutil.disk_usage(folder).free < _LEFT_BYTES:
        raise MediaError(
            f"{shown}: cannot be kept, less than {_LEFT_BYTES >> 30} GB is left on the disk of "
            f"{folder.name}; make room"
        )
