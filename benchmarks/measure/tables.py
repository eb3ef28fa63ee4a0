"""Tables of docs/performance.md, in Markdown, from results."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from measure.aims import table_aims
from measure.results import Results, Unmade, number, rows_of
from measure.rounds import Result, ratio_interval


def stem(height: str) -> str:
    """Name of a made clip."""
    return f"example-{height}"


def clip_of(result: Result | None, height: str) -> dict[str, Any]:
    """Medians of a clip; empty if it was not measured."""
    return {} if result is None else dict(result.data.get("clips", {}).get(stem(height), {}))


def table_line(results: Results) -> str:
    """The whole line beside the floor, before and after."""
    rows = []
    before, after = results.get("before"), results["line"]
    for name, case in after.cases.items():
        for kind, word in (("line", "whole line"), ("bare", "without its network")):
            floor = case.to_floor(kind) if kind in case.values else None
            if floor is None:
                continue
            old_case = before.cases.get(name) if before is not None else None
            old = old_case.to_floor(kind) if old_case and kind in old_case.values else None
            told = ratio_interval([1.0], floor)
            assert told is not None
            fps = 1e3 / case.values[kind].median
            old_fps = 1e3 / old_case.values[kind].median if old_case and old else None
            memory = case.values.get(f"{kind} memory")
            rows.append([
                f"{name.removeprefix('example-')}, {word}",
                number(old_fps), number(fps),
                number(statistics.median(old) if old else None),
                f"{told.ratio:.2f} ({told.low:.2f} to {told.high:.2f})",
                number(memory.median if memory else None, 0),
            ])  # fmt: skip
    head = ["clip", "fps before", "fps after", "times transcode before",
            "after (least to most)", "memory, MB"]  # fmt: skip
    return rows_of(head, rows)


def table_stages(results: Results, height: str) -> str:
    """Milliseconds and bytes of each stage, before and after, and the gap to the floor."""
    after = clip_of(results["line"], height)
    if "stages" not in after:
        raise Unmade("line")
    before = clip_of(results.get("before"), height)
    old_stages = before.get("stages", {}).get("stages", {})
    floor, old_floor = floor_ms(after), floor_ms(before)
    stages = after["stages"]["stages"]
    sent = after["stages"].get("bytes", {})
    rows = []
    for name, one in stages.items():
        now = one["ms_per_frame"]
        old = old_stages.get(name, {}).get("ms_per_frame")
        if now == 0 and not old:
            continue
        size = sum(sent.get(name, {}).values())
        kilobytes = number(size / 1e3 if size else None, 1)
        rows.append([name, *gap(old, old_floor), *gap(now, floor), kilobytes])
    total = sum(one["ms_per_frame"] for one in stages.values())
    old_total = sum(one["ms_per_frame"] for one in old_stages.values()) if old_stages else None
    rows.append(["all, one after another", *gap(old_total, old_floor), *gap(total, floor), "-"])
    rows.append(["transcode (the floor)", *gap(old_floor, old_floor), *gap(floor, floor), "-"])
    head = ["stage", "ms before", "% of the floor", "ms after", "% of the floor",
            "kB that leave it"]  # fmt: skip
    text = rows_of(head, rows)
    if "network" in sent:
        up, down = sent["network"]["up"], sent["network"]["down"]
        text += f"\nTo the network go {up / 1e3:.1f} kB a frame, from it come {down / 1e3:.1f}.\n"
    return text


def floor_ms(clip: dict[str, Any]) -> float | None:
    """Milliseconds a frame of the transcode of a clip."""
    return 1e3 / clip["transcode"]["fps"] if "transcode" in clip else None


def gap(ms: float | None, floor: float | None) -> tuple[str, str]:
    """Milliseconds, and what part of the floor they are."""
    return number(ms), number(100 * ms / floor if ms is not None and floor else None, 1)


def table_colorizers(results: Results, height: str) -> str:
    """What each colorizer costs in the line."""
    clip: dict[str, Any] = {}
    for kind in ("colorizers", "line"):
        clip = clip or clip_of(results.get(kind), height).get("colorizers", {})
    if not clip:
        raise Unmade("colorizers")
    rows = []
    for name, one in clip.items():
        network, asked, frames = one.get("network", {}), one.get("asked", {}), one["frames"]
        color = one["stages"]["colorize"]["ms_per_frame"]
        rest = sum(stage["ms_per_frame"] for stage in one["stages"].values()) - color
        sent = one.get("bytes", {}).get("network", {})
        share = network.get("share_of_peak")
        rows.append([
            name, number(color, 1), number(rest, 1),
            number(100 * asked["frames"] / frames if asked else None, 0),
            number(network.get("frame"), 1), number(network.get("gflop_per_frame"), 1),
            number(None if share is None else 100 * share, 1),
            number(sent["up"] / 1e3 if sent else None, 1),
            number(sent["down"] / 1e3 if sent else None, 1),
        ])  # fmt: skip
    head = ["colorizer", "colorize, ms", "the rest, ms", "frames seen, %", "GFLOP a picture",
            "GFLOP a frame of film", "% of peak", "kB up", "kB down"]  # fmt: skip
    return rows_of(head, rows)


def table_machine(results: Results) -> str:
    """What the machine can do, and what networks ask."""
    result = results["machine"]
    case = result.cases["peaks"]
    rows = [[name, f"{value.median:.1f} {value.unit}"] for name, value in case.values.items()]
    head = f"{result.about.get('processor')}, {case.about.get('threads')} threads"
    text = rows_of([head, "most"], rows)
    peak = case.values["float32"].median
    asked = [
        [
            name, "x".join(str(side) for side in one["size"]), number(one["frame"], 1),
            number(one["crop"] or None, 1), number(1e3 * one["frame"] / peak, 1),
        ]
        for name, one in result.data.get("networks", {}).items()
    ]  # fmt: skip
    columns = ["network", "picture", "GFLOP", "GFLOP a close-up", "ms at the float32 peak"]
    return text + "\n" + rows_of(columns, asked)


def table_instcolor(results: Results) -> str:
    """InstColorization: ours beside the published procedure."""
    result = results["instcolor"]
    case = next(iter(result.cases.values()))
    times = result.data.get("times_published", {})
    rows = []
    for name, value in case.values.items():
        if value.unit != "ms/frame":
            continue
        one = times.get(name)
        told = "1" if one is None else "{times:.2f} ({least:.2f} to {most:.2f})".format(**one)
        rows.append([name, number(value.median, 1), number(1e3 / value.median, 3), told])
    colors = [
        [name, number(one["delta_e_2000"], 3), number(one["worst_frame"], 3), str(one["frames"]),
         number(one["chroma"], 1)]
        for name, one in result.data.get("colors", {}).items()
    ]  # fmt: skip
    text = rows_of(["way", "ms a frame", "fps", "times as fast as published"], rows)
    head = ["color of", "CIEDE2000", "worst frame", "frames", "mean chroma"]
    return text + "\n" + rows_of(head, colors)


def table_start(results: Results) -> str:
    """Starts, part by part."""
    rows = []
    for name, case in results["start"].cases.items():
        for key, value in case.values.items():
            span = f"{min(value.rounds):.2f} to {max(value.rounds):.2f}"
            rows.append([f"{name.removeprefix('example-')}: {key}", number(value.median), span])
    return rows_of(["what", "seconds", "least to most"], rows)


def table_held(results: Results) -> str:
    """Animation with held frames known and unknown."""
    rows = [
        [name, number(one["known_ms"], 1), number(one["unknown_ms"], 1), number(one["times"]),
         number(one["ones_ms"], 1), number(one["times_ones"]),
         f"{one['marked_rightly']} of {one['repeats']}", str(one["marked_wrongly"]),
         f"{one['identical']} of {one['marked']}"]
        for name, one in results["held"].data["held"].items()
    ]  # fmt: skip
    head = ["film, colorizer, cadence", "known, ms a frame", "unknown", "times as fast",
            "on ones", "times as fast", "repeats found", "wrongly", "color identical"]  # fmt: skip
    return rows_of(head, rows)


def table_growth(results: Results) -> str:
    """Cost over length, size and number of objects."""
    result = results["growth"]
    rows = []
    for name, case in result.cases.items():
        memory = case.values.get("memory")
        rows.append([name, number(case.values["film"].median),
                     number(case.values["frame"].median),
                     number(memory.median if memory else None, 0)])  # fmt: skip
    text = rows_of(["film", "seconds", "ms a frame", "memory, MB"], rows)
    lines = [
        [series, f"{one['start']:.4g} + {one['slope']:.4g} x", number(100 * one["off"], 1),
         number(one.get("memory_grows"))]
        for series, one in result.data.get("fits", {}).items()
    ]  # fmt: skip
    head = ["series", "straight line", "farthest from it, %", "memory, last to first"]
    return text + "\n" + rows_of(head, lines)


def table_measured(results: Results) -> str:
    """What was measured when, on what."""
    rows = []
    for kind, result in sorted(results.found.items()):
        about = result.about
        rows.append([f"{kind}: {result.path.name}", str(about.get("commit")),
                     str(about.get("when"))[:10],
                     f"{about.get('processor')}, {about.get('cores')} cores",
                     str(about.get("precision")), str(about.get("torch"))])  # fmt: skip
    return rows_of(["result", "commit", "when", "machine", "precision", "torch"], rows)


TABLES: dict[str, Callable[..., str]] = {
    "aims": table_aims,
    "line": table_line,
    "stages": table_stages,
    "colorizers": table_colorizers,
    "machine": table_machine,
    "instcolor": table_instcolor,
    "start": table_start,
    "held": table_held,
    "growth": table_growth,
    "measured": table_measured,
}
"""By the word after `table:`; further words are arguments."""
