"""All settings of a training run."""

from __future__ import annotations

import difflib
import inspect
import typing
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, TypeVar

from vidcolor.errors import ConfigError
from vidcolor.models.registry import builder_of, model_spec
from vidcolor.schema import Leaf, leaves, parse
from vidcolor.train.data.config import DataConfig
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.loop.optimize import FitConfig
from vidcolor.train.phases import PhaseConfig

__all__ = ["CardConfig", "ModelConfig", "RunConfig", "TrainConfig", "differences"]

T = TypeVar("T")

# what may change from one start of a run to the next: no number depends on it
_FREE = ("card.", "data.workers", "run.")
_FIXED = ("run.val_side", "run.val_limit", "run.best")  # what "best" means depends on them


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is trained.

    Attributes:
        name: A registered colorizer, or a network that fills holes.
        width: Its width, where 64 is the full one.
        settings: More of what its builder takes, as "key=value".
    """

    name: str = "quarternet"
    width: int = 64
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width must be positive, not {self.width}")
        self.builder_settings()

    def builder_settings(self) -> dict[str, Any]:
        """What `create_model` is called with.

        Raises:
            ConfigError: If the network is unknown, or its builder takes no such setting or no
                such value.
        """
        builder = builder_of(self.name)
        types = typing.get_type_hints(builder)
        known = [name for name in inspect.signature(builder).parameters if name != "width"]
        result: dict[str, Any] = {"width": self.width}
        for text in self.settings:
            key, equals, value = (part.strip() for part in text.partition("="))
            if not equals:
                raise ConfigError(f'settings: {text!r} is not "key=value"')
            if key not in known or key in result:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise ConfigError(
                    f"settings: {key!r} stands there twice"
                    if key in result and key != "width"
                    else f"settings: {self.name} has no setting {key!r} here; {hint}"
                )
            result[key] = parse(value, Leaf(("settings", key), types[key], MISSING, ""))
            choices = typing.get_args(types[key])
            if typing.get_origin(types[key]) is typing.Literal and result[key] not in choices:
                raise ConfigError(
                    f"settings: {key} must be {', '.join(map(str, choices))}, not {value!r}"
                )
        return result


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where a run lives and how often it looks up.

    Attributes:
        folder: Receives config, state, log and weights; an existing run there is resumed.
        save_every: Steps between saved states.
        val_every: Steps between measurements.
        val_side: Short side of validation pictures in pixels.
        val_limit: So many validation pictures at most are measured; 0 is all.
        best: Which measurement's weights are kept as the best, with which the next phase begins:
            that of the highest "gain", or the "latest", where gain does not tell what is good: a
            critic wants colors that are bolder than they are right.
        keep: Keep the weights of every measurement, as step-0000100.safetensors.
        samples: So many validation pictures are drawn (gray, colored, true) at each measurement.
        log_every: Steps between lines of the log.
        tensorboard: Write TensorBoard's files too; needs the extra `tensorboard`.
        device: "auto" is a GPU where there is one; "cpu", "cuda", ...
    """

    folder: str
    save_every: int = 500
    val_every: int = 1000
    val_side: int = 160
    val_limit: int = 0
    best: Literal["gain", "latest"] = "gain"
    keep: bool = False
    samples: int = 4
    log_every: int = 20
    tensorboard: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.folder:
            raise ConfigError("folder must not be empty")
        for name in ("save_every", "val_every", "val_side", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("val_limit", "samples"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class CardConfig:
    """What the weights say about themselves; numbers are added by training.

    Attributes:
        data: What was learned from.
        license: License of the weights, and of the data as far as it is known.
        limits: What they are bad at.
    """

    data: str = ""
    license: str = ""
    limits: str = ""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything about a run; saved with it.

    Attributes:
        data: Pictures.
        run: The folder.
        fit: Optimizer and schedule.
        model: The network.
        phase: The loss.
        degrade: Film effects.
        card: Words for the model card.
    """

    data: DataConfig
    run: RunConfig
    fit: FitConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    phase: PhaseConfig = field(default_factory=PhaseConfig)
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    card: CardConfig = field(default_factory=CardConfig)

    def __post_init__(self) -> None:
        if self.fit.accumulate > self.data.batch_size:
            raise ConfigError(
                f"fit.accumulate {self.fit.accumulate} is more than the "
                f"{self.data.batch_size} pictures of data.batch_size"
            )
        if self.data.hints and not model_spec(self.model.name).hints:
            raise ConfigError(f"data.hints: {self.model.name} takes no hints; set it to 0")
        if self.data.hints and self.phase.temporal:
            raise ConfigError("data.hints and phase.temporal: hints do not move along; choose one")
        for name in ("points", "label_weight"):
            if self.data.hints and getattr(self.phase, name):
                raise ConfigError(f"data.hints and phase.{name} do not go together; choose one")
        if self.phase.label_weight and not self.data.labels:
            raise ConfigError("phase.label_weight: needs data.labels, which says the kinds")
        if self.data.labels and not self.phase.label_weight and self.phase.name != "critic":
            raise ConfigError("data.labels: nothing learns from it; set phase.label_weight")
        self._check_sizes()

    def _check_sizes(self) -> None:
        spec = model_spec(self.model.name)
        sides = {"sizes": self.data.sizes}
        if spec.rois:
            sides["crop"] = (self.data.crop,)
        for name, values in sides.items():
            if any(value % spec.multiple for value in values):
                raise ConfigError(
                    f"data.{name}: {self.model.name} takes multiples of {spec.multiple}, not "
                    f"{', '.join(map(str, values))}"
                )


def differences(before: T, now: T) -> list[str]:
    """Settings that make two runs different ones, as lines like "fit.lr was 0.003, is 0.001"."""
    result = []
    for leaf in leaves(type(now)):
        values = []
        for config in (before, now):
            value: Any = config
            for key in leaf.path:
                value = getattr(value, key)
            values.append(value)
        free = leaf.name.startswith(_FREE) and leaf.name not in _FIXED
        if values[0] != values[1] and not free:
            result.append(f"{leaf.name} was {values[0]!r}, is {values[1]!r}")
    return result
