"""Films in spans: runs of whole shots that can be colored anywhere, at any time, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidcolor.stages.shots_file import Shot

__all__ = ["Progress", "Span", "SpanFilm"]

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive whole shots of a film.

    Attributes:
        index: Number of the first frame.
        frames: How many there are.
        pts: Of the first frame, if it is known.
        following: pts of the first frame after it; None: the film ends there.
        shot: Number of the first shot.
        starts: Number of the first frame of every shot.
        key: Name of its segment.
    """

    index: int
    frames: int
    pts: int | None
    following: int | None
    shot: int
    starts: tuple[int, ...]
    key: str

    def listed(self) -> list[Shot]:
        """The shots, one by one."""
        ends = [*self.starts[1:], self.index + self.frames]
        return [
            Shot(self.shot + n, start, end - 1, self.pts if n == 0 else None)
            for n, (start, end) in enumerate(zip(self.starts, ends, strict=True))
        ]


class SpanFilm(Protocol):
    """A film that is colored span by span.

    No span depends on another, so any may be made by another process on another machine, and the
    film is the same.
    """

    @property
    def source(self) -> Path:
        """The film."""
        ...

    def spans(self, output: Path) -> Iterator[Span]:
        """All spans in order, each as soon as it is known.

        Args:
            output: The film to be.

        Raises:
            VidcolorError: If the film cannot be read.
        """
        ...

    def forget(self, output: Path) -> None:
        """Remove all segments.

        Raises:
            MediaError: If another process makes the film.
        """
        ...

    def has(self, output: Path, span: Span) -> bool:
        """Whether the segment of a span is there, whole."""
        ...

    def color_span(self, output: Path, span: Span, progress: Progress | None = None) -> None:
        """Make the segment of a span.

        Args:
            output: The film to be; it is not written.
            span: One of `spans`.
            progress: Told how many frames are finished, every batch.

        Raises:
            VidcolorError: If the film cannot be read or colored, or the disk fails.
        """
        ...

    def segment(self, output: Path, span: Span) -> Path:
        """Where the segment of a span lies, or will."""
        ...

    def join(self, output: Path, spans: Sequence[Span]) -> int:
        """Write the film, of segments that are all there; what is not needed any more is removed.

        Args:
            output: The film.
            spans: All of them, in order.

        Returns:
            How many frames there are.

        Raises:
            MediaError: If a segment is missing or damaged, or the output cannot be written.
        """
        ...
