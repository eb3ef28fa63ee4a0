"""Vertical scratches: thin lines that stay where they are while the scene moves behind them.

A line must stand out over a good part of the height, be thin, lie between likes, and be there in
several frames. That it is damage and no thing of the scene is known only where the scene moves
(`lines_motion`); else the spot is left for a person to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from vidcolor.errors import ConfigError
from vidcolor.repair.lines.motion import LineTracks, MotionLimits, Track
from vidcolor.repair.lines.sums import residual_of, segments
from vidcolor.repair.lines.trace import Line, TraceLimits, trace
from vidcolor.repair.pane import Pane, PaneConfig, picture_window
from vidcolor.repair.records import Spot, State
from vidcolor.repair.small import narrowed
from vidcolor.repair.spots import trimmed
from vidcolor.repair.window import Frame, Window

__all__ = ["LineConfig", "LineDetector"]

_STRONG = {"low": 15.0, "normal": 12.0, "high": 10.0, "maximum": 8.0}
_CONTRAST = {"low": 6.0, "normal": 4.0, "high": 3.0, "maximum": 2.0}
_WEAK = 0.6  # of the sum of a strong line: such are kept to be followed
_REACH = 12  # frames over which lines and the scene are compared
_FRAMES = 7  # around the one in question that are asked
_MOST = 16  # pieces of each sign in each band
_SCAN_LINES = 1080
_LEAST_WIDE_PX = 3.0  # a line may be so wide in small pictures
_UNDECIDED = 0.5  # most confidence without motion
_SURE = 0.7  # least confidence with it


@dataclass(frozen=True, slots=True)
class LineConfig:
    """How vertical scratches are found.

    Attributes:
        enabled: Look for them.
        sensitivity: `low`, `normal`, `high` or `maximum`: how faint a line may be.
        widest_px: Widest line, in pixels of a picture of 1080 lines.
        most_lean: Steepest lean, in columns for each row.
        agree: Least share of the rows in which the sign is the line's.
        uneven: Most that the means left and right of a line may differ, in cv.
        bridge: Gaps in a line that are filled, as a share of the height.
        shortest: Shortest line, as a share of the height.
        longest: Share of the height that a line takes in some frame of the shot, or it is not
            repaired unasked.
        frames: Of seven frames around, a line must be in so many pictures.
        near_px: Most that a line moves from frame to frame, in pixels of 1080 lines.
        moved_px: Least motion of the scene that tells a line from a thing, in pixels.
        far_px: Motion of the scene, in pixels, in which a scratch must have stayed once.
        stays: Most of the scene's motion that a scratch takes part in.
        goes: Least of it that a thing takes part in.
        standing: Most of the frame that may stand still, or motion proves no scratch.
        polarity: `both`, or only `dark` or `bright` lines.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    widest_px: float = 13.0
    most_lean: float = 0.03
    agree: float = 0.7
    uneven: float = 20.0
    bridge: float = 0.15
    shortest: float = 0.2
    longest: float = 0.5
    frames: int = 3
    near_px: float = 2.0
    moved_px: float = 2.0
    far_px: float = 6.0
    stays: float = 0.15
    goes: float = 0.5
    standing: float = 0.4
    polarity: str = "both"

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.sensitivity not in _STRONG:
            known = ", ".join(_STRONG)
            raise ConfigError(f"sensitivity must be one of {known}, not {self.sensitivity!r}")
        if self.polarity not in ("both", "dark", "bright"):
            raise ConfigError(f"polarity must be both, dark or bright, not {self.polarity!r}")
        for name in ("agree", "bridge", "shortest", "longest", "stays", "goes", "standing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be 0 to 1, not {getattr(self, name)}")
        for name, least, most in (
            ("widest_px", 1, 100), ("most_lean", 0, 0.2), ("uneven", 0, 255), ("near_px", 0.1, 50),
            ("moved_px", 0.5, 100), ("far_px", 0.5, 1000), ("frames", 1, 7),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name} must be {least:g} to {most:g}, not {getattr(self, name)}"
                )
        if self.stays >= self.goes:
            raise ConfigError(f"stays ({self.stays}) must be below goes ({self.goes})")


class LineDetector:
    """Finds vertical scratches.

    Memory: the lines of the frames of a window, as a column for each group of rows, and of the
    shot which lines are known to stay or to go. Nothing of it crosses a cut: whether a line goes
    on in another shot is not asked.

    Attributes:
        before: Frames before the one in question.
        after: Frames after it.

    Args:
        config: How lines are found.
        pane: How the picture window is found.
    """

    before = 6
    after = 6

    def __init__(self, config: LineConfig | None = None, pane: PaneConfig | None = None) -> None:
        self._config = config or LineConfig()
        self._pane = pane or PaneConfig()

    def begin(self) -> Callable[[Window], list[Spot]]:
        """See `Detector`."""
        if not self._config.enabled:
            return lambda _: []
        return _Shot(self._config, self._pane)


