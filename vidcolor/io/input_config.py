"""Which part of a film is read, how, and in what portions."""

from __future__ import annotations

from dataclasses import dataclass

from vidcolor.errors import ConfigError
from vidcolor.io.gpu_decoder import check_hwaccel
from vidcolor.records import VideoInfo

__all__ = ["MOST_FRAMES", "InputConfig"]

MOST_FRAMES = 16
"""Of a batch, where its size is left open."""
_LEAST_FRAMES = 4
_BATCH_BYTES = 1 << 25
"""Of luma in a batch, about: 16 frames of 1920x1080, 8 bits. A dozen batches are on their way."""


@dataclass(frozen=True, slots=True)
class InputConfig:
    """Which part of a film is read, how, and in what portions.

    Attributes:
        start: Seconds from the first frame at which to begin; None is the beginning.
        duration: Seconds to read; None is to the end.
        batch_size: Frames decoded to a batch; None is 16, and down to 4 of pictures larger than
            1920x1080.
        hwaccel: Where the film is decoded: "none" is the processor, "cuda" an NVIDIA GPU, where
            there is one, for H.264, H.265 and VP9; the codes are the same. A film that keeps its
            own color (`vidcolor restore`) is decoded on the processor.
    """

    start: float | None = None
    duration: float | None = None
    batch_size: int | None = None
    hwaccel: str = "none"

    def __post_init__(self) -> None:
        if self.start is not None and not 0 <= self.start < float("inf"):
            raise ConfigError(f"start must be 0 or more seconds, not {self.start}")
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise ConfigError(f"duration must be more than 0 seconds, not {self.duration}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")
        check_hwaccel(self.hwaccel)

    def frames_of(self, info: VideoInfo) -> int:
        """Frames decoded to a batch of a film; the same wherever and however often it is read."""
        if self.batch_size is not None:
            return self.batch_size
        code_bytes = 1 if info.color.bits == 8 else 2 if info.color.bits < 16 else 4
        picture = info.height * info.width * code_bytes
        return min(MOST_FRAMES, max(_LEAST_FRAMES, _BATCH_BYTES // picture))
