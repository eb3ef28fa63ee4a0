"""How fast the line is, stage by stage and whole, beside a plain transcode.

    python benchmarks/line.py [--clip FILE ...] [--heights 480 1080] [--frames N] [--rounds 3]
                              [--out FILE] [-- any option of vidcolor colorize with a dot, ...]

For every clip (the example clip, scaled to the heights, unless others are given) it runs, in turn
and `rounds` times, each in a process of its own:

* `line`: the film colored as `vidcolor colorize` does it, with its threads;
* `transcode`: the film decoded and encoded with the same encoder settings, nothing else;
* `stages`: the line in one thread, the time of each stage by itself.

Every process first does a part of the film that is not counted, so that networks are loaded and
kernels chosen; on a GPU the clock is read after the device has finished. Numbers are medians over
the rounds. Times are wall times; encoders and decoders have threads of their own, so their share
in `stages` is what the line waits for them. Peak memory is that of the whole process. The result
is printed and written as JSON to `benchmarks/results/VERSION-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "example.mp4"
KINDS = ("line", "transcode", "stages")
BEFORE = ("decode", "cut", "restore", "detect", "track")
AFTER = (
    "see_whole", "colorize", "refer", "anchor", "remember", "stabilize", "tone", "obey", "grade",
)  # fmt: skip
STAGES = (*BEFORE, *AFTER)
ENDS = ("compose", "encode")
WARM_UP_FRAMES = 24

T = TypeVar("T")


class StageClock:
    """Time that each stage takes for itself, when stages pull from one another in one thread.

    Attributes:
        seconds: By name of the stage.
    """

    def __init__(
        self,
        wait: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._wait, self._now = wait, now
        self._running = ""
        self._since = now()

    def switch(self, name: str) -> str:
        """From now on time counts for `name`; returns for whom it did."""
        self._wait()
        moment = self._now()
        before, self._running = self._running, name
        if before:
            self.seconds[before] = self.seconds.get(before, 0.0) + moment - self._since
        self._since = moment
        return before

    def items(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time to get each counts for `name`."""
        before = self.switch(name)
        iterator = iter(items)
        self.switch(before)
        while True:
            before = self.switch(name)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.switch(before)
            yield item

    def call(self, name: str, function: Callable[..., T], *given: Any) -> T:
        """The result of a call; its time counts for `name`."""
        before = self.switch(name)
        try:
            return function(*given)
        finally:
            self.switch(before)


@dataclass(frozen=True)
class EncoderSettings:
    """All that an encoder is told, in words that fit on a command line.

    Attributes:
        encoder: FFmpeg's name.
        container: FFmpeg's name of the format.
        pix_fmt: Pixel format.
        options: Of the encoder.
        width: Columns.
        height: Rows.
        rate: Frames a second, as a fraction.
        time_base: Seconds of one pts unit, as a fraction.
    """

    encoder: str
    container: str
    pix_fmt: str
    options: dict[str, str]
    width: int
    height: int
    rate: str
    time_base: str

    @classmethod
    def of_line(cls, info: Any, output: Any) -> EncoderSettings:
        """What the line takes for a film and an output config."""
        from vidcolor.io.codecs import choose_encoding, encoder_rate

        chosen = choose_encoding(Path("any.mkv"), info, output)
        return cls(
            chosen.codec.encoder,
            chosen.container,
            chosen.pix_fmt,
            dict(chosen.options),
            info.width,
            info.height,
            str(encoder_rate(info)),
            str(info.time_base),
        )


