"""How fast repair of a film is, step by step and whole, beside a plain transcode.

    python benchmarks/restore.py [--clip FILE ...] [--heights 480 1080] [--frames N] [--rounds 3]
                                 [--out FILE] [-- any option of the config with a dot, ...]

For every clip it runs, in turn and `rounds` times, each in a process of its own:

* `restore`: the film repaired as `vidcolor restore CLIP OUT.mkv` does it, with its threads;
* `transcode`: the film decoded and encoded with the same encoder settings, nothing else;
* `steps`: the repair in one thread, the time of each step by itself.

Unless others are given, clips are the example clip, scaled to the heights, under the damage of a
worn film: dust, hairs and two scratches as they are by default in `vidcolor.holes.film`, grain,
light that trembles, a gate that shakes. How much of it there is decides how long healing takes, so
the damaged share and what was found stand beside the times.

Every process first does a part of the film that is not counted, so that networks are loaded; on a
GPU the clock is read after the device has finished. Numbers are medians over the rounds. Times are
wall times; decoders, encoders and OpenCV have threads of their own. Peak memory is that of the
whole process. The result is printed and written as JSON to
`benchmarks/results/restore-VERSION-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import line as line_benchmark
from line import Encoder, EncoderSettings, StageClock

KINDS = ("restore", "transcode", "steps")
DAMAGE_SEED = 6
GRAIN_CV, FLICKER, WEAVE_PX = 4.0, 0.03, 0.6


# -- clips ---------------------------------------------------------------------------------------


def make_clip(height: int, frames: int | None, path: Path) -> float:
    """The example clip, scaled and damaged, in gray; returns the damaged share of its pixels."""
    import av
    import numpy as np

    from vidcolor.holes.film import FilmDamage, damage_frames

    damage = FilmDamage(grain=GRAIN_CV, flicker=FLICKER, weave_px=WEAVE_PX)
    shares = []
    with av.open(path, "w") as out, av.open(line_benchmark.EXAMPLE) as film:
        source = film.streams.video[0]
        width = round(source.width * height / source.height / 2) * 2
        options = {"preset": "fast", "crf": "12"}
        picture: Any = out.add_stream("libx264", rate=source.average_rate, options=options)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        context, old = picture.codec_context, source.codec_context
        context.color_range, context.colorspace = old.color_range, old.colorspace
        planes = scaled(film.decode(source), (height, width), frames)
        for number, made in enumerate(damage_frames(planes, damage, DAMAGE_SEED)):
            shares.append(float(made.hole.mean()))
            codes = np.clip(np.rint(made.frame), 0, 255).astype(np.uint8)
            worn = av.VideoFrame(width, height, "yuv420p")
            for part, target in enumerate(worn.planes):
                rows = np.frombuffer(target, np.uint8).reshape(target.height, -1)
                rows[:, : target.width] = codes if part == 0 else 128
            worn.pts, worn.time_base = number, 1 / source.average_rate
            out.mux(picture.encode(worn))
        out.mux(picture.encode(None))
    return statistics.mean(shares)


def scaled(film: Iterable[Any], size: tuple[int, int], frames: int | None) -> Iterator[Any]:
    """(H, W) float32 luma codes of the first `frames` frames."""
    import cv2
    import numpy as np

    for frame in itertools.islice(film, frames):
        plane = frame.planes[0]
        luma = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
        large = cv2.resize(luma, size[::-1], interpolation=cv2.INTER_CUBIC)
        yield large.astype(np.float32)


# -- measurements --------------------------------------------------------------------------------


def measure_restore(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, Any]:
    """The whole repair as users run it; `start_s` is until the first frame can be asked for."""
    from vidcolor.restoration import open_restoration

    open_restoration(clip, folder / "warm.mkv", warm_up).run(lambda count: None)
    line_benchmark.reset_device_memory()
    before = time.perf_counter()
    job = open_restoration(clip, folder / "restored.mkv", config)
    ready = time.perf_counter()
    tally = job.run(lambda count: None)
    return {
        "frames": tally.frames,
        "start_s": ready - before,
        "seconds": time.perf_counter() - ready,
        "changed_share": tally.changed / tally.pixels,
        "frames_touched": tally.touched,
        "spots": {f"{kind}, {state}": n for (kind, state), n in sorted(tally.spots.items())},
    }


def measure_steps(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, Any]:
    """Seconds of each step by itself."""
    wait = line_benchmark.device_wait(config)
    run_steps(clip, folder, warm_up, StageClock(wait))
    line_benchmark.reset_device_memory()
    clock = StageClock(wait)
    before = time.perf_counter()
    frames = run_steps(clip, folder, config, clock)
    return {"frames": frames, "seconds": time.perf_counter() - before, "steps": clock.seconds}


def run_steps(clip: Path, folder: Path, config: Any, clock: StageClock) -> int:
    """The repair in one thread under a clock; returns the number of frames."""
    from vidcolor.build import build_cut, build_repair
    from vidcolor.io.source_planes import SourcePlanes
    from vidcolor.io.video import VideoReader

    repair = timed(build_repair(config, whole=config.input.duration is None), clock)
    with VideoReader(clip, config.input, keep_chroma=True) as reader:
        frames = clock.items("decode", reader)
        shots = clock.items("cut", build_cut(config)(frames))
        planes = SourcePlanes(reader.source_format)
        return end_frames(repair(shots), reader.info, planes, folder, config, clock)


def timed(repair: Any, clock: StageClock) -> Any:
    """The same repair; its steps, and every detector, under a clock."""
    steps: dict[str, Any] = {}
    for field in dataclasses.fields(repair):
        step = getattr(repair, field.name)
        if field.name == "find":
            step = TimedFind(step, clock)
        if callable(step):
            steps[field.name] = TimedStep(field.name, step, clock)
    return dataclasses.replace(repair, **steps)


class TimedStep:
    """A step whose time counts under its name, but not that of the steps before it."""

    def __init__(self, name: str, step: Callable[..., Iterable[Any]], clock: StageClock) -> None:
        self._name, self._step, self._clock = name, step, clock

    def __call__(self, items: Iterable[Any]) -> Iterator[Any]:
        """What the step makes of the items."""
        return self._clock.items(self._name, self._step(items))


class TimedFind:
    """The finder; what comes in is the motion, and each detector counts for itself."""

    def __init__(self, find: Any, clock: StageClock) -> None:
        self._find = type(find)([TimedDetector(one, clock) for one in find.detectors])
        self._clock = clock

    def __call__(self, moved: Iterable[Any]) -> Iterator[Any]:
        """The frames with their damage."""
        marked: Iterator[Any] = self._find(self._clock.items("motion", moved))
        return marked


class TimedDetector:
    """A detector whose time counts under its name."""

    def __init__(self, detector: Any, clock: StageClock) -> None:
        self.before, self.after = detector.before, detector.after
        self._detector, self._clock = detector, clock

    def begin(self) -> Callable[[Any], Any]:
        """See `vidcolor.repair.find.Detector`."""
        name = f"find: {type(self._detector).__name__}"
        ask = self._detector.begin()
        return lambda window: self._clock.call(name, ask, window)


def end_frames(
    repaired: Iterable[Any], info: Any, planes: Any, folder: Path, config: Any, clock: StageClock
) -> int:
    """What comes after the repair, under a clock; returns the number of frames."""
    import av

    from vidcolor.io.planes import put_planes

    count = 0
    chosen = planes.encoding(Path("any.mkv"), info, config.output)
    settings = settings_of(chosen, info)
    encoder = Encoder(folder / "steps.mkv", settings)

    def encode(batch: Any, number: int) -> None:
        picture = av.VideoFrame(settings.width, settings.height, settings.pix_fmt)
        put_planes(picture, planes.lay(batch, number, chosen))
        picture.pts, picture.time_base = batch.pts[number], info.time_base
        encoder.put(picture)

    for one in repaired:
        for number in range(len(one.frames)):
            clock.call("encode", encode, one.frames, number)
            count += 1
    clock.call("encode", encoder.close)
    return count


def settings_of(chosen: Any, info: Any) -> EncoderSettings:
    """What a repair tells its encoder."""
    from vidcolor.io.codecs import encoder_rate

    return EncoderSettings(
        chosen.codec.encoder,
        chosen.container,
        chosen.pix_fmt,
        dict(chosen.options),
        info.width,
        info.height,
        str(encoder_rate(info)),
        str(info.time_base),
    )


def measure(kind: str, clip: Path, frames: int | None, flags: list[str]) -> dict[str, Any]:
    """One measurement of the repair, in this process."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        rate = reader.info.rate
    config, warm_up = (
        line_benchmark.read_flags(flags, line_benchmark.duration(count, rate))
        for count in (frames, line_benchmark.warm_up_frames(frames))
    )
    how = {"restore": measure_restore, "steps": measure_steps}[kind]
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = how(clip, Path(folder), config, warm_up)
    found["peak_memory_mb"] = line_benchmark.peak_memory_mb()
    found["device_memory_mb"] = line_benchmark.device_memory_mb()
    return found


