import hashlib
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.special import softmax
from skimage.color import rgb2lab

from vidcolor.color.bins import (
    ColorPrior,
    annealed_mean,
    gamut_bins,
    rebalance,
    smooth_prior,
    soft_encode,
)
from vidcolor.models.objective import class_to_color

ROOT = Path(__file__).parents[2]


def _pixels(rows):
    """(P, 2) a*b* as one picture of P pixels."""
    return torch.as_tensor(rows).T[None, :, :, None]


def _rows(x):
    """The inverse: (P, K) of (1, K, P, 1)."""
    return x[0, :, :, 0].T


def _grid_529():
    return class_to_color(torch.arange(529).view(1, 1, -1, 1))[0, :, :, 0].T


def test_bins_are_the_published_ones_in_their_order():
    bins = gamut_bins()
    assert bins.dtype == torch.float32
    digest = hashlib.sha256(bins.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "2a39983ed60d5b52b717842d56d5f766982289e6d5a609582155f437cecc1045"
    assert bins.sum(0).tolist() == [4910, 2090]


def test_bins_are_given_away_as_copies():
    gamut_bins().zero_()
    assert gamut_bins()[0].tolist() == [-90, 50]


def test_every_srgb_color_has_a_bin_within_half_a_diagonal():
    rgb = np.random.default_rng(0).random((4000, 3))
    corners = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], float)
    ab = rgb2lab(np.concatenate((rgb, corners)))[:, 1:]
    distance, _ = cKDTree(gamut_bins().numpy()).query(ab)
    assert distance.max() <= 5 * math.sqrt(2)


@pytest.mark.parametrize("k", [1, 5, 10])
@pytest.mark.parametrize("which", ["gamut", "grid", "scattered"])
def test_soft_encoding_agrees_with_a_search_among_all_bins(which, k):
    rng = np.random.default_rng(k)
    centers = {
        "gamut": gamut_bins(),
        "grid": _grid_529(),
        "scattered": torch.from_numpy(rng.uniform(-60, 60, (40, 2))),
    }[which].double()
    # to all sides of the bins, and on their grid
    low, high = (x.numpy() for x in (centers.amin(0) - 19.9, centers.amax(0) + 19.9))
    ab = rng.uniform(low, high, (1500, 2))
    ab[:300] = np.clip(np.round(ab[:300] / 2.5) * 2.5 + 1e-9, low, high)
    numbers, weights = (_rows(x).numpy() for x in soft_encode(_pixels(ab), centers, k, 7.0))
    distance, nearest = (x.reshape(-1, k) for x in cKDTree(centers.numpy()).query(ab, k))
    expected = np.exp(-(distance**2) / (2 * 7.0**2))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    ours = np.linalg.norm(centers.numpy()[numbers] - ab[:, None], axis=2)
    np.testing.assert_allclose(ours, distance, atol=1e-9)
    assert (np.sort(numbers)[:, 1:] != np.sort(numbers)[:, :-1]).all()
    clear = np.diff(distance, axis=1).min(axis=1, initial=1) > 1e-9
    assert clear.mean() > 0.5
    assert (numbers[clear][:, : k - 1] == nearest[clear][:, : k - 1]).all()


def test_gray_shares_with_its_four_neighbors():
    centers = gamut_bins()
    numbers, weights = soft_encode(torch.zeros(1, 2, 1, 1), centers)
    places = centers[numbers[0, :, 0, 0]].tolist()
    assert places[0] == [0, 0]
    assert sorted(places[1:]) == [[-10, 0], [0, -10], [0, 10], [10, 0]]
    center = 1 / (1 + 4 * math.exp(-2))  # neighbors lie two sigma away
    expected = [center] + 4 * [center * math.exp(-2)]
    assert weights[0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-7)


def test_pixels_stay_where_they_are():
    ab = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(1)) * 30
    numbers, weights = soft_encode(ab, gamut_bins())
    assert numbers.shape == weights.shape == (2, 5, 3, 4)
    one, part = soft_encode(ab[1:, :, 2:, 3:], gamut_bins())
    assert torch.equal(numbers[1:, :, 2:, 3:], one)
    assert torch.equal(weights[1:, :, 2:, 3:], part)


