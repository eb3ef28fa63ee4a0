"""What is known of the running shot: when tracks begin and end, which are sent on, and how."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.ops.boxes import clip, from_center, to_center
from vidcolor.records import TRACKS_OF_A_SHOT, Detected, Detections, FrameBatch, Tracked, Tracks
from vidcolor.stages.track_associate import Association, Observation, Track
from vidcolor.stages.track_smooth import hold_still, quantize, smooth

if TYPE_CHECKING:
    from vidcolor.stages.track import TrackConfig

__all__ = ["ShotTracks"]

_GAP_TRUST = 0.05  # weight of an interpolated box against a detection of score 1
_LEAST_SIDE_PX = 2.0
_MOST_MISSED_LOOKS = 3  # in a gap that is filled however long it is


@dataclass(frozen=True, slots=True)
class _Row:
    """A box of a frame, as it is sent on."""

    id: int
    box: tuple[float, float, float, float]
    score: float
    label: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of a track without hole: `first..last` sent on, `seen` the detections."""

    first: int
    last: int
    seen: list[Observation]


class ShotTracks:
    """What is known of the running shot; frames are counted from its start."""

    def __init__(self, config: TrackConfig, frames: FrameBatch) -> None:
        self.number = frames.shot
        self._config = config
        self._begin = frames.start
        self._size = frames.info.size
        self._association = Association(config)
        self._pending: deque[Detected] = deque()
        self._sent = frames.start  # frames before this have left
        self._done = frames.start  # frames before this are settled
        self._known = frames.start  # frames before this were seen
        self._looks: list[int] = []
        self._held: set[int] = set()
        self._rows: dict[int, list[_Row]] = {}
        self._before: list[_Row] = []  # rows of frame done - 1
        self._numbered = 0
        self._given = False

    def add(self, item: Detected) -> Iterator[Tracked]:
        """Take a batch in, send on what is settled."""
        looked = item.has_looked().tolist()
        if not self._pending and not any(looked):
            # nothing was or will be looked at, else the first frame had been
            self._known = self._done = self._sent = self._known + len(item.frames)
            yield Tracked(item.frames, Tracks.empty(item.detections.names))
            return
        self._pending.append(item)
        held = item.frames.is_held().tolist()
        by_frame = _by_frame(item)
        reach = self._config.window_frames + self._config.lookahead_frames
        for i in range(len(item.frames)):
            if self._known - self._done == reach:
                self._settle(self._done + self._config.window_frames, ended=False)
                yield from self._ready()
            number = self._known
            if held[i]:
                self._held.add(number)
            seen = [Observation(number, box, score, label) for box, score, label, _ in by_frame[i]]
            if item.ids is not None:
                self._given = True
                self._association.obey(number, seen, [row[3] for row in by_frame[i]])
            elif looked[i] and not held[i]:
                self._looks.append(number)
                self._association.step(number, seen)
            self._known += 1

    def finish(self) -> Iterator[Tracked]:
        """The shot has ended: settle and send on the rest."""
        if self._pending:
            self._settle(self._known, ended=True)
            yield from self._ready()

    def _ready(self) -> Iterator[Tracked]:
        while self._pending and self._sent + len(self._pending[0].frames) <= self._done:
            item = self._pending.popleft()
            rows = [
                (i, row)
                for i in range(len(item.frames))
                for row in self._rows.pop(self._sent + i, [])
            ]
            self._sent += len(item.frames)
            if not rows:
                yield Tracked(item.frames, Tracks.empty(item.detections.names))
                continue
            detections = Detections(
                torch.tensor([row.box for _, row in rows], dtype=torch.float32),
                torch.tensor([row.score for _, row in rows], dtype=torch.float32),
                torch.tensor([row.label for _, row in rows], dtype=torch.int64),
                torch.tensor([i for i, _ in rows], dtype=torch.int64),
                item.detections.names,
            )
            yield Tracked(
                item.frames,
                Tracks(
                    detections,
                    torch.tensor([row.id for _, row in rows], dtype=torch.int64),
                    torch.tensor([row.weight for _, row in rows], dtype=torch.float32),
                ),
            )

    def _settle(self, upto: int, *, ended: bool) -> None:
        """Decide on frames `done..upto` from all that is known."""
        config = self._config
        candidates = []
        for track in self._association.tracks:
            runs = self._runs(track, ended) if track.confirmed else []
            runs = [run for run in runs if run.last >= self._done]
            if runs:
                candidates.append((track, runs))
        rows: dict[int, list[_Row]] = {number: [] for number in range(self._done, upto)}
        for track, runs in self._chosen(candidates):
            for run in runs:
                if run.first < upto:
                    self._send(track, run, rows, upto, ended)
        for number in range(self._done, upto):
            if number in self._held and number > self._begin and not self._given:
                rows[number] = self._before
            rows[number].sort(key=lambda row: row.id)
            self._before = rows[number]
        self._rows.update(rows)
        self._done = upto
        memory = upto - max(2 * config.lookahead_frames, config.lost_frames)
        self._association.forget(memory)
        self._looks = [number for number in self._looks if number >= memory]
        self._held = {number for number in self._held if number >= upto}

    def _runs(self, track: Track, ended: bool) -> list[_Run]:
        """Stretches in which a track is there."""
        config = self._config
        if self._given:
            return _unbroken(track.observations)
        good = [i for i, one in enumerate(track.observations) if one.score >= config.keep]
        if not good:
            return []
        seen = track.observations[0 if track.forgotten else good[0] : good[-1] + 1]
        parts = [[seen[0]]]
        for one in seen[1:]:
            gap = one.frame - parts[-1][-1].frame - 1
            missed = self._looked_between(parts[-1][-1].frame, one.frame)
            if gap <= config.fill_frames or missed <= _MOST_MISSED_LOOKS:
                parts[-1].append(one)
            else:
                parts.append([one])
        runs: list[_Run] = []
        final = self._known - 1
        for part in parts:
            first = max(self._begin, part[0].frame - config.hold_frames)
            last = part[-1].frame
            if part is parts[-1] and not self._looked_between(last, self._known):
                last = final  # nothing speaks against it
            else:
                last = min(final, last + config.hold_frames)
            if runs:
                first = max(first, runs[-1].last + 1)
            whole = first == self._begin and ended and last == final
            goes_on = track.since is not None and first <= self._done
            if whole or goes_on or part[-1].frame - part[0].frame + 1 >= config.min_frames:
                runs.append(_Run(first, last, part))
        return runs

    def _looked_between(self, low: int, high: int) -> int:
        """How many frames strictly between two were looked at."""
        return bisect.bisect_left(self._looks, high) - bisect.bisect_right(self._looks, low)

    def _chosen(self, candidates: list[tuple[Track, list[_Run]]]) -> list[tuple[Track, list[_Run]]]:
        """Largest and longest first, as long as no frame holds too many; who is on stays on."""
        if self._given:
            return candidates

        def rank(candidate: tuple[Track, list[_Run]]) -> tuple[object, ...]:
            track, _ = candidate
            span = track.last.frame - track.observations[0].frame + 1
            mean_area = track.extent / max(1, len(track.observations))
            length = span if not track.forgotten else max(span, self._known - self._begin)
            return (track.on_at != self._done - 1, -mean_area * length, track.key())

        seats = np.zeros(self._known - self._done, dtype=np.int64)
        chosen = []
        for track, runs in sorted(candidates, key=rank):
            taken = np.zeros_like(seats)
            for run in runs:
                taken[max(0, run.first - self._done) : run.last + 1 - self._done] = 1
            if int((seats + taken)[taken > 0].max()) <= self._config.max_instances:
                seats += taken
                chosen.append((track, runs))
        return sorted(chosen, key=lambda one: (one[1][0].first, one[0].key()))

    def _send(
        self,
        track: Track,
        run: _Run,
        rows: dict[int, list[_Row]],
        upto: int,
        ended: bool,
    ) -> None:
        """Rows of a stretch, from the first unsettled frame on."""
        config = self._config
        first, last = max(run.first, self._done), min(run.last, upto - 1)
        if first > last:
            return
        if track.id is None:
            self._numbered += 1
            track.id = self.number * TRACKS_OF_A_SHOT + self._numbered
        if track.on_at < 0:
            track.label = track.voted()
        continues = track.since is not None and track.on_at == first - 1
        if not continues:
            track.since = -math.inf if first == self._begin else float(first)
            track.play = track.sides = None
        since = track.since if track.since is not None else -math.inf
        centers, scores, begin = self._steadied(run)
        part = slice(first - begin, last - begin + 1)
        if not self._given:
            held = hold_still(centers[part], config.still, track.play)
            boxes = self._finished(track, held)
            track.play = held[-1]
        else:
            boxes = from_center(torch.from_numpy(centers[part])).numpy()
        alive = run.last == self._known - 1  # until the cut, or for all we know
        for i, number in enumerate(range(first, last + 1)):
            ramp = config.ramp_frames + 1
            weight = min(1.0, (number - since + 1) / ramp)
            if not alive:
                weight = min(weight, (run.last - number + 1) / ramp)
            x0, y0, x1, y1 = boxes[i].tolist()
            if min(x1 - x0, y1 - y0) < _LEAST_SIDE_PX and not self._given:
                continue
            score = float(scores[number - begin])
            rows[number].append(_Row(track.id, (x0, y0, x1, y1), score, track.label, weight))
        track.on_at = last

    def _steadied(self, run: _Run) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Smoothed center form and score of each frame of a run; and the frame of row 0."""
        begin = min(run.first, run.seen[0].frame)
        frames = np.array([one.frame for one in run.seen]) - begin
        boxes = to_center(torch.tensor([one.box for one in run.seen], dtype=torch.float64)).numpy()
        values = np.array([one.score for one in run.seen])
        count = run.last - begin + 1
        every = np.arange(count)
        scores = np.interp(every, frames, values)
        if self._given:
            return boxes, values, begin
        centers = np.stack([np.interp(every, frames, boxes[:, k]) for k in range(4)], axis=1)
        trust = np.zeros(count)
        trust[frames[0] : frames[-1] + 1] = _GAP_TRUST
        trust[frames] = np.maximum(values, _GAP_TRUST)
        steady = smooth(centers, trust, self._config.smooth_frames, self._config.outlier)
        return steady, scores, begin

    def _finished(self, track: Track, centers: NDArray[np.float64]) -> NDArray[np.float64]:
        """xyxy of center form: padded, quantized, cut to the frame."""
        config = self._config
        result = centers.copy()
        result[:, 2:] += math.log1p(config.padding)
        if config.quantum_px:
            for row in result:
                track.sides = quantize(np.exp(row[2:]), config.quantum_px, track.sides)
                row[2:] = np.log(track.sides)
        return clip(from_center(torch.from_numpy(result)), self._size).numpy()


def _unbroken(seen: list[Observation]) -> list[_Run]:
    """Runs of consecutive frames."""
    runs: list[_Run] = []
    for one in seen:
        if runs and one.frame == runs[-1].last + 1:
            runs[-1] = _Run(runs[-1].first, one.frame, [*runs[-1].seen, one])
        else:
            runs.append(_Run(one.frame, one.frame, [one]))
    return runs


def _by_frame(
    item: Detected,
) -> list[list[tuple[tuple[float, float, float, float], float, int, int]]]:
    """Box, score, label and given identity of the detections of each frame."""
    rows: list[list[tuple[tuple[float, float, float, float], float, int, int]]] = [
        [] for _ in range(len(item.frames))
    ]
    found = item.detections
    ids = item.ids.tolist() if item.ids is not None else [0] * len(found)
    for box, score, label, frame, number in zip(
        found.boxes.tolist(),
        found.scores.tolist(),
        found.labels.tolist(),
        found.frame.tolist(),
        ids,
        strict=True,
    ):
        x0, y0, x1, y1 = box
        rows[frame].append(((x0, y0, x1, y1), score, label, number))
    return rows
