"""Animation: what it saves to know which pictures only repeat.

    python benchmarks/held.py [--clip FILE] [--height 480] [--holds 2 3]
                              [--colorizers starter siggraph17] [--cadences every auto]
                              [--frames 96] [--few-frames 24] [--rounds 3] [--out FILE]
                              [-- any option of vidcolor colorize, ...]

The clip (the example, unless another is given) is drawn on twos and threes: every picture stands
for two or three frames, and is encoded so, with the small differences that an encoder makes. Each
file is colored as `vidcolor colorize` does it, once with held frames known (`known`), once with
`--cut.held false` (`unknown`), and beside them the clip drawn on ones, as many frames of it
(`ones`): in turn, each in a process of its own; ratios are taken round by round. Colorizers other
than the starter have weights by formula and few frames.

Beside the times, of one pass in this process: how many of the frames that repeat were marked, how
many were marked that do not, and whether the color of every marked frame is that of the frame
before, bit for bit. Written as JSON to `benchmarks/results/held-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machine import STARTER, colorizer_flags, colorizer_names
from measure.clocks import run_apart
from measure.films import EXAMPLE, describe, make_clip
from measure.rounds import FOLDER, Case, Value, write_result
from measure.settings import duration, machine, read_flags, split_flags

LINE = Path(__file__).with_name("line.py")
UNKNOWN = ["--cut.held", "false"]
FLOOR = "unknown"


def check_held(clip: Path, hold: int, frames: int, flags: list[str]) -> dict[str, Any]:
    """What was marked, and whether it got the color of the frame before.

    Args:
        clip: Each of its pictures stands for `hold` frames.
        hold: See above.
        frames: How many are looked at.
        flags: Of the line.
    """
    from vidcolor.build import build_line
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        rate = reader.info.rate
    config = read_flags(flags, duration(frames, rate))
    marked = right = wrong = same = repeats = 0
    before = None
    with VideoReader(clip, config.input) as reader:
        for batch in build_line(config)(reader):
            held = batch.frames.is_held().tolist()
            for number, (is_held, ab) in enumerate(zip(held, batch.chroma.ab, strict=True)):
                repeated = (batch.frames.index + number) % hold != 0
                repeats += repeated
                marked += is_held
                right += is_held and repeated
                wrong += is_held and not repeated
                same += is_held and before is not None and bool((ab == before).all())
                before = ab.clone()
    return {
        "repeats": repeats,
        "marked": marked,
        "marked_rightly": right,
        "marked_wrongly": wrong,
        "identical": same,
    }


def measure(clip: Path, ones: Path, frames: int, rounds: int, flags: list[str]) -> dict[str, Value]:
    """Rounds of a film with held frames known and unknown, and of the film on ones."""
    found: dict[str, list[dict[str, Any]]] = {"known": [], FLOOR: [], "ones": []}
    for number in range(rounds):
        for name, all_ in found.items():
            film = ones if name == "ones" else clip
            words = ["--measure", "line", "--clip", str(film), "--frames", str(frames), "--"]
            all_.append(run_apart(LINE, [*words, *flags, *(UNKNOWN if name == FLOOR else [])]))
            took = 1e3 * all_[-1]["seconds"] / all_[-1]["frames"]
            print(f"{clip.stem} {name} {number}: {took:.1f} ms a frame", file=sys.stderr)
    return {
        name: Value(
            "ms/frame",
            tuple(1e3 * one["seconds"] / one["frames"] for one in all_),
            None if name == FLOOR else FLOOR,
        )
        for name, all_ in found.items()
    }


def times(values: dict[str, Value], other: str = FLOOR) -> float:
    """How many times as fast it is to know: median of the ratios within a round."""
    pairs = zip(values[other].rounds, values["known"].rounds, strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The numbers as people read them."""
    head = "".join(f"{word:>9}" for word in ("known", "unknown", "times", "ones", "times"))
    lines = [f"{'':34}{head}  marked, wrongly, identical"]
    lines += [
        f"{name:34}{row['known_ms']:9.1f}{row['unknown_ms']:9.1f}{row['times']:9.2f}"
        f"{row['ones_ms']:9.1f}{row['times_ones']:9.2f}"
        f"  {row['marked_rightly']} of {row['repeats']}, {row['marked_wrongly']}, "
        f"{row['identical']} of {row['marked']}"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, default=EXAMPLE)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--holds", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--colorizers", nargs="+", default=[STARTER, "siggraph17"], metavar="NAME")
    parser.add_argument("--cadences", nargs="+", default=["every", "auto"])
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--few-frames", type=int, default=24, help="of slow colorizers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    known, flags = split_flags(sys.argv[1:] if words is None else words)
    given = parser.parse_args(known)
    colorizers = colorizer_names(given.colorizers)
    about = machine(flags)
    cases: dict[str, Case] = {}
    rows: dict[str, dict[str, Any]] = {}
    for hold in given.holds:
        with tempfile.TemporaryDirectory() as folder:
            clip, ones = (Path(folder) / f"held-{number}.mp4" for number in (hold, 1))
            make_clip(given.height, clip, given.frames, hold, given.clip)
            make_clip(given.height, ones, given.frames, 1, given.clip)
            for colorizer in colorizers:
                frames = given.frames if colorizer == STARTER else given.few_frames
                for cadence in given.cadences:
                    own = [*flags, *colorizer_flags(colorizer), "--cadence", cadence]
                    values = measure(clip, ones, frames, given.rounds, own)
                    name = f"on {hold}s, {colorizer}, {cadence}"
                    case = {**describe(clip), "frames": frames, "hold": hold}
                    cases[name] = Case(case, values)
                    rows[name] = {
                        "times": times(values),
                        "known_ms": round(values["known"].median, 3),
                        "unknown_ms": round(values[FLOOR].median, 3),
                        "times_ones": times(values, "ones"),
                        "ones_ms": round(values["ones"].median, 3),
                        **check_held(clip, hold, frames, own),
                    }
                    print(table({name: rows[name]}), flush=True)
    print(table(rows))
    out = given.out or FOLDER / f"held-{about['device']}.json"
    write_result(out, "held", about, cases, {"held": rows})
    print(f"written to {out}")
    missed = [name for name, row in rows.items() if row["identical"] != row["marked"]]
    for name in missed:
        print(f"{name}: held frames are not what they repeat", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
