"""What is done before films are colored: threads learn manners, and the line is imported."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

__all__ = ["import_line", "share_cores"]

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables by which a user may have said how threads of OpenMP wait."""


def share_cores() -> None:
    """Have the threads of this process get along with each other; to be called first of all.

    Between two steps of a network torch's threads spin, and take the cores from those that decode
    and encode meanwhile; so they sleep where they wait, unless the user has said how. The runtime
    reads this when torch is imported, and never again.

    And threads that wake do not drive out those that work: on Linux they are scheduled as a batch,
    and change less than half as often, for a hundredth or two of all processor time. Threads and
    processes started from here on inherit that; a user who has chosen a policy keeps it.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def import_line() -> None:
    """Import the line, with the garbage collector at rest.

    The modules make some hundred thousand objects that stay as long as the process. The collector
    would look through them again and again, for a sixth of the time of the import, and later with
    every full collection. So they are told to it as what need not be looked at.
    """
    if "vidcolor.api" in sys.modules:
        return
    gc.disable()
    try:
        import vidcolor.api  # noqa: F401  (for what it brings along)
    finally:
        gc.enable()
    gc.freeze()
