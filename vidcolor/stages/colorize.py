"""Colors frames: lightness through a network, instances as close-ups beside it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.color.luma import to_lightness
from vidcolor.errors import ConfigError
from vidcolor.guidance.hints.network import HintSource
from vidcolor.models.registry import ModelSpec, SeesWhole
from vidcolor.ops.boxes import Upright, clip
from vidcolor.ops.resize import from_network, luma_to_network, network_size
from vidcolor.records import Chroma, Colored, FrameBatch, Hints, Rois, Tracked, Tracks, VideoInfo
from vidcolor.stages.portions import Link, Portions

__all__ = ["ColorizeConfig", "ColorizeFrames", "NoColor"]

_log = logging.getLogger(__name__)
_RENDER_PX = 16  # of DeOldify


@dataclass(frozen=True, slots=True)
class ColorizeConfig:
    """Which network, with which weights, at which size.

    Attributes:
        colorizer: Name of a network, see `vidcolor weights list`; "auto" is that of the weights.
        weights: Name of known weights or a file; "auto" is what the colorizer asks for, "recipe"
            are values by formula, to try a network that nobody has trained.
        short_side: Short side of the network's picture in pixels; 0 is what suits the weights.
        render_factor: DeOldify's word for a sixteenth of it; 0 leaves it to `short_side`.
        instances: Let objects be seen as close-ups, where the network can.
        style: A picture whose season, time of day and mood the film takes, where the network goes
            by a vector of the whole picture; empty: none.
        style_weight: How much of it, 0 to 1; the rest is the shot's own.
        whole_frames: So many frames at the beginning of a shot say what all of it is as a whole,
            for such networks; 0: each frame by itself, and hues waver.
    """

    colorizer: str = "auto"
    weights: str = "auto"
    short_side: int = 0
    render_factor: int = 0
    instances: bool = True
    style: str = ""
    style_weight: float = 1.0
    whole_frames: int = 24

    def __post_init__(self) -> None:
        if self.short_side and not 64 <= self.short_side <= 2048:
            raise ConfigError(f"short_side must be 0 or 64 to 2048, not {self.short_side}")
        if self.render_factor and not 4 <= self.render_factor <= 128:
            raise ConfigError(f"render_factor must be 0 or 4 to 128, not {self.render_factor}")
        if self.render_factor and self.short_side:
            raise ConfigError("render_factor is short_side / 16: give one of both")
        if not 0 <= self.style_weight <= 1:
            raise ConfigError(f"style_weight must be 0 to 1, not {self.style_weight}")
        if not 0 <= self.whole_frames <= 240:
            raise ConfigError(f"whole_frames must be 0 to 240, not {self.whole_frames}")

    @property
    def side(self) -> int:
        """Short side of the network's picture in pixels; 0 is what suits the weights."""
        return _RENDER_PX * self.render_factor or self.short_side


class NoColor:
    """The null object: neutral chroma. Memory: none. Lookahead: none."""

    def __call__(self, tracked: Tracked, /) -> Colored:
        """Frames with a*b* of 0."""
        nothing = torch.zeros(len(tracked.frames), 3, 1, 1)
        return Colored(tracked.frames, tracked.tracks, Chroma(nothing[:, :2], nothing[:, 2:]))


