"""Lines of the log that every preview would repeat, told once."""

from __future__ import annotations

import logging
import threading

__all__ = ["Quiet"]

_TALKATIVE = ("vidcolor.stages.detect", "vidcolor.guided")  # said whenever a line is built
_MOST = 256  # different lines that are remembered


class Quiet(logging.Filter):
    """Lets each line of what is said for every preview pass once; warnings always.

    Counts from `begin` to `end`, for all of the program.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, None] = {}
        self._lock = threading.Lock()

    def begin(self) -> None:
        """From now on."""
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self)

    def end(self) -> None:
        """As before."""
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is new."""
        if record.levelno > logging.INFO:
            return True
        line = record.getMessage()
        with self._lock:
            if line in self._said:
                return False
            if len(self._said) >= _MOST:
                del self._said[next(iter(self._said))]
            self._said[line] = None
        return True
