"""Key frames of a film: where they are, without decoding, and how to get before them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av.error
from av.stream import Discard

from vidcolor.errors import MediaError
from vidcolor.io.source import open_source, reason

__all__ = ["find_key_frames", "keys_before", "packet_time", "usual_step"]

_INDEXED = frozenset({"matroska", "mov", "avi"})
"""Containers that hold, or make on opening, a list of all key frames."""

_RETREATS_S = (1, 4, 16, 64)
_COVERED = Fraction(9, 10)
"""Share of a film that its index must reach over to be the index of all of it."""


def find_key_frames(path: Path) -> tuple[int, ...]:
    """Times of all key frames.

    They come from the index of the container (Matroska, MP4, MOV, AVI) where it has a whole one;
    where it notes only when pictures are decoded, one packet of each key frame is read besides.
    Of other files all packets are read. Nothing is decoded.

    Args:
        path: The film.

    Returns:
        pts, rising, in units of the stream's time base.

    Raises:
        MediaError: If the film cannot be opened, or not read at all.
    """
    container, stream = open_source(path)
    try:
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        times = _indexed(container, stream)
        if times is None:
            times = list(_demuxed(container, stream))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(
            f"{path}: its key frames cannot be found ({reason(error)}); make a copy of it with "
            "another program"
        ) from error
    finally:
        container.close()
    return tuple(sorted(set(times)))


def _kind(container: Any) -> str:
    name: str = container.format.name
    return name.split(",")[0]


def packet_time(packet: Any) -> int | None:
    """When the picture of a packet is shown, as far as the file says."""
    time: int | None = packet.pts if packet.pts is not None else packet.dts
    return time


def usual_step(stream: Any) -> int:
    """Ticks from a frame to the next by the frame rate, for films that say no times."""
    rate = stream.average_rate or 25
    return max(1, round(1 / (Fraction(rate) * Fraction(stream.time_base))))


def keys_before(container: Any, stream: Any, wanted: int) -> Iterator[tuple[int, Any]]:
    """Key frames at or before a time, the nearest first.

    Who is not content with a key frame goes on to the one before it. Containers without an index
    only guess where a picture lies, and need some packets to know the time again: there the
    search begins earlier, and reads up to `wanted`.

    Args:
        container: The open film; it stands anywhere after a step.
        stream: Its picture.
        wanted: pts.

    Yields:
        Where to seek so as to be at the key frame or before it, and its packet.
    """
    ticks = 1 / Fraction(stream.time_base)
    limit = before = wanted
    steps = (0, 0, *_RETREATS_S) if _kind(container) in _INDEXED else _RETREATS_S
    for retreat in steps:
        target = min(before, wanted - int(retreat * ticks))
        first, last = _keys_between(container, stream, target, limit, further=retreat > 0)
        if first is not None:
            before = min(before, _earliest(first) - 1)
        if last is None:
            continue
        time = packet_time(last)
        if time is None:
            return
        yield target, last
        limit = time - 1
        before = min(before, _earliest(last) - 1)


def _earliest(packet: Any) -> int:
    """The lower of a packet's two times."""
    return min(time for time in (packet.pts, packet.dts) if time is not None)


def _keys_between(
    container: Any, stream: Any, target: int, limit: int, further: bool
) -> tuple[Any, Any]:
    """The first key frame after seeking, and the last one up to `limit`; None where there is none.

    Args:
        container: The open film.
        stream: Its picture.
        target: Where to seek.
        limit: pts.
        further: Whether to read on for more key frames after the first.
    """
    first = last = None
    try:
        container.seek(target, stream=stream)
        for packet in container.demux(stream):
            time = packet_time(packet)
            if not packet.size or time is None:
                continue
            if packet.is_keyframe:
                first = first or packet
                last = packet if time <= limit else last
            if packet is first:
                further = further or _skips_keys(container, stream, packet, limit)
            if first is not None and (not further or _earliest(packet) > limit):
                break
    except (av.error.FFmpegError, ValueError, OSError):
        pass  # what was read before is as good
    return first, last


def _skips_keys(container: Any, stream: Any, key: Any, limit: int) -> bool:
    """Whether seeking may have gone back farther than needed.

    Where an index is by decoding time, what is shown from a key frame on begins later by an
    amount that changes along the film; seeking allows for all of it.
    """
    if _kind(container) not in ("mov", "avi") or key.dts is None:
        return False
    entries = stream.index_entries
    number = entries.search_timestamp(key.dts + 1, backward=False)
    return number >= 0 and entries[number].timestamp <= limit


def _indexed(container: Any, stream: Any) -> list[int] | None:
    """Key frames by the index; None where there is none, or not one of the whole film."""
    if _kind(container) not in _INDEXED:
        return None
    if _kind(container) == "matroska":
        container.seek(stream.start_time or 0, stream=stream)  # only now is its index read
    entries = list(stream.index_entries)
    keys = [entry.timestamp for entry in entries if entry.is_keyframe and not entry.is_discard]
    if not keys or not _covers(container, stream, entries):
        return None
    if _kind(container) == "matroska":
        return keys
    ends = [*(key - 1 for key in keys[1:]), entries[-1].timestamp + usual_step(stream)]
    places = list(zip(keys, ends, strict=True))
    if len(keys) == len(entries) and not stream.codec_context.reorder_depth:
        outer = [_shown_time(container, stream, *place) for place in (places[0], places[-1])]
        if outer == [keys[0], keys[-1]]:
            return keys
    times = [_shown_time(container, stream, *place) for place in places]
    known = [time for time in times if time is not None]
    return known if len(known) == len(times) else None


def _shown_time(container: Any, stream: Any, key: int, end: int) -> int | None:
    """When the key frame is shown that is decoded at `key`; it is the last one before `end`."""
    container.seek(end, stream=stream)
    for packet in container.demux(stream):
        if packet.dts == key:
            return packet_time(packet)
        if packet.dts is None or packet.dts > key:
            break
    return None


def _covers(container: Any, stream: Any, entries: list[Any]) -> bool:
    """Whether an index is that of the whole film, and not of what was read of it so far."""
    if stream.frames and len(entries) >= stream.frames:
        return True
    unit = Fraction(stream.time_base)
    length = Fraction(stream.duration or 0) * unit
    if not length and container.duration:
        length = Fraction(container.duration, 1_000_000)
    begin = Fraction(stream.start_time or 0) * unit
    keys = [entry.timestamp * unit - begin for entry in entries if entry.is_keyframe]
    if not length or len(keys) < 2:
        return False
    longest = max(after - before for before, after in pairwise(keys))
    return keys[-1] >= min(length * _COVERED, length - longest)


def _demuxed(container: Any, stream: Any) -> Iterator[int]:
    """Key frames by reading all packets; those before a damaged place, where there is one."""
    step, number = usual_step(stream), 0
    try:
        for packet in container.demux(stream):
            if packet.size and packet.is_keyframe:
                time = packet_time(packet)
                yield number * step if time is None else time
            number += bool(packet.size)
    except (av.error.FFmpegError, ValueError, OSError):
        if not number:
            raise
