"""Small films for tests of repair: texture that drifts, with marks put on it. Import by name."""

import cv2
import numpy as np
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.window import each_frame

SIZE = (120, 160)


def drifting(count=9, size=SIZE, speed=(1.5, 0.5), seed=0):
    """(H, W) float32 frames in cv: smooth texture of 60 to 190 that moves by `speed` (x, y)."""
    rng = np.random.default_rng(seed)
    height, width = size
    large = (height + 2 * 64, width + 2 * 64)
    texture = cv2.GaussianBlur(rng.normal(0, 1, large).astype(np.float32), (0, 0), 4)
    texture += 0.4 * cv2.GaussianBlur(rng.normal(0, 1, large).astype(np.float32), (0, 0), 1.5)
    texture = np.clip(125 + 30 * texture / texture.std(), 60, 190)
    frames = []
    for i in range(count):
        moved = np.float32([[1, 0, -64 + speed[0] * (i - count // 2)], [0, 1, -64 + speed[1] * i]])
        frames.append(cv2.warpAffine(texture, moved, (width, height), flags=cv2.INTER_CUBIC))
    return frames


def disc(frame, x, y, radius, value):
    """A copy with a disc, and where it is (H, W) bool."""
    rows, columns = np.ogrid[: frame.shape[0], : frame.shape[1]]
    inside = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return np.where(inside, np.float32(value), frame), inside


def film(frames, bits=8, held=None, shot=0, index=0, noise=True):
    """One batch of a shot. Without noise, equal frames are equal to the last bit."""
    codes = np.stack(frames) * (1 << (bits - 8))
    if noise:  # a scanned frame never repeats the one before exactly
        codes = codes + np.random.default_rng(9).normal(0, 0.4, codes.shape)
    codes = np.clip(np.rint(codes), 0, (1 << bits) - 1)
    kind = torch.uint8 if bits == 8 else torch.int16 if bits < 16 else torch.int32
    return FrameBatch(
        torch.from_numpy(codes.astype(np.int32))[:, None].to(kind),
        tuple(range(index, index + len(frames))),
        VideoInfo(*frames[0].shape, color=ColorSpec(bits=bits)),
        index=index,
        shot=shot,
        held=None if held is None else torch.tensor(held),
    )


def in_parts(batch, size):
    """The batch in smaller ones."""
    return [batch[i : i + size] for i in range(0, len(batch), size)]


def windows(batches, before=4, after=4):
    """Windows of all frames, in order."""
    seen = []
    for _ in each_frame(follow(batches, FollowConfig()), before, after, lambda: seen.append):
        pass
    return seen
