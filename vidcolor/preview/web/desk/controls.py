"""What the page may set, and nothing else.

Defaults, explanations and types are those of the settings themselves; here stand only the names
for people and ranges that suit sliders. Settings that name files have no place here.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Literal

from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.guidance.script.file import FILM_TABLES
from vidcolor.guidance.script.key import film_settings, overrides
from vidcolor.guidance.script.words import shown
from vidcolor.io.codecs import CODECS
from vidcolor.models.catalog import known_weights, weights_spec
from vidcolor.models.registry import list_models
from vidcolor.schema import Leaf, leaves, load

__all__ = [
    "CONTROLS",
    "Control",
    "check_network",
    "check_settings",
    "chosen",
    "control",
    "effective",
    "fit",
]

Value = bool | int | float | str
Kind = Literal["choice", "number", "switch"]
Scope = Literal["film", "shot", "both"]

_DETECTORS = ("auto", "torchvision", "detectron2", "motion", "none")
_CADENCES = ("auto", "every", "2", "4", "8", "16")


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that the page may set.

    Attributes:
        key: Of the setting, like "stabilize.tau"; keys that begin with "grade." are set as grade.
        label: For people.
        kind: A list to choose from, a number, or on and off.
        least: Of a number.
        most: Of a number.
        step: Of a slider.
        default: As usual; None: it depends.
        choices: All values that may be chosen.
        help: One sentence or two.
        scope: Where it may be set: for the film, for a shot, or both.
    """

    key: str
    label: str
    kind: Kind
    least: float | None = None
    most: float | None = None
    step: float | None = None
    default: Value | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    scope: Scope = "both"

    @property
    def path(self) -> tuple[str, ...]:
        """Keys from the root of the settings."""
        return tuple(self.key.split("."))


@functools.cache
def _leaves() -> dict[str, Leaf]:
    return {leaf.name: leaf for leaf in leaves(Config)}


