import math

import numpy as np
import pytest
import scipy.spatial.distance
import skimage.color
import skimage.metrics

from vidcolor.color.measure import (
    BEST_PSNR,
    Comparison,
    Consistency,
    Level,
    Quality,
    chroma_instability,
    color_consistency,
    colorfulness,
    colorfulness_abs,
    colorfulness_difference,
    delta_e_2000,
    histograms,
    jensen_shannon,
    mean_chroma,
    psnr,
    psnr_wrapped,
    ssim,
    ssim_uniform,
    visible,
    warping_error,
)

# Sharma, Wu, Dalal 2005, table 1: two L*a*b* and their difference to four decimals
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def _picture(seed, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (20, 30, 3)).astype(np.uint8)


def test_psnr_agrees_with_scikit_image():
    a, b = _picture(0), _picture(1)
    assert psnr(a, b) == pytest.approx(skimage.metrics.peak_signal_noise_ratio(b, a))


def test_psnr_does_not_wrap():
    # 1 - 255 in uint8 is 2; the true error is 254
    a, b = np.full((2, 2), 1, np.uint8), np.full((2, 2), 255, np.uint8)
    assert psnr(a, b) == pytest.approx(20 * math.log10(255 / 254))
    assert psnr(a, a) == math.inf


def test_psnr_refuses_floats():
    with pytest.raises(ValueError, match="uint8"):
        psnr(np.zeros((2, 2)), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("apart", "square"),
    # squares modulo 256: 16 * 16 = 256, 17 * 17 = 289, 20 * 20 = 400, 254 is 2 below 256
    [(10, 100), (17, 33), (20, 144), (254, 4), (237, 105)],
)
def test_wrapped_psnr_by_hand(apart, square):
    dark, bright = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), apart, np.uint8)
    expected = 10 * math.log10(65025 / square)
    assert psnr_wrapped(dark, bright) == pytest.approx(expected)
    assert psnr_wrapped(bright, dark) == pytest.approx(expected)
    # what does not wrap is PSNR
    assert (psnr(dark, bright) == pytest.approx(expected)) == (apart < 16)


def test_wrapped_psnr_takes_pictures_16_codes_apart_for_equal():
    dark, bright = np.full((4, 4), 100, np.uint8), np.full((4, 4), 116, np.uint8)
    assert psnr_wrapped(dark, bright) == math.inf
    assert psnr(dark, bright) == pytest.approx(20 * math.log10(255 / 16))
    bright[0] = 103  # a quarter is 3 apart: mean of squares 9 / 4
    assert psnr_wrapped(dark, bright) == pytest.approx(10 * math.log10(65025 / 2.25))
    with pytest.raises(ValueError, match="psnr_wrapped wants two uint8"):
        psnr_wrapped(dark.astype(float), bright.astype(float))


def test_jensen_shannon_agrees_with_scipy():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(50))
    p[:10] = 0
    p /= p.sum()
    expected = scipy.spatial.distance.jensenshannon(p, q) ** 2
    assert jensen_shannon(p, q) == pytest.approx(expected)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(math.log(2))


def test_consistency_by_hand():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert color_consistency([black] * 6) == 0
    # black, white in turn: distance 1 always ln 2, distances 2 and 4 never
    assert color_consistency([black, white] * 4) == pytest.approx(math.log(2) / 3)
    # two frames know only distance 1
    assert color_consistency([black, white]) == pytest.approx(math.log(2))
    assert math.isnan(color_consistency([black]))


def test_consistency_reads_an_iterator_once():
    frames = [_picture(i, 0, 100 + i) for i in range(7)]
    assert color_consistency(iter(frames)) == color_consistency(frames) > 0


def test_instability_by_hand():
    ab, moved = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    moved[0, 0] = 3, 4
    assert chroma_instability(ab, moved) == pytest.approx(5 / 4)
    hidden = np.ones((2, 2), bool)
    hidden[0, 0] = False
    assert chroma_instability(ab, moved, hidden) == 0


def _slow_mask(flow, back, image_size):
    """The formula of Lai et al. pixel by pixel; slopes as differences of both neighbors."""
    height, width = image_size
    result = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            (u, v), (p, q) = flow[y, x], back[y, x]
            strays = (u + p) ** 2 + (v + q) ** 2 > 0.01 * (u * u + v * v + p * p + q * q) + 0.5
            x0, x1, y0, y1 = (
                max(x - 1, 0),
                min(x + 1, width - 1),
                max(y - 1, 0),
                min(y + 1, height - 1),
            )
            slope = 0.0
            for c in range(2):
                slope += ((flow[y, x1, c] - flow[y, x0, c]) / (x1 - x0)) ** 2
                slope += ((flow[y1, x, c] - flow[y0, x, c]) / (y1 - y0)) ** 2
            result[y, x] = not strays and not slope > 0.01 * (u * u + v * v) + 0.002
    return result


