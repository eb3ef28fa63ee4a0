"""What a picture looks like in few numbers: is it of any use, and is it another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.io.color_frames import resize

__all__ = ["Look", "Pair", "difference", "lab_thumb", "look_at", "near", "spread", "verdict"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]

_JUDGED_PX = 48  # short side at which a picture is judged: grain and chroma noise are averaged
_BLACK = 14.0  # L* that the brightest parts of a black picture do not exceed
_WHITE = 92.0  # L* that the darkest parts of a white one do not go below
_FLAT = 8.0  # range of L* of a picture without content
_TAILS = 2.0  # per cent at either end that do not count
_LEVEL = 4.0  # L* that count as equally light
_THUMB = (12, 20)
_HASH_PX = 32
_HASH_SIDE = 8
_SMALL = 8
_ALIKE_COLOR = 12.0  # mean L*a*b* distance of small pictures up to which hashes are believed
_FILM_BITS = 8
_BLOCK = 128


def _lab(rgb: Bytes) -> Floats:
    return np.asarray(
        cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab), np.float32
    )


def verdict(
    rgb: Bytes, least_chroma: float, least_untoned: float
) -> Literal["black", "white", "flat", "gray", "toned"] | None:
    """Why a picture teaches no color, or None if it may.

    Args:
        rgb: (H, W, 3) uint8, without bars.
        least_chroma: Mean chroma in a*b* units below which it is gray.
        least_untoned: Mean distance in a*b* units from the usual color of its lightness below
            which it is a gray picture with a tone.
    """
    scale = min(1.0, _JUDGED_PX / min(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale)))
    lab = _lab(cast(Bytes, resize(rgb, size))).reshape(-1, 3)
    low, high = np.percentile(lab[:, 0], (_TAILS, 100 - _TAILS))
    if high < _BLACK:
        return "black"
    if low > _WHITE:
        return "white"
    if high - low < _FLAT:
        return "flat"
    if float(np.hypot(lab[:, 1], lab[:, 2]).mean()) < least_chroma:
        return "gray"
    return "toned" if _untoned(lab) < least_untoned else None


def _untoned(lab: Floats) -> float:
    """Mean chroma of (N, 3) colors without the mean color of those that are as light."""
    level = (lab[:, 0] / _LEVEL).astype(np.int64)
    count = np.maximum(np.bincount(level), 1)
    a, b = (lab[:, k] - (np.bincount(level, lab[:, k]) / count)[level] for k in (1, 2))
    return float(np.hypot(a, b).mean())


def lab_thumb(rgb: Bytes) -> Floats:
    """L*a*b* of a tiny picture, to measure `difference` by."""
    return _lab(cast(Bytes, resize(rgb, _THUMB)))


def difference(one: Floats, other: Floats) -> float:
    """Mean distance of two thumbnails in L*a*b*."""
    return float(np.linalg.norm(one - other, axis=-1).mean())


def spread(thumbs: Sequence[Floats], count: int, least: float) -> list[int]:
    """Positions of pictures that differ most from each other, in order.

    Farthest-first traversal (Gonzalez, Clustering to minimize the maximum intercluster distance,
    1985), from the one in the middle.

    Args:
        thumbs: By `lab_thumb`, in order of time.
        count: Most that are chosen.
        least: Each differs from all others by at least this.
    """
    if not thumbs:
        return []
    chosen = [len(thumbs) // 2]
    away = np.array([difference(thumb, thumbs[chosen[0]]) for thumb in thumbs])
    while len(chosen) < min(count, len(thumbs)):
        best = int(np.argmax(away))
        if away[best] <= 0 or away[best] < least:
            break
        chosen.append(best)
        away = np.minimum(away, [difference(thumb, thumbs[best]) for thumb in thumbs])
    return sorted(chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """By what a picture is known again.

    Attributes:
        hash: 64 bits: which of the 8 x 8 lowest cosine frequencies of the gray picture at 32 x 32
            lie above their median (the "pHash" of Zauner, 2010).
        small: (8, 8, 3) uint8 R'G'B', because pictures without texture have chance hashes.
    """

    hash: int
    small: Bytes

    def to_row(self) -> dict[str, str]:
        """As text."""
        return {"hash": f"{self.hash:016x}", "small": self.small.tobytes().hex()}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Look:
        """What `to_row` wrote."""
        small = np.frombuffer(bytes.fromhex(row["small"]), np.uint8)
        return cls(int(row["hash"], 16), small.reshape(_SMALL, _SMALL, 3))


def look_at(rgb: Bytes) -> Look:
    """The look of a picture, (H, W, 3) uint8."""
    gray = cast(Bytes, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    waves = np.asarray(cv2.dct(resize(gray, (_HASH_PX, _HASH_PX)).astype(np.float32)))
    low = waves[:_HASH_SIDE, :_HASH_SIDE].ravel()
    bits = low > np.median(low)
    number = int.from_bytes(np.packbits(bits).tobytes(), "big")
    return Look(number, cast(Bytes, resize(rgb, (_SMALL, _SMALL))))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that look alike.

    Attributes:
        earlier: Number of the one.
        later: Number of the other.
        bits: Bits in which their hashes differ.
        color: Mean distance of their small pictures in L*a*b*.
    """

    earlier: int
    later: int
    bits: int
    color: float


def near(looks: Sequence[Look], films: Sequence[int], bits: int) -> Iterator[Pair]:
    """Pictures that look alike, ordered by the later one.

    Hashes alone err: pictures without texture have chance hashes, so the small pictures must agree
    too. Two frames of one film are far more likely to show the same place than two photographs
    are, and may differ in 8 bits more.

    Args:
        looks: Of all pictures.
        films: Of each picture, the number of its film; -1 if it is of none.
        bits: Most bits of the hash that differ.
    """
    hashes: Hashes = np.array([look.hash for look in looks], np.uint64)
    labs = np.array([_lab(look.small) for look in looks], np.float32)
    film = np.array(films, np.int64)
    for first in range(0, len(hashes), _BLOCK):
        block, last = hashes[first : first + _BLOCK], min(first + _BLOCK, len(hashes))
        away = np.bitwise_count(block[:, None] ^ hashes[None, :last])
        same = (film[first:last, None] == film[None, :last]) & (film[first:last, None] >= 0)
        rows, earlier = np.nonzero(away <= bits + _FILM_BITS * same)
        later = rows + first
        rows, earlier, later = (v[earlier < later] for v in (rows, earlier, later))
        for part in range(0, len(rows), _BLOCK):
            here = slice(part, part + _BLOCK)
            color = np.linalg.norm(labs[earlier[here]] - labs[later[here]], axis=-1).mean((1, 2))
            for k in np.flatnonzero(color <= _ALIKE_COLOR) + part:
                pair = int(earlier[k]), int(later[k]), int(away[rows[k], earlier[k]])
                yield Pair(*pair, float(color[k - part]))
