"""Keeps the color of an object.

A network gives an object another color when it turns, when it comes near, when it comes back.
Here each track remembers what color was where in its box, at which lightness, and new color is
drawn to that. What a person said of an object is laid over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import ConfigError
from vidcolor.guidance.template import Pin, Template
from vidcolor.guidance.tracks.cells import Area, Box, Grid, area_of, feather
from vidcolor.guidance.tracks.file import TracksFile
from vidcolor.guidance.tracks.gallery import Gallery, Member
from vidcolor.guidance.tracks.identities import Describer, View
from vidcolor.guidance.tracks.known import KnownTracks
from vidcolor.guidance.tracks.mask import ObjectMask, moving
from vidcolor.guidance.tracks.memory import BoxMemory, Firmness, Sample
from vidcolor.guidance.tracks.pinned import Paint, paint
from vidcolor.guidance.tracks.survey import on_grid
from vidcolor.records import Chroma, Colored

__all__ = ["Forget", "Remember", "RememberConfig"]

Floats = npt.NDArray[np.float32]

_FRONT = 3.0  # how decidedly the smaller of two boxes lies in front
_LOST_FRAMES = 250  # a track unseen for longer is forgotten
_VIEW_AT = (0, 8, 20)  # frames of a track at which it is asked whether it is known
_LEAST_FRAMES = 12  # of a track that later shots may know again
_SEED_FRAMES = 40.0


@dataclass(frozen=True, slots=True)
class RememberConfig:
    """How firmly objects keep their color.

    Attributes:
        enabled: Remember the color of tracked objects.
        strength: Part of the way to the remembered color that new color is drawn, 0 to 1.
        familiar: Frames after which memory has half its say.
        unsteady: Deviation of remembered color over time, in a*b*, that halves memory's say.
        outlier: Distance in a*b* from the memory that halves the weight of new color.
        n_most: Frames that the memory counts as at most; more is steadier and slower to learn.
        feather: Part of a box's side over which memory fades toward its edges.
        across_shots: Without a tracks file, know objects again in later shots by their looks;
            shots are then no longer independent of those before.
        identities: Objects of earlier shots that are kept in mind at most.
    """

    enabled: bool = True
    strength: float = 0.9
    familiar: float = 3.0
    unsteady: float = 15.0
    outlier: float = 12.0
    n_most: int = 250
    feather: float = 0.15
    across_shots: bool = False
    identities: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be 0 to 1, not {self.strength}")
        for name in ("familiar", "unsteady", "outlier"):
            if not 0 < getattr(self, name) <= 1000:
                raise ConfigError(f"{name} must be over 0, at most 1000, not {getattr(self, name)}")
        for name in ("n_most", "identities"):
            if not 1 <= getattr(self, name) <= 100_000:
                raise ConfigError(f"{name} must be 1 to 100000, not {getattr(self, name)}")
        if not 0.01 <= self.feather <= 0.5:
            raise ConfigError(f"feather must be 0.01 to 0.5, not {self.feather}")

    @property
    def firmness(self) -> Firmness:
        """How each memory learns."""
        return Firmness(self.unsteady, self.outlier, self.familiar, float(self.n_most))


class Forget:
    """The null object: nothing is remembered. Memory: none. Lookahead: none."""

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same."""
        return iter(colored)


