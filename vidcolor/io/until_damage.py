"""What can be read of a damaged film."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vidcolor.errors import MediaError
from vidcolor.records import FrameBatch

__all__ = ["UntilDamage"]


class UntilDamage:
    """Frames up to where a film is damaged.

    Attributes:
        error: What stopped the film, if anything did.
        cancel: Ends a wait for frames that may never come.

    Args:
        frames: The reader's.
        keep: Let the line finish what was read before `check` raises; else raise at once.
        progress: Told how many frames were read, every batch.
        cancel: See above; None: frames come, or the film ends.
    """

    def __init__(
        self,
        frames: Iterable[FrameBatch],
        keep: bool,
        progress: Callable[[int], None] | None = None,
        cancel: Callable[[], None] | None = None,
    ) -> None:
        self._frames, self._progress = frames, progress
        self._keep = keep
        self.cancel = cancel
        self.error: MediaError | None = None

    def __iter__(self) -> Iterator[FrameBatch]:
        try:
            for batch in self._frames:
                if self._progress is not None:
                    self._progress(len(batch))
                yield batch
        except MediaError as error:
            if not self._keep:
                raise
            self.error = error

    def check(self) -> None:
        """Raise what stopped the film, if anything did."""
        if self.error is not None:
            raise self.error
