import numpy as np

from vidcolor.train.data.hints import simulate_hints


def _draws(count, size, seed=0):
    rng = np.random.default_rng(seed)
    ab = rng.uniform(-80, 80, (*size, 2)).astype(np.float32)
    return ab, [simulate_hints(ab, rng) for _ in range(count)]


def _square(mask):
    """Top, left and side of the only patch, or None."""
    rows, columns = np.nonzero(mask[0].any(1))[0], np.nonzero(mask[0].any(0))[0]
    if not len(rows) or len(rows) != len(columns) or mask.sum() != len(rows) ** 2:
        return None
    return int(rows[0]), int(columns[0]), len(rows)


def test_a_patch_has_the_mean_color_of_what_it_covers():
    ab, draws = _draws(300, (40, 56))
    squares = [(given, _square(mask)) for given, mask in draws]
    squares = [(given, square) for given, square in squares if square]
    assert len(squares) > 15
    for given, (top, left, side) in squares:
        patch = ab[top : top + side, left : left + side].astype(np.float64)
        expected = [np.mean(patch[..., 0]), np.mean(patch[..., 1])]
        inside = given[:, top : top + side, left : left + side]
        np.testing.assert_allclose(inside[:, 0, 0], expected, atol=1e-4)
        assert np.ptp(inside, axis=(1, 2)).max() == 0


def test_nothing_is_given_outside_the_mask():
    _, draws = _draws(50, (24, 24))
    for given, mask in draws:
        assert given.shape == (2, 24, 24)
        assert set(np.unique(mask)) <= {0.0, 1.0}
        assert not given[:, mask[0] == 0].any()


def test_the_number_is_geometric_and_sides_are_1_to_9():
    _, draws = _draws(3000, (96, 96))
    counts = np.array([mask.sum() for _, mask in draws])
    # none with chance 1/8; 0.4 sigma is 0.0024
    assert abs((counts == 0).mean() - 0.125) < 0.02
    # seven patches of 95/3 pixels each on average, less what overlaps
    assert 0.8 * 7 * 95 / 3 < counts.mean() < 7 * 95 / 3
    sides = [square[2] for _, mask in draws if (square := _square(mask))]
    assert set(sides) == set(range(1, 10))


def test_places_lean_to_the_center():
    _, draws = _draws(2000, (64, 64))
    often = np.mean([mask[0] for _, mask in draws], axis=0)
    # of a normal of mean 1/2 and deviation 1/4, the middle half holds 68 percent in each direction
    middle = often[16:48, 16:48].sum() / often.sum()
    assert abs(middle - 0.68**2) < 0.05
    assert often[32].argmax() not in (0, 63)


def test_pictures_smaller_than_a_patch_and_seeds():
    ab, draws = _draws(40, (4, 6))
    assert all(mask[0].any(1).sum() <= 4 for _, mask in draws)
    one, again = (simulate_hints(ab, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one[0], again[0])
    assert np.array_equal(one[1], again[1])
