"""How true and how steady color is: pictures against the truth, frames against each other."""

from vidcolor.color.measure.compare import (
    BEST_PSNR,
    Comparison,
    LabPicture,
    Level,
    Perceptual,
    Quality,
)
from vidcolor.color.measure.motion import (
    Consistency,
    chroma_instability,
    color_consistency,
    histograms,
    jensen_shannon,
    visible,
    warping_error,
)
from vidcolor.color.measure.perceptual import lpips_distance
from vidcolor.color.measure.pictures import (
    colorfulness,
    colorfulness_difference,
    delta_e_2000,
    mean_chroma,
    psnr,
    ssim,
)

__all__ = [
    "BEST_PSNR",
    "Comparison",
    "Consistency",
    "LabPicture",
    "Level",
    "Perceptual",
    "Quality",
    "chroma_instability",
    "color_consistency",
    "colorfulness",
    "colorfulness_difference",
    "delta_e_2000",
    "histograms",
    "jensen_shannon",
    "lpips_distance",
    "mean_chroma",
    "psnr",
    "ssim",
    "visible",
    "warping_error",
]
