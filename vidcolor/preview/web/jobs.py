"""Long work in the background: what runs, how far it is, and stopping it."""

from __future__ import annotations

import builtins
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable

from vidcolor.errors import GuidanceError, VidcolorError
from vidcolor.preview.web.job import STOPPING, Canceled, Job, Lane, State, Task
from vidcolor.preview.web.quiet import Quiet

__all__ = ["Canceled", "Job", "Jobs", "Report"]

_log = logging.getLogger(__name__)

_TOLD_EVERY_S = 0.2  # that progress is passed on
_DEEPEST = 3  # jobs that wait for newer ones on the same thread, each with its frames in memory
_KEPT = 40  # finished jobs that are still listed
_POLL_S = 0.5
_FAULT = "a fault of the program: {}; its log has the details"

Work = Callable[["Report"], object]


class Report:
    """What a job tells, and where it hears that it should stop.

    A job in the lane "look" or "idle" that reports may be held there while a newer one runs; so it
    must not hold a lock while it reports. `check` never holds it.
    """

    def __init__(self, jobs: Jobs, task: Task) -> None:
        self._jobs, self._task = jobs, task

    def __call__(self, count: int = 0) -> None:
        """So many more are done.

        Raises:
            Canceled: If the job is to stop.
        """
        self._jobs._count(self._task, count)
        self._jobs._give_way(self._task)

    def check(self) -> None:
        """Nothing new.

        Raises:
            Canceled: If the job is to stop.
        """
        if self._task.stop:
            raise Canceled

    def begin(self, message: str, total: int | None = None) -> None:
        """A new part of the work, counted from 0 again.

        Raises:
            Canceled: If the job is to stop.
        """
        self._jobs._begin(self._task, message, total)
        self._jobs._give_way(self._task)

    def fetched(self, done: int, total: int | None) -> None:
        """Bytes of weights that are fetched; called while files are locked.

        Raises:
            Canceled: If the job is to stop.
        """
        of = "" if total is None else f" of {total / 1e6:.0f}"
        self._jobs._say(self._task, f"fetching weights: {done / 1e6:.0f}{of} MB")
        self.check()


