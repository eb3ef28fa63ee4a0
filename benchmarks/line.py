"""How fast the line is, stage by stage and whole, beside a plain transcode.

    python benchmarks/line.py [--clip FILE ...] [--heights 480 1080 2160] [--frames N]
                              [--least-frames N] [--rounds 3] [--kinds line bare transcode stages]
                              [--colorizers starter siggraph17 ...|all] [--resume] [--out FILE]
                              [-- any option of vidcolor colorize with a dot, ...]

For every clip (the example clip, scaled to the heights, unless others are given) it runs, in turn
and `rounds` times, each in a process of its own:

* `line`: the film colored as `vidcolor colorize` does it, with its threads;
* `bare`: the same with a network that answers at once (`bare.py`): all else that has to be done;
* `transcode`: the floor: the film decoded and encoded with the settings of the line's own encoder,
  its threads and instruction sets too, and nothing else;
* `stages`: the line in one thread, the time of each stage by itself, the bytes that leave it, and
  the share of the machine's peak (`machine.py`) that the network reaches;
* with `--colorizers`: `stages` once for each of them, with weights by formula, which changes no
  time, and with few frames (`--few-frames`).

Clips made of the example are repeated until they have `--least-frames` (576, from 2160 rows on
120), so that the stabilizer's window and the encoder's lookahead are full most of the time. Of
`stages` the first 96 count.

Every process first does a part of the film that is not counted, so that networks are loaded and
kernels chosen; on a GPU the clock is read after the device has finished. Numbers are medians over
the rounds. Times are wall times, and beside them processor times of all threads; encoders and
decoders have threads of their own, so their share in `stages` is what the line waits for them.
Peak memory is that of the whole process. The result is printed and written as JSON to
`benchmarks/results/VERSION-DEVICE.json`: all rounds in the shape of `rounds.py`, and tables of
medians in `clips`. It is written after every clip; with `--resume` clips that are in the file
already, from the same commit, machine and settings, are not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machine import STARTER, colorizer_flags, colorizer_names, network_gflop
from measure.clocks import (
    StageClock,
    device_memory_mb,
    device_wait,
    peak_memory_mb,
    reset_device_memory,
    run_apart,
)
from measure.encoding import Encoder, EncoderSettings
from measure.films import EXAMPLE, ROOT, describe, make_clip
from measure.line_parts import (
    AFTER,
    ENDS,
    KINDS,
    STAGES,
    color_frames,
    encoder_settings,
    end_frames,
    follow_frames,
    measure,
    measure_transcode,
)
from measure.rounds import BadResult, Case, Result, Value, write_result
from measure.settings import (
    WARM_UP_FRAMES,
    duration,
    machine,
    processor,
    read_flags,
    warm_up_frames,
)

__all__ = [
    "AFTER",
    "EXAMPLE",
    "ROOT",
    "WARM_UP_FRAMES",
    "Encoder",
    "EncoderSettings",
    "StageClock",
    "color_frames",
    "device_memory_mb",
    "device_wait",
    "duration",
    "end_frames",
    "follow_frames",
    "machine",
    "make_clip",
    "measure_transcode",
    "peak_memory_mb",
    "processor",
    "read_flags",
    "reset_device_memory",
    "warm_up_frames",
]

FLOOR = "transcode"
HEIGHTS = (480, 1080, 2160)
LEAST_FRAMES, LEAST_FRAMES_LARGE, LARGE_PX = 576, 120, 2160
STAGE_FRAMES = 96
FEW_FRAMES = 16
LEAST_STAGE_MS = 0.05  # a frame: of less the ratio says nothing
LEAST_BYTES = 64  # of a frame: less is not worth a word
NOT_SETTINGS = ("when", "load_before", "peak")
"""What differs between two measurements of the same thing."""


# -- many measurements, each in a process of its own -----------------------------------------------


def spawn(
    kind: str, clip: Path, frames: int | None, flags: list[str], settings: EncoderSettings
) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    words = ["--measure", kind, "--clip", str(clip), "--encoder", json.dumps(asdict(settings))]
    words += [] if frames is None else ["--frames", str(frames)]
    return run_apart(__file__, [*words, "--", *flags])


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
        if "processor_s" in found[0]:
            worked = statistics.median(one["processor_s"] for one in found)
            entry["processor_ms_per_frame"] = round(1e3 * worked / frames, 3)
        if "start_s" in found[0]:
            entry["start_s"] = round(statistics.median(one["start_s"] for one in found), 3)
        for key in ("peak_memory_mb", "device_memory_mb"):
            values = [one[key] for one in found if one[key] is not None]
            entry[key] = round(statistics.median(values)) if values else None
        if kind == "stages":
            entry["stages"] = shares(found, frames)
            entry |= {key: found[0][key] for key in ("bytes", "asked") if key in found[0]}
        out[kind] = entry
    for kind, name in (("line", "times_transcode"), ("bare", "bare_times_transcode")):
        if kind in out and FLOOR in out:
            out[name] = round(out[FLOOR]["fps"] / out[kind]["fps"], 2)
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


def case_of(rounds: dict[str, list[dict[str, Any]]], about: dict[str, Any]) -> Case:
    """All rounds of one clip."""
    values: dict[str, Value] = {}

    def add(name: str, found: list[float | None], unit: str, floor: str | None = None) -> None:
        numbers = tuple(number for number in found if number is not None)
        if len(numbers) == len(found) and any(numbers):
            values[name] = Value(unit, numbers, None if name == floor else floor)

    for kind, found in rounds.items():
        each = [1e3 / one["frames"] for one in found]

        def scaled(key: str, found: Any = found, each: Any = each) -> list[float | None]:
            return [
                one[key] * ms if key in one else None for one, ms in zip(found, each, strict=True)
            ]

        add(kind, scaled("seconds"), "ms/frame", FLOOR)
        add(f"{kind} processor", scaled("processor_s"), "ms/frame", f"{FLOOR} processor")
        add(f"{kind} memory", [one["peak_memory_mb"] for one in found], "MB")
        add(f"{kind} device memory", [one["device_memory_mb"] for one in found], "MB")
        if kind == "stages":
            for name in (*STAGES, *ENDS):
                times = [one["stages"].get(name, 0.0) for one in found]
                ms = [time_ * one for time_, one in zip(times, each, strict=True)]
                if statistics.median(ms) >= LEAST_STAGE_MS:
                    add(f"stage {name}", ms, "ms/frame", FLOOR)
    longest = max(found[0]["frames"] for found in rounds.values())
    return Case({"frames": longest, **about}, values)


def reached(summary: dict[str, Any], flags: list[str], about: dict[str, Any]) -> None:
    """Add to a summary what the network computed, and how much of the machine's peak that is."""
    stages = summary.get("stages", {})
    if not stages.get("asked", {}).get("frames") or "--merge.enabled" in flags:
        return
    found = network_gflop(flags, tuple(summary["size"]))
    asked, frames = stages["asked"], stages["frames"]
    gflop = (asked["frames"] * found["frame"] + asked["crops"] * found["crop"]) / frames
    took_s = stages["stages"]["colorize"]["ms_per_frame"] / 1e3
    peak = about.get("peak", {}).get(about["precision"])
    stages["network"] = {
        **found,
        "gflop_per_frame": round(gflop, 3),
        "gflop_s": round(gflop / took_s, 1),
        "share_of_peak": None if not peak else round(gflop / took_s / peak, 4),
    }


