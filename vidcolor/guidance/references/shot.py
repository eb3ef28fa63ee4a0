"""One shot: color carried through it from references, forward and back."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.references.carry import Carried, Sight, carry, moved
from vidcolor.guidance.references.descriptors import see
from vidcolor.guidance.references.pages import Known, cells_of, position
from vidcolor.guidance.references.spill import Passed, Spill
from vidcolor.guidance.references.statistics import beneath
from vidcolor.ops.flow import as_gray, dis_flow
from vidcolor.ops.resize import from_network, luma_to_network
from vidcolor.records import FrameBatch, Layer

__all__ = ["ShotReferences"]

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_SAME = 0.6  # mean difference in L* of a picture that needs no second look to be the frame
_AS_GOOD = 1.3  # a frame is a keyframe too if it differs by at most so much more than the best
_AS_GOOD_LEAST = 0.1  # L*
_OTHER_FRAME = 12.0  # mean difference in L* of a picture that cannot be the frame it is said to be
_SCENE_PACE = 0.15  # how fast the share of sure cells is believed
_KEYED = 0.8  # how far a shot with a keyframe is known even where little is seen again
_KNOWN_RISE = 0.6  # of `sure` in a scene that is known
_STEADY = 0.5  # part of the weight that comes along motion from the frame before
_MARGIN_COST = 0.5  # added to costs of both ways, so that time decides where both fit


@dataclass(frozen=True, slots=True)
class _Found:
    """A page that is a frame: number of the frame in the spill, and mean difference in L*."""

    number: int
    page: int
    off: float


class ShotReferences:
    """Forward through a shot, and back from its keyframes.

    Args:
        known: What references say here.
        spill: Empty; keeps what the way back needs.
        store: Where layers go.
    """

    def __init__(self, known: Known, spill: Spill, store: LayerStore) -> None:
        self.known, self.spill, self.store = known, spill, store
        self.info: FrameBatch | None = None
        self.found: list[_Found] = []
        self.repeats: list[list[int]] = []  # by frame of the spill: pts of frames that repeat it
        self.before: tuple[Carried, Bytes, Floats] | None = None
        self.scene: float | None = None
        self.memory = known.memory(())

    @property
    def shown_by(self) -> list[int]:
        """Pages that are frames of this shot."""
        return sorted({found.page for found in self.found})

    def see(self, batch: FrameBatch) -> None:
        """The way forward through a batch."""
        self.info = batch[:1]
        if not self.known.pages and not self.known.plain:
            return
        held = batch.is_held().tolist()
        for i, pts in enumerate(batch.pts):
            if held[i] and self.repeats:
                self.repeats[-1].append(pts)
                self._put_again(pts)
                continue
            lightness = luma_to_network(batch[i : i + 1], self.known.size)[0, 0].numpy()
            self.repeats.append([pts])
            if self.memory is None:
                self._put(len(self.repeats) - 1, *beneath(self.known.plain, lightness, None))
                continue
            self._forward(pts, lightness)

    def _forward(self, pts: int, lightness: Floats) -> None:
        number = len(self.spill)
        gray = as_gray(lightness)
        exact = self._recognize(pts, number, lightness)
        sight = self._sight(lightness, gray, None)
        carried, weight = self._step(sight, self.before, exact)
        self.before = carried, gray, weight
        self.spill.add(Passed(pts, gray, sight.match, carried.ab, carried.cost, weight))
        self._put(number, *beneath(self.known.plain, lightness, (carried.ab, weight)))

    def _sight(self, lightness: Floats, gray: Bytes, passed: Passed | None) -> Sight:
        known = self.known
        assert known.describe is not None
        assert self.memory is not None
        looks = known.describe(see(known.model, lightness), lightness)
        if passed is not None:
            return Sight(lightness, gray, looks.numpy(), passed.match)
        cells = cells_of(lightness)
        queries = torch.cat((looks, torch.from_numpy(position(cells))), 1)
        return Sight(lightness, gray, looks.numpy(), self.memory.match(queries, cells[1]))

    def _recognize(self, pts: int, number: int, lightness: Floats) -> int | None:
        """The page that is this frame, if there is one."""
        exact = None
        anchored = len(self.shown_by)
        for i, page in enumerate(self.known.pages):
            if page.lightness.shape != lightness.shape:
                if page.pts == pts:
                    _log.warning("%s: has not the shape of a frame", page.reference.path)
                continue
            if page.pts is not None and page.pts != pts:
                continue
            off = float(np.abs(page.lightness - lightness).mean())
            if page.pts == pts:
                if off > _OTHER_FRAME:
                    _log.warning(
                        "%s does not look like the frame it is said to be (L* differs by %.0f); "
                        "it is matched like any other picture",
                        page.reference.path,
                        off,
                    )
                    continue
                self.found.append(_Found(number, i, 0.0))
                exact = i
            elif off < min([page.likeness, *(f.off for f in self.found if f.page == i)]):
                if i not in self.shown_by:
                    _log.info("%s is recognized as a frame of the film", page.reference.path)
                self.found.append(_Found(number, i, off))
                exact = i if exact is None and off < _SAME else exact
        if len(self.shown_by) != anchored:
            self.memory = self.known.memory(self.shown_by)
        return exact

    def _step(
        self, sight: Sight, before: tuple[Carried, Bytes, Floats] | None, exact: int | None
    ) -> tuple[Carried, Floats]:
        """Carry color to a frame, and say how sure it is."""
        atlas = self.known.atlas
        assert atlas is not None
        if before is None:
            carried = carry(sight, atlas, None, None, self.shown_by)
            back = None
        else:
            back = dis_flow(sight.gray, before[1], "medium")
            carried = carry(sight, atlas, before[0], back, self.shown_by)
        weight = self._weight(sight, carried)
        if before is not None and back is not None:
            weight += _STEADY * (moved(before[2][..., None], back).reshape(weight.shape) - weight)
        if exact is not None:
            page = self.known.pages[exact]
            place = atlas.itself(exact)
            ab = np.ascontiguousarray(page.ab.transpose(1, 2, 0))
            nothing = np.zeros(weight.shape, np.float32)
            carried = Carried(place, ab, nothing, nothing)
            weight = np.full_like(weight, page.reference.entry.strength)
        return carried, weight

    def _weight(self, sight: Sight, carried: Carried) -> Floats:
        """(h, w) 0..1: how far what was carried is believed."""
        config = self.known.config
        share = float((sight.match.distance < config.sure).mean())
        self.scene = (
            share if self.scene is None else self.scene + _SCENE_PACE * (share - self.scene)
        )
        scene = float(_rise(np.float32(self.scene), config.scene_least, config.scene_full))
        # new things in a shot that is known by one of its own frames share its light and palette
        near = max(scene, _KEYED) if self.shown_by else scene
        end = config.strange + near * (config.strange_known - config.strange)
        begin = config.sure * (1 + _KNOWN_RISE * near)
        weight = 1 - _rise(carried.strange, begin, end)
        if not self.shown_by:
            weight *= np.float32(scene)
        if any(page.reference.entry.strength != 1 for page in self.known.pages):
            weight *= self._strength(carried)
        return np.asarray(weight, np.float32)

    def _strength(self, carried: Carried) -> Floats:
        """(h, w) strength of the reference that each pixel's color is from."""
        atlas = self.known.atlas
        assert atlas is not None
        page = np.searchsorted(np.array(atlas.tops), carried.place[..., 1] + 0.5, "right") - 1
        strengths = np.array([p.reference.entry.strength for p in self.known.pages], np.float32)
        return strengths[np.clip(page, 0, len(strengths) - 1)]

    def finish(self) -> None:
        """The way back from the last keyframe of the shot, joined with the way forward."""
        best = {page: min(f.off for f in self.found if f.page == page) for page in self.shown_by}
        anchors = [f for f in self.found if f.off <= _AS_GOOD * best[f.page] + _AS_GOOD_LEAST]
        places = sorted({found.number for found in anchors})
        if not places or places[-1] == 0:
            return
        exact = {found.number: found.page for found in anchors if found.off < _SAME}
        before: tuple[Carried, Bytes, Floats] | None = None
        for number in range(places[-1], -1, -1):
            passed = self.spill.get(number)
            lightness: Floats = passed.gray.astype(np.float32) * np.float32(1 / 2.55)
            sight = self._sight(lightness, passed.gray, passed)
            carried, weight = self._step(sight, before, exact.get(number))
            before = carried, passed.gray, weight
            earlier = [n for n in places if n <= number]
            later = min(n for n in places if n >= number)
            if number == later:
                self._put(number, *beneath(self.known.plain, lightness, (carried.ab, weight)))
                continue
            past = earlier[-1] if earlier else None
            # without a keyframe before it the way forward knows only what it matched
            share = 1.0 if past is None else (number - past) / (later - past)
            behind = np.float32(share) / (carried.cost + np.float32(_MARGIN_COST))
            ahead = np.float32(1 - share) / (passed.cost + np.float32(_MARGIN_COST))
            mix = behind / np.maximum(behind + ahead, np.float32(1e-6))
            ab = passed.ab + mix[..., None] * (carried.ab - passed.ab)
            weight = passed.weight + mix * (weight - passed.weight)
            self._put(number, *beneath(self.known.plain, lightness, (ab, weight)))

    def _put(self, number: int, ab: Floats, weight: Floats) -> None:
        assert self.info is not None
        planes = torch.from_numpy(np.ascontiguousarray(np.dstack((ab, weight)).transpose(2, 0, 1)))
        turned = from_network(planes[None].float(), self.info.info)
        layer = Layer(turned[:, :2], turned[:, 2:].clamp(0, 1))
        for pts in self.repeats[number]:
            self.store.put(pts, layer)

    def _put_again(self, pts: int) -> None:
        layer = self.store.get(self.repeats[-1][0])
        if layer is not None:
            self.store.put(pts, layer)


def _rise(values: Floats | np.float32, begin: float, end: float) -> Floats:
    """0 up to `begin`, 1 from `end`, smooth between."""
    part = np.clip((values - np.float32(begin)) / np.float32(end - begin), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)