class Jobs:
    """Runs work in two threads: one for what people wait for, one for what takes long.

    Lanes: "look" is interactive, the newest job first. A newer job does not wait for an older one
    to end: the older one is held where it next reports, and goes on afterwards. "render" goes in
    order and beside "look". "idle" uses the thread of "look" when neither lane has work, and is
    held while they have.

    Thread-safe. Ends with `close`, or as a context manager.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._tasks: builtins.list[Task] = []  # in the order of their numbers
        self._count_started = 0
        self._closed = False
        self._listeners: list[Callable[[Job], None]] = []
        self._telling = threading.RLock()  # so that what is told last is how it is
        self._depth = 0
        self._quiet = Quiet()
        self._quiet.begin()
        self._threads = [
            threading.Thread(target=self._serve, args=(lanes,), name=name, daemon=True)
            for name, lanes in (
                ("vidcolor-look", ("look", "idle")),
                ("vidcolor-render", ("render",)),
            )
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- from outside ----------------------------------------------------------------------------

    def start(
        self,
        kind: str,
        slot: str | None,
        title: str,
        work: Work,
        lane: Lane = "look",
        *,
        film: str | None = None,
        shot: int | None = None,
    ) -> Job:
        """Queue some work.

        Args:
            kind: What is done.
            slot: A newer job of the same slot cancels the older one; None: nothing is canceled.
            title: The same for people.
            work: Does it; raises `Canceled` when its report does.
            lane: Where it runs.
            film: Of which film.
            shot: Of which shot.

        Raises:
            GuidanceError: If the program is closing.
        """
        with self._change:
            if self._closed:
                raise GuidanceError("the program is closing; start it again")
            self._count_started += 1
            number, name = self._count_started, secrets.token_hex(6)
            task = Task(number, name, kind, slot, title, lane, work, film, shot)
            older = [] if slot is None else [one for one in self._open() if one.slot == slot]
            self._tasks.append(task)
            self._forget()
            self._change.notify_all()
        for one in older:
            self._stop(one)
        self._tell(task)
        return task.job()

    def cancel(self, name: str) -> None:
        """Ask a job to stop; one that waits is canceled at once, a finished one stays as it is.

        Raises:
            GuidanceError: If there is no such job.
        """
        self._stop(self._find(name))

    def list(self, film: str | None = None) -> tuple[Job, ...]:
        """Jobs that run or wait, and the latest that are over, in the order of their start.

        Args:
            film: Of this film only.
        """
        with self._change:
            return tuple(t.job() for t in self._tasks if film is None or t.film == film)

    def wait(self, name: str, timeout_s: float | None = None) -> Job:
        """How a job is when it is over, or when so much time has passed.

        Raises:
            GuidanceError: If there is no such job.
        """
        task = self._find(name)
        task.ended.wait(timeout_s)
        with self._change:
            return task.job()

    def subscribe(self, listener: Callable[[Job], None]) -> Callable[[], None]:
        """Be told of every change of a job, in the thread in which it happens.

        Args:
            listener: Returns soon.

        Returns:
            Ends it.
        """
        with self._telling:
            self._listeners.append(listener)

        def leave() -> None:
            with self._telling, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return leave

    def close(self, timeout_s: float = 5.0) -> bool:
        """Cancel everything and wait until it has stopped.

        Args:
            timeout_s: For how long at most.

        Returns:
            Whether all has stopped; what has not ends with the program.
        """
        with self._change:
            self._closed = True
            tasks = self._open()
            self._change.notify_all()
        for task in tasks:
            self._stop(task)
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._quiet.end()
        return not any(thread.is_alive() for thread in self._threads)

    # -- what runs -------------------------------------------------------------------------------

    def _serve(self, lanes: tuple[Lane, ...]) -> None:
        while True:
            with self._change:
                task = self._next(lanes)
                while task is None and not self._closed:
                    self._change.wait()
                    task = self._next(lanes)
                if task is None:
                    return
                self._take(task)
            self._run(task)

    def _next(self, lanes: tuple[Lane, ...]) -> Task | None:
        """What a free thread should do; the lock is held."""
        queued = [task for task in self._tasks if task.state == "queued"]
        if "render" in lanes:
            return next((task for task in queued if task.lane == "render"), None)
        newest = self._newest_look()
        if newest is not None or self._rendering():
            return newest
        return next((task for task in queued if task.lane == "idle"), None)

    def _rendering(self) -> bool:
        return any(task.lane == "render" for task in self._open())

    def _take(self, task: Task) -> None:
        task.state, task.started, task.thread = "running", time.time(), threading.get_ident()

    def _run(self, task: Task) -> None:
        self._tell(task)
        state: State = "done"
        message, result = "", None
        try:
            result = task.work(Report(self, task))
        except Canceled:
            state = "canceled"
        except VidcolorError as error:
            state, message = "failed", str(error)
        except Exception as error:  # noqa: BLE001  (the thread must live on)
            _log.exception("job %s (%s)", task.kind, task.title)
            state, message = "failed", _FAULT.format(type(error).__name__)
        self._end(task, state, message, result)

    def _end(self, task: Task, state: State, message: str, result: object) -> None:
        with self._change:
            task.state, task.message, task.result = state, message, result
            self._change.notify_all()
        self._tell(task)
        task.ended.set()

    def _give_way(self, task: Task) -> None:
        """Hold a job while a newer one runs in its place."""
        if task.thread != threading.get_ident() or task.lane == "render":
            self._check(task)
            return
        while True:
            self._check(task)
            with self._change:
                newer = self._more_urgent(task)
                if newer is None:
                    if not (task.lane == "idle" and self._rendering()):
                        return
                    self._change.wait(_POLL_S)
                    continue
                self._take(newer)
                self._depth += 1
            try:
                self._run(newer)
            finally:
                with self._change:
                    self._depth -= 1

    def _more_urgent(self, task: Task) -> Task | None:
        newest = self._newest_look()
        if newest is None or self._depth >= _DEEPEST:
            return None
        return newest if task.lane == "idle" or newest.number > task.number else None

    def _newest_look(self) -> Task | None:
        looks = (t for t in reversed(self._tasks) if t.state == "queued" and t.lane == "look")
        return next(looks, None)

    # -- what is known ---------------------------------------------------------------------------

    def _open(self) -> builtins.list[Task]:
        return [task for task in self._tasks if task.state in ("queued", "running")]

    def _find(self, name: str) -> Task:
        with self._change:
            for task in self._tasks:
                if task.id == name:
                    return task
        raise GuidanceError(f"there is no job {name!r} any more; reload the page")

    def _forget(self) -> None:
        over = [task for task in self._tasks if task.state not in ("queued", "running")]
        for task in over[:-_KEPT]:
            self._tasks.remove(task)

    def _stop(self, task: Task) -> None:
        with self._change:
            waiting = task.state == "queued"
            if waiting:
                task.state = "canceled"
            elif task.state == "running":
                task.stop, task.message = True, STOPPING
            self._change.notify_all()
        self._tell(task)
        if waiting:
            task.ended.set()

    def _check(self, task: Task) -> None:
        if task.stop:
            raise Canceled

    def _count(self, task: Task, count: int) -> None:
        now = time.monotonic()
        with self._change:
            task.done += count
            due = count > 0 and now - task.told >= _TOLD_EVERY_S
            if due:
                task.told = now
        if due:
            self._tell(task)

    def _begin(self, task: Task, message: str, total: int | None) -> None:
        with self._change:
            task.done, task.total = 0, total
            task.message = task.message if task.stop else message
        self._tell(task)

    def _say(self, task: Task, message: str) -> None:
        now = time.monotonic()
        with self._change:
            task.message = task.message if task.stop else message
            due = now - task.told >= _TOLD_EVERY_S
            if due:
                task.told = now
        if due:
            self._tell(task)

    def _tell(self, task: Task) -> None:
        with self._telling:
            with self._change:
                job = task.job()
            for listener in tuple(self._listeners):
                try:
                    listener(job)
                except Exception:  # noqa: BLE001  (a listener must not stop the work)
                    _log.exception("a listener of jobs")
