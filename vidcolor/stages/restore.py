"""Damage is left as it is."""

from __future__ import annotations

from vidcolor.records import FrameBatch

__all__ = ["NoRestore"]


class NoRestore:
    """The null object: frames pass unchanged. Memory: none. Lookahead: none."""

    def __call__(self, frames: FrameBatch, /) -> FrameBatch:
        """`frames` itself."""
        return frames
