"""A sheet of small pictures with their boxes, to see at a glance what a set holds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.io.color_frames import resize
from vidcolor.train.dataset.shards import SPLITS, Item
from vidcolor.train.dataset.stored import decoded

__all__ = ["draw_sheet"]

Bytes = npt.NDArray[np.uint8]

_COLUMNS = 8
_MOST = {"train": 48, "val": 32}
_CELL = (120, 192)  # height and width of a thumbnail's place
_MARGIN = 6
_TITLE = 28
_PAPER, _INK = 250, (30, 30, 30)
_LINES = ((230, 60, 50), (40, 140, 230), (70, 180, 70), (240, 170, 30), (170, 90, 220))
_SEEN_SCORE = 0.3  # boxes with less are drawn thin


def draw_sheet(items: Sequence[Item]) -> bytes:
    """PNG of up to 48 pictures of train and 32 of val, evenly taken from the set.

    Boxes are drawn, uncertain ones thin; where nobody looked for objects there are none.
    """
    parts = [_part(split, [one for one in items if one.split == split]) for split in SPLITS]
    sheet = np.concatenate([part for part in parts if part is not None])
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    assert done
    return data.tobytes()


def _part(split: str, items: Sequence[Item]) -> Bytes | None:
    if not items:
        return None
    count = min(len(items), _MOST[split])
    shown = [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]
    tall, wide = _CELL[0] + _MARGIN, _CELL[1] + _MARGIN
    rows = -(-count // _COLUMNS)
    page = np.full((_TITLE + rows * tall + _MARGIN, _COLUMNS * wide + _MARGIN, 3), _PAPER, np.uint8)
    text = f"{split}: {count} of {len(items)} pictures"
    cv2.putText(page, text, (_MARGIN, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    for place, item in enumerate(shown):
        small = _thumbnail(item)
        top = _TITLE + place // _COLUMNS * tall + (_CELL[0] - small.shape[0]) // 2
        left = _MARGIN + place % _COLUMNS * wide + (_CELL[1] - small.shape[1]) // 2
        page[top : top + small.shape[0], left : left + small.shape[1]] = small
    return page


def _thumbnail(item: Item) -> Bytes:
    picture = decoded(item.picture.read())
    height, width = picture.shape[:2]
    scale = min(_CELL[0] / height, _CELL[1] / width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = np.ascontiguousarray(resize(picture, size))
    boxes, scores = item.row.get("boxes") or [], item.row.get("scores") or []
    for number, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        x0, y0, x1, y1 = (round(v * scale) for v in box)
        line = _LINES[number % len(_LINES)]
        thick = 2 if score >= _SEEN_SCORE else 1
        cv2.rectangle(small, (x0, y0), (x1 - 1, y1 - 1), line, thick)
    return small
