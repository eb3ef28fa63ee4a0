"""The only place where configs become objects."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import nn

from vidcolor.color.grade import GradeConfig
from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.guidance.hints.network import HintSource, StoredHints
from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.template import Pin
from vidcolor.guidance.tracks.file import TracksFile
from vidcolor.guidance.tracks.identities import Describer
from vidcolor.io.image import read_image
from vidcolor.io.masks import open_holes
from vidcolor.models.registry import Describes, Folds, model_spec, spec_of
from vidcolor.models.weights import (
    RECIPE,
    load_inpainter,
    load_model,
    suited_side,
)
from vidcolor.ops.flow import FlowPreset
from vidcolor.pipeline import Pipeline
from vidcolor.repair.bands import BandConfig, BandDetector
from vidcolor.repair.burns import BurnConfig, BurnDetector
from vidcolor.repair.config import RestoreConfig
from vidcolor.repair.dust.detector import Dust, DustConfig
from vidcolor.repair.find import Detector, Finder
from vidcolor.repair.hair import HairConfig, HairDetector
from vidcolor.repair.heal.fill import Fill, NetFill, TeleaFill
from vidcolor.repair.heal.grow import Grow
from vidcolor.repair.heal.healer import Heal
from vidcolor.repair.judge import Judge, OpenHoles
from vidcolor.repair.level import Deflicker, NoDeflicker
from vidcolor.repair.lines.detector import LineConfig, LineDetector
from vidcolor.repair.repairer import Repairer
from vidcolor.repair.spots_file import read_verdicts
from vidcolor.repair.steady import NoSteady, Steady
from vidcolor.repair.still import StillConfig, StillDamage
from vidcolor.stages.anchor import Anchor
from vidcolor.stages.base import Cut, Detect, SeeWhole
from vidcolor.stages.cadence import CadenceConfig, EveryFrame, Keyframes
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames, NoColor
from vidcolor.stages.cut import FindShots, NoCut
from vidcolor.stages.detect import NoDetector, make_detector
from vidcolor.stages.grade import make_grade
from vidcolor.stages.merge import Colorizer, MergedColorizer
from vidcolor.stages.overlay import NoOverlay, Overlay
from vidcolor.stages.remember import Forget, Remember
from vidcolor.stages.restore import NoRestore, RestoreFrames
from vidcolor.stages.stabilize import Hold, Stabilizer
from vidcolor.stages.tone import Palette, Tone
from vidcolor.stages.track import NoTracker, Tracker
from vidcolor.stages.whole import NoWhole, ShotWhole

__all__ = [
    "Guidance",
    "build_cut",
    "build_fill",
    "build_line",
    "build_repair",
    "choose_device",
    "choose_precision",
    "chosen_weights",
    "colorizers",
    "load_describer",
]

_STARTER = "starter"
_REPAIR = "repair"
_NORMAL = "normal"
_BY_RECIPE = "recipe"

Download = Callable[[int, int | None], None]


def choose_device(name: str) -> torch.device:
    """The device to compute on.

    Raises:
        ConfigError: If the name is no device, or the device is not here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used: {reason}; try --device cpu") from None
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of convolutions: with "auto", half precision where there are units for it."""
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            name
        ]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    units = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    if units.get("amx_bf16") or units.get("avx512_bf16"):
        return torch.bfloat16
    return torch.float32


@dataclasses.dataclass(frozen=True, slots=True)
class Guidance:
    """What is known of the color of a film before the line runs; see `guided`.

    Attributes:
        references: What references say, by frame.
        palettes: What pictures want of the colors of shots.
        silent: Numbers of shots in which palettes do not count.
        hints: What hints say, by frame.
        asked: pts of frames at which the network has to look.
        tracks: Which tracks are one object.
        pins: Colors of objects that hints were bound to.
        shot_grades: Grade of single shots, by number.
        track_grades: Grade of single tracks, by id.
        folder: Where the paths of looks begin.
    """

    references: LayerStore | None = None
    palettes: tuple[Palette, ...] = ()
    silent: frozenset[int] = frozenset()
    hints: LayerStore | None = None
    asked: frozenset[int] = frozenset()
    tracks: TracksFile | None = None
    pins: tuple[Pin, ...] = ()
    shot_grades: Mapping[int, GradeConfig] = dataclasses.field(default_factory=dict)
    track_grades: Mapping[int, GradeConfig] = dataclasses.field(default_factory=dict)
    folder: Path = Path()


@functools.lru_cache(maxsize=3)
def _load(weights: str, device: torch.device) -> tuple[nn.Module, str]:
    model, of = load_model(weights, device)
    if hasattr(model, "fold"):
        cast(Folds, model).fold()
    return model, of


@functools.lru_cache(maxsize=2)
def _load_inpainter(weights: str, device: torch.device) -> nn.Module:
    return load_inpainter(weights, device)


def load_describer(device: torch.device) -> Describes:
    """The network that tells things apart, whichever network colors them."""
    return cast(Describes, _load(_STARTER, device)[0])


def colorizers(config: Config) -> tuple[ColorizeConfig, ...]:
    """The network that colors, and the second one if there is one."""
    merge = config.merge
    if not merge.enabled:
        return (config.colorize,)
    name = "auto" if merge.colorizer == "none" else merge.colorizer
    second = dataclasses.replace(
        config.colorize, colorizer=name, weights=merge.weights, short_side=0, render_factor=0
    )
    return config.colorize, second


def chosen_weights(wanted: ColorizeConfig) -> str:
    """Name or file of the weights that are meant.

    Raises:
        ConfigError: If there is no such network.
    """
    if wanted.weights == _BY_RECIPE:
        if wanted.colorizer == "auto":
            raise ConfigError("weights by recipe are for a network: say which by --colorizer")
        return RECIPE + model_spec(wanted.colorizer).name
    if wanted.weights != "auto":
        return wanted.weights
    return _STARTER if wanted.colorizer == "auto" else model_spec(wanted.colorizer).weights


def _colorizer(
    config: Config, device: torch.device, dtype: torch.dtype, hints: HintSource | None
) -> Colorizer:
    first, *second = (_single(one, device, dtype, hints) for one in colorizers(config))
    return MergedColorizer(first, second[0], config.merge) if second else first


def _single(
    wanted: ColorizeConfig, device: torch.device, dtype: torch.dtype, hints: HintSource | None
) -> ColorizeFrames:
    name = None if wanted.colorizer == "auto" else model_spec(wanted.colorizer).name
    weights = chosen_weights(wanted)
    model, of = _load(weights, device)
    if name is not None and of != name:
        raise ConfigError(f"weights {weights!r} are for {of}, not for --colorizer {name}")
    if not wanted.side:
        wanted = dataclasses.replace(wanted, short_side=suited_side(weights))
    return ColorizeFrames(model, spec_of(model, of), wanted, device, dtype, hints)


def _see_whole(wanted: ColorizeConfig, predict: Colorizer | None, films: bool) -> SeeWhole:
    if predict is None:
        return NoWhole()
    if not predict.whole_size:
        if wanted.style:
            raise ConfigError(
                "a style needs a network that goes by a vector of the whole picture: "
                "--colorizer iizuka16"
            )
        return NoWhole()
    frames = wanted.whole_frames if films else 0
    if wanted.style:
        picture, _ = read_image(Path(wanted.style).expanduser())
        style = predict.whole(picture)
        return ShotWhole(predict.whole, frames, style, wanted.style_weight)
    return ShotWhole(predict.whole, frames) if frames else NoWhole()


def _remember(config: Config, device: torch.device, guidance: Guidance) -> Remember:
    alone = config.remember.across_shots and guidance.tracks is None
    describe = Describer(load_describer(device), device) if alone else None
    return Remember(config.remember, guidance.tracks, guidance.pins, describe)


def build_cut(config: Config, still: bool = False) -> Cut:
    """What finds shots; pictures have none."""
    return NoCut() if still else FindShots(config.cut)


def build_fill(config: Config) -> Fill:
    """What fills holes from their surroundings: a network, or the classical method.

    Args:
        config: Its `restore.weights` says which; "auto" is what ships.

    Raises:
        ConfigError: If the device is not here.
        WeightsError: If weights are missing or damaged.
    """
    wanted = config.restore.weights
    if wanted == "none":
        return TeleaFill()
    device = choose_device(config.device)
    model = _load_inpainter(_REPAIR if wanted == "auto" else wanted, device)
    return NetFill(model, device, choose_precision(config.precision, device))


def build_repair(
    config: Config,
    *,
    still: bool = False,
    whole: bool = False,
) -> Repairer:
    """What finds damage and heals it.

    Args:
        config: All settings; those of `restore` count.
        still: Frames are pictures that have nothing to do with each other.
        whole: The whole film comes, so that masks that do not belong to it are noticed.

    Raises:
        ConfigError: If a setting asks for what is not there.
        WeightsError: If weights are missing or damaged.
        GuidanceError: If a person's file is not as it should be.
    """
    restore = config.restore
    files = {"masks": restore.masks, "protect": restore.protect, "spots": restore.spots}
    given = [name for name, path in files.items() if path is not None]
    if given and config.input.start:
        raise ConfigError(
            f"{given[0]} count frames of the whole film; leave out start (duration may stay)"
        )
    verdicts = None if restore.spots is None else read_verdicts(Path(restore.spots).expanduser())
    fill = build_fill(config)
    return Repairer(
        motion=restore.motion,
        find=Finder(_detectors(config, still) if restore.finds else ()),
        grow=Grow(),
        judge=Judge(_masks(restore.masks), _masks(restore.protect), verdicts, whole),
        heal=Heal(restore.heal, fill),
        deflicker=Deflicker(restore.deflicker)
        if restore.deflicker.strength and not still
        else NoDeflicker(),
        steady=Steady(restore.steady, fill)
        if restore.steady.strength and not still
        else NoSteady(),
    )


def _detectors(config: Config, still: bool) -> tuple[Detector, ...]:
    restore, pane = config.restore, config.restore.pane
    if still:
        return (StillDamage(_alert(restore.still, restore), pane),)
    return (
        Dust(_alert(restore.dust, restore), pane),
        LineDetector(_alert(restore.lines, restore), pane),
        HairDetector(_alert(restore.hair, restore), pane),
        BandDetector(_alert(restore.bands, restore), pane),
        BurnDetector(_alert(restore.burns, restore)),
    )


_Alert = TypeVar("_Alert", DustConfig, LineConfig, HairConfig, BandConfig, BurnConfig, StillConfig)


def _alert(config: _Alert, restore: RestoreConfig) -> _Alert:
    """A detector's settings with the sensitivity of all, unless it has its own."""
    if config.sensitivity != _NORMAL:
        return config
    return dataclasses.replace(config, sensitivity=restore.sensitivity)


