"""Workers that are Ray actors."""

from __future__ import annotations

import collections
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vidcolor import errors
from vidcolor.distributed.crew import Event, Finished, Gone, Lost, Reached, Stopped
from vidcolor.distributed.holdings import CHUNK_BYTES, Holding, send
from vidcolor.distributed.recipe import Recipe
from vidcolor.distributed.worker import Facts, check_facts, facts
from vidcolor.errors import ConfigError, VidcolorError
from vidcolor.spans import Span

__all__ = ["RayCrew", "Resources"]

_log = logging.getLogger(__name__)

_WORK, _ASIDE = "work", "aside"  # `color` runs in one thread, all else in others beside it
_ASIDE_THREADS = 4
_PREPARERS = 64  # workers that are made ready at the same time
_ASK_EVERY_S = 1.0
_STILLBORN = 3  # workers in a row, for each wanted, that end before they are ready
_CHUNKS = 8  # of files on their way that stay in the object store, for other machines
_FAREWELL_S = 5.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What a worker gets.

    Attributes:
        cpus: Cores that Ray sets aside for it.
        gpus: 0 or 1.
        threads: Of everything that computes on cores; 0 leaves that to the libraries.
    """

    cpus: int
    gpus: int
    threads: int

    def __str__(self) -> str:
        if self.gpus:
            return "a GPU"
        return "one core" if self.cpus == 1 else f"{self.cpus} cores"


@dataclass(slots=True)
class _Member:
    number: int
    actor: Any
    awaited: Any = None  # the answer that decides what is next
    asked: Any = None  # how far it is
    asked_at: float = 0.0
    node: str = ""
    ready: bool = False
    span: Span | None = None

    def call(self, method: str, *args: Any, group: str = _ASIDE) -> Any:
        return self.actor.call.options(concurrency_group=group).remote(method, *args)


class RayCrew:
    """Ray actors, as many as wanted and as there is room for; who dies is replaced.

    Args:
        ray: The module.
        recipe: How to make the film.
        output: Name of the film to be.
        count: How many workers.
        resources: What each gets.
    """

    def __init__(
        self, ray: Any, recipe: Recipe, output: str, count: int, resources: Resources
    ) -> None:
        self._ray, self._output, self._count = ray, output, count
        self._options = {
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        self._class = _actor_class(ray, resources.threads)
        self._gpus = resources.gpus
        self._here = facts()
        self._holdings = recipe.holdings()
        self._recipe = ray.put(recipe)
        self._members: dict[int, _Member] = {}
        self._numbers = iter(range(1 << 62))
        self._stillborn = 0
        self._devices: set[tuple[str, str]] = set()
        self._chunks: collections.OrderedDict[tuple[str, int], Any] = collections.OrderedDict()
        self._chunk_lock = threading.Lock()
        self._node_locks: dict[str, threading.Lock] = collections.defaultdict(threading.Lock)
        self._prepared: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
        self._preparers = ThreadPoolExecutor(_PREPARERS, "prepare")
        for _ in range(count):
            self._hire()

    # -- as `Crew` -------------------------------------------------------------------------------

    def idle(self) -> list[int]:
        """Workers who are ready and at nothing."""
        return [n for n, member in self._members.items() if member.ready and member.span is None]

    def start(self, worker: int, span: Span) -> None:
        """Let an idle worker color a span."""
        member = self._members[worker]
        member.span, member.asked_at = span, time.monotonic()
        member.awaited = member.call("color", span, group=_WORK)

    def stop(self, worker: int) -> None:
        """A worker's span is not wanted any more."""
        member = self._members.get(worker)
        if member is not None and member.span is not None:
            member.call("stop", member.span.key)

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Crew`."""
        found: list[Event] = []
        self._ask()
        refs = {}
        for member in self._members.values():
            for ref in (member.awaited, member.asked):
                if ref is not None:
                    refs[ref] = member
        if refs:
            ready, _ = self._ray.wait(list(refs), num_returns=1, timeout=timeout_s)
            if ready:
                ready, _ = self._ray.wait(list(refs), num_returns=len(refs), timeout=0)
        else:
            ready = []
            time.sleep(timeout_s)
        for ref in ready:
            member = refs[ref]
            if member.number in self._members:
                found += self._answered(member, ref)
        found += self._made_ready()
        return found

    def read(self, worker: int, span: Span, size: int) -> Iterator[bytes]:
        """See `Crew`."""
        member = self._members.get(worker)
        if member is None:
            raise Gone
        for offset in range(0, size, CHUNK_BYTES):
            yield self._wait(member.call("read", span, offset, min(CHUNK_BYTES, size - offset)))
        member.call("drop", span)

    # -- members ---------------------------------------------------------------------------------

    def _hire(self) -> None:
        actor = self._class.options(**self._options).remote()
        member = _Member(next(self._numbers), actor)
        member.awaited = member.call("facts")
        self._members[member.number] = member

    def _answered(self, member: _Member, ref: Any) -> list[Event]:
        try:
            value = self._wait(ref)
        except Gone as error:
            return self._lose(member, error)
        except _WasStopped:
            member.awaited = member.span = None
            return [Stopped(member.number)]
        if ref == member.asked:
            member.asked = None
            span = member.span
            if value is None or span is None or value[0] != span.key:
                return []
            return [Reached(member.number, span, value[1])]
        member.awaited = None
        if not member.ready:
            self._meet(member, value)
            return []
        span, member.span = member.span, None
        assert span is not None, "nothing else is awaited of a worker who is ready"
        return [Finished(member.number, span, value.size)]

    def _meet(self, member: _Member, told: tuple[str, Facts]) -> None:
        """A worker has begun; see that it is fit, and make it ready."""
        member.node, there = told
        check_facts(self._here, there)
        if self._gpus and there.device == "cpu":
            raise ConfigError(
                f"machine {there.machine} has a GPU for Ray, but its torch sees none; install "
                "torch for that GPU there"
            )
        self._devices.add((there.device, there.precision))
        if len(self._devices) == 2:
            _log.warning(
                "machines are of different kinds (%s); with --precision float32 they agree more "
                "closely", ", ".join(sorted(" ".join(kind) for kind in self._devices)),
            )  # fmt: skip
        self._preparers.submit(self._prepare, member)

    def _prepare(self, member: _Member) -> None:
        error: BaseException | None = None
        try:
            with self._node_locks[member.node]:  # what a machine lacks is sent once
                for name in self._wait(member.call("missing", self._recipe)):
                    self._send(member, self._holdings[name])
            self._wait(member.call("open", self._recipe, self._output, group=_WORK))
        except BaseException as caught:  # noqa: BLE001  # raised where events are asked for
            error = caught
        self._prepared.put((member.number, error))

    def _made_ready(self) -> list[Event]:
        found: list[Event] = []
        while not self._prepared.empty():
            number, error = self._prepared.get()
            member = self._members.get(number)
            if member is None:
                continue
            if isinstance(error, Gone):
                found += self._lose(member, error)
            elif error is not None:
                raise error
            else:
                member.ready, self._stillborn = True, 0
        return found

    def _lose(self, member: _Member, why: Gone) -> list[Event]:
        del self._members[member.number]
        if not member.ready:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN * self._count:
                raise ConfigError(f"workers end before they are ready: {why}")
        gone = member.node and not self._is_alive(member.node)
        self._hire()
        return [Lost(member.number, with_machine=bool(gone))]

    def _is_alive(self, node: str) -> bool:
        return any(one["NodeID"] == node and one["Alive"] for one in self._ray.nodes())

    def _ask(self) -> None:
        now = time.monotonic()
        for member in self._members.values():
            due = member.span is not None and now - member.asked_at >= _ASK_EVERY_S
            if due and member.asked is None:
                member.asked, member.asked_at = member.call("at"), now

    # -- files -----------------------------------------------------------------------------------

    def _send(self, member: _Member, wanted: Holding) -> None:
        part = secrets.token_hex(4)
        _log.info("sending %s to machine of worker %d", wanted.path, member.number)

        def receive(chunk: bytes, offset: int) -> None:
            ref = self._chunk(wanted, chunk, offset)
            self._wait(member.call("receive", wanted, ref, offset, part))

        send(wanted, receive)

    def _chunk(self, wanted: Holding, chunk: bytes, offset: int) -> Any:
        """A chunk in the object store: who gets it later may have it from another machine."""
        key = wanted.sha256, offset
        with self._chunk_lock:
            ref = self._chunks.pop(key, None) or self._ray.put(chunk)
            self._chunks[key] = ref
            while len(self._chunks) > _CHUNKS:
                self._chunks.popitem(last=False)
        return ref

    # -- the end ---------------------------------------------------------------------------------

    def close(self, gently: bool) -> None:
        """End all workers.

        Args:
            gently: Let them remove what they keep for themselves.
        """
        self._preparers.shutdown(wait=False, cancel_futures=True)
        members = list(self._members.values())
        if gently:
            asked = [member.call("close") for member in members if member.ready]
            if asked:
                self._ray.wait(asked, num_returns=len(asked), timeout=_FAREWELL_S)
        for member in members:
            self._ray.kill(member.actor)
        self._members.clear()

    def _wait(self, ref: Any) -> Any:
        """The answer of a worker.

        Raises:
            Gone: If the worker is no more.
            VidcolorError: What the worker met, if a user can mend it.
            RuntimeError: If it met a bug.
        """
        raised = self._ray.exceptions
        try:
            kind, *rest = self._ray.get(ref)
        except (raised.RayTaskError, raised.RaySystemError) as error:
            if "vidcolor" in str(error) and "ModuleNotFoundError" in str(error):
                raise ConfigError(
                    "a machine of the cluster has no vidcolor; install the same version on "
                    "every machine"
                ) from None
            raise
        except raised.RayError as error:
            raise Gone(" ".join(str(error).split())) from error
        if kind == "stopped":
            raise _WasStopped
        if kind == "mend":
            known: type[VidcolorError] = getattr(errors, rest[0])
            raise known(rest[1])
        if kind == "bug":
            raise RuntimeError(f"in a worker:\n{rest[0]}")
        return rest[0]


class _WasStopped(Exception):
    """A span was not wanted any more."""


def _actor_class(ray: Any, threads: int) -> Any:
    """A class that Ray sends as it stands here, so that it can say where vidcolor is missing."""

    class Member:
        def __init__(self) -> None:
            self._worker: Any = None

        def call(self, method: str, *args: Any) -> tuple[Any, ...]:
            import traceback

            from vidcolor.distributed.worker import Stopped, Worker
            from vidcolor.errors import VidcolorError

            try:
                if self._worker is None:
                    self._worker = Worker(threads)
                if method == "facts":
                    node = ray.get_runtime_context().get_node_id()
                    return "fine", (node, self._worker.facts())
                answer: Callable[..., Any] = getattr(self._worker, method)
                return "fine", answer(*args)
            except Stopped:
                return ("stopped",)
            except VidcolorError as error:
                own = (kind for kind in type(error).__mro__ if kind.__module__ == "vidcolor.errors")
                return "mend", next(own).__name__, str(error)
            except Exception:  # noqa: BLE001  # told to the driver, which raises
                return "bug", traceback.format_exc()

    groups = {_WORK: 1, _ASIDE: _ASIDE_THREADS}
    return ray.remote(concurrency_groups=groups)(Member)
