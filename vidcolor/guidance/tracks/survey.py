"""A pass over a colored film that lists its tracks: when, where, how they look, which color."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import lab_to_rgb
from vidcolor.color.luma import to_lightness
from vidcolor.guidance.tracks.cells import Box, Grid, area_of
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile
from vidcolor.guidance.tracks.identities import Describer, Sighting, View, group
from vidcolor.guidance.tracks.memory import BoxMemory, Firmness
from vidcolor.records import Colored, FrameBatch

__all__ = ["Found", "Survey", "on_grid", "to_file"]

Bytes = npt.NDArray[np.uint8]

_VIEWS = 6
_FIRST_VIEW = 3  # frames after birth: boxes of newborn tracks are often poor
_VIEWS_APART = 1.7  # each view is so many times later than the one before
_PICTURES_APART = 1.25
_PICTURE_PX = 160
_MARGIN = 0.15  # part of a box's side that pictures show around it


@dataclass(frozen=True, slots=True)
class Found:
    """A track that was found.

    Attributes:
        entry: Its line of the file, with itself as identity.
        sighting: How it looks.
        picture: (h, w, 3) uint8 R'G'B', upright: a frame in its middle.
    """

    entry: TrackEntry
    sighting: Sighting
    picture: Bytes


@dataclass(frozen=True, slots=True)
class _Moment:
    age: int
    pts: int
    box: tuple[float, ...]
    picture: Bytes


@dataclass(slots=True)
class _Seen:
    """A track so far."""

    label: str
    shot: int
    first: int
    memory: BoxMemory
    last: int = 0
    age: int = 0
    views: list[View] = field(default_factory=list)
    moments: list[_Moment] = field(default_factory=list)
    next_view: int = _FIRST_VIEW
    next_moment: int = 0


class Survey:
    """Looks at the tracks of a film while it passes.

    Memory: for each track a template, six descriptions and a few small pictures. Lookahead: none.

    Args:
        describe: Describes boxes, for telling which tracks are one object.
        firmness: How templates are learned.
    """

    def __init__(self, describe: Describer, firmness: Firmness) -> None:
        self._describe = describe
        self._firmness = firmness
        self._seen: dict[int, _Seen] = {}
        self._times: tuple[int, Fraction] | None = None
        self._end = 0

    def __call__(self, colored: Iterable[Colored]) -> Iterator[Colored]:
        """The same batches; look at them as they pass."""
        for batch in colored:
            if self._times is None:
                self._times = batch.frames.pts[0], batch.frames.info.time_base
            for number in range(len(batch.frames)):
                self._look(batch, number)
            yield batch

    def _look(self, batch: Colored, number: int) -> None:
        found = batch.tracks.detections
        pts = batch.frames.pts[number]
        ab = batch.chroma.ab[number].numpy()
        lightness = batch.chroma.lightness[number, 0].numpy()
        boxes = on_grid(batch)
        for k in (found.frame == number).nonzero().flatten().tolist():
            track = int(batch.tracks.ids[k])
            if track not in self._seen:
                label = found.names[int(found.labels[k])]
                memory = BoxMemory(self._firmness)
                self._seen[track] = _Seen(label, batch.frames.shot, pts, memory)
            seen = self._seen[track]
            seen.last = pts
            area = area_of(boxes[k], cast(tuple[int, int], lightness.shape))
            if area is not None:
                grid = Grid(area, lightness)
                sample = seen.memory.look(grid, ab, None, None)
                seen.memory.learn(sample, float(batch.tracks.weight[k]))
            if seen.age >= seen.next_view and len(seen.views) < _VIEWS:
                view = self._describe(lightness, boxes[k])
                if view is not None:
                    seen.views.append(view)
                seen.next_view = round(seen.age * _VIEWS_APART) + _FIRST_VIEW
            if seen.age >= seen.next_moment:
                self._picture(seen, batch, number, k)
            seen.age += 1

    def _picture(self, seen: _Seen, batch: Colored, number: int, k: int) -> None:
        """Keep a picture; of what was seen long before the middle, one is enough."""
        box = tuple(round(float(v), 1) for v in batch.tracks.detections.boxes[k])
        picture = _cut_out(batch, number, box)
        if picture is None:
            return
        pts = batch.frames.pts[number]
        seen.moments.append(_Moment(seen.age, pts, box, picture))
        seen.next_moment = max(seen.age + 1, round(seen.age * _PICTURES_APART))
        late = [moment for moment in seen.moments if moment.age * 2.5 >= seen.age]
        seen.moments = late

    def finish(self) -> tuple[Found, ...]:
        """All tracks, by shot, time and id."""
        begin, base = self._times or (0, Fraction(1, 25))
        found = []
        for track, seen in self._seen.items():
            if not seen.moments:
                continue
            middle = min(seen.moments, key=lambda moment: abs(moment.age - seen.age / 2))
            template = seen.memory.template()
            entry = TrackEntry(
                id=track,
                identity=f"track-{track}",
                label=seen.label,
                shot=seen.shot,
                time=_clock((seen.first - begin) * base),
                seconds=round(float((seen.last - seen.first) * base), 3),
                mean=_mean_color(template.ab, template.lightness, template.weight),
                first=seen.first,
                last=seen.last,
                at=middle.pts,
                box=middle.box,
                template=template.to_text(),
            )
            sighting = Sighting(seen.label, tuple(seen.views), seen.first, seen.last)
            found.append(Found(entry, sighting, middle.picture))
        return tuple(sorted(found, key=lambda f: (f.entry.shot, f.entry.first, f.entry.id)))

    @property
    def times(self) -> tuple[int, Fraction]:
        """pts of the first frame, and seconds of one pts unit."""
        return self._times or (0, Fraction(1, 25))


def to_file(found: Sequence[Found], times: tuple[int, Fraction]) -> TracksFile:
    """A tracks file, with identities as the looks of the tracks suggest.

    Args:
        found: As `Survey.finish` gives them.
        times: As `Survey.times` gives them.
    """
    groups = group([one.sighting for one in found])
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    for one, first in zip(found, groups, strict=True):
        if first not in names:
            label = one.entry.label
            counts[label] = counts.get(label, 0) + 1
            names[first] = f"{label}-{counts[label]}"
    entries = tuple(
        replace(one.entry, identity=names[first]) for one, first in zip(found, groups, strict=True)
    )
    return TracksFile(tracks=entries, begin=times[0], time_base=str(times[1]))


def on_grid(batch: Colored) -> list[Box]:
    """Boxes of a batch in pixels of its color's grid."""
    height, width = batch.frames.info.size
    h, w = (int(v) for v in batch.chroma.ab.shape[2:])
    scale = torch.tensor((w / width, h / height, w / width, h / height), dtype=torch.float64)
    return [cast(Box, tuple(box)) for box in (batch.tracks.detections.boxes * scale).tolist()]


