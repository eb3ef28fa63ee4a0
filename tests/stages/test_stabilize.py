import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shots import in_batches, moving

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import agreement, as_gray, dis_flow, grain, invert_flow, warp
from vidcolor.records import VideoInfo
from vidcolor.stages.stabilize import Hold, StabilizeConfig, Stabilizer

SIZE = (48, 64)
INFO = VideoInfo(*SIZE)
QUICK = StabilizeConfig(stretch_frames=6, window_frames=6, lookahead_frames=4, flow="fast")
PLAIN = StabilizeConfig()


def _jitter(count, sigma=6.0, seed=1):
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (count, 2, 4, 5)).astype(np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse), SIZE, mode="bicubic")
    return (sigma * fine / fine.std()).numpy()


def _ab(colored):
    return torch.cat([c.chroma.ab for c in colored]).numpy()


def _steady(ab, lightness, config=QUICK, size=5, **more):
    return _ab(Stabilizer(config)(in_batches(ab, lightness, size, **more)))


def _error(ab, true):
    return float(np.sqrt(np.mean((ab - true)[:, :, 6:-6, 6:-6] ** 2)))


def test_jitter_on_a_moving_texture_is_taken_away():
    true, lightness = moving(SIZE, 40)
    damaged = true + _jitter(40)
    config = PLAIN
    steady = _steady(damaged, lightness, config)
    assert _error(damaged, true) > 5
    # two means of up to ten samples, one in common: at best the root of 19
    assert _error(steady[8:-8], true[8:-8]) < _error(damaged, true) / 2.5
    flicker = np.abs(np.diff(damaged - true, axis=0)).mean()
    assert np.abs(np.diff(steady - true, axis=0)).mean() < flicker / 10


def test_motion_is_followed():
    true, lightness = moving(SIZE, 30, speed=2)
    steady = _steady(true, lightness, PLAIN)
    plain = np.stack([true[max(0, i - 9) : i + 10].mean(axis=0) for i in range(30)])
    assert _error(steady, true) < 2
    assert _error(steady, true) < _error(plain, true) / 5


def test_steady_color_is_left_alone():
    true, lightness = moving(SIZE, 1)
    true, lightness = true.repeat(20, axis=0), lightness.repeat(20, axis=0)
    assert _error(_steady(true, lightness), true) < 1e-3


def test_mean_of_few_frames_by_hand():
    # nothing moves, no outliers: each frame is the mean of all that count
    lightness = np.full((3, 1, *SIZE), 50.0)
    ab = np.zeros((3, 2, *SIZE))
    ab[:, 0] += np.array([3.0, 0.0, 9.0])[:, None, None]
    config = dataclasses.replace(QUICK, outlier=0.0)
    np.testing.assert_allclose(_steady(ab, lightness, config)[:, 0], 4, atol=1e-4)
    # counts of at most 2: forward 3, 1.5, 5.25; backward 3.75, 4.5, 9
    config = dataclasses.replace(config, n_most=2)
    expected = [
        (1 * 3 + 2 * 3.75 - 3) / 2,
        (2 * 1.5 + 2 * 4.5 - 0) / 3,
        (2 * 5.25 + 1 * 9 - 9) / 2,
    ]
    steady = _steady(ab, lightness, config)[:, 0, 20, 20]
    np.testing.assert_allclose(steady, expected, atol=1e-4)


def test_a_frame_that_loses_its_color_counts_less():
    true, lightness = moving(SIZE, 1)
    true, lightness = np.full_like(true, 30).repeat(21, axis=0), lightness.repeat(21, axis=0)
    damaged = true.copy()
    damaged[5::6] *= 0.3
    plain = _steady(damaged, lightness, dataclasses.replace(PLAIN, outlier=0.0))
    robust = _steady(damaged, lightness, PLAIN)
    assert np.abs(robust - true).mean() < 0.5 * np.abs(plain - true).mean()


def test_color_that_changes_with_light_passes():
    # a lamp is switched on in one half: lightness and color jump together
    _, lightness = moving(SIZE, 1)
    lightness = lightness.repeat(24, axis=0)
    ab = np.full((24, 2, *SIZE), 5.0)
    lightness[12:, :, :, 32:] += 20
    ab[12:, :, :, 32:] = 35
    steady = _steady(ab, lightness, PLAIN)
    lit = steady[:, :, :, 40:]
    assert np.abs(lit[:12] - 5).max() < 1
    assert np.abs(lit[12:] - 35).max() < 1


