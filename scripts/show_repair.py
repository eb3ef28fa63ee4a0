"""Damages a clip, repairs it, and draws frames before and after: the picture of README.

Usage: python scripts/show_repair.py [CLIP] --out docs/images/restore.jpg [--frames 30 120]

Prints the PSNR of the whole film damaged and repaired, and what was found.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vidcolor.api import restore_video
from vidcolor.holes.film import damage_film
from vidcolor.holes.film_settings import FilmDamage


def read(path: Path) -> list[np.ndarray]:
    """Luma of all frames."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]


def write(path: Path, frames: list[np.ndarray]) -> None:
    """A lossless gray film."""
    height, width = frames[0].shape
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        for number, codes in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def psnr(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Of whole films."""
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(one, other, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, default=Path("examples/example.mp4"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[30, 120])
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    truth = read(given.clip)
    damaged, _, _ = damage_film(
        [frame.astype(np.float32) for frame in truth], FilmDamage(scratches=0), given.seed
    )
    before = [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in damaged]
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "damaged.mkv", Path(folder) / "repaired.mkv"
        write(source, before)
        tally = restore_video(source, output)
        after = read(output)
    print(f"damaged {psnr(before, truth):.1f} dB, repaired {psnr(after, truth):.1f} dB")
    print("\n".join(tally.lines()))
    rows = [np.hstack([films[n] for n in given.frames]) for films in (before, after)]
    gap = np.full((8, rows[0].shape[1]), 255, np.uint8)
    cv2.imwrite(str(given.out), np.vstack([rows[0], gap, rows[1]]), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
