"""The network of Zhang et al. (2017): automatic color, or led by hints.

Reference:
    Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with
    Learned Deep Priors. ACM Transactions on Graphics 36(4), 2017. arXiv:1705.02999.

Weights:
    `siggraph17` of the `colorizers` package (richzhang/colorization, BSD-2-Clause), trained on
    ImageNet; `siggraph17-retrained` and `siggraph17-caffe` of richzhang/colorization-pytorch
    (MIT). See `vidcolor.models.catalog`.
"""

from __future__ import annotations

from torch import Tensor

from vidcolor.models.layers import AB_SCALE, MULTIPLE, Trunk, network_input
from vidcolor.models.objective import class_centers
from vidcolor.models.registry import register_model
from vidcolor.records import Hints, Rois

__all__ = ["Siggraph17", "siggraph17"]


class Siggraph17(Trunk):
    """The trunk behind the contract of a colorizer.

    Differs: the class head is run only by `predict_both`.

    Args:
        width: See `Trunk`.
        mask_cent: Taken off the hint mask; 0 for the `colorizers` package and the weights
            converted from Caffe, 0.5 for the retrained ones and all of InstColorization.

    Attributes:
        idle: Parameters whose names start so have no part in `forward`.
        color_from_classes: False, see `models.registry.ColorClasses`.
    """

    color_from_classes = False
    idle: tuple[str, ...] = ("model_class.",)

    def __init__(self, width: int = 64, mask_cent: float = 0.0) -> None:
        super().__init__(width)
        self.mask_cent = mask_cent

    def forward(
        self, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """Color of frames; instances are ignored.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of 8.
            rois: Ignored.
            hints: Given colors on the grid of `lightness`.

        Returns:
            (N, 2, H, W) float32 a*b* in (-110, 110).

        Raises:
            ValueError: If the sizes do not fit.
        """
        return AB_SCALE * self.predict(network_input(lightness, hints, self.mask_cent))

    def part(self, phase: str, classes: bool = False) -> tuple[str, ...]:
        """Prefixes of the parameters that learn: see `models.registry.Phased`."""
        return self.learning(classes)

    def inherit(self, phase: str) -> None:
        """Nothing: there is one net, whatever the phase."""

    def answer(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> Tensor:
        """What a training phase looks at: `forward`."""
        return self(lightness, rois, hints)

    def color_classes(self) -> Tensor:
        """(529, 2) a*b* of the classes."""
        return class_centers()

    def answer_classes(
        self, phase: str, lightness: Tensor, rois: Rois | None = None, hints: Hints | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, 529, H/4, W/4) logits, and color."""
        logits, color = self.predict_both(network_input(lightness, hints, self.mask_cent))
        return logits, AB_SCALE * color


@register_model(multiple=MULTIPLE, weights="siggraph17", hints=True, short_side=256)
def siggraph17(width: int = 64, mask_cent: float = 0.0) -> Siggraph17:
    """Zhang et al. 2017; see `Siggraph17`."""
    return Siggraph17(width, mask_cent)
