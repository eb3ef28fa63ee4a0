"""How a colorizer is given a picture of known color: as the line does it, or as papers do."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.build import build_line
from vidcolor.color.compose import compose_rgb
from vidcolor.color.lab import lab_to_rgb, rgb_to_lab
from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.evaluate.sets.cost import networks_of
from vidcolor.evaluate.sets.resize import Resize, resize
from vidcolor.evaluate.sets.shown import Boxes, Shown
from vidcolor.io.image import still_frame
from vidcolor.ops.boxes import clip
from vidcolor.ops.resize import network_size
from vidcolor.pipeline import Pipeline
from vidcolor.records import Chroma, Detections, FrameBatch, Rois, Tracked, Tracks, VideoInfo
from vidcolor.stages.colorize import ColorizeFrames

__all__ = ["LineWay", "NetworkWay", "Painting", "Way"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Painting = tuple[Bytes, Chroma]


class Way(Protocol):
    """Colors pictures by one network.

    Attributes:
        line: What it was built from.
    """

    line: Pipeline

    @property
    def uses_rois(self) -> bool:
        """Instances make a difference."""
        ...

    def gray(self, shown: Shown) -> Bytes:
        """The picture without color: what is uncolored here."""
        ...

    def paint(self, shown: Shown, boxes: Boxes, share: float) -> Painting:
        """Color a picture.

        Args:
            shown: The picture; only its lightness is seen.
            boxes: Of instances, in pixels of the stored picture.
            share: How much they count; 0 leaves them out.

        Returns:
            (H, W, 3) uint8 R'G'B' at the compared size, and its a*b* with the lightness that
            goes with it, as small as it is.
        """
        ...

    def flat(self, shown: Shown, color: tuple[float, float], like: Chroma) -> Bytes:
        """The picture in one a*b*, on the grid of a painting."""
        ...


def _stage(line: Pipeline) -> Any:
    return getattr(line.colorize, "colorize", line.colorize)


class LineWay:
    """As `vidcolor colorize` colors a picture: Y' is kept, L* gives way.

    Boxes are those that are given, the line's detector is not asked.

    Args:
        config: Of the line.
    """

    def __init__(self, config: Config) -> None:
        blind = dataclasses.replace(config.detect, detector="none")
        self.line = build_line(dataclasses.replace(config, detect=blind), still=True)
        self._compose = config.compose

    @property
    def uses_rois(self) -> bool:
        """Instances make a difference."""
        return bool(_stage(self.line).uses_rois)

    def gray(self, shown: Shown) -> Bytes:
        """Y' in all three channels."""
        luma = still_frame(shown.truth).luma[0, 0].numpy()
        return np.repeat(luma[..., None], 3, axis=2)

    def paint(self, shown: Shown, boxes: Boxes, share: float) -> Painting:
        """See `Way`."""
        frame = still_frame(shown.truth)
        tracks = Tracks.empty()
        if share and len(boxes.corners):
            corners = torch.from_numpy(shown.scaled(boxes.corners))
            weight = torch.from_numpy(boxes.weight) * share
            count = len(corners)
            zeros = torch.zeros(count, dtype=torch.int64)
            found = Detections(corners, torch.ones(count), zeros, zeros)
            tracks = Tracks(found, torch.arange(count), weight)
        (colored,) = self.line.color(iter((Tracked(frame, tracks),)))
        return self._laid(frame, colored.chroma), colored.chroma

    def _laid(self, frame: FrameBatch, chroma: Chroma) -> Bytes:
        return cast(
            Bytes,
            compose_rgb(
                frame.luma[0, 0].numpy(),
                chroma.ab[0].numpy(),
                chroma.lightness[0, 0].numpy(),
                frame.info.color,
                self._compose,
            ),
        )

    def flat(self, shown: Shown, color: tuple[float, float], like: Chroma) -> Bytes:
        """See `Way`."""
        ab = torch.tensor(color).view(1, 2, 1, 1).expand_as(like.ab).contiguous()
        return self._laid(still_frame(shown.truth), Chroma(ab, like.lightness))


