"""Looking at a network while it trains: scores and sample pictures of the phase's part of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import ModelSpec
from vidcolor.records import Rois
from vidcolor.train.config import TrainConfig
from vidcolor.train.measured import Closeups, ColorPictures, planes
from vidcolor.train.validate import Scores, color_picture, validate

__all__ = ["Watch"]

_log = logging.getLogger(__name__)


class _Part(nn.Module):
    """The part of a network that a phase trains, as a colorizer of its own."""

    def __init__(self, model: nn.Module, phase: str) -> None:
        super().__init__()
        self.model: Any = model
        self.phase = phase
        self.uses_rois = bool(getattr(model, "uses_rois", True))

    def forward(self, lightness: Tensor, rois: Rois | None = None) -> Tensor:
        return self.model.answer(self.phase, lightness, rois)


class Watch:
    """Validation pictures and how a phase is measured on them.

    "instance" is measured on the insides of boxes, "fusion" and "finetune" on pictures with
    their instances, where the pictures have any.

    Args:
        config: Of the run; it has validation pictures.
        spec: What the network can use.

    Raises:
        MediaError: If pictures are missing.
    """

    def __init__(self, config: TrainConfig, spec: ModelSpec) -> None:
        whole = Pictures(config.data.val)
        self._config = config
        self._boxes = None
        self._pictures: ColorPictures = whole
        phase = config.phase.name

        def boxes(number: int) -> npt.NDArray[np.float32] | None:
            return whole.boxes(number, config.data.box_score)

        if phase == "instance":
            closeups = Closeups(whole, boxes)
            if len(closeups):
                self._pictures = closeups
            else:
                _log.info("data.val has no boxes: instances are measured on whole pictures")
        elif phase != "full" and spec.rois:
            self._boxes = boxes
        self._spec = replace(spec, rois=self._boxes is not None)

    def scores(self, model: nn.Module) -> Scores:
        """Measure a whole network of the run."""
        run = self._config.run
        return validate(
            self._part(model),
            self._pictures,
            run.val_side,
            run.val_limit or None,
            spec=self._spec,
            boxes=self._boxes,
            most_boxes=self._config.data.boxes_max,
        )

    def _part(self, model: nn.Module) -> nn.Module:
        return _Part(model, self._config.phase.name)

    def samples(self, model: nn.Module) -> Iterator[npt.NDArray[np.uint8]]:
        """(H, 3 W, 3) uint8 RGB: gray, colored and true, of pictures spread over the set."""
        count = min(self._config.run.samples, len(self._pictures))
        for place in range(count):
            number = place * len(self._pictures) // count
            boxes = None if self._boxes is None else self._boxes(number)
            true, colored = color_picture(
                self._part(model),
                self._pictures.rgb(number),
                self._config.run.val_side,
                self._spec,
                None if boxes is None else boxes[: self._config.data.boxes_max],
            )
            yield np.concatenate((_gray(true), colored, true), axis=1)


def _gray(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Its lightness, without color."""
    lab = rgb_to_lab(planes([rgb]))
    lab[:, 1:] = 0
    return (lab_to_rgb(lab).clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
