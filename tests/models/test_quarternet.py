import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.models.registry import create_model, model_spec
from vidcolor.records import Rois


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    model = create_model("quarternet", width=8, instance_share=1.0)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    return model.eval()


def _rois(boxes, frame, size=(64, 96), crops=None, weight=None):
    count = len(boxes)
    torch.manual_seed(count)
    return Rois(
        torch.rand(count, 1, 32, 32) * 100 if crops is None else crops,
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(frame, dtype=torch.int64),
        torch.ones(count) if weight is None else weight,
        size,
    )


@torch.inference_mode()
def test_a_batch_is_its_frames_one_by_one(net):
    lightness = torch.rand(3, 1, 64, 96) * 100
    rois = _rois([[0, 0, 40, 40], [10, 10, 90, 60]], [0, 2])
    together = net(lightness, rois)
    assert together.shape == (3, 2, 16, 24)
    for frame, keep in ((0, [0]), (1, []), (2, [1])):
        part = Rois(
            rois.crops[keep],
            rois.boxes[keep],
            torch.zeros(len(keep), dtype=torch.int64),
            rois.weight[keep],
            rois.size,
        )
        alone = net(lightness[frame : frame + 1], part)
        torch.testing.assert_close(alone[0], together[frame], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_order_of_instances_changes_nothing(net):
    lightness = torch.rand(1, 1, 64, 96) * 100
    rois = _rois([[0, 0, 40, 40], [10, 10, 90, 60], [5, 20, 30, 64]], [0, 0, 0])
    back = Rois(rois.crops.flip(0), rois.boxes.flip(0), rois.frame, rois.weight, rois.size)
    torch.testing.assert_close(net(lightness, rois), net(lightness, back), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_color_outside_the_box_is_untouched_and_inside_is_drawn_to_the_instance(net):
    lightness = torch.rand(1, 1, 64, 96) * 100
    rois = _rois([[32, 16, 64, 48]], [0])
    plain, fused = net(lightness), net(lightness, rois)
    changed = (plain - fused).abs().amax((0, 1)) > 0
    rows, columns = changed.nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 11, 8, 15)
    close = net(rois.crops)
    # in the middle both count the same
    expected = (plain[0, :, 7:9, 11:13].mean((1, 2)) + close[0, :, 3:5, 3:5].mean((1, 2))) / 2
    torch.testing.assert_close(fused[0, :, 7:9, 11:13].mean((1, 2)), expected, atol=1e-3, rtol=1e-3)


@settings(max_examples=10, deadline=None)
@given(weight=st.floats(0.001, 1))
def test_weight_fades_an_instance(net, weight):
    lightness = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 100
    box = [[8, 8, 56, 56]]
    with torch.inference_mode():
        plain = net(lightness)
        part = net(lightness, _rois(box, [0], (64, 64), weight=torch.tensor([weight])))
        whole = net(lightness, _rois(box, [0], (64, 64)))
    # w/(1+w) of the way to the instance, against 1/2
    share = 2 * weight / (1 + weight)
    torch.testing.assert_close(
        part[0, :, 8, 8] - plain[0, :, 8, 8],
        share * (whole[0, :, 8, 8] - plain[0, :, 8, 8]),
        atol=1e-3,
        rtol=1e-3,
    )


def test_every_parameter_learns():
    model = create_model("quarternet", width=8, instance_share=1.0)
    torch.nn.init.normal_(model.head.weight)
    model(torch.rand(2, 1, 64, 64) * 100).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_an_untrained_network_adds_no_color():
    model = create_model("quarternet", width=8).eval()
    assert not model(torch.rand(1, 1, 32, 32) * 100).any()


def test_spec_says_what_it_uses():
    spec = model_spec("quarternet")
    assert (spec.rois, spec.hints, spec.multiple, spec.weights) == (True, False, 32, "starter")
