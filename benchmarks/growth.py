"""How cost grows: with the length of a film, the size of its picture, the number of objects.

    python benchmarks/growth.py [--frames 60 120 240 480] [--heights 240 480 1080 2160]
                                [--instances 0 2 4 8] [--clip-frames 48] [--rounds 3] [--out FILE]
                                [--picture FILE|none] [-- any option of vidcolor colorize, ...]

Films are made of the example and colored as `vidcolor colorize` does it, each in a process of its
own, everything in turn and `rounds` times. Length grows at 480 rows; size and number of objects
with `--clip-frames` frames; objects are boxes by a formula, which drift. Printed are seconds for
the whole film, milliseconds a frame and peak memory, and for each series a straight line fitted by
least squares to the medians: seconds of a film over its frames, milliseconds a frame over
megapixels, milliseconds a frame over objects. `off` is the largest distance from the line as part
of the largest value: how far cost is from linear. `grows` of memory is the last peak over the
first.

Written as JSON to `benchmarks/results/growth-DEVICE.json`, and drawn in
`docs/images/growth.png`.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.clocks import run_apart
from measure.films import ROOT, describe, make_clip, write_boxes
from measure.rounds import FOLDER, Case, Value, write_result
from measure.settings import machine, split_flags

LINE = Path(__file__).with_name("line.py")
LENGTH_HEIGHT = 480
PICTURE = ROOT / "docs" / "images" / "growth.png"
SERIES = {
    "length": ("frames", "seconds of a film"),
    "size": ("megapixels", "ms a frame"),
    "instances": ("objects", "ms a frame"),
}
"""Of each series, what grows, and what is looked at."""


@dataclass(frozen=True, slots=True)
class Point:
    """A film of a series.

    Attributes:
        series: Its name.
        x: What grows: frames, megapixels, objects.
        height: Rows of the film.
        frames: Its length.
        instances: Boxes in each frame; None: the line looks for itself.
    """

    series: str
    x: float
    height: int
    frames: int
    instances: int | None = None

    @property
    def name(self) -> str:
        """Of its case."""
        told = {"length": self.frames, "size": f"{self.height}p", "instances": self.instances}
        return f"{self.series} {told[self.series]}"


def points(given: argparse.Namespace) -> list[Point]:
    """All films, in the order in which they take turns."""
    few = given.clip_frames
    found = [Point("length", count, LENGTH_HEIGHT, count) for count in given.frames]
    for height in given.heights:
        pixels = height * round(height * 4 / 3 / 2) * 2 / 1e6  # the example is 4:3
        found.append(Point("size", pixels, height, few))
    found += [Point("instances", count, LENGTH_HEIGHT, few, count) for count in given.instances]
    return found


def make_films(all_: Sequence[Point], folder: Path) -> dict[tuple[int, int], Path]:
    """Films by height and frames."""
    films = {}
    for point in all_:
        key = point.height, point.frames
        if key not in films:
            films[key] = folder / f"{point.height}p-{point.frames}.mp4"
            make_clip(point.height, films[key], point.frames)
    return films


def flags_of(point: Point, clip: Path, folder: Path) -> list[str]:
    """Flags of the line for a film: its boxes, where they are given."""
    if point.instances is None:
        return []
    path = folder / f"boxes-{point.instances}.jsonl"
    if not path.exists():
        height, width = describe(clip)["size"]
        write_boxes(path, point.frames, point.instances, (height, width))
    return ["--detector", f"boxes:{path}"]


def measure(all_: Sequence[Point], rounds: int, flags: list[str], folder: Path) -> dict[str, Case]:
    """Cases of all films."""
    films = make_films(all_, folder)
    found: dict[str, list[dict[str, Any]]] = {point.name: [] for point in all_}
    for number in range(rounds):
        for point in all_:
            clip = films[point.height, point.frames]
            words = ["--measure", "line", "--clip", str(clip), "--"]
            own = [*flags, *flags_of(point, clip, folder)]
            found[point.name].append(run_apart(LINE, [*words, *own]))
            one = found[point.name][-1]
            told = f"{one['seconds']:.2f} s, {one['peak_memory_mb'] or 0:.0f} MB"
            print(f"{point.name} {number}: {told}", file=sys.stderr, flush=True)
    cases = {}
    for point in all_:
        rows = found[point.name]
        values = {
            "film": Value("s", tuple(one["seconds"] for one in rows)),
            "frame": Value("ms/frame", tuple(1e3 * o["seconds"] / o["frames"] for o in rows)),
        }
        peaks = tuple(one["peak_memory_mb"] for one in rows if one["peak_memory_mb"] is not None)
        if peaks:
            values["memory"] = Value("MB", peaks)
        about = {**describe(films[point.height, point.frames]), "frames": point.frames}
        about |= {"series": point.series, "x": point.x, "instances": point.instances}
        cases[point.name] = Case(about, values)
    return cases


def fits(cases: dict[str, Case]) -> dict[str, dict[str, float]]:
    """Straight lines through the series that have at least three points."""
    found = {}
    for series in SERIES:
        own = [case for case in cases.values() if case.about["series"] == series]
        if len(own) < 3:
            continue
        x = [float(case.about["x"]) for case in own]
        y = [case.values["film" if series == "length" else "frame"].median for case in own]
        slope, start, off = fit(x, y)
        found[series] = {"slope": round(slope, 6), "start": round(start, 6), "off": round(off, 4)}
        if all("memory" in case.values for case in own):
            memory = [case.values["memory"].median for case in own]
            found[series]["memory_grows"] = round(memory[-1] / memory[0], 4)
    return found


def fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope and start of the straight line of least squares, and the largest distance from it.

    Args:
        x: At least two different numbers.
        y: As many; the largest is positive.

    Returns:
        The distance is along y, as part of the largest y.
    """
    slope, start = np.polyfit(np.asarray(x, float), np.asarray(y, float), 1)
    off = max(abs(slope * a + start - b) for a, b in zip(x, y, strict=True)) / max(y)
    return float(slope), float(start), float(off)


