"""FID: how far the pictures of a set lie from the true ones, all pooled, as a network sees them.

It is a property of a protocol: say how many pictures there were, at which size, and through which
weights. Of a few hundred pictures it is too high and depends on their number.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidcolor.color.measure.networks import read_file
from vidcolor.errors import WeightsError

__all__ = ["Features", "Fid", "FidValue", "Inception", "Moments", "frechet_distance"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Features = Callable[[Array], Floats]
"""Of (N, H, W, 3) uint8 RGB; gives (N, D)."""

TRUTH = ""
_ROWS = 256  # features that are gathered before they enter the moments


class Moments:
    """Mean and covariance of vectors as they come, in float64; memory is that of one covariance.

    Sums are of distances to the mean, so nothing is lost where the mean is large.

    Reference: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.

    Args:
        dimension: Of the vectors, D.
    """

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._mean = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))
        self._waiting: list[npt.NDArray[np.float64]] = []
        self._rows = 0

    def add(self, vectors: Floats) -> None:
        """Take (N, D) vectors.

        Raises:
            ValueError: If they have another dimension, or are not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self._mean):
            raise ValueError(f"features must be (N, {len(self._mean)}), not {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("features must be finite; the network gave inf or nan")
        self._waiting.append(np.array(vectors, np.float64))
        self._rows += len(vectors)
        if self._rows >= _ROWS:
            self._settle()

    def _settle(self) -> None:
        if not self._rows:
            return
        rows = np.concatenate(self._waiting)
        self._waiting, self._rows = [], 0
        mean = rows.mean(axis=0)
        rows -= mean
        self._join(len(rows), mean, rows.T @ rows)

    def _join(self, count: int, mean: Floats, scatter: Floats) -> None:
        total = self._count + count
        away = mean - self._mean
        self._scatter += scatter
        self._scatter += np.outer(away * (self._count * count / total), away)
        self._mean = self._mean + away * (count / total)
        self._count = total

    def merge(self, other: Moments) -> None:
        """Count what `other` has seen too.

        Raises:
            ValueError: If its vectors have another dimension.
        """
        if len(other._mean) != len(self._mean):
            raise ValueError(f"features are of {len(self._mean)}, not {len(other._mean)} numbers")
        self._settle()
        other._settle()
        if other._count:
            self._join(other._count, other._mean, other._scatter)

    @property
    def count(self) -> int:
        """Vectors so far."""
        return self._count + self._rows

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return len(self._mean)

    def mean(self) -> npt.NDArray[np.float64]:
        """(D,) mean."""
        self._settle()
        return self._mean.copy()

    def covariance(self) -> npt.NDArray[np.float64]:
        """(D, D) covariance of a sample: by their number less one.

        Raises:
            ValueError: If there are less than two.
        """
        self._settle()
        if self._count < 2:
            raise ValueError(f"a covariance needs two pictures at least, there was {self._count}")
        return self._scatter / (self._count - 1)


def frechet_distance(
    mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats
) -> float:
    """Squared Frechet distance of two normal distributions.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). The trace of the root is that of
    R^T C2 R with C1 = R R^T, which is symmetric: it stays real and close also where covariances
    are singular, as those of few pictures are.

    Reference: Dowson, Landau, The Frechet distance between multivariate normal distributions,
    1982; Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium, NeurIPS 2017, arXiv:1706.08500.

    Args:
        mean: (D,).
        covariance: (D, D), symmetric, no negative eigenvalues.
        other_mean: (D,).
        other_covariance: (D, D).

    Returns:
        At least 0, which is equality.
    """
    away = np.asarray(mean, np.float64) - other_mean
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    # what rounding alone leaves of a singular matrix; its roots would add up
    there = values > len(values) * np.finfo(np.float64).eps * values[-1]
    root = vectors[:, there] * np.sqrt(values[there])
    between = np.linalg.eigvalsh(root.T @ np.asarray(other_covariance, np.float64) @ root)
    traces = np.trace(covariance) + np.trace(other_covariance)
    overlap = np.sqrt(np.maximum(between, 0)).sum()
    return max(float(away @ away + traces - 2 * overlap), 0.0)


@dataclass(frozen=True, slots=True)
class FidValue:
    """A distance, and what it is worth.

    Attributes:
        value: The squared Frechet distance; lower is closer.
        count: Pictures that were compared; of the smaller set, where they differ.
        deficient: There are so few pictures that their covariance is singular (at most as many as
            features, 2048 for Inception): compare it with nothing but the same pictures.
        network: Whose features they are.
    """

    value: float
    count: int
    deficient: bool
    network: str


class Fid:
    """Collects colorings of the same pictures for FID: all pooled, never clip by clip.

    Memory: a mean and a covariance each of the truth and of every coloring, and some pictures
    that wait for others of their size (2048 features: 34 MB each).

    Args:
        features: Of pictures, `Inception` or what else is to be compared.
        batch: Pictures that `features` is given at once.
        network: Whose features they are; their own `name` if not given.
    """

    def __init__(self, features: Features, batch: int = 16, network: str | None = None) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self._features = features
        self._batch = batch
        self._network = str(getattr(features, "name", "")) if network is None else network
        self._waiting: dict[str, list[Array]] = {}
        self._moments: dict[str, Moments] = {}

    def add(self, truth: Array | None, colorings: Mapping[str, Array]) -> None:
        """Take one picture.

        Args:
            truth: (H, W, 3) uint8 RGB; None where the true pictures were or will be taken apart
                from the colorings, for each set may come at its own time.
            colorings: The picture by the name of who colored it.

        Raises:
            ValueError: If anything else is given.
        """
        if TRUTH in colorings:
            raise ValueError("a coloring must have a name")
        pictures = dict(colorings) if truth is None else {TRUTH: truth, **colorings}
        for picture in pictures.values():
            if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
                raise ValueError(
                    f"a picture is uint8 (H, W, 3), not {picture.dtype} {picture.shape}"
                )
        for name, picture in pictures.items():
            waiting = self._waiting.setdefault(name, [])
            if waiting and waiting[0].shape != picture.shape:
                self._settle(name)
            waiting.append(np.array(picture))
            if len(waiting) >= self._batch:
                self._settle(name)

    def _settle(self, name: str) -> None:
        waiting = self._waiting.get(name)
        if not waiting:
            return
        found = np.asarray(self._features(np.stack(waiting)))
        if found.ndim != 2 or len(found) != len(waiting):
            raise ValueError(f"features must be ({len(waiting)}, D), not {found.shape}")
        waiting.clear()
        if name not in self._moments:
            self._moments[name] = Moments(found.shape[1])
        self._moments[name].add(found)

    def merge(self, other: Fid) -> None:
        """Count the pictures that `other` has seen too; `other` must have the same features.

        Raises:
            ValueError: If the features differ.
        """
        if other._network != self._network:
            raise ValueError(f"features are of {self._network!r}, not of {other._network!r}")
        for name in other._waiting:
            other._settle(name)
        for name, moments in other._moments.items():
            self._waiting.setdefault(name, [])
            self._settle(name)
            if name not in self._moments:
                self._moments[name] = Moments(moments.dimension)
            self._moments[name].merge(moments)

    def _of(self, name: str) -> Moments:
        self._settle(name)
        moments = self._moments.get(name)
        if moments is None or not moments.count:
            whose = f"coloring {name!r}" if name else "the truth"
            raise ValueError(f"there was no picture of {whose}")
        return moments

    def value(self, name: str) -> FidValue:
        """FID of one coloring against the truth; more pictures may follow.

        Raises:
            ValueError: If there were less than two pictures of it or of the truth.
        """
        pred, truth = self._of(name), self._of(TRUTH)
        # that of the truth is decomposed; which one makes no difference
        distance = frechet_distance(
            truth.mean(), truth.covariance(), pred.mean(), pred.covariance()
        )
        count = min(pred.count, truth.count)
        return FidValue(distance, count, count <= truth.dimension, self._network)

    def values(self) -> dict[str, FidValue]:
        """FID by the name of the coloring, in the order in which they came."""
        return {name: self.value(name) for name in self._waiting if name != TRUTH}


_INCEPTION = "Inception v3 of 2015-12-05, which FID sees through"
_INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
_INCEPTION_DIGEST = "6726825d"  # first digits of its sha256, as its name says
_SHOWN = 240  # characters of what torch says of keys that do not fit


def _package() -> Callable[..., nn.Module]:
    try:
        from torch_fidelity import FeatureExtractorInceptionV3
    except ImportError:
        raise WeightsError(
            "FID needs the package torch-fidelity: pip install 'vidcolor[eval]'"
        ) from None
    return FeatureExtractorInceptionV3


class Inception:
    """Features of FID: 2048 numbers a picture, of the Inception network that papers use.

    TensorFlow's network of 2015-12-05, as the package torch-fidelity rebuilds it; that of
    torchvision gives other values. Pictures are resized to 299 x 299 as TensorFlow 1 did.

    Reference: Heusel et al., GANs trained by a two time-scale update rule converge to a local
    Nash equilibrium, NeurIPS 2017, arXiv:1706.08500.

    Args:
        file: The ported weights, `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity or
            `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid, which are the same; without it
            torch's own cache is looked into.
        device: Where the network runs.

    Attributes:
        name: Which weights these are, by the first digits of the file's sha256.

    Raises:
        WeightsError: If the package or the file is missing, damaged, or of another network; the
            message names it.
    """

    def __init__(self, file: Path | None = None, device: str = "cpu") -> None:
        build = _package()
        get = "run: vidcolor weights fetch inception"
        if file is None:
            file = Path(torch.hub.get_dir()) / "checkpoints" / Path(_INCEPTION_URL).name
            get += f", or fetch {_INCEPTION_URL} to that place"
        # the package would unpickle anything, so it gets tensors that were read safely
        content = io.BytesIO()
        torch.save(read_file(file, _INCEPTION, get), content)
        content.seek(0)
        try:
            with torch.random.fork_rng(devices=[]):
                network = build("inception", ["2048"], feature_extractor_weights_path=content)
        except RuntimeError as error:  # keys or shapes
            lines = " ".join(str(error).split())
            raise WeightsError(f"{file} is not {_INCEPTION}: {lines[:_SHOWN]}...") from None
        self._network = network.to(device).eval()
        self._device = device
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()[: len(_INCEPTION_DIGEST)]
        known = "TF-ported Inception 2015-12-05" if digest == _INCEPTION_DIGEST else file.name
        self.name = f"{known} (sha256 {digest})"

    @torch.inference_mode()
    def __call__(self, pictures: Array) -> Floats:
        """Features of pictures.

        Args:
            pictures: (N, H, W, 3) uint8 RGB.

        Returns:
            (N, 2048) float32.
        """
        planes = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
        (features,) = self._network(planes.to(self._device))
        return np.asarray(features.float().cpu().numpy())
