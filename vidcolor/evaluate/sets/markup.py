"""An evaluation of data sets as text, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidcolor.evaluate.sets.cost import Cost
from vidcolor.evaluate.sets.report import Column, LevelReport, SetReport
from vidcolor.evaluate.table import aligned

__all__ = ["tex", "to_latex", "to_markdown", "to_text"]

_ARROWS = {"higher": "↑", "lower": "↓", "truth": "→"}
_TEX_ARROWS = {
    "higher": r" $\uparrow$", "lower": r" $\downarrow$", "truth": r" $\rightarrow$",
}  # fmt: skip
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_GAIN = "gain"


@dataclass(frozen=True, slots=True)
class _CostColumn:
    head: str
    title: str
    text: Callable[[Cost], str]


def _size(size: tuple[int, int] | None) -> str:
    return "" if size is None else f"{size[0]}x{size[1]}"


_COSTS = (
    _CostColumn("sees", "sees, px", lambda c: _size(c.sees)),
    _CostColumn("gives", "gives, px", lambda c: _size(c.gives)),
    _CostColumn("M par.", "parameters, M", lambda c: f"{c.parameters / 1e6:.1f}"),
    _CostColumn(
        "MB", "memory, MB", lambda c: "" if c.memory_mb is None else f"{c.memory_mb:.0f}"
    ),
    _CostColumn(
        "s (noisy)", "time, s (noisy)",
        lambda c: "" if c.seconds is None else f"{c.seconds:.3f}",
    ),
)  # fmt: skip


def _gains(level: LevelReport) -> dict[str, str]:
    """PSNR over the uncolored picture, by name; empty where that is no row."""
    gray = next((row for row in level.rows if row.kind == "baseline"), None)
    base = None if gray is None else gray.scores.get("psnr")
    if gray is None or base is None:
        return {}
    values = {row.name: row.scores.get("psnr") for row in level.rows if row is not gray}
    return {name: f"{value - base:+.2f}" for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Style:
    """How one kind of table is written.

    Attributes:
        name: A row's.
        head: Over a metric.
        cost: Over a column of costs.
        bold: What is best.
        gain: Over the column of dB gained; None leaves it out.
    """

    name: Callable[[str], str]
    head: Callable[[Column], str]
    cost: Callable[[_CostColumn], str]
    bold: Callable[[str], str]
    gain: str | None


def _cells(level: LevelReport, columns: Sequence[Column], style: _Style) -> list[list[str]]:
    """Heads and rows of a table."""
    gains = {} if style.gain is None else _gains(level)
    known = [row.cost for row in level.rows if row.cost is not None]
    costs = [cost for cost in _COSTS if any(cost.text(one) for one in known)]
    heads = [""]
    for column in columns:
        heads.append(style.head(column))
        if column.name == "psnr" and gains:
            heads.append(str(style.gain))
    found = [[*heads, *(style.cost(cost) for cost in costs)]]
    best = {column.name: level.best(column) for column in columns}
    for row in level.rows:
        cells = [style.name(row.name)]
        for column in columns:
            text = column.text(row.scores.get(column.name))
            cells.append(style.bold(text) if row.name in best[column.name] else text)
            if column.name == "psnr" and gains:
                cells.append(gains.get(row.name, ""))
        cells += ["" if row.cost is None else cost.text(row.cost) for cost in costs]
        found.append(cells)
    return found


def _counted(level: LevelReport) -> str:
    return f"{level.count} {level.level}{'' if level.count == 1 else 's'}"


def _head(report: SetReport) -> list[str]:
    left = [f"{count} left out ({why})" for why, count in report.left_out.items() if count]
    title = [report.title] if report.title else []
    return [*title, "; ".join([", ".join(report.data), report.how, *left])]


def _notes(report: SetReport) -> list[str]:
    return ["", *report.notes] if report.notes else []


_TEXT = _Style(str, lambda c: c.head, lambda c: c.head, str, "gain")


def to_text(report: SetReport) -> str:
    """Aligned columns for a terminal."""
    lines = _head(report)
    for level in report.levels:
        lines += ["", _counted(level), *aligned(_cells(level, report.columns, _TEXT))]
    return "\n".join([*lines, *_notes(report)]) + "\n"


def _title(column: Column) -> str:
    return f"{column.title}, {column.unit}" if column.unit else column.title


_MARKDOWN = _Style(
    lambda name: name.replace("|", "\\|"),
    lambda column: f"{_title(column)} {_ARROWS[column.better]}",
    lambda cost: cost.title,
    lambda text: f"**{text}**",
    "over uncolored",
)


def to_markdown(report: SetReport) -> str:
    """Tables for a page; the best of several colorizers is bold."""
    first, *rest = _head(report)
    lines = [f"**{first}**", "", *rest] if report.title else [first]
    for level in report.levels:
        heads, *rows = _cells(level, report.columns, _MARKDOWN)
        lines += ["", f"{_counted(level)}:", "", _bars(heads), "|---" * len(heads) + "|"]
        lines += [_bars(cells) for cells in rows]
    return "\n".join([*lines, *_notes(report)]) + "\n"


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def tex(text: str) -> str:
    """Text with the letters escaped that mean something to TeX."""
    return "".join(_TEX.get(letter, letter) for letter in text)


_LATEX = _Style(
    tex,
    lambda column: f"{tex(_title(column))}{_TEX_ARROWS[column.better]}",
    lambda cost: tex(cost.title),
    lambda text: rf"\textbf{{{text}}}",
    None,
)


def to_latex(report: SetReport) -> str:
    r"""Tabulars for a paper (`\usepackage{booktabs}`); the best of several colorizers is bold."""
    lines = [f"% {line}" for line in (*_head(report), *report.notes)]
    for level in report.levels:
        heads, *rows = _cells(level, report.columns, _LATEX)
        lines += [f"% {_counted(level)}", rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}"]
        lines += [r"\toprule", _row(heads)]
        kind = None
        for row, cells in zip(level.rows, rows, strict=True):
            # baselines, colorizers and the truth stand apart
            lines += [r"\midrule"] if row.kind != kind else []
            lines.append(_row(cells))
            kind = row.kind
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
