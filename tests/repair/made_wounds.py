"""Scenes whose motion is known, with damage whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.records import Link, Marked, Moved, Spot

SIZE = (72, 96)
TYPES = {8: np.uint8, 10: np.int16, 16: np.int32}


def texture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """(H, W) uint8, smooth, 40 to 200."""
    noise = np.random.default_rng(seed).random(size).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.5)
    soft = (soft - soft.min()) / (soft.max() - soft.min())
    return np.rint(40 + 160 * soft).astype(np.uint8)


def moving(count: int, step: tuple[int, int] = (2, 1), seed: int = 0) -> np.ndarray:
    """(N, H, W) uint8: a window that slides over a texture, `step` x and y a frame."""
    height, width = SIZE
    dx, dy = step
    wide = texture((height + abs(dy) * count, width + abs(dx) * count), seed)
    return np.stack(
        [wide[t * dy : t * dy + height, t * dx : t * dx + width].copy() for t in range(count)]
    )


def link(step: tuple[int, int], same: bool = False) -> Link:
    """What lies at p lay at p + step in the frame before."""
    back = np.broadcast_to(np.array(step, np.float32), (*SIZE, 2)).copy()
    return Link(np.zeros_like(back), np.zeros_like(back), True) if same else Link(back, -back)


def spot(top: int, left: int, height: int, width: int, **more) -> Spot:
    return Spot(more.pop("kind", "dust"), top, left, np.ones((height, width), np.bool_), **more)


def batches(
    planes: np.ndarray,
    spots: dict[int, Sequence[Spot]],
    *,
    step: tuple[int, int] = (2, 1),
    same: Sequence[int] = (),
    size: int = 100,
    shot: int = 0,
    first: int = 0,
    bits: int = 8,
    full: bool = True,
) -> Iterator[Marked]:
    """One shot, marked; `same` are the frames that repeat the one before."""
    info = VideoInfo(*planes.shape[1:], color=ColorSpec(bits=bits, full_range=full))
    for start in range(0, len(planes), size):
        part = planes[start : start + size].astype(TYPES[bits])
        numbers = range(start, start + len(part))
        frames = FrameBatch(
            torch.from_numpy(part[:, None].copy()),
            tuple(first + n for n in numbers),
            info,
            index=first + start,
            shot=shot,
            start=start,
        )
        links = tuple(None if n == 0 else link(step, n in same) for n in numbers)
        yield Marked(Moved(frames, links), tuple(tuple(spots.get(n, ())) for n in numbers))


def damaged(planes: np.ndarray, spots: dict[int, Sequence[Spot]], code: int = 255) -> np.ndarray:
    """Copies with a code in all spots."""
    result = planes.copy()
    for number, some in spots.items():
        for one in some:
            result[number][one.place][one.hole] = code
    return result
