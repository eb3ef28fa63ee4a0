import pytest
import torch

from vidcolor.errors import ConfigError
from vidcolor.records import Chroma, Colored, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.stages.merge import MergeConfig, MergedColorizer


class Paints:
    """The same color everywhere, on a grid of its own; L* tells the grids apart."""

    def __init__(self, a, b, size=(4, 6), rois=False):
        self.color, self.size, self.uses_rois = (a, b), size, rois

    def lightness(self, frames):
        return torch.full((len(frames), 1, *self.size), float(self.size[0]))

    def __call__(self, tracked):
        ab = torch.tensor(self.color, dtype=torch.float32).view(1, 2, 1, 1)
        ab = ab.expand(len(tracked.frames), 2, *self.size).clone()
        return Colored(tracked.frames, tracked.tracks, Chroma(ab, self.lightness(tracked.frames)))


def _tracked(count=3):
    luma = torch.zeros(count, 1, 8, 12, dtype=torch.uint8)
    return Tracked(FrameBatch(luma, tuple(range(count)), VideoInfo(8, 12)), Tracks.empty())


def _merge(first, second, **config):
    merged = MergedColorizer(first, second, MergeConfig(colorizer="x", **config))(_tracked())
    ab = merged.chroma.ab
    assert (ab == ab[0, :, :1, :1]).all()  # even stays even, also where grids differ
    return pytest.approx(ab[0, :, 0, 0].tolist(), abs=1e-5)


def test_mean():
    assert _merge(Paints(10, 0), Paints(0, 20), share=0.25) == [7.5, 5]
    assert _merge(Paints(10, 0), Paints(0, 20), share=1.0) == [0, 20]


def test_clamp_shortens_the_way_to_the_second():
    # (30, 40) away, 50 long, limit 10: (6, 8)
    far = Paints(31, 41)
    assert _merge(Paints(1, 1), far, share=1.0, mode="clamp", limit=10) == [7, 9]
    assert _merge(Paints(1, 1), far, share=0.5, mode="clamp", limit=10) == [4, 5]


def test_clamp_leaves_what_is_near():
    assert _merge(Paints(1, 1), Paints(4, 5), share=1.0, mode="clamp", limit=6) == [4, 5]
    assert _merge(Paints(1, 1), Paints(1, 1), share=1.0, mode="clamp", limit=6) == [1, 1]


@pytest.mark.parametrize("sizes", [((4, 6), (8, 8)), ((8, 8), (4, 6))])
def test_the_finer_grid_is_taken(sizes):
    stage = MergedColorizer(
        Paints(10, 0, sizes[0]), Paints(0, 20, sizes[1]), MergeConfig("x", share=0.5)
    )
    tracked = _tracked()
    chroma = stage(tracked).chroma
    assert chroma.ab.shape == (3, 2, 8, 8)
    torch.testing.assert_close(chroma.ab[1, :, 3, 3], torch.tensor([5.0, 10.0]))
    assert (chroma.lightness == 8).all()
    assert torch.equal(stage.lightness(tracked.frames), chroma.lightness)


def test_frames_and_tracks_pass():
    tracked = _tracked()
    colored = MergedColorizer(Paints(1, 2), Paints(3, 4), MergeConfig("x"))(tracked)
    assert colored.frames is tracked.frames
    assert colored.tracks is tracked.tracks


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (False, False)])
def test_instances_count_if_one_uses_them(first, second):
    stage = MergedColorizer(Paints(0, 0, rois=first), Paints(0, 0, rois=second), MergeConfig("x"))
    assert stage.uses_rois == (first or second)


def test_config():
    assert not MergeConfig().enabled
    assert not MergeConfig("siggraph17", share=0).enabled
    assert MergeConfig("siggraph17").enabled
    assert MergeConfig(weights="mine.safetensors").enabled
    with pytest.raises(ConfigError, match="share"):
        MergeConfig(share=1.5)
    with pytest.raises(ConfigError, match="limit"):
        MergeConfig(limit=0)
