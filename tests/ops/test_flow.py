import cv2
import numpy as np
import pytest

from vidcolor.ops.flow import (
    agreement,
    as_gray,
    bend,
    bends,
    dis_flow,
    equalize,
    grain,
    invert_flow,
    pixel_grid,
    pixel_planes,
    places_back,
    warp,
)


def _texture(seed=0, size=(96, 128)):
    noise = np.random.default_rng(seed).random((size[0] + 40, size[1] + 40)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 40, 215, cv2.NORM_MINMAX)


def _view(texture, y, x, size=(96, 128)):
    return np.rint(texture[y : y + size[0], x : x + size[1]]).astype(np.uint8)


@pytest.mark.parametrize("preset", ["sparse", "fast", "balanced", "medium"])
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


def test_bent_lines_are_the_cubic_of_catmull_and_rom():
    """Along rows, where one plane is a parabola and the other a cubic, against the formula."""
    x = np.arange(24, dtype=np.float64)
    t = 0.3
    for values in (0.2 * x**2 - x, 0.01 * x**3 - 0.3 * x**2):
        p0, p1, p2, p3 = values[:-3], values[1:-2], values[2:-1], values[3:]
        cubic = p1 + t / 2 * (
            p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
        )
        straight = (1 - t) * values[:-1] + t * values[1:]
        plane = straight.astype(np.float32)[None, None].repeat(5, axis=1)
        down = np.ascontiguousarray(plane.transpose(0, 2, 1))
        for bent, axis in ((plane, 0), (down, 1)):
            places = np.zeros((2, *bent.shape[1:]), np.float32)
            places[axis] = 7 + t
            bend(bent, bends(places))
        np.testing.assert_allclose(plane[0, 2, 1:-1], cubic, atol=1e-4)
        np.testing.assert_allclose(down[0, 1:-1, 2], cubic, atol=1e-4)


def test_whole_pixels_bend_nothing():
    planes = _texture()[None].astype(np.float32)
    kept = planes.copy()
    bend(planes, bends(pixel_planes(*planes.shape[1:]) - 3))
    np.testing.assert_array_equal(planes, kept)


def test_cubics_follow_a_wave_between_pixels():
    y, x = np.mgrid[0:64, 0:80].astype(np.float64)
    flow = np.stack((0.4 + 0.3 * np.sin(y / 15), 0.6 * np.cos(x / 20)), axis=-1)

    def wave(across, down):
        return 50 * np.sin(across / 1.9) * np.cos(down / 2.3)

    image = wave(x, y).astype(np.float32)[..., None].repeat(6, axis=2)
    true = wave(x + flow[..., 0], y + flow[..., 1])[..., None]
    error = [
        np.abs(warp(image, flow.astype(np.float32), cubic) - true)[4:-4, 4:-4].mean()
        for cubic in (False, True)
    ]
    assert error[1] < 0.5 * error[0]


def test_planes_lead_back_as_the_inverse_flow_does():
    y, x = np.mgrid[0:64, 0:80].astype(np.float32)
    flow = np.stack((3 + np.sin(y / 9), np.cos(x / 11)), axis=-1)
    inverse = -flow
    for _ in range(2):
        inverse = -warp(flow, inverse)
    planes = np.ascontiguousarray(flow.transpose(2, 0, 1))
    kept = planes.copy()
    back = places_back(planes, rounds=2)
    # OpenCV rounds places to a 32nd of a pixel where two planes go together
    np.testing.assert_allclose(back.transpose(1, 2, 0), pixel_grid(64, 80) + inverse, atol=0.02)
    np.testing.assert_allclose(invert_flow(flow, rounds=2), inverse, atol=0.02)
    np.testing.assert_array_equal(planes, kept)


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