def table(cases: dict[str, Case], lines_: dict[str, dict[str, float]]) -> str:
    """The numbers as people read them."""
    lines = [f"{'':18}{'film, s':>10}{'ms a frame':>12}{'memory, MB':>12}"]
    for name, case in cases.items():
        memory = case.values.get("memory")
        lines.append(
            f"{name:18}{case.values['film'].median:10.2f}{case.values['frame'].median:12.2f}"
            + (f"{memory.median:12.0f}" if memory else "")
        )
    for series, line in lines_.items():
        what, of = SERIES[series]
        told = f"{of} = {line['start']:.3g} + {line['slope']:.3g} x {what}, off {line['off']:.1%}"
        grows = line.get("memory_grows")
        lines.append(f"{series}: {told}" + ("" if grows is None else f"; memory grows x {grows}"))
    return "\n".join(lines)


# -- the picture ---------------------------------------------------------------------------------

WIDE, HIGH, LEFT, TOP, FOOT = 340, 210, 52, 34, 40
INK, LINE_INK, DOT_INK = (40, 40, 40), (170, 130, 80), (60, 110, 230)


def draw(cases: dict[str, Case], lines_: dict[str, dict[str, float]], path: Path) -> None:
    """Time above, memory below, a panel for each series."""
    import cv2

    picture = np.full((2 * HIGH, len(SERIES) * WIDE, 3), 255, np.uint8)
    for column, (series, (what, of)) in enumerate(SERIES.items()):
        own = [case for case in cases.values() if case.about["series"] == series]
        if not own:
            continue
        x = [float(case.about["x"]) for case in own]
        y = [case.values["film" if series == "length" else "frame"].median for case in own]
        line = lines_.get(series)
        ends = None if line is None else (line["start"], line["slope"])
        panel(picture, (column * WIDE, 0), f"{of} over {what}", x, y, ends)
        if all("memory" in case.values for case in own):
            memory = [case.values["memory"].median for case in own]
            panel(picture, (column * WIDE, HIGH), f"peak memory, MB, over {what}", x, memory)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def panel(
    picture: npt.NDArray[np.uint8],
    corner: tuple[int, int],
    title: str,
    x: Sequence[float],
    y: Sequence[float],
    line: tuple[float, float] | None = None,
) -> None:
    """Points from 0 on, and a straight line (start, slope)."""
    import cv2

    width, height = WIDE - LEFT - 16, HIGH - TOP - FOOT
    most_x, most_y = rounded_up(max(x)), rounded_up(max(y))

    def place(a: float, b: float) -> tuple[int, int]:
        return (
            corner[0] + LEFT + round(width * a / most_x),
            corner[1] + TOP + round(height * (1 - max(0.0, b) / most_y)),
        )

    cv2.rectangle(picture, place(0, most_y), place(most_x, 0), (200, 200, 200), 1)
    if line is not None:
        start, slope = line
        ends = place(0, start), place(most_x, min(most_y, start + slope * most_x))
        cv2.line(picture, *ends, LINE_INK, 1, cv2.LINE_AA)
    for a, b in zip(x, y, strict=True):
        cv2.circle(picture, place(a, b), 4, DOT_INK, -1, cv2.LINE_AA)
    write(picture, title, (corner[0] + LEFT, corner[1] + 20), 0.42)
    for value in (0.0, most_y):
        write(picture, f"{value:g}", (corner[0] + 6, place(0, value)[1] + 5), 0.36)
    for value in (0.0, most_x):
        write(picture, f"{value:g}", (place(value, 0)[0] - 10, corner[1] + HIGH - 20), 0.36)


def rounded_up(value: float) -> float:
    """The next number that is 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-9))


def write(picture: npt.NDArray[np.uint8], text: str, place: tuple[int, int], size: float) -> None:
    """A line of text."""
    import cv2

    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[60, 120, 240, 480])
    parser.add_argument("--heights", type=int, nargs="+", default=[240, 480, 1080, 2160])
    parser.add_argument("--instances", type=int, nargs="+", default=[0, 2, 4, 8])
    parser.add_argument("--clip-frames", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path, default=PICTURE, help="none: not drawn")
    known, flags = split_flags(sys.argv[1:] if words is None else words)
    given = parser.parse_args(known)
    about = machine(flags)
    with tempfile.TemporaryDirectory() as folder:
        cases = measure(points(given), given.rounds, flags, Path(folder))
    lines = fits(cases)
    print(table(cases, lines))
    out = given.out or FOLDER / f"growth-{about['device']}.json"
    write_result(out, "growth", about, cases, {"fits": lines})
    print(f"written to {out}")
    if given.picture != Path("none"):
        draw(cases, lines, given.picture)
        print(f"drawn in {given.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