def test_impossible_colors_count_as_the_nearest_possible():
    wild = torch.tensor([[500.0, -1000.0], [float("-inf"), 0.0]])
    tame = torch.tensor([[120.0, -130.0], [-110.0, 0.0]])  # 20 beyond the outermost bins
    for ours, theirs in zip(
        soft_encode(_pixels(wild), gamut_bins()),
        soft_encode(_pixels(tame), gamut_bins()),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_nan_is_passed_on():
    numbers, weights = soft_encode(torch.full((1, 2, 1, 1), float("nan")), gamut_bins())
    assert weights.isnan().all()
    assert 0 <= int(numbers.min()) <= int(numbers.max()) < 313


def test_half_precision_is_encoded_in_float32():
    ab = torch.tensor([[3.0, -41.0]])
    _, exact = soft_encode(_pixels(ab), gamut_bins())
    _, half = soft_encode(_pixels(ab.bfloat16()), gamut_bins())
    assert half.dtype == torch.float32
    assert torch.equal(half, exact)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ab, c: soft_encode(ab[0], c), "ab must be"),
        (lambda ab, c: soft_encode(ab, c.T), "centers must be"),
        (lambda ab, c: soft_encode(ab, c, k=0), "k must be 1 to 313"),
        (lambda ab, c: soft_encode(ab, c, k=314), "k must be 1 to 313"),
        (lambda ab, c: soft_encode(ab, c, sigma=0), "sigma must be positive"),
        (lambda ab, c: annealed_mean(ab, c), "one a bin"),
        (lambda ab, c: annealed_mean(torch.zeros(1, 313, 1, 1), c, 0), "temperature"),
        (lambda ab, c: smooth_prior(torch.ones(313), c, -1), "sigma"),
        (lambda ab, c: rebalance(torch.ones(313), 0), "mix must be"),
        (lambda ab, c: rebalance(torch.ones(313), cap=0.5), "cap must be"),
        (lambda ab, c: rebalance(torch.zeros(313)), "prior must be"),
        (lambda ab, c: rebalance(torch.tensor([2.0, -1.0])), "prior must be"),
        (lambda ab, c: ColorPrior(c).probabilities(), "none was counted"),
    ],
)
def test_misuse_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 2, 2, 2), gamut_bins())


@pytest.mark.parametrize("temperature", [1.0, 0.38])
def test_annealed_mean_is_the_expectation_of_the_sharpened_distribution(temperature):
    logits = torch.randn(2, 313, 3, 2, generator=torch.Generator().manual_seed(0)) * 4
    share = softmax(logits.double().numpy() / temperature, axis=1)
    expected = np.einsum("nqhw,qc->nchw", share, gamut_bins().numpy())
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = annealed_mean(logits.to(memory_format=layout), gamut_bins(), temperature)
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4)


def test_annealed_mean_of_two_bins_by_hand():
    centers = torch.tensor([[0.0, 0.0], [100.0, -50.0]])
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1)
    assert annealed_mean(logits, centers, 1.0).flatten().tolist() == pytest.approx([75, -37.5])
    # at half the temperature the odds are squared: 9 to 1
    assert annealed_mean(logits, centers, 0.5).flatten().tolist() == pytest.approx([90, -45])
    assert annealed_mean(logits * 1e5, centers).flatten().tolist() == [100, -50]


def test_annealed_mean_has_the_right_gradient():
    centers = gamut_bins()[::40].double()
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(
        2, len(centers), 2, 2, generator=generator, dtype=torch.float64, requires_grad=True
    )
    assert torch.autograd.gradcheck(lambda x: annealed_mean(x, centers), (logits,))


def test_annealed_mean_keeps_out_of_autocast():
    logits = torch.randn(1, 313, 4, 4, generator=torch.Generator().manual_seed(3)).bfloat16()
    exact = annealed_mean(logits.float(), gamut_bins())
    with torch.autocast("cpu", torch.bfloat16):
        ours = annealed_mean(logits, gamut_bins())
    assert ours.dtype == torch.float32
    assert torch.equal(ours, exact)


