"""Scenes that pan by known steps, and what may be laid over them."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.find import Detector, Finder
from vidcolor.repair.records import Link, Moved, Spot

SIZE = (180, 240)
GRID = (90, 120)


def scene(width: int = 640, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, width) float32 in cv: soft texture between 70 and 180, with grain of 1.5."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((size[0], width)).astype(np.float32), (0, 0), 9)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return 70 + 110 * noise + 1.5 * rng.standard_normal((size[0], width)).astype(np.float32)


def panned(wide: np.ndarray, count: int, step: int, columns: int = SIZE[1]) -> list[np.ndarray]:
    """Frames whose picture goes `step` pixels to the left from one to the next."""
    return [wide[:, i * step : i * step + columns].copy() for i in range(count)]


def link(x: float, y: float = 0.0, same: bool = False, columns: int = SIZE[1]) -> Link:
    """Everything went x pixels to the right and y down since the frame before."""
    scale = GRID[1] / columns
    back = np.zeros((*GRID, 2), np.float32)
    back[..., 0], back[..., 1] = -x * scale, -y * scale
    return Link(back, -back, same)


def film(
    frames: Sequence[np.ndarray],
    links: Sequence[Link | None],
    batch: int = 4,
    bits: int = 8,
    shot: int = 0,
    index: int = 0,
) -> list[Moved]:
    """One shot in batches."""
    unit = 1 << (bits - 8)
    planes = np.stack([np.clip(np.rint(one * unit), 0, 256 * unit - 1) for one in frames])
    luma = torch.from_numpy(planes.astype(np.uint8 if bits == 8 else np.int16))[:, None]
    info = VideoInfo(*frames[0].shape, color=ColorSpec(full_range=True, bits=bits))
    made = []
    for first in range(0, len(frames), batch):
        part = slice(first, first + batch)
        pts = tuple(range(index + first, index + first + len(luma[part])))
        made.append(
            Moved(FrameBatch(luma[part], pts, info, index + first, shot, first), tuple(links[part]))
        )
    return made


def links_of(count: int, step: int) -> list[Link | None]:
    """Of frames that `panned` made."""
    return [None, *(link(-step) for _ in range(count - 1))]


def found(detector: Detector, shots: Sequence[Moved]) -> list[tuple[Spot, ...]]:
    """Spots of each frame."""
    return [spots for marked in Finder([detector])(shots) for spots in marked.spots]


def drawn(frames: Sequence[np.ndarray], draw: Callable[[np.ndarray], None]) -> list[np.ndarray]:
    """The frames, each after `draw` has painted on it."""
    painted = [one.copy() for one in frames]
    for one in painted:
        draw(one)
    return painted