# -- comparison ----------------------------------------------------------------------------------


def spawn(
    kind: str, clip: Path, frames: int | None, flags: list[str], settings: EncoderSettings
) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--measure", kind, "--clip", str(clip)]
    command += ["--encoder", json.dumps(dataclasses.asdict(settings))]
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
        for key in ("peak_memory_mb", "device_memory_mb"):
            values = [one[key] for one in found if one[key] is not None]
            entry[key] = round(statistics.median(values)) if values else None
        if kind == "restore":
            entry["start_s"] = round(statistics.median(one["start_s"] for one in found), 3)
            entry["changed_share"] = round(found[0]["changed_share"], 6)
            entry["frames_touched"] = found[0]["frames_touched"]
            entry["spots"] = found[0]["spots"]
        if kind == "steps":
            entry["steps"] = shares(found, frames)
        out[kind] = entry
    if "restore" in out and "transcode" in out:
        out["times_transcode"] = round(out["transcode"]["fps"] / out["restore"]["fps"], 2)
    return out


def shares(found: list[dict[str, Any]], frames: int) -> dict[str, dict[str, float]]:
    """Milliseconds a frame and share of the whole, by step, the longest first."""
    names = {name for one in found for name in one["steps"]}
    median = {
        name: statistics.median(one["steps"].get(name, 0.0) for one in found) for name in names
    }
    whole = sum(median.values())
    return {
        name: {"ms_per_frame": round(1e3 * value / frames, 3), "share": round(value / whole, 4)}
        for name, value in sorted(median.items(), key=lambda item: (-item[1], item[0]))
    }


