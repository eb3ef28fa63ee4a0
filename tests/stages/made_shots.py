"""Colored shots for tests of what holds color still. Import it by that name."""

import cv2
import numpy as np
import torch

from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo


def moving(shape, count, seed=0, speed=1):
    """Texture drifting by whole pixels: (N, 2, h, w) a*b* and (N, 1, h, w) L*."""
    rng = np.random.default_rng(seed)
    width = shape[1] + count * speed
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (shape[0], width, 3)).astype(np.float32), (0, 0), 4)
    smooth /= smooth.std(axis=(0, 1))
    places = [i * speed for i in range(count)]
    frames = np.stack([smooth[:, x : x + shape[1]] for x in places]).transpose(0, 3, 1, 2)
    return 15 * frames[:, 1:], np.clip(55 + 15 * frames[:, :1], 5, 95)


def in_batches(ab, lightness, size=5, shot=0, index=0, held=None, flow=None, sure=None):
    """A shot in batches of `size`, its pts counted from `index`; frames as large as the color."""
    planes = [
        None if x is None else torch.from_numpy(np.ascontiguousarray(x, np.float32))
        for x in (ab, lightness, flow, sure)
    ]
    height, width = ab.shape[2:]
    luma = torch.zeros(len(ab), 1, height, width, dtype=torch.uint8)
    marks = None if held is None else torch.tensor(held)
    for i in range(0, len(ab), size):
        part = slice(i, min(i + size, len(ab)))
        frames = FrameBatch(
            luma[part],
            tuple(range(index + part.start, index + part.stop)),
            VideoInfo(height, width),
            index=index + i,
            shot=shot,
            start=i,
            held=None if marks is None else marks[part],
        )
        chroma = Chroma(*(None if plane is None else plane[part] for plane in planes))
        yield Colored(frames, Tracks.empty(), chroma)
