"""Rows of frames out of films, one film a row, to look at results.

    python scripts/contact_sheet.py SOURCE [OUTPUT ...] [--frames 6] [--out sheet.png]
                                    [--boxes BOXES.jsonl] [--start S] [--duration S]

All rows show the same moments: frames of SOURCE, evenly spaced, and from every OUTPUT the frame
that is shown at that time, counted from the first frame of each file. Pictures are decoded with
the matrix and range that each file claims and turned as its rotation says. Boxes, as
`vidcolor detect` writes them, are drawn on the first row. A picture file is a film of one frame.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

MARGIN = 6
LABEL = 22
INK = (40, 40, 40)
PAPER = 255
PALETTE = ((230, 75, 60), (60, 160, 230), (90, 190, 90), (240, 180, 40), (170, 100, 220))
UNSPECIFIED = 2
SD_HEIGHT = 576
TICK = Fraction(1, 500)  # mkv rounds times to milliseconds


def frame_times(path: Path, start: float | None, duration: float | None) -> list[Fraction]:
    """Seconds from the first frame at which the frames of a film are shown, by its packets."""
    with av.open(path) as film:
        stream = film.streams.best("video")
        if stream is None:
            raise SystemExit(f"{path}: no picture in it")
        times = sorted(
            packet.pts * Fraction(packet.time_base)
            for packet in film.demux(stream)
            if packet.pts is not None
        )
    low = Fraction(start or 0)
    high = None if duration is None else low + Fraction(duration)
    times = [time - times[0] for time in times]
    kept = [time for time in times if time >= low and (high is None or time < high)]
    if not kept:
        raise SystemExit(f"{path}: no frames in the part asked for")
    return kept


def pick(times: Sequence[Fraction], count: int) -> list[int]:
    """Numbers of `count` evenly spaced frames, each in the middle of its share."""
    count = min(count, len(times))
    return [(2 * number + 1) * len(times) // (2 * count) for number in range(count)]


def as_rgb(frame: Any) -> tuple[Picture, int]:
    """(H, W, 3) R'G'B' with the matrix and range that the frame claims, and quarter turns due.

    What it leaves open is read as players read it: BT.709 above 576 rows, else BT.601; limited.
    """
    matrix = int(frame.colorspace)
    if frame.format.name.startswith(("gray", "rgb", "bgr", "gbr", "pal", "mono")):
        rgb = frame.to_ndarray(format="rgb24")
    else:
        if matrix in (0, UNSPECIFIED):
            matrix = 1 if frame.height > SD_HEIGHT else 5
        rgb = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    return rgb, round(frame.rotation / 90) % 4


def decode(path: Path, times: Sequence[Fraction]) -> list[tuple[Picture, int]]:
    """The frames shown at `times` (increasing); the last one again where the film is shorter.

    Pictures are as coded, each with the quarter turns, counter-clockwise, that it needs.
    """
    found: list[tuple[Picture, int]] = []
    with av.open(path) as film:
        stream = film.streams.best("video")
        if stream is None:
            raise SystemExit(f"{path}: no picture in it")
        stream.thread_type = "AUTO"
        shown: Any = None
        first: Fraction | None = None
        for frame in film.decode(stream):
            time = Fraction(0) if frame.pts is None else frame.pts * Fraction(frame.time_base)
            first = time if first is None else first
            time -= first
            # The frame before this one was on until `time`.
            while shown is not None and len(found) < len(times) and time > times[len(found)] + TICK:
                found.append(as_rgb(shown))
            if len(found) == len(times):
                break
            shown = frame
        while shown is not None and len(found) < len(times):
            found.append(as_rgb(shown))
    if not found:
        raise SystemExit(f"{path}: no frames")
    return found


def draw_boxes(picture: Picture, line: dict[str, Any]) -> Picture:
    """The picture with the boxes of one line of a boxes file."""
    picture = np.ascontiguousarray(picture).copy()
    boxes = line.get("boxes", [])
    names = line.get("labels", [""] * len(boxes))
    scores = line.get("scores", [None] * len(boxes))
    marks = line.get("ids", list(range(len(boxes))))
    thick = max(1, picture.shape[0] // 240)
    for box, name, score, mark in zip(boxes, names, scores, marks, strict=True):
        x0, y0, x1, y1 = (round(value) for value in box)
        ink = PALETTE[mark % len(PALETTE)]
        cv2.rectangle(picture, (x0, y0), (x1, y1), ink, thick)
        text = f"{name} {score:.2f}" if score is not None else str(name)
        scale = picture.shape[0] / 700
        cv2.putText(picture, text, (x0 + 2, y0 + round(26 * scale) + 2), 0, scale, ink, thick)
    return picture


def read_boxes(path: Path) -> dict[int, dict[str, Any]]:
    """Lines of a boxes file by frame number."""
    with path.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines if line.strip()]
    return {line["frame"]: line for line in found}


def fit(picture: Picture, height: int) -> Picture:
    """Scaled to `height`."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    shrinks = picture.shape[0] > height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=how)