class ColorizeFrames:
    """Predicts a*b* at network size.

    Memory: none of frames; how many of them the network can be given at once, see `Portions`.
    Lookahead: none. Cut: a batch is of one shot, and frames do not see each other.

    Held frames are not predicted but given the color of the frame that they repeat; where that
    lies in an earlier batch, the first frame of this batch is predicted and `stabilize` (or
    `Hold`) replaces it.

    Args:
        model: A colorizer in evaluation mode, on `device`.
        spec: What it can use.
        config: Size and instances.
        device: Where it runs.
        dtype: Precision of its convolutions; float32 is the reference.
        hints: What is known of frames, for networks that take hints; others are not asked.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: ModelSpec,
        config: ColorizeConfig,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        hints: HintSource | None = None,
    ) -> None:
        self.model = model
        self.spec = spec
        self.config = config
        self.device = device
        self.dtype = dtype
        self.hints = hints if spec.hints else None
        self._portions = Portions.of(device)
        self._link = Link(device)

    def __call__(self, tracked: Tracked, /) -> Colored:
        """Color one batch."""
        frames = tracked.frames
        fresh = ~frames.is_held()
        fresh[0] = True
        numbers = fresh.nonzero().flatten()
        size = self._size(frames.info)
        lightness = luma_to_network(frames, size)
        rois = self._rois(frames, tracked.tracks, fresh) if self.uses_rois else None
        hints = self._hints(frames, size, numbers)
        ab = self._predict(lightness[numbers], rois, hints, _rows(tracked.whole, numbers))
        if ab.shape[2:] != lightness.shape[2:]:
            ab = F.interpolate(ab, size=lightness.shape[2:], mode="bilinear", align_corners=False)
        # every held frame takes the color of the last fresh one before it
        ab = ab[fresh.cumsum(0) - 1]
        chroma = Chroma(from_network(ab, frames.info), from_network(lightness, frames.info))
        return Colored(frames, tracked.tracks, chroma)

    def lightness(self, frames: FrameBatch, /) -> Tensor:
        """`Chroma.lightness` of frames, without predicting their color."""
        return from_network(luma_to_network(frames, self._size(frames.info)), frames.info)

    @torch.inference_mode()
    def whole(self, frames: FrameBatch, /) -> Tensor:
        """(N, `whole_size`) float32 on the CPU: the network's vectors of whole frames."""
        if not self.whole_size:
            return torch.zeros(len(frames), 0)
        lightness = luma_to_network(frames, self._size(frames.info)).to(self.device)
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=half):
            rows = cast(SeesWhole, self.model).whole(
                lightness.contiguous(memory_format=torch.channels_last)
            )
        return rows.float().cpu()

    @property
    def whole_size(self) -> int:
        """Numbers in a vector of a whole picture; 0: the network has none."""
        return int(getattr(self.model, "whole_size", 0))

    def _size(self, info: VideoInfo) -> tuple[int, int]:
        """`(height, width)` of the upright picture that the network sees."""
        side = self.config.side or self.spec.square or self.spec.short_side
        return network_size(info, side, self.spec.multiple, self.spec.square is not None)

    @property
    def uses_rois(self) -> bool:
        """Whether instances make a difference."""
        able = self.spec.rois and getattr(self.model, "uses_rois", True)
        return able and self.config.instances

    def _rois(self, frames: FrameBatch, tracks: Tracks, fresh: Tensor) -> Rois | None:
        """Close-ups of the instances of fresh frames; `frame` counts fresh frames."""
        tracks = tracks[fresh[tracks.detections.frame]]
        boxes = clip(tracks.detections.boxes, frames.info.size)
        whole = boxes.trunc().long()
        filled = (whole[:, 2] > whole[:, 0]) & (whole[:, 3] > whole[:, 1])
        tracks, boxes, whole = tracks[filled], boxes[filled], whole[filled]
        if len(tracks) == 0:
            return None
        place = fresh.cumsum(0) - 1
        frame = tracks.detections.frame
        crops = torch.cat(
            [
                self._crop(frames, int(f), *(int(v) for v in box))
                for f, box in zip(frame, whole, strict=True)
            ]
        )
        upright = Upright(frames.info)
        return Rois(crops, upright.from_frame(boxes), place[frame], tracks.weight, upright.size)

    def _crop(self, frames: FrameBatch, number: int, x0: int, y0: int, x1: int, y1: int) -> Tensor:
        """(1, 1, S, S) L* of a box, upright."""
        side = self.spec.crop
        codes = frames.luma[number, 0, y0:y1, x0:x1].numpy()
        shrinks = min(codes.shape) > side
        if codes.dtype == np.int32:
            codes = codes.astype(np.float32)
        small = cv2.resize(
            codes, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        luma = torch.from_numpy(np.asarray(np.rint(small), np.int32))[None, None]
        return torch.rot90(
            to_lightness(luma, frames.info.color), frames.info.rotation // 90, (2, 3)
        )

    def _hints(self, frames: FrameBatch, size: tuple[int, int], numbers: Tensor) -> Hints | None:
        """Hints of the frames that are predicted."""
        known = None if self.hints is None else self.hints(frames, size)
        return None if known is None else Hints(known.ab[numbers], known.mask[numbers])

    def _predict(
        self, lightness: Tensor, rois: Rois | None, hints: Hints | None, whole: Tensor | None
    ) -> Tensor:
        """(n, 2, h, w) float32 on the CPU, portion by portion; halves them if memory runs out."""
        pixels = _pixels(lightness, rois)
        parts = []
        start = 0
        while start < len(lightness):
            count = self._portions.count(pixels[start:])
            part = slice(start, start + count)
            given = None if hints is None else Hints(hints.ab[part], hints.mask[part])
            try:
                with self._portions.measured(sum(pixels[part])):
                    close = _select(rois, part.start, part.stop)
                    parts.append(self._run(lightness[part], close, given, _rows(whole, part)))
                start += count
            except torch.OutOfMemoryError:
                if count == 1:
                    raise
                most = self._portions.shrink(count)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                _log.warning(
                    "out of memory on %s: going on with %d frames at a time", self.device, most
                )
        self._link.wait()
        return torch.cat(parts)

    @torch.inference_mode()
    def _run(
        self, lightness: Tensor, rois: Rois | None, hints: Hints | None, whole: Tensor | None
    ) -> Tensor:
        """(n, 2, h, w) float32 on the CPU, once the link has been waited for."""
        up = self._link.up
        moved = up(lightness).contiguous(memory_format=torch.channels_last)
        half = self.dtype != torch.float32
        given: dict[str, Any] = {} if hints is None else {"hints": hints.to(self.device)}
        if whole is not None:
            given["whole"] = whole.to(self.device)
        if rois is not None:
            rois = replace(rois, crops=up(rois.crops)).to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=half):
            ab = self.model(moved, rois, **given)
        return self._link.down(ab.float())


def _pixels(lightness: Tensor, rois: Rois | None) -> list[int]:
    """What the network sees of each frame: its picture and its close-ups."""
    own = lightness[0, 0].numel()
    if rois is None:
        return [own] * len(lightness)
    close = rois.crops[0].numel() * torch.bincount(rois.frame, minlength=len(lightness))
    return [own + int(more) for more in close]


def _rows(whole: Tensor | None, frames: Tensor | slice) -> Tensor | None:
    """Vectors of some frames; one that is for all of them stays."""
    return whole if whole is None or len(whole) == 1 else whole[frames]


def _select(rois: Rois | None, start: int, stop: int) -> Rois | None:
    """Instances of frames `start` to `stop`, counted from 0."""
    if rois is None:
        return None
    keep = (rois.frame >= start) & (rois.frame < stop)
    if not keep.any():
        return None
    return Rois(
        rois.crops[keep], rois.boxes[keep], rois.frame[keep] - start, rois.weight[keep], rois.size
    )
