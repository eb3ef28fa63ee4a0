"""What a worker needs to make the same film object as the driver: settings, a script, files.

Paths in settings and in a script are those of the driver's machine. A recipe says which of them
name files, and is rewritten on the worker's machine to where these lie there.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcolor.build import choose_device, chosen_weights, colorizers
from vidcolor.color.grade import GradeConfig
from vidcolor.config import Config
from vidcolor.distributed.holdings import Holding, hold
from vidcolor.errors import ConfigError
from vidcolor.guidance.script.entries import ColorScript
from vidcolor.models.weights import RECIPE, installed, known_weights, weights_spec
from vidcolor.plain import PlainFilm
from vidcolor.planning import listed_shots
from vidcolor.schema import load, merge, put, to_dict
from vidcolor.scripted import ScriptedFilm
from vidcolor.spans import Progress, Span, SpanFilm
from vidcolor.stages.detect import make_detector
from vidcolor.stages.detect_motion import MotionDetector

__all__ = ["FILE_KEYS", "Named", "Recipe", "make_recipe", "refuse_whole"]

FILE_KEYS = (
    "guidance.hints",
    "guidance.references",
    "guidance.tracks",
    "colorize.style",
    "colorize.weights",
    "merge.weights",
    "restore.masks",
    "restore.protect",
    "restore.spots",
    "restore.weights",
    "detect.detector",
    "detect.detectron2_weights",
    "detect.detectron2_config",
    "grade.lut",
    "cut.shots_file",
)
"""Settings that may name a file or a folder."""

_AUTO = "auto"
_BOXES = "boxes:"
_WORDS = ("auto", "none", "recipe")  # instead of weights
_WEIGHTS_KEYS = tuple(key for key in FILE_KEYS if key.endswith(".weights"))

Move = Callable[[str, Path], str]
"""Gets a path as it is written and the folder in which it begins; gives the new one."""


@dataclass(frozen=True, slots=True)
class Named:
    """A file or folder that settings, a script or the command line name.

    Attributes:
        path: Its absolute path with the driver.
        folder: Whether it is a folder.
        files: What is in it, by name below it; of a file, itself.
    """

    path: str
    folder: bool
    files: tuple[tuple[str, Holding], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a film object.

    Attributes:
        source: The film.
        named: All else that settings and script name.
        weights: Files of installed weights, which are found by the name of the file.
        config: Settings: of a plain film all, of a scripted one those of the whole film.
        script: What the script says; None: a plain film.
        path: The file of the script.
        layers: As `ScriptedFilm` has them.
        here: The folder in which relative paths of settings begin.
        detector: What "auto" means with the driver. Workers take the same, whatever they have.
    """

    source: Named
    named: tuple[Named, ...]
    weights: tuple[Holding, ...]
    config: Mapping[str, Any]
    script: ColorScript | None
    path: str
    layers: tuple[Mapping[str, Any], ...]
    here: str
    detector: str

    def holdings(self) -> dict[str, Holding]:
        """All files, by their hash."""
        folders = (self.source, *self.named)
        files = [holding for one in folders for _, holding in one.files]
        return {holding.sha256: holding for holding in (*files, *self.weights)}

    def open(self, where: Mapping[str, Path]) -> SpanFilm:
        """The film object.

        Args:
            where: The new place of the film and of everything named, by its path with the driver.

        Raises:
            VidcolorError: If a setting or a file does not fit, or the device is not there.
        """
        here = Path(self.here)

        def move(text: str, base: Path) -> str:
            return str(where.get(_absolute(text, base), text))

        source = where[self.source.path]
        config = load(Config, self._moved(self.config, here, move), "settings of the driver")
        if self.script is None:
            return PlainFilm(source, config)
        below, *above = (self._moved(layer, here, move) for layer in self.layers)
        layers = (merge({"detect": {"detector": self.detector}}, below), *above)
        script = _move_script(self.script, Path(self.path).parent, here, move)
        path = Path(self.path)
        film = _NamedShots(source, path, script, config, listed_shots(script), layers)
        film.check()
        return film

    def _moved(self, data: Mapping[str, Any], here: Path, move: Move) -> dict[str, Any]:
        moved = _move_settings(data, here, move)
        if moved.get("detect", {}).get("detector") == _AUTO:
            put(moved, ("detect", "detector"), self.detector)
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class _NamedShots(ScriptedFilm):
    """A film with a script whose keys are those of the driver.

    They are made of paths too, which are others here, and of the hash of a film that this machine
    need not read whole.
    """

    span: Span | None = None

    def color_span(self, output: Path, span: Span, progress: Progress | None = None) -> None:
        """Make the segment of a shot."""
        named = dataclasses.replace(self, span=span)
        named.make(output, [span.shot], progress=progress)

    def keys(self, places: Iterable[int] | None = None) -> tuple[str, ...]:
        """That of the span; others are not asked for."""
        span = self.span
        every = range(len(self.shots)) if places is None else places
        return tuple(
            span.key if span is not None and n == span.shot else f"shot-{n}" for n in every
        )