def test_new_color_without_new_light_is_learned():
    _, lightness = moving(SIZE, 1)
    lightness = lightness.repeat(48, axis=0)
    ab = np.full((48, 2, *SIZE), 5.0)
    ab[24:] = 35
    steady = _steady(ab, lightness, PLAIN).mean(axis=(1, 2, 3))
    # before the jump and after it a frame takes its own side
    assert steady[23] < 5 + 3
    assert steady[24] > 35 - 3
    assert np.abs(steady - ab.mean(axis=(1, 2, 3))).max() < 6
    single = dataclasses.replace(PLAIN, outlier=0.0)
    assert _steady(ab, lightness, single)[23].mean() > 5 + 10


def test_exposure_pulse_does_not_end_the_mean():
    true, lightness = moving(SIZE, 24)
    damaged = true + _jitter(24)
    pulsed = lightness + 4 * (np.arange(24) % 2)[:, None, None, None]
    calm, restless = (_steady(damaged, x, PLAIN) for x in (lightness, pulsed))
    assert _error(restless, true) < 1.2 * _error(calm, true)
    strict = _steady(damaged, pulsed, dataclasses.replace(PLAIN, pulse=0.0))
    assert _error(strict, true) > 1.2 * _error(calm, true)


def test_frames_after_a_stretch_are_looked_at():
    lightness = np.full((36, 1, *SIZE), 50.0)
    jitter = _jitter(36)
    near = dataclasses.replace(QUICK, lookahead_frames=0)
    far = dataclasses.replace(QUICK, lookahead_frames=10)
    last = slice(5, 24, 6)  # the last of each stretch
    errors = [_error(_steady(jitter, lightness, c)[last], 0 * jitter[last]) for c in (near, far)]
    assert errors[1] < 0.85 * errors[0]


def test_a_frame_beyond_a_stretch_that_loses_its_color_counts_less():
    """Frames 0 to 5 are a stretch, 8 lies behind it and is gray by mistake."""
    lightness = np.full((10, 1, *SIZE), 50.0)
    ab = np.full((10, 2, *SIZE), 40.0)
    ab[8] = 0
    drawn = {}
    for outlier in (0.0, 12.0):
        config = dataclasses.replace(QUICK, outlier=outlier)
        drawn[outlier] = 40 - _steady(ab, lightness, config)[:6].mean()
    # its own half of the mean of ten, and the weight of |x - y| = 36 * sqrt(2): 1 / 19
    assert drawn[0.0] > 2
    assert drawn[12.0] < drawn[0.0] / 8


def test_grain_widens_the_gate():
    true, lightness = moving(SIZE, 24)
    damaged = true + _jitter(24)
    grainy = lightness + np.random.default_rng(2).normal(0, 3, lightness.shape)
    narrow = dataclasses.replace(PLAIN, noise_factor=0.0, tau=1.5)
    wide = dataclasses.replace(narrow, noise_factor=3.0)
    errors = [_error(_steady(damaged, grainy, config), true) for config in (narrow, wide)]
    assert errors[1] < 0.8 * errors[0]


def test_nothing_crosses_a_cut():
    first, lightness_1 = moving(SIZE, 13, seed=0)
    second, lightness_2 = moving(SIZE, 11, seed=5)
    second, lightness_2 = second + 40, lightness_1[:11] * 0 + lightness_2
    together = [*in_batches(first, lightness_1), *in_batches(second, lightness_2, shot=1, index=13)]
    expected = np.concatenate([_steady(first, lightness_1), _steady(second, lightness_2)])
    np.testing.assert_array_equal(_ab(Stabilizer(QUICK)(together)), expected)


def test_identical_lightness_does_not_join_shots():
    _, lightness = moving(SIZE, 1)
    lightness = lightness.repeat(8, axis=0)
    red, blue = np.full((8, 2, *SIZE), 30.0), np.full((8, 2, *SIZE), -30.0)
    together = [*in_batches(red, lightness), *in_batches(blue, lightness, shot=1, index=8)]
    steady = _ab(Stabilizer(QUICK)(together))
    np.testing.assert_allclose(steady[:8], 30, atol=1e-3)
    np.testing.assert_allclose(steady[8:], -30, atol=1e-3)


HELD = [False, True, True, False, False, True] * 5


@given(st.integers(1, 31))
@settings(max_examples=6, deadline=None)
def test_batch_size_changes_nothing(size):
    true, lightness = moving(SIZE, 30)
    damaged = true + _jitter(30)
    expected = _steady(damaged, lightness, size=30, held=HELD)
    np.testing.assert_array_equal(_steady(damaged, lightness, size=size, held=HELD), expected)


