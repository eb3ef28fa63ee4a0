"""Does a long film take more memory than a short one?

    python scripts/measure_memory.py length --minutes 3 180 --report memory.json
    python scripts/measure_memory.py endless --minutes 3 180
    python scripts/measure_memory.py hd --frames 1500
    python scripts/measure_memory.py join --segments 50 5000

    length   films of many shots, 24 frames a second, small, with the fastest settings
    endless  the same with no cut at all: one shot, one span
    hd       1920x1080, as people would color it but for the network's size
    join     segments of one frame each, joined to a film

Films are made here; `vidcolor colorize` colors each in a process of its own, whose resident memory
is read from outside every second (Linux). After a warm-up, growth is the slope of memory over
frames by least squares. Samples follow each other and allocators move in steps, so the standard
error is that of the means of ten equal parts of the run. `--line` gives other settings.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.io.codecs import OutputConfig
from vidcolor.io.segment_writer import Piece, SegmentWriter
from vidcolor.io.segments import SegmentStore
from vidcolor.io.video import VideoReader
from vidcolor.records import Chroma, Colored, Tracks

Array = npt.NDArray[Any]

RATE = 24
SMALL = (48, 64)
HD = (1080, 1920)
SHOT_FRAMES = 100
SHOTS = 48  # different ones; then they come again
WARM_SHARE = 0.25  # of a run; or so many frames:
WARM_FRAMES = 1500
PARTS = 10
FAST = (
    "--device cpu --precision float32 --detector none --colorize.short_side 64 "
    "--cadence.cadence 16 --stabilize.enabled false --anchor.enabled false "
    "--remember.enabled false --codec ffv1"
)
USUAL = "--device cpu --detector motion --colorize.short_side 64 --codec h264 --preset ultrafast"

LAUNCH = """
import sys
import vidcolor.cli.terminal as terminal
from vidcolor.cli import main
terminal._LOG_EVERY_S = 1.0
sys.exit(main())
"""
"""The program, saying every second how far it is."""


# -- films -----------------------------------------------------------------------------------------


def make_film(path: Path, frames: int, size: tuple[int, int], cuts: bool) -> None:
    """Write a film whose packets come again and again, which takes seconds whatever its length.

    Args:
        path: Where.
        frames: How many.
        size: Of the picture.
        cuts: Whether there are shots, or one that moves back and forth without end.
    """
    different = min(frames, SHOTS * SHOT_FRAMES if cuts else 2 * SHOT_FRAMES)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE, options={"g": "1"})  # each frame by itself
        stream.height, stream.width, stream.pix_fmt = *size, "gray"
        stream.codec_context.time_base = Fraction(1, RATE)
        stream.codec_context.color_range = 2
        stream.codec_context.thread_count = 1
        out.start_encoding()
        packets: list[bytes] = []
        for luma in _lumas(different, size, cuts):
            frame = av.VideoFrame.from_ndarray(luma, "gray")
            frame.pts, frame.color_range = len(packets), 2
            packets += [bytes(packet) for packet in stream.encode(frame)]
        packets += [bytes(packet) for packet in stream.encode(None)]
        for number in range(frames):
            packet = av.Packet(packets[number % different])
            packet.stream, packet.time_base = stream, Fraction(1, RATE)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)


def _lumas(count: int, size: tuple[int, int], cuts: bool) -> Iterator[Array]:
    """Textures that move: cut every `SHOT_FRAMES`, or back and forth."""
    draw = np.random.default_rng(8)
    height, width = size
    for first in range(0, count, SHOT_FRAMES):
        if cuts or first == 0:
            noise = draw.uniform(0, 1, (height, width + SHOT_FRAMES)).astype(np.float32)
            wide = cv2.GaussianBlur(noise, (0, 0), height / 10)
            wide = 20 + 210 * (wide - wide.min()) / float(np.ptp(wide))
            codes = np.rint(wide).astype(np.uint8)
        for number in range(min(SHOT_FRAMES, count - first)):
            back = not cuts and first > 0
            at = SHOT_FRAMES - number if back else number
            yield np.ascontiguousarray(codes[:, at : at + width])


# -- one process -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Memory at some moment.

    Attributes:
        seconds: Since the process began.
        frames: Done by then, as it said.
        rss: Bytes.
    """

    seconds: float
    frames: int
    rss: int


def watch(words: Sequence[str], log: Path) -> list[Sample]:
    """Run the program; its memory, every second.

    Raises:
        RuntimeError: If it fails.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    samples: list[Sample] = []
    began = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment,
        )  # fmt: skip
    while process.poll() is None:
        rss = _rss(process.pid)
        if rss:
            samples.append(Sample(time.monotonic() - began, _frames_said(log), rss))
        time.sleep(1.0)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {log.read_text(errors='replace')[-2000:]}")
    return samples


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _frames_said(log: Path) -> int:
    """The number in the last line of progress."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        words = line.split()
        if len(words) > 2 and words[1].isdigit() and " a second" in line:
            return int(words[1])
    return 0


