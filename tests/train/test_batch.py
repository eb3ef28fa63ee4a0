import pytest
import torch

from vidcolor.records import Hints, Rois
from vidcolor.train.data.batch import Batch, Pair


def _batch(frames=(0, 0, 2, 3), n=4, side=8):
    """A batch in which every value tells the picture or instance that it belongs to."""
    number = torch.arange(n, dtype=torch.float32)[:, None, None, None]
    k = len(frames)
    instance = torch.arange(k, dtype=torch.float32)
    rois = Rois(
        instance[:, None, None, None].expand(k, 1, 4, 4),
        instance[:, None].expand(k, 4),
        torch.tensor(frames, dtype=torch.int64),
        (instance + 1) / k,
        (side, side),
    )
    return Batch(
        number.expand(n, 1, side, side),
        number.expand(n, 2, 2, 2),
        rois,
        Hints(number.expand(n, 2, side, side), number.expand(n, 1, side, side)),
        Pair(number.expand(n, 1, side, side), number.expand(n, 2, 2, 2), number.expand(n, 1, 2, 2)),
    )


def test_a_slice_takes_its_own_pictures_and_instances():
    part = _batch()[2:4]
    assert len(part) == 2
    for tensor in (
        part.lightness, part.ab, part.hints.ab, part.hints.mask,
        part.pair.lightness, part.pair.motion, part.pair.seen,
    ):  # fmt: skip
        assert tensor[:, 0, 0, 0].tolist() == [2, 3]
    assert part.rois.frame.tolist() == [0, 1]
    assert part.rois.crops[:, 0, 0, 0].tolist() == [2, 3]
    assert part.rois.boxes[:, 0].tolist() == [2, 3]
    assert part.rois.weight.tolist() == [0.75, 1]
    assert part.rois.size == (8, 8)


def test_pictures_without_instances_have_empty_rois():
    part = _batch()[1:2]
    assert len(part.rois) == 0
    assert part.rois.crops.shape == (0, 1, 4, 4)


def test_slices_join_to_the_whole():
    batch = _batch((0, 1, 1, 3, 3))
    parts = [batch[:1], batch[1:3], batch[3:]]
    frames = [part.rois.frame + first for part, first in zip(parts, (0, 1, 3), strict=True)]
    assert torch.equal(torch.cat(frames), batch.rois.frame)
    crops = torch.cat([part.rois.crops for part in parts])
    assert torch.equal(crops, batch.rois.crops)


def test_bare_batches_slice_too_and_steps_are_refused():
    bare = Batch(torch.zeros(3, 1, 8, 8), torch.zeros(3, 2, 2, 2))
    part = bare[-2:]
    assert len(part) == 2
    assert part.rois is part.hints is part.pair is None
    with pytest.raises(ValueError, match="without step"):
        bare[::2]


def test_all_tensors_move():
    moved = _batch().to("meta")
    tensors = [
        moved.lightness, moved.ab, moved.hints.ab, moved.hints.mask, moved.pair.lightness,
        moved.pair.motion, moved.pair.seen, moved.rois.crops, moved.rois.boxes, moved.rois.frame,
        moved.rois.weight,
    ]  # fmt: skip
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.rois.size == (8, 8)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="lightness must be"):
        Batch(torch.zeros(3, 3, 8, 8), torch.zeros(3, 2, 2, 2))
    with pytest.raises(ValueError, match=r"ab must be \(3, 2"):
        Batch(torch.zeros(3, 1, 8, 8), torch.zeros(2, 2, 2, 2))
