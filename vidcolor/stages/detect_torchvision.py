"""Objects seen by torchvision's networks.

Reference: Ren et al., "Faster R-CNN", NeurIPS 2015, arXiv:1506.01497; He et al., "Mask R-CNN",
    ICCV 2017, arXiv:1703.06870.
Weights: torchvision's, trained on COCO; see `vidcolor weights list`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vidcolor.color.luma import to_lightness
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.models.weights import fetch, find, read_tensors
from vidcolor.ops.boxes import Upright, clip
from vidcolor.records import Detected, Detections, FrameBatch
from vidcolor.stages.detect import COCO_NAMES, look

if TYPE_CHECKING:
    from vidcolor.stages.detect import DetectConfig, Progress

__all__ = ["TorchvisionDetector", "autocast_backbone", "load_torchvision", "see_in_parts"]

_log = logging.getLogger(__name__)
_COUNTER = "num_batches_tracked"
# COCO has numbered 90 classes and published 80; torchvision keeps the gaps, 0 is background
_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_LEAST_SIDE_PX = 1.0


@functools.cache
def _label_table() -> Tensor:
    """(91,) position in COCO_NAMES of torchvision's labels, -1 where there is none."""
    table = torch.full((91,), -1, dtype=torch.int64)
    used = [label for label in range(1, 91) if label not in _UNUSED]
    table[used] = torch.arange(len(used))
    return table


def autocast_backbone(backbone: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Let a backbone compute in `dtype` and hand float32 on, so that boxes stay exact.

    Args:
        backbone: Gives a mapping of feature maps; changed in place.
        device: Where it lies.
        dtype: float32 leaves it as it is.
    """
    if dtype == torch.float32:
        return
    inner: Callable[[Tensor], dict[str, Tensor]] = backbone.forward

    def forward(images: Tensor) -> dict[str, Tensor]:
        with torch.autocast(device.type, dtype):
            features = inner(images)
        return {name: feature.float() for name, feature in features.items()}

    backbone.forward = forward


def load_torchvision(
    config: DetectConfig,
    name: str,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> nn.Module:
    """A network with its published weights, fetched on first use.

    Raises:
        ConfigError: If torchvision is missing or does not fit torch.
        WeightsError: If the weights are missing and cannot be fetched, or do not fit.
    """
    # before torchvision, whose import takes a second and would be in vain without them
    try:
        path = find(name)
    except WeightsError:
        path = fetch(name, progress=progress)[0]
    try:
        from torchvision.models import detection
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch: any of them
        raise ConfigError(
            f"torchvision cannot be imported ({str(error).splitlines()[0]}); install the "
            "torchvision that belongs to torch, or choose --detector motion"
        ) from None
    network = getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        box_score_thresh=config.floor,
        box_detections_per_img=config.max_objects,
    )
    # files written with frozen normalization layers lack the counter, which is not used
    missing, unexpected = network.load_state_dict(read_tensors(path), strict=False)
    missing = [key for key in missing if not key.endswith(_COUNTER)]
    if missing or unexpected:
        raise WeightsError(
            f"{path}: is not for {name}; missing {missing[:3]}, unexpected {unexpected[:3]}; "
            f"remove it and run: vidcolor weights fetch {name}"
        )
    if hasattr(network.roi_heads, "mask_head"):
        # crops need boxes only, and masks cost more than boxes
        network.roi_heads.mask_roi_pool = None
        network.roi_heads.mask_head = None
        network.roi_heads.mask_predictor = None
    autocast_backbone(network.backbone, device, dtype)
    return network.to(device).eval()


def see_in_parts(
    batch: FrameBatch,
    numbers: Sequence[int],
    device: torch.device,
    see: Callable[[Tensor], list[Detections]],
) -> list[Detections]:
    """Show frames to a network as many at a time as the device can hold.

    Args:
        batch: The frames.
        numbers: Which of them.
        device: Where the network lies; on a CPU one at a time is fastest.
        see: Gets (N, 1, h, w) float32 L* of upright pictures with square pixels on `device`;
            boxes of its results are in their pixels.

    Returns:
        Results in pixels of the coded frame, without what is empty there.
    """
    upright = Upright(batch.info)
    result: list[Detections] = []
    at, step = 0, 1 if device.type == "cpu" else max(1, len(numbers))
    while at < len(numbers):
        part = list(numbers[at : at + step])
        try:
            luma = batch.luma[part].to(device)
            seen = see(upright.picture(to_lightness(luma, batch.info.color)))
        except torch.OutOfMemoryError:
            if step == 1:
                raise
            step = (step + 1) // 2
            _log.warning("out of memory on %s: detecting in %d frames at a time", device, step)
            torch.cuda.empty_cache()
            continue
        for one in seen:
            boxes = clip(upright.to_frame(one.boxes.float().cpu()), batch.info.size)
            whole = ((boxes[:, 2:] - boxes[:, :2]) >= _LEAST_SIDE_PX).all(dim=1)
            finite = torch.isfinite(boxes).all(dim=1)
            moved = Detections(
                boxes,
                one.scores.float().cpu(),
                one.labels.cpu(),
                torch.zeros(len(boxes), dtype=torch.int64),
                one.names,
            )
            result.append(moved[whole & finite])
        at += len(part)
    return result


class TorchvisionDetector:
    """Looks with a network of torchvision at every so many frames.

    Memory: what was seen last, for held frames. Lookahead: none. Counting starts anew at a cut.

    Args:
        config: Settings.
        network: A detector of torchvision, in evaluation mode, on `device`.
        device: Where to compute.
        every: Look at every so many frames of a shot.
    """

    def __init__(
        self, config: DetectConfig, network: nn.Module, device: torch.device, every: int = 1
    ) -> None:
        self._config = config
        self._network = network
        self._device = device
        self._every = every

    def __call__(self, frames: Iterable[FrameBatch]) -> Iterator[Detected]:
        """Detect."""
        return look(frames, self._every, self._see)

    def _see(self, batch: FrameBatch, numbers: Sequence[int]) -> list[Detections]:
        return see_in_parts(batch, numbers, self._device, self._of_pictures)

    @torch.inference_mode()
    def _of_pictures(self, lightness: Tensor) -> list[Detections]:
        # it normalizes with ImageNet's numbers and resizes by itself
        rgb = (lightness / 100).expand(-1, 3, -1, -1)
        results: list[dict[str, Any]] = self._network(list(rgb))
        seen = []
        for one in results:
            labels = _label_table()[one["labels"].cpu()]
            order = torch.arange(len(labels))
            keep = (labels >= 0) & (one["scores"].cpu() >= self._config.floor)
            keep &= order < self._config.max_objects
            seen.append(
                Detections(
                    one["boxes"].cpu(),
                    one["scores"].cpu(),
                    labels,
                    torch.zeros(len(labels), dtype=torch.int64),
                    COCO_NAMES,
                )[keep]
            )
        return seen