@pytest.mark.parametrize("roughness", [0.02, 0.1, 0.4])
def test_visible_agrees_with_the_formula_pixel_by_pixel(roughness):
    rng = np.random.default_rng(3)
    down, right = np.mgrid[:12, :16]
    flow = np.stack((2 + right * 0.03, np.sin(down / 3)), axis=2)
    flow += rng.normal(0, roughness, flow.shape)
    back = -flow + rng.normal(0, 0.5, flow.shape)
    expected = _slow_mask(flow, back, (12, 16))
    assert expected.sum() > 0 or roughness > 0.3
    assert not expected.all()
    assert visible(flow, back).tolist() == expected.tolist()


def test_warping_error_by_hand():
    frame, moved = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    moved[0, 0] = (1, 0.5, 0)
    moved[1, 1] = 9  # hidden
    seen = np.array([[True, True], [False, False]])
    assert warping_error(frame, moved, seen) == pytest.approx(1.25 / 6)
    assert warping_error(frame, moved, np.zeros((2, 2), bool)) == 0


def test_warping_error_agrees_with_a_loop():
    rng = np.random.default_rng(4)
    frame, moved = rng.random((5, 7, 3)), rng.random((5, 7, 3))
    seen = rng.random((5, 7)) < 0.6
    total = count = 0.0
    for y, x, c in np.ndindex(5, 7, 3):
        if seen[y, x]:
            total += (frame[y, x, c] - moved[y, x, c]) ** 2
            count += 1
    assert warping_error(frame, moved, seen) == pytest.approx(total / count)


def test_consistency_of_two_stretches_joined_is_that_of_all_their_pairs():
    frames = [_picture(i, high=50 + 20 * i) for i in range(9)]
    whole, first, second = Consistency(), Consistency(), Consistency()
    for i, frame in enumerate(frames):
        (first if i < 5 else second).push(histograms(frame))
        if i == 5:
            whole.cut()
        whole.push(histograms(frame))
    first.merge(second)
    means = []
    for step in (1, 2, 4):
        pairs = [(i, i + step) for i in range(9 - step) if (i < 5) == (i + step < 5)]
        values = [
            scipy.spatial.distance.jensenshannon(histograms(frames[i])[c], histograms(frames[j])[c])
            ** 2
            for i, j in pairs
            for c in range(3)
        ]
        means.append(np.mean(values))
    assert first.value() == pytest.approx(np.mean(means))
    assert whole.value() == pytest.approx(np.mean(means))


def test_histograms_are_shares_of_codes():
    gray = np.array([[0, 0, 255, 7]], np.uint8)
    shares = histograms(gray)
    assert shares.shape == (1, 256)
    assert (shares[0, 0], shares[0, 7], shares[0, 255]) == (0.5, 0.25, 0.25)
    assert histograms(np.dstack((gray, gray + 1)))[1, 8] == 0.25


def test_visible_where_flow_comes_back():
    flow = np.full((6, 6, 2), 2.0)
    back = -flow.copy()
    back[2, 2] = 5
    seen = visible(flow, back)
    assert not seen[2, 2]
    assert seen.sum() == 35


def test_edges_of_motion_are_not_visible():
    flow = np.zeros((6, 6, 2))
    flow[:, 3:, 0] = 4
    seen = visible(flow, -flow)
    assert seen[:, [0, 1, 5]].all()
    assert not seen[:, 2].any()


def test_colorfulness_by_hand():
    assert colorfulness(np.full((4, 4, 3), 90, np.uint8)) == 0
    # one color: no deviation, rg = 60, yb = 20 - 10: 0.3 hypot(60, 20)
    flat = np.tile(np.array([80, 20, 30], np.uint8), (4, 4, 1))
    assert colorfulness(flat) == pytest.approx(0.3 * math.hypot(60, 20))
    # signed: green and red opponents cancel in the mean
    half = flat.copy()
    half[:2] = [20, 80, 30]
    assert colorfulness(half) == pytest.approx(60 + 0.3 * 20)


