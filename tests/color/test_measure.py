import math

import numpy as np
import pytest
import scipy.spatial.distance
import skimage.metrics

from vidcolor.color.measure import (
    chroma_instability,
    color_consistency,
    colorfulness,
    jensen_shannon,
    psnr,
    visible,
)


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