class Encoder:
    """The encoder as the line sets it up, without the rest of a writer."""

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        import av

        self._container = av.open(path, "w", format=settings.container)
        self._stream: Any = self._container.add_stream(
            settings.encoder, rate=Fraction(settings.rate), options=settings.options
        )
        self._stream.width, self._stream.height = settings.width, settings.height
        self._stream.pix_fmt = settings.pix_fmt
        self._stream.codec_context.time_base = Fraction(settings.time_base)

    def put(self, frame: Any) -> None:
        """Encode a frame, or with None the rest."""
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush and end the file."""
        self.put(None)
        self._container.close()


def make_clip(height: int, path: Path) -> None:
    """The example clip, scaled to `height`, without sound."""
    import av
    import cv2
    import numpy as np

    with av.open(EXAMPLE) as film, av.open(path, "w") as out:
        source = film.streams.video[0]
        width = round(source.width * height / source.height / 2) * 2
        options = {"preset": "medium", "crf": "18"}
        picture: Any = out.add_stream("libx264", rate=source.average_rate, options=options)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        context, old = picture.codec_context, source.codec_context
        context.time_base = source.time_base
        context.color_range, context.colorspace = old.color_range, old.colorspace
        for frame in film.decode(source):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
            scaled = av.VideoFrame(width, height, "yuv420p")
            large = cv2.resize(luma, (width, height), interpolation=cv2.INTER_CUBIC)
            for number, target in enumerate(scaled.planes):
                rows = np.frombuffer(target, np.uint8).reshape(target.height, -1)
                rows[:, : target.width] = large if number == 0 else 128
            scaled.pts, scaled.time_base = frame.pts, frame.time_base
            out.mux(picture.encode(scaled))
        out.mux(picture.encode(None))


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in 10^6 bytes, where the system tells it."""
    try:
        # Linux's ru_maxrss begins with what the parent had when it started this process.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return kilobytes * 1024 / 1e6
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def device_wait(config: Any) -> Callable[[], None]:
    """What to call before the clock is read."""
    import torch

    from vidcolor.build import choose_device

    device = choose_device(config.device)
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def measure_line(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, float]:
    """The whole line as users run it; `start_s` is until the first frame can be asked for."""
    from vidcolor.api import open_job

    open_job(clip, folder / "warm.mkv", warm_up).run(lambda count: None)
    reset_device_memory()
    before = time.perf_counter()
    job = open_job(clip, folder / "line.mkv", config)
    ready = time.perf_counter()
    frames = job.run(lambda count: None)
    return {"frames": frames, "start_s": ready - before, "seconds": time.perf_counter() - ready}


def measure_transcode(
    clip: Path, frames: int | None, settings: EncoderSettings
) -> dict[str, float | None]:
    """Decode and encode, nothing else; without torch in memory."""
    import av

    count = 0
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for most in (warm_up_frames(frames), frames):
            count = 0
            before = time.perf_counter()
            encoder = Encoder(Path(folder) / "transcode.mkv", settings)
            with av.open(clip) as film:
                stream = film.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in itertools.islice(film.decode(stream), most):
                    if frame.format.name != settings.pix_fmt:
                        frame = frame.reformat(format=settings.pix_fmt)
                    frame.pict_type = 0  # else the source's picture types are forced
                    encoder.put(frame)
                    count += 1
            encoder.close()
            seconds = time.perf_counter() - before
    memory = peak_memory_mb()
    return {
        "frames": count,
        "seconds": seconds,
        "peak_memory_mb": memory,
        "device_memory_mb": None,
    }


def measure_stages(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, Any]:
    """Seconds of each stage by itself."""
    from vidcolor.build import build_line

    wait = device_wait(config)
    line = build_line(config)
    run_stages(line, clip, folder, warm_up, StageClock(wait))
    reset_device_memory()
    clock = StageClock(wait)
    before = time.perf_counter()
    frames = run_stages(line, clip, folder, config, clock)
    seconds = time.perf_counter() - before
    return {"frames": frames, "seconds": seconds, "stages": clock.seconds}


def follow_frames(line: Any, frames: Iterable[Any], clock: StageClock) -> Iterator[Any]:
    """The line as far as the tracks, each stage under a clock."""
    frames = clock.items("decode", frames)
    frames = clock.items("cut", line.cut(frames))
    frames = clock.items("restore", line.restore(frames))
    seen = clock.items("detect", line.detect(frames))
    return clock.items("track", line.track(seen))


def color_frames(line: Any, tracked: Iterable[Any], clock: StageClock) -> Iterator[Any]:
    """The rest of the line, each stage under a clock."""
    tracked = clock.items("see_whole", line.see_whole(tracked))
    colored = clock.items("colorize", line.colorize(tracked))
    colored = (clock.call("refer", line.refer, batch) for batch in colored)
    colored = clock.items("anchor", line.anchor(colored))
    colored = clock.items("remember", line.remember(colored))
    colored = clock.items("stabilize", line.stabilize(colored))
    colored = clock.items("tone", line.tone(colored))
    colored = (clock.call("obey", line.obey, batch) for batch in colored)
    return (clock.call("grade", line.grade, batch) for batch in colored)


