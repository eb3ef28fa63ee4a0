"""A model is a registered function; `create_model("name")` is the one door."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.records import Hints, Rois

__all__ = [
    "ColorClasses",
    "Colorizer",
    "Describes",
    "ModelSpec",
    "Phased",
    "create_model",
    "list_models",
    "model_spec",
    "register_model",
]


class Colorizer(Protocol):
    """The contract of every colorizing network (always an `nn.Module`)."""

    def __call__(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Predict color.

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of `ModelSpec.multiple`.
            rois: Instances, if the model uses them.
            hints: Given colors on the grid of `lightness`, if the model uses them.

        Returns:
            (N, 2, h, w) float32 a*b* covering the same picture, `h` and `w` possibly smaller.
        """
        ...


class Phased(Protocol):
    """A network that learns in phases (Su et al., CVPR 2020, 4.4); always an `nn.Module`.

    The phases are "full" (the net of whole pictures), "instance" (that of close-ups), "fusion"
    (what joins them) and "finetune" (all that `forward` goes through, at once).
    """

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn in `phase`; all others stay as they are.

        Args:
            phase: See above.
            classes: With the head of color classes.
        """
        ...

    def inherit(self, phase: str) -> None:
        """Copy what the part of `phase` starts from out of the part of the phase before."""
        ...

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What the part of `phase` says of pictures or, for "instance", of close-ups.

        Args:
            phase: See above; "fusion" and "finetune" answer as `forward` does.
            lightness: As `Colorizer` takes it.
            rois: Instances, for "fusion" and "finetune".
            hints: Given colors on the grid of `lightness`.

        Returns:
            (N, 2, h, w) float32 a*b*.
        """
        ...


class ColorClasses(Protocol):
    """A network that can also say how likely each of a set of colors is.

    Attributes:
        color_from_classes: Its color follows from the classes; otherwise they are a second head.
    """

    color_from_classes: bool

    def color_classes(self) -> Tensor | None:
        """(Q, 2) a*b* of the classes; None if this one was built without."""
        ...

    def answer_classes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, Q, h, w) float32 logits, and the (N, 2, h', w') color of `Phased.answer`."""
        ...


class Describes(Protocol):
    """A network that can say what it sees, for telling things apart; always an `nn.Module`."""

    def describe(self, lightness: Tensor) -> tuple[Tensor, ...]:
        """Maps of features, finest first.

        Args:
            lightness: (N, 1, H, W) float32 L* in 0..100; H, W multiples of 32.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a colorizer is and can use.

    Attributes:
        name: Name of the architecture, as people write it.
        builder: Makes the untrained network.
        multiple: Sides of the input must be multiples of this.
        rois: Uses instances.
        hints: Uses given colors.
        square: Side of the square to which input is squashed, or None to keep the aspect ratio.
        short_side: Length of the shorter side of the input when the aspect ratio is kept.
        crop: Side of the square to which instances are resized.
        weights: Name of the weights taken when none are named.
        stride: Pixels of the input, along each side, to one cell of the answer.
    """

    name: str
    builder: Callable[..., nn.Module]
    multiple: int
    rois: bool
    hints: bool
    square: int | None
    short_side: int
    crop: int
    weights: str
    stride: int = 1


# each module registers one builder of its own name
_MODULES = ("quarternet", "siggraph17", "instcolor")
_SPECS: dict[str, ModelSpec] = {}
_Builder = TypeVar("_Builder", bound=Callable[..., nn.Module])


def register_model(
    *,
    multiple: int,
    weights: str,
    rois: bool = False,
    hints: bool = False,
    square: int | None = None,
    short_side: int = 256,
    crop: int = 256,
    stride: int = 1,
) -> Callable[[_Builder], _Builder]:
    """Enter a builder function under its own name; see `ModelSpec` for the arguments."""

    def enter(builder: _Builder) -> _Builder:
        name = builder.__name__
        _SPECS[name] = ModelSpec(
            name, builder, multiple, rois, hints, square, short_side, crop, weights, stride
        )
        return builder

    return enter


def list_models() -> tuple[str, ...]:
    """Names of all colorizers."""
    return tuple(sorted(_MODULES))


def model_spec(name: str) -> ModelSpec:
    """What is known of a colorizer; its module is imported now.

    Raises:
        ConfigError: If there is none of that name; the message has the nearest.
    """
    if name not in _MODULES:
        near = difflib.get_close_matches(name, _MODULES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(list_models())}"
        raise ConfigError(f"unknown colorizer {name!r}; {hint}")
    importlib.import_module(f"vidcolor.models.{name}")
    return _SPECS[name]


def create_model(name: str, **settings: Any) -> nn.Module:
    """Make an untrained network.

    Args:
        name: Name of a registered architecture.
        **settings: Passed to its builder (`width`, ...), which refuses what it does not know.

    Raises:
        ConfigError: If the name is unknown.
    """
    return model_spec(name).builder(**settings)
