"""The protocol: which holes are filled in which pictures, by whom, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from vidcolor.errors import ConfigError
from vidcolor.evaluate.inpaint.exemplar import ExemplarConfig
from vidcolor.evaluate.sets.config import MetricFiles
from vidcolor.evaluate.sets.resize import Resize
from vidcolor.holes.classes import CLASSES, class_name
from vidcolor.holes.draw import KINDS

__all__ = ["CLASS_NAMES", "FILM", "METHODS", "METRICS", "InpaintConfig"]

METHODS = ("telea", "navier-stokes", "exemplar", "mean")
"""Methods that need no weights."""

METRICS = ("l1", "psnr", "ssim", "lpips")
"""What can be measured."""

FILM = "film"
"""Name of the class of scratches, dust and hairs."""

CLASS_NAMES = tuple(class_name(number) for number in range(len(CLASSES)))

_LEAST_SIDE_PX = 32
_LARGEST_SIDE_PX = 2048


@dataclass(frozen=True, slots=True)
class InpaintConfig:
    """How methods that fill holes are measured on pictures.

    Attributes:
        of: What the protocol is for.
        title: Its name, printed over the tables.
        methods: Of telea, navier-stokes, exemplar, mean.
        weights: Networks that fill holes: known names, files, or LABEL=FILE.
        channels: "gray" is luma, "rgb" color; "auto" what the networks want, gray without any.
        side: Side in pixels of the squares that are cut from the middle of pictures and resized;
            0 cuts squares as large as the shorter side, down to a multiple of 32, and resizes
            nothing.
        resize: How pictures get there, as for `vidcolor evaluate pictures`.
        classes: Shares of the holes (0.01-0.1 to 0.5-0.6), and film: scratches, dust and hairs.
        border: Holes that touch the border, that do not, or both, one row each; film has one row.
        per_class: Pairs of picture and hole in each row.
        kinds: What is drawn for the classes: strokes, thin, shapes, rectangles, walk, film,
            thin_film.
        masks: A folder of mask files (white is damaged) that the classes take instead.
        film_masks: The same for film.
        invert: White is valid in mask files.
        seed: Of which picture gets which hole, and of holes that are drawn.
        radius: Of telea and navier-stokes, in pixels.
        exemplar: Settings of exemplar.
        metrics: Of l1, psnr, ssim, lpips.
        files: Networks of metrics.
        device: Where networks run: auto, cpu, cuda, ...
    """

    of: Literal["inpaint"] = "inpaint"
    title: str = ""
    methods: tuple[str, ...] = METHODS
    weights: tuple[str, ...] = ()
    channels: Literal["auto", "gray", "rgb"] = "auto"
    side: int = 0
    resize: Resize = "area"
    classes: tuple[str, ...] = (*CLASS_NAMES, FILM)
    border: Literal["both", "with", "without"] = "both"
    per_class: int = 20
    kinds: tuple[str, ...] = ("strokes", "thin", "shapes", "rectangles", "walk")
    masks: str = ""
    film_masks: str = ""
    invert: bool = False
    seed: int = 0
    radius: float = 3.0
    exemplar: ExemplarConfig = field(default_factory=ExemplarConfig)
    metrics: tuple[str, ...] = ("l1", "psnr", "ssim")
    files: MetricFiles = field(default_factory=MetricFiles)
    device: str = "auto"

    def __post_init__(self) -> None:
        _check("methods", self.methods, METHODS)
        _check("classes", self.classes, (*CLASS_NAMES, FILM))
        _check("kinds", self.kinds, KINDS)
        _check("metrics", self.metrics, METRICS)
        for name in ("classes", "kinds", "metrics"):
            if not getattr(self, name):
                raise ConfigError(f"{name} are empty; expected at least one")
        if not self.methods and not self.weights:
            raise ConfigError("nothing to measure: name methods or weights")
        if self.side and not _LEAST_SIDE_PX <= self.side <= _LARGEST_SIDE_PX:
            raise ConfigError(
                f"side must be 0 or {_LEAST_SIDE_PX} to {_LARGEST_SIDE_PX}, not {self.side}"
            )
        if self.per_class < 1:
            raise ConfigError(f"per_class must be 1 or more, not {self.per_class}")
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, not {self.seed}")
        if not 0 < self.radius <= 100:
            raise ConfigError(f"radius must be above 0 and at most 100, not {self.radius}")


def _check(key: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{key} are of {', '.join(known)}, not {name!r}")
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"{key} are named twice: {', '.join(wanted)}")
