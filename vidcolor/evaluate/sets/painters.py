"""The rows of a table of pictures: every colorizer, with instances and without."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidcolor.errors import ConfigError
from vidcolor.evaluate.sets.coloring import LineWay, NetworkWay, Way
from vidcolor.evaluate.sets.config import UNCOLORED, PicturesConfig
from vidcolor.evaluate.sets.cost import Cost, Meter, networks_of
from vidcolor.evaluate.sets.entries import Entry, choose
from vidcolor.evaluate.sets.scores import TRUTH
from vidcolor.evaluate.sets.shown import Boxes, Shown

__all__ = ["MEAN_COLOR", "Painters"]

Bytes = npt.NDArray[np.uint8]

MEAN_COLOR = "mean color"


@dataclass(frozen=True, slots=True)
class _Painter:
    """A colorizer, and how much instances count in it."""

    label: str
    way: Way
    share: float
    meter: Meter


class Painters:
    """Colors a picture by everything that is compared.

    Args:
        config: The protocol.
        boxed: There are boxes that networks may see.

    Raises:
        ConfigError: If settings do not fit, or two rows have one name.
        WeightsError: If weights are missing or damaged.
    """

    def __init__(self, config: PicturesConfig, boxed: bool) -> None:
        self._config = config
        entries = choose(config.colorizers, config.weights, config.line)
        self._rows = [row for entry in entries for row in self._of(entry, boxed)]
        labels = self.labels
        if len({*labels, UNCOLORED, MEAN_COLOR, TRUTH}) < len(labels) + 3:
            raise ConfigError(f"rows need names of their own: {', '.join(labels)}")

    def _of(self, entry: Entry, boxed: bool) -> Iterator[_Painter]:
        config = self._config
        way: Way
        if config.way == "line":
            way = LineWay(entry.config)
        else:
            way = NetworkWay(entry.config, config.size, config.fit == "square", config.resize)
        networks = networks_of(way.line.colorize)
        for share in config.instances if boxed and way.uses_rois else (0.0,):
            label = entry.label
            if share:
                label += ", instances" if share == 1 else f", instances at {share:g}"
            yield _Painter(label, way, share, Meter(networks))

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the colorizers, in order."""
        return tuple(row.label for row in self._rows)

    @property
    def sees_instances(self) -> bool:
        """Boxes make a difference to somebody."""
        return any(row.share for row in self._rows)

    def color(self, shown: Shown, boxes: Boxes) -> dict[str, Bytes]:
        """All colorings of a picture at the compared size, baselines first."""
        colorings: dict[str, Bytes] = {UNCOLORED: self._rows[0].way.gray(shown)}
        for number, row in enumerate(self._rows):
            work = functools.partial(row.way.paint, shown, boxes, row.share)
            painted, chroma = row.meter(work) if self._config.speed else work()
            if self._config.mean_color and number == 0:
                a, b = self._config.mean_color
                colorings[MEAN_COLOR] = row.way.flat(shown, (a, b), chroma)
            colorings[row.label] = painted
        return colorings

    def costs(self) -> dict[str, Cost]:
        """By label; empty if nobody asked."""
        return {row.label: row.meter.cost() for row in self._rows} if self._config.speed else {}
