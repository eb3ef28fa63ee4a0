"""What DeOldify and DDColor share: a U-Net whose weights carry norms, and its steps up.

Reference:
    Ronneberger, Fischer, Brox: U-Net. MICCAI 2015. arXiv:1505.04597. Spectral norm: Miyato,
    Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks. ICLR
    2018. arXiv:1802.05957. Weight norm: Salimans, Kingma: Weight Normalization. NeurIPS 2016.
    arXiv:1602.07868. Steps up: Shi et al.: Real-Time Single Image and Video Super-Resolution.
    CVPR 2016. arXiv:1609.05158, and against the grid that they leave, Sugawara, Shiota, Kiya:
    Super-Resolution using Convolutional Neural Networks without Any Checkerboard Artifacts. ICIP
    2018. arXiv:1806.02658. Attention: Zhang, Goodfellow, Metaxas, Odena: Self-Attention
    Generative Adversarial Networks. ICML 2019. arXiv:1805.08318.
Differs: new weights start as He et al. (2015) propose, those before a pixel shuffle too. Attention
    works through the places of a picture group by group, which changes nothing but the memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.errors import WeightsError

__all__ = [
    "SelfAttention",
    "ShuffleUp",
    "SpectralConv",
    "UnetBlock",
    "WeightNormConv",
    "adopt_strictly",
    "blur",
    "complete_spectral",
    "conv_unit",
    "fold_norms",
]

_FIRST_ROUNDS = 3  # of power iteration for new weights; training goes on with one a step
_PLACES = 1024  # of a picture, whose attention is held at once
_SHOWN = 3  # keys that an error names


class _NormedConv(nn.Module):
    """A convolution whose weight is computed of other entries, until it is folded.

    Args:
        bias: Of each output channel, or None.
        stride: Of the convolution.
        padding: Of the convolution, zeros.
        parts: Names of the entries that the weight is computed of.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self, bias: nn.Parameter | None, stride: int, padding: int, parts: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self._parts = parts
        self.register_parameter("bias", bias)
        self.register_parameter("weight", None)

    def normed(self) -> Tensor:
        """The weight that the entries mean, in their precision."""
        raise NotImplementedError

    def prepare(self) -> None:
        """What comes before each pass in training mode."""

    def effective(self) -> Tensor:
        """The weight of this pass."""
        if self.weight is not None:
            return self.weight
        if self.training:
            self.prepare()
        return self.normed()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W), or (N, C, L) if the kernel has one dimension."""
        weight = self.effective()
        convolve = F.conv1d if weight.ndim == 3 else F.conv2d
        return convolve(x, weight, self.bias, self.stride, self.padding)

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the weight itself, and drop what it was computed of."""
        if self.weight is None:
            self.weight = nn.Parameter(self.normed(), requires_grad=False)
            for part in self._parts:
                delattr(self, part)


def _new_weight(inputs: int, outputs: int, kernel: tuple[int, ...]) -> nn.Parameter:
    weight = nn.Parameter(torch.empty(outputs, inputs, *kernel))
    nn.init.kaiming_normal_(weight, nonlinearity="relu")
    return weight


def _new_bias(outputs: int, wanted: bool) -> nn.Parameter | None:
    return nn.Parameter(torch.zeros(outputs)) if wanted else None


