"""Seeing objects: the settings, which detector is taken, and at which frames it looks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.weights import installed
from vidcolor.records import Detected, Detections, FrameBatch
from vidcolor.stages.base import Detect
from vidcolor.stages.boxes_file import BoxesFile, boxes_line

__all__ = [
    "COCO_NAMES",
    "DetectConfig",
    "NoDetector",
    "See",
    "boxes_line",
    "look",
    "make_detector",
]

_log = logging.getLogger(__name__)

See = Callable[[FrameBatch, Sequence[int]], list[Detections]]
"""Detects in the named frames of a batch; `frame` of each result is 0 throughout."""

Progress = Callable[[int, int | None], None]
"""Told of bytes done and total while weights are fetched."""

# fmt: off
COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""Names of the labels of the networks, in COCO's order."""

_GPU_MODEL = "maskrcnn_resnet50_fpn_v2"
_CPU_MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"
_CPU_EVERY = 4
_MOTION_EVERY = 2
_ASK_AGAIN_S = 600.0
_silent: dict[str, tuple[float, str]] = {}  # weights that could not be had: when, and why
_KINDS = ("auto", "torchvision", "detectron2", "motion", "none")


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """How objects are seen.

    `every` 0 means 1 on a GPU and 4 on a CPU: there the light Faster R-CNN takes 0.13 to 0.19 s
    of one core for a frame of 480x854, several times a small color network. Tracks from every
    fourth frame lie nearly as well as from every frame: IoU with the truth 0.91 and 99 % of the
    objects' frames covered, against 0.94 and 100 %; from every eighth 0.88 and 94 %
    (`scripts/measure_tracking.py`, jitter 0.04). Motion takes 2 everywhere: of things cut out of
    photographs, that wander over others, tracks cover as much as from every frame (76 and 77 %,
    IoU 0.81 both) with fewer boxes where nothing is.

    Attributes:
        detector: auto, torchvision, detectron2, motion, boxes:FILE or none.
        model: Network of torchvision: auto (Mask R-CNN R50 v2 on a GPU, else the light one),
            maskrcnn_resnet50_fpn_v2 or fasterrcnn_mobilenet_v3_large_320_fpn.
        detectron2_config: Name in detectron2's model zoo, or a YAML file.
        detectron2_weights: File with the weights of that network.
        floor: Lowest score that is kept for the tracker.
        every: Look at every so many frames of a shot and its first; 0 chooses.
        max_objects: Most boxes kept in a frame.
        motion_side_px: Short side of the picture in which motion is sought.
        motion_contrast: Least difference from the background, in parts of white.
        motion_noise: The same in deviations of the noise.
        motion_least: Least area of a moving object, part of the frame.
        motion_most: If more of the frame moves on its own, nothing is believed.
    """

    detector: str = "auto"
    model: str = "auto"
    detectron2_config: str = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"
    detectron2_weights: str = ""
    floor: float = 0.1
    every: int = 0
    max_objects: int = 30
    motion_side_px: int = 192
    motion_contrast: float = 0.035
    motion_noise: float = 4.0
    motion_least: float = 0.004
    motion_most: float = 0.5

    def __post_init__(self) -> None:
        if self.detector not in _KINDS and not (
            self.detector.startswith("boxes:") and len(self.detector) > len("boxes:")
        ):
            raise ConfigError(
                f"detect.detector is {self.detector!r}, expected {', '.join(_KINDS)} or boxes:FILE"
            )
        if self.model not in ("auto", _GPU_MODEL, _CPU_MODEL):
            raise ConfigError(
                f"detect.model is {self.model!r}, expected auto, {_GPU_MODEL} or {_CPU_MODEL}"
            )
        ranges: dict[str, tuple[float, float]] = {
            "floor": (0, 1),
            "every": (0, 1000),
            "max_objects": (1, 1000),
            "motion_side_px": (64, 1080),
            "motion_contrast": (0, 1),
            "motion_noise": (0, 100),
            "motion_least": (0, 1),
            "motion_most": (0, 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"detect.{name} is {value}, expected {low} to {high}")


class NoDetector:
    """Sees nothing. No memory, no lookahead."""

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """Pass the frames on."""
        for batch in frames:
            nowhere = torch.zeros(len(batch), dtype=torch.bool)
            yield Detected(batch, Detections.empty(), looked=nowhere)


def look(frames: Iterable[FrameBatch], every: int, see: See) -> Iterator[Detected]:
    """Detect in every so many frames of each shot, counted from its start, and in its first.

    A held frame takes over what was seen in the picture it repeats.

    Args:
        frames: The film.
        every: 1 or more.
        see: The network.
    """
    shot: int | None = None
    last: Detections | None = None  # of the picture that held frames repeat
    for batch in frames:
        held = batch.is_held().tolist()
        due: list[int] = []  # what the network is to see
        shows: dict[int, int] = {}  # frame -> position in due, or -1 for `last`
        current = -1 if batch.shot == shot and last is not None else None
        for i in range(len(batch)):
            if not held[i]:
                current = None
            first = batch.shot != shot
            shot = batch.shot
            if not first and (batch.start + i) % every:
                continue
            if current is None:
                current = len(due)
                due.append(i)
            shows[i] = current
        found = see(batch, due) if due else []
        parts = []
        for i, position in shows.items():
            one = found[position] if position >= 0 else last
            if one is not None and len(one):
                parts.append(replace(one, frame=torch.full_like(one.frame, i)))
        if current is None:
            last = None
        elif current >= 0:
            last = found[current]
        looked = torch.zeros(len(batch), dtype=torch.bool)
        looked[list(shows)] = True
        names = parts[0].names if parts else COCO_NAMES
        yield Detected(batch, Detections.join(parts) if parts else Detections.empty(names), looked)


def make_detector(
    config: DetectConfig,
    device: torch.device,
    still: bool = False,
    progress: Progress | None = None,
    dtype: torch.dtype = torch.float32,
) -> Detect:
    """The detector that the settings ask for; "auto" takes the best that is usable.

    Args:
        config: Settings.
        device: Where networks compute.
        still: Frames are pictures that have nothing to do with each other.
        progress: Told of bytes done and total while weights are fetched.
        dtype: Type of the backbone's arithmetic; boxes are always float32.

    Raises:
        ConfigError: If a library that was asked for is missing.
        WeightsError: If weights that were asked for are missing and cannot be fetched.
        GuidanceError: If a boxes file is not as it should be.
    """
    kind = config.detector
    if kind == "none":
        return NoDetector()
    if kind.startswith("boxes:"):
        return BoxesFile(kind.removeprefix("boxes:"))
    if kind == "motion":
        return _motion(config)
    if kind == "detectron2":
        return _detectron2(config, device, dtype)
    if kind == "torchvision":
        return _torchvision(config, device, dtype, progress)
    return _best(config, device, still, progress, dtype)


def _best(
    config: DetectConfig,
    device: torch.device,
    still: bool,
    progress: Progress | None,
    dtype: torch.dtype,
) -> Detect:
    """What "auto" means; says in one line what was taken and why."""
    reason = ""
    if config.detectron2_weights:
        try:
            detector = _detectron2(config, device, dtype)
        except ConfigError as error:
            reason = f"{error}; "
        else:
            _log.info("detector: detectron2, because its weights are given")
            return detector
    name = _model(config, device)
    try:
        _ask_once(name)
        detector = _torchvision(config, device, dtype, progress)
    except (ConfigError, WeightsError) as error:
        _silent[name] = time.monotonic(), str(error)
        reason += str(error)
    else:
        _log.info("detector: torchvision %s, on %s", name, device)
        return detector
    if still:
        _log.info("detector: none, because motion needs a film and torchvision failed (%s)", reason)
        return NoDetector()
    _log.info("detector: motion, because torchvision cannot be used (%s)", reason)
    return _motion(config)


def _ask_once(name: str) -> None:
    """Do not ask again for what could not be had a while ago; an answer may take long to fail.

    Raises:
        WeightsError: With the words of the last time, if weights are still not here.
    """
    when, words = _silent.get(name, (-math.inf, ""))
    if time.monotonic() - when < _ASK_AGAIN_S and name not in installed():
        raise WeightsError(words)


def _model(config: DetectConfig, device: torch.device) -> str:
    if config.model != "auto":
        return config.model
    return _CPU_MODEL if device.type == "cpu" else _GPU_MODEL


def _every(config: DetectConfig, device: torch.device) -> int:
    return config.every or (_CPU_EVERY if device.type == "cpu" else 1)


def _motion(config: DetectConfig) -> Detect:
    from vidcolor.stages.detect_motion import MotionDetector

    return MotionDetector(replace(config, every=config.every or _MOTION_EVERY))


def _detectron2(config: DetectConfig, device: torch.device, dtype: torch.dtype) -> Detect:
    from vidcolor.stages.detect_detectron2 import Detectron2Detector, load_detectron2

    network = load_detectron2(config, device, dtype)
    return Detectron2Detector(config, network, device, _every(config, device))


def _torchvision(
    config: DetectConfig,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress | None,
) -> Detect:
    from vidcolor.stages.detect_torchvision import TorchvisionDetector, load_torchvision

    network = load_torchvision(config, _model(config, device), device, dtype, progress)
    return TorchvisionDetector(config, network, device, _every(config, device))