# -- what the samples say --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """Memory of a run.

    Attributes:
        frames: Of the film.
        peak_mib: Most that there was.
        warm_mib: Mean of the first tenth after the warm-up.
        end_mib: Mean of the last tenth.
        slope: Bytes a frame after the warm-up.
        error: Its standard error.
        samples: How many were taken after the warm-up.
    """

    frames: int
    peak_mib: float
    warm_mib: float
    end_mib: float
    slope: float | None
    error: float | None
    samples: int


def growth(samples: Sequence[Sample], frames: int) -> Growth:
    """What samples of a run say."""
    warm = min(WARM_SHARE * frames, max(WARM_FRAMES, 0.02 * frames))
    after = [sample for sample in samples if warm <= sample.frames < frames]
    peak = max((sample.rss for sample in samples), default=0) / 2**20
    if len(after) < 2 * PARTS:
        return Growth(frames, round(peak, 1), 0.0, 0.0, None, None, len(after))
    parts = np.array_split(np.array([(s.frames, s.rss) for s in after], np.float64), PARTS)
    x, y = np.array([part.mean(0) for part in parts]).T
    x0 = x - x.mean()
    slope = float((x0 * y).sum() / (x0**2).sum())
    rest = y - y.mean() - slope * x0
    error = float(np.sqrt((rest**2).sum() / (PARTS - 2) / (x0**2).sum()))
    return Growth(
        frames, round(peak, 1), round(y[0] / 2**20, 1), round(y[-1] / 2**20, 1),
        round(slope, 1), round(error, 1), len(after),
    )  # fmt: skip


def color(folder: Path, frames: int, size: tuple[int, int], cuts: bool, line: str) -> Growth:
    """Make a film, color it, watch."""
    source, output = folder / "film.mkv", folder / "colored.mkv"
    make_film(source, frames, size, cuts)
    words = ["colorize", str(source), str(output), "--overwrite", *line.split()]
    try:
        return growth(watch(words, folder / "log.txt"), frames)
    finally:
        source.unlink()
        output.unlink(missing_ok=True)


# -- joining ---------------------------------------------------------------------------------------


def join(folder: Path, segments: int) -> Growth:
    """Make segments of one frame each, and join them in a process of its own."""
    source = folder / "film.mkv"
    make_film(source, segments, SMALL, cuts=False)
    _write_segments(source, folder / "colored.mkv")
    words = [sys.executable, __file__, "_join", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    before, peak, frames = map(int, done.stdout.split())
    assert frames == segments
    return Growth(
        frames, round(peak / 2**20, 1), round(before / 2**20, 1), round(peak / 2**20, 1),
        round((peak - before) / segments, 1), None, 1,
    )  # fmt: skip


def _store(source: Path, output: Path) -> SegmentStore:
    with VideoReader(source) as reader:
        info = reader.info
    folder = output.with_name(output.name + ".parts")
    return SegmentStore(folder, output, info, OutputConfig("ffv1", overwrite=True))


def _write_segments(source: Path, output: Path) -> None:
    store = _store(source, output)
    with VideoReader(source) as reader, SegmentWriter(store) as writer:
        for batch in reader:
            for number in range(len(batch)):
                one = replace(batch[number : number + 1], shot=batch.index + number, start=0)
                writer.begin(Piece(f"k{batch.index + number}", batch.index + number, 1))
                nothing = torch.zeros(1, 3, 1, 1)
                chroma = Chroma(nothing[:, :2], nothing[:, 2:])
                writer.write(Colored(one, Tracks.empty(), chroma))


def _join_alone(folder: Path) -> int:
    """Join, and print memory before, the most, and how many frames."""
    output = folder / "colored.mkv"
    store = _store(folder / "film.mkv", output)
    count = len(list(store.folder.glob("*.segment")))
    store.join([f"k{number}" for number in range(min(10, count))], None)  # what is loaded only once
    _most()
    before = _most()
    frames = store.join([f"k{number}" for number in range(count)], None)
    print(before, _most(), frames)
    return 0


def _most() -> int:
    """Most memory since it was asked last."""
    status = Path("/proc/self/status").read_text()
    most = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(most.split()[1]) * 1024


# -- the table -------------------------------------------------------------------------------------


def show(name: str, found: Growth) -> str:
    """A line of the table."""
    grows = "" if found.slope is None else f"{found.slope:.1f}"
    grows += "" if found.error is None else f" +- {found.error:.1f}"
    return (
        f"{name:<16} {found.frames:>8} frames  peak {found.peak_mib:8.1f} MiB  "
        f"{found.warm_mib:8.1f} -> {found.end_mib:8.1f} MiB  {grows or '-':>16} bytes a frame"
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["_join"]:
        return _join_alone(Path(words[1]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("length", "endless", "hd", "join"))
    parser.add_argument("--minutes", type=float, nargs="+", default=[3, 180])
    parser.add_argument("--frames", type=int, nargs="+", default=[1500], help="for hd")
    parser.add_argument("--segments", type=int, nargs="+", default=[50, 5000], help="for join")
    parser.add_argument("--line", help="settings, in one word; default: the fastest, for hd usual")
    parser.add_argument("--report", type=Path, help="JSON to write, or to add to")
    given = parser.parse_args(words)
    report: dict[str, Any] = {}
    if given.report is not None and given.report.exists():
        report = json.loads(given.report.read_text())
    counts = {
        "hd": given.frames,
        "join": given.segments,
    }.get(given.what, [round(60 * RATE * minutes) for minutes in given.minutes])
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="memory-") as folder:
            if given.what == "join":
                found = join(Path(folder), count)
            else:
                size = HD if given.what == "hd" else SMALL
                line = given.line or (USUAL if given.what == "hd" else FAST)
                found = color(Path(folder), count, size, given.what != "endless", line)
        name = f"{given.what} {count}"
        print(show(name, found), flush=True)
        report[name] = {**dataclasses.asdict(found), "line": given.line}
        if given.report is not None:
            given.report.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
