"""Planes compared, each against its formula written plainly."""

import cv2
import numpy as np
import pytest
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.stages.detect import DetectConfig
from vidcolor.stages.detect_motion import _Shot
from vidcolor.stages.motion_planes import (
    Part,
    excess,
    fit_camera,
    median,
    reduced,
    same_exposure,
    same_exposures,
)

SIZE = (96, 128)


def _plane(seed: int, size: tuple[int, int] = SIZE, smooth: float = 2.0) -> np.ndarray:
    """Codes 0..255, float32."""
    noise = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), smooth)
    return np.asarray((noise - noise.min()) / (noise.max() - noise.min()) * 255, np.float32)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7])
def test_a_median_of_planes_is_numpys(count: int) -> None:
    planes = [np.rint(_plane(seed) / 40) for seed in range(count)]  # with equal values
    kept = [plane.copy() for plane in planes]
    np.testing.assert_array_equal(median(planes), np.median(np.stack(planes), axis=0))
    np.testing.assert_array_equal(planes, kept)


@pytest.mark.parametrize("play", [1, 2])
def test_excess_is_the_distance_from_all_values_around(play: int) -> None:
    now, background = _plane(0), _plane(1, smooth=4.0)
    height, width = SIZE
    expected = np.zeros(SIZE)
    for y in range(height):
        for x in range(width):
            around = background[
                max(0, y - play) : y + play + 1, max(0, x - play) : x + play + 1
            ].astype(np.float64)
            expected[y, x] = max(now[y, x] - around.max(), around.min() - now[y, x], 0)
    wide = np.pad(expected, 1, mode="reflect")
    mean = sum(wide[i : i + height, k : k + width] for i in range(3) for k in range(3)) / 9
    np.testing.assert_allclose(excess(now, background, play), mean, atol=1e-4)


