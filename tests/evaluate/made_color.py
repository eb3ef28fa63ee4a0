"""Small films of known color, and looks at such, for the tests of evaluation."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vidcolor.evaluate import EvaluateConfig, Measurement
from vidcolor.evaluate.frame import Grids, Look
from vidcolor.ops.letterbox import Bars
from vidcolor.records import VideoInfo

SIZE = (48, 64)
RED, BLUE = (180, 90, 70), (80, 90, 200)


def flat(color, size=SIZE) -> np.ndarray:
    return np.full((*size, 3), color, np.uint8)


def texture(shift: int = 0, size=SIZE, seed: int = 0) -> np.ndarray:
    """(H, W) uint8 that can be followed, moved to the right by `shift` pixels."""
    noise = np.random.default_rng(seed).normal(size=(size[0], size[1] + 200)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    part = smooth[:, 100 - shift : 100 - shift + size[1]]
    return np.rint(60 + 140 * part).astype(np.uint8)


def tint(gray: np.ndarray, color) -> np.ndarray:
    """A texture in one hue, lighter and darker."""
    return np.clip(gray[..., None] / 160 * np.asarray(color), 0, 255).astype(np.uint8)


def measured(
    colorings: dict[str, Sequence[np.ndarray]],
    grays: Sequence[np.ndarray] | None = None,
    shots: Sequence[int] | None = None,
    boxes: Sequence[tuple] | None = None,
    truth: str | None = None,
    fps: float = 25.0,
    **settings,
) -> Measurement:
    """A measurement of frames that are given."""
    config = EvaluateConfig(**settings)
    count = len(next(iter(colorings.values())))
    size = next(iter(colorings.values()))[0].shape[:2]
    grids = Grids.of(VideoInfo(*size), Bars(), config)
    found = Measurement(tuple(colorings), truth, grids, config)
    still = texture(size=size)
    for i in range(count):
        found.push(
            Look(
                number=i,
                time=i / fps,
                shot=0 if shots is None else shots[i],
                gray=still if grays is None else grays[i],
                colorings={name: frames[i] for name, frames in colorings.items()},
                boxes=() if boxes is None else tuple(boxes[i]),
            )
        )
    found.end()
    return found


def write_film(
    path: Path,
    frames: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
) -> Path:
    """R'G'B' frames, lossless."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = time_base
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="bgr0")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