def test_colorfulness_of_absolute_opponents_by_hand():
    # red and green halves are one to it: no deviation, 60 and 20 everywhere
    half = np.tile(np.array([80, 20, 30], np.uint8), (4, 4, 1))
    half[:2] = [20, 80, 30]
    assert colorfulness_abs(half) == pytest.approx(0.3 * math.hypot(60, 20))
    # yellow and blue: 100 and 40 of either sign deviate by 30 and not by 70 from their mean
    half[:2], half[2:] = [110, 110, 10], [10, 10, 50]
    assert colorfulness_abs(half) == pytest.approx(30 + 0.3 * 70)
    assert colorfulness(half) == pytest.approx(70 + 0.3 * 30)
    # where all opponents have one sign, both are the same
    flat = np.tile(np.array([80, 20, 30], np.uint8), (4, 4, 1))
    assert colorfulness_abs(flat) == pytest.approx(colorfulness(flat))


def test_ssim_agrees_with_scikit_image():
    a = _picture(2)
    near = np.clip(a.astype(int) + np.random.default_rng(3).integers(-30, 31, a.shape), 0, 255)
    near = near.astype(np.uint8)
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = skimage.metrics.structural_similarity(a, near, channel_axis=-1, **how)
    assert 0.5 < expected < 0.98
    assert ssim(near, a) == pytest.approx(expected, abs=1e-9)
    gray = skimage.metrics.structural_similarity(a[..., 0], near[..., 0], **how)
    assert ssim(near[..., 0], a[..., 0]) == pytest.approx(gray, abs=1e-9)
    assert ssim(a, a) == pytest.approx(1)


def test_uniform_ssim_agrees_with_scikit_images_default():
    a = _picture(2)
    near = np.clip(a.astype(int) + np.random.default_rng(3).integers(-30, 31, a.shape), 0, 255)
    near = near.astype(np.uint8)
    expected = skimage.metrics.structural_similarity(a, near, channel_axis=2)
    assert ssim_uniform(near, a) == pytest.approx(expected, abs=1e-9)
    gray = skimage.metrics.structural_similarity(a[..., 0], near[..., 0])
    assert ssim_uniform(near[..., 0], a[..., 0]) == pytest.approx(gray, abs=1e-9)
    # the variants are not one
    assert abs(ssim(near, a) - expected) > 1e-4
    smallest = _picture(2)[:7, :7], _picture(3)[:7, :7]
    expected = skimage.metrics.structural_similarity(*smallest, channel_axis=2)
    assert ssim_uniform(*smallest) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="ssim_uniform wants pictures of at least 7 x 7"):
        ssim_uniform(a[:6], near[:6])


def test_ssim_refuses_what_is_smaller_than_its_window():
    small = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(small, small)
    with pytest.raises(ValueError, match="uint8"):
        ssim(np.zeros((20, 20)), np.zeros((20, 20)))


@pytest.mark.parametrize("line", SHARMA.split("\n")[1:-1])
def test_ciede2000_gives_the_published_differences(line):
    values = np.array(line.split(), np.float64)
    assert delta_e_2000(values[:3], values[3:6]) == pytest.approx(values[6], abs=5.1e-5)
    assert delta_e_2000(values[3:6], values[:3]) == pytest.approx(values[6], abs=5.1e-5)


def test_ciede2000_of_pictures_agrees_with_scikit_image():
    a, b = (skimage.color.rgb2lab(_picture(seed)) for seed in (4, 5))
    a[0, :5, 1:] = 0  # gray on one side, on both
    b[0, :3, 1:] = 0
    found = delta_e_2000(a, b)
    assert found.shape == (20, 30)
    np.testing.assert_allclose(found, skimage.color.deltaE_ciede2000(a, b), atol=1e-9)
    single = delta_e_2000(a.astype(np.float32), b.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, atol=1e-3)


def test_mean_chroma_by_hand():
    ab = np.zeros((2, 2, 2), np.float32)
    ab[0, 0], ab[1, 1] = (3, 4), (-6, 8)
    assert mean_chroma(ab) == pytest.approx(15 / 4)


def test_paler_than_the_truth_is_below_zero():
    flat = np.tile(np.array([80, 20, 30], np.uint8), (4, 4, 1))
    gray = np.full((4, 4, 3), 90, np.uint8)
    assert colorfulness_difference(gray, flat) == pytest.approx(-0.3 * math.hypot(60, 20))


def _noise(seed, size=(40, 60)):
    return np.random.default_rng(seed).integers(60, 200, (*size, 3)).astype(np.uint8)


