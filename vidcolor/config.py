"""All settings of the line: the config of each stage, joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from vidcolor.color.compose import ComposeConfig
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.video import InputConfig
from vidcolor.stages.colorize import ColorizeConfig
from vidcolor.stages.cut import CutConfig
from vidcolor.stages.detect import DetectConfig
from vidcolor.stages.stabilize import StabilizeConfig
from vidcolor.stages.track import TrackConfig

__all__ = ["SHORT_NAMES", "Config"]


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Everything about coloring a film.

    Attributes:
        device: "auto" is a GPU where there is one; "cpu", "cuda", "cuda:1", "mps".
        precision: Of the networks; "auto" is half precision where the hardware has it.
        input: What is read.
        cut: How shots are found.
        detect: How objects are seen.
        track: How they are followed.
        colorize: Which network colors them.
        stabilize: How color is held still.
        compose: How color is laid beside luma.
        output: What is written.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    input: InputConfig = dataclasses.field(default_factory=InputConfig)
    cut: CutConfig = dataclasses.field(default_factory=CutConfig)
    detect: DetectConfig = dataclasses.field(default_factory=DetectConfig)
    track: TrackConfig = dataclasses.field(default_factory=TrackConfig)
    colorize: ColorizeConfig = dataclasses.field(default_factory=ColorizeConfig)
    stabilize: StabilizeConfig = dataclasses.field(default_factory=StabilizeConfig)
    compose: ComposeConfig = dataclasses.field(default_factory=ComposeConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)


SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "device": ("device",),
    "precision": ("precision",),
    "start": ("input", "start"),
    "duration": ("input", "duration"),
    "batch_size": ("input", "batch_size"),
    "shots": ("cut", "shots_file"),
    "detector": ("detect", "detector"),
    "colorizer": ("colorize", "colorizer"),
    "weights": ("colorize", "weights"),
    "codec": ("output", "codec"),
    "crf": ("output", "crf"),
    "preset": ("output", "preset"),
    "pix_fmt": ("output", "pix_fmt"),
    "overwrite": ("output", "overwrite"),
    "keep_partial": ("output", "keep_partial"),
}
"""Settings that people use most, as flags and keyword arguments, and the keys that they set."""
