"""Pickles of arrays, as detectron2's model zoo has them, read as data.

The file names what would make its arrays; here other things stand behind those names, which only
take down type, shape and bytes. NumPy itself trusts what a pickle tells it and can crash.
"""

from __future__ import annotations

import collections
import os
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.errors import WeightsError
from vidcolor.given import one_line, open_file

__all__ = ["read_zoo"]

_KINDS = re.compile(r"[<>|=]?[fiub][1248]")
_MOST_SIDES = 16
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, AttributeError, LookupError, TypeError,
    ImportError, ArithmeticError, MemoryError, RuntimeError, AssertionError, struct.error,
)  # fmt: skip


class _Kind:
    """What a pickle says of a type of numbers."""

    def __init__(self, code: Any, *_: Any) -> None:
        self._code, self._order = code, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self._order = order if order in ("<", ">") else "="

    def dtype(self) -> np.dtype[Any]:
        """The type; ValueError if it is none of numbers."""
        if not isinstance(self._code, str) or not _KINDS.fullmatch(self._code):
            raise ValueError("it holds arrays of no numbers")
        return np.dtype(self._order + self._code.lstrip("<>|="))


class _Array:
    """What a pickle says of an array."""

    def __init__(self, *_: Any) -> None:
        self._shape: Any = ()
        self._kind: Any = None
        self._fortran = False
        self._bytes: Any = b""

    def __setstate__(self, state: Any) -> None:
        *_, self._shape, self._kind, self._fortran, self._bytes = state

    def array(self) -> npt.NDArray[Any]:
        """The array; ValueError or TypeError if it cannot be one."""
        if not isinstance(self._kind, _Kind) or not isinstance(self._shape, tuple):
            raise ValueError("it holds an array without a type")
        if len(self._shape) > _MOST_SIDES:
            raise ValueError(f"it holds an array of {len(self._shape)} sides")
        raw = self._bytes.encode("latin1") if isinstance(self._bytes, str) else self._bytes
        flat = np.frombuffer(raw, self._kind.dtype())
        return flat.reshape(self._shape, order="F" if self._fortran else "C")


def _scalar(kind: Any, raw: Any = b"") -> _Array:
    array = _Array()
    array.__setstate__(((), kind, False, raw))
    return array


def _encoded(text: Any, _: Any = "latin1") -> bytes:
    return str(text).encode("latin1")


_PARTS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): None,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): collections.OrderedDict,
}


# the one in C sets aside as much memory as a file asks for
class _Reader(pickle._Unpickler):
    """Knows the names of arrays and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands behind a name of the file."""
        if (module, name) not in _PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _PARTS[module, name]


def read_zoo(path: Path) -> dict[str, Tensor]:
    """Tensors of a pickle of arrays, by name.

    Args:
        path: `{"model": {name: array}}`, or that without `model`; what is no array is left out.

    Raises:
        WeightsError: If it cannot be read or holds anything that is not data.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = _Reader(file, encoding="latin1").load()
        content = content.get("model", content) if isinstance(content, dict) else None
        if not isinstance(content, dict):
            raise ValueError("it holds no weights")
        arrays = {str(k): v.array() for k, v in content.items() if isinstance(v, _Array)}
        if sum(array.nbytes for array in arrays.values()) > size:
            raise ValueError("its arrays are larger than the file")
        return {
            key: torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
            for key, array in arrays.items()
        }
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    except _BROKEN as error:
        raise WeightsError(f"{path}: is no pickle of arrays: {one_line(str(error))}") from None
