"""Breaks small films and pictures in many ways and looks what vidcolor makes of them.

Every file goes to a process of its own that has limits of time and memory. What counts as a fault:
the process died, hung, or took too much memory; an error that is no `VidcolorError`, or not one
printable line with the file's name; times that do not rise; an output beside an error; an output
that is not, frame by frame and time by time, what the reader gave; fewer frames than there were
without an error (`--strict` shows those of codecs and containers without checksums, too).

    python scripts/fuzz_media.py --minutes 10 --seed 1 --workers 2 --out findings

Broken files with faults are kept in `--out`, with `findings.json`. The exit code is 1 if there are
any.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "hostile")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from corpus import FRAMES, KINDS, damaged, make_kind  # noqa: E402
from media_lab import Lab, faults  # noqa: E402

_PICTURES = (".png", ".jpg", ".tif", ".bmp", ".webp")
_CHECKED = ("ffv1.mkv", "raw.y4m")
"""Kinds in which no loss of a frame is known to go unseen."""
_GROWTH_MB = 900.0


def sound_files(folder: Path) -> dict[str, tuple[bytes, int | None]]:
    """What is to be broken: content by name, and how many frames it has (None: a picture)."""
    found: dict[str, tuple[bytes, int | None]] = {
        kind: (make_kind(folder, kind).path.read_bytes(), FRAMES) for kind in KINDS
    }
    level = (np.add.outer(np.arange(40), np.arange(56)) * 2 % 256).astype(np.uint8)
    color = np.dstack((level, level[::-1], level[:, ::-1]))
    for suffix in _PICTURES:  # named so that they are taken for pictures, whatever they are
        name = suffix if suffix in (".png", ".jpg", ".tif") else ".png"
        found[f"color{suffix}{name}"] = cv2.imencode(suffix, color)[1].tobytes(), None
    for suffix in (".png", ".tif"):
        deep = cv2.imencode(suffix, level.astype(np.uint16) * 257)[1].tobytes()
        found[f"deep{suffix}"] = deep, None
    return found


class Hunt:
    """What was found, by all workers.

    Args:
        sound: Of `sound_files`.
        out: Where broken files with faults are kept.
        first: Number of the first damage.
        strict: Count every loss of frames without an error.
    """

    def __init__(
        self, sound: dict[str, tuple[bytes, int | None]], out: Path, first: int, strict: bool
    ) -> None:
        self.cases: collections.Counter[str] = collections.Counter()
        self.findings: list[dict[str, Any]] = []
        self.silent: collections.Counter[str] = collections.Counter()
        self.most_mb = self.most_s = 0.0
        self._sound, self._out, self._strict = sound, out, strict
        self._cases = ((n, name) for n in itertools.count(first) for name in sorted(sound))
        self._lock = threading.Lock()

    def work(self, number: int, folder: Path, until: float) -> None:
        """Break one file after the other until a time of the monotonic clock."""
        with Lab(folder / f"worker{number}") as lab:
            while time.monotonic() < until:
                with self._lock:
                    seed, name = next(self._cases)
                self._try(lab, folder / f"case{number}", seed, name)

    def _try(self, lab: Lab, folder: Path, seed: int, name: str) -> None:
        data, frames = self._sound[name]
        broken, how = damaged(data, seed)
        folder.mkdir(exist_ok=True)
        path = folder / f"broken{Path(name).suffix}"
        path.write_bytes(broken)
        steps = ("read", "color", "walk") if frames is not None else ("picture", "color")
        told = lab.ask(path, *steps)
        if "hung" in told:  # a busy machine may have stood still
            told = lab.ask(path, *steps)
        wrong = faults(path, told, frames, _GROWTH_MB)
        silent = [fault for fault in wrong if "no error" in fault and "frames read" in fault]
        with self._lock:
            self.cases[name] += 1
            self.silent[name] += bool(silent)
            self.most_mb = max(self.most_mb, told.get("grown_mb", 0.0))
            self.most_s = max(self.most_s, told.get("seconds", 0.0))
            if not self._strict and name not in _CHECKED:
                wrong = [fault for fault in wrong if fault not in silent]
            if wrong:
                kept = self._out / f"{len(self.findings):04}-{seed}-{name}"
                kept.write_bytes(broken)
                note = {"file": kept.name, "seed": seed, "name": name, "how": how, "faults": wrong}
                self.findings.append(note)
                sys.stdout.write(f"{kept.name} ({how}): {wrong[0][:300]}\n")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="number of the first damage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strict", action="store_true", help="count every silent loss of frames")
    parser.add_argument("--out", type=Path, default=Path("fuzz-media"), help="for what was found")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hunt = Hunt(sound_files(folder), args.out, args.seed, args.strict)
        until = started + 60 * args.minutes
        threads = [
            threading.Thread(target=hunt.work, args=(number, folder, until))
            for number in range(args.workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    summary = {
        "minutes": round((time.monotonic() - started) / 60, 2),
        "first_seed": args.seed,
        "cases": sum(hunt.cases.values()),
        "cases_by_kind": dict(hunt.cases),
        "silent_losses_by_kind": {name: n for name, n in hunt.silent.items() if n},
        "most_memory_mb": hunt.most_mb,
        "longest_s": hunt.most_s,
        "findings": hunt.findings,
    }
    (args.out / "findings.json").write_text(json.dumps(summary, indent=1) + "\n")
    sys.stdout.write(json.dumps({**summary, "findings": len(hunt.findings)}, indent=1) + "\n")
    return 1 if hunt.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
