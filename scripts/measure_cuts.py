"""Prints the shots and the share of held frames of films.

Usage: python scripts/measure_cuts.py FILM... [--threshold 0.3] [--out FOLDER]

With --out FOLDER, three frames before and after each cut are written there as
`<film>_cuts.png`, to be looked at.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np

from vidcolor.io.video import VideoReader
from vidcolor.stages.cut import CutConfig, FindShots


def main() -> None:
    """Measure the films of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--threshold", type=float, default=CutConfig().threshold)
    parser.add_argument("--out", type=Path, help="folder for pictures of the cuts")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for film in arguments.films:
        measure(film, CutConfig(threshold=arguments.threshold), arguments.out)


def measure(film: Path, config: CutConfig, out: Path | None) -> None:
    """Print cuts, share of held frames and the cost of one film."""
    cuts, held, count, decoding = [], 0, 0, [0.0]
    recent: deque[np.ndarray] = deque(maxlen=3)
    open_cuts: list[tuple[int, list[np.ndarray]]] = []
    with VideoReader(film) as reader:

        def timed():
            batches = iter(reader)
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                decoding[0] += time.perf_counter() - began
                if batch is None:
                    return
                yield batch

        began = time.perf_counter()
        for batch in FindShots(config)(timed()):
            held += int(batch.is_held().sum())
            for i in range(len(batch)):
                if out is not None:
                    shift = max(0, batch.info.color.bits - 8)
                    small = cv2.resize(
                        (batch.luma[i, 0].numpy().astype(np.uint16) >> shift).astype(np.uint8),
                        (240, round(240 * batch.info.height / batch.info.width)),
                        interpolation=cv2.INTER_AREA,
                    )
                if i == 0 and batch.start == 0 and batch.index > 0:
                    cuts.append(batch.index)
                    if out is not None:
                        open_cuts.append((batch.index, list(recent)))
                if out is not None:
                    recent.append(small)
                    for _, row in open_cuts[-1:]:
                        if len(row) < 6:
                            row.append(small)
            count += len(batch)
        spent = time.perf_counter() - began - decoding[0]
    print(
        f"{film.name}: {count} frames, {len(cuts) + 1} shots, cuts at {cuts}, "
        f"held {held / count:.0%}, {spent / count * 1000:.1f} ms a frame"
    )
    if out is not None and open_cuts:
        out.mkdir(parents=True, exist_ok=True)
        rows = [np.hstack(row) for _, row in open_cuts if len(row) == 6]
        cv2.imwrite(str(out / f"{film.stem}_cuts.png"), np.vstack(rows))


if __name__ == "__main__":
    main()
