"""Hashes of all that a piece of a film is made of: what has not changed is not made again."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidcolor.build import chosen_weights, colorizers
from vidcolor.config import Config
from vidcolor.errors import MediaError
from vidcolor.guidance.script.key import content_mark
from vidcolor.io.source import reason
from vidcolor.models.weights import RECIPE, identify
from vidcolor.schema import to_dict
from vidcolor.stages.shots_file import Shot

__all__ = ["Marking", "SpanNames", "code_mark", "film_mark", "key_of", "made_of", "shot_key"]

_KEY_DIGITS = 32
_NO_SAY = {"preview", "cli", "train", "evaluate", "export", "distributed", "api", "batch", "doctor"}
_LIBRARIES = ("av", "numpy", "opencv-python-headless", "scipy", "torch", "torchvision")
_OF_THE_RUN = ("device", "input", "output")
_CHUNK_BYTES = 4 << 20
"""Read and hashed at a time. Around each of them a thread needs Python's lock, for which it may
have to wait for milliseconds while others compute."""
_REST = 3
"""After each of them a thread rests so many times as long as it took, until somebody waits for the
hash: where cores are few, those that color come first."""


def film_mark(path: Path) -> str:
    """A hash of a film's bytes; of a file that has not changed it is computed once.

    Raises:
        MediaError: If it cannot be read, or changes meanwhile.
    """
    pace = _Pace()
    pace.hurry.set()
    return _Film.at(path, pace).mark()


class Marking:
    """A film's hash in the making, in a thread beside other work.

    From entering on, the film must stay as it is: who begins to decode it then has frames of the
    film that the hash is of, or gets an error. Leaving does not wait for the rest of the film.

    Args:
        path: The film.

    Raises:
        MediaError: On entering, if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done, self._pace = threading.Event(), _Pace()
        self._mark = ""
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        film = _Film.at(self._path, self._pace)
        name = "vidcolor-mark"
        self._thread = threading.Thread(target=self._work, args=(film,), name=name, daemon=True)
        self._thread.start()
        return self

    @property
    def known(self) -> bool:
        """Whether `mark` would answer at once, and well."""
        return bool(self._mark)

    def mark(self) -> str:
        """What `film_mark` says; waits for it.

        Raises:
            MediaError: If the film cannot be read, or changes meanwhile.
        """
        self._pace.hurry.set()
        self._done.wait()
        self.check()
        return self._mark

    def check(self) -> None:
        """Raise what has gone wrong so far; waits for nothing."""
        if self._error is not None:
            raise self._error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None, "there is no thread yet"
        self._pace.stop.set()
        self._pace.hurry.set()
        self._thread.join()

    def _work(self, film: _Film) -> None:
        try:
            self._mark = film.mark()
        except BaseException as error:  # noqa: BLE001  (raised again where the hash is needed)
            self._error = error
        self._done.set()


class _Stopped(Exception):
    """Nobody needs the hash any more."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Pace:
    """How a film is hashed.

    Attributes:
        hurry: Without rests from now on.
        stop: Not to the end.
    """

    hurry: threading.Event = dataclasses.field(default_factory=threading.Event)
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)


@dataclasses.dataclass(frozen=True, slots=True)
class _Film:
    """A file as it was found.

    Attributes:
        path: Where.
        size: In bytes.
        changed_ns: When it was last changed.
        pace: How it is read; has no say in whether two films are the same.
    """

    path: Path
    size: int
    changed_ns: int
    pace: _Pace = dataclasses.field(compare=False)

    @classmethod
    def at(cls, path: Path, pace: _Pace) -> _Film:
        try:
            state = path.stat()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
        return cls(path, state.st_size, state.st_mtime_ns, pace)

    def mark(self) -> str:
        try:
            mark = _hash(self)
        except OSError as error:
            raise MediaError(f"{self.path}: cannot be read ({reason(error)})") from error
        if _Film.at(self.path, self.pace) != self:
            raise MediaError(
                f"{self.path}: changed while it was read; run again when it stays as it is"
            )
        return mark


@functools.lru_cache(maxsize=256)
def _hash(film: _Film) -> str:
    digest, chunk = hashlib.sha256(), bytearray(_CHUNK_BYTES)
    view = memoryview(chunk)
    with film.path.open("rb", buffering=0) as file:
        while True:
            began = time.monotonic()
            if not (count := file.readinto(chunk)):
                break
            digest.update(view[:count])
            film.pace.hurry.wait(_REST * (time.monotonic() - began))
            if film.pace.stop.is_set():
                raise _Stopped
    return digest.hexdigest()


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


class SpanNames:
    """Names of the spans of a film: hashes of all that they are made of.

    Args:
        kind: What every name begins with.
        source: The film.
        parts: Says what else spans are made of, in types that JSON knows. Asked once.
    """

    def __init__(self, kind: str, source: Path, parts: Callable[[], Mapping[str, Any]]) -> None:
        self._kind, self._source, self._parts = kind, source, parts
        self._known: dict[str, Any] = {}
        self._marking: Marking | None = None

    @contextlib.contextmanager
    def being_found(self) -> Iterator[None]:
        """Hash the film beside the work inside; all else that has a say is settled at once.

        Raises:
            MediaError: If the film cannot be read.
            GuidanceError: If a file that a person named cannot be read.
            WeightsError: If weights are missing.
        """
        self._known.pop("film", None)  # it may be another one than at the last call
        with Marking(self._source) as self._marking:
            try:
                self._settle()
                yield
            finally:
                self._marking = None

    @property
    def pending(self) -> bool:
        """Whether the next name would have to be waited for, because the film is being hashed."""
        return self._marking is not None and not self._marking.known

    def check(self) -> None:
        """Raise what has gone wrong with the hash so far; waits for nothing."""
        if self._marking is not None:
            self._marking.check()

    def of(self, index: int, pts: int | None) -> str:
        """The name of the span that begins somewhere.

        Args:
            index: Number of its first frame.
            pts: Of that frame; None at the beginning of the film.

        Raises:
            VidcolorError: As `being_found`, and if the film changes while it is read.
        """
        known = self._settle()
        if "film" not in known:
            known["film"] = self._marking.mark() if self._marking else film_mark(self._source)
        return self._kind + key_of({**known, "index": index, "pts": pts})

    def _settle(self) -> dict[str, Any]:
        if not self._known:
            self._known.update(self._parts())
        return self._known
