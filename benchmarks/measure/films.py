"""The clips that benchmarks run on: the example, scaled, repeated, drawn on twos; and boxes."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "example.mp4"
LABELS = ("person", "car", "dog", "chair", "boat", "horse", "bird", "cup")


def make_clip(
    height: int, path: Path, frames: int | None = None, hold: int = 1, source: Path = EXAMPLE
) -> None:
    """A clip, scaled to `height`, in gray, without sound.

    Args:
        height: Rows; columns follow, even.
        path: Where it goes.
        frames: How many, from the beginning again where the source ends; None: as it is.
        hold: Each picture stands for so many frames, as in animation drawn on twos or threes.
        source: What is scaled.
    """
    import av
    import cv2
    import numpy as np

    with av.open(source) as film, av.open(path, "w") as out:
        stream = film.streams.video[0]
        width = round(stream.width * height / stream.height / 2) * 2
        options = {"preset": "medium", "crf": "18"}
        picture: Any = out.add_stream("libx264", rate=stream.average_rate, options=options)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        context, old = picture.codec_context, stream.codec_context
        context.time_base = 1 / stream.average_rate
        context.color_range, context.colorspace = old.color_range, old.colorspace
        wanted = None if frames is None else math.ceil(frames / hold)
        number = 0
        for luma in lumas(source, wanted):
            large = cv2.resize(luma, (width, height), interpolation=cv2.INTER_CUBIC)
            for _ in range(hold if frames is None else min(hold, frames - number)):
                scaled = av.VideoFrame(width, height, "yuv420p")
                for plane, target in enumerate(scaled.planes):
                    rows = np.frombuffer(target, np.uint8).reshape(target.height, -1)
                    rows[:, : target.width] = large if plane == 0 else 128
                scaled.pts, scaled.time_base = number, context.time_base
                out.mux(picture.encode(scaled))
                number += 1
        out.mux(picture.encode(None))


def lumas(source: Path, frames: int | None) -> Iterator[Any]:
    """(H, W) uint8 luma of the first frames, from the beginning again where the film ends."""
    import av
    import numpy as np

    done = 0
    while done == 0 or (frames is not None and done < frames):
        with av.open(source) as film:
            left = None if frames is None else frames - done
            for frame in itertools.islice(film.decode(video=0), left):
                plane = frame.planes[0]
                yield np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
                done += 1
        if done == 0:
            raise SystemExit(f"{source}: has no frames")


def describe(clip: Path) -> dict[str, Any]:
    """Size, frames and content of a clip, for `rounds.Case.about`."""
    import av

    with av.open(clip) as film:
        stream = film.streams.video[0]
        size = [stream.height, stream.width]
    digest = hashlib.sha256()
    for luma in lumas(clip, 1):
        digest.update(luma.tobytes())
    return {"size": size, "clip": digest.hexdigest()[:12]}


def drifting_boxes(number: int, count: int, size: tuple[int, int]) -> list[list[float]]:
    """xyxy in pixels of `count` objects at a frame: they drift, slowly and smoothly.

    Args:
        number: Of the frame.
        count: How many.
        size: `(height, width)` of the frame.
    """
    height, width = size
    boxes = []
    for k in range(count):
        tall, wide = height * (0.45 - 0.03 * k), width * (0.24 - 0.012 * k)
        phase = 2 * math.pi * k / max(1, count)
        x = (width - wide) * (0.5 + 0.46 * math.sin(phase + 0.011 * number))
        y = (height - tall) * (0.5 + 0.4 * math.cos(1.7 * phase + 0.007 * number))
        boxes.append([round(value, 2) for value in (x, y, x + wide, y + tall)])
    return boxes


def write_boxes(path: Path, frames: int, count: int, size: tuple[int, int]) -> None:
    """A file of drifting boxes, as `--detector boxes:FILE` takes it, with identities."""
    with path.open("w", encoding="utf-8") as out:
        for number in range(frames):
            row = {
                "frame": number,
                "boxes": drifting_boxes(number, count, size),
                "labels": [LABELS[k % len(LABELS)] for k in range(count)],
                "ids": list(range(1, count + 1)),
            }
            out.write(json.dumps(row) + "\n")
