"""From a film to the pictures of it that are kept."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.io.color_frames import ColorReader
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.until_damage import UntilDamage
from vidcolor.ops.boxes import Upright
from vidcolor.stages.base import Detect
from vidcolor.stages.cut import FindShots
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.crop import Crop
from vidcolor.train.dataset.frames import Frame, FrameChooser, frames_between, upright_area
from vidcolor.train.dataset.sources import Source
from vidcolor.train.dataset.stored import decoded, keep
from vidcolor.train.dataset.work import ResultWriter

__all__ = ["read_film"]

_log = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]

_BATCH = 8
_AHEAD = 1  # batches decoded before they are asked for


def read_film(
    source: Source,
    config: BuildConfig,
    detector: Callable[[int], Detect],
    writer: ResultWriter,
    progress: Callable[[int], None],
) -> None:
    """Take the pictures of a film.

    Bars are known for certain only at its end: until then the chosen frames lie in a file without
    a name, small and lossless.

    Args:
        source: The film.
        config: What is wanted.
        detector: Makes a detector that looks at every so many frames.
        writer: Takes the pictures.
        progress: Told of frames.

    Raises:
        MediaError: If the film is damaged and `config.keep_partial` does not allow it.
    """
    (path,) = source.paths
    with (
        ColorReader(path, InputConfig(batch_size=_BATCH)) as reader,
        tempfile.TemporaryFile(dir=writer.folder) as file,
    ):
        frames = UntilDamage(prefetch(reader, _AHEAD), keep=True, progress=progress)
        choose = FrameChooser(reader, config, writer.counts)
        detect = detector(frames_between(config, reader.info))
        waiting = _Waiting(cast(BinaryIO, file))
        for frame in choose(detect(FindShots(config.cut)(frames))):
            waiting.add(frame)
        if frames.error is not None:
            if not config.keep_partial:
                raise frames.error
            writer.broken = str(frames.error)
        film = choose.bars.bars()
        if film:
            _log.info(
                "%s: black bars are cut off: %d rows above, %d below, %d columns left, %d right",
                path, film.top, film.bottom, film.left, film.right,
            )  # fmt: skip
        info = reader.info
        whole = Upright(info).size
        for frame, rgb, later in waiting:
            height, width = rgb.shape[:2]
            area = upright_area(frame.borders.bars(film), info, (height, width))
            crop = Crop.of(area, (height, width), config.short_side)
            boxes = frame.boxes
            if boxes is not None:
                boxes = boxes.scaled(width / whole[1], height / whole[0])
            facts = {
                "source": source.name,
                "pts": frame.pts,
                "time": round(frame.time, 6),
                "shot": frame.shot,
                "group": f"{source.name}\0{frame.shot}",
                "key": f"{source.slug}-s{frame.shot:05d}-f{frame.index:07d}",
            }
            keep(writer, config, crop, rgb, boxes, facts, later)


@dataclass(slots=True)
class _Place:
    frame: Frame
    sizes: tuple[int, int]


class _Waiting:
    """Frames whose pictures lie in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: list[_Place] = []

    def add(self, frame: Frame) -> None:
        """Put a frame's pictures away."""
        data = [b"" if rgb is None else _packed(rgb) for rgb in (frame.rgb, frame.later)]
        self._file.write(b"".join(data))
        frame.rgb, frame.later = np.empty((0, 0, 3), np.uint8), None
        self._places.append(_Place(frame, (len(data[0]), len(data[1]))))

    def __iter__(self) -> Iterator[tuple[Frame, Bytes, Bytes | None]]:
        """All of them, with their pictures."""
        self._file.seek(0)
        for place in self._places:
            first, second = (self._file.read(size) for size in place.sizes)
            yield place.frame, decoded(first), decoded(second) if second else None


def _packed(rgb: Bytes) -> bytes:
    done, data = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return data.tobytes()
