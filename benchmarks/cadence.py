"""How often the network has to look: speed and quality over the distance of keyframes.

    python benchmarks/cadence.py CLIP ... [--frames 60] [--cadences every 2 3 4 6 8 12 16 auto]
                                 [--predict network|truth] [--no-quality] [--out FILE]
                                 [--picture FILE] [-- any option of vidcolor colorize, ...]

The color of each clip is thrown away and made anew with every cadence, side by side: what comes
before `colorize` is done once, what comes after it as often as there are cadences, in turn. All
in one thread; on a CPU the clock is processor time, so that whatever else runs on the machine
changes little. Printed for each cadence, as means over the clips:

* `line`: how many times as fast as with every frame the whole line is, decoding and encoding
  (with default settings) included; `color`: the same of `colorize` alone, ms a frame beside it;
* `seen`: part of the frames that the network saw;
* PSNR in dB, CIEDE2000, CDC minus the truth's own in 1e-3, chroma instability (a*b* along
  motion where that is known) and the warping error of R'G'B' (same mask, 1e-3), all after the
  stabilizer, at the network's size; mean chroma as part of the truth's.

With `--predict truth` the network is replaced by one that knows the true color of every frame: what
is then missing is what propagation and stabilizer lose. Clips must have square pixels and no
rotation. Written as JSON to `benchmarks/results/cadence-NAME.json`, with the rows of every clip.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
import line as line_benchmark

from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.color.measure import (
    chroma_instability,
    color_consistency,
    delta_e_2000,
    mean_chroma,
    psnr,
    visible,
)
from vidcolor.ops.flow import as_gray, dis_flow, warp
from vidcolor.records import Chroma, Colored, FrameBatch, Tracked, Tracks
from vidcolor.stages.cadence import CadenceConfig, Keyframes, Predicts

CADENCES = ("every", "2", "3", "4", "6", "8", "12", "16", "auto")
QUALITY = ("psnr", "delta_e", "cdc", "instability", "warping", "chroma")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Row:
    """What was measured of a clip with one cadence, or the mean over clips.

    Attributes:
        line_ms: Processor time of the whole line for a frame.
        color_ms: Of `colorize` alone.
        seen: Part of the frames that the network saw.
        psnr: dB.
        delta_e: CIEDE2000.
        cdc: CDC minus the truth's own, 1e-3.
        instability: a*b* units.
        warping: Mean squared difference along motion of R'G'B' in 0..1, 1e-3.
        chroma: Mean |a*b*| as part of the truth's.
    """

    line_ms: float
    color_ms: float
    seen: float
    psnr: float = 0.0
    delta_e: float = 0.0
    cdc: float = 0.0
    instability: float = 0.0
    warping: float = 0.0
    chroma: float = 0.0


class Watched:
    """A colorizer that counts the frames it sees."""

    def __init__(self, inner: Predicts) -> None:
        self.inner = inner
        self.seen = 0

    def __call__(self, tracked: Tracked, /) -> Colored:
        """As the inner one."""
        self.seen += int((~tracked.frames.is_held()).sum())
        return self.inner(tracked)

    def lightness(self, frames: FrameBatch, /) -> Tensor:
        """As the inner one."""
        return self.inner.lightness(frames)


class Knows:
    """A colorizer that knows the true color."""

    def __init__(self, inner: Predicts, ab: dict[int, Tensor]) -> None:
        self.inner = inner
        self.ab = ab

    def __call__(self, tracked: Tracked, /) -> Colored:
        """The true color of frames."""
        ab = torch.stack([self.ab[pts] for pts in tracked.frames.pts])
        chroma = Chroma(ab, self.lightness(tracked.frames))
        return Colored(tracked.frames, tracked.tracks, chroma)

    def lightness(self, frames: FrameBatch, /) -> Tensor:
        """As the inner one."""
        return self.inner.lightness(frames)


@dataclass(frozen=True)
class Shot:
    """The truth of a shot, at the network's size.

    Attributes:
        pts: Of its frames.
        lab: (N, h, w, 3) L*a*b*.
        rgb: (h, w, 3) uint8 each.
        paths: For each pair of frames flow to the second, and where that is to be believed.
        cdc: The truth's own.
    """

    pts: list[int]
    lab: Array
    rgb: list[Array]
    paths: list[tuple[Array, Array]]
    cdc: float

    @classmethod
    def of(cls, pts: list[int], pictures: list[Array]) -> Shot:
        """Of (h, w, 3) uint8 R'G'B' frames."""
        planes = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        lab = rgb_to_lab(planes).permute(0, 2, 3, 1).numpy()
        gray = [as_gray(one[..., 0]) for one in lab]
        paths = []
        for here, there in itertools.pairwise(gray):
            onward, back = dis_flow(here, there), dis_flow(there, here)
            paths.append((onward, visible(onward, warp(back, onward))))
        return cls(pts, lab, pictures, paths, color_consistency(pictures))

    def measure(self, ab: dict[int, Array]) -> dict[str, float]:
        """Quality of a coloring, by (h, w, 2) a*b* of each frame."""
        mine = [ab[pts].astype(np.float32) for pts in self.pts]
        lab = [np.dstack((true[..., :1], one)) for true, one in zip(self.lab, mine, strict=True)]
        rgb = [to_rgb(one) for one in lab]
        pairs = list(enumerate(self.paths))
        moved = [warp(mine[i + 1], flow) for i, (flow, _) in pairs]
        return {
            "psnr": np.mean([min(60, psnr(a, b)) for a, b in zip(rgb, self.rgb, strict=True)]),
            "delta_e": np.mean([delta_e_2000(a, b) for a, b in zip(lab, self.lab, strict=True)]),
            "cdc": 1e3 * (color_consistency(rgb) - self.cdc) if pairs else 0.0,
            "instability": mean(
                chroma_instability(mine[i], moved[i], mask) for i, (_, mask) in pairs
            ),
            "warping": 1e3 * mean(warping(rgb[i], rgb[i + 1], *path) for i, path in pairs),
            "chroma": mean_chroma(np.stack(mine)) / mean_chroma(self.lab[..., 1:]),
        }


