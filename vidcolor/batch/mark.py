"""By what the settings of a film are known: an output of the same is not made again."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidcolor.config import Config
from vidcolor.guidance.script.share import Shares
from vidcolor.marks import made_of
from vidcolor.schema import load, merge, to_dict
from vidcolor.scripted import ScriptedFilm

__all__ = ["SettingsMark", "find_script"]

_SCRIPT = ".vidcolor"
_DIGITS = 32
_NO_SAY = {"input": ("batch_size", "hwaccel"), "output": ("overwrite", "keep_partial")}


def find_script(source: Path) -> Path | None:
    """The color script `NAME.vidcolor` beside a film, if there is one."""
    path = source.with_name(f"{source.stem}{_SCRIPT}")
    try:
        return path if path.is_file() else None
    except OSError:  # a name too long
        return None


class SettingsMark:
    """Hashes of all that has a say in outputs, besides the films and the program.

    Content counts, not names: weights, hints, pictures, what a script says.

    Args:
        layers: Settings of the config file, the environment and the flags.

    Raises:
        ConfigError: If a setting is wrong.
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]]) -> None:
        self.layers = tuple(layers)
        self.config: Config = load(Config, functools.reduce(merge, layers, {}))
        self._known: dict[Config, str] = {}

    def of(self, source: Path, script: Path | None) -> str:
        """The mark of one film.

        Args:
            source: The film.
            script: Its color script, if it has one.

        Returns:
            32 hexadecimal digits.

        Raises:
            GuidanceError: If the script is not as it should be, or a named file cannot be read.
            WeightsError: If weights are missing.
        """
        return self._plain(self.config) if script is None else self._scripted(source, script)

    def _plain(self, config: Config) -> str:
        if config not in self._known:
            files = {
                name: {k: v for k, v in to_dict(getattr(config, name)).items() if k not in left_out}
                for name, left_out in _NO_SAY.items()
            }
            self._known[config] = _hash({**made_of(config), **files})
        return self._known[config]

    def _scripted(self, source: Path, script: Path) -> str:
        film = ScriptedFilm.open(source, script, self.layers)
        shares, folder = Shares(film.script), script.parent
        kinds: dict[str, str] = {}  # by what is a shot's own in its settings
        for number, entry in enumerate(film.script.shots):
            kind = repr((entry.colorizer, entry.weights, entry.settings))
            if kind not in kinds:
                kinds[kind] = self._plain(film.settings(number))
        keys = [shares.key(shot.shot, folder) for shot in film.shots]
        return _hash(
            {"film": self._plain(film.config), "kinds": sorted(kinds.values()), "shots": keys}
        )


def _hash(data: Any) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
