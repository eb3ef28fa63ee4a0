"""What came of a film, by PyAV alone."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from soaking.program import Settings, listed

__all__ = ["Look", "Verdict", "judge", "left_behind", "look"]

Array = npt.NDArray[Any]

LOSSY_MEAN = 12.0  # codes of 8 bit between a frame and its source after a lossy encoder


@dataclasses.dataclass
class Look:
    """A film as PyAV sees it.

    Attributes:
        times: Of the frames.
        lumas: CRC-32 of each Y plane, as numbers.
        planes: CRC-32 of all planes of each frame.
        small: Each Y plane in few 8-bit codes.
        packets: Kind, time and bytes (hashed) of all packets of other streams.
        sought: Whether seeking into the middle finds the frame that is there.
    """

    times: list[Fraction] = dataclasses.field(default_factory=list)
    lumas: list[int] = dataclasses.field(default_factory=list)
    planes: list[int] = dataclasses.field(default_factory=list)
    small: list[Array] = dataclasses.field(default_factory=list)
    packets: list[tuple[str, Fraction | None, str]] = dataclasses.field(default_factory=list)
    sought: bool = True


def look(path: Path) -> Look:
    """Decode a film, by PyAV alone."""
    seen = Look()
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        for frame in film.decode(stream):
            luma, whole = 0, 0
            deep = frame.format.components[0].bits > 8
            for number, plane in enumerate(frame.planes):
                rows = np.frombuffer(plane, np.uint16 if deep else np.uint8)
                rows = rows.reshape(plane.height, -1)[:, : plane.width]
                whole = zlib.crc32(rows.tobytes(), whole)
                if number == 0:
                    luma = zlib.crc32(rows.astype(np.uint16).tobytes())
                    scale = 1 << (frame.format.components[0].bits - 8)
                    seen.small.append(cv2.resize(rows.astype(np.float32) / scale, (8, 8)))
            seen.times.append(frame.pts * Fraction(stream.time_base))
            seen.lumas.append(luma)
            seen.planes.append(whole)
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size and packet.stream.type != "video":
                time_ = None if packet.pts is None else packet.pts * Fraction(packet.time_base)
                digest = hashlib.sha256(bytes(packet)).hexdigest()[:16]
                seen.packets.append((packet.stream.type, time_, digest))
    seen.packets.sort(key=lambda one: (one[0], one[1] or Fraction(0), one[2]))
    if len(seen.times) > 2:
        seen.sought = _sought(path, seen)
    return seen


def _sought(path: Path, seen: Look) -> bool:
    """Whether a player that jumps to the middle gets there."""
    middle = len(seen.times) // 2
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        film.seek(int(seen.times[middle] / stream.time_base), stream=stream)
        times = {frame.pts * Fraction(stream.time_base) for frame in film.decode(stream)}
    return times >= set(seen.times[middle:])


@dataclasses.dataclass
class Verdict:
    """What is wrong with a film.

    Attributes:
        wrong: In words; empty if nothing is.
        lost: Frames that are missing, at the wrong time or with another luma.
    """

    wrong: list[str] = dataclasses.field(default_factory=list)
    lost: int = 0


def judge(source: Look, whole: Look, found: Look, settings: Settings, exact_times: bool) -> Verdict:
    """Compare a film that was broken off with its source and with an unbroken run.

    Args:
        source: The gray film.
        whole: The unbroken run.
        found: The film.
        settings: Of both.
        exact_times: Whether its clock can hold the source's times as they are.
    """
    verdict = Verdict()
    wanted, moved = list(range(len(source.times))), Fraction(0)
    if settings.span is not None:
        first, last = Fraction(settings.span[0]), Fraction(sum(settings.span))
        near = Fraction(1, 10**6)
        wanted = [n for n, t in enumerate(source.times) if first - near <= t < last - near]
        moved = source.times[wanted[0]] - found.times[0] if found.times and wanted else moved
        if not first - Fraction(1, 500) <= moved <= first + Fraction(1, 500):
            verdict.wrong.append(f"the part begins {float(moved)} s into the film, not {first}")
    if len(found.times) != len(wanted):
        verdict.lost += abs(len(wanted) - len(found.times))
        verdict.wrong.append(f"{len(found.times)} frames, not {len(wanted)}")
    allowed = Fraction(0) if exact_times else Fraction(1, 1999)
    pairs = list(zip(wanted, range(len(found.times)), strict=False))
    late = sum(abs(source.times[a] - moved - found.times[b]) > allowed for a, b in pairs)
    if late:
        verdict.wrong.append(f"{late} frames at another time")
    if settings.codec == "ffv1":
        changed = sum(source.lumas[a] != found.lumas[b] for a, b in pairs)
        if settings.restore:  # which changes luma where it heals
            changed = 0
        if changed:
            verdict.wrong.append(f"{changed} frames of another luma")
        if found.planes != whole.planes:
            count = sum(a != b for a, b in zip(found.planes, whole.planes, strict=False))
            verdict.wrong.append(f"{count} frames differ from an unbroken run")
    else:
        off = [float(np.abs(source.small[a] - found.small[b]).mean()) for a, b in pairs]
        changed = 0 if settings.restore else sum(value > LOSSY_MEAN for value in off)
        if changed:
            verdict.wrong.append(f"{changed} frames show something else (up to {max(off):.1f})")
    verdict.lost += max(late, changed)
    if found.times != whole.times:
        verdict.wrong.append("other times than in an unbroken run")
    if found.packets != whole.packets:
        verdict.wrong.append("other packets of sound or subtitles than in an unbroken run")
    if not found.sought:
        verdict.wrong.append("seeking into the middle misses frames")
    return verdict


def left_behind(folder: Path, expected: set[str], plan: bool) -> list[str]:
    """Names in the folder of a finished film that should not be there."""
    found = []
    for path in listed(folder):
        if path.is_dir() and plan and path.name.endswith(".parts"):
            found += [p.name for p in listed(path) if ".partial-" in p.name or p.name == ".lock"]
        elif path.name not in expected:
            found.append(path.name)
    return found