class _Shot:
    def __init__(self, config: LineConfig, pane: PaneConfig) -> None:
        self._config, self._pane_config = config, pane
        self._found: dict[int, list[tuple[Line, Track]]] = {}
        self._tracks: LineTracks | None = None
        self._pane: Pane | None = None

    def __call__(self, window: Window) -> list[Spot]:
        window = narrowed(window, LineDetector.before, LineDetector.after)
        if self._tracks is None:
            self._open(window)
        assert self._tracks is not None
        for frame in window.frames:
            if frame.place not in self._found:
                lines = self._lines(frame)
                tracks = self._tracks.add(frame.place, lines, frame.link)
                self._found[frame.place] = list(zip(lines, tracks, strict=True))
        oldest = window.frames[0].place
        for place in [place for place in self._found if place < oldest]:
            del self._found[place]
        spots = []
        for line, track in self._found[window.frame.place]:
            spot = self._spot(line, track, window.frame)
            if spot is not None:
                spots.append(spot)
        return spots

    def _open(self, window: Window) -> None:
        frame = window.frame
        planes = [one.plane for one in window.frames]
        self._pane = picture_window(planes, frame.info.color.bits, self._pane_config)
        height, width = frame.plane.shape
        links = [one.link for one in window.frames if one.link is not None]
        inside = None
        if links:
            grid = links[0].back.shape[:2]
            small = self._pane.inside.astype(np.uint8)
            inside = cv2.resize(small, grid[::-1], None, 0, 0, cv2.INTER_NEAREST) > 0
        config, scale = self._config, height / _SCAN_LINES
        limits = MotionLimits(
            max(1.0, config.near_px * scale), _REACH, config.moved_px, config.far_px,
            config.longest, config.stays, config.goes, config.standing,
        )  # fmt: skip
        self._tracks = LineTracks(limits, (height, width), inside)
        self._limits = TraceLimits(
            _STRONG[config.sensitivity], _CONTRAST[config.sensitivity],
            max(_LEAST_WIDE_PX, config.widest_px * scale), config.agree, config.uneven,
            config.bridge, config.shortest,
        )  # fmt: skip

    def _lines(self, frame: Frame) -> list[Line]:
        """The lines of a frame; of one that repeats the frame before, those of that one."""
        if frame.link is not None and frame.link.same and frame.place - 1 in self._found:
            return [line for line, _ in self._found[frame.place - 1]]
        pane = self._pane
        assert pane is not None
        config, limits = self._config, self._limits
        part = frame.plane[pane.top : pane.bottom, pane.left : pane.right]
        residual = residual_of(part, frame.unit, limits.widest_px)
        found = segments(residual, _WEAK * limits.strong, config.most_lean, _MOST)
        if config.polarity != "both":
            found = [one for one in found if (one.z > 0) == (config.polarity == "bright")]
        lines = trace(residual, found, limits, (pane.top, pane.left))
        return [line for line in lines if not self._at_bar(line, pane, frame.plane.shape[1])]

    def _at_bar(self, line: Line, pane: Pane, width: int) -> bool:
        """Whether a line lies at the edge of a bar, which sways and is no scratch."""
        x, near = float(np.median(line.x)), self._limits.widest_px
        return (pane.left > 0 and x < pane.left + near) or (
            pane.right < width and x > pane.right - 1 - near
        )

    def _spot(self, line: Line, track: Track, frame: Frame) -> Spot | None:
        around = sorted(track.seen, key=lambda one: abs(one.place - frame.place))
        around = [one for one in around if abs(one.place - frame.place) <= LineDetector.before]
        pictures = sum(one.fresh and one.strong for one in around[:_FRAMES])
        verdict = self._tracks.verdict(track) if self._tracks is not None else "undecided"
        if pictures < self._config.frames or verdict == "scene":
            return None
        part = line.hole(frame.plane.shape)
        if part is None or self._pane is None:
            return None
        top, left, hole = part
        height, width = hole.shape
        hole &= self._pane.inside[top : top + height, left : left + width]
        share = min(1.0, pictures / _FRAMES)
        if verdict == "scratch":
            state: State
            confidence, state = _SURE + (1 - _SURE) * share, "accepted"
        else:
            confidence, state = _UNDECIDED * share, "review"
        return trimmed("scratch", (top, left), hole, confidence, state)
