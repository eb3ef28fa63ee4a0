"""Does anything get lost? Hours of made footage, random settings, and processes that are killed.

    python scripts/soak.py --minutes 60 --seed 8 --report soak.json

Each film is made here: random size, rate, depth, times, codec, container, sound and subtitles, with
many shots, one, or a single frame. `vidcolor colorize` colors it in a process of its own that is
broken off again and again:

    kill       SIGKILL, at a random moment, while it works, when a span is finished, while it joins
    power      the same, and then what was not yet on the disk is cut off, zeroed or gone
    term, int  SIGTERM, SIGINT (Ctrl-C)
    disk       the disk is full: a real one with --disks (root; under `unshare -m`, so that no
               mount outlives the soak), and else a limit on the size of files
    bit        after a SIGKILL a bit of a finished span is turned over
    rival      a second process wants to make the same film meanwhile

and started again until it ends well. Then the film is compared with its source (frames, times,
luma) by PyAV alone, and with that of a run that nobody broke off (all planes where the codec is
lossless, packets of sound and subtitles), and the folder is searched for what was left behind.

The report says what was found. A soak that was broken off goes on where it was: same seed, same
folder. Exits 1 if anything was lost, 2 if no film was finished.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import shutil
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from soaking.footage import draw_footage, make_film
from soaking.harm import Disk, frames_in, lose_power, turn_a_bit
from soaking.program import (
    Ended,
    Moment,
    command,
    draw_settings,
    end,
    finished,
    listed,
    parts_of,
    plan_command,
    start,
)
from soaking.verdict import Look, judge, left_behind, look

from vidcolor.io.segment_file import read_segment

FAULTS = {"kill": 4, "power": 4, "term": 3, "int": 3, "disk": 3, "bit": 2, "rival": 1}
CODES = {"kill": 137, "power": 137, "bit": 137, "term": 143, "int": 130, "disk": 1, "rival": 1}
SIGNALS = {"term": signal.SIGTERM, "int": signal.SIGINT}
WARM_FRAMES = 240  # films shorter than this do not fill all windows and queues
TRIES = 3  # unbroken runs in a row that may fail before a film is given up


# -- one film --------------------------------------------------------------------------------------


class Soaked:
    """A film that is made, colored, broken off, and judged.

    Args:
        number: Which.
        seed: Of the soak.
        folder: Of the soak.
        quick: No film of more than so many frames, if not 0.
        disks: Mount a small disk for it.
    """

    def __init__(
        self, number: int, seed: int, folder: Path, quick: int = 0, disks: bool = False
    ) -> None:
        self._disks = disks
        self._rng = rng = random.Random(f"soak {seed} {number}")
        self.footage = draw_footage(rng)
        if quick and self.footage.frames > quick:
            self.footage = dataclasses.replace(self.footage, shots=(quick // 2, quick - quick // 2))
        self.settings = draw_settings(rng, self.footage)
        self._folder = folder / f"film-{number:05}"
        self._work = self._folder / "work"
        self._log = self._folder / "log.txt"
        self.output = self._work / f"colored{self.settings.suffix}"
        self.source = self._work / f"film{self.footage.suffix}"
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._runs: list[Ended] = []
        self._whole = 0.0, 0.0
        self._done_before = 0

    def run(self) -> dict[str, Any]:
        """Everything; what is to be said of it."""
        began = time.monotonic()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._work.mkdir(parents=True)
        disk = Disk(self._work, self._disks)
        try:
            make_film(self.source, self.footage)
            whole = self._unbroken()
            if whole is not None:
                self._break_off(disk)
                self._finish(whole)
        finally:
            disk.close(keep=bool(self.wrong))
        if not self.wrong:
            shutil.rmtree(self._folder, ignore_errors=True)
        said = dataclasses.asdict(self.footage)
        said["times"] = said["times"][:1] if len(said["times"]) == 1 else "vary"
        return {
            "footage": said,
            "settings": dataclasses.asdict(self.settings),
            "counts": dict(self.counts),
            "wrong": self.wrong,
            "peaks_mib": [round(run.peak_mib, 1) for run in self._runs],
            "unbroken_peak_mib": self._unbroken_peak,
            "real_disk": disk.real,
            "seconds": round(time.monotonic() - began, 1),
        }

    def _call(self, words: list[str], **keys: Any) -> Ended:
        began = time.monotonic()
        return end(start(words, self._log, **keys), self._log, began)

    _unbroken_peak = 0.0

    def _unbroken(self) -> Look | None:
        """A run that nobody breaks off, in another folder."""
        if self.settings.plan:
            ended = self._call(plan_command(self.source, self.settings))
            if ended.code != 0:
                self._fault("no plan", ended)
                return None
        aside = self._folder / f"whole{self.settings.suffix}"
        began, log = time.monotonic(), self._log
        ready: list[float] = []

        def begun() -> bool:
            if any(path.suffix == ".segment" for path in listed(parts_of(aside))):
                ready.append(time.monotonic() - began)
            return bool(ready)

        ended = end(start(command(self.source, aside, self.settings), log), log, began, begun)
        self._whole = (ready or [ended.seconds])[0], ended.seconds - (ready or [0.0])[0]
        if ended.code != 0:
            self._fault("the unbroken run failed", ended)
            return None
        self._unbroken_peak = round(ended.peak_mib, 1)
        return look(aside)

    def _fault(self, what: str, ended: Ended) -> None:
        self.wrong.append(f"{what} (exit code {ended.code}): {ended.said[-700:]}")

    # -- breaking off --------------------------------------------------------------------------

    def _break_off(self, disk: Disk) -> None:
        most = 1 if self.footage.frames < 10 else 6
        for _ in range(self._rng.randint(1, most)):
            if self.output.exists():
                if self._runs[-1].code != 0 or any(run.struck for run in self._runs):
                    return
                self.counts["missed"] += 1  # it was done before anything happened
                self.output.unlink()
            self._count_taken()
            kind = self._rng.choices(tuple(FAULTS), tuple(FAULTS.values()))[0]
            self._strike(kind, disk)

    def _count_taken(self) -> None:
        cards = [read_segment(path) for path in finished(parts_of(self.output))]
        there = [card for card in cards if card is not None]
        self._done_before = sum(card.frames for card in there)
        self.counts["spans taken over"] += len(there)
        self.counts["frames taken over"] += self._done_before
        self.counts["resumes"] += bool(there)

    def _strike(self, kind: str, disk: Disk) -> None:
        rng, output = self._rng, self.output
        left = 1 - self._done_before / self.footage.frames
        moment, began = Moment(rng, output, self._whole, left), time.monotonic()
        free = rng.choice((0, rng.randint(1, 20_000), rng.randint(20_000, 400_000)))
        limit = free + 1 if kind == "disk" and not disk.real else 0
        words = command(self.source, output, self.settings)
        process = start(words, self._log, limit)

        def strike() -> bool:
            if kind == "disk":
                if disk.real and moment.come():
                    disk.fill(free)
                    return True
                return not disk.real
            if not moment.come():
                return False
            if kind == "rival":
                return self._rival(words)
            process.send_signal(SIGNALS.get(kind, signal.SIGKILL))
            return True

        ended = end(process, self._log, began, strike)
        if disk.real:
            disk.empty()
        self._runs.append(ended)
        self.counts["runs broken off"] += ended.code != 0
        self._look_at(kind, moment.kind, ended)
        if kind == "power" and ended.code == CODES["power"]:
            self.counts["files that a power cut took"] += lose_power(output, rng)
        if kind == "bit" and ended.code == CODES["bit"]:
            self.counts["bits turned"] += turn_a_bit(parts_of(output), rng)

    def _rival(self, words: list[str]) -> bool:
        """Start another process that wants the same; it must be refused."""
        if not (parts_of(self.output) / ".lock").exists():
            return False
        log = self._folder / "rival.txt"
        ended = end(start(words, log), log, time.monotonic())
        refused = ended.code == 1 and "another vidcolor is making it" in ended.said
        late = self.output.exists() or ended.code == 0  # the first one was done by then
        if refused:
            self.counts["rivals refused"] += 1
        elif not late:
            self._fault("a second process was not refused", ended)
        return True

    def _look_at(self, kind: str, when: str, ended: Ended) -> None:
        """Whether a process ended as it should, and what it has left."""
        parts = parts_of(self.output)
        cards = [read_segment(path) for path in finished(parts)]
        kept = sum(card.frames for card in cards if card is not None)
        if ended.code == 0:
            if not self.output.exists():
                self._fault("exit code 0, but no film", ended)
            return
        if kind == "rival":
            self._fault("a rival made it fail", ended)
        elif ended.code != CODES[kind]:
            self._fault(f"{kind} should end with {CODES[kind]}", ended)
        elif kind == "disk" and "Traceback" in ended.said:
            self._fault("a full disk gave a traceback", ended)
        self.counts[f"{kind}"] += 1
        self.counts[f"while: {when}"] += kind != "disk" or ended.struck
        twice = max(0, ended.done - kept)
        if kind in ("kill", "power", "bit"):
            twice = max(twice, sum(frames_in(p) for p in listed(parts) if ".partial-" in p.name))
        if not self.output.exists():
            self.counts["frames colored twice"] += min(twice, self.footage.frames)
        else:
            self.counts["killed after the film was in place"] += 1

    # -- the end -------------------------------------------------------------------------------

    def _finish(self, whole: Look) -> None:
        killed_late = self.output.exists() and self._runs and self._runs[-1].code != 0
        tries = 0
        while not self.output.exists():
            self._count_taken()
            ended = self._call(command(self.source, self.output, self.settings))
            self._runs.append(ended)
            if ended.code != 0:
                tries += 1
                if tries == TRIES:
                    self._fault("cannot be finished any more", ended)
                    self.counts["frames lost"] += self.footage.frames
                    return
        expected = {self.source.name, self.output.name, "film.vidcolor"}
        if killed_late:  # between the film's name and the end of the process
            expected.add(parts_of(self.output).name)
        left = left_behind(self._work, expected, self.settings.plan)
        if left:
            self.wrong.append(f"left behind: {', '.join(left)}")
        source, found = look(self.source), look(self.output)
        exact = self.settings.suffix != ".mkv"
        verdict = judge(source, whole, found, self.settings, exact)
        self.wrong += verdict.wrong
        self.counts["frames lost"] += verdict.lost
        self.counts["frames"] += len(found.times)
        self.counts["films"] += 1


# -- the report ------------------------------------------------------------------------------------


def slope(points: list[tuple[float, float]]) -> dict[str, float]:
    """Least squares of y over x, with its standard error."""
    if len(points) < 3 or len({x for x, _ in points}) < 2:
        return {}
    x, y = np.array(points, np.float64).T
    x0 = x - x.mean()
    rise = float((x0 * (y - y.mean())).sum() / (x0**2).sum())
    rest = y - y.mean() - rise * x0
    error = float(np.sqrt((rest**2).sum() / (len(x) - 2) / (x0**2).sum()))
    return {"slope": round(rise, 6), "standard_error": round(error, 6)}


def summary(films: dict[str, Any], minutes: float) -> dict[str, Any]:
    """All counts together, and what memory says."""
    counts: Counter[str] = Counter()
    for film in films.values():
        counts.update(film["counts"])
    peaks = [peak for film in films.values() for peak in film["peaks_mib"]]
    points = [
        (sum(film["footage"]["shots"]) / 1000, film["unbroken_peak_mib"])
        for film in films.values()
        if film["unbroken_peak_mib"] and not film["settings"]["restore"]
    ]
    points = [point for point in points if point[0] >= WARM_FRAMES / 1000]
    return {
        "minutes": round(minutes, 1),
        "films": counts["films"],
        "counts": dict(sorted(counts.items())),
        "memory": {
            "peak_mib": max(peaks, default=0.0),
            "median_mib": round(statistics.median(peaks), 1) if peaks else 0.0,
            "mib_per_1000_frames": slope(points),
        },
        "films_with_real_disk": sum(film["real_disk"] for film in films.values()),
        "wrong": {name: film["wrong"] for name, film in films.items() if film["wrong"]},
    }


class Soak:
    """Films one after the other, two at a time, for some minutes.

    Args:
        seed: Of everything.
        folder: Where films are made; those with faults stay there.
        report: Where the report goes.
        quick: See `Soaked`.
        disks: See `Soaked`.
    """

    def __init__(
        self, seed: int, folder: Path, report: Path, quick: int = 0, disks: bool = False
    ) -> None:
        self._seed, self._folder, self._report = seed, folder, report
        self._quick, self._disks = quick, disks
        self._state: dict[str, Any] = {"seed": seed, "seconds": 0.0, "films": {}}
        if report.exists():
            before = json.loads(report.read_text())
            if before.get("seed") == seed:
                self._state = before
        self._lock = threading.Lock()
        self._next = 0

    def run(self, seconds: float, at_once: int, most: int = 0) -> dict[str, Any]:
        """Soak; the report.

        Args:
            seconds: After so many no further film is begun.
            at_once: Films at a time.
            most: Films at most, if not 0.
        """
        began, before = time.monotonic(), float(self._state["seconds"])

        def left() -> bool:
            return before + time.monotonic() - began < seconds

        def work() -> None:
            while left():
                with self._lock:
                    done = self._state["films"]
                    while str(self._next) in done:
                        self._next += 1
                    number = self._next
                    self._next += 1
                if most and number >= most:
                    return
                film = Soaked(number, self._seed, self._folder, self._quick, self._disks)
                result = film.run()
                with self._lock:
                    self._state["seconds"] = before + time.monotonic() - began
                    self._take(number, result)

        with ThreadPoolExecutor(at_once) as pool:
            for future in [pool.submit(work) for _ in range(at_once)]:
                future.result()
        return dict(self._state["summary"]) if "summary" in self._state else {"films": 0}

    def _take(self, number: int, result: dict[str, Any]) -> None:
        self._state["films"][str(number)] = result
        self._state["summary"] = summary(self._state["films"], self._state["seconds"] / 60)
        text = json.dumps(self._state, indent=1)
        draft = self._report.with_name(self._report.name + ".new")
        draft.write_text(text)
        draft.replace(self._report)
        counts = result["counts"]
        struck = {name: counts[name] for name in FAULTS if counts.get(name)}
        print(
            f"film {number}: {sum(result['footage']['shots'])} frames, "
            f"{result['settings']['codec']}{' plan' if result['settings']['plan'] else ''}, "
            f"{struck or 'nothing happened'}, {result['seconds']} s: "
            f"{'; '.join(result['wrong']) or 'as it should be'}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long")
    parser.add_argument("--seed", type=int, default=8, help="of everything that is random")
    parser.add_argument("--folder", type=Path, default=Path("soak"), help="where films are made")
    parser.add_argument("--report", type=Path, help="default: FOLDER/report.json")
    parser.add_argument("--at-once", type=int, default=2, help="films at a time")
    parser.add_argument("--films", type=int, default=0, help="at most so many")
    parser.add_argument("--short", type=int, default=0, help="no film has more frames")
    parser.add_argument("--disks", action="store_true", help="mount small disks to fill (root)")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    folder = given.folder.resolve()
    report = given.report or folder / "report.json"
    soak = Soak(given.seed, folder, report, given.short, given.disks)
    result = soak.run(60 * given.minutes, given.at_once, given.films)
    print(json.dumps(result, indent=1))
    if not result["films"]:
        return 2 if not result.get("wrong") else 1
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
