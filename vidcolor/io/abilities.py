"""What the FFmpeg in this process is, and what it can do here."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import torch
from av.codec import hwaccel

from vidcolor.io.codecs import OutputConfig, codec_named
from vidcolor.io.encode import VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.video import VideoReader
from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo

__all__ = ["ffmpeg_libraries", "hardware_decoders", "try_encoder"]

_SIZE = (256, 256)  # encoders of GPUs take no small pictures
_FRAMES = 2


def ffmpeg_libraries() -> dict[str, str]:
    """Version of each library of FFmpeg, and under `ffmpeg` that of the whole."""
    found = {"ffmpeg": str(av.ffmpeg_version_info)}
    for name, numbers in av.library_versions.items():
        found[name] = ".".join(map(str, numbers))
    return found


def hardware_decoders() -> tuple[str, ...]:
    """Names of the kinds of devices for which FFmpeg was built with decoders.

    Whether such a device is there, nobody has asked.
    """
    return tuple(str(name) for name in hwaccel.hwdevices_available())


def try_encoder(name: str) -> str:
    """Encode two small frames as the program would, and read them back.

    Args:
        name: In `CODECS` or `GPU_CODECS`.

    Returns:
        FFmpeg's name of the encoder, the pixel format is the codec's first.

    Raises:
        MediaError: If the encoder is not there, fails, or what it wrote cannot be read.
        ValueError: If what comes back are not the two frames, or of a lossless codec other codes.
    """
    info = VideoInfo(*_SIZE, rate=Fraction(25), time_base=Fraction(1, 25))
    rows = torch.arange(_SIZE[0]).view(1, 1, -1, 1)
    columns = torch.arange(_SIZE[1]).view(1, 1, 1, -1)
    start = torch.arange(_FRAMES).view(-1, 1, 1, 1)
    luma = (16 + (rows + columns + 3 * start) % 200).to(torch.uint8)
    frames = FrameBatch(luma, tuple(range(_FRAMES)), info)
    ab = torch.zeros(_FRAMES, 2, 8, 12)
    ab[:, 0], ab[:, 1] = 20.0, -20.0
    colored = Colored(frames, Tracks.empty(), Chroma(ab, torch.full((_FRAMES, 1, 8, 12), 50.0)))
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        path = Path(folder) / f"two{codec_named(name).extensions[0]}"
        with VideoWriter(path, None, info, ColoredPlanes(), OutputConfig(codec=name)) as writer:
            writer.write(colored)
        with VideoReader(path) as reader:
            back = list(reader)
    count = sum(len(batch) for batch in back)
    if count != _FRAMES:
        raise ValueError(f"{name}: {_FRAMES} frames went in, {count} came back")
    codes = torch.cat([batch.luma for batch in back])
    if name == "ffv1" and not torch.equal(codes, luma):
        raise ValueError(f"{name}: is lossless, but other codes came back")
    return codec_named(name).encoder
