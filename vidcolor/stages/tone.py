"""Gives the color of shots the palette of a picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidcolor.color.transfer import chroma_statistics, chroma_transfer
from vidcolor.records import Chroma, Colored

__all__ = ["Palette", "Tone"]

Floats = npt.NDArray[np.floating]

_MOST_FRAMES = 100.0  # that the statistics of a shot count as
_STEP = 4  # every fourth pixel is looked at
_GAIN = 3.0  # most that any direction of a*b* is stretched: a nearly gray shot stays quiet


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """What a picture wants of the colors of shots.

    Attributes:
        mean: (2,) a*b*.
        spread: (2, 2) covariance of a*b*.
        strength: How far it has its way, 0 to 1.
        shots: Numbers of the shots in which it counts; empty is all.
    """

    mean: Floats
    spread: Floats
    strength: float = 1.0
    shots: tuple[int, ...] = ()


class Tone:
    """Brings mean and covariance of a*b* of each shot to those of a picture.

    The statistics are those of the shot so far, so that the map moves little from frame to frame
    while things come and go. Colors that are a person's (`Chroma.sure`) stay.

    Memory: mean and covariance, the color of one frame. Lookahead: none. At a cut: dropped.
    Held frames are copies.

    Reference: Reinhard et al., Color transfer between images, IEEE CG&A 2001; Pitie and Kokaram,
    The linear Monge-Kantorovitch colour mapping, CVMP 2007.

    Args:
        palettes: Of several that count in a shot, the mean by strength.
        silent: Numbers of shots that stay as they are.
    """

    def __init__(self, palettes: Sequence[Palette], silent: Collection[int] = ()) -> None:
        self.palettes = tuple(palettes)
        self.silent = frozenset(silent)

    def __call__(self, colored: Iterable[Colored], /) -> Iterator[Colored]:
        """The same batches with the palette of the pictures."""
        shot: _Shot | None = None
        number = -1
        for batch in colored:
            if batch.frames.shot != number:
                number = batch.frames.shot
                heard = () if number in self.silent else self.palettes
                own = [one for one in heard if not one.shots or number in one.shots]
                shot = _Shot(own) if any(one.strength > 0 for one in own) else None
            if shot is None:
                yield batch
            else:
                yield replace(batch, chroma=shot.batch(batch.chroma, batch.frames.is_held()))


class _Shot:
    """The state of one shot."""

    def __init__(self, palettes: Sequence[Palette]) -> None:
        shares = np.array([one.strength for one in palettes])
        self.strength = float(shares.max())
        shares /= shares.sum()
        mean = np.stack([one.mean for one in palettes])
        spread = np.stack([one.spread for one in palettes])
        self.wanted = shares @ mean, np.tensordot(shares, spread, 1)
        self.count = 0.0
        self.own: tuple[Floats, Floats] = np.zeros(2), np.zeros((2, 2))
        self.last: Tensor | None = None

    def batch(self, chroma: Chroma, held: Tensor) -> Chroma:
        """All frames of a batch."""
        ab = chroma.ab.clone()
        for i, is_held in enumerate(held.tolist()):
            if is_held and self.last is not None:
                ab[i] = self.last
                continue
            matrix = self._map(chroma.ab[i, :, ::_STEP, ::_STEP].numpy())
            moved = torch.einsum("ij,jhw->ihw", matrix[:, :2], ab[i]) + matrix[:, 2, None, None]
            share = self.strength if chroma.sure is None else self.strength * (1 - chroma.sure[i])
            ab[i] += share * (moved - ab[i])
            self.last = ab[i].clone()
        return replace(chroma, ab=ab)

    def _map(self, ab: Floats) -> Tensor:
        """(2, 3) map for a frame, after it was learned from."""
        self.count = min(self.count + 1, _MOST_FRAMES)
        mean, spread = chroma_statistics(ab)
        self.own = (
            self.own[0] + (mean - self.own[0]) / self.count,
            self.own[1] + (spread - self.own[1]) / self.count,
        )
        # with a floor beneath the shot's own spread no direction is stretched beyond the gain
        floor = np.eye(2) * np.linalg.eigvalsh(self.wanted[1]).max() / _GAIN**2
        matrix = chroma_transfer((self.own[0], self.own[1] + floor), self.wanted)
        return torch.from_numpy(matrix.astype(np.float32))
