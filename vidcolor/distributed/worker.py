"""What runs on a worker's machine: one film object, one span at a time.

Nothing here knows how calls come: the engine makes them, from the driver's machine. `color` takes
minutes; all else answers at once and may be called by another thread meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from vidcolor.distributed.holdings import Holding, NodeFiles, WorkFolder, scratch_folder
from vidcolor.distributed.recipe import Recipe
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.segment_file import read_segment
from vidcolor.spans import Span, SpanFilm

__all__ = ["Facts", "Made", "Stopped", "Worker", "check_facts", "facts"]

_PACKAGE = Path(__file__).parent.parent
_NOT_OF_WORKERS = ("api.py", "batch", "cli", "doctor", "evaluate", "export.py", "preview", "train")


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be the same everywhere, and where this is.

    Attributes:
        machine: Name of the machine.
        process: Its process.
        vidcolor: Version.
        code: A hash of the program's code, which tells two working copies of one version apart.
        python: Version, to the second number.
        av: Version of PyAV, and with it of encoders.
        device: What `auto` is there: "cpu", "cuda", "mps".
        precision: What `auto` is there.
    """

    machine: str
    process: int
    vidcolor: str
    code: str
    python: str
    av: str
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class Made:
    """A finished segment, still with the worker.

    Attributes:
        key: Its name.
        size: In bytes.
    """

    key: str
    size: int


def facts() -> Facts:
    """Of this process."""
    from vidcolor.build import choose_device, choose_precision

    device = choose_device("auto")
    return Facts(
        machine=socket.gethostname(),
        process=os.getpid(),
        vidcolor=version("vidcolor"),
        code=code_of_this(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        av=version("av"),
        device=device.type,
        precision=str(choose_precision("auto", device)).removeprefix("torch."),
    )


def code_of_this() -> str:
    """A hash of the installed program's code, as far as workers run it."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE)
        if name.parts[0] not in _NOT_OF_WORKERS:
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def check_facts(here: Facts, there: Facts) -> None:
    """Look whether a worker makes of a span what the driver would make of it.

    Raises:
        ConfigError: If it has other versions.
    """
    for name, what in (("vidcolor", "vidcolor"), ("python", "Python"), ("av", "PyAV")):
        mine, its = getattr(here, name), getattr(there, name)
        if mine != its:
            raise ConfigError(
                f"machine {there.machine} has {what} {its}, this one {mine}; install the same "
                "version on every machine"
            )
    if here.code != there.code:
        raise ConfigError(
            f"machine {there.machine} has vidcolor {there.vidcolor} as this one, but other code "
            f"({there.code}, here {here.code}); install the same one on every machine"
        )


class Worker:
    """Colors spans of one film in a folder of its own.

    Args:
        threads: Of torch, OpenCV and encoders; 0 leaves them as they are.
        scratch: Where the machine keeps what it was sent.
    """

    def __init__(self, threads: int = 0, scratch: Path | None = None) -> None:
        self._files = NodeFiles(scratch or scratch_folder())
        self._film: SpanFilm | None = None
        self._work: WorkFolder | None = None
        self._output = Path()
        self._at: tuple[str, int] | None = None  # key of a span, frames of it that are finished
        self._stop = ""
        self._threads = threads

    def facts(self) -> Facts:
        """See `Facts`."""
        return facts()

    def missing(self, recipe: Recipe) -> tuple[str, ...]:
        """Hashes of the files that this machine lacks."""
        wanted = recipe.holdings()
        return tuple(name for name, one in wanted.items() if self._files.find(one) is None)

    def receive(self, wanted: Holding, chunk: bytes, offset: int, part: str) -> None:
        """A chunk of a file, see `NodeFiles.receive`."""
        self._files.receive(wanted, chunk, offset, part)

    def open(self, recipe: Recipe, output: str) -> None:
        """Make the film object.

        Args:
            recipe: How.
            output: Name of the film to be, which settles the encoder.

        Raises:
            VidcolorError: If a setting does not fit, or the device is not there.
            MediaError: If a file is not there (any more).
        """
        self.close()
        self._work = work = self._files.open_work()
        if self._threads:
            _use_threads(self._threads, self._files.cores(self._threads))
        where: dict[str, Path] = {}
        for number, one in enumerate((recipe.source, *recipe.named)):
            files = [(name, self._found(holding)) for name, holding in one.files]
            in_place = [str(path) for _, path in files] == [held.path for _, held in one.files]
            laid = Path(one.path) if in_place else work.lay(str(number), files, one.folder)
            where[one.path] = laid
        weights = [(Path(one.path).name, self._found(one)) for one in recipe.weights]
        # "auto" means the same here as with the driver, whatever else is installed here
        os.environ["VIDCOLOR_CACHE"] = str(work.lay("weights", weights, folder=True))
        self._film = recipe.open(where)
        self._output = work.path / "segments" / output
        self._output.parent.mkdir()

    def _found(self, wanted: Holding) -> Path:
        path = self._files.find(wanted)
        if path is None:
            raise MediaError(f"{wanted.path}: is not on {socket.gethostname()} any more; run again")
        return path

    def color(self, span: Span) -> Made:
        """Make the segment of a span; it stays here until `drop`.

        Raises:
            VidcolorError: If it cannot be made.
            Stopped: If `stop` was called meanwhile.
        """
        film, finished = self._open_film(), 0

        def progress(count: int) -> None:
            nonlocal finished
            if self._stop == span.key:
                raise Stopped
            finished += count
            self._at = span.key, finished

        self._at = span.key, 0
        try:
            film.color_span(self._output, span, progress)
        finally:
            self._at, self._stop = None, ""
        path = film.segment(self._output, span)
        card = read_segment(path)
        if card is None or card.key != span.key or card.frames != span.frames:
            raise RuntimeError(f"the segment of {span} is not what it should be: {card}")
        return Made(span.key, path.stat().st_size)

    def at(self) -> tuple[str, int] | None:
        """Key of the span that is being made, and how many frames of it are finished."""
        return self._at

    def stop(self, key: str) -> None:
        """Stop making a span, at the next batch; of another one it means nothing."""
        if self._at is not None and self._at[0] == key:
            self._stop = key

    def read(self, span: Span, offset: int, size: int) -> bytes:
        """Bytes of a finished segment."""
        with self._open_film().segment(self._output, span).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def drop(self, span: Span) -> None:
        """Forget a segment."""
        self._open_film().segment(self._output, span).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what this worker keeps for itself."""
        if self._work is not None:
            self._work.close()
        self._work = self._film = None

    def _open_film(self) -> SpanFilm:
        assert self._film is not None, "the film is opened first"
        return self._film


class Stopped(Exception):
    """A span is not wanted any more."""


def _use_threads(threads: int, cores: Sequence[int]) -> None:
    """Leave other cores to other workers of the machine.

    FFmpeg has no setting for all its codecs: it counts the cores that a process may use.
    """
    import cv2
    import torch

    if cores:
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
