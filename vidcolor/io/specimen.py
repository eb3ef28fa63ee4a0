"""A tiny gray film with sound, made from nothing, and a look at all that is in a small film.

For programs that try themselves out where there is no film at hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vidcolor.io.source import file_url, open_source

__all__ = ["SPECIMEN_PTS", "Specimen", "look_at", "write_specimen"]

SPECIMEN_PTS = (
    0, 40, 80, 120, 160, 200, 240, 300, 340, 400, 440, 480,
    520, 560, 600, 640, 700, 740, 780, 820, 880, 920, 960, 1000,
)  # fmt: skip
"""Times of its frames in milliseconds: of variable rate, with a cut before the thirteenth."""

_SIZE = (96, 128)
_CUT = 12
_RATE_HZ = 8000
_SOUND_S = 1.04
_PACKET = 320  # samples
_NOISE = 6.0  # codes

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """All that is in a small film.

    Attributes:
        luma: (N, H, W) codes.
        chroma: (N, 2, h, w) codes; empty along the second axis for gray.
        times: Of the frames, seconds.
        others: Of every other stream, time and SHA-256 of each packet.
    """

    luma: npt.NDArray[np.integer[Any]]
    chroma: npt.NDArray[np.integer[Any]]
    times: tuple[Fraction, ...]
    others: tuple[tuple[tuple[Fraction | None, str], ...], ...]


def write_specimen(path: Path) -> None:
    """Write the film: 24 frames of 128x96 in two shots, FFV1, with a tone.

    Args:
        path: Ends in `.mkv`; must not exist.

    Raises:
        OSError: If it cannot be written, or FFmpeg lacks FFV1 or Matroska.
    """
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=25)
        stream.height, stream.width = _SIZE
        stream.pix_fmt = "gray"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.color_range = 2
        heard: Any = out.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono")
        for number, pts in enumerate(SPECIMEN_PTS):
            frame = av.VideoFrame.from_ndarray(_picture(number), "gray")
            frame.pts, frame.time_base, frame.color_range = pts, Fraction(1, 1000), 2
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        moments = np.arange(round(_SOUND_S * _RATE_HZ)) / _RATE_HZ
        tone = np.rint(8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)[None]
        for first in range(0, tone.shape[1], _PACKET):
            part = np.ascontiguousarray(tone[:, first : first + _PACKET])
            wave = av.AudioFrame.from_ndarray(part, "s16", "mono")
            wave.sample_rate, wave.pts, wave.time_base = _RATE_HZ, first, Fraction(1, _RATE_HZ)
            out.mux(heard.encode(wave))
        out.mux(heard.encode(None))


def _picture(number: int) -> Codes:
    """A bright sky over dark, rough ground, and something round that moves; or the reverse."""
    height, width = _SIZE
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    second = number >= _CUT
    horizon = height * (0.35 if second else 0.6) + 6 * np.sin(columns / 17)
    rough = np.random.default_rng(5 + second).normal(0, 1, (height, width))
    sky = 215 - 45 * rows / height + _NOISE / 3 * rough
    ground = 90 + 25 * np.sin(rows / 3 + columns / 9) + 2 * _NOISE * rough
    picture = np.where(rows < horizon, sky, ground)
    x = 20 + 3 * number if not second else 110 - 3 * (number - _CUT)
    ball = (columns - x) ** 2 + (rows - height * 0.7) ** 2 < 14**2
    picture = np.where(ball, 150 + 3 * np.sin(columns), picture)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def look_at(path: Path) -> Specimen:
    """Decode all of a small 8-bit film, and read the packets beside it.

    Raises:
        MediaError: If it is no film.
        OSError: If it is damaged.
        ValueError: If it has no frames.
    """
    container, picture = open_source(path)
    with container:
        frames = list(container.decode(picture))
        times = tuple(frame.pts * Fraction(picture.time_base) for frame in frames)
        shown = picture.index
        planes = [[_plane(plane) for plane in frame.planes] for frame in frames]
    if not frames:
        raise ValueError(f"{path}: has no frames")
    luma = np.stack([of_frame[0] for of_frame in planes])
    chroma = np.zeros((len(luma), 0, 0, 0), np.uint8)
    if len(planes[0]) >= 3:
        chroma = np.stack([np.stack(of_frame[1:3]) for of_frame in planes])
    with av.open(file_url(path)) as film:
        others = tuple(s.index for s in film.streams if s.index != shown)
        found: dict[int, list[tuple[Fraction | None, str]]] = {index: [] for index in others}
        for packet in film.demux():
            if packet.size and packet.stream_index in found:
                time = None if packet.pts is None else packet.pts * Fraction(packet.time_base)
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                found[packet.stream_index].append((time, digest))
    return Specimen(luma, chroma, times, tuple(tuple(found[index]) for index in others))


def _plane(plane: Any) -> Codes:
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width].copy()
