import numpy as np
import torch

from vidcolor.records import Chroma, Colored, FrameBatch, Tracks, VideoInfo
from vidcolor.stages.tone import Palette, Tone

INFO = VideoInfo(64, 64)


def _colored(ab, shot=0, start=0, held=None, sure=None):
    count = len(ab)
    frames = FrameBatch(
        torch.zeros(count, 1, 64, 64, dtype=torch.uint8),
        tuple(range(start, start + count)),
        INFO,
        index=start,
        shot=shot,
        start=start,
        held=None if held is None else torch.tensor(held),
    )
    chroma = Chroma(ab, torch.full((count, 1, 64, 64), 50.0), sure=sure)
    return Colored(frames, Tracks.empty(), chroma)


def _colors(seed, count=1, scale=5.0):
    draw = torch.Generator().manual_seed(seed)
    flat = torch.randn(count, 2, 64 * 64, generator=draw) * scale
    mix = torch.tensor([[1.0, 0.5], [0.0, 0.8]])
    return (mix @ flat).reshape(count, 2, 64, 64) + torch.tensor([4.0, -7.0])[:, None, None]


WANTED = Palette(np.array([10.0, 20.0]), np.array([[60.0, 20.0], [20.0, 40.0]]))


def test_a_shot_gets_mean_and_spread_of_the_picture():
    (after,) = Tone([WANTED])([_colored(_colors(0))])
    flat = after.chroma.ab[0].reshape(2, -1).numpy()
    np.testing.assert_allclose(flat.mean(1), WANTED.mean, atol=0.7)
    # a floor beneath the shot's own spread leaves the spread a little short
    np.testing.assert_allclose(np.cov(flat), WANTED.spread, rtol=0.35)
    assert np.cov(flat)[0, 1] > 10


def test_a_gray_shot_is_not_blown_up():
    still = torch.full((1, 2, 64, 64), 3.0)
    still[..., 0] += 0.1  # a trace of color
    (after,) = Tone([WANTED])([_colored(still)])
    assert after.chroma.ab.std() < 10
    np.testing.assert_allclose(after.chroma.ab.mean((0, 2, 3)), WANTED.mean, atol=1)


def test_strength_person_and_shots():
    ab = _colors(1)
    sure = torch.zeros(1, 1, 64, 64)
    sure[..., :10] = 1
    half = Palette(WANTED.mean, WANTED.spread, strength=0.5, shots=(1,))
    (full,) = Tone([WANTED])([_colored(ab, shot=1)])
    (some,) = Tone([half])([_colored(ab, shot=1, sure=sure)])
    torch.testing.assert_close(some.chroma.ab[..., :10], ab[..., :10])
    middle = (ab + full.chroma.ab) / 2
    torch.testing.assert_close(some.chroma.ab[..., 10:], middle[..., 10:], rtol=0, atol=1e-4)
    first = _colored(ab, shot=0)
    assert list(Tone([half])([first])) == [first]
    silent = _colored(ab, shot=1)
    assert list(Tone([WANTED], silent={1})([silent])) == [silent]


def test_batches_change_nothing_and_held_frames_are_copies():
    ab = _colors(2, 6)
    held = [False, False, True, False, True, True]
    whole = torch.cat([c.chroma.ab for c in Tone([WANTED])([_colored(ab, held=held)])])
    parts = [
        _colored(ab[i : i + 2], start=i, held=held[i : i + 2]) for i in range(0, 6, 2)
    ]  # fmt: skip
    again = torch.cat([c.chroma.ab for c in Tone([WANTED])(parts)])
    assert torch.equal(whole, again)
    assert torch.equal(whole[2], whole[1])
    assert torch.equal(whole[5], whole[3])
    assert not torch.equal(whole[1], whole[0])


def test_nothing_crosses_a_cut():
    first, second = _colored(_colors(3)), _colored(_colors(4) + 30, shot=1)
    (alone,) = Tone([WANTED])([second])
    _, after = Tone([WANTED])([first, second])
    assert torch.equal(alone.chroma.ab, after.chroma.ab)


def test_a_still_shot_keeps_its_color():
    ab = _colors(5).expand(200, -1, -1, -1).contiguous()
    (after,) = Tone([WANTED])([_colored(ab)])
    torch.testing.assert_close(after.chroma.ab[-1], after.chroma.ab[0], rtol=0, atol=1e-3)