class Remember:
    """Draws the color of tracked objects to what it was before.

    Color is gathered by place in the box (8 x 8) and lightness (12 levels), so that an arm that
    swings and the background behind it are remembered apart. What is added to a frame is the
    difference of two such smooth grids, memory minus frame, as far as the memory is sure: detail
    stays, edges of lightness are respected, and where lightness is not as it ever was there,
    nothing is added. Of two boxes that overlap the smaller one counts as in front. The color
    of `Chroma.sure` is left alone and learned from with more weight.

    Pinned objects get a person's color over that, at full weight where the object is (see
    `guidance.tracks.pinned`), and `sure` rises.

    Memory: for each track of the shot 8 x 8 x 12 means, the color of one frame, and with
    `across_shots` the looks and templates of up to `identities` objects of earlier shots.
    Lookahead: none. At a cut everything else is dropped; with a tracks file nothing else is
    kept, so that shots do not depend on each other. Held frames are copies, bit for bit.

    Args:
        config: How firmly.
        tracks: A person's file: identities, templates and pins by color.
        pins: A person's word on tracks, from hints; with a file it goes for all of an identity.
        describe: Knows objects again; used with `across_shots` where there is no file.
    """

    def __init__(
        self,
        config: RememberConfig,
        tracks: TracksFile | None = None,
        pins: Sequence[Pin] = (),
        describe: Describer | None = None,
    ) -> None:
        if config.across_shots and tracks is None and describe is None:
            raise ConfigError("across_shots needs a network that describes objects")
        self.config = config
        self._known = KnownTracks(tracks, tuple(pins))
        self._describe = describe if config.across_shots and tracks is None else None

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same batches, objects with their color.

        Raises:
            GuidanceError: If the tracks of the film are not those of the file.
        """
        gallery = Gallery(self.config.identities)
        shot: _Shot | None = None
        for batch in colored:
            if shot is None or shot.number != batch.frames.shot:
                if shot is not None:
                    shot.close()
                shot = _Shot(batch.frames.shot, self.config, self._known, self._describe, gallery)
            yield shot.batch(batch)


@dataclass(slots=True)
class _Track:
    """A track, or a part of one that has a line of its own in the file."""

    label: str
    memory: BoxMemory
    pins: list[Template]
    mask: ObjectMask
    age: int = 0
    last: int = 0
    views: list[View] = field(default_factory=list)
    member: int | None = None


@dataclass(slots=True)
class _Object:
    """A track in a frame."""

    track: _Track
    weight: float
    area: Area
    grid: Grid
    edges: Floats
    shown: Floats  # what of it no other box hides
    sample: Sample | None = None


class _Shot:
    """The state of one shot."""

    def __init__(
        self,
        number: int,
        config: RememberConfig,
        known: KnownTracks,
        describe: Describer | None,
        gallery: Gallery,
    ) -> None:
        self.number = number
        self._config = config
        self._known = known
        self._describe = describe
        self._gallery = gallery
        self._tracks: dict[tuple[int, str], _Track] = {}
        self._frames = 0
        self._last: Chroma | None = None
        self._before: Floats | None = None  # L* of the frame before, for pinned objects

    def batch(self, batch: Colored) -> Colored:
        """Color one batch."""
        held = batch.frames.is_held().tolist()
        plain = len(batch.tracks) == 0 and self._known.file is None
        if plain and not any(held):
            self._last = batch.chroma[-1:]
            self._before = batch.chroma.lightness[-1, 0].numpy()
            return batch
        boxes = on_grid(batch)
        parts: list[Chroma] = []
        for number, is_held in enumerate(held):
            chroma = batch.chroma[number : number + 1]
            self._known.check(batch.frames, batch.tracks, number)
            if is_held and self._last is not None:
                chroma = replace(self._last, flow=chroma.flow)
            else:
                chroma = self._frame(batch, number, chroma, boxes)
                self._before = chroma.lightness[0, 0].numpy()
            self._last = chroma
            parts.append(chroma)
        return replace(batch, chroma=_joined(batch.chroma, parts, any(held)))

    def close(self) -> None:
        """Let later shots know the objects of this one."""
        if self._describe is None:
            return
        for track in self._tracks.values():
            if track.age >= _LEAST_FRAMES and track.views:
                now = Member(
                    track.label, tuple(track.views), (track.memory.template(),), tuple(track.pins)
                )
                self._gallery.keep(track.member, now)

    def _frame(self, batch: Colored, number: int, chroma: Chroma, boxes: list[Box]) -> Chroma:
        self._frames += 1
        given = chroma.ab[0].numpy()
        lightness = chroma.lightness[0, 0].numpy()
        sure = None if chroma.sure is None else chroma.sure[0, 0].numpy()
        objects = self._objects(batch, number, lightness, boxes)
        if not objects:
            return chroma
        ab = given.copy()
        for one in objects:
            track = one.track
            one.sample = track.memory.look(one.grid, given, sure, one.shown)
            added = one.grid.spread(track.memory.correction(one.sample))
            added *= one.edges * one.shown * np.float32(self._config.strength * one.weight)
            rows, columns = one.area.part
            if sure is not None:
                added *= 1 - sure[rows, columns]
            ab[:, rows, columns] += added
        paints = [self._paint(one, lightness) for one in objects if one.track.pins]
        for one in objects:
            assert one.sample is not None
            one.track.memory.learn(one.sample, one.weight)
        if any(paints):
            sure = np.zeros_like(lightness) if sure is None else sure.copy()
            for layer in paints:
                layer.lay(ab, sure)
        certain = chroma.sure if sure is None else torch.from_numpy(sure)[None, None]
        return replace(chroma, ab=torch.from_numpy(ab)[None], sure=certain)

    def _objects(
        self, batch: Colored, number: int, lightness: Floats, boxes: list[Box]
    ) -> list[_Object]:
        """Tracks of a frame, each with what is to be seen of it."""
        found = batch.tracks.detections
        objects = []
        for k in (found.frame == number).nonzero().flatten().tolist():
            area = area_of(boxes[k], cast(tuple[int, int], lightness.shape))
            if area is None:
                continue
            label = found.names[int(found.labels[k])]
            track = self._track(int(batch.tracks.ids[k]), batch.frames.pts[number], label)
            self._recognize(track, lightness, boxes[k])
            track.age += 1
            track.last = self._frames
            objects.append(
                _Object(
                    track,
                    float(batch.tracks.weight[k]),
                    area,
                    Grid(area, lightness),
                    feather(area, self._config.feather),
                    np.ones(area.size, np.float32),
                )
            )
        for key in [k for k, t in self._tracks.items() if self._frames - t.last > _LOST_FRAMES]:
            del self._tracks[key]
        for one in objects:
            for other in objects:
                if other is not one:
                    _hide(one, other)
        return objects

    def _track(self, number: int, pts: int, label: str) -> _Track:
        """What is remembered of a track; of a new one, what was known before."""
        entry = self._known.line(number, pts)
        key = number, "" if entry is None else str(entry.since)
        if key not in self._tracks:
            memory = BoxMemory(self._config.firmness)
            for template, frames in self._known.seeds(entry):
                memory.seed(template, frames)
            pins = self._known.pinned(number, entry)
            self._tracks[key] = _Track(label, memory, pins, ObjectMask())
        return self._tracks[key]

    def _recognize(self, track: _Track, lightness: Floats, box: Box) -> None:
        """Ask whether an earlier shot knew the object."""
        if self._describe is None or track.age not in _VIEW_AT:
            return
        view = self._describe(lightness, box)
        if view is None:
            return
        track.views.append(view)
        if track.member is not None:
            return
        taken = {t.member for t in self._tracks.values() if t.member is not None}
        track.member = self._gallery.find(track.label, track.views, taken)
        if track.member is not None:
            member = self._gallery[track.member]
            for template in member.templates:
                track.memory.seed(template, _SEED_FRAMES / len(member.templates))
            track.pins = track.pins or list(member.pins)

    def _paint(self, one: _Object, lightness: Floats) -> Paint:
        """A person's color on an object."""
        moves = None if self._before is None else moving(one.area, lightness, self._before)
        one.track.mask.learn(one.grid, lightness, one.shown, moves)
        return paint(one.grid, lightness, one.track.mask, one.track.pins, one.shown * one.weight)