def _masks(path: str | None) -> OpenHoles | None:
    return None if path is None else functools.partial(open_holes, Path(path).expanduser())


def build_line(
    config: Config,
    *,
    still: bool = False,
    color: bool = True,
    download: Download | None = None,
    guidance: Guidance | None = None,
) -> Pipeline:
    """The whole line.

    Args:
        config: All settings.
        still: Frames are pictures that have nothing to do with each other.
        color: Load a colorizer; without one, `Pipeline.follow` is what the line is for.
        download: Told of bytes done and total when weights are fetched.
        guidance: What is known of the film's color.

    Raises:
        ConfigError: If a setting asks for what is not there.
        WeightsError: If weights are missing or damaged.
        GuidanceError: If a person's file is not as it should be.
    """
    known = guidance or Guidance()
    device = choose_device(config.device)
    dtype = choose_precision(config.precision, device)
    hints = None if known.hints is None else StoredHints(known.hints)
    predict = _colorizer(config, device, dtype, hints) if color else None
    films = color and not still
    remembers = films and config.remember.enabled
    # boxes are for close-ups, for the memory of objects, and for whoever asks for nothing else
    if predict is None or predict.uses_rois or remembers or known.track_grades:
        detect: Detect = make_detector(config.detect, device, still, download, dtype)
    else:
        detect = NoDetector()
    flow = cast(FlowPreset, config.stabilize.flow)
    steady = films and config.stabilize.enabled
    cadence = config.cadence if films else CadenceConfig("every")
    return Pipeline(
        cut=build_cut(config, still),
        restore=RestoreFrames(build_repair(config, still=still))
        if config.restore.enabled
        else NoRestore(),
        detect=detect,
        track=NoTracker(config.track)
        if still or not config.track.enabled
        else Tracker(config.track),
        see_whole=_see_whole(config.colorize, predict, films),
        colorize=EveryFrame(NoColor())
        if predict is None
        else Keyframes(predict, cadence, flow, known.asked),
        refer=NoOverlay() if known.references is None else Overlay(known.references),
        anchor=Anchor(config.anchor, flow) if films and config.anchor.enabled else Forget(),
        remember=_remember(config, device, known) if remembers else Forget(),
        stabilize=Stabilizer(config.stabilize) if steady else Hold(),
        tone=Tone(known.palettes, known.silent) if known.palettes else Forget(),
        obey=NoOverlay() if known.hints is None else Overlay(known.hints),
        grade=make_grade(config.grade, known.shot_grades, known.track_grades, known.folder),
    )
