import cv2
import numpy as np
import pytest

from vidcolor.ops.flow import agreement, as_gray, dis_flow, equalize, grain, invert_flow, warp


def _texture(seed=0, size=(96, 128)):
    noise = np.random.default_rng(seed).random((size[0] + 40, size[1] + 40)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 40, 215, cv2.NORM_MINMAX)


def _view(texture, y, x, size=(96, 128)):
    return np.rint(texture[y : y + size[0], x : x + size[1]]).astype(np.uint8)


@pytest.mark.parametrize("preset", ["fast", "balanced", "medium"])
@pytest.mark.parametrize(("dy", "dx"), [(0, 4), (3, 0), (-2, 5)])
def test_known_shift_is_found(dy, dx, preset):
    texture = _texture()
    a, b = _view(texture, 20, 20), _view(texture, 20 + dy, 20 + dx)
    flow = dis_flow(a, b, preset)
    # a(p) = texture(20 + p) = b(p - d)
    inside = flow[16:-16, 16:-16]
    np.testing.assert_allclose(np.median(inside, axis=(0, 1)), (-dx, -dy), atol=0.15)
    moved = warp(b.astype(np.float32)[..., None], flow)[..., 0]
    assert np.abs(moved - a)[16:-16, 16:-16].mean() < 2


def test_exposure_does_not_disturb():
    texture = _texture()
    a, b = _view(texture, 20, 20), _view(texture, 20, 24)
    pulsed = np.clip(b * 0.8 + 25, 0, 255).astype(np.uint8)
    flow = dis_flow(a, pulsed)[16:-16, 16:-16]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (-4, 0), atol=0.2)


def test_equalize_matches_mean_and_deviation():
    a = _view(_texture(), 20, 20)
    b = np.clip(a * 0.7 + 50, 0, 255).astype(np.uint8)
    result = equalize(b, a)
    assert abs(float(result.mean()) - a.mean()) < 1
    assert abs(float(result.std()) - a.std()) < 2
    flat = np.full_like(a, 90)
    assert np.ptp(equalize(flat, a)) == 0


def test_still_and_flat_pictures_do_not_move():
    a = _view(_texture(), 20, 20)
    assert np.abs(dis_flow(a, a)).max() < 0.05
    flat = np.full((40, 40), 128, np.uint8)
    assert np.abs(dis_flow(flat, flat)).max() == 0


def test_tiny_pictures_have_no_flow():
    tiny = np.arange(50, dtype=np.uint8).reshape(5, 10)
    assert (dis_flow(tiny, tiny[::-1].copy()) == 0).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 300])
def test_warp_by_whole_pixels(channels):
    image = np.random.default_rng(1).random((10, 12, channels)).astype(np.float32)
    flow = np.zeros((10, 12, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, -1
    result = warp(image, flow)
    assert result.shape == image.shape
    np.testing.assert_allclose(result[1:, :10], image[:-1, 2:], atol=1e-6)
    np.testing.assert_allclose(result[0, 11], image[0, 11], atol=1e-6)  # border repeated


def test_warp_is_bilinear():
    image = np.arange(6, dtype=np.float32).reshape(1, 6, 1) * np.ones((4, 1, 1), np.float32)
    flow = np.full((4, 6, 2), (0.25, 0.0), np.float32)
    np.testing.assert_allclose(warp(image, flow)[1, :5, 0], np.arange(5) + 0.25, atol=1e-6)


def test_cubic_warp_blurs_less():
    image = _texture()[:64, :64, None].copy()
    flow = np.full((64, 64, 2), 0.5, np.float32)
    there = {cubic: warp(warp(image, flow, cubic), -flow, cubic) for cubic in (False, True)}
    inner = slice(4, -4)
    error = {c: np.abs(x - image)[inner, inner].mean() for c, x in there.items()}
    assert error[True] < error[False] / 2


def test_inverse_flow_leads_back():
    y, x = np.mgrid[0:64, 0:80].astype(np.float32)
    flow = np.stack((3 + np.sin(y / 9), np.cos(x / 11)), axis=-1)
    back = invert_flow(flow, rounds=4)
    there_and_back = back + warp(flow, back)
    assert np.abs(there_and_back[8:-8, 8:-8]).max() < 0.02


def test_wrong_pictures_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        dis_flow(np.zeros((20, 20)), np.zeros((20, 20)))
    with pytest.raises(ValueError, match="one size"):
        dis_flow(np.zeros((20, 20), np.uint8), np.zeros((20, 21), np.uint8))


def test_gray_of_lightness_is_rounded_and_clipped():
    lightness = np.array([[0, 1, 40, 100, 104, -3]], np.float32)
    assert as_gray(lightness).tolist() == [[0, 3, 102, 255, 255, 0]]
    assert as_gray(lightness).dtype == np.uint8


def test_grain_is_the_deviation_of_noise():
    rng = np.random.default_rng(0)
    ramp = np.linspace(10, 90, 128, dtype=np.float32)[None].repeat(96, 0)
    for sigma in (0.5, 3.0):
        noisy = (ramp + rng.normal(0, sigma, ramp.shape)).astype(np.float32)
        assert grain(noisy) == pytest.approx(sigma, rel=0.05)
    assert grain(ramp) < 1e-4


def test_agreement_takes_exposure_away_and_looks_around():
    here = np.full((40, 60), 50, np.float32)
    there = here - 3  # a pulse, up to 4 is none of its business
    np.testing.assert_allclose(agreement(here, there, 3, 4), 1, atol=1e-6)
    np.testing.assert_allclose(agreement(here, there, 3, 1), np.exp(-(2**2) / 18), rtol=1e-5)
    spot = here.copy()
    spot[20, 30] += 25  # one cell in a window of 25 of them
    trust = agreement(spot, here, 3, 4)
    np.testing.assert_allclose(trust[18:23, 28:33], np.exp(-1 / 18), rtol=1e-4)
    np.testing.assert_allclose(trust[:, :27], 1, atol=1e-6)
