"""The only place where configs become objects."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import nn

from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.models.registry import model_spec
from vidcolor.models.weights import load_model
from vidcolor.pipeline import Pipeline
from vidcolor.stages.base import Detect
from vidcolor.stages.cadence import EveryFrame
from vidcolor.stages.colorize import ColorizeFrames, NoColor
from vidcolor.stages.cut import FindShots, NoCut
from vidcolor.stages.detect import NoDetector, make_detector
from vidcolor.stages.overlay import NoOverlay
from vidcolor.stages.remember import Forget
from vidcolor.stages.restore import NoRestore
from vidcolor.stages.stabilize import Hold, Stabilizer
from vidcolor.stages.track import NoTracker, Tracker

__all__ = ["build_line", "choose_device", "choose_precision"]

_STARTER = "starter"

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


@functools.lru_cache(maxsize=2)
def _load(weights: str, device: torch.device) -> tuple[nn.Module, str]:
    return load_model(weights, device)


def _colorizer(config: Config, device: torch.device, dtype: torch.dtype) -> ColorizeFrames:
    wanted = config.colorize
    name = None if wanted.colorizer == "auto" else model_spec(wanted.colorizer).name
    weights = wanted.weights
    if weights == "auto":
        weights = model_spec(name).weights if name else _STARTER
    model, of = _load(weights, device)
    if name is not None and of != name:
        raise ConfigError(f"weights {weights!r} are for {of}, not for --colorizer {name}")
    return ColorizeFrames(model, model_spec(of), wanted, device, dtype)


def build_line(
    config: Config, *, still: bool = False, color: bool = True, download: Download | None = None
) -> Pipeline:
    """The whole line.

    Args:
        config: All settings.
        still: Frames are pictures that have nothing to do with each other.
        color: Load a colorizer; without one, `Pipeline.follow` is what the line is for.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        ConfigError: If a setting asks for what is not there.
        WeightsError: If weights are missing or damaged.
        GuidanceError: If a person's file is not as it should be.
    """
    device = choose_device(config.device)
    dtype = choose_precision(config.precision, device)
    colorize = _colorizer(config, device, dtype) if color else NoColor()
    if isinstance(colorize, ColorizeFrames) and not colorize.uses_rois:
        detect: Detect = NoDetector()
    else:
        detect = make_detector(config.detect, device, still, download, dtype)
    steady = color and config.stabilize.enabled and not still
    return Pipeline(
        cut=NoCut() if still else FindShots(config.cut),
        restore=NoRestore(),
        detect=detect,
        track=NoTracker(config.track)
        if still or not config.track.enabled
        else Tracker(config.track),
        colorize=EveryFrame(colorize),
        refer=NoOverlay(),
        anchor=Forget(),
        remember=Forget(),
        stabilize=Stabilizer(config.stabilize) if steady else Hold(),
        obey=NoOverlay(),
        grade=NoOverlay(),
    )
