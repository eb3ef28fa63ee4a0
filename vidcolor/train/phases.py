"""Training phases: which parameters learn, from which losses, starting where.

Su et al., CVPR 2020 train three: the full-image network, the instance network, the fusion. This
module has the first; a phase is all that a further one needs to give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from vidcolor.errors import ConfigError
from vidcolor.models.objective import pixel_loss
from vidcolor.train.data import Batch

__all__ = ["Full", "PhaseConfig"]


@dataclass(frozen=True, slots=True)
class PhaseConfig:
    """What a phase minimizes.

    Attributes:
        delta: a*b* error below which the loss is squared.
    """

    delta: float = 10.0

    def __post_init__(self) -> None:
        if self.delta <= 0:
            raise ConfigError(f"delta must be positive, not {self.delta}")


class Full:
    """The whole picture: all parameters learn, Smooth L1 on a*b*."""

    name = "full"

    def __init__(self, model: nn.Module, config: PhaseConfig) -> None:
        self.model = model
        self.config = config

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns."""
        return self.model.named_parameters()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named losses of a batch, in units of `delta`; their sum is minimized."""
        delta = self.config.delta
        pred = self.model(batch.lightness).float()
        return {"smooth_l1": pixel_loss(pred, batch.ab, delta).mean() / delta}
