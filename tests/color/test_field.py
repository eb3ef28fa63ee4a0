import numpy as np
import pytest
import skimage.color
import torch

from vidcolor.color import field
from vidcolor.color.compose import ComposeConfig, PlaneLayout, chroma_planes, compose_rgb
from vidcolor.color.field import Axis
from vidcolor.color.lab import lab_to_rgb
from vidcolor.color.luma import to_lightness
from vidcolor.records import ColorSpec

SPEC = ColorSpec()
FULL = ColorSpec(full_range=True)
SMALL = (24, 32)
LARGE = (192, 256)


def _scene(seed=5):
    """Luma codes of a lit ball before a wall, with grain; a*b* and L* of an eighth."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: LARGE[0], : LARGE[1]] / 192
    wall = 0.45 + 0.15 * np.sin(5 * rows) * np.cos(7 * columns)
    inside = 1 / (1 + np.exp(60 * (np.hypot(rows - 0.4, columns - 0.5) - 0.25)))
    signal = wall + inside * (0.65 + 0.1 * columns - wall) + rng.normal(0, 0.02, LARGE)
    luma = np.rint(16 + 219 * np.clip(signal, 0, 1)).astype(np.uint8)
    a = 20 * inside - 8 + 4 * np.sin(9 * rows)
    b = 24 * inside - 10 + 4 * np.cos(8 * columns)
    light = to_lightness(torch.from_numpy(luma)[None, None], SPEC)[0, 0].numpy()
    small = [
        x.reshape(SMALL[0], 8, SMALL[1], 8).mean((1, 3)).astype(np.float32) for x in (a, b, light)
    ]
    return luma, np.stack(small[:2]), small[2]


@pytest.mark.parametrize("kind", ["guided", "bilinear"])
def test_lines_by_cell_show_the_colors_of_exact_samples(monkeypatch, kind):
    luma, ab, lightness = _scene()
    config = ComposeConfig(filter=kind)
    fast = compose_rgb(luma, ab, lightness, SPEC, config, 16)
    monkeypatch.setattr(field, "_MANY_SAMPLES", np.inf)
    exact = compose_rgb(luma, ab, lightness, SPEC, config, 16)
    assert (fast != exact).any()  # two ways indeed
    error = skimage.color.deltaE_ciede2000(
        *(skimage.color.rgb2lab(rgb / 65535) for rgb in (fast, exact))
    )
    assert error.mean() < 0.1
    assert np.percentile(error, 99.9) < 1


@pytest.mark.parametrize("many", [0, np.inf])
def test_color_over_texture_is_that_of_lab(monkeypatch, many):
    # the slow way: a*b* interpolated in double precision, R'G'B' of every pixel's own L*
    monkeypatch.setattr(field, "_MANY_SAMPLES", many)
    luma, ab, _ = _scene()
    luma = np.clip(luma, 70, 190)  # where these colors exist
    ab = 0.4 * ab
    places = [(np.arange(n) + 0.5) / 8 - 0.5 for n in LARGE]
    across = [[np.interp(places[1], np.arange(SMALL[1]), row) for row in plane] for plane in ab]
    large = [
        np.stack([np.interp(places[0], np.arange(SMALL[0]), col) for col in np.transpose(plane)], 1)
        for plane in across
    ]
    light = to_lightness(torch.from_numpy(luma)[None, None], SPEC).double()
    lab = torch.cat((light, torch.from_numpy(np.stack(large))[None]), dim=1)
    red, green, blue = lab_to_rgb(lab)[0].numpy()
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = chroma_planes(
        luma,
        ab,
        np.zeros(SMALL, np.float32),
        SPEC,
        PlaneLayout(1, 1, bits=12),
        ComposeConfig(filter="bilinear"),
    )
    exact = 2048 + 3584 * (blue - y) / 1.8556, 2048 + 3584 * (red - y) / 1.5748
    for plane, expected in zip(planes, exact, strict=True):
        assert np.abs(plane - expected).mean() / 16 < 0.1  # codes of 8 bits
        assert np.abs(plane - expected).max() / 16 < 1


def test_plain_luma_is_converted_exactly_by_cell():
    # the lightness that the network saw is another one: the film's own counts
    luma = np.full((40, 40), 150, np.uint8)
    ab = np.full((2, 4, 4), 12, np.float32)
    rgb = compose_rgb(
        luma, ab, np.full((4, 4), 20, np.float32), FULL, ComposeConfig(filter="bilinear"), 16
    )
    gray = skimage.color.rgb2lab(np.full((1, 1, 3), 150 / 255))[0, 0, 0]
    lab = skimage.color.rgb2lab(rgb[20, 20] / 65535)
    assert lab == pytest.approx([gray, 12, 12], abs=0.7)  # L* gives way a little
    wanted = skimage.color.lab2rgb(np.array([gray, 12, 12]))
    y = wanted @ [0.2126, 0.7152, 0.0722]
    assert rgb[20, 20] / 65535 == pytest.approx(wanted - y + 150 / 255, abs=2e-4)


@pytest.mark.parametrize("cells", [1, 2, 7, 12])
@pytest.mark.parametrize("samples", [1, 5, 12, 12 * 8, 101])
@pytest.mark.parametrize("shift", [-0.5, -0.25, 0.0])
def test_reach_holds_every_sample_that_a_cell_colors(cells, samples, shift):
    step = cells / samples
    axis = Axis(cells, samples, (0.5 + shift) * step - 0.5, step)
    first, count = axis.reach()
    assert first.shape == (cells,)
    for number, place in enumerate(np.clip(axis.places(), 0, cells - 1)):
        below = min(int(place), cells - 1)
        for cell, part in ((below, 1 - (place - below)), (below + 1, place - below)):
            if part > 1e-3:
                assert first[cell] <= number < first[cell] + count


def test_on_a_grid_as_fine_as_the_samples_a_cell_reaches_one():
    first, count = Axis(9, 9, 0.0, 1.0).reach()
    np.testing.assert_array_equal(first, np.arange(9))
    assert count == 1


@pytest.mark.parametrize("many", [0, np.inf])
@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1)])
def test_a_picture_longer_than_opencv_takes_is_colored_to_its_end(monkeypatch, size, many):
    monkeypatch.setattr(field, "_MANY_SAMPLES", many)
    ab, lightness = np.full((2, 4, 4), 12, np.float32), np.full((4, 4), 50, np.float32)
    config = ComposeConfig()
    long = compose_rgb(np.full(size, 120, np.uint8), ab, lightness, FULL, config)
    short = compose_rgb(np.full((8, 8), 120, np.uint8), ab, lightness, FULL, config)
    assert np.ptp(short[0, 0].astype(int)) > 20
    np.testing.assert_array_equal(long, np.broadcast_to(short[0, 0], long.shape))
