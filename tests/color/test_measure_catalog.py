import math

import numpy as np
import pytest
import skimage.color
import skimage.metrics

from vidcolor.color.measure import BEST_PSNR, METRICS, metric
from vidcolor.errors import ConfigError, WeightsError


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    truth = rng.integers(60, 200, (24, 30, 3)).astype(np.uint8)
    return (truth + rng.integers(-25, 26, truth.shape)).astype(np.uint8), truth


def _colorfulness(rgb, sign):
    red, green, blue = (rgb[..., c].astype(float) for c in range(3))
    rg, yb = sign(red - green), sign(0.5 * (red + green) - blue)
    return math.sqrt(np.var(rg) + np.var(yb)) + 0.3 * math.sqrt(np.mean(rg) ** 2 + np.mean(yb) ** 2)


def test_names_are_those_that_are_asked_for():
    assert list(METRICS) == [
        "psnr", "psnr_wrapped", "ssim", "ssim_uniform", "lpips", "lpips_vgg", "delta_e",
        "colorfulness", "colorfulness_abs", "colorfulness_difference", "chroma", "fid",
    ]  # fmt: skip
    assert all(name == one.name for name, one in METRICS.items())
    # a table of two columns of one title could not be read
    assert len({one.title for one in METRICS.values()}) == len(METRICS)
    assert [name for name, one in METRICS.items() if one.pooled] == ["fid"]
    assert {name for name, one in METRICS.items() if one.weights} == {"lpips", "lpips_vgg", "fid"}
    assert all((one.of is None) == (one.weights is not None) for one in METRICS.values())


def test_a_wrapped_value_never_goes_by_the_name_of_psnr():
    assert "PSNR" not in METRICS["psnr_wrapped"].title.replace("no PSNR", "")
    assert "no PSNR" in METRICS["psnr_wrapped"].title


def test_what_is_named_is_what_is_measured(pair):
    pred, truth = pair
    lab = [skimage.color.rgb2lab(x) for x in pair]
    wrapped = np.mean(((pred.astype(int) - truth) ** 2) % 256)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    similarity = skimage.metrics.structural_similarity
    expected = {
        "psnr": skimage.metrics.peak_signal_noise_ratio(truth, pred),
        "psnr_wrapped": 10 * math.log10(65025 / wrapped),
        "ssim": similarity(truth, pred, channel_axis=2, **gaussian),
        "ssim_uniform": similarity(truth, pred, channel_axis=2),
        "delta_e": skimage.color.deltaE_ciede2000(*lab).mean(),
        "colorfulness": _colorfulness(pred, lambda x: x),
        "colorfulness_abs": _colorfulness(pred, np.abs),
        "colorfulness_difference": _colorfulness(pred, lambda x: x)
        - _colorfulness(truth, lambda x: x),
        "chroma": np.hypot(lab[0][..., 1], lab[0][..., 2]).mean(),
    }
    found = {name: metric(name)(pred, truth) for name in expected}
    assert found == pytest.approx(expected, abs=1e-3)
    assert set(expected) == {name for name, one in METRICS.items() if one.of is not None}


def test_what_is_better_of_the_truth_than_of_noise(pair):
    pred, truth = pair
    for one in METRICS.values():
        if one.of is None:
            continue
        best, found = one.of(truth, truth), one.of(pred, truth)
        assert math.isfinite(best)
        assert (found < best) == (one.better == "higher" or found < best)
        assert (found > best) == (one.better == "lower" or found > best)
    assert METRICS["psnr"].of(truth, truth) == BEST_PSNR
    assert METRICS["psnr_wrapped"].of(truth, truth) == BEST_PSNR


@pytest.mark.parametrize("name", ["ssim", "ssim_uniform"])
def test_windows_are_the_smallest_pictures(name):
    one = METRICS[name]
    fits = np.zeros((one.window, 20, 3), np.uint8)
    assert one.of(fits, fits) == pytest.approx(1)
    with pytest.raises(ValueError, match=f"{one.window} x {one.window}"):
        one.of(fits[1:], fits[1:])


def test_unknown_metrics_are_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"no metric 'ssmi'; there are psnr, .*ssim_uniform"):
        metric("ssmi")
    with pytest.raises(ConfigError, match="fid is of a whole set"):
        metric("fid")


@pytest.mark.parametrize(("name", "weights"), [("lpips", "alexnet"), ("lpips_vgg", "vgg16")])
def test_a_missing_network_is_known_before_any_work(name, weights, tmp_path):
    assert METRICS[name].weights == weights
    with pytest.raises(WeightsError) as error:
        metric(name, file=tmp_path / "net.pth")
    assert str(tmp_path / "net.pth") in str(error.value)
    assert f"vidcolor weights fetch {weights}" in str(error.value)
    assert "\n" not in str(error.value)
