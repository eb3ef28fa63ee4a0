"""Makers of broken films and pictures: small sound ones, and what can be done to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from media import Film, make_video

SIZE = (32, 48)
FRAMES = 9
KINDS = (
    "h264.mkv",
    "ffv1.mkv",
    "h264.mp4",
    "mjpeg.avi",
    "ffv1.nut",
    "mpeg2.ts",
    "raw.y4m",
    "rgb.gif",
    "vp9.webm",
)
_BFRAMES = {"bf": "2", "g": "5", "threads": "1", "preset": "ultrafast", "x264-params": "bframes=2"}


def make_kind(folder: Path, kind: str) -> Film:
    """A small sound film of a kind; `FRAMES` frames."""
    path = folder / kind
    if kind == "h264.mkv":
        return _film(path, "libx264", options=_BFRAMES, sound=("aac",))
    if kind == "ffv1.mkv":
        return _film(path, "ffv1", metadata={"title": "A film"}, chapters=True, attachment=True)
    if kind == "h264.mp4":
        return _film(path, "libx264", options=_BFRAMES, sound=("aac",))
    if kind == "mjpeg.avi":
        return _film(path, "mjpeg", pix_fmt="yuvj420p", full_range=True, sound=("pcm_s16le",))
    if kind == "ffv1.nut":
        return _film(path, "ffv1")
    if kind == "mpeg2.ts":
        return _film(path, "mpeg2video", options={"bf": "1", "g": "5"}, sound=("mp2",))
    if kind == "raw.y4m":
        path.write_bytes(y4m(*SIZE, FRAMES))
        return Film(path, [], list(range(FRAMES)), Fraction(1, 25))
    if kind == "rgb.gif":
        path.write_bytes(gif(*SIZE, FRAMES))
        return Film(path, [], [10 * number for number in range(FRAMES)], Fraction(1, 100))
    assert kind == "vp9.webm"
    quick = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    return _film(path, "libvpx-vp9", options=quick, sound=("libopus",))


def _film(path: Path, codec: str, **settings: object) -> Film:
    exact = {"fflags": "+bitexact"}  # no random ids: the same damage hits the same place
    return make_video(
        path, frames=FRAMES, size=SIZE, codec=codec, container_options=exact, **settings
    )  # type: ignore[arg-type]


# -- damage --------------------------------------------------------------------------------------


def flipped(
    data: bytes, seed: int, flips: int = 1, first: int = 0, last: int | None = None
) -> bytes:
    """The same bytes with some bits turned, between two places."""
    draw = np.random.default_rng(seed)
    broken = bytearray(data)
    for place in draw.integers(first, last or len(data), flips):
        broken[place] ^= 1 << int(draw.integers(0, 8))
    return bytes(broken)


def splattered(data: bytes, seed: int, length: int) -> bytes:
    """A run of noise in place of as many bytes."""
    draw = np.random.default_rng(seed)
    at = int(draw.integers(0, max(1, len(data) - length)))
    noise = draw.integers(0, 256, min(length, len(data) - at), dtype=np.uint8).tobytes()
    return data[:at] + noise + data[at + len(noise) :]


def moved(data: bytes, seed: int) -> bytes:
    """A part cut out, or put in twice."""
    draw = np.random.default_rng(seed)
    first, last = sorted(int(place) for place in draw.integers(0, len(data), 2))
    if draw.integers(0, 2):
        return data[:first] + data[last:]
    return data[:last] + data[first:]


def damaged(data: bytes, seed: int) -> tuple[bytes, str]:
    """One of many damages by its number, and its name."""
    kind = seed % 8
    if kind == 0:
        at = int(np.random.default_rng(seed).integers(0, len(data)))
        return data[:at], f"cut at {at}"
    if kind == 1:
        return splattered(data, seed, 1 << (seed // 8 % 10)), "splattered"
    if kind == 2:
        return moved(data, seed), "moved"
    if kind in (3, 4):
        return flipped(data, seed, 1 + seed // 8 % 3, 0, min(len(data), 700)), "flips in the header"
    if kind == 5:
        return flipped(data, seed, 2, max(0, len(data) - 900)), "flips in the tail"
    return flipped(data, seed, 1 << (seed // 8 % 6)), "flips"


def places_to_cut(data: bytes, count: int) -> Iterator[int]:
    """Places all over a file, more of them at its ends."""
    size = len(data)
    yield from (1, 3, 4, 8, 12, 31, 47, 64, 100, size - 1, size - 2, size - 4, size - 9, size - 40)
    yield from (int(place) for place in np.linspace(130, size - 60, count))


# -- films written by hand -----------------------------------------------------------------------


def y4m(
    height: int, width: int, frames: int = 2, rate: str = "25:1", head: str = "", truth: bool = True
) -> bytes:
    """YUV4MPEG2, 4:2:0; `truth` false: the header lies about its size, frames are tiny."""
    rows, columns = (height, width) if truth else (2, 2)
    luma = np.add.outer(np.arange(rows), np.arange(columns)) * 3 % 220 + 16
    size = 2 * (-(-rows // 2)) * (-(-columns // 2))
    parts = [f"YUV4MPEG2 W{width} H{height} F{rate} Ip A1:1 C420jpeg{head}\n".encode()]
    for number in range(frames):
        codes = ((luma + number) % 236).astype(np.uint8).tobytes()
        parts += [b"FRAME\n", codes, b"\x80" * size]
    return b"".join(parts)


def gif(height: int, width: int, frames: int, delay: int = 10) -> bytes:
    """An animated GIF of gray frames, its codes stored without compression."""
    palette = bytes(value for level in range(128) for value in (2 * level,) * 3)
    head = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF6, 0, 0)
    parts = [head, palette, b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"]
    for number in range(frames):
        level = (np.add.outer(np.arange(height), np.arange(width)) + 5 * number) % 128
        parts.append(struct.pack("<3sBHBB", b"\x21\xf9\x04", 0, delay, 0, 0))
        parts.append(struct.pack("<BHHHHBB", 0x2C, 0, 0, width, height, 0, 7))
        parts.append(_gif_codes(level.astype(np.uint8).tobytes()))
    return b"".join([*parts, b"\x3b"])


def _gif_codes(levels: bytes) -> bytes:
    """LZW that never learns: 8-bit codes, the table emptied before it grows."""
    codes: list[int] = []
    for at in range(0, len(levels), 100):
        codes += [128, *levels[at : at + 100]]
    packed = bytes([*codes, 129])
    blocks = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def element(identity: int, content: bytes | int | float | str) -> bytes:
    """An EBML element."""
    if isinstance(content, str):
        content = content.encode()
    elif isinstance(content, float):
        content = struct.pack(">d", content)
    elif isinstance(content, int):
        content = content.to_bytes(max(1, (content.bit_length() + 7) // 8), "big")
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


@dataclass(frozen=True)
class Block:
    """A frame of a hand-made Matroska film: its time in the cluster, in ticks."""

    time: int
    data: bytes


def jpeg(number: int, size: tuple[int, int] = SIZE) -> bytes:
    """A small picture."""
    level = (np.add.outer(np.arange(size[0]), np.arange(size[1])) * 3 + 5 * number) % 256
    return bytes(cv2.imencode(".jpg", level.astype(np.uint8))[1].tobytes())


def mkv(
    blocks: Sequence[Block],
    size: tuple[int, int] = SIZE,
    *,
    scale: int = 1_000_000,
    codec: str = "V_MJPEG",
    duration: float | None = None,
    default_duration: int | None = None,
    cluster: int = 0,
    more_video: bytes = b"",
    more_track: bytes = b"",
    more: bytes = b"",
    tracks: int = 1,
) -> bytes:
    """A Matroska film from its parts, with all the lies one likes.

    Args:
        blocks: Frames.
        size: What the header says.
        scale: Nanoseconds of a tick.
        codec: Codec id.
        duration: In ticks.
        default_duration: Nanoseconds of a frame.
        cluster: Time of the cluster, in ticks.
        more_video: Elements added to the picture's header.
        more_track: Elements added to the track's.
        more: Elements put before the clusters.
        tracks: So many, of which the first has frames.
    """
    head = element(0x1A45DFA3, element(0x4282, "matroska") + element(0x4287, 4))
    info = element(0x2AD7B1, scale) + element(0x4D80, "test") + element(0x5741, "test")
    if duration is not None:
        info += element(0x4489, duration)
    picture = element(0xB0, size[1]) + element(0xBA, size[0]) + more_video
    entries = b""
    for number in range(1, tracks + 1):
        track = element(0xD7, number) + element(0x73C5, number) + element(0x83, 1)
        track += element(0x86, codec) + element(0xE0, picture) + more_track
        if default_duration is not None:
            track += element(0x23E383, default_duration)
        entries += element(0xAE, track)
    body = element(0x1549A966, info) + element(0x1654AE6B, entries) + more
    inside = element(0xE7, cluster)
    for block in blocks:
        inside += element(0xA3, b"\x81" + struct.pack(">hB", block.time, 0x80) + block.data)
    return head + element(0x18538067, body + element(0x1F43B675, inside))


def long_mkv(count: int, step: Sequence[int]) -> tuple[bytes, list[int]]:
    """A film of so many tiny frames at uneven times, in clusters of 500; and the times."""
    picture, times, clusters = jpeg(0, (16, 16)), [], []
    now = 0
    for first in range(0, count, 500):
        start, inside = now, []
        for number in range(first, min(count, first + 500)):
            head = b"\x81" + struct.pack(">hB", now - start, 0x80)
            inside.append(element(0xA3, head + picture))
            times.append(now)
            now += step[number % len(step)]
        clusters.append(element(0x1F43B675, element(0xE7, start) + b"".join(inside)))
    whole = mkv([], (16, 16), more=b"".join(clusters))
    return whole, times


def write_blocks(path: Path, times: Sequence[int], **settings: object) -> Path:
    """A hand-made film of small JPEG frames at given times."""
    blocks = [Block(time, jpeg(number)) for number, time in enumerate(times)]
    path.write_bytes(mkv(blocks, **settings))  # type: ignore[arg-type]
    return path


def avi_with_size(data: bytes, height: int, width: int) -> bytes:
    """An AVI whose headers say another size."""
    broken = bytearray(data)
    main = broken.find(b"avih") + 8
    struct.pack_into("<II", broken, main + 32, width, height)
    picture = broken.find(b"strf") + 8
    struct.pack_into("<ii", broken, picture + 4, width, height)
    return bytes(broken)


def avi_with_rate(data: bytes, scale: int, rate: int) -> bytes:
    """An AVI whose clock of the picture ticks otherwise."""
    broken = bytearray(data)
    struct.pack_into("<II", broken, broken.find(b"strh") + 8 + 20, scale, rate)
    return bytes(broken)


def annex_b(
    path: Path, sizes: Sequence[tuple[int, int]], frames: int = 4, **settings: object
) -> Path:
    """H.264 without a container, of parts of different size, one after the other."""
    parts = []
    for size in sizes:
        part = path.with_name(f"{path.stem}-{size[0]}.h264")
        make_video(part, frames=frames, size=size, codec="libx264", options=_BFRAMES, **settings)  # type: ignore[arg-type]
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


# -- pictures ------------------------------------------------------------------------------------


_MOST_WIDE = 1 << 20  # bytes of a row; headers may say more


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its checksum."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(
    height: int, width: int, *, color: int = 0, bits: int = 8, data: bytes | None = None,
    more: bytes = b"",
) -> bytes:  # fmt: skip
    """A PNG whose header says a size; `data` (unpacked) may hold less."""
    if data is None:
        wide = (width * bits + 7) // 8 * {0: 1, 2: 3, 4: 2, 6: 4}.get(color, 1)
        data = bytes(1 + min(wide, _MOST_WIDE)) * min(height, 4)
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = png_chunk(b"IHDR", head) + more + png_chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def tiff(
    height: int, width: int, *, samples: int = 1, bits: int = 8, data: bytes = bytes(64)
) -> bytes:
    """A TIFF of one strip that says a size."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1),
        (262, 3, 1 if samples == 1 else 2), (273, 4, 8), (277, 3, samples), (278, 4, height),
        (279, 4, len(data)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    at = 8 + len(data)
    return (
        b"II*\0" + struct.pack("<I", at) + data + struct.pack("<H", len(tags)) + entries + bytes(4)
    )


def bmp(height: int, width: int, data: bytes = bytes(64)) -> bytes:
    """A BMP that says a size."""
    head = struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + data


def resized_jpeg(data: bytes, height: int, width: int) -> bytes:
    """A JPEG whose frame header says another size."""
    at = next(data.find(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    """A picture by OpenCV."""
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def count_frames(path: Path) -> int:
    """Frames by PyAV alone."""
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))
