"""The phase that fills holes: what `fit` asks for.

Liu et al. (ECCV 2018) train twice: with batch norm everywhere, then with that of the encoder held,
whose statistics count holes too and so depend on how large they are; held, it shifts brightness no
more where a hole begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vidcolor.train.adversary import Adversary
from vidcolor.train.data.config import View
from vidcolor.train.features import load_vgg16
from vidcolor.train.inpaint.batch import HoleBatch
from vidcolor.train.inpaint.config import InpaintPhaseConfig
from vidcolor.train.inpaint.losses import Pools, loss_terms

__all__ = ["InpaintPhase"]


class InpaintPhase:
    """A phase of an inpainter.

    Args:
        model: The network; what does not learn loses its gradient.
        config: See `InpaintPhaseConfig`.
        pools: What perceptual and style losses look through; without them, the installed ones.

    Raises:
        WeightsError: If features are asked for, and the weights of VGG-16 are not installed.
    """

    adversary: Adversary | None = None
    view: View = "whole"

    def __init__(self, model: Any, config: InpaintPhaseConfig, pools: Pools | None = None) -> None:
        self.model = model
        self.config = config
        if pools is None and config.features:
            pools = Pools(load_vgg16())
        self.pools = pools
        held = set()
        if config.freeze_norms == "all":
            held = {id(p) for norm in self._encoder_norms() for p in norm.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) not in held)

    def _encoder_norms(self) -> Iterator[nn.BatchNorm2d]:
        return (m for m in self.model.encoder.modules() if isinstance(m, nn.BatchNorm2d))

    def learns(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and tensors of what learns."""
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)

    def train_mode(self) -> None:
        """All is in training mode but held norms; the loop asks for it in each step anew."""
        self.model.train()
        if self.config.freeze_norms != "none":
            for norm in self._encoder_norms():
                norm.eval()

    def losses(self, batch: HoleBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Losses of a batch.

        Returns:
            Weighted losses by name, whose sum is minimized, and the network's answer.
        """
        answer = self.colors(batch)
        weights = self.config.weights()
        terms = loss_terms(
            answer, batch.image, batch.valid, weights, self.pools, self.config.smoothed
        )
        return {name: weights[name] * value for name, value in terms.items()}, answer

    def colors(self, batch: HoleBatch) -> Tensor:
        """The network's answer alone, (N, C, S, S)."""
        answer: Tensor = self.model(batch.image, batch.valid)
        return answer

    def to(self, device: torch.device) -> None:
        """Take the features where the pictures are."""
        if self.pools is not None:
            self.pools.to(device)
