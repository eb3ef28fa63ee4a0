"""LPIPS, by the package of its authors and a network that others host."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.color.measure.pictures import check_pair
from vidcolor.errors import WeightsError

__all__ = ["lpips_distance"]

Array = npt.NDArray[Any]

_SMALLEST_PX = 64  # what LPIPS was calibrated on; AlexNet sees nothing in less than 31


@functools.lru_cache(maxsize=2)
def _network(device: str, download: bool) -> nn.Module:
    try:
        import lpips
    except ImportError:
        raise WeightsError("LPIPS needs the package lpips: pip install 'vidcolor[eval]'") from None
    from torchvision.models import AlexNet_Weights

    url = AlexNet_Weights.IMAGENET1K_V1.url
    backbone = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not backbone.exists() and not download:
        raise WeightsError(
            f"{backbone}: missing, LPIPS sees through this AlexNet; fetch {url} (233 MB) to that "
            "place, or allow the download"
        )
    with warnings.catch_warnings():  # lpips uses names that torchvision deprecates
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", verbose=False)
    return network.to(device).eval()


def _tensor(rgb: Array, device: str) -> Tensor:
    """(1, 3, H, W) float32 in [-1, 1]; the short side at least 64 pixels."""
    height, width = rgb.shape[:2]
    scale = _SMALLEST_PX / min(height, width)
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR))
    planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    return planes.to(device).float() / 127.5 - 1


@torch.inference_mode()
def lpips_distance(
    pred: Array, target: Array, *, device: str = "cpu", download: bool = False
) -> float:
    """Learned perceptual distance (LPIPS 0.1, AlexNet); lower is closer.

    Reference: Zhang et al., The unreasonable effectiveness of deep features as a perceptual
    metric, CVPR 2018, arXiv:1801.03924.

    Args:
        pred: (H, W, 3) uint8 RGB. Pictures of less than 64 pixels are enlarged.
        target: The same of the truth.
        device: Where the network runs; it is kept for the next call.
        download: Let torchvision fetch the network if it is not in torch's cache.

    Raises:
        WeightsError: If the package or the file of the network is missing; the message names it.
        ValueError: If the shapes differ or anything but uint8 is given.
    """
    check_pair("lpips_distance", pred, target)
    network = _network(device, download)
    return float(network(_tensor(pred, device), _tensor(target, device)))
