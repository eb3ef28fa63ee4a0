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

A phase may come more than once, under its name and a number: `full-2` has the settings of `[full]`
and over them those of `[full-2]`. From the first `critic` on, phases with a critic go on with that
of the one before.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcolor.errors import ConfigError
from vidcolor.schema import Leaf, leaves, load, merge
from vidcolor.train.config import TrainConfig
from vidcolor.train.kinds import COLOR, AnyConfig, Kind, kind_of

__all__ = ["flags", "plan"]

_TIMES = 9  # most often that a phase can come
_ENDS = ("start_from", "start_critic", "folder")


def _names(kind: Kind) -> tuple[str, ...]:
    """Of phases, as a file may have them."""
    return tuple(
        phase if time == 1 else f"{phase}-{time}"
        for phase in kind.phases
        for time in range(1, _TIMES + 1)
    )


def flags(kind: Kind = COLOR) -> dict[str, Leaf]:
    """All settings by dotted name: those of every phase, and of each (`fusion.fit.lr`)."""
    own = list(leaves(kind.config))
    inner = [replace(leaf, path=(name, *leaf.path)) for name in _names(kind) for leaf in own]
    return {leaf.name: leaf for leaf in own + inner}


def plan(
    data: Mapping[str, Any],
    over: Mapping[str, Any] | None = None,
    where: str = "config",
    only: str | None = None,
) -> list[AnyConfig]:
    """The runs that a file asks for, in order; `model.name` says of what kind they are.

    Without `phases` that is one. With it, each phase has its own folder in `run.folder` and
    starts from the weights of the one before, unless its table says otherwise.

    Args:
        data: Tables of the file.
        over: Of flags; they win over the tables of phases too.
        where: Start of the path in error messages.
        only: Just this phase, by its name in `phases`.

    Raises:
        ConfigError: If a setting is unknown or out of range, or there is no such phase.
    """
    over = over or {}
    kind = kind_of(data, over)
    known = _names(kind)
    if "phases" not in data:
        stray = [name for name in known if name in data or name in over]
        if stray:
            raise ConfigError(f"{where}.{stray[0]}: is for files with phases = [...]")
        config: AnyConfig = load(kind.config, merge(data, over), where)
        if only not in (None, config.phase.name):
            raise ConfigError(f"{where}: trains {config.phase.name!r}, not {only!r}")
        return [config]
    phases = _phases(data["phases"], kind, where)
    for layer in (data, over):
        for name in known:
            if name in layer and name not in phases:
                raise ConfigError(f"{where}.{name}: phases = {phases} does not have it")
    if only is not None and only not in phases:
        raise ConfigError(f"{where}: no phase {only!r} in phases = {phases}")
    runs: list[AnyConfig] = []
    for name in phases:
        runs.append(_run(name, kind, runs, data, over, where))
    return [run for name, run in zip(phases, runs, strict=True) if only in (None, name)]


def _phases(names: Any, kind: Kind, where: str) -> list[str]:
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise ConfigError(f"{where}.phases: expected a list of different phases, got {names!r}")
    known = _names(kind)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(kind.phases)}"
            raise ConfigError(f"{where}.phases: unknown phase {name!r}; {hint}")
    return names


def _run(
    name: str,
    kind: Kind,
    before: Sequence[AnyConfig],
    data: Mapping[str, Any],
    over: Mapping[str, Any],
    where: str,
) -> AnyConfig:
    shared, flagged = (
        {key: value for key, value in layer.items() if key not in (*_names(kind), "phases")}
        for layer in (data, over)
    )
    phase = name.partition("-")[0]
    file_table, flag_table = _table(data, name, where), _table(over, name, where)
    if name != phase:
        shared = merge(shared, _without_ends(_table(data, phase, where)))
        flagged = merge(flagged, _without_ends(_table(over, phase, where)))
    settings = merge(merge(merge(shared, file_table), flagged), flag_table)
    own = merge(file_table, flag_table)
    given = {section: _table(own, section, f"{where}.{name}") for section in ("run", "phase")}
    if given["phase"].get("name", phase) != phase:
        raise ConfigError(f"{where}.{name}.phase.name: is {phase!r} by the table's name")
    found: dict[str, Any] = {"phase": {"name": phase}}
    base = _table(merge(shared, flagged), "run", where).get("folder")
    if "folder" not in given["run"] and isinstance(base, str):
        found["run"] = {"folder": str(Path(base) / name)}
    if before and "start_from" not in given["phase"]:
        found["phase"]["start_from"] = before[-1].run.folder
    run: AnyConfig = load(kind.config, merge(settings, found), f"{where} [{name}]")
    if isinstance(run, TrainConfig) and run.phase.plays and "start_critic" not in given["phase"]:
        return _with_critic(run, [one for one in before if isinstance(one, TrainConfig)])
    return run


def _with_critic(run: TrainConfig, before: Sequence[TrainConfig]) -> TrainConfig:
    """From the first "critic" on, the critic is that of the run before."""
    taught = [one.phase.name == "critic" for one in before]
    if not any(taught):
        return run
    last = [one for one in before[taught.index(True) :] if one.phase.plays][-1]
    return replace(run, phase=replace(run.phase, start_critic=last.run.folder))


def _without_ends(table: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a phase but for where it begins and where it goes: those are of one run only."""
    return {
        section: {key: value for key, value in values.items() if key not in _ENDS}
        if isinstance(values, Mapping)
        else values
        for section, values in table.items()
    }


def _table(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}.{key}: expected a table, got {value!r}")
    return value
