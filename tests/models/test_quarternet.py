import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.models.registry import create_model, model_spec
from vidcolor.records import Rois


def _alive(**kwargs):
    """A narrow net whose last layers and weight generators say something."""
    torch.manual_seed(0)
    model = create_model("quarternet", width=8, **kwargs)
    for name, parameter in model.named_parameters():
        if name.endswith("head.weight"):
            torch.nn.init.normal_(parameter, std=0.3)
        elif ".blends." in name and name.endswith(".4.weight"):
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def net():
    return _alive()


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
        torch.testing.assert_close(alone[0], together[frame], atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_order_of_instances_changes_nothing(net):
    lightness = torch.rand(1, 1, 64, 96) * 100
    rois = _rois([[0, 0, 40, 40], [10, 10, 90, 60], [5, 20, 30, 64]], [0, 0, 0])
    back = Rois(rois.crops.flip(0), rois.boxes.flip(0), rois.frame, rois.weight, rois.size)
    torch.testing.assert_close(net(lightness, rois), net(lightness, back), atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_an_instance_enters_by_its_share_inside_its_box_and_nowhere_else():
    """One map, weights by hand: e^(4 tanh bias) each, faded in from the edges."""
    blend = _alive().fusion.blends["up0"]
    for net, bias in ((blend.frame, 0.2), (blend.instance, -0.1)):
        torch.nn.init.zeros_(net[4].weight)
        torch.nn.init.constant_(net[4].bias, bias)
    from vidcolor.models.placement import place

    # a box of 8 x 8 cells in a map of 16 x 24, on whole cells of the coarsest level
    placement, _ = place(
        torch.tensor([[32.0, 16.0, 64.0, 48.0]]),
        torch.tensor([0]),
        torch.tensor([0.5]),
        (64, 96),
        (16, 24),
        outward=True,
    )
    frames, close = torch.full((1, 8, 16, 24), 3.0), torch.full((1, 8, 8, 8), 7.0)
    fused = blend(frames, close, placement, 0)[0, 0]
    own, other = (torch.exp(4 * torch.tanh(torch.tensor(b))) for b in (0.2, -0.1))

    def expected(inside):
        share = 0.5 * inside * other
        return float((own * 3 + share * 7) / (own + share))

    assert fused[8, 12] == pytest.approx(expected(1.0), rel=1e-5)
    # the first cell lies half a cell inside: (0.5 + 0.5) of a ramp 0.15 * 8 cells wide
    assert fused[8, 8] == pytest.approx(expected(1 / 1.2), rel=1e-5)
    assert fused[4, 8] == pytest.approx(expected(1 / 1.2**2), rel=1e-5)
    outside = fused.clone()
    outside[4:12, 8:16] = 3
    assert (outside == 3).all()


@settings(max_examples=8, deadline=None)
@given(weight=st.floats(1e-4, 0.5))
def test_a_fading_instance_leaves_the_frame_as_without_it(net, weight):
    lightness = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 100
    box = [[8, 8, 56, 56]]
    with torch.inference_mode():
        plain = net(lightness)
        steps = [
            float((net(lightness, _rois(box, [0], (64, 64), weight=torch.tensor([w]))) - plain)
                  .abs().mean())
            for w in (weight / 8, weight, 1.0)
        ]  # fmt: skip
    assert steps == sorted(steps)
    assert steps[0] < 8 * weight


def test_a_new_network_trusts_the_picture_more_than_the_close_up():
    torch.manual_seed(0)
    blend = create_model("quarternet", width=8).fusion.blends["up1"]
    maps = torch.randn(1, 16, 4, 4)
    trust = (blend._weight(blend.frame(maps)) / blend._weight(blend.instance(maps))).mean()
    assert 4 < trust < 12


@pytest.mark.parametrize("bins", [False, True])
def test_every_parameter_learns_but_the_idle_ones(bins):
    model = _alive(bins=bins).train()
    rois = _rois([[0, 0, 40, 40], [10, 10, 60, 60]], [0, 1], (64, 64))
    model(torch.rand(2, 1, 64, 64) * 100, rois).square().mean().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert still == {n for n, _ in model.named_parameters() if n.startswith(model.idle)}
    assert still


def test_in_half_precision_it_stays_near(net):
    lightness = torch.rand(2, 1, 64, 64) * 100
    rois = _rois([[0, 0, 40, 40], [10, 10, 60, 60]], [0, 1], (64, 64))
    with torch.inference_mode():
        plain = net(lightness, rois)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(lightness, rois)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 0.05 * plain.abs().mean()


def test_an_untrained_network_adds_no_color():
    model = create_model("quarternet", width=8).eval()
    assert not model(torch.rand(1, 1, 32, 32) * 100).any()


def test_without_fusion_instances_are_ignored_and_the_part_is_not_there():
    model = _alive(fusion=False)
    lightness = torch.rand(1, 1, 64, 96) * 100
    with torch.inference_mode():
        same = torch.equal(model(lightness), model(lightness, _rois([[0, 0, 90, 60]], [0])))
    assert same
    assert not any(key.startswith(("close.", "fusion.")) for key in model.state_dict())


def test_with_bins_the_color_is_the_annealed_mean_of_its_classes():
    model = _alive(bins=True, fusion=False)
    lightness = torch.rand(1, 1, 32, 64) * 100
    with torch.inference_mode():
        logits, color = model.answer_classes("full", lightness)
        assert torch.equal(color, model(lightness))
    assert logits.shape == (1, 313, 8, 16)
    p = (logits[0, :, 3, 5].double() / 0.38).softmax(0)
    expected = (p[:, None] * model.color_classes().double()).sum(0)
    torch.testing.assert_close(color[0, :, 3, 5].double(), expected, atol=1e-3, rtol=1e-4)


def test_spec_says_what_it_uses():
    spec = model_spec("quarternet")
    assert (spec.rois, spec.hints, spec.multiple, spec.weights) == (True, False, 32, "starter")
    assert spec.stride == 4


@torch.inference_mode()
def test_a_tiny_box_hardly_counts_and_its_size_is_taken_in_the_networks_picture(net):
    lightness = torch.rand(1, 1, 192, 192, generator=torch.Generator().manual_seed(4)) * 100
    plain = net(lightness)

    def change(side, size):
        box = [[40.0, 40, 40 + side, 40 + side]]
        fused = net(lightness, _rois(box, [0], (size, size)))
        k = size / 192
        part = (slice(int(10 / k), int((40 + side) / k / 4)),) * 2
        return float((fused - plain)[0, :, part[0], part[1]].abs().mean())

    assert change(20, 192) < 0.01 * change(100, 192)
    # the same box of a film twice as large is half as large to the network
    assert change(44, 384) < 0.01 * change(44 * 2, 192)
