"""Runs that follow one another, from one file: each phase begins where the one before ended.

```toml
phases = ["full", "instance", "fusion"]

[run]
folder = "runs/mine"        # each phase gets a folder inside

[fit]
steps = 10000
lr = 5e-4

[fusion.fit]                # over the settings above, for this phase only
lr = 5e-5
```
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcolor.errors import ConfigError
from vidcolor.schema import Leaf, leaves, load, merge
from vidcolor.train.config import TrainConfig
from vidcolor.train.phases import PhaseName

__all__ = ["flags", "plan"]

_PHASES: tuple[str, ...] = typing.get_args(PhaseName)


def flags() -> dict[str, Leaf]:
    """All settings by dotted name: those of every phase, and of each (`fusion.fit.lr`)."""
    own = list(leaves(TrainConfig))
    inner = [replace(leaf, path=(phase, *leaf.path)) for phase in _PHASES for leaf in own]
    return {leaf.name: leaf for leaf in own + inner}


def plan(
    data: Mapping[str, Any],
    over: Mapping[str, Any] | None = None,
    where: str = "config",
    only: str | None = None,
) -> list[TrainConfig]:
    """The runs that a file asks for, in order.

    Without `phases` that is one. With it, each phase has its own folder in `run.folder` and
    starts from the weights of the one before, unless its table says otherwise.

    Args:
        data: Tables of the file.
        over: Of flags; they win over the tables of phases too.
        where: Start of the path in error messages.
        only: Just this phase.

    Raises:
        ConfigError: If a setting is unknown or out of range, or there is no such phase.
    """
    over = over or {}
    if "phases" not in data:
        stray = [phase for phase in _PHASES if phase in data or phase in over]
        if stray:
            raise ConfigError(f"{where}.{stray[0]}: is for files with phases = [...]")
        config = load(TrainConfig, merge(data, over), where)
        if only not in (None, config.phase.name):
            raise ConfigError(f"{where}: trains {config.phase.name!r}, not {only!r}")
        return [config]
    phases = _phases(data["phases"], where)
    for layer in (data, over):
        for phase in _PHASES:
            if phase in layer and phase not in phases:
                raise ConfigError(f"{where}.{phase}: phases = {phases} does not have it")
    if only is not None and only not in phases:
        raise ConfigError(f"{where}: no phase {only!r} in phases = {phases}")
    runs: list[TrainConfig] = []
    for phase in phases:
        before = runs[-1] if runs else None
        runs.append(_run(phase, before, data, over, where))
    return [run for run in runs if only in (None, run.phase.name)]


def _phases(names: Any, where: str) -> list[str]:
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise ConfigError(f"{where}.phases: expected a list of different phases, got {names!r}")
    for name in names:
        if name not in _PHASES:
            near = difflib.get_close_matches(str(name), _PHASES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_PHASES)}"
            raise ConfigError(f"{where}.phases: unknown phase {name!r}; {hint}")
    return names


def _run(
    phase: str,
    before: TrainConfig | None,
    data: Mapping[str, Any],
    over: Mapping[str, Any],
    where: str,
) -> TrainConfig:
    shared, flagged = (
        {key: value for key, value in layer.items() if key not in (*_PHASES, "phases")}
        for layer in (data, over)
    )
    file_table, flag_table = _table(data, phase, where), _table(over, phase, where)
    settings = merge(merge(merge(shared, file_table), flagged), flag_table)
    own = merge(file_table, flag_table)
    given = {section: _table(own, section, f"{where}.{phase}") for section in ("run", "phase")}
    if given["phase"].get("name", phase) != phase:
        raise ConfigError(f"{where}.{phase}.phase.name: is {phase!r} by the table's name")
    found: dict[str, Any] = {"phase": {"name": phase}}
    base = _table(merge(shared, flagged), "run", where).get("folder")
    if "folder" not in given["run"] and isinstance(base, str):
        found["run"] = {"folder": str(Path(base) / phase)}
    if before is not None and "start_from" not in given["phase"]:
        found["phase"]["start_from"] = before.run.folder
    return load(TrainConfig, merge(settings, found), f"{where} [{phase}]")


def _table(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}.{key}: expected a table, got {value!r}")
    return value