def table(clip: str, found: dict[str, Any]) -> str:
    """The result of a clip as text."""
    lines = [clip]
    if found.get("damaged_share") is not None:
        lines[0] += f", {100 * found['damaged_share']:.3f} % damaged"
    for kind in KINDS:
        if kind in found:
            one = found[kind]
            memory = "" if one["peak_memory_mb"] is None else f", {one['peak_memory_mb']} MB"
            if one["device_memory_mb"]:
                memory += f", {one['device_memory_mb']} MB on the GPU"
            if kind == "restore":
                memory += f", {100 * one['changed_share']:.3f} % changed"
            lines.append(f"  {kind:10s} {one['fps']:8.2f} fps{memory}")
    for name, share in found.get("steps", {}).get("steps", {}).items():
        part = f"{share['ms_per_frame']:8.2f} ms {100 * share['share']:5.1f} %"
        lines.append(f"    {name:20s} {part}")
    if "times_transcode" in found:
        lines.append(f"  repair takes {found['times_transcode']} times as long as a transcode")
    return "\n".join(lines)


def encoder_settings(clip: Path, flags: list[str]) -> EncoderSettings:
    """What a repair tells its encoder for a clip."""
    from vidcolor.io.source_planes import SourcePlanes
    from vidcolor.io.video import VideoReader

    with VideoReader(clip, keep_chroma=True) as reader:
        output = line_benchmark.read_flags(flags, None).output
        chosen = SourcePlanes(reader.source_format).encoding(Path("any.mkv"), reader.info, output)
        return settings_of(chosen, reader.info)


def compare(given: argparse.Namespace) -> int:
    """All clips, kinds and rounds."""
    about = line_benchmark.machine(given.flags)
    results: dict[str, Any] = {"about": about, "clips": {}}
    with tempfile.TemporaryDirectory() as folder:
        clips: list[tuple[Path, float | None]] = [(clip, None) for clip in given.clip]
        for height in [] if clips else given.heights:
            clip = Path(folder) / f"damaged-{height}p.mkv"
            clips.append((clip, make_clip(height, given.frames, clip)))
        for clip, damaged in clips:
            settings = encoder_settings(clip, given.flags)
            rounds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in given.kinds}
            for number in range(given.rounds):
                for kind in given.kinds:
                    rounds[kind].append(spawn(kind, clip, given.frames, given.flags, settings))
                    took = rounds[kind][-1]["seconds"]
                    print(f"{clip.name} {kind} {number}: {took:.1f} s", file=sys.stderr)
            about_clip = {
                "size": [settings.height, settings.width],
                "damaged_share": None if damaged is None else round(damaged, 6),
            }
            results["clips"][clip.stem] = {**about_clip, **summarize(rounds)}
            print(table(clip.stem, results["clips"][clip.stem]), flush=True)
    name = f"restore-{about['vidcolor']}-{about['device']}.json"
    out = given.out or line_benchmark.ROOT / "benchmarks" / "results" / name
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
    parser.add_argument("flags", nargs="*", metavar="OPTION", help="of the config, after --")
    given = parser.parse_args()
    if not given.measure:
        return compare(given)
    clip = given.clip[0]
    if given.measure == "transcode":
        settings = EncoderSettings(**given.encoder)
        found: dict[str, Any] = line_benchmark.measure_transcode(clip, given.frames, settings)
    else:
        found = measure(given.measure, clip, given.frames, given.flags)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
