"""A shot, looked at while it is colored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcolor.build import choose_device, load_describer
from vidcolor.errors import MediaError
from vidcolor.guidance.script.entries import timecode
from vidcolor.guidance.tracks.file import TracksFile, to_text
from vidcolor.guidance.tracks.identities import Describer
from vidcolor.guidance.tracks.survey import Survey, to_file
from vidcolor.preview import pictures
from vidcolor.preview.web.shots.frames import WIDTH, Times, kept
from vidcolor.preview.web.shots.overlays import boxes_of, sure_picture
from vidcolor.records import Colored
from vidcolor.scripted import ScriptedFilm

__all__ = ["Live", "Watch", "jpg", "overlay_of", "sure_png", "write"]


@dataclass(slots=True, eq=False)
class Live:
    """Views in the making; read by others while they grow.

    Attributes:
        folder: Where they lie.
        length: Frames of the shot.
        tick: Seconds of one pts unit.
        pts: Of the frames so far, by number; a shot may be begun anew.
        boxes: Of the same frames; empty: nobody knows.
    """

    folder: Path
    length: int
    tick: Fraction = Fraction(1)
    pts: dict[int, int] = field(default_factory=dict)
    boxes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def made(self) -> int:
        """How many frames there are."""
        return len(self.pts)

    @property
    def times(self) -> Times:
        """When they are shown."""
        return Times(tuple(pts for _, pts in sorted(self.pts.copy().items())), self.tick)


class Watch:
    """Keeps what there is to look at of a shot, batch by batch, and learns its objects.

    Attributes:
        seen: Whether anything has passed.

    Args:
        film: The film and its script.
        place: Number of the shot.
        live: Views to be.
        then: Called after every batch.
    """

    def __init__(
        self, film: ScriptedFilm, place: int, live: Live, then: Callable[[], None]
    ) -> None:
        self._film, self._live, self._then = film, live, then
        self._config = film.settings(place)
        self._survey: Survey | None = None
        self.seen = False

    def __call__(self, colored: Colored) -> None:
        """Look at a batch."""
        frames, live = colored.frames, self._live
        if frames.start == 0:
            self._begin()
        self.seen = True
        live.tick = frames.info.time_base
        for number in range(len(frames)):
            m = frames.start + number
            if m == kept(m, live.length):
                self._keep(colored, number, m)
            live.boxes[m] = boxes_of(colored, number)
            live.pts[m] = frames.pts[number]
        self._then()
        assert self._survey is not None, "a shot begins with its first frame"
        for _ in self._survey([colored]):
            pass

    def _keep(self, colored: Colored, number: int, m: int) -> None:
        rgb = pictures.after(colored, number, self._film.config.compose, WIDTH)
        write(self._live.folder / jpg(m), pictures.jpeg(rgb))
        sure = sure_picture(colored, number)
        if sure is not None:
            write(self._live.folder / sure_png(m), sure)

    def _begin(self) -> None:
        """A shot may be begun anew, where a film cannot be sought in."""
        device = choose_device(self._config.device)
        describe = Describer(load_describer(device), device)
        self._survey = Survey(describe, self._config.remember.firmness)
        self._live.boxes.clear()
        self._live.pts.clear()

    def write_tracks(self, path: Path) -> None:
        """Write down which objects were found; nothing if the shot was not colored now.

        Args:
            path: A tracks file to be.

        Raises:
            MediaError: If it cannot be written.
        """
        if self._survey is None:
            return
        begin, tick = self._film.shots[0].pts or 0, self._survey.times[1]
        found = to_file(self._survey.finish(), (begin, tick)).tracks
        entries = tuple(
            replace(entry, time=timecode((entry.first - begin) * tick)) for entry in found
        )
        text = to_text(TracksFile(entries, begin=begin, time_base=str(tick)))
        write(path, text.encode())


def overlay_of(live: Live) -> dict[str, Any]:
    """Boxes of all frames, and whether they are known at all."""
    times = live.times
    frames = [
        {"t": round(times.seconds(number), 4), "boxes": live.boxes.get(number, [])}
        for number in range(len(times.pts))
    ]
    return {"known": bool(live.boxes), "frames": frames}


def write(path: Path, data: bytes) -> None:
    """Write a file of a view.

    Raises:
        MediaError: If the disk fails.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MediaError(
            f"previews cannot be kept ({error.strerror}); make room, or set VIDCOLOR_CACHE to "
            "another folder"
        ) from error


def jpg(number: int) -> str:
    """File name of a frame."""
    return f"{number:06}.jpg"


def sure_png(number: int) -> str:
    """File name of where a person's word reaches in a frame."""
    return f"sure-{number:06}.png"