class SpectralConv(_NormedConv):
    """A convolution by `weight_orig` over its largest singular value (Miyato et al., 2.1).

    The value is u^T W v, W being `weight_orig` with a row for each output channel. In training
    mode each pass first brings `weight_u` and `weight_v` a round of power iteration nearer to the
    singular vectors; in evaluation mode they stay.

    Args:
        inputs: Channels.
        outputs: Channels.
        kernel: Side of the kernel.
        stride: Of the convolution.
        padding: Of the convolution, zeros.
        bias: With a bias.
        dimensions: 2 for pictures, 1 for rows of places.
    """

    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        bias: bool = False,
        dimensions: int = 2,
    ) -> None:
        parts = ("weight_orig", "weight_u", "weight_v")
        super().__init__(_new_bias(outputs, bias), stride, padding, parts)
        self.weight_orig = _new_weight(inputs, outputs, (kernel,) * dimensions)
        self.register_buffer("weight_u", F.normalize(torch.randn(outputs), dim=0))
        self.register_buffer("weight_v", torch.zeros(self.weight_orig[0].numel()))
        for _ in range(_FIRST_ROUNDS):
            self.prepare()

    @torch.no_grad()
    def prepare(self) -> None:
        """A round of power iteration."""
        # not by matrix products, which autocast would round to half precision
        matrix = self.weight_orig.flatten(1)
        self.weight_v.copy_(F.normalize((matrix * self.weight_u[:, None]).sum(0), dim=0))
        self.weight_u.copy_(F.normalize((matrix * self.weight_v).sum(1), dim=0))

    def normed(self) -> Tensor:
        """`weight_orig` over the stored vectors' singular value."""
        # a later pass in training mode changes the vectors before gradients need these
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / ((self.weight_orig.flatten(1) * v).sum(1) * u).sum()


class WeightNormConv(_NormedConv):
    """A convolution by directions `weight_v` of lengths `weight_g` (Salimans and Kingma, 2).

    Args:
        inputs: Channels.
        outputs: Channels, each with a length of its own.
        kernel: Side of the kernel.
        padding: Of the convolution, zeros.
    """

    weight_g: nn.Parameter
    weight_v: nn.Parameter

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, padding: int = 0) -> None:
        super().__init__(_new_bias(outputs, True), 1, padding, ("weight_g", "weight_v"))
        self.weight_v = _new_weight(inputs, outputs, (kernel, kernel))
        self.weight_g = nn.Parameter(_length(self.weight_v.detach()))

    def normed(self) -> Tensor:
        """The directions in their lengths."""
        return self.weight_v * (self.weight_g / _length(self.weight_v))


def _length(weight: Tensor) -> Tensor:
    """(outputs, 1, 1, 1) norm of the kernel of each output channel."""
    return weight.square().sum((1, 2, 3), keepdim=True).sqrt()


def fold_norms(module: nn.Module) -> None:
    """Work all norms of weights into the weights, for good: see `models.registry.Folds`."""
    for part in list(module.modules()):
        if isinstance(part, _NormedConv):
            part.fold()


class SelfAttention(nn.Module):
    """Each place of a map looks at all others (Zhang et al. 2019, section 3).

    The weights that a place gives to all others sum to 1; a place is the softmax's column, so
    that the map is `value` times the weights.

    Args:
        channels: Of the map; queries and keys have an eighth of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(1, channels // 8)
        self.query = SpectralConv(channels, few, dimensions=1)
        self.key = SpectralConv(channels, few, dimensions=1)
        self.value = SpectralConv(channels, channels, dimensions=1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.places = _PLACES

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) map, and on top of it what its places see."""
        flat = x.flatten(2)
        # of one head; in the words of attention as it is known today `key` asks `query`
        asked, asking, value = (
            conv(flat).transpose(1, 2)[:, None] for conv in (self.query, self.key, self.value)
        )
        # a traced graph is for any number of places, and has no loop
        groups = (asking,) if torch.compiler.is_compiling() else asking.split(self.places, dim=2)
        seen = [F.scaled_dot_product_attention(g, asked, value, scale=1.0) for g in groups]
        return self.gamma * torch.cat(seen, dim=2).transpose(2, 3).reshape(x.shape) + x


