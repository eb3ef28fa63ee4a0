"""Colorings of one film measured side by side."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from vidcolor.color.measure import Perceptual, mean_chroma
from vidcolor.color.measure.catalog import metric
from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.frame import Bytes, Grids, Look
from vidcolor.evaluate.meter import Detail, Group, Region
from vidcolor.evaluate.motion import Change, Picture, Step, Trail
from vidcolor.evaluate.records import Curves, Measures, Moment, ShotReport, TrackReport
from vidcolor.evaluate.worst import Worst
from vidcolor.io.color_frames import resize
from vidcolor.models.store import installed

__all__ = ["Measurement"]


@dataclass(slots=True)
class _Shot:
    """The shot that is running."""

    number: int
    start: int
    end: int
    time: float
    group: Group


@dataclass(slots=True)
class _Track:
    """A track; `region` is its box in frame `end`."""

    label: str
    shot: int
    start: int
    end: int
    group: Group
    region: Region


class Measurement:
    """Measures several colorings of one film side by side; motion is looked for once.

    Args:
        names: Of the colorings; the first one is that of curves and worst moments.
        truth: Which of them is true, if one is.
        grids: Sizes.
        config: What is measured.

    Raises:
        WeightsError: If LPIPS is asked for and its package or network is missing.
    """

    def __init__(
        self, names: Sequence[str], truth: str | None, grids: Grids, config: EvaluateConfig
    ) -> None:
        self._names = tuple(names)
        self._truth = truth
        self._grids = grids
        self._config = config
        self._perceptual: Perceptual | None = None
        if config.lpips:
            self._perceptual = metric("lpips", file=installed().get("alexnet"))
        self._film = self._group()
        self._trails = {name: Trail() for name in self._names}
        self._gray: Bytes | None = None
        self._shot: _Shot | None = None
        self._shots: dict[str, list[ShotReport]] = {name: [] for name in self._names}
        self._tracks: dict[int, _Track] = {}
        self._worst = Worst(config.worst, config.apart)
        self._time, self._number = array("d"), array("q")
        self._values: dict[str, array[float]] = {}

    def _group(self, whole: bool = True) -> Group:
        return Group(self._names, self._truth, whole=whole, perceptual=self._perceptual)

    def push(self, look: Look) -> None:
        """Take the next frame."""
        begins = self._shot is None or look.shot != self._shot.number
        if begins:
            self._end_shot()
            self._shot = _Shot(look.shot, look.number, look.number, look.time, self._group())
        shot = self._shot
        assert shot is not None
        shot.end = look.number
        pictures = {
            name: Picture.of(look.colorings[name], self._grids.motion, look.planes.get(name))
            for name in self._names
        }
        gray = resize(look.gray, self._grids.motion)
        step = None if self._gray is None else Step.between(self._gray, gray, self._config.flow)
        self._gray = gray
        changes = {name: self._trails[name].push(pictures[name], step) for name in self._names}
        known = {name: change for name, change in changes.items() if change is not None}

        every = self._config.every
        wanted = self._truth is not None and every > 0 and look.number % every == 0
        detail = Detail.of(pictures, str(self._truth)) if wanted else None
        jumps = shot.group.change(known, Region()) if known else {}
        decibels = shot.group.frame(look.time, pictures, look.gray, Region(), detail)
        self._of_tracks(look, pictures, known, detail)
        self._draw(look, pictures, jumps, decibels)
        first = self._names[0]
        self._worst.push(
            Moment(look.number, look.time, look.shot, (0, 0, 0, 0), 0.0),
            known.get(first),
            None if self._truth is None else known.get(self._truth),
            look.colorings[first],
            self._grids.scale,
            [(box.id, self._to_frame(box.xyxy)) for box in look.boxes],
        )

    def _to_frame(
        self, box: tuple[float, float, float, float]
    ) -> tuple[float, float, float, float]:
        """A box of the compared picture in upright pixels of the frame."""
        x, y, left, top = self._grids.scale
        (tall, wide), (height, width) = self._grids.motion, self._grids.size
        x, y = x * wide / width, y * tall / height
        return left + box[0] * x, top + box[1] * y, left + box[2] * x, top + box[3] * y

    def _of_tracks(
        self,
        look: Look,
        pictures: dict[str, Picture],
        changes: dict[str, Change],
        detail: Detail | None,
    ) -> None:
        for box in look.boxes:
            region = self._region(box.xyxy)
            track = self._tracks.get(box.id)
            if track is None:
                group = self._group(whole=False)
                track = _Track(box.label, look.shot, look.number, look.number, group, region)
                self._tracks[box.id] = track
            elif track.end == look.number - 1 and changes:
                track.group.change(changes, track.region)
            else:
                track.group.cut()
            track.end, track.region = look.number, region
            track.group.frame(look.time, pictures, look.gray, region, detail)

    def _region(self, box: tuple[float, float, float, float]) -> Region:
        def part(low: float, high: float, size: int, of: int) -> slice:
            first = min(round(low * size / of), size - 1)
            return slice(first, max(first + 1, min(size, round(high * size / of))))

        (height, width), (tall, wide) = self._grids.size, self._grids.motion
        x0, y0, x1, y1 = box
        return Region(
            (part(y0, y1, height, height), part(x0, x1, width, width)),
            (part(y0, y1, tall, height), part(x0, x1, wide, width)),
        )

    def _draw(
        self,
        look: Look,
        pictures: dict[str, Picture],
        jumps: dict[str, tuple[float, float | None]],
        decibels: dict[str, float],
    ) -> None:
        """Append to the curves; popping is known a frame late."""
        self._time.append(look.time)
        self._number.append(look.shot)
        count = len(self._time)
        shown = {"": self._names[0]} | ({"true_": self._truth} if self._truth else {})
        for prefix, name in shown.items():
            ab = pictures[name].ab
            a, b = (float(v) for v in ab.mean(axis=(0, 1)))
            jump, pop = jumps.get(name, (math.nan, None))
            values = {
                "a": a, "b": b, "chroma": mean_chroma(ab), "instability": jump,
                "popping": math.nan,
            }  # fmt: skip
            for key, value in values.items():
                self._values.setdefault(prefix + key, array("d")).append(value)
            if pop is not None:
                self._values[prefix + "popping"][count - 2] = pop
        if self._truth:
            self._values.setdefault("psnr", array("d")).append(decibels[self._names[0]])

    def _end_shot(self) -> None:
        if self._shot is None:
            return
        shot, group = self._shot, self._shot.group
        group.cut()
        self._film.merge(group)
        for name, reports in self._shots.items():
            measures = group.measures(name)
            reports.append(ShotReport(shot.number, shot.start, shot.end, shot.time, measures))
        self._shot = None
        self._gray = None
        for trail in self._trails.values():
            trail.cut()
        for track in self._tracks.values():
            track.group.cut()
        self._worst.cut()

    def end(self) -> None:
        """The film is over."""
        self._end_shot()

    def film(self, name: str) -> Measures:
        """Numbers of the whole film, of one coloring.

        Raises:
            ValueError: If there was no frame.
        """
        if not self._film.frames:
            raise ValueError("nothing was measured")
        return self._film.measures(name)

    def shots(self, name: str) -> tuple[ShotReport, ...]:
        """Numbers of each shot."""
        return tuple(self._shots[name])

    def tracks(self, name: str) -> tuple[TrackReport, ...]:
        """Numbers of each track, by their first frames."""
        rows = sorted(self._tracks.items(), key=lambda item: (item[1].start, item[0]))
        return tuple(
            TrackReport(id_, one.label, one.shot, one.start, one.end, one.group.measures(name))
            for id_, one in rows
        )

    def worst(self) -> tuple[Moment, ...]:
        """Moments of flicker of the first coloring."""
        return self._worst.moments()

    def curves(self) -> Curves:
        """Values of the first coloring frame by frame."""
        return Curves(self._time, self._number, self._values)
