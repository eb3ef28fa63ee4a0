"""References: color pictures that show what color things have, and colored frames of the film.

A reference is a picture of the scene or of a character, in any number and any order. One that
says where it stands in the film (`frame`, `time` or `pts`, or the name `frame_000120.png`) is a
colored keyframe: its luma is that of the frame, and its color is carried on from there along
motion. A picture without a place that shows a frame of the film is recognized as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.guidance.moment import Moment
from vidcolor.io.color_frames import read_picture, resize
from vidcolor.io.image import EXTENSIONS, list_images, still_frame
from vidcolor.ops.resize import luma_to_network, network_size

__all__ = [
    "SIDES_PX",
    "Reference",
    "ReferenceEntry",
    "ReferencesConfig",
    "list_references",
    "load_references",
]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDES_PX = 32
"""Sides of small pictures are multiples of this, as networks want them."""

_NUMBERED = re.compile(r"(?:frame_)?(\d{4,})", re.IGNORECASE)
_LEAST_SIDE_PX = 32
_SAME_ASPECT = 0.03  # as a part; pictures nearer than that are brought to the film's very size
_LEAST_CHROMA = 1.0  # of its most colorful tenth; less is a gray picture stored with three channels


@dataclass(frozen=True, slots=True)
class ReferenceEntry:
    """One color picture, and what it is good for.

    Attributes:
        file: The picture, or a folder of pictures; seen from the file that names it.
        frame: Number of the frame of the film that it shows, from 0 through the whole film.
        time: Or the time of that frame, in seconds or as "1:02:03.4".
        pts: Or its presentation time.
        shots: Numbers of the shots in which it counts; empty is all of them.
        strength: How far it has a say, 0 to 1.
        method: `match` finds the same things in picture and film; `statistics` only looks for
            pixels of like lightness and texture, for pictures that have nothing else in common;
            `tone` gives the automatic color the picture's mean and spread.
    """

    file: str
    frame: int | None = None
    time: str | float | None = None
    pts: int | None = None
    shots: tuple[int, ...] = ()
    strength: float = 1.0
    method: Literal["match", "statistics", "tone"] = "match"

    def __post_init__(self) -> None:
        if not self.file.strip():
            raise ConfigError("file must name a picture or a folder of pictures")
        if any(value is not None for value in (self.frame, self.time, self.pts)):
            Moment(self.frame, self.time, self.pts)
            if self.method != "match":
                raise ConfigError(
                    f"a frame of the film is carried along motion, not by {self.method}; leave out "
                    "method or the place"
                )
        if any(shot < 0 for shot in self.shots):
            raise ConfigError(f"shots are numbered from 0, not {list(self.shots)}")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be 0 to 1, not {self.strength}")

    @property
    def moment(self) -> Moment | None:
        """Where in the film it stands, if it is a frame of it."""
        if self.frame is None and self.time is None and self.pts is None:
            return None
        return Moment(self.frame, self.time, self.pts)

    def counts_in(self, shot: int) -> bool:
        """Whether it has a say in a shot."""
        return self.strength > 0 and (not self.shots or shot in self.shots)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A picture that was read.

    Attributes:
        entry: What the person said of it.
        path: The file, for messages.
        rgb: (H, W, 3) uint8 R'G'B', upright.
    """

    entry: ReferenceEntry
    path: Path
    rgb: Bytes

    def small(self, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Lightness and color as the line sees frames.

        Args:
            size: `(height, width)` of the film's upright small picture. A picture of the same
                aspect gets this very size; another one the same short side.

        Returns:
            (h, w) L* of its Y' and (2, h, w) a*b*; both sides are multiples of `SIDES_PX`.
        """
        frame = still_frame(self.rgb)
        height, width = frame.info.size
        if abs(width * size[0] / (height * size[1]) - 1) > _SAME_ASPECT:
            size = network_size(frame.info, min(size), SIDES_PX)
        lightness = luma_to_network(frame, size)[0, 0].numpy()
        pixels = np.ascontiguousarray(resize(self.rgb, size).transpose(2, 0, 1))
        lab = rgb_to_lab(torch.from_numpy(pixels)[None].float() / 255)
        return lightness, lab[0, 1:].numpy()


@dataclass(frozen=True, slots=True)
class ReferencesConfig:
    """How references are matched and believed.

    Attributes:
        short_side: Short side of the small picture in which places are found, in pixels.
        length: Numbers that describe a cell, besides its lightness and texture.
        most_cells: Cells of references that a frame is compared with; of more, every so many.
        sure: Squared distance of descriptors up to which a match is fully believed.
        strange: And from which it is not, in a scene that the references do not show.
        strange_known: And from which it is not, in a scene that they do show.
        scene_least: Share of sure cells in a frame under which the scene is another one.
        scene_full: Share of sure cells from which the scene is known.
    """

    short_side: int = 192
    length: int = 64
    most_cells: int = 8448
    sure: float = 1.0
    strange: float = 2.0
    strange_known: float = 4.6
    scene_least: float = 0.1
    scene_full: float = 0.35

    def __post_init__(self) -> None:
        if not 96 <= self.short_side <= 512 or self.short_side % SIDES_PX:
            raise ConfigError(
                f"short_side must be 96 to 512, a multiple of {SIDES_PX}, not {self.short_side}"
            )
        if self.length < 1 or self.most_cells < 16:
            raise ConfigError(
                "length must be at least 1 and most_cells at least 16, not "
                f"{self.length} and {self.most_cells}"
            )
        if not 0 < self.sure < self.strange <= self.strange_known:
            raise ConfigError(
                "0 < sure < strange <= strange_known is needed, not "
                f"{self.sure}, {self.strange}, {self.strange_known}"
            )
        if not 0 <= self.scene_least < self.scene_full <= 1:
            raise ConfigError(
                "0 <= scene_least < scene_full <= 1 is needed, not "
                f"{self.scene_least} and {self.scene_full}"
            )


def list_references(paths: Iterable[str | Path]) -> tuple[ReferenceEntry, ...]:
    """What a person means by naming pictures and folders: numbered pictures are keyframes.

    Args:
        paths: Pictures, or folders of them. `frame_000120.png` and `000120.png` (four digits or
            more) stand for frame 120 of the film; other names are pictures without a place.

    Raises:
        GuidanceError: If one is missing, no picture, or a folder without pictures.
    """
    entries = []
    for path in map(Path, paths):
        for picture in _pictures(path):
            match = _NUMBERED.fullmatch(picture.stem)
            number = int(match[1]) if match else None
            entries.append(ReferenceEntry(str(picture), frame=number))
    return tuple(entries)


def load_references(
    entries: Sequence[ReferenceEntry], base: Path | None = None
) -> tuple[Reference, ...]:
    """Read the pictures of entries; a folder gives as many as it holds.

    Args:
        entries: What a person wrote.
        base: The folder from which their files are seen; the working directory if None.

    Raises:
        GuidanceError: If a file is missing, no picture, too small, or has no color.
    """
    references = []
    for entry in entries:
        path = Path(entry.file).expanduser()
        path = path if base is None else base / path
        if path.is_dir() and entry.moment is not None:
            raise GuidanceError(f"{path}: is a folder; only a single picture can be one frame")
        for picture in _pictures(path):
            own = entry
            numbered = _NUMBERED.fullmatch(picture.stem) if path.is_dir() else None
            if numbered and entry.method == "match":
                own = ReferenceEntry(
                    str(picture),
                    frame=int(numbered[1]),
                    shots=entry.shots,
                    strength=entry.strength,
                )
            references.append(Reference(own, picture, _read(picture)))
    return tuple(references)


def _pictures(path: Path) -> list[Path]:
    if path.is_dir():
        try:
            return list_images(path)
        except MediaError as error:
            raise GuidanceError(f"reference {error}") from None
    if path.suffix.lower() not in EXTENSIONS:
        raise GuidanceError(f"reference {path}: is no picture; use {', '.join(EXTENSIONS)}")
    if not path.is_file():
        raise GuidanceError(f"reference {path}: no such file")
    return [path]


def _read(path: Path) -> Bytes:
    try:
        rgb: Any = read_picture(path)
    except MediaError as error:
        raise GuidanceError(f"reference {error}") from None
    if min(rgb.shape[:2]) < _LEAST_SIDE_PX:
        raise GuidanceError(
            f"reference {path}: {rgb.shape[1]}x{rgb.shape[0]} pixels are too few; "
            f"at least {_LEAST_SIDE_PX} a side are needed"
        )
    spread = np.ptp(rgb[::2, ::2].astype(np.int16), axis=2)
    if np.quantile(spread, 0.95) < _LEAST_CHROMA + 2:
        raise GuidanceError(f"reference {path}: is gray; a reference must have color")
    return np.asarray(rgb, np.uint8)
