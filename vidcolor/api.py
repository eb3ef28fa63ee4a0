"""What a Python program calls: color a video, a picture, a folder of pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.build import Download, build_line
from vidcolor.color.compose import compose_rgb
from vidcolor.config import SHORT_NAMES, Config, from_environment, load, merge, put
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.encode import VideoWriter
from vidcolor.io.image import is_image, list_images, read_image, write_image
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader
from vidcolor.pipeline import Pipeline
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

__all__ = ["Summary", "colorize_folder", "colorize_image", "colorize_video", "make_config"]
