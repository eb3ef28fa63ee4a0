"""Films of scenes that differ, with key frames where a test wants them."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

SIZE = (96, 160)


def scene(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture full of shapes: (h, w) uint8 codes, 16..235."""
    rng = np.random.default_rng(seed)
    height, width = size
    picture = np.full(size, int(rng.integers(60, 190)), np.uint8)
    for _ in range(40):
        center = int(rng.integers(0, width)), int(rng.integers(0, height))
        axes = int(rng.integers(4, width // 6)), int(rng.integers(4, height // 4))
        tone = int(rng.integers(20, 235))
        cv2.ellipse(picture, center, axes, int(rng.integers(0, 180)), 0, 360, tone, -1)
    grain = cv2.resize(rng.normal(0, 40, (height // 4, width // 4)), (width, height))
    return np.clip(picture + grain, 16, 235).astype(np.uint8)


def black(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full(size, 16, np.uint8)


def make_film(
    path: Path,
    pictures: list[np.ndarray],
    *,
    rate: int = 25,
    key_every: int = 250,
    finds_cuts: bool = False,
    codec: str = "libx264",
    rotation: int = 0,
    aspect: Fraction = Fraction(1),
) -> Path:
    """Encode gray pictures; key frames come every so many, or also where the encoder sees a cut."""
    with av.open(str(path), "w") as out:
        options = {"g": str(key_every), "preset": "veryfast", "crf": "10"}
        if codec == "libx264" and not finds_cuts:
            options |= {"sc_threshold": "0", "keyint_min": str(key_every)}
        stream = out.add_stream(codec, rate=rate, options=options if codec == "libx264" else {})
        height, width = pictures[0].shape
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, rate)
        context.color_range, context.colorspace = 1, 1
        context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, codes in zip(frame.planes, _planes(picture), strict=True):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
                rows[:, : codes.shape[1]] = codes
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _planes(luma: np.ndarray) -> list[np.ndarray]:
    height, width = luma.shape
    neutral = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    return [luma, neutral, neutral]


def moving(seed: int, count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """A scene that the camera goes over, by a pixel a frame."""
    wide = scene(seed, (size[0], size[1] + count))
    return [np.ascontiguousarray(wide[:, n : n + size[1]]) for n in range(count)]