def mean(values: Iterable[float]) -> float:
    """Mean, 0 of nothing."""
    return float(np.mean(list(values) or [0.0]))


def warping(here: Array, there: Array, flow: Array, mask: Array) -> float:
    """Masked mean squared difference between a picture and the next moved onto it."""
    moved = warp(there.astype(np.float32) / 255, flow)
    square = np.mean((moved - here.astype(np.float32) / 255) ** 2, axis=2)
    return float(np.sum(square * mask) / max(1, np.sum(mask)))


def to_rgb(lab: Array) -> Array:
    """(h, w, 3) uint8."""
    planes = torch.from_numpy(np.ascontiguousarray(lab.transpose(2, 0, 1)))[None]
    rgb = (lab_to_rgb(planes).clamp(0, 1) * 255).round().byte()
    return rgb[0].permute(1, 2, 0).numpy()


@dataclass(frozen=True)
class Clip:
    """A clip as far as `colorize`, and its truth.

    Attributes:
        name: Of the file.
        tracked: The batches.
        shots: The truth.
        around_ms: Processor time of what comes before `colorize` and after `grade`, for a frame:
            it costs the same with any color.
    """

    name: str
    tracked: list[Tracked]
    shots: list[Shot]
    around_ms: float

    @property
    def frames(self) -> int:
        """How many."""
        return sum(len(batch.frames) for batch in self.tracked)


def check_clips(paths: Iterable[Path]) -> None:
    """Stop before anything is measured if a clip cannot be."""
    from vidcolor.io.video import VideoReader

    for path in paths:
        with VideoReader(path) as reader:
            if reader.info.rotation or reader.info.sample_aspect != 1:
                raise SystemExit(f"{path}: pixels are not square, or the picture is turned")


def read_clip(path: Path, config: Any, predict: Predicts, line: Any, now: Any) -> Clip:
    """Do what comes before `colorize`, and read the truth."""
    from vidcolor.io.video import VideoReader

    clock = line_benchmark.StageClock(now=now)
    with VideoReader(path, config.input) as reader:
        tracked = list(line_benchmark.follow_frames(line, reader, clock))
    size = tuple(predict.lightness(tracked[0].frames[:1]).shape[2:])
    pts = {p: batch.frames.shot for batch in tracked for p in batch.frames.pts}
    pictures = read_color(path, pts, size)
    shots = []
    for _, group in itertools.groupby(pts, key=lambda p: pts[p]):
        members = list(group)
        shots.append(Shot.of(members, [pictures[p] for p in members]))
    sparse = Keyframes(predict, CadenceConfig(), config.stabilize.flow)
    colored = list(replace(line, colorize=sparse).color(iter(tracked)))
    with tempfile.TemporaryDirectory() as folder:
        info = tracked[0].frames.info
        line_benchmark.end_frames(colored, info, Path(folder), config, clock)
    return Clip(path.stem, tracked, shots, 1e3 * sum(clock.seconds.values()) / len(pts))


