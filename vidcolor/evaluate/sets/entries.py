"""Which colorizers are measured: networks and weights as the user names them, in one list."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcolor.build import chosen_weights
from vidcolor.config import ALONE, Config
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.evaluate.sets.config import BUILT_IN_LINES
from vidcolor.models.registry import list_models, model_spec
from vidcolor.models.store import installed, known_weights
from vidcolor.schema import load, merge, read_toml, to_dict

__all__ = ["Entry", "choose", "labeled", "lines_of", "short_name"]

_ALL = "all"
_AUTO = "auto"
_RECIPE = "recipe"
_INSTALLED = "installed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A colorizer that is measured.

    Attributes:
        label: Its name in the tables.
        config: The line that it colors in.
    """

    label: str
    config: Config


def choose(colorizers: Sequence[str], weights: Sequence[str], line: Config) -> tuple[Entry, ...]:
    """The colorizers that are meant, in the order in which they are named.

    Args:
        colorizers: Names of networks; "all" is every one.
        weights: Known names, files, or LABEL=FILE; "recipe" is by formula for each of
            `colorizers`, "installed" all that are there (of `colorizers`, if some are named).
            None: those that each network asks for; with no network either, the line's own.
        line: All other settings.

    Raises:
        ConfigError: If there is no such network, or two entries have one name.
        WeightsError: If none are installed.
    """
    names = list_models() if _ALL in colorizers else tuple(model_spec(n).name for n in colorizers)
    names = tuple(dict.fromkeys(names))
    if not weights and not names:
        chosen = chosen_weights(line.colorize)
        return (Entry(short_name(chosen, ()), line),)
    pairs: list[tuple[str, str, str]] = []  # label, colorizer, weights
    for name in names if not weights else ():
        pairs.append((model_spec(name).weights, name, _AUTO))
    for given in weights:
        if given == _RECIPE:
            if not names:
                raise ConfigError("weights by recipe are for networks: say which by --colorizer")
            pairs += [(f"{name}, recipe", name, _RECIPE) for name in names]
        elif given == _INSTALLED:
            pairs += [(name, _AUTO, name) for name in _installed(names)]
        else:
            label, file = labeled(given)
            # one network is what the weights must be for; of several it is one
            one = names[0] if len(names) == 1 else _AUTO
            pairs.append((label or short_name(file, weights), one, file))
    repeated = [label for label, n in Counter(label for label, _, _ in pairs).items() if n > 1]
    if repeated:
        raise ConfigError(
            f"two colorizers are called {repeated[0]!r}; give them names: --weights NAME=FILE"
        )
    return tuple(Entry(label, _with(line, name, given)) for label, name, given in pairs)


def _with(line: Config, colorizer: str, weights: str) -> Config:
    colorize = dataclasses.replace(line.colorize, colorizer=colorizer, weights=weights)
    return dataclasses.replace(line, colorize=colorize)


def _installed(names: Sequence[str]) -> list[str]:
    here = installed()
    found = [
        spec.name
        for spec in known_weights()
        if spec.kind == "colorizer" and spec.name in here and (not names or spec.model in names)
    ]
    if not found:
        whose = f" of {', '.join(names)}" if names else ""
        raise WeightsError(f"no weights{whose} are installed; see vidcolor weights list")
    return found


def labeled(given: str) -> tuple[str, str]:
    """Label and weights of `LABEL=FILE`; a file whose name has such a sign in it is a file."""
    label, equals, file = given.partition("=")
    if not equals or Path(given).exists():
        return "", given
    if not label or not file:
        raise ConfigError(f"weights are NAME, FILE or LABEL=FILE, not {given!r}")
    return label, file


def short_name(name: str, given: Sequence[str]) -> str:
    """The last part of a file's name, where it tells it from others without a label."""
    stem = Path(name).stem
    files = [file for label, file in map(labeled, given) if not label]
    same = [file for file in files if Path(file).stem == stem]
    return stem if len(same) < 2 and Path(name).suffix else name


def lines_of(names: Sequence[str], line: Config) -> tuple[tuple[str, Config], ...]:
    """Settings of the line by name.

    Args:
        names: "whole", "alone", or TOML files (also LABEL=FILE) that are laid over `line`.
        line: What "whole" means.

    Raises:
        ConfigError: If a file cannot be read, or two have one name.
    """
    found: dict[str, Config] = {}
    for name in names:
        label, file = labeled(name)
        if name == BUILT_IN_LINES[0]:
            settings = line
        elif name == BUILT_IN_LINES[1]:
            settings = load(Config, merge(to_dict(line), ALONE))
        else:
            own = read_toml(Path(file))
            load(Config, own, file)  # its own mistakes are told with its name
            settings = load(Config, merge(to_dict(line), own), file)
        label = label or short_name(name, names)
        if label in found:
            raise ConfigError(f"two lines are called {label!r}; give them names: LABEL=FILE")
        found[label] = settings
    return tuple(found.items())
