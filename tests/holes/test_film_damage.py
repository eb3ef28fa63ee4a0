"""Film damage: the truth is exact, what stays stays, seeds rule."""

import numpy as np
import pytest

from vidcolor.errors import ConfigError
from vidcolor.holes.film import FilmDamage, damage_film, damage_frames

QUIET = FilmDamage(dust=0, scratches=0)


def gray(count=5, size=(60, 80), level=120.0):
    return [np.full(size, level, np.float32) for _ in range(count)]


def noisy(count=5, size=(60, 80)):
    rng = np.random.default_rng(5)
    return [rng.uniform(0, 255, size).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize(
    "config",
    [
        FilmDamage(),
        FilmDamage(dust=40, scratches=5, gate_hairs=3, splices=0.5, burns=0.5),
        FilmDamage(weave_px=2, flicker=0.1, grain=6, burns=0.3),
    ],
)
def test_a_frame_differs_from_its_truth_in_its_hole_and_nowhere_else(config):
    for made in damage_frames(noisy(8), config, 2):
        change = np.abs(made.frame - made.clean)
        assert np.array_equal(made.hole, change > 0)
        assert np.array_equal(made.hole, change >= 1)
        assert made.frame.dtype == np.float32
        assert made.frame.min() >= 0
        assert made.frame.max() <= 255
        together = np.zeros_like(made.hole)
        for part in made.kinds.values():
            assert part.any()
            together |= part
        assert np.array_equal(together, made.hole)


def test_frames_given_are_not_changed_and_are_the_truth_without_wear():
    frames = noisy()
    before = [frame.copy() for frame in frames]
    for made, given, kept in zip(damage_frames(frames, None, 1), frames, before, strict=True):
        assert np.array_equal(made.clean, kept)
        assert np.array_equal(given, kept)
        assert not np.shares_memory(made.clean, given)
        assert made.hole.any()
    still = damage_film(frames, QUIET, 1)
    assert not any(hole.any() for hole in still.holes)
    assert all(np.array_equal(a, b) for a, b in zip(still.frames, before, strict=True))


@pytest.mark.parametrize(("opacity", "seen"), [(0.007, False), (0.011, True)])
def test_a_change_of_one_code_value_is_damage_and_less_is_none(opacity, seen):
    """White over 120 changes it by 135 times the opacity: 0.945 or 1.485."""
    config = FilmDamage(
        dust=5, dust_px=(7, 7), hairs=0, bright=1, light=(255, 255), opacity=(opacity, opacity),
        scratches=0,
    )  # fmt: skip
    film = damage_film(gray(1, (480, 640)), config, 1)
    assert film.holes[0].any() == seen
    assert bool(film.kinds[0]) == seen


def test_seeds():
    one, same, other = (damage_film(noisy(), None, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one.frames, same.frames, other.frames, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_a_frame_is_damaged_the_same_in_a_shorter_film():
    config = FilmDamage(splices=0.3, burns=0.3, gate_hairs=1, grain=3)
    long, short = damage_film(gray(6), config, 4), damage_film(gray(3), config, 4)
    assert all(np.array_equal(a, b) for a, b in zip(long.frames[:3], short.frames, strict=True))
    assert not np.array_equal(long.frames[0], long.frames[1])


def test_dust_is_poisson_and_other_in_every_frame():
    frames = gray(200, (24, 32))
    config = FilmDamage(dust=0.5, scratches=0)
    empty = sum(not hole.any() for hole in damage_film(frames, config, 0).holes)
    assert 95 <= empty <= 148  # exp(-0.5) of 200 is 121, standard deviation 7
    one, two = damage_film(gray(2), FilmDamage(scratches=0), 3).holes
    assert (one & two).sum() < 0.3 * one.sum()


def test_specks_are_as_large_as_stated_and_grow_with_the_picture():
    """A disc of radius 5 at 240 lines: 78.5 pixels there, four times that at 480."""
    config = FilmDamage(
        dust=3, hairs=0, dust_px=(5, 5), opacity=(1, 1), dark=(0, 0), bright=0, scratches=0
    )

    def hidden(size):
        """Area in pixels, by what is missing of the light."""
        frames = damage_film(gray(60, size, 200), config, 0).frames
        return np.mean([(1 - frame / 200).sum() for frame in frames])

    small, large = hidden((240, 320)), hidden((480, 640))
    assert small == pytest.approx(3 * np.pi * 25, rel=0.12)  # some lie across an edge
    assert large / small == pytest.approx(4, rel=0.08)


def test_opacity_and_brightness_are_those_asked_for():
    config = FilmDamage(
        dust=30, hairs=0, dust_px=(6, 6), opacity=(0.7, 0.7), bright=1, light=(220, 220),
        scratches=0,
    )  # fmt: skip
    frame = damage_film(gray(1, (240, 320), 120), config, 0).frames[0]
    middle = 120 + 0.7 * 100
    twice = middle + 0.7 * (220 - middle)
    assert frame.max() <= twice + 8
    assert np.isclose(frame, middle, atol=0.01).sum() > 1000
    dark = damage_film(gray(1), FilmDamage(bright=0, scratches=0), 0).frames[0]
    assert dark.max() == 120


def centre(hole):
    """Mean column of each row of a hole."""
    columns = np.arange(hole.shape[1])
    return (hole * columns).sum(1) / hole.sum(1)


def test_scratches_stay_and_drift():
    config = FilmDamage(
        dust=0, scratches=1, whole=1, pairs=0, scratch_px=(2, 2), scratch_opacity=(0.9, 0.9)
    )
    for seed in range(6):
        film = damage_film(gray(41, (240, 320)), config, seed)
        assert all(set(kinds) == {"scratch"} for kinds in film.kinds)
        assert all(hole.any(1).all() for hole in film.holes)  # from top to bottom
        places = [float(centre(hole).mean()) for hole in film.holes]
        steps = np.diff(places)
        assert np.abs(steps).max() < 1.2  # a hole is whole pixels
        assert abs(places[-1] - places[0]) <= 40 * 0.1 + 1.2
        widths = film.holes[0].sum(1)
        assert widths.min() >= 2
        assert widths.max() <= 4
        lean = centre(film.holes[0])
        assert abs(lean[-1] - lean[0]) <= 240 * np.tan(np.radians(0.5)) + 1.1
    moved = [
        damage_film(gray(41, (240, 320)), FilmDamage(dust=0, drift_px=1, whole=1), s).holes
        for s in range(4)
    ]
    assert any(np.abs(centre(h[-1]).mean() - centre(h[0]).mean()) > 10 for h in moved)


def test_scratches_scale_with_the_frame():
    config = FilmDamage(dust=0, scratches=1, whole=1, pairs=0, scratch_px=(2, 2))
    low = damage_film(gray(1, (240, 320)), config, 1).holes[0].sum(1).mean()
    high = damage_film(gray(1, (1080, 1440)), config, 1).holes[0].sum(1).mean()
    assert 2 <= low <= 4
    assert 9 <= high <= 11


def test_gate_hairs_hang_from_an_edge_through_the_film():
    config = FilmDamage(dust=0, scratches=0, gate_hairs=1, hair_px=(1.5, 1.5))
    for seed in range(4):
        film = damage_film(gray(6, (240, 320), 200), config, seed)
        for hole in film.holes:
            assert hole[0].any() or hole[-1].any() or hole[:, 0].any() or hole[:, -1].any()
        always = np.logical_and.reduce(film.holes)
        assert always.sum() > 0.4 * film.holes[0].sum()


def test_splices_are_bands_of_one_to_three_frames():
    film = damage_film(gray(300, (100, 40)), FilmDamage(dust=0, scratches=0, splices=0.03), 0)
    seen = np.array([bool(kinds) for kinds in film.kinds])
    assert 3 <= seen.sum() <= 45
    for hole in (hole for hole in film.holes if hole.any()):
        rows = np.flatnonzero(hole.any(1))
        assert rows[0] == 0 or rows[-1] == 99
        assert len(rows) <= 14 or (rows[0] == 0 and rows[-1] == 99)
        assert hole[0].all() or hole[-1].all()


def test_burns_grow():
    film = damage_film(gray(40, (120, 160)), FilmDamage(dust=0, scratches=0, burns=0.05), 1)
    areas = [float(hole.mean()) for hole in film.holes]
    assert max(areas) > 0.005
    first = next(n for n, area in enumerate(areas) if area)
    assert areas[first + 1] > areas[first]


def test_wear_belongs_to_the_truth():
    flickered = [made.clean for made in damage_frames(gray(60), FilmDamage(flicker=0.03), 0)]
    gains = np.array([frame[0, 0] / 120 for frame in flickered])
    assert 0.02 < gains.std() < 0.04
    assert all(np.ptp(frame) < 1e-3 for frame in flickered)
    ramp = np.tile(np.arange(320, dtype=np.float32) / 2, (240, 1))
    weaved = [made.clean for made in damage_frames([ramp] * 40, FilmDamage(weave_px=2), 0)]
    shifts = np.array([2 * float((ramp - frame)[100, 100]) for frame in weaved])
    assert 1.3 < shifts.std() < 2.9
    grained = next(damage_frames(gray(1, (200, 200), 127.5), FilmDamage(grain=4), 0)).clean
    assert grained.std() == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(
    ("key", "value"),
    [("dust", -1.0), ("hairs", 1.5), ("opacity", (0.5, 1.2)), ("dust_px", (3.0, 2.0)),
     ("light", (200.0, 300.0)), ("scratches", -1), ("weave_px", float("nan")), ("dark", (1.0,))],
)  # fmt: skip
def test_settings_of_damage_are_checked(key, value):
    with pytest.raises(ConfigError, match=key):
        FilmDamage(**{key: value})


def test_frames_must_fit():
    with pytest.raises(ConfigError, match="frame 1"):
        damage_film([gray(1)[0], gray(1, (61, 80))[0]])
    with pytest.raises(ConfigError, match=r"expected \(height, width\)"):
        damage_film([np.zeros((4, 4, 3), np.float32)])
    with pytest.raises(ConfigError, match="seed"):
        damage_film(gray(1), None, -1)
    tiny = damage_film([np.full((1, 1), 90, np.float32), np.full((1, 1), 90, np.float32)])
    assert [frame.shape for frame in tiny.frames] == [(1, 1), (1, 1)]
