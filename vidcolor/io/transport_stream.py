"""Is an MPEG transport stream whole? FFmpeg finds its way through gaps and tells little of them.

Reference: ISO/IEC 13818-1, section 2.4.3.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["packet_length", "transport_damage"]

_SYNC = 0x47
_LENGTHS = (188, 192, 204)
_IN_A_ROW = 5
"""Packets that must begin alike before a file is taken for a transport stream."""
_AT_A_TIME = 1 << 16  # packets
_IDS = 1 << 13
_PICTURE_STREAMS = (0xE0, 0xEF)

Bytes = bytes | mmap.mmap


def packet_length(data: Bytes) -> int | None:
    """Bytes of a packet if a file is a transport stream: 188, 192 (with times) or 204 (parity)."""
    for length in _LENGTHS:
        ahead = 4 if length == 192 else 0
        places = [ahead + length * number for number in range(_IN_A_ROW)]
        if places[-1] < len(data) and all(data[place] == _SYNC for place in places):
            return length
    return None


def transport_damage(data: Bytes) -> str | None:
    """What is wrong with a transport stream: lost packets are FFmpeg's to find.

    Returns:
        A few words, or None if every packet begins as it must, none is marked as damaged in
        transmission, every picture has its header, and the last packet is whole.
    """
    length = packet_length(data)
    if length is None:
        return None
    ahead = 4 if length == 192 else 0
    count = len(data) // length
    carries = np.zeros(_IDS, bool)
    for first in range(0, count, _AT_A_TIME):
        last = min(count, first + _AT_A_TIME)
        rows = np.frombuffer(data[first * length : last * length], np.uint8)
        at = _first_fault(rows.reshape(-1, length)[:, ahead:], carries)
        if at is not None:
            return f"it is damaged at byte {(first + at) * length}"
    over = len(data) % length
    return f"{length - over} bytes are missing at its end" if over else None


def _first_fault(packets: npt.NDArray[np.uint8], carries: npt.NDArray[np.bool_]) -> int | None:
    """Number of the first damaged packet.

    Args:
        packets: (N, 188 or more) bytes.
        carries: (8192,) whether pictures were seen under an id; updated.
    """
    ids = (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]
    wrong = (packets[:, 0] != _SYNC) | (packets[:, 1] & 0x80 > 0)
    begins = _begins(packets)
    carries[ids[begins & ~wrong]] = True
    starts = (packets[:, 1] & 0x40 > 0) & (packets[:, 3] & 0x10 > 0)
    wrong |= starts & carries[ids] & ~begins
    return int(np.argmax(wrong)) if wrong.any() else None


def _begins(packets: npt.NDArray[np.uint8]) -> Any:
    """(N,) whether a packet holds the beginning of a picture's elementary packet."""
    adapted = packets[:, 3] & 0x20 > 0
    content = 4 + np.where(adapted, packets[:, 4].astype(np.int32) + 1, 0)
    content = np.minimum(content, packets.shape[1] - 4)
    found = [np.take_along_axis(packets, (content + n)[:, None], 1)[:, 0] for n in range(4)]
    low, high = _PICTURE_STREAMS
    is_picture = (found[3] >= low) & (found[3] <= high)
    starts = packets[:, 1] & 0x40 > 0
    return starts & (found[0] == 0) & (found[1] == 0) & (found[2] == 1) & is_picture
