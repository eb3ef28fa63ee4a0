"""A run of frames in a film, named by number: the same frames as in a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vidcolor.errors import MediaError

__all__ = ["FilmPart", "MisplacedFrame"]


class MisplacedFrame(MediaError):
    """A frame is not where a list of shots says."""


@dataclass(frozen=True, slots=True)
class FilmPart:
    """Consecutive frames of a film.

    Attributes:
        index: Number of the first frame, from 0; of a film that is read from some time on, counted
            from there.
        frames: How many; None is to the end.
        breaks: Frames at which a batch begins anew, by number, with their pts where known. With
            one at the beginning of each shot, batches lie the same way whichever shots are read.
            The pts of `index` is how its frame is found without decoding all that lies before.
            That of the first frame after the part is proof that the numbers are right.
        from_beginning: Decode everything before the part as well, for films that cannot be
            sought in.
    """

    index: int = 0
    frames: int | None = None
    breaks: Mapping[int, int | None] = field(default_factory=dict)
    from_beginning: bool = False

    @property
    def sought(self) -> int | None:
        """The pts to look for; None if frames are counted from the beginning."""
        if self.index == 0 or self.from_beginning:
            return None
        return self.breaks.get(self.index)

    def check(self, path: Path, number: int, pts: int) -> None:
        """Look at a frame that is to be given out.

        Raises:
            MisplacedFrame: If the list has another pts for it.
        """
        wanted = self.breaks.get(number)
        if wanted is not None and pts != wanted:
            raise MisplacedFrame(
                f"{path}: frame {number} has pts {pts}, but {wanted} in the list of shots; "
                "the list is of another film"
            )
