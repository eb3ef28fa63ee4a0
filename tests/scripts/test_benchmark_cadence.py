import sys

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def bench(tool):
    module = tool("benchmarks/cadence.py")
    yield module
    sys.modules.pop("line", None)


def _pictures(count=4):
    noise = np.random.default_rng(0).integers(60, 190, (6, 8, 3)).astype(np.float32)
    rows, columns = np.linspace(0, 5, 40).astype(int), np.linspace(0, 7, 60).astype(int)
    picture = np.rint(noise[rows][:, columns]).astype(np.uint8)
    return [np.roll(picture, i, axis=1) for i in range(count)]


def test_the_truth_is_perfect(bench):
    shot = bench.Shot.of([5, 6, 8, 9], _pictures())
    ab = {pts: lab[..., 1:] for pts, lab in zip(shot.pts, shot.lab, strict=True)}
    found = shot.measure(ab)
    assert found["psnr"] > 50  # rounding to 8 bit
    assert found["delta_e"] == 0
    assert found["cdc"] == pytest.approx(0, abs=1e-2)
    assert found["chroma"] == 1


def test_gray_and_flicker_are_told_apart(bench):
    shot = bench.Shot.of([0, 1, 2, 3], [_pictures(1)[0]] * 4)
    true = {pts: lab[..., 1:] for pts, lab in zip(shot.pts, shot.lab, strict=True)}
    gray = shot.measure({pts: 0 * ab for pts, ab in true.items()})
    assert gray["chroma"] == 0
    assert gray["psnr"] < 30
    assert gray["instability"] == 0
    # nothing moves; every pair is 8 apart, wherever flow can be believed: here nearly everywhere
    flicker = shot.measure({pts: ab + np.array((0, 8 * (pts % 2))) for pts, ab in true.items()})
    assert flicker["instability"] == pytest.approx(8, rel=0.1)
    assert flicker["warping"] > 0.1


def test_means_and_ratios(bench):
    one, two = bench.Row(40.0, 20.0, 1.0, psnr=20), bench.Row(20.0, 5.0, 0.25, psnr=30)
    assert bench.average([one, two]) == bench.Row(30.0, 12.5, 0.625, psnr=25)
    lines = bench.table({"every": one, "8": two}).splitlines()
    assert lines[2].split()[:5] == ["8", "2.00", "4.00", "5.00", "0.25"]


def test_a_colorizer_is_watched_and_may_know_the_truth(bench):
    from vidcolor.records import FrameBatch, Tracked, Tracks, VideoInfo

    class Inner:
        def lightness(self, frames):
            return torch.full((len(frames), 1, 2, 3), 50.0)

    truth = {pts: torch.full((2, 2, 3), float(pts)) for pts in (4, 5, 9)}
    watched = bench.Watched(bench.Knows(Inner(), truth))
    luma = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    held = torch.tensor([False, True, False])
    colored = watched(
        Tracked(FrameBatch(luma, (4, 5, 9), VideoInfo(8, 8), held=held), Tracks.empty())
    )
    assert colored.chroma.ab[:, 0, 0, 0].tolist() == [4, 5, 9]
    assert watched.seen == 2


def test_the_curve_is_drawn_small(bench, tmp_path):
    rows = {name: bench.Row(40.0, 20.0, 1.0, 20, 8, -0.1, 0.1, 0.2, 1) for name in bench.CADENCES}
    bench.draw(rows, tmp_path / "curve.png")
    assert 2_000 < (tmp_path / "curve.png").stat().st_size < 60_000
