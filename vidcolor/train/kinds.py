"""What can be trained: networks that color, and networks that fill holes."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vidcolor.models.registry import list_inpainters
from vidcolor.train.config import TrainConfig
from vidcolor.train.inpaint.config import InpaintConfig, InpaintPhaseName
from vidcolor.train.phases import PhaseName

__all__ = ["COLOR", "INPAINT", "AnyConfig", "Kind", "kind_of"]

AnyConfig = TrainConfig | InpaintConfig
"""Settings of a run."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a training file is about.

    Attributes:
        config: The class of its settings.
        phases: Names of its phases.
    """

    config: type[TrainConfig] | type[InpaintConfig]
    phases: tuple[str, ...]


COLOR = Kind(TrainConfig, typing.get_args(PhaseName))
INPAINT = Kind(InpaintConfig, typing.get_args(InpaintPhaseName))


def kind_of(*layers: Mapping[str, Any]) -> Kind:
    """The kind of a file, by the `model.name` of the last layer that has one."""
    name = None
    for layer in layers:
        table = layer.get("model")
        if isinstance(table, Mapping):
            name = table.get("name", name)
    return INPAINT if name in list_inpainters() else COLOR