@pytest.mark.parametrize("window", [1, 4, 7, 12, 13, 100])
def test_window_size_changes_nothing(window):
    for count in (5, 9, 10, 16, 17, 30):
        true, lightness = moving(SIZE, count)
        damaged, held = true + _jitter(count), HELD[:count]
        expected = _steady(damaged, lightness, QUICK, held=held)
        wide = dataclasses.replace(QUICK, window_frames=window)
        for size in (3, count):
            steady = _steady(damaged, lightness, wide, size=size, held=held)
            np.testing.assert_array_equal(steady, expected)
    other = dataclasses.replace(QUICK, stretch_frames=7)
    assert not np.array_equal(_steady(damaged, lightness, other, held=held), expected)


def test_a_stretch_sees_its_lookahead_and_no_more():
    _, lightness = moving(SIZE, 1)
    lightness, ab = lightness.repeat(20, axis=0), _jitter(20)
    changed = ab.copy()
    changed[10:] += 20  # the first stretch is 0..5, and 4 frames more are looked at for it
    steady, other = (_steady(x, lightness, QUICK) for x in (ab, changed))
    np.testing.assert_array_equal(steady[:6], other[:6])
    assert np.abs(steady[6:10] - other[6:10]).max() > 0.1
    changed[9] += 20
    assert not np.array_equal(_steady(changed, lightness, QUICK)[:6], steady[:6])


def test_flow_that_is_given_is_used_and_carried_on():
    true, lightness = moving(SIZE, 20, speed=2)
    damaged = true + _jitter(20)
    held = HELD[:20]
    flow = np.zeros((20, 2, *SIZE), np.float32)
    fresh = [i for i in range(20) if not held[i]]
    gray = [as_gray(one[0].astype(np.float32)) for one in lightness]
    for before, here in itertools.pairwise(fresh):
        flow[here] = dis_flow(gray[before], gray[here], "fast").transpose(2, 0, 1)
    sure = np.full((20, 1, *SIZE), 0.0, np.float32)
    own = _steady(damaged, lightness, held=held)
    batches = list(Stabilizer(QUICK)(in_batches(damaged, lightness, 4, 0, 0, held, flow, sure)))
    np.testing.assert_array_equal(_ab(batches), own)
    np.testing.assert_array_equal(torch.cat([b.chroma.flow for b in batches]).numpy(), flow)
    np.testing.assert_array_equal(torch.cat([b.chroma.sure for b in batches]).numpy(), sure)
    assert not np.array_equal(_steady(damaged, lightness, held=held, flow=0 * flow), own)


def test_hold_carries_flow_and_sure_on():
    ab, lightness = moving(SIZE, 4)
    flow, sure = np.ones((4, 2, *SIZE), np.float32), np.ones((4, 1, *SIZE), np.float32)
    held = [False, True, False, False]
    (batch,) = Hold()(in_batches(ab, lightness, 4, 0, 0, held, flow, sure))
    assert batch.chroma.flow is not None
    assert batch.chroma.flow.all()
    assert batch.chroma.sure is not None
    assert batch.chroma.sure.all()


@pytest.mark.parametrize("outlier", [0.0, 12.0])
def test_a_persons_color_stays_and_leads(outlier):
    _, lightness = moving(SIZE, 1)
    lightness = lightness.repeat(11, axis=0)
    ab = np.zeros((11, 2, *SIZE), np.float32)
    ab[5, 0] = 8
    sure = np.zeros((11, 1, *SIZE), np.float32)
    sure[5] = 1
    config = dataclasses.replace(PLAIN, outlier=outlier)
    told, guessed = (_steady(ab, lightness, config, sure=x)[:, 0, 20, 20] for x in (sure, None))
    assert told[5] == 8
    assert guessed[5] < 4
    assert (told[4:7:2] > 2 * guessed[4:7:2]).all()