def run_stages(line: Any, clip: Path, folder: Path, config: Any, clock: StageClock) -> int:
    """The line in one thread under a clock; returns the number of frames."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip, config.input) as reader:
        colored = color_frames(line, follow_frames(line, reader, clock), clock)
        return end_frames(colored, reader.info, folder, config, clock)


def end_frames(
    colored: Iterable[Any], info: Any, folder: Path, config: Any, clock: StageClock
) -> int:
    """What comes after the line, under a clock; returns the number of frames."""
    import av
    import numpy as np

    from vidcolor.color.compose import chroma_planes
    from vidcolor.io.codecs import choose_encoding
    from vidcolor.io.planes import put_planes

    count = 0
    settings = EncoderSettings.of_line(info, config.output)
    layout = choose_encoding(Path("any.mkv"), info, config.output).layout
    encoder = Encoder(folder / "stages.mkv", settings)

    def encode(planes: tuple[Any, ...], pts: int) -> None:
        picture = av.VideoFrame(settings.width, settings.height, settings.pix_fmt)
        put_planes(picture, planes)
        picture.pts, picture.time_base = pts, info.time_base
        encoder.put(picture)

    for batch in colored:
        for number, pts in enumerate(batch.frames.pts):
            luma = batch.frames.luma[number, 0].numpy()
            ab = batch.chroma.ab[number].numpy()
            lightness = batch.chroma.lightness[number, 0].numpy()
            small = clock.call(
                "compose", chroma_planes, luma, ab, lightness, info.color, layout, config.compose
            )
            if layout.bits > 8:
                luma = luma.astype(np.uint16) << (layout.bits - info.color.bits)
            clock.call("encode", encode, (luma, *small), pts)
            count += 1
    clock.call("encode", encoder.close)
    return count


def reset_device_memory() -> None:
    """Forget the peak so far."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def device_memory_mb() -> float | None:
    """Largest memory of tensors on the GPU, where there is one."""
    import torch

    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None


def measure(kind: str, clip: Path, frames: int | None, flags: list[str]) -> dict[str, Any]:
    """One measurement of the line, in this process."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        rate = reader.info.rate
    config = read_flags(flags, duration(frames, rate))
    warm_up = read_flags(flags, duration(warm_up_frames(frames), rate))
    how = {"line": measure_line, "stages": measure_stages}[kind]
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = how(clip, Path(folder), config, warm_up)
    found["peak_memory_mb"] = peak_memory_mb()
    found["device_memory_mb"] = device_memory_mb()
    return found


def warm_up_frames(frames: int | None) -> int:
    """How many frames are done before those that count."""
    return WARM_UP_FRAMES if frames is None else min(WARM_UP_FRAMES, frames)


def duration(frames: int | None, rate: Fraction) -> float | None:
    """Seconds that hold so many frames."""
    return None if frames is None else float((frames - Fraction(1, 2)) / rate)


def read_flags(flags: list[str], seconds: float | None) -> Any:
    """The config that `--key value` flags give, for the first `seconds` of a film."""
    from vidcolor import schema
    from vidcolor.api import make_config
    from vidcolor.config import SHORT_NAMES, Config

    leaves = {leaf.name: leaf for leaf in schema.leaves(Config)}
    data: dict[str, Any] = {}
    if len(flags) % 2:
        raise SystemExit("options after -- come in pairs, like: --detector none")
    for flag, text in zip(flags[::2], flags[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        name = ".".join(SHORT_NAMES.get(name, tuple(name.split("."))))
        if name not in leaves:
            raise SystemExit(f"unknown option {flag}")
        schema.put(data, leaves[name].path, schema.parse(text, leaves[name]))
    data = schema.merge(data, {"output": {"overwrite": True}, "input": {"duration": seconds}})
    return make_config(**data)


def spawn(
    kind: str, clip: Path, frames: int | None, flags: list[str], settings: EncoderSettings
) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--measure", kind, "--clip", str(clip)]
    command += ["--encoder", json.dumps(asdict(settings))]
    command += [] if frames is None else ["--frames", str(frames)]
    done = subprocess.run([*command, "--", *flags], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} of {clip.name} failed")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def summarize(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the rounds of one clip."""
    out: dict[str, Any] = {}
    for kind, found in rounds.items():
        frames = found[0]["frames"]
        seconds = [one["seconds"] for one in found]
        entry: dict[str, Any] = {
            "frames": frames,
            "fps": round(frames / statistics.median(seconds), 3),
            "seconds": [round(value, 3) for value in seconds],
        }
        if kind == "line":
            entry["start_s"] = round(statistics.median(one["start_s"] for one in found), 3)
        for key in ("peak_memory_mb", "device_memory_mb"):
            values = [one[key] for one in found if one[key] is not None]
            entry[key] = round(statistics.median(values)) if values else None
        if kind == "stages":
            entry["stages"] = shares(found, frames)
        out[kind] = entry
    if "line" in out and "transcode" in out:
        out["times_transcode"] = round(out["transcode"]["fps"] / out["line"]["fps"], 2)
    return out


