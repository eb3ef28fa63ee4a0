"""Contenders: ways to color a film that are looked at beside each other."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.models.catalog import known_weights
from vidcolor.models.onnx import EXPORTED
from vidcolor.models.registry import list_models, model_spec
from vidcolor.models.weights import RECIPE
from vidcolor.schema import load, merge, read_toml

__all__ = ["Contender", "find_contenders", "one_contender"]

SCRIPT = ".vidcolor"
"""How names of color scripts end."""

_TOML = ".toml"
_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".t7", *EXPORTED)
_LEAST = 2

Layers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to color a film.

    Attributes:
        name: What captions call it.
        config: Its settings; with a script, those that count where the script says nothing.
        script: A color script that it follows.
        layers: The settings that `config` is made of, lowest first; those of a script lie over the
            first.
    """

    name: str
    config: Config
    script: Path | None = None
    layers: tuple[Mapping[str, Any], ...] = ({},)


def one_contender(name: str, layers: Layers, script: Path | None = None) -> Contender:
    """The way that settings describe.

    Args:
        name: What captions call it.
        layers: Of the config file, the environment and the flags.
        script: A color script.

    Raises:
        ConfigError: If a setting is wrong.
    """
    return Contender(name, load(Config, functools.reduce(merge, layers, {})), script, tuple(layers))


def find_contenders(
    words: Sequence[str], layers: Layers, script: Path | None = None
) -> tuple[Contender, ...]:
    """What a person means by words like `ddcolor`, `series.safetensors`, `warm.toml`.

    A word is the name of a colorizer, the name of known weights, a file of weights, a config
    (`.toml`, laid over the config file) or a color script (`.vidcolor`). All else they share.

    Args:
        words: At least two.
        layers: Of the config file, the environment and the flags, for all of them.
        script: A color script that all follow that are no script themselves.

    Raises:
        ConfigError: If a word means nothing, or two things, or there are too few of them.
    """
    if len(words) < _LEAST:
        raise ConfigError(f"compare: name at least two, not {len(words)}")
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ConfigError(f"compare: {twice!r} is named twice; name different ones")
    found = [_find(word, tuple(layers) or ({},), script) for word in words]
    short = [one.name for one in found]
    return tuple(
        replace(one, name=word) if short.count(one.name) > 1 else one
        for word, one in zip(words, found, strict=True)
    )


def _find(word: str, layers: tuple[Mapping[str, Any], ...], script: Path | None) -> Contender:
    path = Path(word).expanduser()
    suffix = path.suffix.lower()
    if suffix == SCRIPT:
        _must_be_there(path, "color script")
        return one_contender(path.name, layers, path)
    if suffix == _TOML:
        data = read_toml(path)
        load(Config, data, str(path))  # what is wrong with this file is said of this file
        return one_contender(path.name, (merge(layers[0], data), *layers[1:]), script)
    chosen = {"colorize": _network(word, path)}
    return one_contender(path.name if _is_path(word) else word, (*layers, chosen), script)


def _network(word: str, path: Path) -> dict[str, str]:
    """The settings of `colorize` that a word stands for."""
    known = next((spec for spec in known_weights() if spec.name == word), None)
    is_colorizer, is_file = word in list_models(), path.is_file()
    if known is not None and known.kind != "colorizer":
        raise ConfigError(
            f"compare: the weights {word!r} color nothing; they are of another kind: {known.kind}"
        )
    meanings = {
        "a colorizer": is_colorizer,
        "known weights": known is not None
        and not (is_colorizer and model_spec(word).weights == word),
        f"a file here (./{word} is only the file)": is_file and not _is_path(word),
    }
    meant = [meaning for meaning, holds in meanings.items() if holds]
    if len(meant) > 1:
        raise ConfigError(f"compare: {word!r} is {' and '.join(meant)}; say which")
    if is_colorizer:
        return {"colorizer": word, "weights": "auto"}
    if known is not None:
        return {"colorizer": "auto", "weights": word}
    if word.startswith(RECIPE):
        return {"colorizer": model_spec(word.removeprefix(RECIPE)).name, "weights": "recipe"}
    if is_file or path.suffix.lower() in _WEIGHTS:
        _must_be_there(path, "file of weights")
        return {"colorizer": "auto", "weights": str(path.absolute())}
    raise ConfigError(_nothing(word))


def _is_path(word: str) -> bool:
    return word != Path(word).name


def _must_be_there(path: Path, kind: str) -> None:
    if not path.is_file():
        raise ConfigError(f"compare: there is no {kind} {path}; see where it lies")


def _nothing(word: str) -> str:
    """What to say of a word that means nothing."""
    names = {*list_models(), *(s.name for s in known_weights() if s.kind == "colorizer")}
    near = difflib.get_close_matches(word, sorted(names), 1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"colorizers are {', '.join(list_models())}; `vidcolor weights list` has weights"
    )
    return (
        f"compare: {word!r} is no colorizer, no weights, no config (.toml) and no color script "
        f"(.vidcolor); {hint}"
    )
