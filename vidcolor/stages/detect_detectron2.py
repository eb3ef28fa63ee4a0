"""Objects seen by detectron2's networks; the only module that imports detectron2.

Reference: Wu, Kirillov, Massa, Lo, Girshick, "Detectron2", 2019,
    https://github.com/facebookresearch/detectron2 (Apache-2.0).
Weights: its model zoo's, trained on COCO, given as a file.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.weights import read_tensors
from vidcolor.records import Detected, Detections, FrameBatch
from vidcolor.stages.detect import COCO_NAMES, look
from vidcolor.stages.detect_torchvision import autocast_backbone, see_in_parts
from vidcolor.stages.zoo_file import read_zoo

if TYPE_CHECKING:
    from vidcolor.stages.detect import DetectConfig

__all__ = ["Detectron2Detector", "build_detectron2", "load_detectron2"]

_ZOO = "https://github.com/facebookresearch/detectron2/blob/main/MODEL_ZOO.md"
_SHORT_SIDE_PX = 800
_LONG_SIDE_PX = 1333


def build_detectron2(config: DetectConfig, device: torch.device) -> nn.Module:
    """A network of detectron2 in evaluation mode, with random weights.

    Raises:
        ConfigError: If detectron2 or its configuration is missing, or it makes no boxes.
    """
    try:
        from detectron2.config import get_cfg
        from detectron2.modeling import build_model
    except ImportError as error:
        raise ConfigError(
            f"detectron2 cannot be imported ({error}); install it with: pip install "
            "--no-build-isolation git+https://github.com/facebookresearch/detectron2 "
            "or choose --detector torchvision"
        ) from None
    # detectron2.model_zoo is not imported: it wants pkg_resources, which setuptools has dropped
    zoo = importlib.resources.files("detectron2") / "model_zoo" / "configs"
    name = config.detectron2_config
    candidates = [Path(name).expanduser(), Path(str(zoo / name)), Path(str(zoo / f"{name}.yaml"))]
    path = next((one for one in candidates if one.is_file()), None)
    if path is None:
        raise ConfigError(
            f"detect.detectron2_config {name!r} is neither a file nor in detectron2's model zoo; "
            f"expected a name like COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x ({_ZOO})"
        )
    settings = get_cfg()
    try:
        settings.merge_from_file(str(path))
    except (KeyError, ValueError, AssertionError, TypeError) as error:
        raise ConfigError(f"{path}: is no configuration of detectron2: {error}") from None
    settings.MODEL.WEIGHTS = ""
    settings.MODEL.DEVICE = str(device)
    settings.MODEL.MASK_ON = False
    settings.MODEL.KEYPOINT_ON = False
    settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = config.floor
    settings.MODEL.RETINANET.SCORE_THRESH_TEST = config.floor
    settings.TEST.DETECTIONS_PER_IMAGE = config.max_objects
    network: nn.Module = build_model(settings)
    return network.eval()


def load_detectron2(
    config: DetectConfig, device: torch.device, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A network of detectron2 with weights.

    Raises:
        ConfigError: If detectron2, its configuration, or the name of the weights is missing.
        WeightsError: If the file is missing or not for this network.
    """
    network = build_detectron2(config, device)
    if not config.detectron2_weights:
        raise ConfigError(
            "detect.detectron2_weights is empty; download the file of "
            f"{config.detectron2_config} from {_ZOO} and name it: "
            "--detect.detectron2_weights FILE.pkl"
        )
    path = Path(config.detectron2_weights).expanduser()
    tensors = _read(path)
    state = network.state_dict()
    # heads that are switched off, and constants that older files lack
    tensors = {
        key: value
        for key, value in tensors.items()
        if not key.startswith(("roi_heads.mask_", "roi_heads.keypoint_")) or key in state
    }
    missing = [key for key in state if key not in tensors and "pixel_" not in key]
    missing = [key for key in missing if "anchor_generator" not in key]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in state and "anchor_generator" not in key]
    wrong = [key for key in tensors if key in state and tensors[key].shape != state[key].shape]
    if missing or unexpected or wrong:
        raise WeightsError(
            f"{path}: is not for {config.detectron2_config}; missing {missing[:3]}, unexpected "
            f"{unexpected[:3]}, of another shape {wrong[:3]}"
        )
    network.load_state_dict({k: v for k, v in tensors.items() if k in state}, strict=False)
    backbone = getattr(network, "backbone", None)
    if isinstance(backbone, nn.Module):
        autocast_backbone(backbone, device, dtype)
    return network


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a file of the model zoo (a pickle of arrays) or of torch."""
    return read_zoo(path) if path.suffix == ".pkl" else read_tensors(path)


class Detectron2Detector:
    """Looks with a network of detectron2 at every so many frames.

    Memory: what was seen last, for held frames. Lookahead: none. Counting starts anew at a cut.

    Args:
        config: Settings.
        network: Of detectron2, in evaluation mode, on `device`.
        device: Where to compute.
        every: Look at every so many frames of a shot.
        short_side_px: Length to which the shorter side is resized, as in its training.
    """

    def __init__(
        self,
        config: DetectConfig,
        network: nn.Module,
        device: torch.device,
        every: int = 1,
        short_side_px: int = _SHORT_SIDE_PX,
    ) -> None:
        self._config = config
        self._network = network
        self._device = device
        self._every = every
        self._short_side = short_side_px

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """Detect."""
        return look(frames, self._every, self._see)

    def _see(self, batch: FrameBatch, numbers: Sequence[int]) -> list[Detections]:
        return see_in_parts(batch, numbers, self._device, self._of_pictures)

    @torch.inference_mode()
    def _of_pictures(self, lightness: Tensor) -> list[Detections]:
        height, width = lightness.shape[2:]
        scale = self._short_side / min(height, width)
        longest = self._short_side * _LONG_SIDE_PX / _SHORT_SIDE_PX
        scale = min(scale, longest / max(height, width))
        size = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        resized = F.interpolate(lightness, size=size, mode="bilinear", antialias=True)
        # three equal channels are as good as its BGR; it subtracts its mean itself
        codes = (resized * 2.55).clamp(0, 255).expand(-1, 3, -1, -1)
        results = self._network(
            [{"image": one, "height": int(height), "width": int(width)} for one in codes]
        )
        return [self._of_instances(one["instances"]) for one in results]

    def _of_instances(self, instances: Any) -> Detections:
        boxes = instances.pred_boxes.tensor.float().cpu()
        scores = instances.scores.float().cpu()
        labels = instances.pred_classes.cpu().long()
        names = COCO_NAMES
        if len(labels) and int(labels.max()) >= len(names):
            raise ConfigError(
                f"{self._config.detectron2_config} is not a network for COCO's 80 classes"
            )
        keep = scores >= self._config.floor
        frame = torch.zeros(len(boxes), dtype=torch.int64)
        return Detections(boxes, scores, labels, frame, names)[keep]