def table(clip: str, found: dict[str, Any]) -> str:
    """The result of a clip as text."""
    lines = [clip]
    for kind in KINDS:
        if kind in found:
            one = found[kind]
            memory = "" if one["peak_memory_mb"] is None else f", {one['peak_memory_mb']} MB"
            if one["device_memory_mb"]:
                memory += f", {one['device_memory_mb']} MB on the GPU"
            worked = one.get("processor_ms_per_frame")
            wall = 1e3 * statistics.median(one["seconds"]) / one["frames"]
            memory += "" if worked is None else f", {wall:.2f} ms wall, {worked:.2f} ms processor"
            lines.append(f"  {kind:10s} {one['fps']:8.2f} fps{memory}")
    sent = found.get("stages", {}).get("bytes", {})
    for name, share in found.get("stages", {}).get("stages", {}).items():
        part = f"{share['ms_per_frame']:8.2f} ms {100 * share['share']:5.1f} %"
        arrays = ", ".join(
            f"{key} {count}" for key, count in sent.get(name, {}).items() if count >= LEAST_BYTES
        )
        lines.append(f"    {name:10s} {part}" + (f"  bytes: {arrays}" if arrays else ""))
    if "network" in sent:
        up, down = sent["network"]["up"], sent["network"]["down"]
        lines.append(f"    to and from the network {up} and {down} bytes a frame")
    network = found.get("stages", {}).get("network")
    if network and network["share_of_peak"] is not None:
        lines.append(
            f"    the network computes {network['gflop_per_frame']} GFLOP a frame, "
            f"{100 * network['share_of_peak']:.1f} % of the peak in the time of colorize"
        )
    if "times_transcode" in found:
        lines.append(f"  the line takes {found['times_transcode']} times as long as a transcode")
    if "bare_times_transcode" in found:
        lines.append(f"  without its network {found['bare_times_transcode']} times as long")
    return "\n".join(lines)


