"""Leaves the scheduling of the process as the user set it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["usual_scheduling"]

_TASKS = Path("/proc/self/task")


@contextlib.contextmanager
def usual_scheduling() -> Iterator[None]:
    """Undo the real-time scheduling that code inside takes for threads.

    SVT-AV1 takes it, where it may (root), for the thread that opens it and for all of its own.
    Children inherit it, and a process of that class that waits by spinning keeps all others from
    running. On leaving, the calling thread is scheduled as it was, and threads that came
    meanwhile and became real-time are scheduled like it. A caller that is real-time itself keeps
    that. Does nothing but on Linux.
    """
    if sys.platform != "linux":
        yield
        return
    caller = threading.get_native_id()
    before = set(_threads())
    usual = os.sched_getscheduler(caller), os.sched_getparam(caller)
    try:
        yield
    finally:
        for thread in _threads():
            if thread == caller or thread not in before:
                _restore(thread, *usual)


def _restore(thread: int, policy: int, parameters: os.sched_param) -> None:
    with contextlib.suppress(OSError):  # it has ended, or may not be touched
        found = os.sched_getscheduler(thread)
        urgent = found & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR)
        if urgent and (found, os.sched_getparam(thread)) != (policy, parameters):
            os.sched_setscheduler(thread, policy, parameters)


def _threads() -> list[int]:
    try:
        return [int(name.name) for name in _TASKS.iterdir()]
    except OSError:  # no /proc here
        return [threading.get_native_id()]
