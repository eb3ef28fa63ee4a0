import numpy as np
import pytest

from vidcolor.color import gamut
from vidcolor.color.compose import (
    MATRIX_WEIGHTS,
    ComposeConfig,
    PlaneLayout,
    chroma_planes,
    compose_rgb,
)
from vidcolor.records import ColorSpec

SPEC = ColorSpec()
GRID = (48, 64)


def _spots(size, seed=0):
    """Luma of a plain room with grain, a few dark and bright spots, and strong color everywhere."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    luma = 120 + 20 * np.sin(rows / 17) * np.cos(columns / 23) + rng.normal(0, 3, size)
    for number in range(2):
        y, x = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        luma[np.hypot(rows - y, columns - x) < 4] = 30 if number % 2 else 215
    # single pixels tell only of their own chroma sample
    luma[rng.integers(0, size[0], 2), rng.integers(0, size[1], 2)] = [25, 228]
    ab = rng.normal(0, 11, (2, *GRID)).astype(np.float32)
    return np.clip(luma, 16, 235).astype(np.uint8), ab, np.full(GRID, 50, np.float32)


@pytest.fixture
def put_aside(monkeypatch):
    """Number of samples that were put aside, picture by picture."""
    counts = []
    few = gamut.GamutFit.few

    def counted(self):
        found = few(self)
        counts.append(0 if found is None else found[1].size)
        return found

    monkeypatch.setattr(gamut.GamutFit, "few", counted)
    return counts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
@pytest.mark.parametrize("subsample", [(1, 1), (1, 2), (2, 2), (1, 4)])
@pytest.mark.parametrize("size", [(240, 320), (239, 317)])
@pytest.mark.parametrize("kind", ["guided", "bilinear"])
def test_samples_that_are_left_alone_are_those_that_do_not_change(
    monkeypatch, put_aside, size, subsample, siting, seed, kind
):
    picture, config = _spots(size, seed), ComposeConfig(filter=kind)
    layout = PlaneLayout(*subsample, bits=12, siting=siting)
    picked = chroma_planes(*picture, SPEC, layout, config)
    monkeypatch.setattr(gamut, "_FEW", -1)  # every sample is looked at
    whole = chroma_planes(*picture, SPEC, layout, config)
    for one, other in zip(picked, whole, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1  # of 4096: rounding
    assert put_aside[0] > 0
    assert put_aside[1] == 0


def test_samples_that_are_put_aside_shrink(monkeypatch, put_aside):
    picture, layout = _spots((240, 320)), PlaneLayout(bits=12)
    fitted = chroma_planes(*picture, SPEC, layout, ComposeConfig())
    monkeypatch.setattr(gamut.GamutFit, "_scale", lambda *_: np.float32(1))
    unbound = chroma_planes(*picture, SPEC, layout, ComposeConfig())
    strength = [np.hypot(*(p.astype(float) - 2048 for p in planes)) for planes in (fitted, unbound)]
    changed = strength[0] != strength[1]
    assert 0 < changed.sum() <= put_aside[0] < 0.125 * changed.size
    assert (strength[0][changed] < strength[1][changed] + 1).all()


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_of_spots_decodes_into_gamut(put_aside, seed, matrix):
    luma, ab, lightness = _spots((240, 320), seed)
    spec, layout = ColorSpec(matrix=matrix), PlaneLayout(matrix=matrix)
    planes = chroma_planes(luma, ab, lightness, spec, layout, ComposeConfig())
    assert put_aside[0] > 0
    y = (luma.astype(float) - 16) / 219
    u, v = (np.kron(p.astype(float) - 128, np.ones((2, 2))) / 224 for p in planes)
    kr, kb = MATRIX_WEIGHTS[matrix]
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    for channel in (red, green, blue):
        assert channel.min() > -1.0 / 224
        assert channel.max() < 1 + 1.0 / 224


def test_a_still_with_spots_is_the_same_either_way(monkeypatch, put_aside):
    picture = _spots((240, 320))
    picked = compose_rgb(*picture, SPEC, ComposeConfig(), 8)
    monkeypatch.setattr(gamut, "_FEW", -1)
    whole = compose_rgb(*picture, SPEC, ComposeConfig(), 8)
    assert np.abs(picked.astype(int) - whole).max() <= 1
    assert put_aside[0] > put_aside[1] == 0


def test_of_a_dark_picture_nothing_is_put_aside(put_aside):
    luma, ab, lightness = _spots((240, 320))
    chroma_planes(luma // 4 + 12, ab, lightness, SPEC, PlaneLayout(), ComposeConfig())
    assert put_aside == [0]
