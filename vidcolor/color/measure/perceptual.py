"""LPIPS, by the package of its authors and a network that others host."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.color.measure.networks import load_strictly, read_file
from vidcolor.color.measure.pictures import check_pair
from vidcolor.errors import WeightsError

__all__ = ["Lpips", "lpips_distance"]

Array = npt.NDArray[Any]

_SMALLEST_PX = 64  # what LPIPS was calibrated on; AlexNet sees nothing in less than 31


class _Backbone(NamedTuple):
    """A network of torchvision that LPIPS sees through."""

    title: str
    weights: str
    """Name for `vidcolor weights fetch`."""
    url: str
    size: str


_BACKBONES = {
    "alex": _Backbone(
        "torchvision's AlexNet, which LPIPS sees through",
        "alexnet",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "233 MB",
    ),
    "vgg": _Backbone(
        "torchvision's VGG16, which LPIPS sees through",
        "vgg16",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "528 MB",
    ),
}


def _file(backbone: _Backbone, file: Path | None, download: bool) -> tuple[Path, str]:
    """Where the network is, and what to do if it is not."""
    if file is not None:
        return file, f"run: vidcolor weights fetch {backbone.weights}"
    name = backbone.url.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if download and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # the name ends in the first digits of the file's sha256
        digest = path.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(backbone.url, str(path), digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsError(f"cannot fetch {backbone.url} to {path}: {error}") from None
    return path, (
        f"run: vidcolor weights fetch {backbone.weights}, or fetch {backbone.url} "
        f"({backbone.size}) to that place"
    )


def _package() -> Callable[..., nn.Module]:
    try:
        import lpips
    except ImportError:
        raise WeightsError("LPIPS needs the package lpips: pip install 'vidcolor[eval]'") from None
    # random numbers that are overwritten must not be missing elsewhere
    return torch.random.fork_rng(devices=[])(lpips.LPIPS)


def _build(network: str, file: Path | None, download: bool) -> nn.Module:
    """The network of LPIPS with the weights of its backbone."""
    make = _package()
    backbone = _BACKBONES[network]
    path, get = _file(backbone, file, download)
    what = backbone.title
    tensors = read_file(path, what, get)
    with warnings.catch_warnings():  # lpips uses names that torchvision deprecates
        warnings.simplefilter("ignore")
        # its small heads come in the package
        whole = make(net=network, version="0.1", pnet_rand=True, verbose=False)
    seen = whole.get_submodule("net")
    # "slice3.6.weight" is that of layer 6
    names = {f"features.{key.split('.', 1)[1]}": key for key in seen.state_dict()}
    # the classifier is not looked through
    used = {k: tensor for k, tensor in tensors.items() if not k.startswith("classifier.")}
    load_strictly(seen, used, path, what, names)
    return whole.eval().requires_grad_(False)


class Lpips:
    """Learned perceptual distance (LPIPS 0.1); lower is closer. Say the size it was measured at.

    Reference: Zhang et al., The unreasonable effectiveness of deep features as a perceptual
    metric, CVPR 2018, arXiv:1801.03924.

    Args:
        file: Of the network it sees through, as torchvision publishes it (`alexnet-owt-...pth`,
            `vgg16-...pth`); without it torch's own cache is looked into.
        network: "alex" is what papers print.
        device: Where it runs.
        download: Fetch the file to torch's cache if it is not there.

    Raises:
        WeightsError: If the package or the file is missing, damaged, or of another network; the
            message names it.
    """

    def __init__(
        self,
        file: Path | None = None,
        *,
        network: Literal["alex", "vgg"] = "alex",
        device: str = "cpu",
        download: bool = False,
    ) -> None:
        self._device = device
        self._network = _build(network, file, download).to(device)

    def _tensor(self, rgb: Array) -> Tensor:
        """(1, 3, H, W) float32 in [-1, 1]; the short side at least 64 pixels."""
        height, width = rgb.shape[:2]
        scale = _SMALLEST_PX / min(height, width)
        if scale > 1:
            size = (round(width * scale), round(height * scale))
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR))
        planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
        return planes.to(self._device).float() / 127.5 - 1

    @torch.inference_mode()
    def __call__(self, pred: Array, target: Array) -> float:
        """Distance of a picture to the true one.

        Args:
            pred: (H, W, 3) uint8 RGB. Pictures of less than 64 pixels are enlarged.
            target: The same of the truth.

        Raises:
            ValueError: If the shapes differ or anything but uint8 is given.
        """
        check_pair("lpips", pred, target)
        return float(self._network(self._tensor(pred), self._tensor(target)))


@functools.lru_cache(maxsize=2)
def _kept(file: Path | None, device: str, download: bool) -> Lpips:
    return Lpips(file, device=device, download=download)


def lpips_distance(
    pred: Array,
    target: Array,
    backbone: Path | None = None,
    *,
    device: str = "cpu",
    download: bool = False,
) -> float:
    """`Lpips` through AlexNet as a plain function; the network is kept for the next call.

    Args:
        pred: (H, W, 3) uint8 RGB. Pictures of less than 64 pixels are enlarged.
        target: The same of the truth.
        backbone: File of the network; without it torch's own cache is looked into.
        device: Where it runs.
        download: Fetch the file to torch's cache if it is not there.

    Raises:
        WeightsError: As for `Lpips`.
        ValueError: If the shapes differ or anything but uint8 is given.
    """
    check_pair("lpips_distance", pred, target)
    return _kept(backbone, device, download)(pred, target)
