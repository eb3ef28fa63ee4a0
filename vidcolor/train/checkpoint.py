"""Training state on disk: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from vidcolor.errors import WeightsError

__all__ = ["read_state", "write_state"]


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write under another name, flush to disk, rename."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """A state that `write_state` wrote.

    Raises:
        WeightsError: If the file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{path}: not a readable training state ({error}); remove it to start over"
        ) from None
