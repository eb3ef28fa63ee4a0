"""Who fills holes: classical methods, a floor, and networks, all called the same way."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from vidcolor.errors import ConfigError
from vidcolor.evaluate.inpaint.config import InpaintConfig
from vidcolor.evaluate.inpaint.exemplar import Exemplar
from vidcolor.evaluate.sets.entries import labeled, short_name
from vidcolor.models.registry import Inpainter
from vidcolor.models.weights import load_inpainter

__all__ = ["Filler", "Floor", "Method", "Network", "OpenCv", "choose_methods", "common_channels"]

Floats = npt.NDArray[np.float32]
Hole = npt.NDArray[np.bool_]

_CODES = 65535.0


class Method(Protocol):
    """Fills holes."""

    def __call__(self, image: Floats, hole: Hole) -> Floats:
        """Fill a hole.

        Args:
            image: (H, W, C) float32 in 0..1; what lies in the hole says nothing.
            hole: (H, W) bool, true where it is to be filled; somewhere it is not.

        Returns:
            (H, W, C) float32, the raw answer: also outside the hole what the method makes of it.
        """
        ...


class OpenCv:
    """OpenCV's two methods, channel by channel, in 16 bits.

    Reference: Telea, An image inpainting technique based on the fast marching method, J. Graphics
    Tools 2004; Bertalmio, Bertozzi, Sapiro, Navier-Stokes, fluid dynamics, and image and video
    inpainting, CVPR 2001.

    Args:
        name: "telea" or "navier-stokes".
        radius: Pixels around a pixel that decide about it.
    """

    def __init__(self, name: Literal["telea", "navier-stokes"], radius: float) -> None:
        self._flag = cv2.INPAINT_TELEA if name == "telea" else cv2.INPAINT_NS
        self._radius = radius

    def __call__(self, image: Floats, hole: Hole) -> Floats:
        """See `Method`."""
        # of floats in 0..1 OpenCV's Telea makes nonsense; of 16-bit codes what it makes of 8 bit
        codes = np.rint(image.clip(0, 1) * _CODES).astype(np.uint16)
        codes[hole] = 0
        marked = hole.astype(np.uint8)
        planes = [
            cv2.inpaint(np.ascontiguousarray(codes[..., number]), marked, self._radius, self._flag)
            for number in range(codes.shape[2])
        ]
        filled = np.stack(planes, axis=2).astype(np.float32) / np.float32(_CODES)
        return np.where(hole[..., None], filled, image)


class Floor:
    """The mean of what is valid: nothing should be worse."""

    def __call__(self, image: Floats, hole: Hole) -> Floats:
        """See `Method`."""
        mean = image[~hole].mean(axis=0, dtype=np.float64).astype(np.float32)
        return np.where(hole[..., None], mean, image)


class Network:
    """A network that fills holes; pictures are padded to its multiple with holes, and cut back.

    Args:
        net: The network, in evaluation mode.
        device: Where it lies.
    """

    def __init__(self, net: Inpainter, device: torch.device) -> None:
        self._net, self._device = net, device

    @torch.inference_mode()
    def __call__(self, image: Floats, hole: Hole) -> Floats:
        """See `Method`."""
        height, width = hole.shape
        pad = (0, -width % self._net.multiple, 0, -height % self._net.multiple)
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        valid = torch.from_numpy((~hole).astype(np.float32))[None, None]
        answer = self._net(F.pad(planes, pad).to(self._device), F.pad(valid, pad).to(self._device))
        found = answer[0, :, :height, :width].float().cpu().numpy()
        return np.ascontiguousarray(found.transpose(1, 2, 0))


@dataclass(frozen=True, slots=True)
class Filler:
    """A method that is measured.

    Attributes:
        label: Its name in the tables.
        fill: It.
        mark: Says by what it can be told whether results kept on disk are its own.
        network: Whether its answer outside of holes may differ from the picture.
        channels: Of the pictures that it wants; None takes any.
    """

    label: str
    fill: Method
    mark: str
    network: bool = False
    channels: int | None = None


def choose_methods(config: InpaintConfig, device: torch.device) -> tuple[Filler, ...]:
    """The methods that are meant, networks last; their weights are loaded now.

    Raises:
        ConfigError: If two have one name.
        WeightsError: If weights are missing, damaged, or no inpainter's.
    """
    found = [_classical(name, config) for name in config.methods]
    for given in config.weights:
        label, file = labeled(given)
        found.append(_network(label or short_name(file, config.weights), file, device))
    repeated = [name for name, n in Counter(one.label for one in found).items() if n > 1]
    if repeated:
        raise ConfigError(
            f"two methods are called {repeated[0]!r}; give them names: --weights NAME=FILE"
        )
    return tuple(found)


def _classical(name: str, config: InpaintConfig) -> Filler:
    if name == "exemplar":
        settings = json.dumps(dataclasses.asdict(config.exemplar), sort_keys=True)
        return Filler(name, Exemplar(config.exemplar), f"{name} {settings}")
    if name == "mean":
        return Filler(name, Floor(), name)
    kind = cast(Literal["telea", "navier-stokes"], name)
    return Filler(name, OpenCv(kind, config.radius), f"{name} {config.radius:g} {cv2.__version__}")


def _network(label: str, file: str, device: torch.device) -> Filler:
    net = load_inpainter(file, device)
    digest = hashlib.sha256(type(net).__name__.encode())
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    inpainter = cast(Inpainter, net)
    mark = f"network {digest.hexdigest()}"
    return Filler(label, Network(inpainter, device), mark, True, inpainter.channels)


def common_channels(fillers: Sequence[Filler], wanted: Literal["auto", "gray", "rgb"]) -> int:
    """Channels of the pictures that all are given.

    Raises:
        ConfigError: If networks want something else than `wanted`, or than one another.
    """
    asked = {one.label: one.channels for one in fillers if one.channels is not None}
    own_kind = next(iter(asked.values()), 1)
    channels = {"auto": own_kind, "gray": 1, "rgb": 3}[wanted]
    words = {1: "gray", 3: "RGB"}
    for label, own in asked.items():
        if own != channels:
            raise ConfigError(
                f"{label} fills {words[own]} pictures, not {words[channels]} ones; measure "
                "networks of one kind at a time"
            )
    return channels