def test_smoothing_shares_with_neighbors_by_hand():
    centers = torch.tensor([[0.0, 0.0], [0.0, 10.0], [200.0, 0.0]])
    kept = 1 / (1 + math.exp(-2))
    smooth = smooth_prior(torch.tensor([0.6, 0.2, 0.2]), centers)
    expected = [0.6 * kept + 0.2 * (1 - kept), 0.2 * kept + 0.6 * (1 - kept), 0.2]
    assert smooth.tolist() == pytest.approx(expected, abs=1e-7)
    assert smooth_prior(torch.tensor([0.6, 0.4]), centers[:2], 0).tolist() == pytest.approx(
        [0.6, 0.4]
    )


def test_rare_colors_weigh_more_by_hand():
    prior = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64)
    # inverse of the mean of p and 1/3: 12/5, 24/7, 24/7; their mean under p is 102/35
    expected = [84 / 102, 120 / 102, 120 / 102, 0]
    assert rebalance(prior).tolist() == pytest.approx(expected)
    counts = torch.tensor([4, 2, 2, 0])
    assert rebalance(counts).tolist() == pytest.approx(expected)
    assert rebalance(prior, mix=1.0).tolist() == pytest.approx([1, 1, 1, 0])


def test_ratio_of_weights_is_capped():
    prior = torch.tensor([0.97, 0.02, 0.01], dtype=torch.float64)
    free = rebalance(prior, mix=0.1)
    assert float(free.max() / free.min()) > 20
    capped = rebalance(prior, mix=0.1, cap=4)
    assert float(capped[2] / capped[0]) == pytest.approx(4)
    assert float((prior * capped).sum()) == pytest.approx(1)
    # what stays under the cap keeps its ratio
    loose = rebalance(prior, mix=0.1, cap=float(free[1] / free[0]))
    assert float(loose[1] / loose[0]) == pytest.approx(float(free[1] / free[0]))


def test_prior_counts_nearest_bins_of_all_pictures():
    rng = np.random.default_rng(5)
    pictures = [rng.normal(0, 25, (n, 2, 5, 7)) for n in (1, 3)]
    prior = ColorPrior(gamut_bins())
    for ab in pictures:
        prior.add(torch.from_numpy(ab))
    pixels = np.concatenate([ab.transpose(0, 2, 3, 1).reshape(-1, 2) for ab in pictures])
    _, nearest = cKDTree(gamut_bins().numpy()).query(pixels)
    counts = np.bincount(nearest, minlength=313)
    assert prior.counts.tolist() == counts.tolist()
    assert prior.probabilities(0).tolist() == pytest.approx((counts / 140).tolist())
    smooth = prior.probabilities()
    assert float(smooth.sum()) == pytest.approx(1)
    assert float(smooth.min()) > 0
    weights = rebalance(smooth, cap=15)
    assert float((weights * smooth).sum()) == pytest.approx(1)


def test_recorded_numbers_of_the_reference():
    spec = importlib.util.spec_from_file_location("parity_bins", ROOT / "scripts/check_parity.py")
    parity = importlib.util.module_from_spec(spec)
    sys.modules["parity_bins"] = parity
    spec.loader.exec_module(parity)
    path = ROOT / "tests/data/bins_zhang.npz"
    assert path.stat().st_size <= 50_000
    fixture = parity.Fixture(str(path))
    errors = parity.check(fixture, fixture.cases["zhang"])
    assert {error.quantity for error in errors} == {
        "enc5/float64", "enc5/float32", "enc10/float64", "enc10/float32", "mean_T1",
        "anneal_T038", "anneal_scale2606", "mode", "weights_release", "prior_smoothed",
        "weights_smoothed", "ce", "ce_weight", "weighted_ce_mean",
    }  # fmt: skip
    assert not [error for error in errors if error.bad]
