"""Checksums of FFV1 pictures: decoders paint over a damaged slice and say nothing.

Reference: RFC 9043, section 4.9 (slice footer).
"""

from __future__ import annotations

import zlib

__all__ = ["SliceSums"]

_FOOTER = 8  # bytes: size of the slice 3, status 1, checksum 4
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_NOTHING = 0xFFFFFFFF


class SliceSums:
    """Looks whether the slices of pictures hold what their checksums say.

    Whether a film has checksums shows in the first picture whose slices lie end to end with them,
    or in the first of them that is right.
    """

    def __init__(self) -> None:
        self._has_sums = False
        self._wrong = False

    def are_wrong(self, packet: bytes) -> bool:
        """Whether this picture, or one before it, is damaged.

        Args:
            packet: A picture as stored.
        """
        if packet and not (self._wrong and self._has_sums):
            has_sums, is_right = _look_at(packet)
            self._has_sums = self._has_sums or has_sums
            self._wrong = self._wrong or not is_right
        return self._wrong and self._has_sums


def _look_at(packet: bytes) -> tuple[bool, bool]:
    """Whether a picture seems to have checksums, and whether all of them are right."""
    end = len(packet)
    found = []
    while end >= _FOOTER:
        begin = end - _FOOTER - int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        if begin < 0:
            break
        # the polynomial of zlib from the other end, which begins with 0 and leaves nothing over
        mirrored = packet[begin:end].translate(_MIRRORED)
        found.append(zlib.crc32(mirrored, _NOTHING) == _NOTHING)
        end = begin
    return end == 0 or any(found), end == 0 and all(found)
