"""What may happen to a disk."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

from soaking.program import finished, listed, parts_of, unfinished

__all__ = ["Disk", "frames_in", "lose_power", "turn_a_bit"]

DISK_MIB = 600


class Disk:
    """A small disk of its own under a folder, which can be full.

    Args:
        folder: An empty one.
        real: Mount one; else files can only be limited in size.

    Raises:
        RuntimeError: If it cannot be mounted.
    """

    def __init__(self, folder: Path, real: bool) -> None:
        self.folder, self.real = folder, real
        if real and not self._mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "soak"):
            raise RuntimeError(f"{folder}: no disk can be mounted; leave out --disks, or be root")

    def _mount(self, *words: str) -> bool:
        call = ["mount", *words, str(self.folder)]
        return subprocess.run(call, capture_output=True, check=False).returncode == 0

    def fill(self, free: int) -> None:
        """Leave so many bytes."""
        state = os.statvfs(self.folder)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        self._mount("-o", f"remount,size={used + max(free, state.f_frsize)}")

    def empty(self) -> None:
        """Enough room again."""
        self._mount("-o", f"remount,size={DISK_MIB}m")

    def close(self, keep: bool) -> None:
        """Take the disk away; with `keep` all that is on it stays in the folder."""
        if not self.real:
            return
        aside = self.folder.with_name("kept")
        if keep:
            shutil.copytree(self.folder, aside)
        subprocess.run(["umount", str(self.folder)], capture_output=True, check=False)
        if keep:
            shutil.copytree(aside, self.folder, dirs_exist_ok=True)
            shutil.rmtree(aside)


def lose_power(output: Path, rng: random.Random) -> int:
    """Do to files that were not yet on the disk what a power cut may do; how many.

    Finished spans stay: they were brought to the disk before they got their names.
    """
    loose = [p for p in listed(parts_of(output)) if ".partial-" in p.name] + unfinished(output)
    for path in loose:
        size = path.stat().st_size
        way = rng.choice(("gone", "cut", "zeros", "empty"))
        if way == "gone":
            path.unlink()
        elif way == "empty" or size == 0:
            os.truncate(path, 0)
        else:
            keep = rng.randrange(size)
            os.truncate(path, keep)
            if way == "zeros":
                os.truncate(path, size)
    lock = parts_of(output) / ".lock"
    if rng.random() < 0.5:
        lock.unlink(missing_ok=True)
    return len(loose)


def turn_a_bit(parts: Path, rng: random.Random) -> bool:
    """Damage a finished span; whether there was one."""
    spans = finished(parts)
    if not spans:
        return False
    path = rng.choice(spans)
    data = bytearray(path.read_bytes())
    at = rng.choice((rng.randrange(len(data)), rng.randrange(max(0, len(data) - 600), len(data))))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return True


def frames_in(path: Path) -> int:
    """Frames in a span that was not finished."""
    data, at, count = path.read_bytes(), len(b"vidcolor segment 1\n"), 0
    while at + 13 <= len(data):
        size = struct.unpack_from("<qBI", data, at)[2]
        at += 13 + size
        count += at <= len(data)
    return count
