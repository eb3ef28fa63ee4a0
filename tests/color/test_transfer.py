"""Statistics transfer. `welsh_classic.npz` is an excerpt of a float64 recording of the exhaustive
match (all pixels of the reference, cost 0.5 dL^2 + 0.5 dsigma^2, L by scikit-image's Lab)."""

from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2lab

from vidcolor.color.transfer import chroma_statistics, chroma_transfer, reinhard, welsh

DATA = Path(__file__).parents[1] / "data" / "welsh_classic.npz"

# as printed in Reinhard et al. 2001, equations 4, 6, 9, 10
CONES = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
FROM_CONES = np.array(
    [[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]]
)


def _opponents(rgb):
    long, middle, short = np.log10(np.maximum(rgb, 1 / 255) @ CONES.T).reshape(-1, 3).T
    return np.stack(
        (
            (long + middle + short) / np.sqrt(3),
            (long + middle - 2 * short) / np.sqrt(6),
            (long - middle) / np.sqrt(2),
        )
    )


def test_reinhard_gives_the_statistics_of_the_reference():
    rng = np.random.default_rng(0)
    picture, reference = rng.uniform(0.3, 0.6, (20, 30, 3)), rng.uniform(0.2, 0.5, (9, 8, 3))
    moved = _opponents(reinhard(picture, reference))
    wanted = _opponents(reference)
    np.testing.assert_allclose(moved.mean(1), wanted.mean(1), atol=1e-9)
    np.testing.assert_allclose(moved.std(1), wanted.std(1), atol=1e-9)


def test_reinhard_by_the_printed_formulas():
    rng = np.random.default_rng(1)
    picture, reference = rng.uniform(0.2, 0.7, (6, 5, 3)), rng.uniform(0.3, 0.6, (4, 4, 3))
    own, wanted = _opponents(picture), _opponents(reference)
    light, a, b = (
        (own[i] - own[i].mean()) * wanted[i].std() / own[i].std() + wanted[i].mean()
        for i in range(3)
    )
    light, a, b = light / np.sqrt(3), a / np.sqrt(6), b / np.sqrt(2)
    cones = 10 ** np.stack((light + a + b, light + a - b, light - 2 * a))
    expected = np.clip((FROM_CONES @ cones).T.reshape(6, 5, 3), 0, 1)
    # the printed matrices have four digits and are not quite each other's inverse
    np.testing.assert_allclose(reinhard(picture, reference), expected, atol=6e-3)


def test_welsh_as_recorded():
    with np.load(DATA) as data:
        reference, gray = rgb2lab(data["reference"]), data["gray"]
        ab, margin = data["ab"], data["margin"]
    lightness = rgb2lab(np.repeat(gray[..., None], 3, 2))[..., 0]
    found = welsh(lightness, reference[..., 0], reference[..., 1:].transpose(2, 0, 1))
    clear = margin > 1e-6  # where the second best is no tie
    assert clear.mean() > 0.9
    np.testing.assert_allclose(found.transpose(1, 2, 0)[clear], ab[clear], atol=1e-6)


def match_chroma(ab, reference):
    matrix = chroma_transfer(chroma_statistics(ab), chroma_statistics(reference))
    flat = np.vstack((ab.reshape(2, -1), np.ones((1, ab[0].size))))
    return (matrix @ flat).reshape(ab.shape)


def test_chroma_gets_mean_and_covariance():
    rng = np.random.default_rng(2)
    ab = rng.normal(0, 3, (2, 20, 30))
    reference = np.array([[2.0, 1.0], [-1.0, 4.0]]) @ rng.normal(0, 2, (2, 500)) + [[7], [-3]]
    moved = match_chroma(ab, reference)
    assert moved.shape == ab.shape
    np.testing.assert_allclose(
        np.cov(moved.reshape(2, -1), bias=True), np.cov(reference, bias=True), rtol=1e-9
    )
    np.testing.assert_allclose(moved.mean((1, 2)), reference.mean(1), rtol=1e-9)


def test_chroma_that_fits_stays():
    ab = np.random.default_rng(3).normal(0, 5, (2, 8, 9))
    np.testing.assert_allclose(match_chroma(ab, ab), ab, atol=1e-9)


@pytest.mark.parametrize("flat", ["picture", "reference"])
def test_flat_color_is_finite(flat):
    rng = np.random.default_rng(5)
    color = rng.normal(0, 5, (2, 6, 6))
    plain = np.full((2, 6, 6), 4.0)
    pair = (plain, color) if flat == "picture" else (color, plain)
    moved = match_chroma(*pair)
    np.testing.assert_allclose(moved.mean((1, 2)), pair[1].mean((1, 2)), atol=1e-9)
