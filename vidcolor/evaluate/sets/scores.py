"""Scores picture by picture, by names of metrics; kept as plain numbers."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidcolor.color.measure.catalog import METRICS, Measure, metric
from vidcolor.color.measure.frechet import Fid, Inception
from vidcolor.evaluate.sets.config import MetricFiles
from vidcolor.models.store import installed

__all__ = ["TRUTH", "Metrics", "Scores"]

Bytes = npt.NDArray[np.uint8]

TRUTH = "truth"
"""Name of the row of the true pictures."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of pictures that were asked for, ready to be used.

    Attributes:
        each: Of single pictures, by name.
        inception: What FID sees through; None if nobody wants it.
    """

    each: Mapping[str, Measure]
    inception: Inception | None = None

    def fid(self) -> Fid | None:
        """A new measure of a set; None if nobody wants it."""
        return None if self.inception is None else Fid(self.inception)

    @classmethod
    def load(cls, names: Sequence[str], files: MetricFiles, device: str) -> Metrics:
        """Load the networks of metrics; those that are no metrics of pictures are left out.

        Args:
            names: Of metrics.
            files: Where their networks are, if not where they are kept.
            device: Where these run.

        Raises:
            WeightsError: If a package or a file is missing; the message names it and what to do.
        """
        here = installed()
        each: dict[str, Measure] = {}
        inception: Inception | None = None
        for name in names:
            known = METRICS.get(name)
            if known is None:
                continue
            file = None
            if known.weights is not None:
                file = files.file(known.weights) or here.get(known.weights)
            if known.pooled:
                inception = Inception(file, device)
            else:
                each[name] = metric(name, device=device, file=file)
        return cls(each, inception)


class Scores:
    """Collects the scores of several colorings of the same pictures.

    Memory: a number for each picture, metric and coloring.

    Args:
        metrics: What is measured of each.
        fid: Is given the pictures too, for what is measured of all of them together.
    """

    def __init__(self, metrics: Metrics, fid: Fid | None = None) -> None:
        self._metrics = metrics
        self._fid = fid
        self._rows: dict[str, dict[str, array[float]]] = {}
        self.count = 0

    def add(self, truth: Bytes, colorings: Mapping[str, Bytes]) -> dict[str, dict[str, float]]:
        """Measure one picture.

        Args:
            truth: (H, W, 3) uint8 R'G'B'.
            colorings: The same by the name of who colored it; the same names each time.

        Returns:
            The scores by coloring and metric.

        Raises:
            ValueError: If shapes or names do not fit.
        """
        if self._rows and set(self._rows) != {*colorings, TRUTH}:
            raise ValueError(f"colorings are {sorted(self._rows)}, not {sorted(colorings)}")
        self.count += 1
        found: dict[str, dict[str, float]] = {}
        for name, picture in colorings.items():
            found[name] = {key: of(picture, truth) for key, of in self._metrics.each.items()}
        # what nothing is better than: the truth is there for what it has itself
        own = {k: v for k, v in self._metrics.each.items() if METRICS[k].better == "truth"}
        found[TRUTH] = {key: of(truth, truth) for key, of in own.items()}
        for name, scores in found.items():
            row = self._rows.setdefault(name, {key: array("d") for key in scores})
            for key, value in scores.items():
                row[key].append(value)
        if self._fid is not None:
            self._fid.add(truth, colorings)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of the colorings, the truth last."""
        return tuple(self._rows)

    def single(self) -> dict[str, dict[str, list[float]]]:
        """Scores picture by picture, by coloring and metric."""
        return {
            name: {key: [*values] for key, values in row.items()}
            for name, row in self._rows.items()
        }

    def mean(self, name: str) -> dict[str, float]:
        """Means over the pictures, each counting the same, by metric."""
        return {key: float(np.mean(values)) for key, values in self._rows[name].items()}