def test_samples_of_a_person_by_hand():
    # nothing moves, no outliers: one frame counts as four, of three frames
    lightness = np.full((3, 1, *SIZE), 50.0)
    ab = np.zeros((3, 2, *SIZE), np.float32)
    ab[1, 0] = 6
    sure = np.zeros((3, 1, *SIZE), np.float32)
    sure[1] = 1
    config = dataclasses.replace(QUICK, outlier=0.0)
    steady = _steady(ab, lightness, config, sure=sure)[:, 0, 20, 20]
    np.testing.assert_allclose(steady, [4, 6, 4], atol=1e-4)  # (0 + 4 * 6 + 0) / 6


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, 10, 11, 12, 17])
def test_all_frames_come_out_in_order(count):
    ab, lightness = moving(SIZE, count)
    batches = list(Stabilizer(QUICK)(in_batches(ab, lightness, 4)))
    assert [p for b in batches for p in b.frames.pts] == list(range(count))
    assert [len(b.frames) for b in batches] == [len(b.chroma) for b in batches]
    kept = torch.cat([b.chroma.lightness for b in batches])
    np.testing.assert_allclose(kept.numpy(), lightness, atol=1e-5)


def test_single_frame_is_unchanged():
    ab, lightness = moving(SIZE, 1)
    np.testing.assert_array_equal(_steady(ab, lightness), ab.astype(np.float32))


@pytest.mark.parametrize("stage", [Stabilizer(QUICK), Hold()])
def test_held_frames_are_copies(stage):
    true, lightness = moving(SIZE, 30)
    damaged = true + _jitter(30)  # the held ones too, which nobody may see
    steady = _ab(stage(in_batches(damaged, lightness, 4, held=HELD)))
    for i in range(1, 30):
        assert np.array_equal(steady[i], steady[i - 1]) == HELD[i]


def test_held_frames_count_once():
    true, lightness = moving(SIZE, 10)
    damaged = true + _jitter(10)
    alone = _steady(damaged, lightness, PLAIN)
    twice = _steady(
        damaged.repeat(2, axis=0),
        lightness.repeat(2, axis=0),
        PLAIN,
        held=[False, True] * 10,
    )
    np.testing.assert_allclose(twice[::2], alone, atol=1e-5)


def test_hold_changes_nothing_else():
    ab, lightness = moving(SIZE, 8)
    batches = list(in_batches(ab, lightness, 3))
    for before, after in zip(batches, Hold()(batches), strict=True):
        assert torch.equal(before.chroma.ab, after.chroma.ab)


def test_hold_takes_nothing_over_a_cut():
    ab, lightness = moving(SIZE, 4)
    first = list(in_batches(ab, lightness, 4))
    second = list(in_batches(ab + 5, lightness, 4, shot=1, index=4, held=[True] * 4))
    steady = _ab(Hold()(first + second))
    np.testing.assert_allclose(steady[4:], (ab[:1] + 5).repeat(4, axis=0), atol=1e-5)


def test_memory_is_bounded():
    ab, lightness = moving(SIZE, 80)
    taken, given_, most = 0, 0, 0

    def counted():
        nonlocal taken
        for batch in in_batches(ab, lightness, 4):
            taken += len(batch.frames)
            yield batch

    for batch in Stabilizer(QUICK)(counted()):
        most = max(most, taken - given_)
        given_ += len(batch.frames)
    assert given_ == 80
    assert most <= QUICK.window_frames + QUICK.lookahead_frames + 4


def test_tiny_color_of_one_pixel():
    ab, lightness = np.ones((5, 2, 1, 1)), np.full((5, 1, 1, 1), 50.0)
    np.testing.assert_allclose(_steady(ab, lightness), 1, atol=1e-5)


def test_size_must_stay_within_a_shot():
    ab, lightness = moving(SIZE, 4)
    other = list(in_batches(ab[:, :, ::2], lightness[:, :, ::2], 4))
    with pytest.raises(ValueError, match="changes its size"):
        list(Stabilizer(QUICK)([*in_batches(ab, lightness, 4), *other]))


def test_config_is_checked():
    with pytest.raises(ConfigError, match="tau"):
        StabilizeConfig(tau=0)
    with pytest.raises(ConfigError, match="n_most"):
        StabilizeConfig(n_most=0)
    with pytest.raises(ConfigError, match="flow must be one of"):
        StabilizeConfig(flow="raft")
    for name in ("window_frames", "stretch_frames"):
        with pytest.raises(ConfigError, match=name):
            StabilizeConfig(**{name: 0})
    with pytest.raises(ConfigError, match="sure_weight"):
        StabilizeConfig(sure_weight=0.5)


def _plain_links(lightness, flows, config):
    """Of each frame but the first: flow onward from the one before, and back; trust in both."""
    links = []
    for before, now, onward in zip(lightness[:-1], lightness[1:], flows, strict=True):
        back = invert_flow(onward, rounds=2)
        noise = config.noise_factor * max(grain(before), grain(now))
        tau = min(config.tau_most, max(config.tau, noise))
        there = agreement(before, warp(now[..., None], onward)[..., 0], tau, config.pulse)
        cubic = config.outlier == 0  # lightness is brought along with the mean that is final
        brought = warp(before[..., None], back, cubic)[..., 0]
        here = agreement(now, brought, tau, config.pulse)
        links.append((onward, there, back, here))
    return links


