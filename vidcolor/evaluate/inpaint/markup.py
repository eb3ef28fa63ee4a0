"""An evaluation of methods that fill holes as text, Markdown and LaTeX: a table a measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidcolor.evaluate.inpaint.report import InpaintReport, Row, Value
from vidcolor.evaluate.inpaint.scores import SECONDS, Measure
from vidcolor.evaluate.sets.markup import tex
from vidcolor.evaluate.table import aligned

__all__ = ["to_latex", "to_markdown", "to_text"]

_TIME = Measure(SECONDS, "", "time of a picture (noisy)", "s", "lower", 3)
_ARROWS = {"higher": "↑", "lower": "↓"}
_TEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


@dataclass(frozen=True, slots=True)
class _Style:
    """How one kind of table is written.

    Attributes:
        name: A row's or a method's.
        spread: Between mean and standard error.
        bold: What is best.
    """

    name: Callable[[str], str]
    spread: str
    bold: Callable[[str], str]


_TEXT = _Style(str, " ±", str)
_MARKDOWN = _Style(lambda name: name.replace("|", "\\|"), " ± ", lambda text: f"**{text}**")
_LATEX = _Style(tex, r" $\pm$ ", lambda text: rf"\textbf{{{text}}}")


def _cell(value: Value | None, decimals: int, style: _Style, best: bool) -> str:
    if value is None:
        return ""
    mean = f"{value.mean:.{decimals}f}"
    text = style.bold(mean) if best else mean
    return text if value.error is None else f"{text}{style.spread}{value.error:.{decimals}f}"


def _cells(report: InpaintReport, measure: Measure, style: _Style) -> list[list[str]]:
    """Heads and rows of the table of a measure; none where no method has it."""
    methods = report.methods_of(measure)
    if not methods:
        return []
    found = [["holes", "n", *(style.name(name) for name in methods)]]
    for row in report.rows:
        best = row.best(measure, methods) if measure is not _TIME else frozenset()
        values = [_value(row, name, measure) for name in methods]
        cells = [
            _cell(value, measure.decimals, style, name in best)
            for name, value in zip(methods, values, strict=True)
        ]
        found.append([style.name(row.name), str(row.count), *cells])
    return found


def _value(row: Row, method: str, measure: Measure) -> Value | None:
    value = row.values[method].get(measure.name)
    # how much it varies says nothing of pictures
    return Value(value.mean, None) if value is not None and measure is _TIME else value


def _tables(report: InpaintReport) -> Sequence[Measure]:
    return (*report.measures, _TIME)


def _head(report: InpaintReport) -> list[str]:
    title = [report.title] if report.title else []
    return [*title, "; ".join([", ".join(report.data), report.how])]


def _title(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def to_text(report: InpaintReport) -> str:
    """Aligned columns for a terminal."""
    lines = _head(report)
    for measure in _tables(report):
        if cells := _cells(report, measure, _TEXT):
            lines += ["", f"{_title(measure)} ({measure.better} is better)", *aligned(cells)]
    return "\n".join([*lines, *(["", *report.notes] if report.notes else [])]) + "\n"


def to_markdown(report: InpaintReport) -> str:
    """Tables for a page; the best method of a row is bold."""
    lines = _head(report)
    if report.title:
        lines[:1] = [f"**{report.title}**", ""]
    for measure in _tables(report):
        if cells := _cells(report, measure, _MARKDOWN):
            heads, *rows = cells
            lines += ["", f"{_title(measure)} {_ARROWS[measure.better]}", ""]
            lines += [_bars(heads), "|---" * len(heads) + "|", *map(_bars, rows)]
    return "\n".join([*lines, *(["", *report.notes] if report.notes else [])]) + "\n"


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def to_latex(report: InpaintReport) -> str:
    r"""Tabulars for a paper (`\usepackage{booktabs}`); the best method of a row is bold."""
    lines = [f"% {line}" for line in (*_head(report), *report.notes)]
    for measure in _tables(report):
        if cells := _cells(report, measure, _LATEX):
            heads, *rows = cells
            lines += [f"% {_title(measure)}", rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}"]
            corner = f"{tex(_title(measure))} {_TEX_ARROWS[measure.better]}"
            lines += [r"\toprule", _ended([corner, *heads[1:]]), r"\midrule"]
            lines += [*map(_ended, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _ended(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