def measure_clip(clip: Path, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """All kinds, colorizers and rounds of a clip; colorizers are `stages NAME`."""
    settings = encoder_settings(clip, given.flags)
    plan: list[tuple[str, str, int | None, list[str]]] = []
    for kind in given.kinds:
        frames = given.frames
        if kind == "stages" and frames is None and not given.clip:
            frames = STAGE_FRAMES
        plan.append((kind, kind, frames, given.flags))
    for name in given.colorizers:
        few = STAGE_FRAMES if name == STARTER else given.few_frames
        own = [*given.flags, *colorizer_flags(name)]
        plan.append((f"stages {name}", "stages", given.frames or few, own))
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name, *_ in plan}
    for number in range(given.rounds):
        for name, kind, frames, flags in plan:
            rounds[name].append(spawn(kind, clip, frames, flags, settings))
            took = rounds[name][-1]["seconds"]
            print(f"{clip.name} {name} {number}: {took:.1f} s", file=sys.stderr, flush=True)
    return rounds


def tell_clip(
    clip: Path,
    rounds: dict[str, list[dict[str, Any]]],
    given: argparse.Namespace,
    about: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Case]]:
    """The summary of a clip, and its cases: one, and one for each colorizer."""
    what = describe(clip)
    main = {kind: rounds[kind] for kind in given.kinds}
    summary = {"size": what["size"], **(summarize(main) if main else {})}
    reached(summary, given.flags, about)
    cases = {clip.stem: case_of(main, what)} if main else {}
    for name in given.colorizers:
        own = {"stages": rounds[f"stages {name}"]}
        one = {"size": what["size"], **summarize(own)}
        reached(one, [*given.flags, *colorizer_flags(name)], about)
        summary.setdefault("colorizers", {})[name] = one["stages"]
        floor = {FLOOR: main[FLOOR]} if FLOOR in main else {}
        cases[f"{clip.stem} {name}"] = case_of({**floor, **own}, {**what, "colorizer": name})
        print(table(f"{clip.stem} {name}", one), flush=True)
    return summary, cases


def least_frames(height: int, wanted: int | None) -> int:
    """How long a made clip is."""
    return wanted or (LEAST_FRAMES_LARGE if height >= LARGE_PX else LEAST_FRAMES)


def finished(out: Path, about: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Case]]:
    """Clips and cases of an earlier run of the same that was broken off; none if it was another."""
    try:
        before = Result.read(out)
    except BadResult:
        return {}, {}
    same = all(before.about.get(key) == about[key] for key in about if key not in NOT_SETTINGS)
    if not same or before.kind != "line":
        print(f"{out.name} is of another run: all is measured anew", file=sys.stderr)
        return {}, {}
    return dict(before.data["clips"]), dict(before.cases)


def compare(given: argparse.Namespace) -> int:
    """All clips, kinds and rounds."""
    about = machine(given.flags)
    about |= {key: getattr(given, key) for key in ("rounds", "kinds", "colorizers", "frames")}
    device = about["device"]
    out = given.out or ROOT / "benchmarks" / "results" / f"{about['vidcolor']}-{device}.json"
    clips, cases = finished(out, about) if given.resume else ({}, {})
    if "stages" in given.kinds or given.colorizers:
        words = ["--last-line", "--rounds", "2", "--device", device]
        about["peak"] = run_apart(Path(__file__).with_name("machine.py"), words)
    with tempfile.TemporaryDirectory() as folder:
        made = {Path(folder) / f"example-{height}p.mp4": height for height in given.heights}
        for clip in given.clip or made:
            if clip.stem in clips:
                print(f"{clip.stem}: taken from {out.name}", file=sys.stderr)
                continue
            if clip in made:
                wanted = given.least_frames or given.frames
                make_clip(made[clip], clip, least_frames(made[clip], wanted))
            rounds = measure_clip(clip, given)
            clips[clip.stem], found = tell_clip(clip, rounds, given, about)
            cases |= found
            if given.kinds:
                print(table(clip.stem, clips[clip.stem]), flush=True)
            write_result(out, "line", about, cases, {"clips": clips})
            if clip in made:
                clip.unlink()
    print(f"written to {out}")
    return 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, action="append", default=[], help="instead of ours")
    parser.add_argument("--heights", type=int, nargs="+", default=list(HEIGHTS))
    parser.add_argument("--frames", type=int, help="of each clip; all by default")
    parser.add_argument("--least-frames", type=int, help="of clips made of the example")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--colorizers", nargs="+", default=["none"], metavar="NAME")
    parser.add_argument("--few-frames", type=int, default=FEW_FRAMES, help="of slow colorizers")
    parser.add_argument("--resume", action="store_true", help="keep clips that are finished")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--encoder", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", metavar="OPTION", help="of the line, after --")
    given = parser.parse_args()
    if not given.measure:
        given.colorizers = colorizer_names(given.colorizers)
        if not given.kinds and not given.colorizers:
            parser.error("nothing is to be measured: give --kinds or --colorizers")
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
