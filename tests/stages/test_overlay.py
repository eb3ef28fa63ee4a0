import torch

from vidcolor.guidance.layers import LayerStore
from vidcolor.records import Chroma, Colored, FrameBatch, Layer, Tracks, VideoInfo
from vidcolor.stages.overlay import NoOverlay, Overlay


def _colored(sure=None):
    frames = FrameBatch(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), (0, 1), VideoInfo(8, 8))
    ab = torch.full((2, 2, 4, 4), 10.0)
    flow = torch.ones(2, 2, 4, 4)
    return Colored(frames, Tracks.empty(), Chroma(ab, torch.full((2, 1, 4, 4), 50.0), flow, sure))


def test_known_color_is_laid_by_its_weight():
    weight = torch.zeros(1, 1, 4, 4)
    weight[..., 0], weight[..., 1] = 1.0, 51 / 255
    with LayerStore() as store:
        store.put(1, Layer(torch.full((1, 2, 4, 4), -30.0), weight))
        before = _colored(sure=torch.full((2, 1, 4, 4), 0.5))
        after = Overlay(store)(before)
    assert torch.equal(before.chroma.ab, torch.full((2, 2, 4, 4), 10.0))  # records do not change
    assert torch.equal(after.chroma.ab[0], before.chroma.ab[0])
    torch.testing.assert_close(after.chroma.ab[1, 0, 2], torch.tensor([-30.0, 2.0, 10.0, 10.0]))
    torch.testing.assert_close(after.chroma.sure[1, 0, 2], torch.tensor([1.0, 0.5, 0.5, 0.5]))
    assert torch.equal(after.chroma.flow, before.chroma.flow)


def test_a_layer_of_another_size_is_brought_to_the_grid():
    with LayerStore() as store:
        store.put(0, Layer(torch.full((1, 2, 16, 12), 20.0), torch.ones(1, 1, 16, 12)))
        after = Overlay(store)(_colored())
    assert torch.equal(after.chroma.ab[0], torch.full((2, 4, 4), 20.0))
    assert torch.equal(after.chroma.sure[:, 0, 0, 0], torch.tensor([1.0, 0.0]))


def test_without_layers_nothing_is_made():
    colored = _colored()
    with LayerStore() as store:
        assert Overlay(store)(colored) is colored
    assert NoOverlay()(colored) is colored
