"""Films at random, made of nothing."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Footage", "draw_footage", "make_film"]

Array = npt.NDArray[Any]

SUBTITLES = {".mkv": "subrip", ".mp4": "mov_text"}
SOUND = {".mkv": "pcm_s16le", ".mp4": "aac"}


@dataclasses.dataclass(frozen=True)
class Footage:
    """A film to be.

    Attributes:
        shots: Frames of each.
        times: Ticks of 1/1000 s between frames, used one after the other.
        fields: See `make_film`.
    """

    shots: tuple[int, ...]
    size: tuple[int, int]
    times: tuple[int, ...]
    pix_fmt: str
    codec: str
    b_frames: int
    suffix: str
    sound: bool
    subtitles: bool
    seed: int

    @property
    def frames(self) -> int:
        """How many there are."""
        return sum(self.shots)


def draw_footage(rng: random.Random) -> Footage:
    """A film at random."""
    kind = rng.choices(("many", "one shot", "tiny"), (7, 1.5, 1.5))[0]
    if kind == "tiny":
        shots = [rng.randint(1, 5)]
    elif kind == "one shot":
        shots = [rng.randint(200, 700)]
    else:
        wanted, shots = rng.randint(260, 1000), []
        while sum(shots) < wanted:
            shots.append(rng.choice((rng.randint(6, 40), rng.randint(20, 120))))
    codec = rng.choice(("ffv1", "ffv1", "libx264", "libx265"))
    lossless = ("gray", "yuv420p", "yuv444p", "yuv420p10le", "gray10le")
    pix_fmt = rng.choice(lossless if codec == "ffv1" else ("yuv420p", "yuv420p10le"))
    suffix = ".mkv" if codec == "ffv1" else rng.choice((".mkv", ".mp4"))
    odd = 1 if codec == "ffv1" and rng.random() < 0.3 else 2
    size = rng.randrange(36, 97, odd), rng.randrange(48, 129, odd)
    if codec == "libx265":  # breaks the heap of its process with pictures much smaller
        size = rng.randrange(64, 97, 8), rng.randrange(64, 129, 8)
    step = rng.choice((20, 33, 40, 40, 42, 125))
    uneven = rng.random() < 0.35
    times = tuple(rng.randint(8, 3 * step) if uneven else step for _ in range(97 if uneven else 1))
    return Footage(
        tuple(shots), size, times, pix_fmt, codec, rng.choice((0, 0, 2, 3)), suffix,
        rng.random() < 0.6, rng.random() < 0.4, rng.getrandbits(32),
    )  # fmt: skip


def make_film(path: Path, footage: Footage) -> None:
    """Write a film of textures that move, each shot one of its own.

    Args:
        path: Where.
        footage: What.
    """
    height, width = footage.size
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "bf": str(footage.b_frames)}
        if footage.codec == "libx265":
            options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
        stream = out.add_stream(
            footage.codec, rate=25, options={} if footage.codec == "ffv1" else options
        )
        stream.width, stream.height, stream.pix_fmt = width, height, footage.pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.color_range = 2 if footage.pix_fmt.startswith("gray") else 1
        heard = (
            out.add_stream(SOUND[path.suffix], rate=8000, layout="mono") if footage.sound else None
        )
        said = out.add_mux_stream(SUBTITLES[path.suffix]) if footage.subtitles else None
        if said is not None:
            said.time_base = Fraction(1, 1000)
        out.start_encoding()
        pts = 0
        for number, luma in enumerate(_lumas(footage)):
            frame = _frame(luma, footage.pix_fmt)
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            out.mux(stream.encode(frame))
            if said is not None and number % 50 == 0:
                out.mux(_title(said, path.suffix, pts, f"line {number}"))
            pts += footage.times[number % len(footage.times)]
        out.mux(stream.encode(None))
        if heard is not None:
            _tone(out, heard, pts)


def _lumas(footage: Footage) -> Iterator[Array]:
    """Luma codes of every frame."""
    draw = np.random.default_rng(footage.seed)
    height, width = footage.size
    bits = 10 if "10" in footage.pix_fmt else 8
    unit = 1 << (bits - 8)
    for length in footage.shots:
        noise = draw.uniform(0, 1, (height, width + min(length, 100))).astype(np.float32)
        wide = cv2.GaussianBlur(noise, (0, 0), draw.uniform(3.0, 7.0))
        wide = (wide - wide.min()) / max(1e-6, float(np.ptp(wide)))
        codes = np.rint((24 + 200 * wide) * unit).astype(np.uint16 if bits > 8 else np.uint8)
        for number in range(length):
            at = min(number % 200, 200 - number % 200) % (codes.shape[1] - width + 1)
            yield codes[:, at : at + width]


def _frame(luma: Array, pix_fmt: str) -> Any:
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], pix_fmt)
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, luma.dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
        rows[:, : plane.width] = luma if number == 0 else 128 << (0 if luma.itemsize == 1 else 2)
    frame.color_range = 2 if pix_fmt.startswith("gray") else 1
    return frame


def _title(stream: Any, suffix: str, pts: int, text: str) -> Any:
    data = text.encode()
    packet = av.Packet(len(data).to_bytes(2, "big") + data if suffix == ".mp4" else data)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = pts
    packet.duration, packet.is_keyframe = 30, True
    return packet


def _tone(out: Any, stream: Any, length_ms: int) -> None:
    count = max(1, 8 * length_ms)
    wave = (8000 * np.sin(np.arange(count) / 5)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(stream.codec_context.format, "mono", 8000, size)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))
