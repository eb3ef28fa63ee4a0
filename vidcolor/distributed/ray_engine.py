"""The engine that colors with Ray: GPUs of this machine, or a cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcolor.distributed.dispatch import Dispatch, Scan
from vidcolor.distributed.engine import StoredFilm
from vidcolor.distributed.holdings import NodeFiles, scratch_folder
from vidcolor.distributed.plan import Straggling
from vidcolor.distributed.ray_crew import RayCrew, Resources
from vidcolor.distributed.recipe import Recipe, make_recipe, refuse_whole
from vidcolor.errors import ConfigError
from vidcolor.io.segments import DamagedSegment
from vidcolor.io.target import Target
from vidcolor.spans import Progress, Span

__all__ = ["Node", "RayEngine", "share_out"]

_log = logging.getLogger(__name__)

_USUAL = Straggling()
_CORES = 4  # of a worker without a GPU, where nobody says how many workers there are to be
_STORE_BYTES = 1 << 29  # of the object store on this machine; chunks of files pass through it
_RETRIES = 3  # of joining, when segments turn out to be damaged


class RayEngine:
    """Workers are Ray actors, one for each GPU, or for every few cores where there is none.

    Args:
        address: Of a cluster that is there (`auto`: this machine belongs to it); None: this
            machine alone, for as long as the film takes. A program that is connected to Ray stays
            connected, and its connection is used.
        workers: How many; None: as there are GPUs, or one for four cores.
        straggling: When a span is given to a second worker; None: never.

    Raises:
        ConfigError: If Ray is not installed, or the address is none.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        straggling: Straggling | None = _USUAL,
    ) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"--workers is {workers}, expected 1 or more")
        if address is not None and address.startswith("ray://"):
            raise ConfigError(
                f"--address {address}: run vidcolor on the cluster's head and say --address auto, "
                "see docs/scaling.md"
            )
        self._address, self._workers = address, workers
        self._straggling = straggling
        self._ray = _import_ray(local=address is None)

    def render(self, film: StoredFilm, output: Path, progress: Progress | None = None) -> int:
        """See `Engine`."""
        refuse_whole(film)
        own = film.config.output
        if own.keep_partial:
            raise ConfigError("--keep-partial is for --engine local; finished spans stay anyway")
        Target(output, own.overwrite, (film.source,)).discard()  # refused now, not after hours
        told = progress or _ignore
        with film.store(output).work():
            recipe = make_recipe(film)
            for left in reversed(range(_RETRIES)):
                spans = self._make(film, output, recipe, told)
                try:
                    return film.join(output, spans)
                except DamagedSegment as error:
                    if not left:
                        raise
                    _log.warning("%s", error)
        raise AssertionError("the last try returns or raises")

    def _make(
        self, film: StoredFilm, output: Path, recipe: Recipe, progress: Progress
    ) -> list[Span]:
        """All spans of a film, with a segment for each."""
        scan = Scan(film.spans(output))  # finds the first ones while workers are made ready
        try:
            with self._connected() as nodes:
                count, resources = share_out(nodes, self._workers, self._address is not None)
                _log.info("workers: %d, each with %s", count, resources)
                crew = RayCrew(self._ray, recipe, output.name, count, resources)
                dispatch = Dispatch(film, output, crew, progress, self._straggling)
                try:
                    dispatch.run(iter(scan))
                except BaseException:
                    crew.close(gently=False)
                    raise
                crew.close(gently=True)
                return dispatch.spans
        finally:
            scan.close()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[list[Node]]:
        """The machines there are; a Ray that was started here ends here."""
        if self._ray.is_initialized():  # by the program that we are part of
            yield self._nodes()
            return
        self._connect()
        try:
            yield self._nodes()
        finally:
            self._ray.shutdown()
            if self._address is None:  # workers that were killed could not do it
                with contextlib.suppress(OSError):
                    NodeFiles(scratch_folder()).sweep()

    def _connect(self) -> None:
        silent = {"logging_level": logging.ERROR, "log_to_driver": False}
        here = {
            "num_cpus": _cores(),
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
        try:
            with _own_signals():
                if self._address is None:
                    self._ray.init(address="local", **here, **silent)
                else:
                    self._ray.init(address=self._address, **silent)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = "on this machine" if self._address is None else f"at {self._address}"
            why = str(error).strip().split("\n")[0]
            raise ConfigError(
                f"Ray cannot be had {where} ({why}); see whether `ray status` works there, and "
                "whether Ray and Python have the same versions"
            ) from error

    def _nodes(self) -> list[Node]:
        return [
            Node(int(one["Resources"].get("CPU", 0)), int(one["Resources"].get("GPU", 0)))
            for one in self._ray.nodes()
            if one["Alive"]
        ]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, as Ray counts it.

    Attributes:
        cpus: Its cores.
        gpus: Its GPUs.
    """

    cpus: int
    gpus: int


def share_out(nodes: Sequence[Node], workers: int | None, growing: bool) -> tuple[int, Resources]:
    """How many workers there are, and what each gets.

    With a GPU anywhere, every worker has one of its own. Else cores are shared out: as many for
    each as let all have a place.

    Args:
        nodes: What there is.
        workers: How many are wanted; None: as many as suit.
        growing: More machines may come.

    Raises:
        ConfigError: If there is no room for so many.
    """
    gpus, cpus = sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)
    if gpus:
        count, room, what = workers or gpus, gpus, "GPU"
        threads = max(1, min(node.cpus // node.gpus for node in nodes if node.gpus))
        resources = Resources(cpus=1, gpus=1, threads=0 if threads > _CORES else threads)
    else:
        each = _cores_each(nodes, workers)
        count = workers or max(1, sum(node.cpus // each for node in nodes))
        room, what = cpus, "core"
        resources = Resources(cpus=each, gpus=0, threads=each)
    if count > room and not growing:
        raise ConfigError(
            f"--workers {count}: this machine has {room} {what}{'' if room == 1 else 's'}, and "
            f"every worker needs one; at most --workers {room}"
        )
    if count > room:
        _log.warning(
            "--workers %d: the cluster has %d %ss now; the others begin when it grows",
            count, room, what,
        )  # fmt: skip
    return count, resources


def _cores_each(nodes: Sequence[Node], workers: int | None) -> int:
    """Cores of a worker: as many as can be, if all shall have a place."""
    largest = max((node.cpus for node in nodes), default=0)
    if workers is None:
        return max(1, min(_CORES, largest))
    for each in range(largest, 1, -1):
        if sum(node.cpus // each for node in nodes) >= workers:
            return each
    return 1


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _import_ray(local: bool) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if local:  # by any other name: listen on the loopback address only
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray._private.worker as connection
    except ImportError:
        raise ConfigError(
            "--engine ray needs Ray, which is not installed: pip install 'vidcolor[cluster]'"
        ) from None
    if hasattr(connection, "print_to_stdstream"):  # stdout may be where a film goes
        connection.print_to_stdstream = _to_log
    return ray


def _to_log(data: Mapping[str, Any], *_: object, **__: object) -> None:
    """What Ray's processes say of themselves; what matters of it the crew says in our words."""
    for line in data.get("lines", ()):
        _log.debug("%s", line)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it begins; it is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(count: int) -> None:
    pass
