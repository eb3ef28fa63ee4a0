"""Color scripts of films: the first one, found by a pass over the film, and how one is obeyed."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcolor.build import (
    Download,
    build_line,
    choose_device,
    load_describer,
)
from vidcolor.color.grade import GradeConfig
from vidcolor.config import Config
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.key import overrides, shot_key
from vidcolor.guidance.script.plan import ShotLog, first_script
from vidcolor.guidance.script.text import to_data
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.guidance.tracks.identities import Describer
from vidcolor.guidance.tracks.survey import Survey, to_file
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader
from vidcolor.marks import made_of
from vidcolor.records import Colored, FrameBatch
from vidcolor.render import ColorRun
from vidcolor.stages.cut import FindShots
from vidcolor.stages.shots_file import Shot

__all__ = ["listed_shots", "plan_film", "planned_run", "shot_made_of"]

_AHEAD = 2  # batches decoded before they are asked for
_OF_THE_RUN = ("device", "precision", "input", "output", "cut")

Progress = Callable[[int], None]


def plan_film(
    source: Path,
    config: Config,
    *,
    tracks: bool = True,
    progress: Progress | None = None,
    download: Download | None = None,
) -> ColorScript:
    """The shots and tracks of a film as a color script that says nothing yet.

    What is not as usual in `config` becomes the script's settings, but for what concerns only this
    run (device, input, output) and the search for shots.

    Args:
        source: A video.
        config: How it is looked at; the whole film is, whatever `config.input` says.
        tracks: Color the film to find its objects and which of them are the same; without, only
            shots are found, which is far faster.
        progress: Told how many frames were seen, every batch.
        download: Told of bytes done and total when weights are fetched.

    Raises:
        VidcolorError: If the film cannot be read or a setting does not fit.
    """
    log = ShotLog()
    with VideoReader(source, replace(config.input, start=None, duration=None)) as reader:
        frames = _told(prefetch(reader, _AHEAD), progress)
        if tracks:
            found = _tracks(frames, log, config, download)
        else:
            found = ()
            for _ in log(FindShots(replace(config.cut, held=False))(frames)):
                pass
    settings: dict[str, Any] = to_data(replace(config, grade=GradeConfig()))
    settings = {key: value for key, value in settings.items() if key not in _OF_THE_RUN}
    grade = config.grade
    if grade.lut is not None:  # paths of a script begin in its folder, which is not known yet
        grade = replace(grade, lut=str(Path(grade.lut).expanduser().absolute()))
    return replace(first_script(source, log, found, settings), grade=grade)


def _tracks(
    frames: Iterable[FrameBatch],
    log: ShotLog,
    config: Config,
    download: Download | None,
) -> tuple[TrackEntry, ...]:
    line = build_line(config, download=download)
    device = choose_device(config.device)
    survey = Survey(Describer(load_describer(device), device), config.remember.firmness)
    for _ in survey(line.color(line.follow(log(line.shots(frames))))):
        pass
    return to_file(survey.finish(), survey.times).tracks


def _told(batches: Iterable[FrameBatch], progress: Progress | None) -> Iterator[FrameBatch]:
    for batch in batches:
        if progress is not None:
            progress(len(batch))
        yield batch


def listed_shots(script: ColorScript) -> tuple[Shot, ...]:
    """The shots of a script as those of a shots file."""
    return tuple(Shot(shot.number, shot.start, shot.end, shot.pts) for shot in script.shots)


def shot_made_of(
    script: ColorScript, shot: Shot, folder: Path, settings: Callable[[Mapping[str, Any]], Config]
) -> dict[str, Any]:
    """All that has a say in the color of a shot, besides the film, its frames and the program.

    Args:
        script: The script.
        shot: One of its shots.
        folder: Where paths in the script begin.
        settings: Makes the config of the keys that the script sets.

    Raises:
        GuidanceError: If a file that a person named cannot be read.
    """
    return {
        **made_of(settings(overrides(script, shot.shot, folder))),
        "script": shot_key(script, shot.shot, folder),
        "shot": shot.shot,  # ids of tracks begin with it
    }


def planned_run(
    script: ColorScript, folder: Path, run_for: Callable[[Mapping[str, Any]], ColorRun]
) -> ColorRun:
    """The `color` of `render_shots` that a script asks for: other settings for other shots.

    Neighboring shots with the same settings go through one line; where settings change the next
    line begins, which changes nothing, since no stage carries anything over a cut.

    Args:
        script: Has shots.
        folder: Where paths in the script begin.
        run_for: Makes the line of the keys of the config that a script sets.
    """

    def settings(shot: Shot) -> dict[str, Any]:
        return overrides(script, shot.shot, folder)

    def color(frames: Iterable[FrameBatch], shots: Sequence[Shot]) -> Iterator[Colored]:
        runs = [list(run) for _, run in itertools.groupby(shots, settings)]
        starts = [run[0].start for run in runs]

        def place(batch: FrameBatch) -> int:
            return max(0, bisect_right(starts, batch.index) - 1)

        for number, part in itertools.groupby(_split(frames, starts), place):
            run = runs[number]
            yield from run_for(settings(run[0]))(part, run)

    return color


def _split(frames: Iterable[FrameBatch], starts: Sequence[int]) -> Iterator[FrameBatch]:
    """Batches that end where one of `starts`, numbers of frames, begins."""
    for batch in frames:
        first = 0
        for start in starts:
            if first < start - batch.index < len(batch):
                yield batch[first : start - batch.index]
                first = start - batch.index
        yield batch[first:]
