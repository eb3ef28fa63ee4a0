"""Threads of OpenCV, while a line has threads of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import cv2

__all__ = ["one_opencv_thread"]

_lock = threading.Lock()
_inside = 0
_before = 0


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV work in the thread that calls it, and afterwards as it did before.

    Its own threads save nothing on pictures of a network's size, and between two calls they spin
    on the cores that decode and encode. The setting is that of the process; who is inside at the
    same time shares it.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                cv2.setNumThreads(_before)