def read_color(path: Path, pts: dict[int, int], size: tuple[int, ...]) -> dict[int, Array]:
    """(h, w, 3) uint8 R'G'B' by pts."""
    import av

    found: dict[int, Array] = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.pts in pts:
                rgb = frame.to_ndarray(format="rgb24")
                found[frame.pts] = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
            if len(found) == len(pts):
                break
    return found


def run(clip: Clip, line: Any, watched: Watched, now: Any, quality: bool) -> Row:
    """Color a clip and measure it."""
    clock = line_benchmark.StageClock(now=now)
    watched.seen = 0
    ab: dict[int, Array] = {}
    for batch in line_benchmark.color_frames(line, clip.tracked, clock):
        for pts, one in zip(batch.frames.pts, batch.chroma.ab, strict=True):
            ab[pts] = one.permute(1, 2, 0).numpy().astype(np.float16)
    color, rest = (
        1e3 * sum(clock.seconds.get(name, 0.0) for name in names) / clip.frames
        for names in (("colorize",), set(line_benchmark.AFTER) - {"colorize"})
    )
    row = Row(clip.around_ms + color + rest, color, watched.seen / clip.frames)
    if not quality:
        return row
    parts = [shot.measure(ab) for shot in clip.shots]
    weights = [len(shot.pts) for shot in clip.shots]
    means = {
        name: float(np.average([part[name] for part in parts], weights=weights)) for name in QUALITY
    }
    return replace(row, **means)


def average(rows: Iterable[Row]) -> Row:
    """Mean over clips; the time too, each clip counting the same."""
    columns = list(rows)
    return Row(**{f.name: mean(getattr(row, f.name) for row in columns) for f in fields(Row)})


