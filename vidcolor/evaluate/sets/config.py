"""Protocols: what is measured of a data set, and how."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vidcolor.color.measure.catalog import METRICS
from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.evaluate.sets.resize import Resize
from vidcolor.evaluate.sets.temporal import TEMPORAL
from vidcolor.ops.flow import FlowPreset

__all__ = [
    "BUILT_IN_LINES",
    "LEVELS",
    "UNCOLORED",
    "Fit",
    "MetricFiles",
    "PicturesConfig",
    "VideosConfig",
]

Fit = Literal["short", "grid", "square"]

LEVELS = ("picture", "instance")
"""What can be compared."""

UNCOLORED = "uncolored"
"""Name of the gray picture among the colorings."""

BUILT_IN_LINES = ("whole", "alone")
"""Settings of the line that have a name."""

_LEAST_SIDE_PX = 16


@dataclass(frozen=True, slots=True)
class MetricFiles:
    """Networks that metrics see through; empty is where `vidcolor weights fetch` puts them.

    Attributes:
        alexnet: File of LPIPS' network.
        vgg16: File of that of its VGG variant.
        inception: File of FID's network.
    """

    alexnet: str = ""
    vgg16: str = ""
    inception: str = ""

    def file(self, weights: str) -> Path | None:
        """The file that was named for a network."""
        named = str(getattr(self, weights, ""))
        return Path(named).expanduser() if named else None


@dataclass(frozen=True, slots=True)
class PicturesConfig:
    """How colorizers are measured on pictures.

    Attributes:
        of: What the protocol is for.
        title: Its name, printed over the tables.
        colorizers: Networks, see `vidcolor weights list`; "all" is every one.
        weights: Known names, files, or LABEL=FILE; "recipe" is by formula for each of
            `colorizers`, "installed" all that are there. None: those that the colorizers ask for.
        way: "line" colors as `vidcolor colorize` does and keeps Y'; "network" gives the network
            L* of the true picture and keeps that, as papers do.
        size: Side in pixels at which pictures are compared; 0 is their own.
        fit: What `size` means: "short" is the shorter side with the aspect kept, "grid" the same
            with both sides rounded to multiples of 32, "square" both sides.
        resize: How pictures get there: "area" (OpenCV: areas averaged, interpolated where they
            grow), "bilinear" or "bicubic" as Pillow does (filters widen with the scale),
            "cv_bilinear" or "cv_bicubic" as OpenCV does (they do not).
        border: Rows and columns at each side that are not compared.
        metrics: Names, in the order of the columns.
        levels: "picture" is whole pictures, "instance" what lies in boxes.
        baselines: "uncolored" is the gray picture.
        mean_color: a* and b* of another baseline; empty leaves it out.
        boxes: Which boxes networks with instances see: "given" with the data, "detected" by the
            line's detector, "none".
        instances: How much instances count, 0 to 1; a row for each, where a network uses them.
        most_instances: Boxes of a picture that are seen and measured.
        least_instance_px: Shortest side, when compared, of a box that is measured.
        least_chroma: Pictures with a lower mean |a*b*| have no color to compare and are left out.
        with_boxes_only: Leave out pictures without boxes.
        limit: So many pictures at most; 0 is all.
        step: Every nth frame of films.
        speed: Measure time, size and memory of networks too.
        gallery: Pictures on the sheet.
        files: Networks of metrics.
        line: Settings of the line: networks' sizes, precision, color beside luma.
    """

    of: Literal["pictures"] = "pictures"
    title: str = ""
    colorizers: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    way: Literal["line", "network"] = "line"
    size: int = 0
    fit: Fit = "short"
    resize: Resize = "area"
    border: int = 0
    metrics: tuple[str, ...] = ("psnr", "ssim", "delta_e", "colorfulness", "chroma")
    levels: tuple[str, ...] = LEVELS
    baselines: tuple[str, ...] = (UNCOLORED,)
    mean_color: tuple[float, ...] = ()
    boxes: Literal["given", "detected", "none"] = "given"
    instances: tuple[float, ...] = (0.0, 1.0)
    most_instances: int = 8
    least_instance_px: int = 11
    least_chroma: float = 0.0
    with_boxes_only: bool = False
    limit: int = 0
    step: int = 1
    speed: bool = False
    gallery: int = 8
    files: MetricFiles = field(default_factory=MetricFiles)
    line: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        _check_metrics(self.metrics, METRICS, self.speed)
        if self.size and not _LEAST_SIDE_PX <= self.size <= 4096:
            raise ConfigError(f"size must be 0 or 16 to 4096, not {self.size}")
        _at_least(self, 0, "border", "limit")
        _at_least(self, 1, "most_instances", "least_instance_px", "step", "gallery")
        _check_names("levels", self.levels, LEVELS)
        _check_names("baselines", self.baselines, (UNCOLORED,))
        if not self.levels:
            raise ConfigError("levels must be picture, instance or both")
        if self.mean_color and len(self.mean_color) != 2:
            raise ConfigError(f"mean_color is a* and b*, not {list(self.mean_color)}")
        if not self.instances or not all(0 <= share <= 1 for share in self.instances):
            raise ConfigError(f"instances must be numbers from 0 to 1, not {list(self.instances)}")
        if not 0 <= self.least_chroma < 128:
            raise ConfigError(f"least_chroma must be 0 to 128, not {self.least_chroma}")
        windows = {name: METRICS[name].window for name in self.metrics}
        for name, window in windows.items():
            if "instance" in self.levels and window > self.least_instance_px:
                raise ConfigError(
                    f"least_instance_px must be at least {window}, what {name} needs, not "
                    f"{self.least_instance_px}"
                )


@dataclass(frozen=True, slots=True)
class VideosConfig:
    """How colorizers are measured on clips whose color was thrown away.

    Attributes:
        of: What the protocol is for.
        title: Its name, printed over the table.
        colorizers: As for pictures.
        weights: As for pictures.
        lines: Settings of the line that are compared: "whole" is `line`, "alone" the network at
            every frame and nothing that makes its color steady, or TOML files (also LABEL=FILE)
            that are laid over `line`.
        metrics: Names, of pictures (means over frames, then over clips; "fid" pools all frames)
            and of steadiness (of a clip inside its shots, then over clips).
        baselines: "uncolored" is the gray clip.
        every: Metrics of pictures are taken of every nth frame.
        frames: So many frames of each clip at most; 0 is all.
        rate: Frames a second of clips that are folders of pictures.
        short_side: Shorter side, in pixels, at which frames are compared; 0 is their own.
        motion_side: Shorter side at which motion is followed.
        flow: Effort for motion: `ultrafast`, `fast` or `medium`.
        bars: `cut` leaves black bars out of everything, `keep` measures whole frames.
        limit: So many clips at most; 0 is all.
        speed: Measure time, size and memory of networks too.
        gallery: Frames on the sheet.
        files: Networks of metrics.
        line: Settings of the line.
    """

    of: Literal["videos"] = "videos"
    title: str = ""
    colorizers: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    lines: tuple[str, ...] = ("whole",)
    metrics: tuple[str, ...] = (
        "psnr", "ssim", "delta_e", "colorfulness", "chroma", "cdc", "instability", "warping_error",
    )  # fmt: skip
    baselines: tuple[str, ...] = (UNCOLORED,)
    every: int = 1
    frames: int = 0
    rate: float = 25.0
    short_side: int = 0
    motion_side: int = 256
    flow: FlowPreset = "medium"
    bars: Literal["cut", "keep"] = "cut"
    limit: int = 0
    speed: bool = False
    gallery: int = 8
    files: MetricFiles = field(default_factory=MetricFiles)
    line: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        _check_metrics(self.metrics, [*METRICS, *TEMPORAL], self.speed)
        _at_least(self, 0, "frames", "limit")
        _at_least(self, 1, "every", "gallery")
        _check_names("baselines", self.baselines, (UNCOLORED,))
        if not 0 < self.rate <= 1000:
            raise ConfigError(f"rate must be above 0 and at most 1000, not {self.rate}")
        if self.short_side and self.short_side < _LEAST_SIDE_PX:
            raise ConfigError(f"short_side must be 0 or at least 16, not {self.short_side}")
        if self.motion_side < _LEAST_SIDE_PX:
            raise ConfigError(f"motion_side must be at least 16, not {self.motion_side}")
        if not self.lines:
            raise ConfigError("lines must name at least one of whole, alone or a TOML file")
        for name in self.lines:
            if name not in BUILT_IN_LINES and not name.endswith(".toml"):
                raise ConfigError(f"lines are whole, alone, or TOML files, not {name!r}")

    @property
    def exact_rate(self) -> Fraction:
        """`rate`, where it is one of film and television, as the fraction that is meant."""
        return Fraction(self.rate).limit_denominator(1001)


def _at_least(config: object, least: int, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(f"{name} must be {least} or more, not {getattr(config, name)}")


def _check_names(key: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{key} are of {', '.join(known)}, not {name!r}")


def _check_metrics(wanted: Sequence[str], known: Iterable[str], speed: bool) -> None:
    names = list(known)
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise ConfigError(f"there is no metric {name!r}; {hint}")
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"metrics are named twice: {', '.join(wanted)}")
    if not wanted and not speed:
        raise ConfigError("nothing to measure: name metrics, or ask for speed")
