"""Hashes of all that a piece of a film is made of: what has not changed is not made again."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vidcolor.build import chosen_weights, colorizers
from vidcolor.config import Config
from vidcolor.errors import MediaError
from vidcolor.guidance.script.key import content_mark
from vidcolor.io.source import reason
from vidcolor.models.weights import RECIPE, identify
from vidcolor.schema import to_dict
from vidcolor.stages.shots_file import Shot

__all__ = ["code_mark", "film_mark", "key_of", "made_of", "shot_key"]

_KEY_DIGITS = 32
_NO_SAY = {"preview", "cli", "train", "evaluate", "export", "distributed", "api", "batch", "doctor"}
_LIBRARIES = ("av", "numpy", "opencv-python-headless", "scipy", "torch", "torchvision")
_OF_THE_RUN = ("device", "input", "output")


def film_mark(path: Path) -> str:
    """A hash of a film's bytes; of a file that has not changed it is computed once.

    Raises:
        MediaError: If it cannot be read.
    """
    try:
        state = path.stat()
        return _mark(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({reason(error)})") from error


@functools.lru_cache(maxsize=256)
def _mark(path: Path, _size: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def code_mark() -> str:
    """A hash of the code that has a say in color, and of the libraries that compute it.

    Rooms that only call the line do not count.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if name.parts[0].removesuffix(".py") not in _NO_SAY:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for library in _LIBRARIES:
        digest.update(f"{library} {_version(library)}\0".encode())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # OpenCV has several names
        return "another"


def made_of(config: Config) -> dict[str, Any]:
    """What settings have a say in color: their values, and hashes of the files that they name.

    Raises:
        GuidanceError: If a file that a person named cannot be read.
        WeightsError: If weights are missing.
    """
    data = to_dict(config)
    for name in _OF_THE_RUN:
        del data[name]
    files = [config.guidance.hints, *config.guidance.references, config.guidance.tracks]
    files.append(config.colorize.style or None)
    kind, _, boxes = config.detect.detector.partition(":")
    if kind == "boxes":
        files.append(boxes)
    restore = config.restore
    if restore.enabled:
        files += [restore.masks, restore.protect, restore.spots]
        if Path(restore.weights).is_file():
            files.append(restore.weights)
    weights = [chosen_weights(one) for one in colorizers(config)]
    return {
        "settings": data,
        "files": [content_mark(Path(file).expanduser()) for file in files if file is not None],
        "weights": [
            name if name.startswith(RECIPE) else content_mark(identify(name)[0]) for name in weights
        ],
    }


def key_of(parts: Mapping[str, Any]) -> str:
    """A hash of anything that JSON knows, and of the code: 32 hexadecimal digits."""
    text = json.dumps({**parts, "code": code_mark()}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_DIGITS]


def shot_key(film: str, shot: Shot, settings: Mapping[str, Any]) -> str:
    """The name of a shot's segment: a hash of all that it is made of.

    The shot's number is not in it: a cut added before it does not make it another.

    Args:
        film: `film_mark` of the source.
        shot: Which frames.
        settings: Everything that has a say in their color: the line's settings, hashes of weights
            and of the files that a person gave, what the color script says of this shot. Types
            that JSON knows; how it is encoded need not be there, the store sees to that.
    """
    frames = {"start": shot.start, "end": shot.end, "pts": shot.pts}
    return key_of({"film": film, "frames": frames, "settings": settings})
