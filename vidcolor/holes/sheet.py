"""Holes as a person looks at them: a contact sheet, and a table of what a set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.holes.classes import CLASSES, class_name
from vidcolor.holes.files import HoleFile
from vidcolor.holes.outlines import Hole

__all__ = ["draw_sheet", "set_table"]

Bytes = npt.NDArray[np.uint8]

_CELL, _GAP, _CAPTION = 192, 6, 16
_PAPER, _INK = 255, 40
_FRAME = 128


def draw_sheet(cells: Sequence[tuple[str, Hole]], columns: int = 6) -> Bytes:
    """Masks in rows, each with a caption.

    Args:
        cells: Captions (plain letters) and holes of any size, at least one.
        columns: Masks in a row.

    Returns:
        (H, W, 3) uint8, white where holes are; masks are averaged to fit, so that lines thinner
        than a pixel of the sheet stay visible.
    """
    rows = -(-len(cells) // columns)
    across = min(columns, len(cells))
    tall, wide = _CELL + _CAPTION + _GAP, _CELL + _GAP
    sheet = np.full((rows * tall + _GAP, across * wide + _GAP), _PAPER, np.uint8)
    for number, (caption, hole) in enumerate(cells):
        top, left = _GAP + number // columns * tall, _GAP + number % columns * wide
        cv2.putText(
            sheet, caption, (left, top + _CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1,
            cv2.LINE_AA,
        )  # fmt: skip
        small = _fitted(hole)
        height, width = small.shape
        first = top + _CAPTION
        sheet[first : first + _CELL, left : left + _CELL] = _FRAME
        sheet[first : first + height, left : left + width] = small
    return np.repeat(sheet[..., None], 3, 2)


def _fitted(hole: Hole) -> Bytes:
    """The hole within a cell, 0 to 255."""
    height, width = hole.shape
    scale = _CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST_EXACT
    gray = hole.astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.resize(gray, size, interpolation=kind), np.uint8)


def set_table(files: Iterable[HoleFile]) -> str:
    """How many masks each class has, without and with border, and how much of them is hole."""
    found = list(files)
    lines = [f"{'share':<10}{'without':>9}{'with':>9}{'mean share':>12}"]
    for number, name in [*((n, class_name(n)) for n in range(len(CLASSES))), (None, "other")]:
        here = [one for one in found if one.number == number]
        if number is None and not here:
            continue
        border = sum(one.border for one in here)
        mean = f"{np.mean([one.share for one in here]):.4f}" if here else "-"
        lines.append(f"{name:<10}{len(here) - border:>9}{border:>9}{mean:>12}")
    border = sum(one.border for one in found)
    mean = f"{np.mean([one.share for one in found]):.4f}" if found else "-"
    lines.append(f"{'all':<10}{len(found) - border:>9}{border:>9}{mean:>12}")
    kinds = Counter(one.kind for one in found if one.kind)
    if kinds:
        lines.append("kinds: " + ", ".join(f"{kind} {kinds[kind]}" for kind in sorted(kinds)))
    return "\n".join(lines)
