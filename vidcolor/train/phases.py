"""Training phases: which parameters learn, from which losses, starting where.

Su et al. (CVPR 2020, 4.4) train three: the full-image net, the instance net, which starts from it,
and the fusion, which starts from both while they stay as they are. "finetune" lets everything
that colors learn at once. In "critic" the network stays as it is, and only its critic learns
(NoGAN). What belongs to which phase is the network's to say (`models.registry.Phased`), so that
one class serves all networks and phases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.models.registry import ModelSpec
from vidcolor.train.adversary import Adversary, AdversaryConfig, make_adversary, picture_of
from vidcolor.train.critics import colorfulness_loss
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.config import View
from vidcolor.train.features import FeatureKind, Features, load_features
from vidcolor.train.losses import (
    RegressionKind,
    at_points,
    color_classes,
    dahl_distance,
    distance,
    inside_boxes,
    label_entropy,
    plane_distance,
    temporal,
    to_grid,
)

__all__ = ["ColorPhase", "PhaseConfig", "PhaseName", "make_phase"]

PhaseName = Literal["full", "instance", "fusion", "finetune", "critic"]

_REGRESSIONS: dict[str, RegressionKind] = {"smooth_l1": "smooth_l1", "l1": "l1", "l2": "l2"}
_PLANES = {"planes": plane_distance, "dahl": dahl_distance}
# what needs more of a picture than a few points
_WHOLE = ("instance_loss", "temporal", "adversarial", "perceptual", "colorfulness", "label_weight")
_NORMS = (nn.BatchNorm2d, nn.BatchNorm1d, nn.SyncBatchNorm)


@dataclass(frozen=True, slots=True)
class PhaseConfig:
    """Which part learns, and what it minimizes.

    Attributes:
        name: "full" is the net of whole pictures, "instance" that of close-ups, "fusion" what
            joins them (the others stay as they are), "finetune" all that colors at once; in
            "critic" only the critic learns, and no loss of the network is looked at.
        start_from: Weights to begin with: a name, a file, or the folder of a run; also those of a
            trunk (vgg16, ...) for a network that has one. Empty begins from nothing.
        loss: "smooth_l1" (the paper's), "l1" and "l2" compare colors; "classes" is the
            cross-entropy over color classes (Zhang et al., ECCV 2016); "smooth_l1+classes" and
            "l2+classes" sum both. Classes need a network that has them. "planes" is the squared
            error of the network's own planes in 0..1 (Iizuka et al., SIGGRAPH 2016), "dahl" that
            as it is and after two blurs (Dahl, 2016); for networks that answer in a color space.
            "none" leaves all to the other losses.
        delta: a*b* error below which "smooth_l1" is squared; the paper's is 1.
        class_weight: Weight of the classes beside a color loss.
        rebalance: How much rare color classes count for more than common ones, from 0 (all alike)
            to near 1 (by the inverse of their share in the training pictures); Zhang et al.: 0.5.
        instance_loss: Weight of the mean color loss inside the instances, each counting the same,
            beside that of the whole picture; for the phases that see pictures with instances.
        temporal: Weight of the difference between the color of a frame and that of a moment
            later, brought back along the motion.
        points: The network answers, and is compared, at so many places of each picture only, drawn
            anew in each step (Larsson et al., ECCV 2016); 0 is everywhere. With "planes" or a
            distance of colors, for networks that can. Validation looks at whole pictures.
        label_weight: Weight of the cross entropy of kinds of pictures (`data.labels`) beside the
            color loss; Iizuka et al.: 1/300.
        perceptual: Weight of the difference of features that a VGG-16 sees in both pictures; the
            weights `vgg16_bn` must be installed.
        features: Which features, as each paper chose them: "ddcolor", "deoldify" (with pixels).
        colorfulness: Weight of the lack of colorfulness, mean over pictures (DDColor sums it).
        adversarial: Weight of a critic's verdict; meant for a short finish, with the PatchGAN
            (Isola et al., CVPR 2017) at 0.01 to 0.1. DDColor and DeOldify: 1.
        critic: The critic.
        start_critic: Folder of a run whose critic is gone on with; empty is a new one.
        enhance: The colors of true pictures, as features and critics of pictures get to see them,
            are made so many times as strong; DDColor: 1.2.
        freeze: Prefixes of parameters that do not learn, beside those that the phase leaves alone.
        freeze_norms: Leave the statistics of batch norm as they are: for small sets.
    """

    name: PhaseName = "full"
    start_from: str = ""
    loss: Literal[
        "smooth_l1", "l1", "l2", "classes", "smooth_l1+classes", "l2+classes", "planes", "dahl",
        "none",
    ] = "smooth_l1"  # fmt: skip
    delta: float = 10.0
    class_weight: float = 0.1
    rebalance: float = 0.0
    instance_loss: float = 0.0
    temporal: float = 0.0
    points: int = 0
    label_weight: float = 0.0
    perceptual: float = 0.0
    features: FeatureKind = "ddcolor"
    colorfulness: float = 0.0
    adversarial: float = 0.0
    critic: AdversaryConfig = field(default_factory=AdversaryConfig)
    start_critic: str = ""
    enhance: float = 1.0
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False

    def __post_init__(self) -> None:
        if self.delta <= 0 or not math.isfinite(self.delta):
            raise ConfigError(f"delta must be positive, not {self.delta}")
        if not 0 <= self.rebalance < 1:
            raise ConfigError(f"rebalance must be at least 0 and below 1, not {self.rebalance}")
        if not 0 < self.enhance < math.inf:
            raise ConfigError(f"enhance must be positive, not {self.enhance}")
        for name in ("class_weight", "points", *_WHOLE):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.name == "critic":
            return
        if self.start_critic and not self.adversarial:
            raise ConfigError("start_critic: there is no critic; set adversarial, or drop it")
        pictures = self.adversarial and self.critic.network != "patch"
        if self.enhance != 1 and not self.perceptual and not pictures:
            raise ConfigError(
                "enhance: nobody sees true pictures; set perceptual, or leave it at 1"
            )
        if self.loss == "none" and not self.perceptual:
            raise ConfigError('loss "none" has nothing of true colors; set perceptual')
        if self.label_weight and self.classes:
            raise ConfigError(f"label_weight goes beside planes or colors, not {self.loss!r}")
        if self.points:
            if self.loss not in ("planes", *_REGRESSIONS):
                raise ConfigError(
                    f"points: loss {self.loss!r} looks at whole pictures; choose planes or a "
                    "distance of colors, or set points to 0"
                )
            asked = [name for name in _WHOLE if getattr(self, name)]
            if asked:
                raise ConfigError(
                    f"points: {asked[0]} looks at whole pictures; set one of both to 0"
                )

    @property
    def classes(self) -> bool:
        """Whether the loss looks at color classes."""
        return "classes" in self.loss

    @property
    def plays(self) -> bool:
        """Whether there is a critic."""
        return self.adversarial > 0 or self.name == "critic"


class _Answer(NamedTuple):
    """What a network says of a batch.

    Attributes:
        color: (N, 2, h, w) a*b*; of points, a row.
        planes: (N, C, h, w) in 0..1, or None if they are not compared.
        logits: Of color classes.
        labels: (N, K) logits of kinds of pictures.
    """

    color: Tensor
    planes: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None


class ColorPhase:
    """A phase of any colorizer that is `models.registry.Phased`; what `fit` asks for.

    Args:
        model: The whole network; parameters that do not learn lose their gradient.
        config: See `PhaseConfig`.
        view: What of a picture the phase looks at.
        adversary: The critic and its game, or None.
        class_weights: (Q,) weight of each color class, or None for equal ones.
        features: What `config.perceptual` compares, or None.

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
        features: Features | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.name = config.name
        self.view = view
        self.centers: Tensor | None = None
        self.class_weights = class_weights
        self.features = features
        # a critic judges all that colors
        self._answers = "finetune" if config.name == "critic" else config.name
        if config.classes and config.name != "critic":
            self.centers = self.model.color_classes()
            if self.centers is None:
                raise ConfigError(f"loss {config.loss!r} needs classes: model.settings bins=true")
            if config.loss == "classes" and not self.model.color_from_classes:
                raise ConfigError(
                    "this network has its color beside its classes; use smooth_l1+classes"
                )
        self.adversary = adversary
        self._learning = frozenset(self._what_learns())
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self._learning)

    def _what_learns(self) -> Iterator[str]:
        """Names of parameters."""
        config = self.config
        if config.name == "critic":
            return
        part = self.model.part(config.name, config.classes)
        resting = config.freeze
        if hasattr(self.model, "answer_labels") and not config.label_weight:
            resting += self.model.idle  # what tells kinds of pictures learns with them only
        found = False
        for name, _ in self.model.named_parameters():
            if name.startswith(part) and not (resting and name.startswith(resting)):
                found = True
                yield name
        if not found:
            raise ConfigError(f"phase {config.name!r} with freeze {config.freeze} learns nothing")

    def learns(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns."""
        return ((n, p) for n, p in self.model.named_parameters() if n in self._learning)

    def train_mode(self) -> None:
        """What learns is in training mode: batch norm there takes the statistics of batches.

        In "fusion" nothing is, as in the published training.
        """
        self.model.eval()
        if self.name == "fusion":
            return
        for path, module in self.model.named_modules():
            if isinstance(module, _NORMS) and self.config.freeze_norms:
                continue
            own = module.named_parameters(path, recurse=False)
            module.training = any(name in self._learning for name, _ in own)

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of a batch.

        Returns:
            Weighted losses by name, whose sum is minimized, and the predicted a*b* on the grid
            of `batch.ab`; of points, a row of them.
        """
        config = self.config
        rois = batch.rois if self.view == "instances" else None
        answer = self._answer(batch)
        values: dict[str, Tensor] = {}
        if answer.logits is not None:
            weight = config.class_weight if "+" in config.loss else 1.0
            values["classes"] = weight * self._class_loss(answer.logits, batch.ab)
        target = at_points(batch.ab, batch.points) if batch.points is not None else batch.ab
        pred = to_grid(answer.color, target)
        distances = self._distances(answer, pred, target, batch)
        if distances is not None:
            values[config.loss.partition("+")[0]] = distances.mean()
            if config.instance_loss and rois is not None:
                values["instances"] = config.instance_loss * inside_boxes(distances, rois)
        if answer.labels is not None:
            if batch.labels is None:
                raise ConfigError("phase.label_weight needs labels in the batches")
            values["labels"] = config.label_weight * label_entropy(answer.labels, batch.labels)
        if config.temporal:
            if batch.pair is None:
                raise ConfigError("phase.temporal needs pairs of frames in the batches")
            later = self.model.answer(self._answers, batch.pair.lightness, rois, batch.hints)
            values["temporal"] = config.temporal * temporal(
                pred, to_grid(later, batch.ab), batch.pair
            )
        return values | self._picture_losses(pred, batch), pred

    def colors(self, batch: Batch) -> Tensor:
        """The predicted a*b* alone, on the grid of `batch.ab`."""
        return to_grid(self._answer(batch).color, batch.ab)

    def _answer(self, batch: Batch) -> _Answer:
        """What the losses look at, in one pass."""
        model, config, phase = self.model, self.config, self._answers
        rois = batch.rois if self.view == "instances" else None
        seen = (batch.lightness, rois, batch.hints)
        if config.name == "critic":
            return _Answer(model.answer(phase, *seen))
        if config.classes:
            logits, color = model.answer_classes(phase, *seen)
            return _Answer(color, logits=logits)
        if config.points:
            if batch.points is None:
                raise ConfigError("phase.points needs points in the batches")
            planes = model.answer_at(phase, batch.lightness, batch.points)[:, :, None]
            shade = to_grid(batch.lightness, batch.ab)
            color = model.space.decode(planes, at_points(shade, batch.points))
            return _Answer(color, planes)
        labels = None
        if config.label_weight:
            labels, planes = model.answer_labels(phase, batch.lightness)
        elif config.loss in _PLANES:
            planes = model.answer_planes(phase, *seen)
        else:
            return _Answer(model.answer(phase, *seen))
        return _Answer(model.space.decode(planes, batch.lightness), planes, labels=labels)

    def _class_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        assert self.centers is not None
        weights = self.class_weights
        if weights is not None:
            weights = weights.to(logits.device)
        return color_classes(logits, target, self.centers.to(logits.device), weights)

    def _distances(
        self, answer: _Answer, pred: Tensor, target: Tensor, batch: Batch
    ) -> Tensor | None:
        """(N, 1, h, w) by `config.loss`; None if that compares no colors."""
        config = self.config
        kind = config.loss.partition("+")[0]
        if kind in _REGRESSIONS:
            return distance(pred, target, _REGRESSIONS[kind], config.delta)
        if kind not in _PLANES:
            return None
        assert answer.planes is not None
        true = self.model.space.encode(batch.lightness, batch.ab)
        if batch.points is not None:
            true = at_points(true, batch.points)
        return _PLANES[kind](answer.planes, true)

    def _picture_losses(self, pred: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What is said of the picture that lightness and color make."""
        config, light = self.config, batch.lightness
        values: dict[str, Tensor] = {}
        if self.features is not None or config.colorfulness:
            made = picture_of(light, pred)
            if self.features is not None:
                true = picture_of(light, batch.ab, config.enhance)
                values["perceptual"] = config.perceptual * self.features(made, true)
            if config.colorfulness:
                lack = colorfulness_loss(made, config.colorfulness)
                values["colorfulness"] = lack / len(batch)
        if self.adversary is not None:
            verdict = self.adversary.generator_loss(light, pred)
            values["adversarial"] = config.adversarial * verdict
        return values


def make_phase(
    config: PhaseConfig,
    model: nn.Module,
    spec: ModelSpec,
    side: int,
    class_weights: Tensor | None = None,
    labels: int = 0,
    features: Features | None = None,
) -> ColorPhase:
    """A phase of a network.

    Args:
        config: What learns from what.
        model: The network.
        spec: What it is.
        side: Of the smallest pictures in training, pixels.
        class_weights: (Q,) weight of each color class, or None for equal ones.
        labels: Kinds of pictures in the training set.
        features: What `config.perceptual` compares; without them, the installed ones.

    Raises:
        ConfigError: If the network cannot do what is asked.
        WeightsError: If the weights of the features are not installed.
    """
    rois = spec.rois and getattr(model, "uses_rois", True)
    if config.name in ("instance", "fusion") and not rois:
        raise ConfigError(f"phase {config.name!r} needs a network with instances, not {spec.name}")
    views: dict[PhaseName, View] = {"full": "whole", "instance": "instance"}
    view = views.get(config.name, "instances") if rois else "whole"
    if config.name != "critic":
        _check_abilities(config, model, spec.name, labels)
    if config.name == "critic" or not config.perceptual:
        features = None
    elif features is None:
        features = load_features(config.features)
    adversary = None
    if config.plays:
        adversary = make_adversary(config.critic, side // spec.stride, spec.stride, config.enhance)
    return ColorPhase(model, config, view, adversary, class_weights, features)


def _check_abilities(config: PhaseConfig, model: nn.Module, name: str, labels: int) -> None:
    if config.classes and not hasattr(model, "color_classes"):
        raise ConfigError(f"{name} has no color classes; choose another phase.loss")
    if config.loss in _PLANES and not hasattr(model, "answer_planes"):
        raise ConfigError(
            f"phase.loss {config.loss!r}: {name} does not answer in planes of a color space; "
            "choose a distance of colors (smooth_l1, l1, l2)"
        )
    if config.points and not hasattr(model, "answer_at"):
        raise ConfigError(
            f"phase.points {config.points}: {name} cannot answer at single points; set it to 0"
        )
    if config.label_weight:
        known = getattr(model, "labels", 0) if hasattr(model, "answer_labels") else None
        if known is None:
            raise ConfigError(
                f"phase.label_weight {config.label_weight}: {name} does not tell kinds of pictures "
                "apart; set it to 0"
            )
        if known != labels:
            raise ConfigError(
                f"the training pictures are of {labels} kinds, {name} tells {known} apart; set "
                f"model.settings labels={labels}"
            )
