"""Methods that fill holes measured on pictures, by the protocol of partial convolutions."""

from vidcolor.evaluate.inpaint.config import InpaintConfig
from vidcolor.evaluate.inpaint.report import InpaintReport

__all__ = ["InpaintConfig", "InpaintReport"]
