import cv2
import numpy as np
import pytest

from vidcolor.guidance.references.carry import Atlas, Sight, carry, grid
from vidcolor.guidance.references.memory import Match
from vidcolor.guidance.references.spill import Passed, Spill

SIZE = (64, 96)
CELLS = (SIZE[0] // 4) * (SIZE[1] // 4)


def _scene(seed=0, width=160):
    """(64, width) L* and (2, 64, width) a*b*, smooth and nowhere alike."""
    rng = np.random.default_rng(seed)
    planes = [
        cv2.GaussianBlur(rng.normal(0, 1, (SIZE[0], width)).astype(np.float32), (0, 0), sigma)
        for sigma in (2, 5, 5)
    ]
    planes = [plane / plane.std() for plane in planes]
    lightness = np.clip(50 + 15 * planes[0], 5, 95).astype(np.float32)
    return lightness, (20 * np.stack(planes[1:])).astype(np.float32)


def _sight(lightness, match=None, looks=None):
    gray = np.clip(np.rint(lightness * 2.55), 0, 255).astype(np.uint8)
    if match is None:  # knows nothing and says so
        match = Match(
            np.full(CELLS, 1e3, np.float32),
            np.zeros((CELLS, 2), np.int64),
            np.zeros((CELLS, 2), np.float32),
            np.full(CELLS, 1e3, np.float32),
        )
    return Sight(
        lightness, gray, np.zeros((CELLS, 3), np.float32) if looks is None else looks, match
    )


def _atlas(*scenes):
    pages = [(light, ab, np.zeros((light.size // 16, 3), np.float32)) for light, ab in scenes]
    return Atlas.of(pages)


def test_places_in_the_atlas():
    first, second = _scene(1, 96), _scene(2, 64)
    atlas = _atlas(first, second)
    assert atlas.planes.shape == (128, 96, 3)
    np.testing.assert_allclose(atlas.at(atlas.itself(1))[..., 2], second[0])
    np.testing.assert_allclose(atlas.at(atlas.itself(0))[..., :2], first[1].transpose(1, 2, 0))
    # the second page begins after 16 rows of 24 cells, its own rows have 16
    numbers = atlas.numbers(1)
    assert numbers[:2].tolist() == [16 * 24, 16 * 24 + 1]
    assert numbers[16] == 17 * 24
    assert len(numbers) == 16 * 16


def test_color_follows_what_moves_without_blur():
    """A pan by 3 pixels a frame: the color is that of the reference, 8 frames later."""
    lightness, ab = _scene()
    atlas = _atlas((lightness[:, :96], ab[:, :, :96]))
    carried = carry(_sight(lightness[:, :96]), atlas, None, None, (0,))
    back = np.zeros((*SIZE, 2), np.float32)
    back[..., 0] = 3
    for number in range(1, 9):
        shift = 3 * number
        carried = carry(_sight(lightness[:, shift : shift + 96]), atlas, carried, back, (0,))
    inside = np.s_[4:-4, 4 : 96 - shift - 4]
    expected = ab[:, :, shift : shift + 96].transpose(1, 2, 0)
    # colors that are strangers are 22 apart
    assert np.abs(carried.ab[inside] - expected[inside]).mean() < 2.5
    off = carried.place[inside] - (grid(SIZE) + np.float32([shift, 0]))[inside]
    assert np.abs(off).mean() < 0.5


def test_a_wrong_start_heals():
    """A place 2 pixels off is brought back by comparing with the reference itself."""
    lightness, ab = _scene(3, 96)
    atlas = _atlas((lightness, ab))
    start = carry(_sight(lightness), atlas, None, None, (0,))
    wrong = type(start)(start.place + np.float32(2), start.ab, start.cost, start.strange)
    still = np.zeros((*SIZE, 2), np.float32)
    healed = carry(_sight(lightness), atlas, wrong, still)
    off = np.abs(healed.place - grid(SIZE))[8:-8, 8:-8]
    assert off.mean() < 0.3


def test_each_region_takes_the_reference_that_fits():
    first, second = _scene(4, 96), _scene(5, 96)
    mixed = np.concatenate((first[0][:, :48], second[0][:, 48:]), axis=1)
    for pages in ((first, second), (second, first)):
        atlas = _atlas(*pages)
        carried = carry(_sight(mixed), atlas, None, None, (0, 1))
        expected = np.concatenate((first[1][:, :, :48], second[1][:, :, 48:]), axis=2)
        apart = np.abs(carried.ab - expected.transpose(1, 2, 0)).mean(2)
        assert apart[:, :44].mean() < 4  # strangers are 22 apart
        assert apart[:, 52:].mean() < 4


def test_matches_lead_to_where_nothing_moved_from():
    """Without motion and without a keyframe the cells that were matched are the places."""
    lightness, ab = _scene(6)
    atlas = _atlas((lightness, ab))
    rows, columns = np.mgrid[: SIZE[0] // 4, : SIZE[1] // 4]
    cells = (rows * 40 + columns + 10).ravel()  # 10 cells to the right
    match = Match(
        np.zeros(CELLS, np.float32),
        np.stack((cells, cells), axis=1),
        np.zeros((CELLS, 2), np.float32),
        np.full(CELLS, 1e4, np.float32),
    )
    carried = carry(_sight(lightness[:, 40:136], match), atlas, None, None)
    np.testing.assert_allclose(carried.place, grid(SIZE) + np.float32([40, 0]))
    np.testing.assert_allclose(carried.ab, ab[:, :, 40:136].transpose(1, 2, 0), atol=0.1)


def test_the_file_gives_back_what_was_put():
    rng = np.random.default_rng(7)
    frames = [
        Passed(
            100 + i,
            rng.integers(0, 256, (8, 12)).astype(np.uint8),
            Match(
                rng.uniform(0, 9, 6).astype(np.float32),
                rng.integers(0, 100_000, (6, 2)),
                rng.normal(0, 30, (6, 2)).astype(np.float32),
                np.array([0, 1, 5, 70_000, 1e9, 3], np.float32),
            ),
            rng.normal(0, 30, (8, 12, 2)).astype(np.float32),
            rng.uniform(0, 9, (8, 12)).astype(np.float32),
            rng.uniform(0, 1, (8, 12)).astype(np.float32),
        )
        for i in range(3)
    ]
    with Spill() as spill:
        for frame in frames:
            spill.add(frame)
        for i in (2, 0, 1):
            found = spill.get(i)
            assert found.pts == 100 + i
            np.testing.assert_array_equal(found.gray, frames[i].gray)
            np.testing.assert_array_equal(found.match.cells, frames[i].match.cells)
            np.testing.assert_allclose(found.match.ab, frames[i].match.ab, rtol=1e-3)
            np.testing.assert_allclose(found.match.distance, frames[i].match.distance, rtol=1e-3)
            np.testing.assert_allclose(found.ab, frames[i].ab, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(found.cost, frames[i].cost, rtol=1e-3)
            np.testing.assert_allclose(found.weight, frames[i].weight, atol=1 / 500)
            assert np.isfinite(found.match.doubt).all()
        spill.clear()
        assert len(spill) == 0
        spill.add(frames[1])
        assert spill.get(0).pts == 101


@pytest.mark.parametrize("count", [1, 3])
def test_pages_of_any_number(count):
    atlas = _atlas(*[_scene(seed, 96) for seed in range(count)])
    assert atlas.tops == tuple(64 * i for i in range(count))
