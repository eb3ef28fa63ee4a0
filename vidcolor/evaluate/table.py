"""An evaluation as text for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidcolor.evaluate.records import FilmReport, Measures
from vidcolor.io.source import as_time

__all__ = ["aligned", "counted", "report_table"]

Number = Callable[[Measures], float | None]

_STEADY: tuple[tuple[str, Number, str], ...] = (
    ("instab", lambda m: m.color.instability, ".2f"),
    ("p95", lambda m: m.color.instability_p95, ".2f"),
    ("popping", lambda m: m.color.popping, ".2f"),
    ("CDC e-3", lambda m: _times(m.color.cdc, 1e3), ".2f"),
    ("/gray", lambda m: m.cdc_ratio, ".2f"),
    ("warp e-4", lambda m: _times(m.color.warping_error, 1e4), ".2f"),
    ("cover", lambda m: _times(m.coverage, 100), ".0f"),
    ("drift", lambda m: m.color.drift, ".2f"),
    (">4Hz", lambda m: None if m.color.flicker is None else m.color.flicker[2], ".2f"),
    ("chroma", lambda m: m.color.chroma, ".1f"),
    ("CF", lambda m: m.color.colorfulness, ".1f"),
)
_TRUE: tuple[tuple[str, Number, str], ...] = (
    ("PSNR", lambda m: None if m.fidelity is None else m.fidelity.psnr, ".2f"),
    ("SSIM", lambda m: None if m.fidelity is None else m.fidelity.ssim, ".4f"),
    ("dE00", lambda m: None if m.fidelity is None else m.fidelity.delta_e, ".2f"),
    ("LPIPS", lambda m: None if m.fidelity is None else m.fidelity.lpips, ".4f"),
    ("chroma/true", lambda m: m.chroma_fraction, ".2f"),
    ("|dCF|", lambda m: m.colorfulness_difference, ".1f"),
    ("CDC-true", lambda m: _times(m.cdc_excess, 1e3), "+.2f"),
    ("instab true", lambda m: None if m.truth is None else m.truth.instability, ".2f"),
    ("drift true", lambda m: None if m.truth is None else m.truth.drift, ".2f"),
)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def report_table(report: FilmReport) -> str:
    """Film, shots, tracks and worst moments as text."""
    columns = [column for column in (*_STEADY, *_TRUE) if column[1](report.film) is not None]
    height, width = report.size
    tall, wide = report.motion_size
    bars = ", ".join(
        f"{count} {side}"
        for count, side in zip(report.bars, ("above", "below", "left", "right"), strict=True)
        if count
    )
    lines = [
        report.result,
        f"{counted(report)}, compared at {width}x{height}, "
        f"motion by {report.flow} at {wide}x{tall}"
        + (f", black bars left out: {bars}" if bars else ""),
        "",
    ]
    rows = [["film", *_cells(report.film, columns)]]
    if len(report.shots) > 1:
        rows += [
            [f"shot {shot.shot} {as_time(shot.time)}", *_cells(shot.measures, columns)]
            for shot in report.shots
        ]
    rows += [
        [f"track {track.id} {track.label}", *_cells(track.measures, columns)]
        for track in report.tracks
    ]
    lines += aligned([["", "frames", *(name for name, _, _ in columns)], *rows])
    if report.film.color.flicker is not None:
        low, middle, high = report.film.color.flicker
        lines += [
            "",
            f"flicker of coarse color, a*b* rms: below 1 Hz {low:.2f}, 1 to 4 Hz {middle:.2f}, "
            f"above 4 Hz {high:.2f}",
        ]
    if report.worst:
        lines += ["", "worst moments (a*b* jump in a window, along motion)"]
        header = ["time", "frame", "shot", "jump", *(["true"] if report.truth else []),
                  "kind", "box x0 y0 x1 y1", "track"]  # fmt: skip
        moments = [
            [
                as_time(m.time), str(m.frame), str(m.shot), f"{m.jump:.1f}",
                *([f"{m.true_jump or 0:.1f}"] if report.truth else []),
                m.kind, " ".join(map(str, m.box)), "" if m.track is None else str(m.track),
            ]
            for m in report.worst
        ]  # fmt: skip
        lines += aligned([header, *moments])
    return "\n".join(lines) + "\n"


def counted(report: FilmReport) -> str:
    """`240 frames, 3 shots`."""
    parts = (report.film.frames, "frame"), (len(report.shots), "shot")
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in parts)


def _cells(measures: Measures, columns: Sequence[tuple[str, Number, str]]) -> list[str]:
    values = (number(measures) for _, number, _ in columns)
    shapes = (shape for _, _, shape in columns)
    cells = ["-" if v is None else format(v, s) for v, s in zip(values, shapes, strict=True)]
    return [str(measures.frames), *cells]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, all others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(n) if i == 0 else cell.rjust(n)
            for i, (cell, n) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
