"""From scores to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidcolor.color.measure.frechet import FidValue
from vidcolor.evaluate.sets.cost import Cost
from vidcolor.evaluate.sets.report import Kind, Row
from vidcolor.evaluate.sets.scores import TRUTH, Scores

__all__ = ["caption", "fid_note", "kind_of", "rows_of"]


def kind_of(name: str, colorizers: Sequence[str]) -> Kind:
    """What a coloring of that name is."""
    if name == TRUTH:
        return "truth"
    return "colorizer" if name in colorizers else "baseline"


def rows_of(
    scores: Scores,
    colorizers: Sequence[str],
    metrics: Sequence[str],
    costs: Mapping[str, Cost],
    fids: Mapping[str, FidValue],
) -> tuple[Row, ...]:
    """Means of all colorings, the truth last; baselines and truth only where they have a score.

    Args:
        scores: Of a level.
        colorizers: Names of those that are neither baseline nor truth.
        metrics: In the order of the columns.
        costs: Of colorizers, by name.
        fids: Of colorings, by name, where this level has them.
    """
    rows = []
    for name in scores.names:
        means: dict[str, float | None] = {**scores.mean(name)}
        if name in fids:
            means["fid"] = fids[name].value
        kept = {metric: means.get(metric) for metric in metrics}
        kind = kind_of(name, colorizers)
        if kind == "colorizer" or any(value is not None for value in kept.values()):
            rows.append(Row(name, kind, kept, costs.get(name)))
    return tuple(rows)


def fid_note(fids: Mapping[str, FidValue]) -> tuple[str, ...]:
    """What must be said beside FID, by coloring; nothing where there is none."""
    for found in fids.values():
        few = (
            "; no more than it has features, so compare it with nothing but the same pictures"
            if found.deficient
            else ""
        )
        return (f"FID: {found.count} pictures pooled, {found.network}{few}",)
    return ()


def caption(scores: Mapping[str, float]) -> str:
    """What is written under a coloring."""
    return f"{scores['psnr']:.1f} dB" if "psnr" in scores else ""