def shares(found: list[dict[str, Any]], frames: int) -> dict[str, dict[str, float]]:
    """Milliseconds a frame and share of the whole, by stage."""
    median = {
        name: statistics.median(one["stages"].get(name, 0.0) for one in found)
        for name in (*STAGES, *ENDS)
    }
    whole = sum(median.values())
    return {
        name: {"ms_per_frame": round(1e3 * value / frames, 3), "share": round(value / whole, 4)}
        for name, value in median.items()
    }


def machine(flags: list[str]) -> dict[str, Any]:
    """What was measured, with what, on what."""
    import av
    import torch

    import vidcolor
    from vidcolor.build import choose_device, choose_precision

    config = read_flags(flags, None)
    device = choose_device(config.device)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "vidcolor": vidcolor.__version__,
        "commit": commit or None,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": flags,
        "device": device.type,
        "device_name": gpu,
        "precision": str(choose_precision(config.precision, device)).removeprefix("torch."),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "processor": processor(),
        "load_before": [round(value, 2) for value in os.getloadavg()]
        if hasattr(os, "getloadavg")
        else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "av": av.__version__,
    }


def processor() -> str:
    """Name of the CPU, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(clip: str, found: dict[str, Any]) -> str:
    """The result of a clip as text."""
    lines = [clip]
    for kind in KINDS:
        if kind in found:
            one = found[kind]
            memory = "" if one["peak_memory_mb"] is None else f", {one['peak_memory_mb']} MB"
            if one["device_memory_mb"]:
                memory += f", {one['device_memory_mb']} MB on the GPU"
            lines.append(f"  {kind:10s} {one['fps']:8.2f} fps{memory}")
    for name, share in found.get("stages", {}).get("stages", {}).items():
        part = f"{share['ms_per_frame']:8.2f} ms {100 * share['share']:5.1f} %"
        lines.append(f"    {name:10s} {part}")
    if "times_transcode" in found:
        lines.append(f"  the line takes {found['times_transcode']} times as long as a transcode")
    return "\n".join(lines)


def encoder_settings(clip: Path, flags: list[str]) -> EncoderSettings:
    """What the line tells its encoder for a clip."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        return EncoderSettings.of_line(reader.info, read_flags(flags, None).output)


def compare(given: argparse.Namespace) -> int:
    """All clips, kinds and rounds."""
    about = machine(given.flags)
    results: dict[str, Any] = {"about": about, "clips": {}}
    with tempfile.TemporaryDirectory() as folder:
        clips = list(given.clip)
        for height in [] if clips else given.heights:
            clips.append(Path(folder) / f"example-{height}p.mp4")
            make_clip(height, clips[-1])
        for clip in clips:
            settings = encoder_settings(clip, given.flags)
            rounds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in given.kinds}
            for number in range(given.rounds):
                for kind in given.kinds:
                    rounds[kind].append(spawn(kind, clip, given.frames, given.flags, settings))
                    took = rounds[kind][-1]["seconds"]
                    print(f"{clip.name} {kind} {number}: {took:.1f} s", file=sys.stderr)
            results["clips"][clip.stem] = summarize(rounds)
            print(table(clip.stem, results["clips"][clip.stem]), flush=True)
    name = f"{about['vidcolor']}-{about['device']}.json"
    out = given.out or ROOT / "benchmarks" / "results" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out}")
    return 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, action="append", default=[], help="instead of ours")
    parser.add_argument("--heights", type=int, nargs="+", default=[480, 1080])
    parser.add_argument("--frames", type=int, help="of each clip; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--encoder", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", metavar="OPTION", help="of the line, after --")
    given = parser.parse_args()
    if not given.measure:
        return compare(given)
    clip = given.clip[0]
    if given.measure == "transcode":
        found = measure_transcode(clip, given.frames, EncoderSettings(**given.encoder))
    else:
        found = measure(given.measure, clip, given.frames, given.flags)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
