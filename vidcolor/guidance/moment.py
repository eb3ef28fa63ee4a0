"""Where in a film: by frame, by time, or by presentation time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.given import shown

__all__ = ["FrameTimes", "Moment"]

_TIME = re.compile(r"(?:\d{1,9}:){0,2}(?:\d{1,12}(?:\.\d{0,400})?|\.\d{1,400})", re.ASCII)
_LONGEST_S = 1e12


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When the frames of a film are shown: all of them, or some.

    Attributes:
        pts: Of the frames that are known, in order, in units of `time_base`.
        time_base: Seconds of one pts unit.
        numbers: Their numbers in the film; empty: all frames are known.
        begin: pts of the film's first frame; None: the first one is known.
        count: Frames of the film; None: the last one is known.
    """

    pts: tuple[int, ...]
    time_base: Fraction
    numbers: tuple[int, ...] = ()
    begin: int | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if not self.pts:
            raise ValueError("a film without frames has no times")
        if any(b <= a for a, b in pairwise(self.pts)):
            raise ValueError("pts must rise from frame to frame")
        if self.numbers and len(self.numbers) != len(self.pts):
            raise ValueError(f"{len(self.pts)} pts need as many numbers, not {len(self.numbers)}")
        if any(b <= a for a, b in pairwise(self.numbers)):
            raise ValueError("numbers must rise from frame to frame")

    @classmethod
    def even(cls, count: int, rate: Fraction, time_base: Fraction, start: int = 0) -> FrameTimes:
        """Times of a film of which only the rate is known.

        Args:
            count: Its frames.
            rate: Frames a second.
            time_base: Seconds of one pts unit.
            start: pts of the first frame.
        """
        step = 1 / (rate * time_base)
        return cls(tuple(start + round(n * step) for n in range(count)), time_base)

    def __len__(self) -> int:
        if self.count is not None:
            return self.count
        return self.numbers[-1] + 1 if self.numbers else len(self.pts)

    def of(self, frame: int) -> int:
        """The pts of frame number `frame`.

        Raises:
            ValueError: If it is not known.
        """
        place = frame
        if self.numbers:
            place = bisect_left(self.numbers, frame)
            if place == len(self.numbers) or self.numbers[place] != frame:
                raise ValueError(f"the time of frame {frame} is not known")
        return self.pts[place]

    def seconds(self, frame: int) -> Fraction:
        """Seconds from the first frame of the film to frame number `frame`."""
        return (self.of(frame) - self._begin) * self.time_base

    def at(self, seconds: Fraction) -> int | None:
        """Number of the frame shown `seconds` after the first one; None outside the film.

        The last frame is taken to be shown as long as the one before it. A time that was rounded
        to a thousandth of a second still finds the frame that begins there.
        """
        place = self._begin + (seconds + Fraction(1, 2000)) / self.time_base
        last = self.pts[-1] - self.pts[-2] if len(self.pts) > 1 else 1 / self.time_base
        if seconds < 0 or place < self.pts[0] or place >= self.pts[-1] + max(last, 1):
            return None
        return self._number(bisect_right(self.pts, place) - 1)

    def number(self, pts: int) -> int | None:
        """Number of the frame with this very pts, None if no frame has it."""
        at = bisect_left(self.pts, pts)
        return self._number(at) if at < len(self.pts) and self.pts[at] == pts else None

    @property
    def _begin(self) -> int:
        return self.pts[0] if self.begin is None else self.begin

    def _number(self, place: int) -> int:
        return self.numbers[place] if self.numbers else place


@dataclass(frozen=True, slots=True)
class Moment:
    """A position in a film, given in one of three ways.

    Attributes:
        frame: Number of the frame, counted from 0 through the whole film.
        time: Seconds from the first frame, as a number or as text: "3.2", "1:02:03.4".
        pts: Presentation time of the frame, in units of the film's time base.
    """

    frame: int | None = None
    time: str | float | None = None
    pts: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("frame", "time", "pts") if getattr(self, name) is not None]
        if len(given) != 1:
            what = "none is given" if not given else f"{' and '.join(given)} are given"
            raise ConfigError(f"exactly one of frame, time and pts says where; {what}")
        if self.frame is not None and self.frame < 0:
            raise ConfigError(f"frame must be 0 or more, not {self.frame}")
        if self.time is not None:
            parse_time(self.time)

    @property
    def text(self) -> str:
        """As a person would write it, for messages."""
        if self.frame is not None:
            return f"frame {self.frame}"
        return f"time {self.time}" if self.time is not None else f"pts {self.pts}"

    def number(self, times: FrameTimes, where: str = "") -> int:
        """Number of the frame that is meant.

        Args:
            times: Of the film.
            where: What to call the place in messages (`hints.json: hints[2]`).

        Raises:
            GuidanceError: If it lies outside the film, or no frame has the pts.
        """
        head = f"{where}: " if where else ""
        count = len(times)
        if self.frame is not None:
            if self.frame >= count:
                raise GuidanceError(
                    f"{head}frame {self.frame} lies behind the end; "
                    f"the film has frames 0 to {count - 1}"
                )
            return self.frame
        if self.time is not None:
            found = times.at(parse_time(self.time))
            if found is None:
                end = float(times.seconds(count - 1))
                raise GuidanceError(
                    f"{head}time {self.time} lies outside the film; "
                    f"its last frame begins at {end:.3f} s"
                )
            return found
        assert self.pts is not None
        found = times.number(self.pts)
        if found is None:
            near = min(times.pts, key=lambda pts: abs(pts - (self.pts or 0)))
            raise GuidanceError(f"{head}no frame has pts {self.pts}; the nearest one has {near}")
        return found

    def resolve(self, times: FrameTimes, where: str = "") -> int:
        """The pts of the frame that is meant.

        Args:
            times: Of the film.
            where: What to call the place in messages.

        Raises:
            GuidanceError: If it lies outside the film, or no frame has the pts.
        """
        return times.of(self.number(times, where))


def _decimal(value: float) -> str:
    """The digits of a number; empty if it is too large, or none."""
    return format(Decimal(repr(float(value))), "f") if abs(value) < _LONGEST_S else ""


def parse_time(value: str | float) -> Fraction:
    """Seconds of "3.2", "2:03.4", "1:02:03.4" or a number, exactly as written.

    Raises:
        ConfigError: If it is no time.
    """
    text = value.strip() if isinstance(value, str) else _decimal(value)
    # no other form: of "1e999999999" all digits would be written out
    numbers = [Fraction(part) for part in text.split(":")] if _TIME.fullmatch(text) else []
    if not numbers or any(number >= 60 for number in numbers[1:]):
        raise ConfigError(f"time {shown(value)} is none; write seconds (3.2) or 1:02:03.4")
    return sum((number * 60**i for i, number in enumerate(reversed(numbers))), Fraction(0))
