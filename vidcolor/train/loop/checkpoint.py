"""Training state on disk: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from vidcolor.errors import MediaError, WeightsError
from vidcolor.given import open_file
from vidcolor.tensor_file import load_saved

__all__ = ["read_state", "write_state", "write_text"]


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write under another name, flush to disk, rename.

    Raises:
        MediaError: If it cannot be written (the disk is full); what was there before stays.
    """
    _replace(path, lambda file: torch.save(state, file))


def write_text(path: Path, text: str) -> None:
    """The same for text.

    Raises:
        MediaError: If it cannot be written.
    """
    _replace(path, lambda file: file.write(text.encode()))


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _flush_names(path.parent)
    except (OSError, RuntimeError) as error:
        # torch's writer hides the reason behind a RuntimeError of its own
        with contextlib.suppress(OSError):
            partial.unlink()
        reason = _reason(error)
        raise MediaError(f"cannot write {path} ({reason}); what was there before stays") from None


def _flush_names(folder: Path) -> None:
    """A rename outlives a loss of power only once its folder is on disk."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def read_state(path: Path) -> dict[str, Any]:
    """A state that `write_state` wrote.

    Raises:
        WeightsError: If the file is damaged.
    """
    try:
        with open_file(path) as file:
            state = load_saved(file)
    except pickle.UnpicklingError:
        reason = "it is damaged or holds more than tensors"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    else:
        if isinstance(state, dict):
            return state
        reason = f"it holds a {type(state).__name__}"
    raise WeightsError(f"{path}: not a readable training state ({reason}); remove it to start over")
