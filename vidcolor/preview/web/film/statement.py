"""What the page is told of a film: the color script in the page's words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from vidcolor.color.lab import lab_to_rgb
from vidcolor.guidance.colors import Color
from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.guidance.moment import Moment, parse_time
from vidcolor.guidance.references.entries import ReferenceEntry
from vidcolor.guidance.script.edits import hint_id, reference_id
from vidcolor.guidance.script.entries import ColorScript, ShotEntry, timecode
from vidcolor.guidance.script.text import to_data
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.preview.sketch import SketchShot
from vidcolor.preview.web.desk.controls import chosen
from vidcolor.preview.web.desk.geometry import hint_places, hint_radius
from vidcolor.preview.web.shots.frames import CLIP_FRAMES, Times, picture_step
from vidcolor.records import TRACKS_OF_A_SHOT, VideoInfo

__all__ = ["Clock", "hints", "references", "rough_shots", "shots", "tracks"]

_SWATCHES = 1024  # colors that are remembered; films have few
_SWATCH_LIGHTNESS = 60.0  # of colors that were given without one


class Clock:
    """Frames of a film by time: by the frames that were decoded, else by the rate.

    Args:
        script: Has shots.
        info: Of the film.
        first_pts: Of its first frame.
        times: Of a shot's frames, where they are known.
    """

    def __init__(
        self,
        script: ColorScript,
        info: VideoInfo,
        first_pts: int,
        times: Callable[[int], Times | None],
    ) -> None:
        self.script, self.info, self.first_pts = script, info, first_pts
        self._times = times
        self._step = 1 / (info.rate * info.time_base) if info.rate > 0 else Fraction(1)

    def begins(self, shot: ShotEntry) -> int:
        """pts of the first frame of a shot."""
        if shot.pts is not None:
            return shot.pts
        return self.first_pts + round(shot.start * self._step)

    def ends(self, shot: ShotEntry) -> int:
        """pts at which a shot is over."""
        if shot.number + 1 < len(self.script.shots):
            return self.begins(self.script.shots[shot.number + 1])
        if shot.end_pts is not None:
            return shot.end_pts + round(self._step)
        return self.begins(shot) + round(len(shot) * self._step)

    def frame(self, shot: ShotEntry, pts: int) -> int:
        """Number within a shot of the frame that is shown at a time."""
        times = self._times(shot.number)
        if times is not None:
            return times.number(pts)
        number = int((pts - self.begins(shot)) / self._step + Fraction(1, 2))
        return min(max(0, number), len(shot) - 1)

    def place(self, moment: Moment | None) -> tuple[int | None, int | None]:
        """Shot and frame within it; None for what the script does not tell."""
        number = None if moment is None else self.script.shot_at(moment)
        if moment is None or number is None:
            return None, None
        shot = self.script.shots[number]
        if moment.frame is not None:
            return number, moment.frame - shot.start
        pts = moment.pts
        if pts is None:
            assert moment.time is not None, "a moment is a frame, a time or a pts"
            # times are written to a thousandth; half of that more still finds their frame
            seconds = parse_time(moment.time) + Fraction(1, 2000)
            pts = self.first_pts + int(seconds / self.info.time_base)
        return number, self.frame(shot, pts)


def bounds(frames: int) -> dict[str, int]:
    """What is kept of a shot to look at: how long its clip is, and beyond it one of how many.

    Args:
        frames: Of the shot.
    """
    return {"clip_frames": min(frames, CLIP_FRAMES), "picture_step": picture_step(frames)}


def shots(clock: Clock) -> list[dict[str, Any]]:
    """Shots as the script has them, without what was made of them."""
    tick = clock.info.time_base
    rows: list[dict[str, Any]] = []
    for shot in clock.script.shots:
        begins, ends = clock.begins(shot), clock.ends(shot)
        rows.append(
            {
                "number": shot.number,
                "start": shot.start,
                "end": shot.end,
                "frames": len(shot),
                "time": timecode((begins - clock.first_pts) * tick),
                "seconds": round(float((ends - begins) * tick), 3),
                "note": shot.note,
                "references": shot.references,
                "colorizer": shot.colorizer,
                "weights": shot.weights,
                "settings": chosen(shot.settings),
                "grade": to_data(shot.grade),
                **bounds(len(shot)),
            }
        )
    return rows


def rough_shots(
    found: Sequence[SketchShot], info: VideoInfo, first_pts: int, seconds: Fraction | None
) -> list[dict[str, Any]]:
    """Shots that were seen at key frames, while the exact ones are looked for."""
    rows: list[dict[str, Any]] = []
    for number, shot in enumerate(found):
        ends = shot.end_pts
        if number + 1 < len(found):
            ends = found[number + 1].pts
        elif ends is None and seconds is not None:
            ends = first_pts + round(seconds / info.time_base)
        length = Fraction(0) if ends is None else max(0, ends - shot.pts) * info.time_base
        frames = max(1, round(length * info.rate))
        start = round((shot.pts - first_pts) * info.time_base * info.rate)
        rows.append(
            {
                "number": number,
                "start": start,
                "end": start + frames - 1,
                "frames": frames,
                "time": timecode((shot.pts - first_pts) * info.time_base),
                "seconds": round(float(length), 3),
                "state": "none",
                "key": None,
                "shown_key": None,
                "made": 0,
                "note": "",
                "references": True,
                "colorizer": None,
                "weights": None,
                "settings": {},
                "grade": {},
                "thumb": False,
                **bounds(frames),
            }
        )
    return rows


def hints(clock: Clock) -> list[dict[str, Any]]:
    """Hints of the script, in fractions of the upright picture."""
    rows = []
    for hint in clock.script.hints:
        shot, frame = clock.place(hint.moment)
        if shot is None and isinstance(hint.track, int):
            shot = _home(clock.script, hint.track)
        rows.append(
            {
                "id": hint_id(hint),
                "shot": shot,
                "frame": frame,
                "kind": "whole" if hint.whole else "region" if hint.region else "points",
                "points": [round(value, 5) for value in hint_places(hint, clock.info)],
                "color": hint.color,
                "hex": _hex(hint),
                "track": hint.track,
                "radius": hint_radius(hint, clock.info),
                "reach": hint.reach,
                "note": hint.note,
            }
        )
    return rows


def references(clock: Clock) -> list[dict[str, Any]]:
    """Reference pictures of the script."""
    return [_reference(clock, entry) for entry in clock.script.references]


def _reference(clock: Clock, entry: ReferenceEntry) -> dict[str, Any]:
    shot, frame = clock.place(entry.moment)
    if shot is None and len(entry.shots) == 1:
        shot = entry.shots[0]
    return {
        "id": reference_id(entry),
        "file": entry.file.replace("\\", "/").rsplit("/", 1)[-1],  # folders are not for browsers
        "shot": shot,
        "shots": list(entry.shots),
        "frame": frame,
        "strength": entry.strength,
        "method": entry.method,
    }


def tracks(clock: Clock, found: Mapping[int, Sequence[TrackEntry]]) -> list[dict[str, Any]]:
    """Objects: those of the script, and those found in shots of which it knows none.

    Args:
        clock: The film.
        found: Of shots that were colored, by number.
    """
    script = clock.script
    known = {entry.shot for entry in script.tracks}
    entries = [(entry, True) for entry in script.tracks]
    for shot, ones in sorted(found.items()):
        if shot not in known:
            entries += [(entry, False) for entry in ones]
    return [_track(clock, entry, sure) for entry, sure in entries]


def _track(clock: Clock, entry: TrackEntry, known: bool) -> dict[str, Any]:
    shots = clock.script.shots
    shot = shots[entry.shot] if entry.shot < len(shots) else None
    return {
        "id": entry.id,
        "shot": entry.shot,
        "identity": entry.identity,
        "label": entry.label,
        "name": entry.name,
        "color": entry.color or None,
        "mean": entry.mean or None,
        "first_frame": 0 if shot is None else clock.frame(shot, entry.first),
        "last_frame": 0 if shot is None else clock.frame(shot, entry.last),
        "known": known,
    }


def _home(script: ColorScript, track: int) -> int | None:
    """The shot of a track."""
    found = (entry.shot for entry in script.tracks if entry.id == track)
    shot = next(found, track // TRACKS_OF_A_SHOT)
    return shot if shot < len(script.shots) else None


def _hex(hint: HintEntry) -> str | None:
    """How the color of a hint looks; None for one that leaves the automatic color."""
    return None if hint.leaves else swatch(hint.value)


@functools.lru_cache(maxsize=_SWATCHES)
def swatch(color: Color) -> str:
    """`#rrggbb` of a color, at a middle lightness if it has none."""
    lightness = _SWATCH_LIGHTNESS if color.lightness is None else color.lightness
    lab = torch.tensor((lightness, *color.ab), dtype=torch.float64).view(1, 3, 1, 1)
    rgb = lab_to_rgb(lab).clamp(0, 1).flatten().tolist()
    return "#" + "".join(f"{round(value * 255):02x}" for value in rgb)
