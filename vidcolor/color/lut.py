"""Look-up tables of color: strict reader of `.cube` files, and interpolation between their entries.

Reference: Adobe, Cube LUT Specification 1.0 (2013); the input ranges of DaVinci Resolve.
"""

from __future__ import annotations

import array
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.errors import GuidanceError
from vidcolor.given import nearest, read_text, shown

__all__ = ["Lut", "read_cube"]

_MOST_1D, _MOST_3D = 65536, 256
_SIZES: dict[str, tuple[Literal["1D", "3D"], int]] = {
    "LUT_1D_SIZE": ("1D", _MOST_1D),
    "LUT_3D_SIZE": ("3D", _MOST_3D),
}
_RANGES = {"LUT_1D_INPUT_RANGE": "1D", "LUT_3D_INPUT_RANGE": "3D"}
_DOMAIN = ("DOMAIN_MIN", "DOMAIN_MAX")
_KEYWORDS = ("TITLE", *_SIZES, *_DOMAIN, *_RANGES)
_MOST_BYTES = 1 << 30  # 256 cubed lines of 60 characters


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A table of RGB, called with RGB.

    Attributes:
        table: (3, size) float32 for a 1D table, every channel by itself; (3, size, size, size) for
            a 3D one, indexed by blue, green, red.
        low: RGB that the first entries stand for.
        high: RGB that the last entries stand for.
        title: What the file calls itself.
    """

    table: Tensor
    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)
    title: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.table.shape)
        if len(shape) not in (2, 4) or shape[0] != 3 or len(set(shape[1:])) != 1 or shape[1] < 2:
            raise ValueError(f"table must be (3, size) or (3, size, size, size), not {shape}")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"the domain {self.low} to {self.high} is empty")

    def __call__(self, rgb: Tensor) -> Tensor:
        """Linear (1D) or trilinear (3D) interpolation; values outside the domain count as its edge.

        Args:
            rgb: (N, 3, h, w) float.

        Returns:
            (N, 3, h, w) of the same type.
        """
        low = rgb.new_tensor(self.low).view(1, 3, 1, 1)
        high = rgb.new_tensor(self.high).view(1, 3, 1, 1)
        place = ((rgb - low) / (high - low)).clamp(0, 1)
        table = self.table.to(rgb)
        return _linear(table, place) if table.ndim == 2 else _trilinear(table, place)


def _linear(table: Tensor, place: Tensor) -> Tensor:
    last = table.shape[1] - 1
    place = place * last
    below = place.floor().clamp(max=last - 1).long()
    share = place - below
    channels = [
        torch.lerp(row[below[:, i]], row[below[:, i] + 1], share[:, i])
        for i, row in enumerate(table)
    ]
    return torch.stack(channels, dim=1)


def _trilinear(table: Tensor, place: Tensor) -> Tensor:
    n, _, height, width = place.shape
    grid = (2 * place - 1).permute(0, 2, 3, 1).reshape(1, 1, n * height, width, 3)
    seen = F.grid_sample(table[None], grid, align_corners=True, padding_mode="border")
    return seen.reshape(3, n, height, width).transpose(0, 1)


def read_cube(path: Path) -> Lut:
    """The table of a `.cube` file.

    Args:
        path: The file: keywords, then size (1D) or size cubed (3D, red runs fastest) lines of three
            numbers. Comments begin with `#`.

    Raises:
        GuidanceError: If the file cannot be read or is anything else, with the line.
    """
    try:
        text = read_text(path, _MOST_BYTES)
    except OSError as error:
        raise GuidanceError(f"{path}: the look cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GuidanceError(f"{path}: no .cube file: it is no text in UTF-8") from None
    return _Reader(path).read(text)


class _Reader:
    """Reads one file; knows the line it is at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0
        self.title = ""
        self.kind: Literal["1D", "3D"] | None = None
        self.size = 0
        self.seen: dict[str, int] = {}
        self.domain = {"DOMAIN_MIN": (0.0, 0.0, 0.0), "DOMAIN_MAX": (1.0, 1.0, 1.0)}
        self.values = array.array("f")

    def fail(self, message: str) -> NoReturn:
        raise GuidanceError(f"{self.path}, line {self.line}: {message}")

    def read(self, text: str) -> Lut:
        for self.line, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            if line[0].isalpha() and not line.lower().startswith(("nan", "inf")):
                self.keyword(line)
            else:
                self.entry(line)
        return self.finish()

    def keyword(self, line: str) -> None:
        name, *words = line.split(None, 1)
        rest = words[0] if words else ""
        if name not in _KEYWORDS:
            near = nearest(name.upper(), _KEYWORDS)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(_KEYWORDS)}"
            self.fail(f"unknown keyword {shown(name)}; {hint}")
        if self.values:
            self.fail(f"{name} after the first entry; keywords come first")
        if name in self.seen:
            self.fail(f"{name} was already given in line {self.seen[name]}")
        self.seen[name] = self.line
        if name == "TITLE":
            quoted = re.fullmatch(r'"(.*)"', rest.strip())
            self.title = quoted.group(1) if quoted else self.fail('TITLE must be in quotes: "..."')
        elif name in _SIZES:
            self.start(name, rest)
        elif name in _DOMAIN:
            red, green, blue = self.numbers(rest, 3, name)
            self.domain[name] = (red, green, blue)
        else:
            low, high = self.numbers(rest, 2, name)
            self.domain = {"DOMAIN_MIN": (low, low, low), "DOMAIN_MAX": (high, high, high)}

    def start(self, name: str, rest: str) -> None:
        if self.kind is not None:
            self.fail("a 1D and a 3D table in one file; keep one of them")
        self.kind, most = _SIZES[name]
        if not re.fullmatch(r"[0-9]{1,9}", rest.strip()) or not 2 <= int(rest) <= most:
            self.fail(f"{name} must be a whole number from 2 to {most}, not {shown(rest.strip())}")
        self.size = int(rest)

    def numbers(self, text: str, count: int, of: str) -> Sequence[float]:
        words = text.split()
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            self.fail(f"{of} must be {count} numbers, not {shown(text.strip())}")
        return values

    def entry(self, line: str) -> None:
        if self.kind is None:
            self.fail("an entry before LUT_1D_SIZE or LUT_3D_SIZE")
        values = self.numbers(line, 3, "an entry")
        if len(self.values) // 3 == self.wanted:
            self.fail(f"more entries than the {self.wanted} of a {self.kind} table of {self.size}")
        self.values.extend(values)

    @property
    def wanted(self) -> int:
        return self.size if self.kind == "1D" else self.size**3

    def finish(self) -> Lut:
        if self.kind is None:
            self.fail("no LUT_1D_SIZE or LUT_3D_SIZE: no .cube file")
        have = len(self.values) // 3
        if have < self.wanted:
            self.fail(
                f"the file ends after {have} entries; a {self.kind} table of {self.size} has "
                f"{self.wanted}"
            )
        for name, kind in _RANGES.items():
            if name in self.seen and (kind != self.kind or any(d in self.seen for d in _DOMAIN)):
                self.line = self.seen[name]
                self.fail(f"{name} does not go with a {self.kind} table or with DOMAIN_MIN and MAX")
        low, high = self.domain["DOMAIN_MIN"], self.domain["DOMAIN_MAX"]
        if not all(a < b for a, b in zip(low, high, strict=True)):
            self.line = max(line for name, line in self.seen.items() if name not in _SIZES)
            self.fail(f"the domain is empty: {low} to {high}")
        entries = torch.frombuffer(self.values, dtype=torch.float32).clone().view(-1, 3).T
        if self.kind == "3D":
            entries = entries.reshape(3, self.size, self.size, self.size)
        return Lut(entries.contiguous(), low, high, self.title)
