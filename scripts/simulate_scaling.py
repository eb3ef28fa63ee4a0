"""How fast a feature film is colored by 1 to 1,000 workers, and what holds it up.

Costs are measured on a clip, in seconds of one core, so that other work on the machine does not
count; then the spans of a made-up film go through the very queue that the engine uses
(`vidcolor.distributed.plan.Plan`), with a clock that is simulated.

    python scripts/simulate_scaling.py measure CLIP.mp4 --out costs.json
    python scripts/simulate_scaling.py simulate costs.json --chart scaling.png
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from vidcolor.config import Config
from vidcolor.distributed.dispatch import land
from vidcolor.distributed.plan import Plan, Straggling
from vidcolor.plain import PlainFilm
from vidcolor.schema import load
from vidcolor.spans import Span

WORKERS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
LEAST_FRAMES = 240  # of a plain film's spans; with a plan every shot is one
COLORS = ((60, 60, 60), (200, 110, 30), (40, 60, 210), (60, 140, 40))


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds of one core, and bytes.

    Attributes:
        color_s: Of a frame: decode, line, encode.
        span_s: Of a span besides: seeking, new decoder and encoder.
        open_s: Until a worker that has begun has its networks.
        scan_s: Of a frame, in the driver, to find cuts.
        frame_bytes: Of a segment.
        land_s: Of a segment, in the driver, besides its bytes: check, write, fsync, rename.
        join_s: Of a frame.
        source_bytes: Of a frame of the source.
        measured: On what.
    """

    color_s: float
    span_s: float
    open_s: float
    scan_s: float
    frame_bytes: float
    land_s: float
    join_s: float
    source_bytes: float
    measured: str


def measure(clip: Path) -> Costs:
    """All costs, on one clip, with one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = {"precision": "float32", "detect": {"detector": "motion"}}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.mkv"
        began = time.process_time()
        film = PlainFilm(clip, load(Config, settings))
        opened = time.process_time() - began
        began = time.process_time()
        spans = list(film.spans(output))
        frames = sum(span.frames for span in spans)
        scan = time.process_time() - began
        spent, sizes = [], 0
        for span in spans:
            began = time.process_time()
            film.color_span(output, span)
            spent.append(time.process_time() - began)
            sizes += film.segment(output, span).stat().st_size
        # a short span and a long one tell what a span costs besides its frames
        few = dataclasses.replace(
            spans[0], frames=24, following=None, starts=spans[0].starts[:1], key="few"
        )
        began = time.process_time()
        film.color_span(output, few)
        short = time.process_time() - began
        slope = (spent[0] - short) / max(1, spans[0].frames - few.frames)
        data = film.segment(output, spans[0]).read_bytes()
        began = time.monotonic()
        for _ in range(20):
            land(film, output, spans[0], iter([data]))
        landed = (time.monotonic() - began) / 20
        began = time.process_time()
        film.join(output, spans)
        joined = time.process_time() - began
    return Costs(
        color_s=sum(spent) / frames,
        span_s=max(0.0, short - slope * few.frames),
        open_s=opened,
        scan_s=scan / frames,
        frame_bytes=sizes / frames,
        land_s=landed,
        join_s=joined / frames,
        source_bytes=clip.stat().st_size / frames,
        measured=f"{clip.name}, {frames} frames in {len(spans)} spans, seconds of one core",
    )


def film_spans(
    minutes: float, rate: int, median_s: float, sigma: float, seed: int, least: int
) -> list[Span]:
    """Whole shots of lognormal lengths, joined to spans of at least so many frames."""
    rng, total = np.random.default_rng(seed), round(minutes * 60 * rate)
    spans: list[Span] = []
    index = shot = 0
    starts: list[int] = []
    begun = 0
    while index < total:
        starts.append(index)
        index += min(max(6, round(rng.lognormal(math.log(median_s), sigma) * rate)), total - index)
        if index - begun >= least or index == total:
            spans.append(
                Span(begun, index - begun, begun, index, shot, tuple(starts), f"s{len(spans)}")
            )
            shot, begun, starts = shot + len(starts), index, []
    return spans


@dataclasses.dataclass(frozen=True)
class World:
    """What may go wrong, and what lies between the machines.

    Attributes:
        link: Bytes a second into and out of the driver's machine.
        copies: The source is sent to each machine; else it lies on a shared store.
        per_machine: Workers of a machine.
        slow_share: Of spans that run on a machine that is busy with something else.
        slow_factor: By which these take longer.
        life_s: Mean life of a worker; infinite: none dies.
        begin_s: Until a worker's process has begun and imported what it needs.
        again_s: Until another machine is there for one that is lost.
        straggling: When a span is given out twice.
        plan: All shots are known before: nobody looks for cuts.
    """

    link: float
    copies: bool
    per_machine: int = 8
    slow_share: float = 0.0
    slow_factor: float = 5.0
    life_s: float = math.inf
    begin_s: float = 10.0
    again_s: float = 60.0
    straggling: Straggling | None = dataclasses.field(default_factory=Straggling)
    plan: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it: seconds until the film is there, and what each thing alone would take."""

    seconds: float
    floors: dict[str, float]
    twice: int
    lost: int


