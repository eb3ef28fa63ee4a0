"""The driver's loop: spans to workers, segments back, until the film is whole."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from vidcolor.distributed.crew import Crew, Finished, Gone, Lost, Reached, Stopped
from vidcolor.distributed.plan import Plan, Straggling, Tally
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.segment_file import read_packets, read_segment
from vidcolor.io.source import reason
from vidcolor.io.target import Target
from vidcolor.spans import Progress, Span, SpanFilm

__all__ = ["DamagedOnTheWay", "Dispatch", "Scan", "land"]

_log = logging.getLogger(__name__)

_LANDERS = 4  # segments that are fetched at the same time
_TICK_S = 0.5  # progress is asked for, and Ctrl-C noticed, so often
_DAMAGES = 3  # of one span's segments on their way, before it is no accident


@dataclass
class Dispatch:
    """One film and its workers.

    Attributes:
        film: What is colored.
        output: The film to be; segments land beside it.
        crew: Who colors.
        progress: Told how many frames are finished, each counted once; of 0 now and then.
        straggling: When a span is given to a second worker.
        clock: Seconds that only go forward.
        spans: All spans known so far, in order; those of the whole film when `run` is done.
    """

    film: SpanFilm
    output: Path
    crew: Crew
    progress: Progress
    straggling: Straggling | None = field(default_factory=Straggling)
    clock: Callable[[], float] = time.monotonic
    spans: list[Span] = field(default_factory=list)

    def run(self, found: Iterator[Span | None]) -> None:
        """Have every span made that has no segment.

        Args:
            found: All spans of the film, in order, each as soon as it is known; None: none just
                now. See `Scan`.

        Raises:
            VidcolorError: If a span cannot be made, or the disk of the output fails.
        """
        self._plan: Plan[int] = Plan(self.straggling)
        self._tally = Tally()
        self._landing: dict[Future[None], tuple[int, Span]] = {}
        self._damages: dict[str, int] = {}
        scanning = True
        with ThreadPoolExecutor(_LANDERS, "landing") as self._landers:
            try:
                while scanning or not self._plan.complete or self._landing:
                    scanning = scanning and self._listen(found)
                    self._give()
                    for event in self.crew.events(_TICK_S):
                        self._handle(event)
                    self._landed()
                    self.progress(0)
            except BaseException:
                self._landers.shutdown(wait=False, cancel_futures=True)
                raise

    def _listen(self, found: Iterator[Span | None]) -> bool:
        """Take in the spans that are known by now; whether there may be more."""
        for span in found:
            if span is None:
                return True
            self.spans.append(span)
            if self.film.has(self.output, span):
                self.progress(span.frames)
            else:
                self._plan.add(span)
        self._plan.close()
        return False

    def _give(self) -> None:
        for worker in sorted(self.crew.idle()):
            span = self._plan.take(worker, self.clock())
            if span is None:
                return
            if len(self._plan.others(span.key)) > 1:
                _log.info("frames %d and after take long; a second worker has a try", span.index)
            self.crew.start(worker, span)

    def _handle(self, event: Finished | Stopped | Reached | Lost) -> None:
        if isinstance(event, Reached):
            self.progress(self._tally.reached(event.span, event.frames))
        elif isinstance(event, Stopped):
            self._plan.gave_up(event.worker)
        elif isinstance(event, Lost):
            span = self._plan.lost(event.worker, by_the_span=not event.with_machine)
            if span is not None:
                _log.warning(
                    "worker %d is gone; frames %d and after go to another one",
                    event.worker, span.index,
                )  # fmt: skip
        elif self._plan.finished(event.worker, self.clock()):
            task = self._landers.submit(
                land, self.film, self.output, event.span,
                self.crew.read(event.worker, event.span, event.size),
            )  # fmt: skip
            self._landing[task] = event.worker, event.span
            for other in self._plan.others(event.span.key):
                self.crew.stop(other)

    def _landed(self) -> None:
        for task in [task for task in self._landing if task.done()]:
            worker, span = self._landing.pop(task)
            try:
                task.result()
            except Gone:
                _log.warning("worker %d took frames %d and after with it", worker, span.index)
                self._plan.again(span)
            except DamagedOnTheWay as error:
                self._damages[span.key] = self._damages.get(span.key, 0) + 1
                if self._damages[span.key] >= _DAMAGES:
                    raise MediaError(str(error)) from error
                _log.warning("%s; once more", error)
                self._plan.again(span)
            else:
                self.progress(self._tally.finished(span))


class DamagedOnTheWay(Exception):
    """What came is not what was sent."""


def land(film: SpanFilm, output: Path, span: Span, chunks: Iterator[bytes]) -> None:
    """Write a segment that comes from a worker, look through it, and give it its name.

    Args:
        film: The film.
        output: The film to be.
        span: Whose segment it is.
        chunks: The file.

    Raises:
        MediaError: If the disk fails.
        ConfigError: If it is whole but cannot be joined with those of this machine.
        DamagedOnTheWay: If it is not what it should be.
    """
    path = film.segment(output, span)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"{path.parent}: cannot be made ({reason(error)})") from error
    target = Target(path, overwrite=True)
    try:
        try:
            with target.temporary.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
        except OSError as error:
            raise MediaError(f"{path}: cannot be written ({reason(error)})") from error
        _look_through(target.temporary, span)
        target.land()
    finally:
        target.discard()
    if not film.has(output, span):
        path.unlink(missing_ok=True)
        raise ConfigError(
            f"a worker's encoder gave frames {span.index} and after another header than this "
            "machine's would; install the same build of PyAV on every machine"
        )


def _look_through(path: Path, span: Span) -> None:
    card = read_segment(path)
    try:
        count = sum(1 for _ in read_packets(path))
    except MediaError as error:
        raise DamagedOnTheWay(f"frames {span.index} and after came damaged ({error})") from error
    if card is None or (card.key, card.frames, count) != (span.key, span.frames, span.frames):
        raise DamagedOnTheWay(f"frames {span.index} and after came as another segment")


class Scan:
    """Spans as they become known, found by a thread, while the driver has other things to do.

    Args:
        spans: All of them, in order.
    """

    def __init__(self, spans: Iterator[Span]) -> None:
        self._found: queue.SimpleQueue[Span | BaseException | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._spans = spans
        # a thread that decodes an endless shot must not keep an interrupted program alive
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for span in self._spans:
                if self._ended.is_set():
                    break
                self._found.put(span)
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001  # raised where the spans are asked for
            self._found.put(error)
        finally:
            close = getattr(self._spans, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Iterator[Span | None]:
        """Spans; None where there is none just now."""
        while True:
            try:
                found = self._found.get_nowait()
            except queue.Empty:
                yield None
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def close(self, timeout_s: float = 5.0) -> None:
        """Find no more."""
        self._ended.set()
        self._thread.join(timeout_s)