def _hide(one: _Object, other: _Object) -> None:
    """Take from `one` what `other` hides of it, the more the smaller `other` is."""
    rows, columns = one.area.part
    their_rows, their_columns = other.area.part
    top, bottom = max(rows.start, their_rows.start), min(rows.stop, their_rows.stop)
    left = max(columns.start, their_columns.start)
    right = min(columns.stop, their_columns.stop)
    if top >= bottom or left >= right:
        return
    own, theirs = _size(one.area.box), _size(other.area.box)
    front = 1 / (1 + (theirs / own) ** _FRONT)
    mine = (
        slice(top - rows.start, bottom - rows.start),
        slice(left - columns.start, right - columns.start),
    )
    yours = (
        slice(top - their_rows.start, bottom - their_rows.start),
        slice(left - their_columns.start, right - their_columns.start),
    )
    one.shown[mine] *= 1 - np.float32(front * other.weight) * other.edges[yours]


def _size(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _joined(given: Chroma, parts: list[Chroma], held: bool) -> Chroma:
    """What was made of the single frames of a batch; with `held` their lightness may differ."""
    certain = None
    if any(part.sure is not None for part in parts):
        certain = torch.cat(
            [torch.zeros_like(p.lightness) if p.sure is None else p.sure for p in parts]
        )
    lightness = torch.cat([part.lightness for part in parts]) if held else given.lightness
    ab = torch.cat([part.ab for part in parts])
    return replace(given, ab=ab, lightness=lightness, sure=certain)
