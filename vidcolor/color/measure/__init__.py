"""How true and how steady color is: pictures against the truth, frames against each other."""

from vidcolor.color.measure.catalog import METRICS, Measure, Metric, metric
from vidcolor.color.measure.compare import (
    Comparison,
    LabPicture,
    Level,
    Perceptual,
    Quality,
)
from vidcolor.color.measure.frechet import (
    Features,
    Fid,
    FidValue,
    Inception,
    frechet_distance,
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
from vidcolor.color.measure.perceptual import Lpips, lpips_distance
from vidcolor.color.measure.pictures import (
    BEST_PSNR,
    colorfulness,
    colorfulness_abs,
    colorfulness_difference,
    delta_e_2000,
    mean_chroma,
    psnr,
    psnr_wrapped,
    ssim,
    ssim_map,
    ssim_uniform,
)

__all__ = [
    "BEST_PSNR",
    "METRICS",
    "Comparison",
    "Consistency",
    "Features",
    "Fid",
    "FidValue",
    "Inception",
    "LabPicture",
    "Level",
    "Lpips",
    "Measure",
    "Metric",
    "Perceptual",
    "Quality",
    "chroma_instability",
    "color_consistency",
    "colorfulness",
    "colorfulness_abs",
    "colorfulness_difference",
    "delta_e_2000",
    "frechet_distance",
    "histograms",
    "jensen_shannon",
    "lpips_distance",
    "mean_chroma",
    "metric",
    "psnr",
    "psnr_wrapped",
    "ssim",
    "ssim_map",
    "ssim_uniform",
    "visible",
    "warping_error",
]