class NetworkWay:
    """As papers do: L* of the true picture goes in, and stays.

    The network sees the compared picture, at another size where it wants one: of the side that
    the line's settings name, else of the compared side, else of its own; squashed where it
    wants squares or the protocol is square. a*b* comes back by bilinear interpolation.

    Args:
        config: Of the line; the network, its precision and device are taken from it.
        size: Side at which pictures are compared; 0 is their own.
        square: Pictures are squashed.
        how: How pictures are resized for the network.

    Raises:
        ConfigError: If two networks are merged, or the line has a style.
    """

    def __init__(self, config: Config, size: int, square: bool, how: Resize) -> None:
        blind = dataclasses.replace(config.detect, detector="none")
        self.line = build_line(dataclasses.replace(config, detect=blind), still=True)
        stage = _stage(self.line)
        if not isinstance(stage, ColorizeFrames):
            raise ConfigError("merged networks color by the line only: way = 'line'")
        if config.colorize.style:
            raise ConfigError("a style is given by the line only: way = 'line'")
        self._stage: ColorizeFrames = stage
        (self._model,) = networks_of(stage)
        spec = stage.spec
        named = config.colorize.side
        self._side = named or size or stage.config.side or spec.square or spec.short_side
        self._square = square or spec.square is not None
        # a network that squashes what is not squashed, or was told a side, sees another picture
        self._own = bool(named) or not size or self._square != square
        self._how = how

    @property
    def uses_rois(self) -> bool:
        """Instances make a difference."""
        return self._stage.uses_rois

    def gray(self, shown: Shown) -> Bytes:
        """L* alone."""
        return _joined(_lightness(shown.truth), torch.zeros(1, 2, 1, 1))

    def flat(self, shown: Shown, color: tuple[float, float], like: Chroma) -> Bytes:
        """See `Way`; one color is the same on any grid."""
        return _joined(_lightness(shown.truth), torch.tensor(color).view(1, 2, 1, 1))

    @torch.inference_mode()
    def paint(self, shown: Shown, boxes: Boxes, share: float) -> Painting:
        """See `Way`."""
        lightness = _lightness(shown.truth)
        seen = lightness
        size = self._sees(shown.truth)
        if size != tuple(lightness.shape[2:]):
            seen = _lightness(resize(shown.stored, size, self._how))
        rois = self._rois(shown, boxes, share) if share else None
        ab = self._run(seen, rois)
        whole = (int(lightness.shape[2]), int(lightness.shape[3]))
        ab = F.interpolate(ab, size=whole, mode="bilinear", align_corners=False)
        return _joined(lightness, ab), Chroma(ab, lightness)

    def _sees(self, truth: Bytes) -> tuple[int, int]:
        multiple = self._stage.spec.multiple
        size = int(truth.shape[0]), int(truth.shape[1])
        fits = all(side % multiple == 0 for side in size)
        if fits and not self._own:
            return size
        return network_size(VideoInfo(*size), self._side, multiple, self._square)

    def _run(self, seen: Tensor, rois: Rois | None) -> Tensor:
        device, dtype = self._stage.device, self._stage.dtype
        seen = seen.to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            ab = self._model(seen) if rois is None else self._model(seen, rois.to(device))
        return cast(Tensor, ab).float().cpu()

    def _rois(self, shown: Shown, boxes: Boxes, share: float) -> Rois | None:
        """Close-ups of the stored picture, as the line cuts them of a film: they show more."""
        height, width = shown.stored.shape[:2]
        corners = clip(torch.from_numpy(np.array(boxes.corners, np.float32)), (height, width))
        whole = corners.trunc().long()
        there = (whole[:, 2] > whole[:, 0]) & (whole[:, 3] > whole[:, 1])
        if not there.any():
            return None
        side = self._stage.spec.crop
        crops = [
            _lightness(resize(shown.stored[y0:y1, x0:x1], (side, side), self._how))
            for x0, y0, x1, y1 in whole[there].tolist()
        ]
        placed = torch.from_numpy(shown.scaled(corners[there].numpy()))
        return Rois(
            torch.cat(crops),
            placed,
            torch.zeros(len(crops), dtype=torch.int64),
            torch.from_numpy(np.array(boxes.weight))[there] * share,
            (int(shown.truth.shape[0]), int(shown.truth.shape[1])),
        )


def _lightness(rgb: Bytes) -> Tensor:
    """(1, 1, H, W) float32 L* of a picture."""
    planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float() / 255
    return rgb_to_lab(planes)[:, :1]


def _joined(lightness: Tensor, ab: Tensor) -> Bytes:
    """(H, W, 3) uint8 of L* and a*b*; what lies outside the gamut is clipped."""
    ab = ab.expand(1, 2, *lightness.shape[2:])
    rgb = lab_to_rgb(torch.cat((lightness, ab), 1)).clamp(0, 1)
    return np.ascontiguousarray((rgb[0] * 255).round().byte().permute(1, 2, 0).numpy())