class ShuffleUp(nn.Module):
    """A step up: 1x1 convolution, ReLU, channels become pixels, and 2x2 pixels their mean.

    Args:
        conv: Has `scale`^2 times the channels of the answer.
        scale: Of the sides.
        norm: Channels of batch norm between convolution and ReLU; 0 is none.
    """

    def __init__(self, conv: nn.Module, scale: int = 2, norm: int = 0) -> None:
        super().__init__()
        norms = [nn.BatchNorm2d(norm)] if norm else []
        self.conv = nn.Sequential(conv, *norms, nn.ReLU(inplace=True))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, scale H, scale W) of (N, C', H, W)."""
        return blur(F.pixel_shuffle(self.conv(x), self.scale))


def blur(x: Tensor) -> Tensor:
    """Mean of each pixel, its left, its upper and its upper left neighbor; borders repeated."""
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


def conv_unit(inputs: int, outputs: int, attention: bool = False) -> nn.Sequential:
    """3x3 convolution, ReLU and only then batch norm; perhaps attention."""
    seen = [SelfAttention(outputs)] if attention else []
    return nn.Sequential(
        SpectralConv(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(outputs),
        *seen,
    )


class UnetBlock(nn.Module):
    """A step up, joined with what the way down saw at that size.

    Args:
        inputs: Channels from below.
        up: Channels of them after the step up.
        skip: Channels from the way down.
        outputs: Channels of the answer.
        deep: Two convolutions instead of one.
        attention: Self-attention at the end.
        fits: The step up has the size of what the way down saw; otherwise it is resized to it.
    """

    def __init__(
        self,
        inputs: int,
        up: int,
        skip: int,
        outputs: int,
        deep: bool = False,
        attention: bool = False,
        fits: bool = True,
    ) -> None:
        super().__init__()
        self.fits = fits
        self.shuf = ShuffleUp(SpectralConv(inputs, 4 * up), norm=4 * up)
        self.bn = nn.BatchNorm2d(skip)
        self.deep = deep
        if deep:
            self.conv1 = conv_unit(up + skip, outputs)
            self.conv2 = conv_unit(outputs, outputs, attention)
        else:
            self.conv = conv_unit(up + skip, outputs, attention)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, outputs, H, W) of (N, inputs, h, w) and (N, skip, H, W); H is 2 h, or about so."""
        up = self.shuf(x)
        if not self.fits:
            up = F.interpolate(up, size=skip.shape[2:], mode="nearest")
        x = F.relu(torch.cat((up, self.bn(skip)), dim=1))
        return self.conv2(self.conv1(x)) if self.deep else self.conv(x)


# --- weights ------------------------------------------------------------------------------------


def complete_spectral(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with `weight_v` where files of old versions of torch lack it.

    v is W^T u over its length: one half of a round of power iteration (Miyato et al., appendix A).
    """
    whole = dict(tensors)
    for key, weight in tensors.items():
        stem = key.removesuffix("_orig")
        if stem == key or f"{stem}_u" not in tensors or f"{stem}_v" in tensors:
            continue
        matrix, u = weight.flatten(1).double(), tensors[f"{stem}_u"].double()
        whole[f"{stem}_v"] = F.normalize(matrix.T @ u, dim=0).to(weight.dtype)
    return whole


def adopt_strictly(
    module: nn.Module, tensors: Mapping[str, Tensor], of: str, own: tuple[str, ...] = ()
) -> None:
    """Give a part of a network all its weights from another one.

    Args:
        module: Is changed.
        tensors: By the keys of `module`.
        of: Name of the other network, for the error.
        own: Prefixes of what the other network does not have.

    Raises:
        WeightsError: If a key is missing or too many, or a shape differs; nothing is changed.
    """
    entries = {key: value for key, value in module.state_dict().items() if not key.startswith(own)}
    faults = [
        f"{kind} {', '.join(map(repr, keys[:_SHOWN]))}"
        for kind, keys in (
            # files of old versions of torch lack the counters
            ("missing", [k for k in entries if k not in tensors and "num_batches" not in k]),
            ("unexpected", [k for k in tensors if k not in entries]),
            (
                "of another shape",
                [k for k, v in tensors.items() if k in entries and v.shape != entries[k].shape],
            ),
        )
        if keys
    ]
    if faults:
        raise WeightsError(f"these weights of {of} do not fit this network: {'; '.join(faults)}")
    with torch.no_grad():
        for key, value in tensors.items():
            entries[key].copy_(value)
