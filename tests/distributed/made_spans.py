"""Spans, a film of them, and workers that live by a clock of their own."""

import time
from pathlib import Path

from vidcolor.distributed.crew import Finished, Gone, Lost, Reached, Stopped
from vidcolor.io.segment_file import Segment, SegmentFile, read_segment
from vidcolor.spans import Span


def spans(*lengths):
    """Consecutive spans of so many frames."""
    found, index = [], 0
    for shot, frames in enumerate(lengths):
        found.append(Span(index, frames, index, index + frames, shot, (index,), f"key{shot}"))
        index += frames
    return found


def write_segment(path: Path, span: Span, key: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = SegmentFile(path)
    for number in range(span.frames):
        file.write(span.index + number, number == 0, bytes([number % 251]) * 9)
    last = span.index + span.frames - 1
    file.finish(Segment(key or span.key, span.index, last, span.frames, 0, ""))
    return path


class FakeFilm:
    """Its segments are a few bytes a frame."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.source = folder / "film.mkv"

    def segment(self, output, span):
        return output.with_name(f"{output.name}.parts") / f"{span.key}.segment"

    def has(self, output, span):
        card = read_segment(self.segment(output, span))
        return card is not None and card.key == span.key

    def color_span(self, output, span, progress=None):
        for _ in range(span.frames):
            if progress is not None:
                progress(1)
        write_segment(self.segment(output, span), span)


class FakeCrew:
    """A second for each frame, longer where `slow` says so; nothing sleeps.

    Args:
        folder: Where finished segments lie.
        count: How many workers.
        slow: By worker, or by worker and key: how many times as long.
        deaths: Pairs of worker and key: it dies half-way.
        machines: Workers that die with their machine.
        lost_on_the_way: Keys of segments that are gone when they are fetched, once.
        damaged: Keys of segments that arrive damaged, and how often.
    """

    def __init__(
        self, folder, count, slow=None, deaths=(), machines=(), lost_on_the_way=(), damaged=None
    ):
        self.folder, self.now = folder, 0.0
        self.slow, self.deaths, self.machines = slow or {}, set(deaths), set(machines)
        self.lost_on_the_way, self.damaged = set(lost_on_the_way), dict(damaged or {})
        self.jobs = dict.fromkeys(range(count))
        self.next = count
        self.stopped = []
        self.started = []

    def clock(self):
        return self.now

    def idle(self):
        return [worker for worker, job in self.jobs.items() if job is None]

    def start(self, worker, span):
        assert self.jobs[worker] is None
        pace = self.slow.get((worker, span.key), self.slow.get(worker, 1.0))
        self.jobs[worker] = (span, self.now, self.now + pace * span.frames)
        self.started.append((worker, span.key))

    def stop(self, worker):
        self.stopped.append(worker)
        span, since, _ = self.jobs[worker]
        self.jobs[worker] = (span, since, None)

    def _dies(self, worker, span):
        return (worker, span.key) in self.deaths or ("any", span.key) in self.deaths

    def events(self, timeout_s):
        ends = []
        for worker, job in self.jobs.items():
            if job is not None and job[2] is not None:
                half = (job[1] + job[2]) / 2
                ends.append(half if self._dies(worker, job[0]) else job[2])
        if ends:
            self.now = min([*ends, self.now + 50 * timeout_s])
        else:
            time.sleep(1e-3)  # segments are landing
        found = []
        for worker, job in list(self.jobs.items()):
            if job is None:
                continue
            span, since, end = job
            if end is None:
                self.jobs[worker] = None
                found.append(Stopped(worker))
                continue
            part = (self.now - since) / (end - since)
            if self._dies(worker, span) and part >= 0.5:
                del self.jobs[worker]
                self.jobs[self.next] = None
                self.next += 1
                found += [
                    Reached(worker, span, span.frames // 2),
                    Lost(worker, worker in self.machines),
                ]
            elif self.now >= end:
                self.jobs[worker] = None
                write_segment(self.folder / f"{worker}-{span.key}", span)
                found.append(Finished(worker, span, 1))
            else:
                found.append(Reached(worker, span, int(part * span.frames)))
        return found

    def read(self, worker, span, size):
        if span.key in self.lost_on_the_way:
            self.lost_on_the_way.discard(span.key)
            raise Gone
        data = (self.folder / f"{worker}-{span.key}").read_bytes()
        if self.damaged.get(span.key, 0) > 0:
            self.damaged[span.key] -= 1
            data = data[:30] + bytes([data[30] ^ 1]) + data[31:]
        for at in range(0, len(data), 100):
            yield data[at : at + 100]