def table(rows: dict[str, Row]) -> str:
    """Rows by cadence as text."""
    every = next(iter(rows.values()))
    lines = [
        f"{'cadence':8}{'line':>7}{'color':>8}{'ms':>8}{'seen':>7}{'PSNR':>8}{'dE':>7}{'CDC':>7}"
        f"{'instab':>8}{'warp':>7}{'chroma':>8}"
    ]
    lines += [
        f"{name:8}{every.line_ms / row.line_ms:7.2f}{every.color_ms / row.color_ms:8.2f}"
        f"{row.color_ms:8.2f}{row.seen:7.2f}{row.psnr:8.3f}{row.delta_e:7.3f}{row.cdc:7.3f}"
        f"{row.instability:8.3f}{row.warping:7.3f}{row.chroma:8.3f}"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def draw(rows: dict[str, Row], path: Path) -> None:
    """The curve over N as a small picture."""
    every = next(iter(rows.values()))
    names = list(rows)
    panels: list[tuple[str, Callable[[Row], float], str]] = [
        ("frames seen by the network, %", lambda row: 100 * row.seen, "{:.0f}"),
        ("time of colorize, %", lambda row: 100 * row.color_ms / every.color_ms, "{:.0f}"),
        ("PSNR, dB", lambda row: row.psnr, "{:.2f}"),
        ("CIEDE2000", lambda row: row.delta_e, "{:.2f}"),
        ("CDC - truth, 1e-3", lambda row: row.cdc, "{:.2f}"),
        ("chroma instability", lambda row: row.instability, "{:.2f}"),
    ]
    wide, high, left, top, foot = 330, 190, 16, 40, 26
    picture = np.full((2 * high, 3 * wide, 3), 255, np.uint8)
    for number, (title, value, form) in enumerate(panels):
        x0, y0 = number % 3 * wide, number // 3 * high
        values = [value(row) for row in rows.values()]
        low, top_value = min(0.0, *values), max(0.0, *values)
        scale = (high - top - foot - 12) / max(top_value - low, 1e-9)
        write(picture, title, (x0 + left, y0 + 18), 0.45)
        base = y0 + high - foot - 6 + round(low * scale)
        step = (wide - 2 * left) // len(names)
        for i, (name, one) in enumerate(zip(names, values, strict=True)):
            x = x0 + left + i * step
            tint = (60, 110, 230) if name == "auto" else (170, 130, 80)
            cv2.rectangle(
                picture, (x + 3, base), (x + step - 4, base - round(one * scale)), tint, -1
            )
            above = base - round(max(one, 0.0) * scale) - 4
            write(picture, form.format(one), (x, above), 0.29)
            write(picture, name, (x + 3, y0 + high - 8), 0.33)
        cv2.line(picture, (x0 + left, base), (x0 + left + step * len(names), base), (90,) * 3, 1)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def write(picture: Array, text: str, place: tuple[int, int], size: float) -> None:
    """A line of text."""
    font, thin = cv2.FONT_HERSHEY_SIMPLEX, 1
    cv2.putText(picture, text, place, font, size, (40, 40, 40), thin, cv2.LINE_AA)


def measure(given: argparse.Namespace) -> dict[str, dict[str, Row]]:
    """Rows by clip and cadence."""
    from vidcolor.build import build_line, choose_device
    from vidcolor.io.video import VideoReader

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    results: dict[str, dict[str, Row]] = {}
    for path in given.clips:
        with VideoReader(path) as reader:
            seconds = line_benchmark.duration(given.frames, reader.info.rate)
        config = line_benchmark.read_flags(given.flags, seconds)
        device = choose_device(config.device)
        now = time.process_time if device.type == "cpu" else time.perf_counter
        line = build_line(config)
        network: Any = line.colorize
        predict: Predicts = network.colorize
        clip = read_clip(path, config, predict, line, now)
        if given.predict == "truth":
            predict = Knows(predict, dict(true_color(clip)))
        watched = Watched(predict)
        watched(Tracked(clip.tracked[0].frames[:1], Tracks.empty()))  # kernels are chosen
        rows = {}
        for name in given.cadences:
            cadence = CadenceConfig(cadence=name)
            same = [one for one in rows if CadenceConfig(cadence=one).span == cadence.span]
            if same:  # "auto" is one of the numbers
                rows[name] = rows[same[0]]
                continue
            stage = Keyframes(watched, cadence, config.stabilize.flow)
            rows[name] = run(clip, replace(line, colorize=stage), watched, now, given.quality)
        results[clip.name] = rows
        print(f"{clip.name}, {clip.frames} frames\n{table(rows)}", flush=True)
    return results


def true_color(clip: Clip) -> Iterator[tuple[int, Tensor]]:
    """(2, h, w) a*b* by pts."""
    for shot in clip.shots:
        for pts, lab in zip(shot.pts, shot.lab, strict=True):
            yield pts, torch.from_numpy(np.ascontiguousarray(lab[..., 1:].transpose(2, 0, 1)))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=60, help="of each clip")
    parser.add_argument(
        "--cadences", nargs="+", default=list(CADENCES), help="the first is the base"
    )
    parser.add_argument("--predict", choices=("network", "truth"), default="network")
    parser.add_argument("--no-quality", dest="quality", action="store_false", help="speed only")
    parser.add_argument("--name", default="starter", help="of the result")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path, help="draw the curve into this PNG")
    known, flags = split(sys.argv[1:])
    given = parser.parse_args(known)
    given.flags = flags
    check_clips(given.clips)
    about = line_benchmark.machine(flags) | {"frames": given.frames, "predict": given.predict}
    results = measure(given)
    means = {name: average(rows[name] for rows in results.values()) for name in given.cadences}
    print(f"mean of {len(results)} clips\n{table(means)}")
    out = given.out or line_benchmark.ROOT / "benchmarks" / "results" / f"cadence-{given.name}.json"
    data = {
        "about": about,
        "mean": rounded(means),
        "clips": {name: rounded(rows) for name, rows in results.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if given.picture:
        draw(means, given.picture)
    print(f"written to {out}")
    return 0


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and after -- what is the line's."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def rounded(rows: dict[str, Row]) -> dict[str, dict[str, float]]:
    """Rows as JSON."""
    return {
        name: {key: round(value, 4) for key, value in asdict(row).items()}
        for name, row in rows.items()
    }


if __name__ == "__main__":
    sys.exit(main())
