"""The model card: what weights say about themselves, inside the file and as a page to read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vidcolor.schema import to_dict, to_toml
from vidcolor.train.kinds import AnyConfig

__all__ = ["Measured", "card_of", "card_page", "numbers"]


class Measured(Protocol):
    """What a measurement found; a dataclass, its numbers are fields."""

    @property
    def psnr(self) -> float:
        """dB of what the network made against what is true."""
        ...

    @property
    def gain(self) -> float:
        """dB over what needs no training; what has most is best."""
        ...

    @property
    def summary(self) -> str:
        """A line for people."""
        ...


_CURVE = 20  # measurements that the page shows at most


def numbers(scores: Measured) -> dict[str, float]:
    """The plain numbers of scores, by name, the gain too."""
    names = [field.name for field in dataclasses.fields(scores)]  # type: ignore[arg-type]
    plain = {name: getattr(scores, name) for name in names}
    return {"gain": scores.gain} | {k: v for k, v in plain.items() if isinstance(v, float)}


def card_of(
    config: AnyConfig,
    step: int,
    seconds: float,
    measured: Mapping[str, float] | None,
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """What goes into a weight file.

    Args:
        config: Of the run.
        step: Steps done.
        seconds: That they took, measurements included.
        measured: Scores of these weights, as `numbers` gives them, and of which step.
        labels: Names of the kinds of pictures that the network tells apart, by their numbers.
    """
    known = {"labels": list(labels)} if labels else {}
    return {
        **to_dict(config.card),
        "phase": config.phase.name,
        "started_from": config.phase.start_from,
        "steps": step,
        "pictures_seen": step * config.data.batch_size,
        "hours": round(seconds / 3600, 2),
        "config": to_toml(config),
        "validation": {} if measured is None else {**measured, "short_side": config.run.val_side},
        **known,
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def card_page(
    card: Mapping[str, Any], config: AnyConfig, rows: Sequence[Mapping[str, Any]], best: int
) -> str:
    """The card as Markdown.

    Args:
        card: From `card_of`, of the last weights.
        config: Of the run.
        rows: The log.
        best: Step of the best weights, 0 if nothing was measured.
    """
    unsaid = "Not said; see `[card]` in the settings."
    curve = [{"step": row["step"], **row["val"]} for row in rows if row.get("val")]
    stride = -(-len(curve) // _CURVE) or 1
    shown = curve[::-1][::stride][::-1]
    facts = [
        {"what": "network", "value": f"{config.model.name}, width {config.model.width}"},
        {"what": "phase", "value": config.phase.name},
        {"what": "started from", "value": config.phase.start_from or "nothing"},
        {"what": "steps", "value": f"{card['steps']} of {config.fit.steps}"},
        {"what": "pictures seen", "value": card["pictures_seen"]},
        {"what": "hours", "value": card["hours"]},
        {"what": "best weights", "value": f"step {best}" if best else "not measured"},
    ]
    lines = [f"# {config.model.name}, {config.phase.name}", "", *_table(facts), ""]
    for name in ("data", "license", "limits"):
        lines += [f"## {name.capitalize()}", "", card[name] or unsaid, ""]
    if shown:
        size = f"Validation pictures at {config.run.val_side} px, running mean of the weights."
        lines += ["## Curve", "", size, "", *_table(shown), ""]
    return "\n".join([*lines, "## Settings", "", "```toml", card["config"].strip(), "```", ""])