def make_recipe(film: SpanFilm) -> Recipe:
    """How others make this film object.

    Args:
        film: A `PlainFilm` or a `ScriptedFilm`.

    Raises:
        VidcolorError: If a file cannot be read.
        ConfigError: If its color needs the film in one piece.
    """
    refuse_whole(film)
    here = Path.cwd()
    found: dict[str, Path] = {}

    def note(text: str, base: Path) -> str:
        path = Path(_absolute(text, base))
        if path.exists():
            found[str(path)] = path
        return text

    if isinstance(film, ScriptedFilm):
        script: ColorScript | None = film.script
        path, layers = str(film.path.absolute()), film.layers
        _move_script(film.script, Path(path).parent, here, note)
        for layer in layers:
            _move_settings(layer, here, note)
        configs = list(_configs(film))
    elif isinstance(film, PlainFilm):
        script, path, layers, configs = None, "", (), [film.config]
    else:
        raise TypeError(f"a plain or a scripted film is expected, not {type(film).__name__}")
    config = to_dict(film.config)
    _move_settings(config, here, note)
    return Recipe(
        source=_named(film.source.absolute()),
        named=tuple(_named(found[name]) for name in sorted(found)),
        weights=tuple(hold(file) for file in _weight_files(configs)),
        config=config,
        script=script,
        path=path,
        layers=layers,
        here=str(here),
        detector=_chosen_detector(film.config),
    )


def refuse_whole(film: SpanFilm) -> None:
    """Look whether every span of a film can be colored by itself, far from the others.

    Raises:
        ConfigError: If not, with what to do.
    """
    if not isinstance(film, PlainFilm):
        return
    config = film.config
    reasons = {
        "remember.across_shots": config.remember.across_shots and config.guidance.tracks is None,
        "--hints": config.guidance.hints is not None,
        "--reference": bool(config.guidance.references),
    }
    for name in (name for name, asked in reasons.items() if asked):
        raise ConfigError(
            f"{name} needs the film in one piece, but workers see spans of it; first run "
            f"`vidcolor plan {film.source.name}`, say it in the plan, and color with --plan: "
            "there every shot depends on the plan alone"
        )


def _chosen_detector(config: Config) -> str:
    """What "auto" means on this machine; with weights for detectron2 that is left to it."""
    if config.detect.detector != _AUTO or config.detect.detectron2_weights:
        return config.detect.detector
    found = make_detector(config.detect, choose_device(config.device))
    return "motion" if isinstance(found, MotionDetector) else "torchvision"


def _configs(film: ScriptedFilm) -> Iterator[Config]:
    """The settings of all shots, each that differs once."""
    seen: set[str] = set()
    for shot in film.script.shots:
        kind = repr((shot.colorizer, shot.weights, shot.settings))
        if kind not in seen:
            seen.add(kind)
            yield film.settings(shot.number)


def _weight_files(configs: Iterable[Config]) -> list[Path]:
    """Files of known weights that settings ask for and that do not come with the program."""
    names: set[str] = set()
    for config in configs:
        names |= {chosen_weights(one) for one in colorizers(config)}
        names.add(config.restore.weights)
        if config.detect.detector in (_AUTO, "torchvision"):
            names |= {name for name in installed() if weights_spec(name).kind == "detector"}
    there = installed()
    return sorted(there[name] for name in names & set(there) if not weights_spec(name).shipped)


def _absolute(text: str, base: Path) -> str:
    return str(base / Path(text).expanduser())


def _named(path: Path) -> Named:
    if not path.is_dir():
        return Named(str(path), False, ((path.name, hold(path)),))
    files = sorted(file for file in path.rglob("*") if file.is_file())
    below = tuple((file.relative_to(path).as_posix(), hold(file)) for file in files)
    return Named(str(path), True, below)


def _move_settings(data: Mapping[str, Any], here: Path, move: Move) -> dict[str, Any]:
    """Settings with every path moved."""
    result = copy.deepcopy(dict(data))
    for key in FILE_KEYS:
        parts = tuple(key.split("."))
        value: Any = data
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value:
            put(result, parts, _move_value(key, value, here, move))
    return result


def _move_value(key: str, value: Any, here: Path, move: Move) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_move_value(key, one, here, move) for one in value)
    if not isinstance(value, str) or (key in _WEIGHTS_KEYS and _is_word(value)):
        return value
    if key != "detect.detector":
        return move(value, here)
    if not value.startswith(_BOXES):
        return value
    return _BOXES + move(value.removeprefix(_BOXES), here)


def _is_word(name: str) -> bool:
    """Whether weights are named, and not a file of them."""
    known = {spec.name for spec in known_weights()}
    return name in _WORDS or name in known or name.startswith(RECIPE)


def _move_script(script: ColorScript, folder: Path, here: Path, move: Move) -> ColorScript:
    """A script with every path moved; its own paths begin in its folder, those of settings not."""

    def grade(wanted: GradeConfig) -> GradeConfig:
        if wanted.lut is None:
            return wanted
        return dataclasses.replace(wanted, lut=move(wanted.lut, folder))

    def settings(table: Any) -> Any:
        return type(table)(_move_settings(table, here, move))

    shots = []
    for shot in script.shots:
        weights = shot.weights
        if weights is not None and not _is_word(weights):
            weights = move(weights, here)
        shots.append(
            dataclasses.replace(
                shot, weights=weights, grade=grade(shot.grade), settings=settings(shot.settings)
            )
        )
    return dataclasses.replace(
        script,
        settings=settings(script.settings),
        grade=grade(script.grade),
        shots=tuple(shots),
        track_grades=tuple(
            dataclasses.replace(one, grade=grade(one.grade)) for one in script.track_grades
        ),
        references=tuple(
            dataclasses.replace(one, file=move(one.file, folder)) for one in script.references
        ),
    )