def _make(
    key: str,
    label: str,
    span: tuple[float, float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Control:
    """A control of a setting.

    Args:
        key: Of the setting.
        label: For people.
        span: Least, most and step of a number.
        choices: Of a word whose type does not list them.
    """
    leaf = _leaves()[key]
    words = typing.get_args(leaf.type) if typing.get_origin(leaf.type) is Literal else choices
    kind: Kind = "choice" if words else "number" if span else "switch"
    least, most, step = span or (None, None, None)
    film = key.split(".")[0] in FILM_TABLES and not key.startswith("grade.")
    return Control(
        key,
        label,
        kind,
        least,
        most,
        step,
        default=None if leaf.default is MISSING else leaf.default,
        choices=tuple(words),
        help=leaf.help,
        scope="film" if film else "both",
    )


def _colorizer_weights() -> tuple[str, ...]:
    return tuple(spec.name for spec in known_weights() if spec.kind == "colorizer")


CONTROLS: tuple[Control, ...] = (
    _make("colorize.colorizer", "Colorizer", choices=("auto", *list_models())),
    _make("colorize.weights", "Weights", choices=("auto", *_colorizer_weights())),
    _make("colorize.render_factor", "Render factor", (0, 64, 1)),
    _make("detect.detector", "Detector", choices=_DETECTORS),
    _make("cadence.cadence", "Network looks at", choices=_CADENCES),
    _make("stabilize.enabled", "Hold color still"),
    _make("stabilize.tau", "Stabilizer tolerance", (0.5, 9, 0.5)),
    _make("stabilize.n_most", "Stabilizer memory", (1, 60, 1)),
    _make("remember.strength", "Objects keep their color", (0, 1, 0.05)),
    _make("anchor.enabled", "Places keep their color"),
    _make("restore.enabled", "Repair damage"),
    _make("restore.sensitivity", "Repair sensitivity"),
    _make("restore.deflicker.strength", "Deflicker", (0, 1, 0.05)),
    _make("restore.steady.strength", "Steady picture", (0, 1, 0.05)),
    _make("grade.saturation", "Saturation", (0, 4, 0.05)),
    _make("grade.vibrance", "Vibrance", (-1, 1, 0.05)),
    _make("grade.temperature", "Temperature", (-100, 100, 1)),
    _make("grade.tint", "Tint", (-100, 100, 1)),
    _make("grade.shadows", "Fade shadows", (0, 1, 0.05)),
    _make("grade.highlights", "Fade highlights", (0, 1, 0.05)),
    _make("compose.saturation", "Color gain", (0, 2, 0.05)),
    _make("output.codec", "Codec", choices=("auto", *CODECS)),
    _make("output.crf", "Quality (CRF)", (0, 63, 1)),
)
"""In the order in which the page shows them."""

_BY_KEY = {control.key: control for control in CONTROLS}


def control(key: Any) -> Control:
    """The control of a setting.

    Raises:
        GuidanceError: If the page may not set it.
    """
    found = _BY_KEY.get(key) if isinstance(key, str) else None
    if found is None:
        raise GuidanceError(
            f"{shown(key)} cannot be set here; write it into the color script or a config file"
        )
    return found


def fit(key: Any, value: Any, shot: bool) -> Value | None:
    """A value as the setting has it.

    Args:
        key: Of the setting.
        value: As JSON has it; None is as usual.
        shot: It is for one shot, not for the film.

    Returns:
        A whole number where the setting is one, a float where it is none.

    Raises:
        GuidanceError: If the page may not set that, there, to this.
    """
    found = control(key)
    if shot and found.scope == "film":
        raise GuidanceError(f"{found.label} goes for the whole film; set it there")
    if not shot and found.scope == "shot":
        raise GuidanceError(f"{found.label} goes for single shots; set it there")
    if value is None:
        return None
    if found.kind == "switch":
        if not isinstance(value, bool):
            raise GuidanceError(f"{found.label} is on or off: true or false, not {shown(value)}")
        return value
    if found.kind == "choice":
        if not isinstance(value, str) or value not in found.choices:
            raise GuidanceError(
                f"{found.label}: {shown(value)} is not one of {', '.join(found.choices)}"
            )
        return value
    return _number(found, value)


def _number(found: Control, value: Any) -> int | float:
    assert found.least is not None, "a number has a range"
    assert found.most is not None, "a number has a range"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not found.least <= value <= found.most:
        raise GuidanceError(
            f"{found.label} must be a number from {found.least:g} to {found.most:g}, not "
            f"{shown(value)}"
        )
    kind = _leaves()[found.key].type
    if float not in (typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)):
        if value != int(value):
            raise GuidanceError(f"{found.label} must be a whole number, not {shown(value)}")
        return int(value)
    return float(value)


def check_network(colorizer: str | None, weights: str | None) -> None:
    """See that weights are those of the network, where both are named.

    Raises:
        GuidanceError: If they are another one's.
    """
    if weights in (None, "auto") or colorizer in (None, "auto"):
        return
    model = weights_spec(str(weights)).model
    if model != colorizer:
        raise GuidanceError(
            f"weights {weights} are for {model}, not for {colorizer}; choose other weights, or "
            f"{model} as colorizer"
        )


def check_settings(old: ColorScript | None, new: ColorScript, folder: Path) -> None:
    """See that the settings of a script that have changed fit together.

    Args:
        old: The script as it was, with the same shots; None: there was none.
        new: The script.
        folder: Where paths in it begin.

    Raises:
        GuidanceError: If they do not.
    """
    film = old is None or (old.settings, old.grade) != (new.settings, new.grade)
    if film:
        _check_config(film_settings(new, folder), "the film")
    for number, shot in enumerate(new.shots):
        own = shot.settings or shot.colorizer is not None or shot.weights is not None
        if own and (film or old is None or old.shots[number] != shot):
            _check_config(overrides(new, number, folder), f"shot {number + 1}")


def _check_config(data: Mapping[str, Any], what: str) -> None:
    try:
        load(Config, data, what)
    except ConfigError as error:
        raise GuidanceError(str(error)) from None


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of settings says of controls, by key; grades are not among settings."""
    found = {}
    for one in CONTROLS:
        value: Any = settings
        for key in one.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found[one.key] = value
    return found


def effective(config: Config) -> dict[str, Any]:
    """What counts for each control, by key."""
    return {one.key: functools.reduce(getattr, one.path, config) for one in CONTROLS}
