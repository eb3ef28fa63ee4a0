import pytest
import torch

from vidcolor.guidance.layers import LayerStore
from vidcolor.records import FrameBatch, Layer, VideoInfo


def _layer(seed, size=(6, 9)):
    draw = torch.Generator().manual_seed(seed)
    ab = torch.rand(1, 2, *size, generator=draw) * 200 - 100
    return Layer(ab, torch.rand(1, 1, *size, generator=draw))


def test_a_layer_comes_back_to_its_steps(tmp_path):
    with LayerStore(tmp_path) as store:
        layers = {pts: _layer(pts, (4 + pts, 7)) for pts in (0, 3, 40)}
        for pts, layer in layers.items():
            store.put(pts, layer)
        for pts, layer in layers.items():
            found = store.get(pts)
            torch.testing.assert_close(found.ab, layer.ab, rtol=0, atol=0.51 / 256)
            torch.testing.assert_close(found.weight, layer.weight, rtol=0, atol=0.51 / 255)
        assert store.get(1) is None
        assert len(store) == 3
    assert list(tmp_path.iterdir()) == []


def test_the_later_layer_counts_and_nothing_takes_no_room():
    with LayerStore() as store:
        store.put(5, _layer(1))
        store.put(5, _layer(2))
        torch.testing.assert_close(store.get(5).ab, _layer(2).ab, rtol=0, atol=0.51 / 256)
        store.put(5, Layer(torch.ones(1, 2, 2, 2), torch.zeros(1, 1, 2, 2)))
        assert 5 not in store


def test_layers_of_a_batch_lie_where_its_pts_are():
    frames = FrameBatch(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), (7, 8, 9), VideoInfo(4, 4))
    with LayerStore() as store:
        store.put(8, _layer(0))
        found = store.of(frames)
    assert [layer is None for layer in found] == [True, False, True]


def test_one_frame_at_a_time():
    with LayerStore() as store, pytest.raises(ValueError, match="one frame"):
        store.put(0, Layer(torch.zeros(2, 2, 3, 3), torch.ones(2, 1, 3, 3)))