class Simulation:
    """One film, so many workers."""

    def __init__(
        self, costs: Costs, spans: Sequence[Span], count: int, world: World, seed: int
    ) -> None:
        self.costs, self.spans, self.world = costs, spans, world
        self.rng = np.random.default_rng(seed)
        self.plan: Plan[int] = Plan(world.straggling)
        self.events: list[tuple[float, int, str, object]] = []
        self.order = itertools.count()
        self.numbers: Iterator[int] = itertools.count()
        self.idle: list[int] = []
        self.link_free = self.last_landed = self.now = 0.0
        self.jobs: dict[int, Span] = {}
        self.given: set[str] = set()
        self.twice = self.lost = 0
        self.wake = math.inf
        for number in range(count):
            self._hire(self.copied(number))

    def _at(self, when: float, what: str, about: object) -> None:
        heapq.heappush(self.events, (when, next(self.order), what, about))

    def copied(self, number: int) -> float:
        """When the source is on a worker's machine: one machine after the other gets it."""
        if not self.world.copies:
            return 0.0
        size = self.costs.source_bytes * sum(span.frames for span in self.spans)
        return (number // self.world.per_machine + 1) * size / self.world.link

    def _hire(self, when: float) -> None:
        worker = next(self.numbers)
        self._at(when + self.world.begin_s + self.costs.open_s, "ready", worker)
        if math.isfinite(self.world.life_s):
            life = self.rng.exponential(self.world.life_s)
            self._at(when + self.world.begin_s + self.costs.open_s + life, "dies", worker)

    def run(self) -> Outcome:
        """Until the film is there."""
        for span in self.spans:
            self._at((span.index + span.frames) * self.costs.scan_s, "known", span)
        self._at(sum(span.frames for span in self.spans) * self.costs.scan_s, "all known", None)
        dead: set[int] = set()
        while not self.plan.complete:
            self.now, _, what, about = heapq.heappop(self.events)
            if what == "known":
                self.plan.add(about)
            elif what == "all known":
                self.plan.close()
            elif what == "ready" and about not in dead:
                self.idle.append(about)
            elif what == "done" and about[0] not in dead and self.jobs.get(about[0]) is about[1]:
                self._done(about[0])
            elif what == "dies" and about not in dead:
                dead.add(about)
                self._dies(about)
            elif what == "wake":
                self.wake = math.inf
            self._give()
        frames = sum(span.frames for span in self.spans)
        return Outcome(
            self.last_landed + frames * self.costs.join_s, self.floors(), self.twice, self.lost
        )

    def _done(self, worker: int) -> None:
        span = self.jobs.pop(worker)
        self.idle.append(worker)
        if self.plan.finished(worker, self.now):
            size = span.frames * self.costs.frame_bytes / self.world.link
            self.link_free = max(self.link_free, self.now) + size
            self.last_landed = max(self.last_landed, self.link_free + self.costs.land_s)
            for other in self.plan.others(span.key):  # it stops at its next batch
                self.plan.gave_up(other)
                del self.jobs[other]
                self.idle.append(other)

    def _dies(self, worker: int) -> None:
        self.lost += worker in self.jobs
        self.jobs.pop(worker, None)
        if worker in self.idle:
            self.idle.remove(worker)
        self.plan.lost(worker, by_the_span=False)
        self._hire(self.now + self.world.again_s)

    def _give(self) -> None:
        while self.idle:
            span = self.plan.take(self.idle[-1], self.now)
            if span is None:
                break
            worker = self.idle.pop()
            self.jobs[worker] = span
            self.twice += span.key in self.given and len(self.plan.others(span.key)) > 1
            self.given.add(span.key)
            slow = self.rng.random() < self.world.slow_share
            pace = self.costs.color_s * (self.world.slow_factor if slow else 1.0)
            self._at(self.now + self.costs.span_s + pace * span.frames, "done", (worker, span))
        if self.idle:
            due = self.plan.next_straggler_s()
            if self.now <= due < self.wake:
                self.wake = due
                self._at(due + 1e-6, "wake", None)

    def floors(self) -> dict[str, float]:
        """Seconds that each thing alone would take, with workers without end."""
        costs, spans = self.costs, self.spans
        frames = sum(span.frames for span in spans)
        longest = max(span.frames for span in spans)
        found = {
            "finding cuts": frames * costs.scan_s,
            "longest span": self.world.begin_s
            + costs.open_s
            + costs.span_s
            + longest * costs.color_s,
            "segments through the link": frames * costs.frame_bytes / self.world.link,
            "joining": frames * costs.join_s,
        }
        if self.world.copies:
            found["first copy of the source"] = self.copied(0)
        return found


def table(
    costs: Costs, films: dict[bool, list[Span]], worlds: dict[str, World]
) -> dict[str, list[float]]:
    """Print what comes of every number of workers; frames a second, by world."""
    rates: dict[str, list[float]] = {}
    for name, world in worlds.items():
        spans = films[world.plan]
        own = dataclasses.replace(costs, scan_s=0.0) if world.plan else costs
        frames = sum(span.frames for span in spans)
        longest = max(span.frames for span in spans)
        rates[name] = []
        print(f"\n{name}: {frames} frames, {len(spans)} spans, the longest {longest} frames\n")
        print("| workers | minutes | frames/s | speed-up | of ideal | lost | given twice |")
        print("|---|---|---|---|---|---|---|")
        for count in WORKERS:
            made = Simulation(own, spans, count, world, seed=count).run()
            rate = frames / made.seconds
            rates[name].append(rate)
            gain = rate / rates[name][0]
            print(
                f"| {count} | {made.seconds / 60:.1f} | {rate:.1f} | {gain:.1f} | "
                f"{100 * gain / count:.0f} % | {made.lost} | {made.twice} |"
            )
        floors = sorted(made.floors.items(), key=lambda one: -one[1])
        print("\nfloors: " + ", ".join(f"{what} {s / 60:.1f} min" for what, s in floors))
    return rates


def chart(path: Path, rates: dict[str, list[float]], ceiling: tuple[str, float]) -> None:
    """Frames a second against workers, both logarithmic."""
    height, width, left, top, right, below = 420, 640, 70, 20, 20, 60
    image = np.full((height, width, 3), 255, np.uint8)
    top_rate = max(max(values) for values in rates.values()) * 2
    low = min(min(values) for values in rates.values())
    spread = math.log(top_rate / low)

    def place(workers: float, rate: float) -> tuple[int, int]:
        x = left + (width - left - right) * math.log(workers) / math.log(WORKERS[-1])
        y = height - below - (height - top - below) * math.log(max(rate, low) / low) / spread
        return round(x), round(y)

    def text(words: str, at: tuple[int, int], color: tuple[int, ...] = (90, 90, 90)) -> None:
        cv2.putText(image, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)

    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(top_rate))):
        if low <= 10**power <= top_rate:
            y = place(1, 10**power)[1]
            cv2.line(image, (left, y), (width - right, y), (225, 225, 225), 1)
            text(f"{10**power:g}", (left - 44, y + 4))
    for workers in (1, 10, 100, 1000):
        x = place(workers, low)[0]
        cv2.line(image, (x, top), (x, height - below), (225, 225, 225), 1)
        text(str(workers), (x - 10, height - below + 18))
    text("workers", (width // 2 - 20, height - 14))
    text("frames a second", (6, top - 6))
    first = next(iter(rates.values()))[0]
    reach = min(WORKERS[-1], top_rate / first)
    cv2.line(image, place(1, first), place(reach, first * reach), (190, 190, 190), 1, cv2.LINE_AA)
    y = place(1, ceiling[1])[1]
    cv2.line(image, (left, y), (width - right, y), (120, 160, 120), 1)
    text(f"ceiling: {ceiling[0]}", (left + 8, y - 5), (80, 120, 80))
    for row, (name, values) in enumerate(rates.items()):
        color = COLORS[row % len(COLORS)]
        points = np.array([place(n, v) for n, v in zip(WORKERS, values, strict=True)])
        cv2.polylines(image, [points], False, color, 2, cv2.LINE_AA)
        text(name, (width - 330, height - below - 70 + 18 * row), color)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    """Measure, or simulate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure", help="costs on a clip")
    one.add_argument("clip", type=Path)
    one.add_argument("--out", type=Path, help="COSTS.json")
    two = commands.add_parser("simulate", help="a feature film with 1 to 1,000 workers")
    two.add_argument("costs", type=Path)
    two.add_argument("--color-s", type=float, help="seconds a frame takes a worker, if others")
    two.add_argument("--minutes", type=float, default=110)
    two.add_argument("--rate", type=int, default=24)
    two.add_argument("--shot-median-s", type=float, default=4.0)
    two.add_argument("--shot-sigma", type=float, default=0.8, help="of the logarithm of the length")
    two.add_argument("--link-mbit", type=float, default=1000)
    two.add_argument("--copies", action="store_true", help="no shared store: the film is sent")
    two.add_argument("--life-hours", type=float, default=2.0, help="mean life of a spot machine")
    two.add_argument("--chart", type=Path, help="CHART.png")
    two.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.command == "measure":
        text = json.dumps(dataclasses.asdict(measure(args.clip)), indent=1)
        print(text)
        if args.out:
            args.out.write_text(text + "\n")
        return
    costs = Costs(**json.loads(args.costs.read_text()))
    if args.color_s:
        costs = dataclasses.replace(costs, color_s=args.color_s)
    length = (args.minutes, args.rate, args.shot_median_s, args.shot_sigma, args.seed)
    films = {False: film_spans(*length, LEAST_FRAMES), True: film_spans(*length, 1)}
    print(f"costs: {costs.measured}; {costs.color_s:.3f} s a frame and worker")
    link = args.link_mbit * 1e6 / 8
    wild = {"slow_share": 0.02, "life_s": args.life_hours * 3600}
    worlds = {
        "even": World(link, args.copies),
        "uneven": World(link, args.copies, **wild),
        "uneven, no second try": World(link, args.copies, straggling=None, **wild),
        "uneven, with a plan": World(link, args.copies, plan=True, **wild),
    }
    rates = table(costs, films, worlds)
    if args.chart:
        scan = f"one core finds cuts, {1 / costs.scan_s:.0f} frames a second"
        chart(args.chart, rates, (scan, 1 / costs.scan_s))


if __name__ == "__main__":
    main()
