"""Evaluation of a colored film: read once, measured frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.match import Films
from vidcolor.evaluate.measurement import Measurement
from vidcolor.evaluate.records import FilmReport
from vidcolor.ops.boxes import Upright

__all__ = ["evaluate_film"]

Progress = Callable[[int], None]

_TRUTH = "truth"
_RESULT = "result"


def evaluate_film(
    result: Path,
    *,
    truth: Path | None = None,
    source: Path | None = None,
    shots: Path | None = None,
    boxes: Path | None = None,
    config: EvaluateConfig | None = None,
    progress: Progress | None = None,
) -> FilmReport:
    """Measure how steady the color of a film is and, where there is a truth, how close to it.

    Each file is decoded once, apart from a dozen frames in which black bars are looked for.
    Memory: some batches of frames, and about 150 bytes a frame for curves and percentiles.

    Args:
        result: A film in color.
        truth: The same film in its true color.
        source: The same film in gray; what flow and shots are found in. Without it, the truth
            and then the result serve as such: the color that vidcolor adds does not touch luma.
        shots: A shots file of that film, to be taken instead of looking for cuts.
        boxes: A boxes file of that film (`vidcolor detect`): its tracks are measured too.
        config: Sizes and effort; defaults if None.
        progress: Told how many frames were measured.

    Raises:
        MediaError: If a file cannot be read, or the films differ in size, times or length.
        GuidanceError: If shots or boxes are not as they should be.
        WeightsError: If LPIPS is asked for and is not there.
    """
    config = config or EvaluateConfig()
    films = Films(result, truth, source, shots, boxes, config)
    grids = films.grids()
    names = (_RESULT, _TRUTH) if truth else (_RESULT,)
    measurement = Measurement(names, _TRUTH if truth else None, grids, config)
    for look in films.looks(grids):
        measurement.push(look)
        if progress is not None:
            progress(1)
    measurement.end()
    return FilmReport(
        result=str(result),
        truth=None if truth is None else str(truth),
        source=None if source is None else str(source),
        frame_size=Upright(grids.info).size,
        size=grids.size,
        motion_size=grids.motion,
        bars=grids.cut_off,
        flow=f"DIS {config.flow}",
        film=measurement.film(_RESULT),
        shots=measurement.shots(_RESULT),
        tracks=measurement.tracks(_RESULT),
        worst=measurement.worst(),
        curves=measurement.curves(),
    )