def test_a_comparison_measures_each_picture_and_each_box():
    truths = [_noise(0), _noise(1, (24, 32))]
    colorings = [{"same": t, "other": np.ascontiguousarray(t[..., ::-1])} for t in truths]
    boxes = [np.array([[2.4, 3.6, 30.4, 20], [0, 0, 40, 10]]), [[-5, 4, 16, 99]]]
    whole = Comparison()
    for truth, colored, box in zip(truths, colorings, boxes, strict=True):
        whole.add(truth, colored, box)
    # the second box is lower than the window of SSIM; the others are rounded and cut
    crops = [truths[0][4:20, 2:30], truths[1][4:24, 0:16]]
    for level, parts in ((whole.picture, truths), (whole.instance, crops)):
        assert level.count == 2
        assert level.rows["same"].psnr == pytest.approx(BEST_PSNR)
        assert level.rows["same"].delta_e == 0
        assert level.rows["same"].colorfulness_difference == 0
        assert level.chroma_share("same") == pytest.approx(1)
        pairs = [(p, np.ascontiguousarray(p[..., ::-1])) for p in parts]
        labs = [[skimage.color.rgb2lab(x) for x in pair] for pair in pairs]
        other = level.rows["other"]
        expected = np.mean([skimage.metrics.peak_signal_noise_ratio(*pair) for pair in pairs])
        assert other.psnr == pytest.approx(expected)
        assert level.gain("other", over="same") == pytest.approx(expected - BEST_PSNR)
        expected = np.mean([skimage.color.deltaE_ciede2000(*lab).mean() for lab in labs])
        assert other.delta_e == pytest.approx(expected, abs=1e-3)
        expected = np.mean([np.linalg.norm(lab[1][..., 1:], axis=2).mean() for lab in labs])
        assert other.chroma == pytest.approx(expected, abs=1e-3)
        assert other.ssim == pytest.approx(np.mean([ssim(b, a) for a, b in pairs]))
        assert other.lpips is None
        assert level.colorfulness == pytest.approx(np.mean([colorfulness(p) for p in parts]))


def test_a_comparison_knows_what_it_has_not_seen():
    nothing = Comparison()
    assert nothing.picture is None
    nothing.add(_noise(0), {"one": _noise(1)})
    assert nothing.instance is None
    with pytest.raises(ValueError, match="colorings are"):
        nothing.add(_noise(0), {"another": _noise(1)})


def test_a_comparison_takes_a_perceptual_measure():
    both = Comparison(lambda pred, target: float(pred.shape[0]))
    for size in ((40, 60), (20, 60)):
        both.add(_noise(0, size), {"one": _noise(1, size)}, [[0, 0, 12, 12]])
    assert both.picture.rows["one"].lpips == 30
    assert both.instance.rows["one"].lpips == 12


def test_a_comparison_measures_what_else_is_asked_for():
    def height(pred, target):
        return float(pred.shape[0])

    def brighter(pred, target):
        return float(pred.mean() - target.mean())

    both = Comparison(metrics={"height": height, "uniform": ssim_uniform, "brighter": brighter})
    pairs = [
        (_noise(seed, size), _noise(9 + seed, size))
        for seed, size in ((0, (40, 60)), (1, (20, 60)))
    ]
    for truth, other in pairs:
        both.add(truth, {"one": other}, [[0, 0, 12, 14]])
    row = both.picture.rows["one"]
    assert row.more["height"] == 30
    expected = [skimage.metrics.structural_similarity(*pair, channel_axis=2) for pair in pairs]
    assert row.more["uniform"] == pytest.approx(np.mean(expected))
    assert both.instance.rows["one"].more["height"] == 14
    expected = np.mean([other.mean() - truth.mean() for truth, other in pairs])
    assert row.more["brighter"] == pytest.approx(expected)
    assert list(row.values()) == [
        "psnr", "ssim", "delta_e", "colorfulness_difference", "chroma", "height", "uniform",
        "brighter",
    ]  # fmt: skip
    assert row.values()["uniform"] == row.more["uniform"]
    assert row.values()["psnr"] == row.psnr
    with pytest.raises(ValueError, match="psnr is measured anyhow"):
        Comparison(metrics={"psnr": psnr})


def test_gain_and_share_by_hand():
    gray, colored = Quality(20, 0.9, 9, -30, 0), Quality(21.5, 0.9, 8, -10, 6)
    level = Level(3, 12.0, 40.0, {"uncolored": gray, "colored": colored})
    assert level.gain("colored") == 1.5
    assert level.chroma_share("colored") == 0.5