def label(text: str, width: int) -> Picture:
    """A strip of paper with text."""
    strip = np.full((LABEL, width, 3), PAPER, np.uint8)
    cv2.putText(strip, text, (2, LABEL - 7), 0, 0.45, INK, 1, cv2.LINE_AA)
    return strip


def make_sheet(rows: Sequence[tuple[str, Sequence[Picture]]], names: Sequence[str]) -> Picture:
    """Rows of pictures under their labels; `names` stand above the columns."""
    lines: list[Picture] = []
    for number, (title, pictures) in enumerate(rows):
        heads = [
            label(name, picture.shape[1]) for name, picture in zip(names, pictures, strict=True)
        ]
        parts: list[Picture] = []
        for head, picture in zip(heads, pictures, strict=True):
            column = np.vstack([head, picture]) if number == 0 else picture
            parts += [column, np.full((len(column), MARGIN, 3), PAPER, np.uint8)]
        body = np.hstack(parts[:-1])
        lines += [label(title, body.shape[1]), body]
    width = max(line.shape[1] for line in lines) + 2 * MARGIN
    sheet = np.full((sum(map(len, lines)) + 2 * MARGIN, width, 3), PAPER, np.uint8)
    top = MARGIN
    for line in lines:
        sheet[top : top + len(line), MARGIN : MARGIN + line.shape[1]] = line
        top += len(line)
    return sheet


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("outputs", nargs="*", type=Path, metavar="OUTPUT")
    parser.add_argument("--frames", type=int, default=6, help="columns")
    parser.add_argument("--height", type=int, default=180, help="rows of each picture")
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    parser.add_argument("--boxes", type=Path, help="drawn on the first row")
    parser.add_argument("--start", type=float, metavar="S")
    parser.add_argument("--duration", type=float, metavar="S")
    given = parser.parse_args(arguments)
    if given.frames < 1:
        parser.error("--frames must be at least 1")

    everything = frame_times(given.source, None, None)
    part = frame_times(given.source, given.start, given.duration)
    times = [part[number] for number in pick(part, given.frames)]
    rows: list[tuple[str, list[Picture]]] = []
    for number, path in enumerate((given.source, *given.outputs)):
        pictures = decode(path, times)
        if number == 0 and given.boxes:
            lines = read_boxes(given.boxes)
            pictures = [
                (draw_boxes(picture, lines.get(everything.index(time), {})), turns)
                for (picture, turns), time in zip(pictures, times, strict=True)
            ]
        upright = [fit(np.rot90(picture, turns), given.height) for picture, turns in pictures]
        rows.append((path.name, upright))
    names = [f"#{everything.index(time)}  {float(time):.2f} s" for time in times]
    sheet = make_sheet(rows, names)
    if not cv2.imwrite(str(given.out), sheet[..., ::-1]):
        raise SystemExit(f"{given.out}: cannot be written")
    print(f"{given.out}: {len(rows)} rows of {len(times)} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
