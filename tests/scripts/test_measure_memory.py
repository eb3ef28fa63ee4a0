"""What the measure of memory says of films, samples and processes that are known."""

import itertools
import sys

import av
import numpy as np
import pytest


@pytest.fixture(scope="module")
def memory(tool):
    return tool("scripts/measure_memory.py")


def _lumas(path):
    with av.open(str(path)) as film:
        frames = [(frame.pts, frame.to_ndarray().astype(float)) for frame in film.decode(video=0)]
    return [pts for pts, _ in frames], [luma for _, luma in frames]


@pytest.mark.parametrize("cuts", [True, False])
def test_long_films_repeat_and_are_whole(memory, tmp_path, monkeypatch, cuts):
    monkeypatch.setattr(memory, "SHOT_FRAMES", 10)
    monkeypatch.setattr(memory, "SHOTS", 3)
    path = tmp_path / "film.mkv"
    memory.make_film(path, 75, (36, 48), cuts)
    pts, lumas = _lumas(path)
    assert len(lumas) == 75
    assert [round(a * memory.RATE / 1000) for a in pts] == list(range(75))
    changes = np.array([np.abs(b - a).mean() for a, b in itertools.pairwise(lumas)])
    large = np.flatnonzero(changes > 5 * np.median(changes)) + 1
    assert large.tolist() == (list(range(10, 75, 10)) if cuts else [])
    period = 30 if cuts else 20
    assert all((a == b).all() for a, b in zip(lumas, lumas[period:], strict=False))


def _samples(memory, count, rise):
    return [memory.Sample(float(n), 100 * n, 2**29 + round(rise * 100 * n)) for n in range(count)]


def test_growth_by_hand(memory):
    found = memory.growth(_samples(memory, 100, 7.0), 10_000)
    assert (found.slope, found.error) == (7.0, 0.0)
    assert found.samples == 100 - 15  # the first 1500 frames are warming up
    assert found.peak_mib == pytest.approx((2**29 + 7 * 9900) / 2**20, abs=0.1)
    flat = memory.growth(_samples(memory, 100, 0.0), 10_000)
    assert (flat.slope, flat.warm_mib, flat.end_mib) == (0.0, 512.0, 512.0)


def test_what_wavers_has_an_error(memory):
    draw = np.random.default_rng(0)
    samples = [
        memory.Sample(s.seconds, s.frames, s.rss + int(draw.normal(0, 1e6)))
        for s in _samples(memory, 400, 50.0)
    ]
    found = memory.growth(samples, 40_000)
    assert 0 < found.error < 20
    assert abs(found.slope - 50) < 4 * found.error


def test_of_few_samples_nothing_is_said(memory):
    found = memory.growth(_samples(memory, 10, 7.0), 1000)
    assert found.slope is None
    assert "-" in memory.show("hd 1000", found)


def test_processes_are_watched(memory, tmp_path, monkeypatch):
    says = "import time; kept = bytearray(b'x') * (100 << 20); "
    says += "print('vidcolor: 7 of about 9 frames, 2.0 a second', flush=True); time.sleep(2.5)"
    monkeypatch.setattr(memory, "LAUNCH", says)
    samples = memory.watch([], tmp_path / "log.txt")
    assert samples[-1].frames == 7
    assert samples[-1].rss > 100 << 20
    monkeypatch.setattr(memory, "LAUNCH", "import sys; sys.exit('broken')")
    with pytest.raises(RuntimeError, match="broken"):
        memory.watch([], tmp_path / "log.txt")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_segments_are_made_and_joined(memory, tmp_path):
    found = memory.join(tmp_path, 12)
    assert found.frames == 12
    assert 50 < found.warm_mib <= found.peak_mib + 1
    _, lumas = _lumas(tmp_path / "colored.mkv")
    assert len(lumas) == 12
