"""What is laid over a frame of a shot: boxes, where a person's word reaches, damage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.ops.boxes import Upright, clip
from vidcolor.records import Colored, VideoInfo
from vidcolor.repair.records import Spot
from vidcolor.repair.sheet import COLORS

__all__ = ["boxes_of", "clear", "damage_picture", "sure_picture"]

Bytes = npt.NDArray[np.uint8]

_DIGITS = 4  # of a fraction: a tenth of a pixel of 1080p
_LEAST_OPACITY = 0.35  # of damage that nobody believes
_MOST_OPACITY = 0.6  # of a person's word, so that the picture is seen below
_CLEAR_SIZE = (2, 2)


def boxes_of(colored: Colored, number: int) -> list[dict[str, Any]]:
    """Tracked objects of a frame: id, label, score, and box in fractions of the upright picture.

    Args:
        colored: A batch.
        number: Frame of the batch.
    """
    info = colored.frames.info
    tracks = colored.tracks[colored.tracks.detections.frame == number]
    found = tracks.detections
    upright = Upright(info)
    height, width = upright.size
    boxes = upright.from_frame(clip(found.boxes, info.size).double())
    parts = boxes / boxes.new_tensor((width, height, width, height))
    return [
        {
            "id": track,
            "label": found.names[label],
            "score": round(score, 3),
            "box": [round(value, _DIGITS) for value in box],
        }
        for track, label, score, box in zip(
            tracks.ids.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            parts.tolist(),
            strict=True,
        )
    ]


def sure_picture(colored: Colored, number: int) -> bytes | None:
    """A transparent PNG, as small as the color is: opaque where it is a person's.

    Args:
        colored: A batch.
        number: Frame of the batch.

    Returns:
        None if all of the frame is a guess.
    """
    sure = colored.chroma.sure
    if sure is None:
        return None
    plane = sure[number, 0].clamp(0, 1).numpy()
    opacity = np.rint(plane * (255 * _MOST_OPACITY)).astype(np.uint8)
    if not opacity.any():
        return None
    ink = np.broadcast_to(np.array(COLORS["user"], np.uint8), (*opacity.shape, 3))
    picture = np.dstack((ink, opacity))
    return _png(np.rot90(picture, colored.frames.info.rotation // 90))


def damage_picture(spots: Sequence[Spot], info: VideoInfo, width: int) -> bytes:
    """A transparent PNG: damage in the color of its kind, the more opaque the surer.

    Args:
        spots: Of the frame; rejected ones are left out.
        info: Of the film.
        width: Of the picture at most, in pixels.
    """
    shown = [spot for spot in spots if spot.state != "rejected"]
    if not shown:
        return clear()
    # color weighted by opacity, so that shrinking mixes it rightly
    plane = np.zeros((*info.size, 4), np.float32)
    for spot in shown:
        opacity = _LEAST_OPACITY + (1 - _LEAST_OPACITY) * spot.confidence
        ink = np.array((*COLORS[spot.kind], 255), np.float32) * opacity
        plane[spot.place][spot.hole] = ink
    height, wide = Upright(info).size
    scale = min(1.0, width / wide)
    size = max(1, round(height * scale)), max(1, round(wide * scale))
    turned = np.ascontiguousarray(np.rot90(plane, info.rotation // 90))
    small = cv2.resize(turned, size[::-1], interpolation=cv2.INTER_AREA)
    alpha = small[..., 3:]
    ink = small[..., :3] / np.maximum(alpha / 255, 1 / 255)
    return _png(np.rint(np.concatenate((ink, alpha), 2)).clip(0, 255).astype(np.uint8))


def clear() -> bytes:
    """A PNG through which everything is seen."""
    return _png(np.zeros((*_CLEAR_SIZE, 4), np.uint8))


def _png(rgba: Bytes) -> bytes:
    turned = cv2.cvtColor(np.ascontiguousarray(rgba), cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", turned)[1].tobytes()