def _plain_add(config, x, weight, most, trust, mean):
    moved, count = mean
    count = np.minimum(np.maximum(count, 0) * trust + weight, most)
    return moved + weight / count * (x - moved), count


def _plain_walk(config, xs, weights, mosts, steps, cubic):
    """Means along the frames in the order given; `steps` lead from each to the next."""
    means = [(xs[0], weights[0])]
    for x, weight, most, (flow, trust) in zip(xs[1:], weights[1:], mosts[1:], steps, strict=True):
        ab, count = means[-1]
        moved = warp(np.dstack((*ab, count)).astype(np.float32), flow, cubic).transpose(2, 0, 1)
        means.append(_plain_add(config, x, weight, most, trust, (moved[:2], moved[2])))
    return means


def _plain_join(x, forward, backward, own):
    total = forward[1] + backward[1] - own
    return (forward[0] * forward[1] + backward[0] * backward[1] - x * own) / total


def _plain_stabilizer(ab, lightness, flows, config, sure=None):
    """A shot that is shorter than a stretch, by the formulas of the docstring."""
    ones = np.ones(ab.shape[2:])
    worth = [
        ones if sure is None else 1 + (config.sure_weight - 1) * s for s in sure or [0] * len(ab)
    ]
    links = _plain_links(lightness, flows, config)
    onward = [(link[0], link[1]) for link in links][::-1]
    back = [(link[2], link[3]) for link in links]

    def both(weights, cubic):
        mosts = [config.n_most * (np.maximum(w, 1) if sure is not None else 1) for w in weights]
        forward = _plain_walk(config, ab, weights, mosts, back, cubic)
        backward = _plain_walk(config, ab[::-1], weights[::-1], mosts[::-1], onward, cubic)
        return forward, backward[::-1]

    scale = 1 / config.outlier**2 if config.outlier else 0
    weights, (forward, backward) = worth, both(worth, cubic=config.outlier == 0)
    if config.outlier:
        weights = []
        for i, x in enumerate(ab):
            away = np.square(_plain_join(x, forward[i], backward[i], worth[i]) - x).sum(axis=0)
            weight = 1 / (1 + away * scale)
            if sure is not None:
                weight += sure[i] * (config.sure_weight - weight)
            weights.append(weight)
        forward, backward = both(weights, cubic=True)
    steady = []
    for i, x in enumerate(ab):
        sides = forward[i], backward[i]
        if config.outlier:
            apart = np.square(forward[i][0] - backward[i][0]).sum(axis=0) * scale
            least = 1 if sure is None else np.maximum(weights[i], 1)
            sides = tuple(
                (m, np.maximum(n / (1 + np.square(m - x).sum(axis=0) * scale * apart), least))
                for m, n in sides
            )
        joined = _plain_join(x, *sides, weights[i])
        if sure is not None:
            joined += sure[i] ** 8 * (x - joined)
        steady.append(joined)
    return np.stack(steady)


@pytest.mark.parametrize("outlier", [0.0, 12.0])
@pytest.mark.parametrize("told", [False, True])
def test_it_is_the_mean_that_its_formulas_say(outlier, told):
    ab, lightness = moving(SIZE, 9, speed=2)
    ab = (ab + _jitter(9)).astype(np.float32)
    ab[5:, :, 10:30] += 40  # past and future disagree
    lightness = lightness.astype(np.float32)
    config = dataclasses.replace(PLAIN, outlier=outlier)
    gray = [as_gray(plane[0]) for plane in lightness]
    flows = [dis_flow(gray[i], gray[i + 1], "fast") for i in range(8)]
    flow = np.concatenate((np.zeros((1, 2, *SIZE)), np.stack(flows).transpose(0, 3, 1, 2)))
    sure = None
    if told:
        sure = np.zeros((9, 1, *SIZE), np.float32)
        sure[:, :, :, 20:40] = np.linspace(0.1, 1, 20)
    steady = _steady(ab, lightness, config, flow=flow, sure=sure)
    planes = None if sure is None else list(sure[:, 0])
    expected = _plain_stabilizer(ab, lightness[:, 0], flows, config, planes)
    np.testing.assert_allclose(steady, expected, atol=2e-3)
    assert np.abs(steady - ab).mean() > 2
