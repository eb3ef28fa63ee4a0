"""Frames of an open film, up to its end or its damage."""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from vidcolor.errors import MediaError
from vidcolor.io.damage import structural_damage
from vidcolor.io.ffv1 import SliceSums
from vidcolor.io.picture_count import PictureCount
from vidcolor.io.source import as_time, reason

__all__ = ["damaged", "decode"]

_BAD_START_PACKETS = 500
"""Undecodable packets passed over before the first frame: a broadcast cut in mid-shot."""


def decode(
    path: Path, container: Any, stream: Any, to_its_end: bool, warn: Callable[[str], None]
) -> Generator[Any]:
    """Every frame that the decoder gives, from where the container stands.

    Args:
        path: Of the film, for messages and to look at its structure.
        container: The open film.
        stream: Its picture.
        to_its_end: Whether a file that is cut off is damage also if all of it can be decoded.
        warn: Told of what is odd at the beginning.

    Raises:
        MediaError: If the film is damaged, cut off or encrypted; frames before were yielded.
    """
    context = stream.codec_context
    if not context.is_open:
        stream.thread_type = "AUTO"
    unit = Fraction(stream.time_base)
    reached: int | None = None
    clean = False
    passed_over = 0
    failure: BaseException | None = None
    count = PictureCount(container, stream)
    sums = SliceSums() if context.name == "ffv1" else None
    is_wrong = False
    packets = container.demux(stream)
    while not is_wrong:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            if packet.has_sidedata("encryption_info"):
                # some of the noise might pass for a picture
                raise MediaError(f"{path}: is encrypted; give a copy without protection")
            count.take(packet)
            is_wrong = sums is not None and sums.are_wrong(bytes(packet))
            frames = context.decode(None) if is_wrong else packet.decode()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, MediaError):
                raise
            failure = error
            is_start = not clean and not count.begun and passed_over < _BAD_START_PACKETS
            if not is_start or isinstance(error, EOFError):
                raise damaged(path, reached, unit, reason(error)) from error
            passed_over += 1
            continue
        if packet.is_corrupt and clean:
            raise damaged(path, reached, unit, "a packet is damaged")
        for frame in frames:
            count.give(frame)
            if frame.is_corrupt and clean:
                raise damaged(path, reached, unit, "a picture is damaged")
            clean = clean or not frame.is_corrupt
            if not clean:
                warn("begins with damaged pictures; they are taken as they are")
            reached = frame.pts if frame.pts is not None else reached
            yield frame
    if is_wrong:
        raise damaged(path, reached, unit, "the checksum of a picture is wrong")
    if failure is not None and reached is None:
        raise MediaError(
            f"{path}: no frame of its {context.name} picture can be decoded: it is damaged "
            f"({reason(failure)})"
        ) from failure
    if passed_over:
        warn(f"begins with {passed_over} packets that cannot be decoded; left out")
    damage = (structural_damage(path) or count.missing(path)) if to_its_end else None
    if damage is not None and reached is not None:
        raise damaged(path, reached, unit, damage)


def damaged(path: Path, reached: int | None, unit: Fraction, why: str) -> MediaError:
    """The error of a film that breaks off.

    Args:
        path: Of the film.
        reached: pts of the last frame before; None if there is none.
        unit: Of pts, in seconds.
        why: In a few words.
    """
    where = "at its beginning" if reached is None else f"after {as_time(reached * unit)}"
    return MediaError(f"{path}: is damaged or cut off {where} ({why})")
