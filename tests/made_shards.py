"""Shards for tests, made with nothing of vidcolor."""

import io
import json
import tarfile

import cv2
import numpy as np


def png(rgb):
    return cv2.imencode(".png", np.ascontiguousarray(rgb[:, :, ::-1]))[1].tobytes()


def write_shard(path, members):
    """A tar of `members`: name to RGB picture, dictionary (as JSON) or bytes. Gives its name."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, np.ndarray):
                content = png(content)
            if isinstance(content, dict):
                content = json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return str(path)


def texture(seed, size=(48, 64), grain=8):
    """(H, W, 3) uint8 smooth random colors."""
    rng = np.random.default_rng(seed)
    small = rng.random((size[0] // grain + 2, size[1] // grain + 2, 3)).astype(np.float32)
    large = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.rint(large.clip(0, 1) * 255).astype(np.uint8)


def flat(rgb, size=(48, 64)):
    return np.full((*size, 3), rgb, np.uint8)
