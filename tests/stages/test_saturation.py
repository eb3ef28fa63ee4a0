import numpy as np

from vidcolor.stages.saturation import Saturation


def test_the_gain_is_what_is_owed() -> None:
    rng = np.random.default_rng(0)
    owed, most = 0.0, 1.25
    saturation = Saturation(most)
    for _ in range(30):
        wanted = rng.normal(0, 20, (2, 31, 42)).astype(np.float32)
        given = (wanted * rng.uniform(0.7, 1.05)).astype(np.float32)
        before, after = (
            float(np.hypot(*ab[:, ::2, ::2].astype(np.float64)).mean()) for ab in (wanted, given)
        )
        gain = min(most, 1 + max(0.0, owed) / (8 * max(after, 0.5)))
        owed = min(60 * before * (most - 1), owed + 0.997 * before - gain * after)
        restored = saturation.restore(wanted, given)
        np.testing.assert_allclose(restored, given * gain, atol=1e-4)


def test_one_is_off() -> None:
    given = np.ones((2, 4, 4), np.float32)
    assert Saturation(1).restore(given * 2, given) is given
