"""What `torch.save` wrote, read as data: nothing of it is run, none is larger than its file."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Bounded", "Unfilled", "load_saved"]

_BROKEN = (
    RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
    AssertionError, ImportError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What torch and Python raise at damaged files."""

_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange)
_LOCAL_HEADER = 30  # bytes of a zip before the name of each of its files, at least


def load_saved(file: BinaryIO) -> Any:
    """What a file of `torch.save` holds, on the CPU.

    Args:
        file: Open for reading, at its beginning.

    Returns:
        Tensors, numbers, texts, and lists and dictionaries of them.

    Raises:
        pickle.UnpicklingError: If it holds more, which is refused: it could run any program.
        ValueError: If it is damaged or something else, in one line.
        OSError: If it cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(0)
    try:
        if not size:
            raise ValueError("it is empty")
        _check_zip(file, size)
        with warnings.catch_warnings():
            # torch warns of odd pickles; whether they can be read is what matters
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
        for tensor in _tensors(content):
            _check_tensor(tensor, size)
    except pickle.UnpicklingError:
        raise
    except _BROKEN as error:
        raise ValueError(_line(error)) from None
    return content


def _check_zip(file: BinaryIO, size: int) -> None:
    """`torch.save` does not compress: what is in the file is no larger than the file."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if sum(entry.file_size + _LOCAL_HEADER for entry in entries) > size:
        raise ValueError("it would unpack to more than it is, which no weight file does")
    file.seek(0)


def _tensors(content: Any) -> Iterator[Tensor]:
    waiting, seen = [content], {id(content)}
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            yield one
            continue
        parts: list[Any] = []
        if isinstance(one, Mapping):
            parts = [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            parts = list(one)
        fresh = [part for part in parts if id(part) not in seen]
        seen.update(map(id, fresh))  # lists may hold one another in circles
        waiting += fresh


def _check_tensor(tensor: Tensor, size: int) -> None:
    """Dense, in memory, and no larger than the file."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_nested:
        raise ValueError("it holds a tensor that is sparse, quantized or not in memory")
    if tensor.numel() * tensor.element_size() > size:
        shape = "x".join(map(str, tensor.shape))
        raise ValueError(f"it holds a tensor of {shape}, larger than the file")


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


class Bounded(TorchFunctionMode):
    """Inside of it, tensors are made up to a total number of elements.

    A network whose settings come from a file may claim to be any size.

    Args:
        most: Elements.

    Raises:
        ValueError: From what makes more, before any of it is filled.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Count what is made."""
        result = func(*args, **(kwargs or {}))
        if func in _MAKERS and isinstance(result, Tensor):
            self._left -= result.numel()
            if self._left < 0:
                raise ValueError("it would be far larger than the file that it is in")
        return result


class Unfilled(TorchFunctionMode):
    """Inside of it, layers come without the random weights that torch gives them.

    For networks whose weights come from a file: to draw those of a large one takes longer than to
    read it. What a network draws by itself stays; some draw again until the numbers please them.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Leave weights as they are in memory."""
        named = kwargs or {}
        if func is nn.init.kaiming_uniform_:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
