"""Several colorizers on data sets of pictures: read once, colored by all, measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidcolor.build import Download, build_line, choose_device
from vidcolor.color.measure import LabPicture, mean_chroma
from vidcolor.color.measure.frechet import Fid
from vidcolor.errors import MediaError
from vidcolor.evaluate.sets.config import UNCOLORED, PicturesConfig
from vidcolor.evaluate.sets.data import Handle, open_data
from vidcolor.evaluate.sets.gallery import Cell, Gallery, GalleryRow
from vidcolor.evaluate.sets.painters import MEAN_COLOR, Painters
from vidcolor.evaluate.sets.report import LevelReport, SetReport, columns_of
from vidcolor.evaluate.sets.scores import TRUTH, Metrics, Scores
from vidcolor.evaluate.sets.shown import Boxes, Shown, find_boxes, show
from vidcolor.evaluate.sets.summary import caption, fid_note, rows_of
from vidcolor.pipeline import Pipeline
from vidcolor.schema import to_dict

__all__ = ["PictureJob", "Save"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Progress = Callable[[int], None]
Save = Callable[[str, str, Bytes], None]
"""Told of every colored picture: who colored it, its name, and it."""

_GRAY, _NO_BOXES = "gray", "without boxes"


@dataclass(slots=True)
class _Found:
    """What is gathered while pictures go by."""

    scores: Mapping[str, Scores]
    fid: Fid | None
    gallery: Gallery
    names: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1


class PictureJob:
    """An evaluation that is checked and ready: data is there, networks are loaded.

    Memory: the networks, a picture and its colorings, a number for each score, the gallery.

    Args:
        data: What is measured, see `open_data`.
        config: The protocol.
        folder: Where names in annotations and lists begin.
        download: Told of bytes done and total when the detector's weights are fetched.

    Raises:
        VidcolorError: If data, weights or a metric's network are missing, or settings do not fit.
    """

    unit = "picture"

    def __init__(
        self,
        data: Sequence[str],
        config: PicturesConfig,
        folder: Path | None = None,
        download: Download | None = None,
    ) -> None:
        self._config = config
        self._named = tuple(data)
        self._sets = open_data(data, folder, config.step)
        device = choose_device(config.line.device)
        self._metrics = Metrics.load(config.metrics, config.files, str(device))
        boxed = config.boxes == "detected" or (
            config.boxes == "given" and any(one.has_boxes for one in self._sets)
        )
        self._painters = Painters(config, boxed)
        self._seer: Pipeline | None = None
        if config.boxes == "detected" and self._painters.sees_instances:
            self._seer = build_line(config.line, still=True, color=False, download=download)
        self.gallery: tuple[GalleryRow, ...] = ()

    @property
    def total(self) -> int | None:
        """About how many pictures there are."""
        counts = [one.count for one in self._sets]
        if None in counts:
            return self._config.limit or None
        total = sum(count or 0 for count in counts)
        return min(total, self._config.limit or total)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the colorizers."""
        return self._painters.labels

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the gallery."""
        flat = (MEAN_COLOR,) if self._config.mean_color else ()
        return (UNCOLORED, *flat, *self.labels, TRUTH)

    def run(self, progress: Progress, save: Save | None = None) -> SetReport:
        """Color and measure.

        Args:
            progress: Told of every picture that was looked at.
            save: Told of every colored picture.

        Raises:
            MediaError: If a picture cannot be read, or none is left to measure.
        """
        config = self._config
        fid = self._metrics.fid()
        fids = {"picture": fid}
        scores = {name: Scores(self._metrics, fids.get(name)) for name in config.levels}
        found = _Found(scores, fid, Gallery(config.gallery))
        for handle in self._handles(found):
            progress(1)
            rgb = handle.read()
            if self._is_gray(handle, rgb):
                found.leave_out(_GRAY)
                continue
            self._measure(handle, show(rgb, config), found, save)
            if len(found.names) == config.limit:
                break
        if not found.names:
            left = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
            raise MediaError(
                f"{', '.join(self._named)}: no picture to measure; left out: {left or 'none'}"
            )
        self.gallery = found.gallery.rows()
        return self._report(found)

    def _handles(self, found: _Found) -> Iterator[Handle]:
        """Pictures that are not left out before they are read."""
        for one in self._sets:
            for handle in one:
                if self._config.with_boxes_only and not _count(handle.boxes):
                    found.leave_out(_NO_BOXES)
                else:
                    yield handle

    def _is_gray(self, handle: Handle, rgb: Bytes) -> bool:
        least, known = self._config.least_chroma, handle.chroma
        if not least:
            return False
        return (mean_chroma(LabPicture.of(rgb).lab[..., 1:]) if known is None else known) < least

    def _measure(self, handle: Handle, shown: Shown, found: _Found, save: Save | None) -> None:
        config = self._config
        given = seen = Boxes.given(handle.boxes, config.most_instances)
        if self._seer is not None:
            seen = find_boxes(self._seer, shown.stored, config.most_instances)
        colorings = self._painters.color(shown, seen)
        if save is not None:
            for label in self.labels:
                save(label, handle.name, colorings[label])
        measured = dict(colorings)
        if UNCOLORED not in config.baselines:
            del measured[UNCOLORED]
        found.names.append(handle.name)
        of_picture: Mapping[str, Mapping[str, float]] = {}
        for level, scores in found.scores.items():
            if level == "picture":
                part = self._inner(shown.truth, handle.name)
                of_picture = _added(scores, shown.truth, measured, part)
            else:
                for part in self._boxes(shown.scaled(given.corners), shown.truth):
                    _added(scores, shown.truth, measured, part)
        if not found.gallery.wants:
            found.gallery.skip()
            return
        cells = {
            name: Cell(picture, caption(of_picture.get(name, {})))
            for name, picture in {**colorings, TRUTH: shown.truth}.items()
        }
        found.gallery.add(handle.name, cells)

    def _inner(self, picture: Bytes, name: str) -> tuple[slice, slice]:
        """A picture without its border."""
        border = self._config.border
        height, width = picture.shape[:2]
        if min(height, width) <= 2 * border:
            raise MediaError(f"{name}: nothing is left of it without a border of {border} pixels")
        return slice(border, height - border), slice(border, width - border)

    def _boxes(self, corners: Floats, truth: Bytes) -> Iterator[tuple[slice, slice]]:
        """The insides of boxes that are measured; corners are rounded."""
        height, width = truth.shape[:2]
        whole = np.clip(np.rint(corners.astype(np.float64)), 0, (width, height) * 2).astype(int)
        for x0, y0, x1, y1 in whole:
            if min(x1 - x0, y1 - y0) >= self._config.least_instance_px:
                yield slice(y0, y1), slice(x0, x1)

    def _report(self, found: _Found) -> SetReport:
        config, labels = self._config, self.labels
        costs = self._painters.costs()
        fids = found.fid.values() if found.fid is not None and len(found.names) > 1 else {}
        pooled = {"picture": fids}
        levels = tuple(
            LevelReport(
                name,
                scores.count,
                rows_of(scores, labels, config.metrics, costs, pooled.get(name, {})),
            )
            for name, scores in found.scores.items()
            if scores.count
        )
        single = {
            "names": found.names,
            "scores": {name: scores.single() for name, scores in found.scores.items()},
        }
        return SetReport(
            of="pictures",
            title=config.title,
            data=self._named,
            how=_how(config),
            protocol=to_dict(config),
            left_out=found.left_out,
            notes=fid_note(fids),
            columns=columns_of(config.metrics),
            levels=levels,
            single=single,
        )


def _count(boxes: Floats | None) -> int:
    return 0 if boxes is None else len(boxes)


def _added(
    scores: Scores, truth: Bytes, colorings: Mapping[str, Bytes], part: tuple[slice, slice]
) -> Mapping[str, Mapping[str, float]]:
    return scores.add(truth[part], {name: one[part] for name, one in colorings.items()})


def _how(config: PicturesConfig) -> str:
    """The protocol in words."""
    kept = "Y' kept" if config.way == "line" else "L* of the true picture kept"
    if not config.size:
        at = "at their own size"
    elif config.fit == "square":
        at = f"at {config.size}x{config.size} px ({config.resize})"
    else:
        grid = ", sides multiples of 32" if config.fit == "grid" else ""
        at = f"at a short side of {config.size} px{grid} ({config.resize})"
    border = f", without a border of {config.border} px" if config.border else ""
    return f"colored by the {config.way}, {kept}, compared {at}{border}"
