"""How often each film effect is applied, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass

from vidcolor.errors import ConfigError

__all__ = ["EFFECTS", "DegradeConfig"]

EFFECTS = {
    "stock": "",
    "tone": "tone_strength",
    "blur": "blur_px",
    "grain": "grain_strength",
    "interlace": "interlace_px",
    "flicker": "flicker_strength",
    "scratches": "scratch_strength",
    "dust": "dust_strength",
    "compression": "compression_quality",
    "speckle": "speckle_strength",
}
"""The names of shares and of strengths (stock has none), in the order of the effects."""


@dataclass(frozen=True, slots=True)
class DegradeConfig:
    """How often film effects are applied, and how strongly.

    A share of 0 switches an effect off; 1 applies it to every picture.

    Attributes:
        stock: Part of pictures seen through a random film stock instead of as luma.
        tone: Part with changed gamma, contrast and black level.
        tone_strength: 1 is gamma 0.6 to 1.7 and black lifted by up to 0.12.
        blur: Part made soft.
        blur_px: Largest Gaussian sigma, in pixels of the training size.
        grain: Part with grain.
        grain_strength: Largest standard deviation of grain at mid-gray, in parts of white.
        flicker: Part with uneven exposure that changes from frame to frame.
        flicker_strength: Largest standard deviation of the gain's logarithm; the whole frame and
            its regions vary by this much each.
        scratches: Part with lines along the film, which stay where they are in later frames.
        scratch_strength: 1 is lines that hide 0.15 to 0.9 of the picture under them.
        dust: Part with dust and hairs, others in every frame.
        dust_strength: 1 is 4 to 60 specks in a frame.
        interlace: Part with combing: odd lines show what moves a moment later.
        interlace_px: Largest motion between the fields, in pixels of the training size.
        compression: Part with blocks and ringing of JPEG or MPEG.
        compression_quality: Lowest JPEG quality, 1 to 90; the highest drawn is 90.
        speckle: Part with noise on 0.1 to 40 % of its pixels.
        speckle_strength: Most that such a pixel is lighter or darker, in parts of white.
    """

    stock: float = 0.4
    tone: float = 0.4
    tone_strength: float = 1.0
    blur: float = 0.25
    blur_px: float = 1.2
    grain: float = 0.4
    grain_strength: float = 0.06
    flicker: float = 0.05
    flicker_strength: float = 0.05
    scratches: float = 0.05
    scratch_strength: float = 1.0
    dust: float = 0.05
    dust_strength: float = 1.0
    interlace: float = 0.05
    interlace_px: float = 3.0
    compression: float = 0.05
    compression_quality: int = 15
    speckle: float = 0.0
    speckle_strength: float = 30 / 255

    def __post_init__(self) -> None:
        for name in EFFECTS:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be 0 to 1, not {getattr(self, name)}")
        for name in EFFECTS.values():
            value = getattr(self, name, 0.0)
            if name.endswith("_strength") and not 0 <= value < float("inf"):
                raise ConfigError(f"{name} must be 0 or more, not {value}")
            if name.endswith("_px") and not 0 < value < float("inf"):
                raise ConfigError(f"{name} must be more than 0 pixels, not {value}")
        if not 1 <= self.compression_quality <= 90:
            raise ConfigError(
                f"compression_quality must be 1 to 90, not {self.compression_quality}"
            )
