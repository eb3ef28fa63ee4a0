"""Pictures as they are stored: encoded, with a row of what is known of them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.crop import Boxes, Crop
from vidcolor.train.dataset.look import look_at
from vidcolor.train.dataset.work import ResultWriter

__all__ = ["decoded", "encoded", "keep"]

Bytes = npt.NDArray[np.uint8]

_PNG_EFFORT = 6


def keep(
    writer: ResultWriter,
    config: BuildConfig,
    crop: Crop,
    rgb: Bytes,
    boxes: Boxes | None,
    facts: dict[str, Any],
    later: Bytes | None = None,
) -> None:
    """Cut a picture out, encode it and write it down, if it is large enough.

    Args:
        writer: Takes it.
        config: How it is stored.
        crop: What is stored of it.
        rgb: The picture.
        boxes: Objects in its pixels; None if nobody looked.
        facts: What else is known.
        later: A later frame of the same size.
    """
    if min(crop.size) < config.least_side:
        writer.counts["small"] += 1
        return
    picture = crop.picture(rgb)
    row = {**facts, **look_at(picture).to_row(), "height": crop.size[0], "width": crop.size[1]}
    if boxes is not None:
        row |= crop.boxes(boxes).to_row()
    after = None if later is None else encoded(crop.picture(later), config)
    writer.add(row, encoded(picture, config), after)


def encoded(rgb: Bytes, config: BuildConfig) -> bytes:
    """A file of a picture: JPEG without chroma subsampling, or PNG."""
    settings = [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT]
    if config.format == "jpg":
        settings = [cv2.IMWRITE_JPEG_QUALITY, config.quality]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(f".{config.format}", np.ascontiguousarray(rgb[..., ::-1]), settings)
    assert done
    return data.tobytes()


def decoded(data: bytes) -> Bytes:
    """The picture of what `encoded` made."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
