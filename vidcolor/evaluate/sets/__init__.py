"""Several colorizers measured on data sets: pictures, and clips of film."""

from vidcolor.evaluate.sets.config import PicturesConfig, VideosConfig
from vidcolor.evaluate.sets.report import SetReport

__all__ = ["PicturesConfig", "SetReport", "VideosConfig"]
