"""Files of Torch7 (`.t7`, binary), read as data: no code of them is ever run.

Torch7 wrote whole Lua objects. Numbers, strings, booleans, tables, tensors and their storages are
read; an object of any other class becomes a `Record` of its name and fields, and a function is
skipped. Every length and every place is checked against the file before it is used; nesting costs
memory in the file's proportion and no recursion; objects may refer to one another in circles.

Networks in such files are `torch7_layers`' matter.

Reference:
    The format is what `torch.File` of Torch7 writes (Collobert, Kavukcuoglu, Farabet: Torch7,
    BigLearn, NeurIPS Workshop, 2011), with 64-bit longs in little-endian order.

Differs:
    Files in ASCII form and of 32-bit machines are refused. No file of Torch7 was at hand when this
    was written: tests write their own.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.errors import WeightsError
from vidcolor.given import open_file

__all__ = [
    "Record",
    "StridedTensor",
    "Table",
    "is_torch7",
    "read_torch7",
    "sides",
]

Array = npt.NDArray[Any]

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN = range(6)
_FUNCTION, _OLD_CLOSURE, _CLOSURE = 6, 7, 8  # as Lua's versions wrote them
_LONGEST_NAME = 256
_MOST_SIDES = 16
_MOST_OBJECTS = 5_000_000
_SMALLEST_PAIR = 8  # bytes of a key and a value
_ITEMS = {
    "Byte": "u1", "Char": "i1", "Short": "<i2", "Int": "<i4", "Long": "<i8", "Half": "<f2",
    "Float": "<f4", "Double": "<f8",
}  # fmt: skip
_ELEMENTS = {
    **_ITEMS,
    **{f"Cuda{name}": code for name, code in _ITEMS.items()},
    "Cuda": "<f4",
}


@dataclass(eq=False, slots=True)
class Table:
    """A table of Lua; what has no number or string for a key is left out."""

    entries: dict[str | float, Any] = field(default_factory=dict)

    def listed(self) -> Iterator[Any]:
        """The values at 1, 2, ... up to the first gap."""
        place = 1.0
        while place in self.entries:
            yield self.entries[place]
            place += 1


@dataclass(eq=False, slots=True)
class Record:
    """An object of a class unknown here.

    Attributes:
        name: Of the class, like "nn.Linear".
        fields: What it holds by name.
    """

    name: str
    fields: dict[str | float, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class StridedTensor:
    """A view of a storage.

    Attributes:
        storage: (S,) of the file, read-only; None if the tensor is empty.
        offset: Of the first element.
        sizes: Sides.
        strides: Elements from one to the next along each side.
    """

    storage: Array | None
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    def to_torch(self) -> Tensor:
        """A float32 copy.

        Raises:
            WeightsError: If it has more elements than its storage: one repeats others.
        """
        count = int(np.prod(self.sizes, dtype=object)) if self.sizes else 0
        if self.storage is None or not count:
            return torch.zeros(self.sizes if self.sizes else (0,))
        if count > len(self.storage):
            raise WeightsError(f"a tensor of {sides(self.sizes)} is larger than its storage")
        steps = tuple(step * self.storage.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(
            self.storage[self.offset :], self.sizes, steps, writeable=False
        )
        return torch.from_numpy(view.astype(np.float32, order="C"))


def sides(sizes: Sequence[int]) -> str:
    """As people write sizes."""
    return "x".join(map(str, sizes)) or "no sides"


def is_torch7(path: Path) -> bool:
    """Whether a file begins as `torch.save` of Torch7 begins a table or an object."""
    with open_file(path) as file:
        return file.read(4) in (struct.pack("<i", _TABLE), struct.pack("<i", _TORCH))


def read_torch7(path: Path) -> Any:
    """The object that a file holds.

    Returns:
        None, bool, float, str, `Table`, `Record` or `StridedTensor`; a storage is a NumPy array.

    Raises:
        WeightsError: If the file is missing, damaged, or of another form.
    """
    try:
        with open_file(path) as file:
            if not os.fstat(file.fileno()).st_size:
                raise WeightsError(f"{path} is damaged: it is empty")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    if data[:2] in (b"3\n", b"4\n"):
        raise WeightsError(f"{path} is in Torch7's ASCII form; save it there as binary")
    return _Reader(data, str(path)).read()


class _More:
    """What `_Reader` says of a value whose parts are still to come."""


_MORE: Final = _More()
_UNFINISHED: Final = _More()


class _Open:
    """A value of which `left` objects are still to come.

    Args:
        value: What it is in the end.
        left: How many.
    """

    def __init__(self, value: Any, left: int) -> None:
        self.value = value
        self.left = left
        self._key: Any = None

    def take(self, part: Any) -> None:
        self.left -= 1
        value = self.value
        if isinstance(value, Table):
            if self.left % 2:
                self._key = part
            elif isinstance(self._key, str | float):
                value.entries[self._key] = part
        elif isinstance(value, Record) and isinstance(part, Table):
            value.fields = part.entries


class _OpenTensor(_Open):
    """A tensor whose storage is still to come."""

    def __init__(self, value: StridedTensor, reader: _Reader, index: int) -> None:
        super().__init__(value, 1)
        self._reader = reader
        self._index = index

    def take(self, part: Any) -> None:
        self.left -= 1
        tensor = cast(StridedTensor, self.value)
        if part is not None and not isinstance(part, np.ndarray):
            raise self._reader.damaged("a tensor has no storage where one should be")
        tensor.storage = part
        if tensor.sizes and 0 not in tensor.sizes:
            last = tensor.offset + sum(
                (size - 1) * step for size, step in zip(tensor.sizes, tensor.strides, strict=True)
            )
            if tensor.offset < 0 or last >= (0 if part is None else len(part)):
                raise self._reader.damaged("a tensor reaches beyond its storage")
        self._reader.objects[self._index] = tensor


class _Reader:
    def __init__(self, data: mmap.mmap, name: str) -> None:
        self.objects: dict[int, Any] = {}
        self._data = data
        self._size = len(data)
        self._place = 0
        self._name = name

    def read(self) -> Any:
        """The first object, with all that belongs to it."""
        frames: list[_Open] = []
        for _ in range(_MOST_OBJECTS):
            value = self._begin(frames)
            if value is _MORE and frames[-1].left:
                continue
            while frames:
                if value is not _MORE:
                    frames[-1].take(value)
                    if frames[-1].left:
                        break
                value = frames.pop().value
            else:
                return value
        raise self.damaged(f"it has more than {_MOST_OBJECTS} objects")

    def damaged(self, what: str) -> WeightsError:
        """The error to raise."""
        return WeightsError(
            f"{self._name} is damaged or no file of Torch7: {what}, at byte {self._place}"
        )

    def _begin(self, frames: list[_Open]) -> Any:
        """The next value; `_MORE` if it is the last of `frames` now and has parts to come."""
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return cast(float, struct.unpack("<d", self._take(8))[0])
        if kind == _STRING:
            return self._text(self._size)
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind == _FUNCTION:
            self._take(self._length())
            return self._open(frames, Record("function"), 1)
        if kind not in (_TABLE, _TORCH, _CLOSURE, _OLD_CLOSURE):
            raise self.damaged(f"there is nothing of kind {kind}")
        index = self._int()
        if index in self.objects:
            if self.objects[index] is _UNFINISHED:
                raise self.damaged("a tensor is a part of itself")
            return self.objects[index]
        if kind == _TABLE:
            pairs = self._length(_SMALLEST_PAIR)
            return self._open(frames, self._keep(index, Table()), 2 * pairs)
        if kind == _TORCH:
            return self._torch(frames, index)
        self._take(self._length())  # a function's code
        return self._open(frames, self._keep(index, Record("function")), 1)

    def _torch(self, frames: list[_Open], index: int) -> Any:
        name = self._text(_LONGEST_NAME)
        if name.startswith("V "):  # a version; oldest files have none
            name = self._text(_LONGEST_NAME)
        package, _, rest = name.partition(".")
        for suffix, make in (("Tensor", self._tensor), ("Storage", self._storage)):
            element = rest.removesuffix(suffix)
            if package == "torch" and element != rest and element in _ELEMENTS:
                return make(frames, index, _ELEMENTS[element])
        return self._open(frames, self._keep(index, Record(name)), 1)

    def _tensor(self, frames: list[_Open], index: int, element: str) -> Any:
        count = self._int()
        if not 0 <= count <= _MOST_SIDES:
            raise self.damaged(f"a tensor has {count} sides")
        sizes, strides = self._longs(count), self._longs(count)
        (first,) = self._longs(1)
        if any(number < 0 for number in (*sizes, *strides)):
            raise self.damaged(f"a tensor has sides of {sides(sizes)}")
        self.objects[index] = _UNFINISHED
        frames.append(_OpenTensor(StridedTensor(None, first - 1, sizes, strides), self, index))
        return _MORE

    def _storage(self, frames: list[_Open], index: int, element: str) -> Array:
        (count,) = self._longs(1)
        item = np.dtype(element)
        self._expect(count, item.itemsize)
        value = np.frombuffer(self._data, item, count, self._place)
        self._place += count * item.itemsize
        self.objects[index] = value
        return value

    def _open(self, frames: list[_Open], value: Any, left: int) -> Any:
        frames.append(_Open(value, left))
        return _MORE

    def _keep(self, index: int, value: Any) -> Any:
        self.objects[index] = value
        return value

    def _text(self, longest: int) -> str:
        length = self._length()
        if length > longest:
            raise self.damaged(f"a name has {length} letters")
        return self._take(length).decode("utf-8", "replace")

    def _length(self, size: int = 1) -> int:
        """A number of things of at least `size` bytes that follow."""
        count = self._int()
        self._expect(count, size)
        return count

    def _expect(self, count: int, size: int) -> None:
        if count < 0 or count * size > self._size - self._place:
            raise self.damaged(f"{count} things of {size} bytes should follow, more than there are")

    def _int(self) -> int:
        return cast(int, struct.unpack("<i", self._take(4))[0])

    def _longs(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}q", self._take(8 * count))

    def _take(self, count: int) -> bytes:
        if count > self._size - self._place:
            raise self.damaged("it ends too early")
        self._place += count
        return self._data[self._place - count : self._place]