def _plain_exposure(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    x, y = picture[::6, ::6].ravel(), like[::6, ::6].ravel()
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(2):
        rest = np.abs(y - gain * x - offset)
        keep = rest <= 2.5 * max(1.0, 1.4826 * float(np.median(rest)))
        if not keep.any() or float(x[keep].var()) < 4:
            break
        mean_x, mean_y = float(x[keep].mean()), float(y[keep].mean())
        gain = float(((x[keep] - mean_x) * (y[keep] - mean_y)).mean()) / float(x[keep].var())
        gain = min(2.0, max(0.5, gain))
        offset = mean_y - gain * mean_x
    return gain * picture + offset


@pytest.mark.parametrize("gain", [0.3, 0.8, 1.0, 1.4, 3.0])
def test_exposure_is_fitted_by_its_formula(gain: float) -> None:
    picture = _plane(2)
    kept = picture.copy()
    noise = np.random.default_rng(3).normal(0, 2, SIZE)
    like = (gain * picture - 9 + noise).astype(np.float32)
    like[20:60, 30:70] = 240  # an object that came in
    same = same_exposure(picture, like)
    np.testing.assert_allclose(same, _plain_exposure(picture, like), atol=1e-4)
    np.testing.assert_array_equal(picture, kept)
    if 0.5 <= gain <= 2:
        away = np.abs(same - (gain * picture - 9))
        assert away.mean() < 1.5


def test_many_are_fitted_as_each_alone() -> None:
    like, flat = _plane(2), np.full(SIZE, 90, np.float32)
    noise = np.random.default_rng(3).normal(0, 9, SIZE)
    noisy = (0.8 * like + 20 + noise).astype(np.float32)
    pictures = [flat, like, noisy, 1.3 * like - 7, _plane(4)]
    found = same_exposures(pictures, like)
    assert found[1] is like
    for one, picture in zip(found, pictures, strict=True):
        if picture is not like:
            np.testing.assert_allclose(one, _plain_exposure(picture, like), atol=2e-4)
    assert np.abs(found[3] - like).mean() < 0.01


@pytest.mark.parametrize(
    ("dtype", "shift"), [(np.uint8, 0), (np.int16, 2), (np.int32, 8)], ids=["8", "10", "16"]
)
def test_a_picture_is_halved_by_means_of_four(dtype: type, shift: int) -> None:
    plane = np.rint(_plane(7)).astype(np.int64) << shift
    small = reduced(plane.astype(dtype), (SIZE[0] // 4, SIZE[1] // 4))
    assert small.dtype == np.float32
    means = plane.reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4).mean(axis=(1, 3))
    # the first halving rounds
    assert np.abs(small - means).max() <= 0.5
    assert np.abs(small - means).mean() < 0.2


def test_a_picture_of_odd_sides_keeps_its_place() -> None:
    """A spot stays where it is, within half a pixel of the small picture."""
    plane = np.zeros((203, 301), np.uint8)
    plane[120:140, 220:250] = 200
    kept = plane.copy()
    small = reduced(plane, (96, 143))
    assert small.shape == (96, 143)
    total = small.sum()
    down, across = np.mgrid[0:96, 0:143] + 0.5
    assert (small * down).sum() / total == pytest.approx(130 * 96 / 203, abs=0.5)
    assert (small * across).sum() / total == pytest.approx(235 * 143 / 301, abs=0.5)
    np.testing.assert_array_equal(plane, kept)


def test_a_picture_that_is_small_enough_is_copied() -> None:
    plane = np.rint(_plane(8)).astype(np.uint8)
    small = reduced(plane, SIZE)
    np.testing.assert_array_equal(small, plane)
    small += 1
    np.testing.assert_array_equal(reduced(plane, SIZE), plane)


def test_a_flat_picture_gets_the_offset_alone() -> None:
    flat = np.full(SIZE, 90, np.float32)
    np.testing.assert_array_equal(same_exposure(flat, flat + 7), flat + 7)
    assert same_exposure(flat, flat) is flat


def _plain_camera(flow: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The robust fit, as it is described, without the shortcuts for pictures that stand."""
    height, width = picture.shape
    across = cv2.Sobel(picture, cv2.CV_64F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(picture, cv2.CV_64F, 0, 1, scale=1 / 8)
    texture = cv2.blur(np.hypot(across, down), (5, 5))
    points = [
        (x, y)
        for y in range(max(4, height // 16), height - max(4, height // 16), 6)
        for x in range(max(4, height // 16), width - max(4, height // 16), 6)
        if texture[y, x] > 3
    ]
    scale = 2 / width
    design = np.array([((x - width / 2) * scale, (y - height / 2) * scale, 1) for x, y in points])
    moved = np.array([flow[y, x] for x, y in points], np.float64)
    model = np.zeros((3, 2))
    model[2] = np.median(moved, axis=0)
    for _ in range(6):
        rest = np.linalg.norm(moved - design @ model, axis=1)
        weight = 1 / (1 + (rest / (2 * max(0.1, 1.4826 * np.median(rest)))) ** 2) ** 2
        weighted = design * weight[:, None]
        model = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(3), weighted.T @ moved)
    matrix = np.eye(3)
    matrix[:2, :2] += model[:2].T * scale
    matrix[:2, 2] = model[2] - model[:2].T * scale @ (width / 2, height / 2)
    return matrix


@pytest.mark.parametrize("seed", range(4))
def test_the_camera_is_fitted_by_its_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = _plane(seed).astype(np.uint8)
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    flow = np.stack((0.02 * columns + 1.5, -0.01 * rows - 0.7), axis=2)
    flow = (flow + rng.normal(0, 0.3, flow.shape)).astype(np.float32)
    flow[30:60, 40:80] += 6  # goes its own way
    before = _plane(seed + 50).astype(np.uint8)
    matrix, reliable = fit_camera(flow, picture, before)
    assert reliable
    np.testing.assert_allclose(matrix, _plain_camera(flow, picture), atol=1e-9)
    # planes of x and of y, seen as pairs, are the same flow
    apart = np.ascontiguousarray(flow.transpose(2, 0, 1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(fit_camera(apart, picture, before)[0], matrix)


def test_no_camera_fits_chaos_unless_the_picture_stands() -> None:
    picture = _plane(0).astype(np.uint8)
    flow = np.random.default_rng(0).normal(0, 20, (*SIZE, 2)).astype(np.float32)
    assert not fit_camera(flow, picture, _plane(9).astype(np.uint8))[1]
    # only lighter: six tenths unchanged but for exposure
    matrix, reliable = fit_camera(flow, picture, np.minimum(picture, 240) + 10)
    assert reliable
    np.testing.assert_array_equal(matrix, np.eye(3))


def _plain_parts(mask: np.ndarray, contrast: np.ndarray, least: float, reach: int) -> list[Part]:
    """Near parts joined, by OpenCV's own statistics."""
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disk)
    count, labels, _, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    parts = []
    for k in range(1, count):
        rows, columns = np.nonzero((labels == k) & (mask > 0))
        if len(rows) >= least:
            values = contrast[rows, columns].astype(np.float64)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            peak = float(np.quantile(values, 0.9))
            parts.append(Part(*(int(v) for v in box), len(rows), float(values.sum()), peak))
    return parts


def test_parts_are_those_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Part]] = []

    def note(parts: list[Part], reach: float) -> list[Part]:
        seen.append(parts)
        return parts

    monkeypatch.setattr("vidcolor.stages.detect_motion.merged", note)
    mask = (_plane(4, smooth=4.0) > 160).astype(np.uint8)
    mask[3, 5] = 1  # too small to count
    contrast = _plane(5) / 20
    batch = FrameBatch(torch.zeros(1, 1, *SIZE, dtype=torch.uint8), (0,), VideoInfo(*SIZE))
    config = DetectConfig()
    _Shot(config, batch)._objects(mask, contrast)
    least = config.motion_least * mask.size / 4
    expected = _plain_parts(mask, contrast, least, max(3, round(SIZE[0] / 20)) | 1)
    assert len(expected) >= 3
    assert len(seen[0]) == len(expected)
    for one, other in zip(seen[0], expected, strict=True):
        assert (one.x0, one.y0, one.x1, one.y1) == (other.x0, other.y0, other.x1, other.y1)
        assert one.area == other.area
        assert one.contrast == pytest.approx(other.contrast, rel=1e-5)
        assert one.peak == pytest.approx(other.peak, rel=1e-6)


def test_frames_are_aligned_by_all_cameras_between_them() -> None:
    """A camera that moves only now and then: what stands between is left out of the product."""
    wide = _plane(6, (96, 300), 1.5)
    places = [0, 0, 3, 3, 3, 5, 9, 9, 12, 12]
    film = np.stack([wide[:, 60 + x : 188 + x] for x in places]).astype(np.uint8)
    info = VideoInfo(*SIZE, color=ColorSpec(full_range=True))
    batch = FrameBatch(torch.from_numpy(film)[:, None], tuple(range(10)), info)
    shot = _Shot(DetectConfig(), batch)
    list(shot.add(batch))
    assert shot._aligned(0, 1) is shot._small[1].picture
    for number, other in ((0, 9), (9, 0), (3, 6), (6, 1)):
        moved = shot._aligned(number, other)
        assert moved is not None
        away = np.abs(moved - film[number])[8:-8, 16:-16]
        unmoved = np.abs(film[other].astype(np.float32) - film[number])[8:-8, 16:-16]
        assert away.mean() < unmoved.mean() / 4
