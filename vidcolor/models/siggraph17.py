"""The network of Zhang et al. (2017): automatic color, or led by hints.

Reference:
    Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with
    Learned Deep Priors. ACM Transactions on Graphics 36(4), 2017. arXiv:1705.02999.

Weights:
    `siggraph17` of the `colorizers` package (richzhang/colorization, BSD-2-Clause), trained on
    ImageNet; `siggraph17-retrained` and `siggraph17-caffe` of richzhang/colorization-pytorch
    (MIT). See `vidcolor.models.store`.
"""

from __future__ import annotations

from torch import Tensor

from vidcolor.models.layers import AB_SCALE, MULTIPLE, Trunk, network_input
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
    """

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


@register_model(multiple=MULTIPLE, weights="siggraph17", hints=True, short_side=256)
def siggraph17(width: int = 64, mask_cent: float = 0.0) -> Siggraph17:
    """Zhang et al. 2017; see `Siggraph17`."""
    return Siggraph17(width, mask_cent)
