"""All settings of the line: the config of each stage, joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from vidcolor.color.compose import ComposeConfig
from vidcolor.color.grade import GradeConfig
from vidcolor.guidance.hints.config import HintsConfig
from vidcolor.guidance.references.solve import ReferencesConfig
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.input_config import InputConfig
from vidcolor.repair.config import RestoreConfig
from vidcolor.stages.anchor import AnchorConfig
from vidcolor.stages.cadence import CadenceConfig
from vidcolor.stages.colorize import ColorizeConfig
from vidcolor.stages.cut import CutConfig
from vidcolor.stages.detect import DetectConfig
from vidcolor.stages.merge import MergeConfig
from vidcolor.stages.remember import RememberConfig
from vidcolor.stages.stabilize import StabilizeConfig
from vidcolor.stages.track import TrackConfig

__all__ = ["ALONE", "SHORT_NAMES", "Config", "GuidanceConfig"]


@dataclasses.dataclass(frozen=True, slots=True)
class GuidanceConfig:
    """Files in which a person says what has which color.

    Attributes:
        hints: A JSON file of hints, or a folder of painted frames.
        references: Color pictures of the scene or of frames of the film, or folders of them.
        tracks: The tracks that `vidcolor tracks` has written, edited.
    """

    hints: str | None = None
    references: tuple[str, ...] = ()
    tracks: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Everything about coloring a film.

    Attributes:
        device: "auto" is a GPU where there is one; "cpu", "cuda", "cuda:1", "mps".
        precision: Of the networks; "auto" is half precision where the hardware has it.
        input: What is read.
        cut: How shots are found.
        restore: How damage is found and healed, before anything else looks at the film.
        detect: How objects are seen.
        track: How they are followed.
        colorize: Which network colors them.
        merge: A second network that has a say.
        cadence: At which frames the networks look.
        guidance: What a person says about colors.
        references: How colored pictures are matched.
        hints: How hints spread.
        anchor: How places keep their color through a shot.
        remember: How objects keep theirs.
        stabilize: How color is held still from frame to frame.
        grade: Color as a whole, after taste.
        compose: How color is laid beside luma.
        output: What is written.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    input: InputConfig = dataclasses.field(default_factory=InputConfig)
    cut: CutConfig = dataclasses.field(default_factory=CutConfig)
    restore: RestoreConfig = dataclasses.field(default_factory=RestoreConfig)
    detect: DetectConfig = dataclasses.field(default_factory=DetectConfig)
    track: TrackConfig = dataclasses.field(default_factory=TrackConfig)
    colorize: ColorizeConfig = dataclasses.field(default_factory=ColorizeConfig)
    merge: MergeConfig = dataclasses.field(default_factory=MergeConfig)
    cadence: CadenceConfig = dataclasses.field(default_factory=CadenceConfig)
    guidance: GuidanceConfig = dataclasses.field(default_factory=GuidanceConfig)
    references: ReferencesConfig = dataclasses.field(default_factory=ReferencesConfig)
    hints: HintsConfig = dataclasses.field(default_factory=HintsConfig)
    anchor: AnchorConfig = dataclasses.field(default_factory=AnchorConfig)
    remember: RememberConfig = dataclasses.field(default_factory=RememberConfig)
    stabilize: StabilizeConfig = dataclasses.field(default_factory=StabilizeConfig)
    grade: GradeConfig = dataclasses.field(default_factory=GradeConfig)
    compose: ComposeConfig = dataclasses.field(default_factory=ComposeConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)


ALONE: Mapping[str, Mapping[str, object]] = {
    "colorize": {"whole_frames": 0},
    "cadence": {"cadence": "every"},
    "anchor": {"enabled": False},
    "remember": {"enabled": False},
    "stabilize": {"enabled": False},
}
"""What --no-stabilize means: every frame is colored by itself."""

SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "device": ("device",),
    "precision": ("precision",),
    "start": ("input", "start"),
    "duration": ("input", "duration"),
    "batch_size": ("input", "batch_size"),
    "shots": ("cut", "shots_file"),
    "restore": ("restore", "enabled"),
    "sensitivity": ("restore", "sensitivity"),
    "masks": ("restore", "masks"),
    "protect": ("restore", "protect"),
    "spots": ("restore", "spots"),
    "strength": ("restore", "heal", "strength"),
    "repair_weights": ("restore", "weights"),
    "deflicker": ("restore", "deflicker", "strength"),
    "steady": ("restore", "steady", "strength"),
    "detector": ("detect", "detector"),
    "colorizer": ("colorize", "colorizer"),
    "weights": ("colorize", "weights"),
    "render_factor": ("colorize", "render_factor"),
    "style": ("colorize", "style"),
    "cadence": ("cadence", "cadence"),
    "hints": ("guidance", "hints"),
    "reference": ("guidance", "references"),
    "tracks": ("guidance", "tracks"),
    "codec": ("output", "codec"),
    "crf": ("output", "crf"),
    "preset": ("output", "preset"),
    "pix_fmt": ("output", "pix_fmt"),
    "format": ("output", "format"),
    "overwrite": ("output", "overwrite"),
    "keep_partial": ("output", "keep_partial"),
}
"""Settings that people use most, as flags and keyword arguments, and the keys that they set."""