def _cut_out(batch: Colored, number: int, box: tuple[float, ...]) -> Bytes | None:
    """A box and a little around it, in color, upright."""
    frames: FrameBatch = batch.frames
    height, width = frames.info.size
    x, y = (box[2] - box[0]) * _MARGIN, (box[3] - box[1]) * _MARGIN
    left, right = max(0, int(box[0] - x)), min(width, int(box[2] + x) + 1)
    top, bottom = max(0, int(box[1] - y)), min(height, int(box[3] + y) + 1)
    if right - left < 2 or bottom - top < 2:
        return None
    light = to_lightness(frames.luma[number : number + 1, :, top:bottom, left:right],
                         frames.info.color)[0, 0].numpy()  # fmt: skip
    scale = min(1.0, _PICTURE_PX / max(light.shape))
    size = max(2, round(light.shape[1] * scale)), max(2, round(light.shape[0] * scale))
    light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    ab = np.moveaxis(batch.chroma.ab[number].numpy(), 0, 2)
    h, w = ab.shape[:2]
    step_x, step_y = (right - left) / size[0] * w / width, (bottom - top) / size[1] * h / height
    columns = ((np.arange(size[0]) + 0.5) * step_x + left * w / width - 0.5).astype(np.float32)
    rows = ((np.arange(size[1]) + 0.5) * step_y + top * h / height - 0.5).astype(np.float32)
    at_x, at_y = np.meshgrid(columns, rows)
    color = cv2.remap(
        np.ascontiguousarray(ab), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    lab = np.concatenate((light[None], np.moveaxis(np.asarray(color), 2, 0)))
    rgb = lab_to_rgb(torch.from_numpy(lab)[None].float())[0].clamp(0, 1)
    codes = np.rint(rgb.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(codes, frames.info.rotation // 90))


def _mean_color(ab: torch.Tensor, lightness: torch.Tensor, weight: torch.Tensor) -> str:
    """`#rrggbb`."""
    share = weight / weight.sum().clamp(min=1e-6)
    lab = torch.stack(((lightness * share).sum(), *(ab * share).sum(dim=(1, 2))))
    rgb = lab_to_rgb(lab.view(1, 3, 1, 1).float()).clamp(0, 1).flatten()
    return "#" + "".join(f"{round(float(v) * 255):02x}" for v in rgb)


def _clock(seconds: Fraction) -> str:
    """`0:01:02.40`."""
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest // 100:02}.{rest % 100:02}"
