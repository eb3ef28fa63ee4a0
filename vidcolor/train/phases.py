"""Training phases: which parameters learn, from which losses, starting where.

Su et al. (CVPR 2020, 4.4) train three: the full-image net, the instance net, which starts from it,
and the fusion, which starts from both while they stay as they are. "finetune" lets everything
that colors learn at once. What belongs to which phase is the network's to say
(`models.registry.Phased`), so that one class serves all networks and phases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.registry import ModelSpec
from vidcolor.models.weights import load_model, read_card
from vidcolor.train.adversary import Adversary, AdversaryConfig, make_adversary
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.config import View
from vidcolor.train.losses import (
    RegressionKind,
    color_classes,
    distance,
    inside_boxes,
    temporal,
    to_grid,
)

__all__ = ["ColorPhase", "PhaseConfig", "PhaseName", "complete", "make_phase", "start"]

PhaseName = Literal["full", "instance", "fusion", "finetune"]

_ORDER: tuple[PhaseName, ...] = ("full", "instance", "fusion")
_REGRESSIONS: dict[str, RegressionKind] = {"smooth_l1": "smooth_l1", "l1": "l1", "l2": "l2"}
_NORMS = (nn.BatchNorm2d, nn.BatchNorm1d, nn.SyncBatchNorm)


@dataclass(frozen=True, slots=True)
class PhaseConfig:
    """Which part learns, and what it minimizes.

    Attributes:
        name: "full" is the net of whole pictures, "instance" that of close-ups, "fusion" what
            joins them (the others stay as they are), "finetune" all that colors at once.
        start_from: Weights to begin with: a name, a file, or the folder of a run. Empty begins
            from nothing.
        loss: "smooth_l1" (the paper's), "l1" and "l2" compare colors; "classes" is the
            cross-entropy over color classes (Zhang et al., ECCV 2016); "smooth_l1+classes" and
            "l2+classes" sum both. Classes need a network that has them.
        delta: a*b* error below which "smooth_l1" is squared; the paper's is 1.
        class_weight: Weight of the classes beside a color loss.
        rebalance: How much rare color classes count for more than common ones, from 0 (all alike)
            to near 1 (by the inverse of their share in the training pictures); Zhang et al.: 0.5.
        instance_loss: Weight of the mean color loss inside the instances, each counting the same,
            beside that of the whole picture; for the phases that see pictures with instances.
        temporal: Weight of the difference between the color of a frame and that of a moment
            later, brought back along the motion.
        adversarial: Weight of a PatchGAN critic's verdict (Isola et al., CVPR 2017); meant for a
            short finish, 0.01 to 0.1.
        critic: The critic.
        freeze: Prefixes of parameters that do not learn, beside those that the phase leaves alone.
        freeze_norms: Leave the statistics of batch norm as they are: for small sets.
    """

    name: PhaseName = "full"
    start_from: str = ""
    loss: Literal["smooth_l1", "l1", "l2", "classes", "smooth_l1+classes", "l2+classes"] = (
        "smooth_l1"
    )
    delta: float = 10.0
    class_weight: float = 0.1
    rebalance: float = 0.0
    instance_loss: float = 0.0
    temporal: float = 0.0
    adversarial: float = 0.0
    critic: AdversaryConfig = field(default_factory=AdversaryConfig)
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False

    def __post_init__(self) -> None:
        if self.delta <= 0 or not math.isfinite(self.delta):
            raise ConfigError(f"delta must be positive, not {self.delta}")
        if not 0 <= self.rebalance < 1:
            raise ConfigError(f"rebalance must be at least 0 and below 1, not {self.rebalance}")
        for name in ("class_weight", "instance_loss", "temporal", "adversarial"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative")

    @property
    def classes(self) -> bool:
        """Whether the loss looks at color classes."""
        return "classes" in self.loss


class ColorPhase:
    """A phase of any colorizer that is `models.registry.Phased`; what `fit` asks for.

    Args:
        model: The whole network; parameters that do not learn lose their gradient.
        config: See `PhaseConfig`.
        view: What of a picture the phase looks at.
        adversary: The critic's side of `config.adversarial`, or None.
        class_weights: (Q,) weight of each color class, or None for equal ones.

    Raises:
        ConfigError: If the network cannot do what is asked, or nothing is left to learn.
    """

    def __init__(
        self,
        model: Any,
        config: PhaseConfig,
        view: View,
        adversary: Adversary | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.name = config.name
        self.view = view
        self.centers: Tensor | None = None
        self.class_weights = class_weights
        if config.classes:
            self.centers = self.model.color_classes()
            if self.centers is None:
                raise ConfigError(f"loss {config.loss!r} needs classes: model.settings bins=true")
            if config.loss == "classes" and not self.model.color_from_classes:
                raise ConfigError(
                    "this network has its color beside its classes; use smooth_l1+classes"
                )
        self.adversary = adversary
        part = self.model.part(config.name, config.classes)
        self._learning = frozenset(
            name
            for name, _ in model.named_parameters()
            if name.startswith(part) and not (config.freeze and name.startswith(config.freeze))
        )
        if not self._learning:
            raise ConfigError(f"phase {config.name!r} with freeze {config.freeze} learns nothing")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self._learning)

    def learns(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns."""
        return ((n, p) for n, p in self.model.named_parameters() if n in self._learning)

    def train_mode(self) -> None:
        """Batch norm takes the statistics of batches where it learns, its own elsewhere.

        In "fusion" it keeps its own everywhere, as the published training does.
        """
        self.model.eval()
        if self.name == "fusion" or self.config.freeze_norms:
            return
        for path, module in self.model.named_modules():
            if isinstance(module, _NORMS) and f"{path}.weight" in self._learning:
                module.train()

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of a batch.

        Returns:
            Weighted losses by name, whose sum is minimized, and the predicted a*b* on the grid
            of `batch.ab`.
        """
        config = self.config
        rois = batch.rois if self.view == "instances" else None
        values: dict[str, Tensor] = {}
        kind, _, second = config.loss.partition("+")
        if config.classes:
            assert self.centers is not None
            logits, answer = self.model.answer_classes(
                self.name, batch.lightness, rois, batch.hints
            )
            weight = config.class_weight if second else 1.0
            centers = self.centers.to(logits.device)
            weights = None if self.class_weights is None else self.class_weights.to(logits.device)
            values["classes"] = weight * color_classes(logits, batch.ab, centers, weights)
        else:
            answer = self.model.answer(self.name, batch.lightness, rois, batch.hints)
        pred = to_grid(answer, batch.ab)
        if kind in _REGRESSIONS:
            distances = distance(pred, batch.ab, _REGRESSIONS[kind], config.delta)
            values[kind] = distances.mean()
            if config.instance_loss and rois is not None:
                values["instances"] = config.instance_loss * inside_boxes(distances, rois)
        if config.temporal:
            if batch.pair is None:
                raise ConfigError("phase.temporal needs pairs of frames in the batches")
            later = self.model.answer(self.name, batch.pair.lightness, rois, batch.hints)
            values["temporal"] = config.temporal * temporal(
                pred, to_grid(later, batch.ab), batch.pair
            )
        if self.adversary is not None:
            verdict = self.adversary.generator_loss(batch.lightness, pred)
            values["adversarial"] = config.adversarial * verdict
        return values, pred


def make_phase(
    config: PhaseConfig,
    model: nn.Module,
    spec: ModelSpec,
    side: int,
    class_weights: Tensor | None = None,
) -> ColorPhase:
    """A phase of a network.

    Args:
        config: What learns from what.
        model: The network.
        spec: What it is.
        side: Of the smallest pictures in training, pixels.
        class_weights: (Q,) weight of each color class, or None for equal ones.

    Raises:
        ConfigError: If the network cannot do what is asked.
    """
    rois = spec.rois and getattr(model, "uses_rois", True)
    if config.name in ("instance", "fusion") and not rois:
        raise ConfigError(f"phase {config.name!r} needs a network with instances, not {spec.name}")
    views: dict[PhaseName, View] = {"full": "whole", "instance": "instance"}
    view = views.get(config.name, "instances") if rois else "whole"
    if config.classes and not hasattr(model, "color_classes"):
        raise ConfigError(f"{spec.name} has no color classes; choose another phase.loss")
    adversary = make_adversary(config.critic, side // spec.stride) if config.adversarial else None
    return ColorPhase(model, config, view, adversary, class_weights)


def start(model: nn.Module, name: str, phase: PhaseName, weights: str | Path) -> None:
    """Give a new network its first values.

    Weights of an earlier phase are taken whole, and the part of `phase` begins as a copy of the
    part before (`Phased.inherit`); others, also foreign ones, just go on.

    Args:
        model: Is changed.
        name: Its registered name.
        phase: What is going to learn.
        weights: Name of known weights, or a file.

    Raises:
        WeightsError: If the weights are missing, damaged, or for another network.
    """
    source, of = load_model(weights)
    if of == "siggraph17" and name == "instcolor":
        model.adopt(source.state_dict(), of)  # type: ignore[operator]  # InstColor
        before: Any = "full"
    elif of != name:
        raise WeightsError(f"{weights}: for {of}, not for {name}")
    else:
        _take(model, source.state_dict(), str(weights))
        before = read_card(weights).get("phase")
    if phase in _ORDER and before in _ORDER:
        for later in _ORDER[_ORDER.index(before) + 1 : _ORDER.index(phase) + 1]:
            model.inherit(later)  # type: ignore[operator]  # Phased


def _take(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    own = model.state_dict()
    wrong = [key for key, value in state.items() if key not in own or own[key].shape != value.shape]
    # weights that were made without instances lack their part as a whole
    lacking = {key.split(".")[0] for key in own.keys() - state.keys()}
    if wrong or lacking & {key.split(".")[0] for key in state}:
        first = wrong[0] if wrong else min(lacking)
        raise WeightsError(
            f"{source}: made with other settings than model.* asks for (first at {first!r})"
        )
    model.load_state_dict(own | state)
    for later in _ORDER[1:] if lacking else ():
        model.inherit(later)  # type: ignore[operator]  # Phased


def complete(model: nn.Module, phase: PhaseName) -> None:
    """Let the parts of later phases start from what `phase` has learned, so that all can color."""
    if phase in _ORDER:
        for later in _ORDER[_ORDER.index(phase) + 1 :]:
            model.inherit(later)  # type: ignore[operator]  # Phased
