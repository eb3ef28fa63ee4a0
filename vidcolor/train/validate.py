"""How good is the color, on pictures that training never saw."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.train.data import Pictures

__all__ = ["Scores", "validate"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over pictures.

    Attributes:
        psnr: dB of the colored picture against the true one, RGB rounded to 8 bit.
        psnr_gray: The same without any color.
        chroma: Mean |a*b*| predicted.
        chroma_true: Mean |a*b*| of the true pictures.
    """

    psnr: float
    psnr_gray: float
    chroma: float
    chroma_true: float

    @property
    def gain(self) -> float:
        """dB over the uncolored picture."""
        return self.psnr - self.psnr_gray


def _psnr(a: Tensor, b: Tensor) -> float:
    """Of two (1, 3, H, W) in 0..1, after rounding to 8 bit."""
    error = ((a.clamp(0, 1) * 255).round() - (b * 255).round()).double().square().mean()
    return float(20 * np.log10(255) - 10 * torch.log10(error.clamp(min=1e-3)))


def _fit(rgb: npt.NDArray[np.uint8], short_side: int) -> npt.NDArray[np.uint8]:
    """The picture at about `short_side`, sides multiples of 32."""
    height, width = rgb.shape[:2]
    scale = short_side / min(height, width)
    size = (max(32, round(height * scale / 32) * 32), max(32, round(width * scale / 32) * 32))
    return np.asarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


@torch.inference_mode()
def validate(
    model: nn.Module, pictures: Pictures, short_side: int, limit: int | None = None
) -> Scores:
    """Color the Lab lightness of whole pictures and compare.

    Args:
        model: Colorizer; its mode is restored.
        pictures: Color pictures.
        short_side: Size at which everything happens, in pixels.
        limit: How many pictures at most.
    """
    training = model.training
    model.eval()
    rows = []
    for number in range(min(len(pictures), limit or len(pictures))):
        rgb8 = _fit(pictures.rgb(number), short_side)
        rgb = torch.from_numpy(rgb8).permute(2, 0, 1)[None].float() / 255
        lab = rgb_to_lab(rgb)
        ab = model(lab[:, :1].contiguous(memory_format=torch.channels_last)).float()
        ab = F.interpolate(ab, size=rgb.shape[2:], mode="bilinear", align_corners=False)
        gray = lab_to_rgb(torch.cat((lab[:, :1], torch.zeros_like(ab)), 1))
        colored = lab_to_rgb(torch.cat((lab[:, :1], ab), 1))
        rows.append(
            (
                _psnr(colored, rgb),
                _psnr(gray, rgb),
                float(ab.norm(dim=1).mean()),
                float(lab[:, 1:].norm(dim=1).mean()),
            )
        )
    model.train(training)
    return Scores(*(float(column) for column in np.mean(rows, axis=0)))
