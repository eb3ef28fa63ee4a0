"""Small films for the tests, made with PyAV and nothing of vidcolor, and looks into them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from vidcolor.records import Chroma, Colored, FrameBatch, Tracks

CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
    {"id": 2, "start": 200, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "2"}},
]
FONT = bytes(range(256)) * 4
PNG_COVER = cv2.imencode(".png", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
JPG_COVER = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
LINES = ((0.0, 0.2, "Hello"), (0.25, 0.2, "World"))
VFR = (0, 1, 2, 4, 6, 7, 10, 11, 12, 15, 16, 17)


@dataclass
class Film:
    """What was put into a file."""

    path: Path
    luma: list[np.ndarray]
    pts: list[int]
    time_base: Fraction
    rgb: list[np.ndarray] = field(default_factory=list)

    @property
    def times(self) -> list[Fraction]:
        return [p * self.time_base for p in self.pts]


def picture(number: int, size: tuple[int, int], bits: int = 8, full: bool = False) -> np.ndarray:
    """Codes of frame `number`: a texture that moves by a pixel a frame, black to white."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    wave = np.sin((columns + number) / 5) * np.cos((rows - number) / 7) + columns / size[1] - 0.5
    unit = (wave - wave.min()) / (wave.max() - wave.min())
    black, white = (0, (1 << bits) - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
    codes = np.rint(black + unit * (white - black))
    return codes.astype(np.uint8 if bits == 8 else np.uint16)


def fill(frame: Any, planes: Sequence[np.ndarray]) -> None:
    for plane, values in zip(frame.planes, planes, strict=True):
        little = values.astype(values.dtype.newbyteorder("<"))
        rows = np.frombuffer(plane, little.dtype).reshape(plane.height, -1)
        rows[:, : values.shape[1]] = little


def planes_for(pix_fmt: str, luma: np.ndarray, number: int, color: bool) -> list[np.ndarray]:
    """All planes of a frame; the chroma is neutral, or two ramps."""
    fmt = av.VideoFormat(pix_fmt, luma.shape[1], luma.shape[0])
    bits = fmt.components[0].bits
    planes = [luma]
    for part in fmt.components[1:]:
        chroma = np.full((part.height, part.width), 1 << (bits - 1), luma.dtype)
        if color:
            ramp = np.linspace(-60, 60, part.width) * (1 << (bits - 8))
            chroma = (chroma + np.roll(ramp, number)).astype(luma.dtype)
        planes.append(chroma)
    return planes


def make_video(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (48, 64),
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    full_range: bool | None = False,
    tags: tuple[int, int, int] = (2, 2, 2),
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    rate: Fraction = Fraction(25),
    color: bool = False,
    aspect: Fraction = Fraction(1),
    rotation: int = 0,
    sound: Sequence[str] = (),
    subtitles: str | None = None,
    attachment: bool = False,
    chapters: bool = False,
    cover: bool = False,
    data: bool = False,
    metadata: dict[str, str] | None = None,
    stream_metadata: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Film:
    """Write a film; the luma of lossless codecs comes back as given here.

    `full_range` None leaves the range untagged; `tags` are FFmpeg's numbers of matrix, primaries
    and transfer. RGB formats get three different planes, kept in `Film.rgb` as (H, W, 3).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stamps = list(range(frames)) if pts is None else list(pts)[:frames]
    film = Film(path, [], stamps, time_base)
    matroska = path.suffix in (".mkv", ".webm")
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], pix_fmt
        context = stream.codec_context
        context.time_base = time_base
        context.sample_aspect_ratio = aspect
        context.color_range = {None: 0, False: 1, True: 2}[full_range]
        context.colorspace, context.color_primaries, context.color_trc = tags
        if rotation:
            stream.set_display_rotation(rotation)
        stream.metadata.update(stream_metadata or {})
        others = [_add_sound(out, name, number) for number, name in enumerate(sound)]
        titles = out.add_mux_stream(subtitles) if subtitles else None
        if titles is not None:
            titles.time_base = Fraction(1, 1000)
            titles.metadata["language"] = "deu"
        if attachment:
            out.add_attachment("font.ttf", "font/ttf", FONT)
        still = None
        if cover and matroska:
            out.add_attachment("cover.png", "image/png", PNG_COVER)
        elif cover:
            with av.open(io.BytesIO(JPG_COVER), format="jpeg_pipe") as picture_file:
                still = out.add_stream_from_template(picture_file.streams[0], opaque=True)
                still.disposition = av.stream.Disposition.attached_pic
        extra = out.add_data_stream("bin_data") if data else None
        out.metadata.update(metadata or {})
        if chapters:
            out.set_chapters(CHAPTERS)
        out.start_encoding()
        if still is not None:
            packet = av.Packet(JPG_COVER)
            packet.stream, packet.pts, packet.dts, packet.time_base = still, 0, 0, Fraction(1, 1000)
            packet.is_keyframe = True
            out.mux(packet)
        if titles is not None:
            for start, length, text in LINES:
                out.mux(_title(titles, subtitles, start, length, text))
        if extra is not None:
            packet = av.Packet(b"data")
            packet.stream, packet.pts, packet.dts, packet.time_base = extra, 0, 0, Fraction(1, 1000)
            out.mux(packet)
        fmt = av.VideoFormat(pix_fmt, size[1], size[0])
        bits, full = fmt.components[0].bits, bool(full_range) or fmt.name.startswith("yuvj")
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame(size[1], size[0], pix_fmt)
            luma = picture(number, size, bits, full or fmt.is_rgb)
            if pix_fmt.startswith("gbr"):
                green, blue, red = luma, luma[::-1], luma[:, ::-1]
                fill(frame, (green, blue, red))
                film.rgb.append(np.stack((red, green, blue), 2))
            elif fmt.is_rgb:
                film.rgb.append(np.stack((luma[:, ::-1], luma, luma[::-1]), 2))
                order = film.rgb[-1] if pix_fmt == "rgb24" else film.rgb[-1][..., ::-1]
                if pix_fmt in ("bgra", "bgr0"):
                    order = np.dstack((order, np.full(size, 255, np.uint8)))
                fill(frame, [order.reshape(size[0], -1)])
            else:
                fill(frame, planes_for(pix_fmt, luma, number, color))
            film.luma.append(luma)
            frame.pts, frame.time_base = stamp, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        length = float((stamps[-1] + 1) * time_base) if stamps else 0.5
        for other in others:
            _encode_sound(out, other, length)
    return film


def _add_sound(out: Any, codec: str, number: int) -> Any:
    stream = out.add_stream(codec, rate=48000)
    stream.metadata["language"] = ("eng", "fra", "jpn")[number]
    stream.metadata["title"] = f"Sound {number}"
    stream.disposition = av.stream.Disposition.default if number == 0 else 0
    return stream


def _encode_sound(out: Any, stream: Any, length: float) -> None:
    count = int(length * 48000)
    wave = (np.sin(np.arange(count) * (0.05 + 0.01 * stream.index)) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    resampler = av.AudioResampler(stream.codec_context.format, "stereo", 48000, 1024)
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(stream.codec_context.format, "stereo", 48000, size)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))


def _title(stream: Any, codec: str | None, start: float, length: float, text: str) -> Any:
    data = text.encode()
    if codec == "mov_text":
        data = len(data).to_bytes(2, "big") + data
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round(length * 1000)
    packet.is_keyframe = True
    return packet


# -- damage ------------------------------------------------------------------------------------


def cut_off(path: Path, share: float = 0.5) -> Path:
    """The same file, only its beginning."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def overwrite_middle(path: Path, count: int, at: float = 0.5) -> Path:
    """The same file with `count` bytes of noise in it."""
    data = bytearray(path.read_bytes())
    first = int(len(data) * at)
    noise = np.random.default_rng(1).integers(0, 256, count, dtype=np.uint8).tobytes()
    data[first : first + count] = noise
    path.write_bytes(data[: len(path.read_bytes())])
    return path


# -- looks into files, by PyAV alone -------------------------------------------------------------


def main_picture(film: Any) -> Any:
    """The largest moving picture of an open file."""
    still = av.stream.Disposition.attached_pic
    films = [s for s in film.streams.video if not s.disposition & still]
    return max(films, key=lambda s: (s.width * s.height, -s.index))


def read_luma(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    """Plane 0 and time in seconds of every frame."""
    planes, times = [], []
    with av.open(str(path)) as film:
        stream = main_picture(film)
        for frame in film.decode(stream):
            plane = frame.planes[0]
            dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
            rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
            planes.append(rows[:, : plane.width].copy())
            times.append(frame.pts * Fraction(stream.time_base))
    return planes, times


def read_packets(path: Path) -> dict[int, list[tuple[Fraction | None, str]]]:
    """Time and hash of the packets of every stream but the main picture, by stream number."""
    found: dict[int, list[tuple[Fraction | None, str]]] = {}
    with av.open(str(path)) as film:
        main = main_picture(film).index
        for packet in film.demux():
            if packet.size and packet.stream_index != main:
                time = None if packet.pts is None else packet.pts * Fraction(packet.time_base)
                digest = hashlib.sha256(bytes(packet)).hexdigest()[:16]
                found.setdefault(packet.stream_index, []).append((time, digest))
    return found


def describe(path: Path) -> dict[str, Any]:
    """Tags, size, aspect, rotation, range of the main picture as a fresh decoder sees them."""
    with av.open(str(path)) as film:
        stream = main_picture(film)
        context = stream.codec_context
        frame = next(film.decode(stream))
        return {
            "codec": context.name,
            "size": (frame.height, frame.width),
            "format": frame.format.name,
            "bits": frame.format.components[0].bits,
            "full": int(frame.color_range) == 2,
            "tags": (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)),
            "aspect": Fraction(stream.sample_aspect_ratio or 1),
            "rotation": frame.rotation % 360,
        }


# -- color ---------------------------------------------------------------------------------------


def paint(batch: FrameBatch, grid: tuple[int, int] = (12, 16)) -> Colored:
    """A batch with some color: a* rises to the right, b* to the bottom."""
    count = len(batch)
    down, right = torch.meshgrid(
        torch.linspace(-30, 30, grid[0]), torch.linspace(-30, 30, grid[1]), indexing="ij"
    )
    ab = torch.stack((right, down)).expand(count, 2, *grid).contiguous()
    lightness = torch.full((count, 1, *grid), 50.0)
    return Colored(batch, Tracks.empty(), Chroma(ab, lightness))


def texture(seed: int, low: float, high: float, sigma: float, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 smooth noise that runs from `low` to `high`."""
    draw = np.random.default_rng(seed).uniform(low, high, size).astype(np.float32)
    smooth = cv2.GaussianBlur(draw, (0, 0), sigma)
    return low + (high - low) * (smooth - smooth.min()) / np.ptp(smooth)


def write_gray(path: Path, lumas: Sequence[np.ndarray], sound: bool = False) -> Path:
    """A lossless gray film of full range, 25 frames a second, with or without a tone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width = lumas[0].shape
        stream.pix_fmt = "gray"
        stream.color_range = 2
        heard = out.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        for luma in lumas:
            frame = av.VideoFrame.from_ndarray(luma, "gray")
            frame.color_range = 2
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if heard is not None:
            tone = (8000 * np.sin(np.arange(320 * len(lumas)) / 5)).astype(np.int16)[None]
            wave = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            wave.sample_rate, wave.pts = 8000, 0
            out.mux(heard.encode(wave))
            out.mux(heard.encode(None))
    return path
