import dataclasses

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shots import in_batches

from vidcolor.errors import ConfigError
from vidcolor.ops.flow import as_gray, dis_flow
from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo
from vidcolor.stages.anchor import Anchor, AnchorConfig, _edge, _follows, _Shot

SIZE = (48, 64)
INFO = VideoInfo(*SIZE)
PLAIN = AnchorConfig(gain_most=1.0, learn_frames=8)


def _photo(width=None, seed=0):
    """(h, w) L* with texture."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (SIZE[0], width or SIZE[1])).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return 50 + 12 * smooth / smooth.std()


def _flat(count, a=0.0, b=0.0):
    ab = np.empty((count, 2, *SIZE), np.float32)
    ab[:, 0], ab[:, 1] = (np.reshape(v, (-1, 1, 1)) for v in (a, b))
    return ab


def _still(count):
    return _photo()[None, None].repeat(count, axis=0)


def _anchored(ab, lightness, config=PLAIN, **more):
    return _join(Anchor(config)(in_batches(ab, lightness, **more)))


def _join(colored):
    return torch.cat([c.chroma.ab for c in colored]).numpy()


def _inside(ab):
    return ab[..., 8:-8, 8:-8]


def test_slow_drift_is_taken_back():
    slide = np.linspace(0, 8, 150)  # far less a frame than any other filter could see
    ab = _flat(150, 10 + slide, 5 - slide / 4)
    steady = _anchored(ab, _still(150))
    # what was learned in 8 frames is held with a time constant of 3000
    assert np.abs(steady[-1] - ab[:8].mean(axis=0)).max() < 1
    loose = dataclasses.replace(PLAIN, strength=0.5)
    half = np.abs(_anchored(ab, _still(150), loose)[-1, 0].mean() - 14)
    assert half < 1


def test_fine_color_stays():
    rng = np.random.default_rng(1)
    ab = _flat(60, 10 + np.linspace(0, 8, 60))
    fine = rng.choice((-5.0, 5.0), SIZE).astype(np.float32)
    steady = _anchored(ab + fine, _still(60))
    low = cv2.GaussianBlur(steady[-1, 0], (0, 0), 6)
    contrast = np.corrcoef((steady[-1, 0] - low).ravel(), fine.ravel())[0, 1]
    assert contrast > 0.95
    assert abs(float(low.mean()) - 10.5) < 1.0


def test_places_that_come_back_are_known():
    # the camera goes two thirds of a picture to the side and back, the color slides meanwhile
    steps = np.concatenate((np.arange(44), np.arange(44)[::-1]))
    wide = _photo(SIZE[1] + 44)
    lightness = np.stack([wide[:, x : x + SIZE[1]] for x in steps])[:, None]
    ab = _flat(88, 10 + np.linspace(0, 9, 88))
    steady = _anchored(ab, lightness)
    assert np.abs(_inside(ab[-1, 0]) - 10).mean() > 8
    left = steady[-1, 0, 8:-8, 4:24]  # out of sight for most of the time
    assert np.abs(left - 10.4).mean() < 1.5


def test_a_map_that_is_left_scrolls():
    steps = np.arange(70) * 2
    wide = _photo(SIZE[1] + 140)
    lightness = np.stack([wide[:, x : x + SIZE[1]] for x in steps])[:, None]
    small = dataclasses.replace(PLAIN, reach=1)
    ab = _flat(70, 10 + np.linspace(0, 9, 70))
    steady = _anchored(ab, lightness, small)
    assert np.isfinite(steady).all()
    # places seen for 20 frames still pull to what they were
    assert _inside(steady[-1, 0]).mean() < 18.8


def test_a_lamp_is_let_in_and_out():
    lightness = _still(60)
    ab = _flat(60, 5.0)
    lightness[20:40, :, :, 32:] += 25
    ab[20:40, :, :, 32:] = 30
    steady = _anchored(ab, lightness)
    assert np.abs(steady[:, :, :, 44:] - ab[:, :, :, 44:]).max() < 0.5
    assert np.abs(steady[:, :, :, :20] - ab[:, :, :, :20]).max() < 0.5


def test_a_fade_is_let_in():
    # 6 L* of it may be a pulse of exposure
    fade = np.linspace(0, 30, 60)[:, None, None, None]
    ab = _flat(60, 25 - np.linspace(0, 25, 60))
    steady = _anchored(ab, _still(60) - fade)
    assert np.abs(steady[-1] - ab[-1]).mean() < 1.5


def test_gross_change_of_color_is_let_in():
    ab = _flat(40, np.where(np.arange(40) < 20, 0.0, 60.0))
    steady = _anchored(ab, _still(40))
    assert np.abs(steady[20:] - ab[20:]).max() < 0.5


def test_what_passes_in_front_leaves_no_trace():
    lightness = _still(60)
    ab = _flat(60, 10.0)
    lightness[20:40, :, 16:32, 24:44] = 5
    ab[20:40, :, 16:32, 24:44] = -10
    ab[40:] += 6  # and meanwhile the network has changed its mind
    steady = _anchored(ab, lightness)
    assert np.abs(steady[25:40, :, 22:26, 32:36] - ab[25:40, :, 22:26, 32:36]).max() < 0.5
    assert np.abs(_inside(steady[-1, 0]) - 10).max() < 0.5


def test_exposure_pulse_is_no_other_place():
    pulse = np.random.default_rng(3).uniform(-5, 5, (60, 1, 1, 1))
    ab = _flat(60, 10 + np.linspace(0, 8, 60))
    steady = _anchored(ab, _still(60) + pulse)
    assert np.abs(steady[-1, 0] - 10.5).mean() < 1
    strict = dataclasses.replace(PLAIN, pulse=0.0, tau=1.0)
    assert np.abs(_anchored(ab, _still(60) + pulse, strict)[-1, 0] - 10.5).mean() > 1.5


def test_a_persons_color_is_not_drawn_but_teaches():
    ab = _flat(40, 10.0)
    ab[20, 0] = 20
    sure = np.zeros((40, 1, *SIZE))
    sure[20] = 1
    steady = _anchored(ab, _still(40), sure=sure)
    np.testing.assert_array_equal(steady[20], ab[20])
    assert np.abs(steady[25, 0] - 20).max() < 1
    assert np.abs(_anchored(ab, _still(40))[25, 0] - 10).max() < 1.5


def test_mean_chroma_is_given_back():
    ab = _flat(120, 10 + np.linspace(0, 8, 120))
    held, restored = (
        np.hypot(*_anchored(ab, _still(120), c).transpose(1, 0, 2, 3)).mean()
        for c in (PLAIN, dataclasses.replace(PLAIN, gain_most=1.5))
    )
    assert held < 0.8 * ab[:, 0].mean()
    assert restored > 0.92 * ab[:, 0].mean()


def test_flow_that_is_given_is_used_and_carried_on():
    wide = _photo(SIZE[1] + 20)
    lightness = np.stack([wide[:, x : x + SIZE[1]] for x in range(20)])[:, None]
    ab = _flat(20, np.linspace(5, 12, 20))
    sure = np.full((20, 1, *SIZE), 0.25)
    flow = np.zeros((20, 2, *SIZE), np.float32)
    gray = [as_gray(one[0].astype(np.float32)) for one in lightness]
    for i in range(1, 20):
        flow[i] = dis_flow(gray[i - 1], gray[i], "balanced").transpose(2, 0, 1)
    own = list(Anchor(PLAIN)(in_batches(ab, lightness, sure=sure)))
    given_ = list(Anchor(PLAIN)(in_batches(ab, lightness, sure=sure, flow=flow)))
    np.testing.assert_array_equal(_join(own), _join(given_))
    np.testing.assert_array_equal(torch.cat([c.chroma.flow for c in own]).numpy(), flow)
    assert all((c.chroma.sure == 0.25).all() for c in own)
    other = _anchored(ab, lightness, flow=-3 * flow, sure=sure)
    assert not np.array_equal(other, _join(own))


HELD = [False, True, True, False, False, True] * 5


@given(st.integers(1, 31))
@settings(max_examples=5, deadline=None)
def test_batch_size_changes_nothing(size):
    wide = _photo(SIZE[1] + 30)
    lightness = np.stack([wide[:, x : x + SIZE[1]] for x in range(30)])[:, None]
    ab = _flat(30, np.linspace(5, 12, 30))
    expected = _anchored(ab, lightness, size=30, held=HELD)
    np.testing.assert_array_equal(_anchored(ab, lightness, size=size, held=HELD), expected)


def test_held_frames_are_copies():
    ab = _flat(30, np.linspace(5, 12, 30))
    batches = list(Anchor(PLAIN)(in_batches(ab, _still(30), 4, held=HELD)))
    steady = _join(batches)
    for i in range(1, 30):
        assert np.array_equal(steady[i], steady[i - 1]) == HELD[i]
    flow = torch.cat([c.chroma.flow for c in batches])
    assert not flow[torch.tensor(HELD)].any()


def test_nothing_crosses_a_cut():
    first, second = _flat(20, 5.0), _flat(20, 12.0)
    together = [
        *in_batches(first, _still(20)),
        *in_batches(second, _still(20), shot=1, index=20),
    ]
    steady = _join(Anchor(PLAIN)(together))
    np.testing.assert_allclose(steady[20:], second, atol=1e-4)


def test_single_frame_is_unchanged():
    ab = np.random.default_rng(0).normal(0, 9, (1, 2, *SIZE)).astype(np.float32)
    np.testing.assert_array_equal(_anchored(ab, _still(1)), ab)


def test_tiny_color_of_one_pixel():
    info = VideoInfo(1, 1)
    frames = FrameBatch(torch.zeros(5, 1, 1, 1, dtype=torch.uint8), tuple(range(5)), info)
    chroma = Chroma(torch.ones(5, 2, 1, 1), torch.full((5, 1, 1, 1), 50.0))
    (batch,) = Anchor(PLAIN)([Colored(frames, Tracks.empty(), chroma)])
    assert torch.allclose(batch.chroma.ab, torch.ones(5, 2, 1, 1), atol=1e-4)


def test_size_must_stay_within_a_shot():
    ab, lightness = _flat(4), _still(4)
    other = list(in_batches(ab[:, :, ::2], lightness[:, :, ::2], 4))
    with pytest.raises(ValueError, match="changes its size"):
        list(Anchor(PLAIN)([*in_batches(ab, lightness, 4), *other]))


def test_config_is_checked():
    with pytest.raises(ConfigError, match="strength"):
        AnchorConfig(strength=2)
    with pytest.raises(ConfigError, match="learn_frames"):
        AnchorConfig(learn_frames=0)
    with pytest.raises(ConfigError, match="tau"):
        AnchorConfig(tau=0)
    with pytest.raises(ConfigError, match="reach"):
        AnchorConfig(reach=0)


def _plain_learning(config, view, laid):
    """What a map learns and corrects, cell by cell, without planes."""
    known = view.astype(np.float64)
    correction = np.zeros((*view.shape[:2], 3))
    cells = [tuple(at) for at in np.argwhere(laid[..., 3] > 1e-3)]
    frame = laid.astype(np.float64)
    pulses = []
    for at in cells:
        most = 1 if known[at][7] > known[at][3] else 0
        if known[at][4 * most + 3] >= 1:
            pulses.append(frame[at][0] / frame[at][3] - known[at][4 * most])
    pulse = np.clip(np.median(pulses), -config.pulse, config.pulse) if pulses else 0
    for at in cells:
        weight = frame[at][3]
        now = frame[at][:3] / weight - (pulse, 0, 0)
        told = frame[at][4] / weight if laid.shape[2] == 5 else 0
        looks = known[at].reshape(2, 4)
        gates = []
        for look in looks:
            light, color = (now[0] - look[0]) ** 2, np.square(now[1:] - look[1:3]).sum()
            gate = np.exp(-light / (2 * config.tau**2) - color**2 / (2 * config.limit**4))
            gates.append(gate * (look[3] > 0))
        best = 1 if gates[1] > gates[0] else 0
        gate, look = gates[best], looks[best].copy()
        experience = min(look[3] / config.learn_frames, 1)
        correction[at][:2] = gate * experience * (look[1:3] - now[1:])
        correction[at][2] = 1
        if gate < 0.1 and weight > 0.25:
            looks[1 if looks[1][3] < looks[0][3] else 0] = (*now, weight)
        elif gate >= 0.1 or weight <= 0.25:
            total = min(look[3] + weight * gate, config.hold_frames)
            rate = weight * gate
            rate /= max(total, 1) if total < config.learn_frames else config.hold_frames
            rate = max(rate, told)
            faster = max(rate, weight * gate / 100)
            looks[best][0] += faster * (now[0] - look[0])
            looks[best][1:3] += rate * (now[1:] - look[1:3])
            looks[best][3] = max(total, told * config.learn_frames)
        known[at] = looks.ravel()
    return known, correction


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_map_learns_cell_by_cell(seed, told):
    rng = np.random.default_rng(seed)
    config = dataclasses.replace(PLAIN, learn_frames=5, hold_frames=12)
    size = (9, 11)
    counts = rng.choice([0.0, 0.5, 3.0, 12.0], (*size, 2))
    view = np.zeros((*size, 8), np.float32)
    for layer, center in ((0, 40.0), (1, 55.0)):
        view[..., 4 * layer] = rng.normal(center, 3, size)
        view[..., 4 * layer + 1 : 4 * layer + 3] = rng.normal(0, 15, (*size, 2))
        view[..., 4 * layer + 3] = counts[..., layer]
    weight = rng.choice([0.0, 0.2, 0.7, 1.0], size)
    laid = np.zeros((*size, 5 if told else 4), np.float32)
    laid[..., 0] = rng.choice([40.0, 56.0, 90.0], size) * weight
    laid[..., 1:3] = rng.normal(0, 15, (*size, 2)) * weight[..., None]
    laid[..., 3] = weight
    if told:
        laid[..., 4] = rng.choice([0.0, 0.5, 1.0], size) * weight
    known, correction = _plain_learning(config, view, laid)
    learned = view.copy()
    corrected = _Shot(config, "fast")._learn(learned, laid)
    np.testing.assert_allclose(corrected[..., :3], correction, atol=1e-3)
    assert not corrected[..., 3].any()
    np.testing.assert_allclose(learned, known, atol=1e-3)
    assert np.abs(learned - view).max() > 1


def test_following_is_counted_within_a_pixel():
    camera = np.array(((1.02, 0.01, -2), (-0.01, 0.99, 1), (0, 0, 1)))
    flow = np.zeros((40, 56, 2), np.float32)
    far = 0
    for y in range(0, 40, 8):
        for x in range(0, 56, 8):
            off = (0.7, -0.6) if (x + y) % 3 else (0.8, 0.7)  # 0.92 and 1.06 pixels
            far += (x + y) % 3 == 0
            flow[y, x] = (camera @ (x, y, 1))[:2] - (x, y) + off
    assert _follows(flow, camera) == pytest.approx(1 - far / 35)
    assert _follows(np.ascontiguousarray(flow.transpose(2, 0, 1)).transpose(1, 2, 0), camera) == (
        _follows(flow, camera)
    )


def test_samples_near_the_border_count_less():
    edge = _edge(24, 48)
    assert edge.shape == (24, 48)
    expected = [[min(1, (y + 1) / 2, (24 - y) / 2, (x + 1) / 4, (48 - x) / 4) for x in range(48)]
                for y in range(24)]  # fmt: skip
    np.testing.assert_allclose(edge, expected, rtol=1e-6)


def test_what_is_given_is_not_written_to():
    """The flow and the lightness of a batch go on as they are, held frames have copies."""
    lightness, held = _still(12), [i in (3, 4, 9) for i in range(12)]
    lightness[:] += np.arange(12)[:, None, None, None]
    given_ = list(in_batches(_flat(12, 5), lightness, held=held))
    kept = [b.chroma.lightness.clone() for b in given_]
    out = list(Anchor(PLAIN)(iter(given_)))
    for one, before in zip(given_, kept, strict=True):
        assert torch.equal(one.chroma.lightness, before)
    after = torch.cat([one.chroma.lightness for one in out])
    for i in range(12):
        source = i if not held[i] else max(k for k in range(i) if not held[k])
        np.testing.assert_array_equal(after[i], lightness[source].astype(np.float32))
