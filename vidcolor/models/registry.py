"""A model is a registered function; `create_model("name")` is the one door."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from vidcolor.color.spaces import ColorSpace
from vidcolor.errors import ConfigError
from vidcolor.records import Hints, Rois

__all__ = [
    "Adopts",
    "Classifies",
    "ColorClasses",
    "Colorizer",
    "Describes",
    "Folds",
    "Inpainter",
    "ModelSpec",
    "Paints",
    "Phased",
    "SeesWhole",
    "Sparse",
    "builder_of",
    "create_model",
    "list_inpainters",
    "list_models",
    "model_spec",
    "register_inpainter",
    "register_model",
    "spec_of",
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


class Inpainter(Protocol):
    """The contract of every network that fills holes (always an `nn.Module`).

    Attributes:
        channels: Of the picture: 1 gray, 3 RGB.
        multiple: Sides of the picture must be multiples of this.
    """

    channels: int
    multiple: int

    def __call__(self, image: Tensor, valid: Tensor) -> Tensor:
        """Fill holes.

        Args:
            image: (N, C, H, W) float32 in 0..1; what lies in holes does not matter.
            valid: (N, 1, H, W) float32: 1 where the picture is to be believed, 0 in holes.

        Returns:
            (N, C, H, W) float32: the whole picture as the network sees it.
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


class Paints(Protocol):
    """A network that learns in the planes of a color space; always `Phased` too.

    Attributes:
        space: Which planes.
    """

    space: ColorSpace

    def answer_planes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """(N, C, h, w) float32 in 0..1; `space.decode` makes `Phased.answer` of it."""
        ...


class Sparse(Protocol):
    """A network that can answer at single points, so that training needs little memory.

    Reference: Larsson, Maire, Shakhnarovich: Learning Representations for Automatic Colorization,
    ECCV 2016, section 3.3.
    """

    def answer_at(self, phase: str, lightness: Tensor, points: Tensor) -> Tensor:
        """What `Paints.answer_planes` says at points.

        Args:
            phase: See `Phased`.
            lightness: As `Colorizer` takes it.
            points: (N, P, 2) float32 x and y in parts of the width and height, 0..1.

        Returns:
            (N, C, P) float32 in 0..1.
        """
        ...


class Classifies(Protocol):
    """A network that also says what a picture shows (Iizuka et al., SIGGRAPH 2016).

    Attributes:
        labels: Number of kinds of pictures; 0 if it was built without.
    """

    labels: int

    def answer_labels(self, phase: str, lightness: Tensor) -> tuple[Tensor, Tensor]:
        """(N, labels) float32 logits, and the planes of `Paints.answer_planes`, in one pass."""
        ...


class SeesWhole(Protocol):
    """A network that knows the whole picture by one vector, which others may give it.

    `forward` takes it as `whole`, (N, D) or (1, D); without it, each picture has its own.

    Attributes:
        whole_size: D.
    """

    whole_size: int

    def whole(self, lightness: Tensor) -> Tensor:
        """(N, D) float32 of (N, 1, H, W) L* in 0..100."""
        ...


class Adopts(Protocol):
    """A network that can begin with a part of another one's weights."""

    def adopt(self, tensors: Mapping[str, Tensor], of: str) -> None:
        """Take them.

        Args:
            tensors: By the other network's keys.
            of: Name of the weights or of their network (`vgg16`, `siggraph17`, ...).

        Raises:
            WeightsError: If they are of no use here, or a key or shape does not fit.
        """
        ...


class Folds(Protocol):
    """A network with norms on its weights, which need not be computed again in every pass."""

    def fold(self) -> None:
        """Work the norms into the weights, for good; it can only predict from then on."""
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
_MODULES = (
    "quarternet",
    "siggraph17",
    "instcolor",
    "eccv16",
    "iizuka16",
    "hypercolumn",
    "residual_encoder",
    "ddcolor",
    "deoldify",
)
_INPAINTERS = ("partialconv",)
_SPECS: dict[str, ModelSpec] = {}
_INPAINTER_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
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


def register_inpainter(builder: _Builder) -> _Builder:
    """Enter a builder function of an `Inpainter` under its own name."""
    _INPAINTER_BUILDERS[builder.__name__] = builder
    return builder


def list_inpainters() -> tuple[str, ...]:
    """Names of all networks that fill holes."""
    return _INPAINTERS


def list_models() -> tuple[str, ...]:
    """Names of all colorizers."""
    return tuple(sorted(_MODULES))


def model_spec(name: str) -> ModelSpec:
    """What is known of a colorizer; its module is imported now.

    Raises:
        ConfigError: If there is none of that name; the message has the nearest.
    """
    if name in _INPAINTERS:
        raise ConfigError(f"{name!r} fills holes and colors nothing; colorizers: {_known()}")
    if name not in _MODULES:
        near = difflib.get_close_matches(name, _MODULES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {_known()}"
        raise ConfigError(f"unknown colorizer {name!r}; {hint}")
    importlib.import_module(f"vidcolor.models.{name}")
    return _SPECS[name]


def _known() -> str:
    return ", ".join(list_models())


def builder_of(name: str) -> Callable[..., nn.Module]:
    """What makes a registered network of either kind.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name in _INPAINTERS:
        importlib.import_module(f"vidcolor.models.{name}")
        return _INPAINTER_BUILDERS[name]
    return model_spec(name).builder


def spec_of(model: nn.Module, name: str) -> ModelSpec:
    """What a loaded network can use: its own `spec` where it has one, else that of its name.

    Raises:
        ConfigError: If there is no colorizer of that name.
    """
    own = getattr(model, "spec", None)
    return own if isinstance(own, ModelSpec) else model_spec(name)


def create_model(name: str, **settings: Any) -> nn.Module:
    """Make an untrained network, a colorizer or an inpainter.

    Args:
        name: Name of a registered architecture.
        **settings: Passed to its builder (`width`, ...), which refuses what it does not know.

    Raises:
        ConfigError: If the name is unknown.
    """
    return builder_of(name)(**settings)
