"""Processes for tests; what is forked from pytest's own inherits the locks of its threads."""

import multiprocessing


def fresh_processes():
    """Where processes come from: forked from one that did nothing but import, or spawned."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vidcolor.train.run", "vidcolor.train.dataset.build"])
    return context
