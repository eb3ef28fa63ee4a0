"""Time, processor time, memory and traffic of a process, and measurements in processes apart."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class StageClock:
    """Time that each stage takes for itself, when stages pull from one another in one thread.

    Attributes:
        seconds: By name of the stage.

    Args:
        wait: Called before the clock is read.
        now: The clock.
        watch: Told of everything that leaves a stage.
    """

    def __init__(
        self,
        wait: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
        watch: Callable[[str, Any], None] = lambda name, item: None,
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._wait, self._now, self._watch = wait, now, watch
        self._running = ""
        self._since = now()

    def switch(self, name: str) -> str:
        """From now on time counts for `name`; returns for whom it did."""
        self._wait()
        moment = self._now()
        before, self._running = self._running, name
        if before:
            self.seconds[before] = self.seconds.get(before, 0.0) + moment - self._since
        self._since = moment
        return before

    def items(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time to get each counts for `name`."""
        before = self.switch(name)
        iterator = iter(items)
        self.switch(before)
        while True:
            before = self.switch(name)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.switch(before)
            self._watch(name, item)
            yield item

    def call(self, name: str, function: Callable[..., T], *given: Any) -> T:
        """The result of a call; its time counts for `name`."""
        before = self.switch(name)
        try:
            result = function(*given)
        finally:
            self.switch(before)
        self._watch(name, result)
        return result


class Traffic:
    """Bytes of the arrays that leave each stage, counted as they come.

    Records are handed on, not copied: what is counted is what the next stage may read, not what is
    moved in memory.

    Attributes:
        bytes: By stage, and by name of the array.
    """

    def __init__(self) -> None:
        self.bytes: dict[str, dict[str, int]] = {}

    def __call__(self, name: str, item: Any) -> None:
        """Something has left the stage `name`."""
        counts = self.bytes.setdefault(name, {})
        for key, count in array_bytes(item):
            counts[key] = counts.get(key, 0) + count

    def per_frame(self, frames: int) -> dict[str, dict[str, int]]:
        """Whole bytes a frame, by stage and name of the array; nothing is left out but zeros."""
        return {
            name: {key: round(count / frames) for key, count in counts.items() if count}
            for name, counts in self.bytes.items()
        }


def array_bytes(item: Any, name: str = "planes") -> Iterator[tuple[str, int]]:
    """Name and size of every array in records, lists and packets.

    Args:
        item: A record (a dataclass), a list, a tensor, a NumPy array, a packet; others have none.
        name: Of what is no field of a record.
    """
    if dataclasses.is_dataclass(item):
        for part in dataclasses.fields(item):
            yield from array_bytes(getattr(item, part.name), part.name)
    elif isinstance(item, list | tuple):
        for one in item:
            yield from array_bytes(one, name)
    elif hasattr(item, "nbytes"):
        yield name, int(item.nbytes)
    elif type(item).__name__ == "Packet":
        yield "packets", int(item.size)


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in 10^6 bytes, where the system tells it."""
    try:
        # Linux's ru_maxrss begins with what the parent had when it started this process.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return kilobytes * 1024 / 1e6
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def device_wait(config: Any) -> Callable[[], None]:
    """What to call before the clock is read."""
    import torch

    from vidcolor.build import choose_device

    device = choose_device(config.device)
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def reset_device_memory() -> None:
    """Forget the peak so far."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def device_memory_mb() -> float | None:
    """Largest memory of tensors on the GPU, where there is one."""
    import torch

    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None


def run_apart(
    script: str | Path, words: Sequence[str], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a script prints in its last line, as JSON, in a process of its own.

    OpenMP's threads sleep while they wait, as they do where `vidcolor` itself is started.

    Args:
        script: A Python file.
        words: Its arguments.
        env: Its environment; None: see `usual_environment`.

    Raises:
        SystemExit: If it fails; what it says goes to stderr.
    """
    command = [sys.executable, str(script), *words]
    env = {"OMP_WAIT_POLICY": "PASSIVE", **(usual_environment() if env is None else env)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{Path(script).name} {' '.join(words)} failed")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def usual_environment() -> dict[str, str]:
    """That of this process, and Python may keep what it compiles, as it does on most machines."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
