import argparse
import sys

import pytest
import torch

from vidcolor.models.instcolor import PUBLISHED
from vidcolor.models.recipe import fill
from vidcolor.models.registry import create_model
from vidcolor.records import Rois

WIDTH = 2


@pytest.fixture(scope="module")
def bench(tool):
    yield tool("benchmarks/instcolor.py")
    for name in ("rounds", "published", "readout", "bare"):
        sys.modules.pop(f"measure.{name}", None)


def net():
    return fill(create_model("instcolor", **{**PUBLISHED, "width": WIDTH}))


def pictures(frames, boxes):
    draws = torch.Generator().manual_seed(4)
    lightness = 100 * torch.rand(frames, 1, 64, 64, generator=draws)
    count = len(boxes)
    rois = Rois(
        100 * torch.rand(count, 1, 64, 64, generator=draws),
        torch.tensor([box for _, box in boxes], dtype=torch.float32).view(-1, 4),
        torch.tensor([frame for frame, _ in boxes]),
        torch.ones(count),
        (120, 160),
    )
    return lightness, rois


BOXES = [
    (0, (10.0, 20.0, 90.0, 100.0)),
    (0, (60.0, 5.0, 150.0, 110.0)),
    (2, (0.0, 0.0, 33.0, 119.0)),
]


@torch.no_grad()
def test_the_plain_procedure_is_what_our_network_computes(bench):
    # two instances that overlap, a frame without any, one with one: frame 1 is the full net's
    model, (lightness, rois) = net(), pictures(3, BOXES)
    ours = model(lightness, rois)
    plain = bench.Published(net())(lightness, rois)
    assert plain.shape == (3, 2, 64, 64)
    assert plain.abs().mean() > 1
    assert torch.allclose(plain, ours, atol=1e-3 * float(ours.abs().max()))
    alone = bench.Published(net())(lightness[1:2])
    assert torch.allclose(plain[1:2], alone, atol=1e-4)
    assert (plain[0] - bench.Published(net())(lightness[:1])[0]).abs().max() > 1


@torch.no_grad()
def test_fusion_by_hand(bench):
    published = sys.modules["measure.published"]
    generator = create_model("instcolor", width=1).fusion.weight_layer
    for stack in (generator.simple_instance_conv, generator.simple_bg_conv):
        for part in stack:
            if hasattr(part, "weight"):
                part.weight.zero_()
                part.bias.zero_()
    # all logits are 0: inside the box both have half a say, outside the frame has all
    background, features = torch.full((1, 1, 4, 4), 2.0), torch.full((1, 1, 3, 3), 6.0)
    placed = torch.tensor([[1, 1, 0, 2, 2, 2]])  # columns 1 and 2, rows 0 and 1
    found = published.fused(generator, background, features, placed)[0, 0]
    expected = torch.full((4, 4), 2.0)
    expected[:2, 1:3] = 4.0
    assert torch.allclose(found, expected)


def test_the_readout_says_what_was_wanted(bench):
    readout = sys.modules["measure.readout"]
    model = create_model("instcolor", width=WIDTH)
    fill(model)
    lightness, rois = pictures(1, BOXES[:2])
    with torch.no_grad():
        before = model(lightness, rois)
    # what the network itself would say with another last layer can be said exactly
    other = create_model("instcolor", width=WIDTH)
    fill(other)
    with torch.no_grad():
        other.fusion.model_out[0].weight.mul_(-0.3)
        other.fusion.model_out[0].bias.fill_(0.1)
        wanted = other(lightness, rois)
    unlike = (before - wanted).abs().mean()
    kept = {k: v.clone() for k, v in model.state_dict().items() if "fusion.model_out" not in k}
    readout.fitted(model, [(lightness, rois, wanted)])
    with torch.no_grad():
        after = model(lightness, rois)
    assert (after - wanted).abs().mean() < 0.1 * unlike
    assert all(torch.equal(model.state_dict()[key], value) for key, value in kept.items())


def test_ratios_are_taken_within_a_round(bench):
    rounds = sys.modules["measure.rounds"]
    values = {
        "stage published": rounds.Value("ms/frame", (8.0, 24.0, 9.0)),
        "stage auto": rounds.Value("ms/frame", (2.0, 4.0, 3.0), "stage published"),
    }
    found = bench.ratios(values)
    assert found == {"stage auto": {"times": 4.0, "least": 3.0, "most": 6.0}}
    colors = {"a to b": {"delta_e_2000": 1.5, "worst_frame": 2, "frames": 3, "chroma": 4}}
    told = bench.table(values, found, colors)
    assert "4.00 (3.00, 6.00)" in told
    assert "a to b: CIEDE2000 1.500" in told


def test_difference_of_colors_is_ciede2000(bench):
    # Sharma, Wu and Dalal 2005, table 1, pair 1
    one = torch.tensor([50.0, 2.6772, -79.7751]).view(1, 3, 1, 1).expand(2, 3, 2, 2).clone()
    other = torch.tensor([50.0, 0.0, -82.7485]).view(1, 3, 1, 1).expand(2, 3, 2, 2).clone()
    other[1] = one[1]
    mean, worst = bench.difference(one, other)
    assert worst == pytest.approx(2.0425, abs=1e-4)
    assert mean == pytest.approx(2.0425 / 2, abs=1e-4)


def test_all_ways_have_the_same_boxes_and_their_own_settings(bench, tmp_path):
    given = argparse.Namespace(
        flags=["--crf", "20"], width=WIDTH, readout="recipe", frames=9, few=2, rounds=1
    )
    found = {way.name: way for way in bench.ways(given, tmp_path / "clip.mp4", tmp_path)}
    assert list(found) == ["published", "every", "auto", "ours every", "ours auto"]
    assert [way.frames for way in found.values()] == [2, 2, 9, 2, 9]
    configs = {name: bench.read_flags(way.flags, None) for name, way in found.items()}
    assert len({config.detect.detector for config in configs.values()}) == 1
    assert configs["auto"].cadence.cadence == "auto"
    assert configs["published"].colorize.weights == configs["every"].colorize.weights
    assert configs["ours auto"].colorize.weights == configs["ours every"].colorize.weights

    from vidcolor.models.weights import load_model

    published, of = load_model(configs["auto"].colorize.weights)
    ours, _ = load_model(configs["ours auto"].colorize.weights)
    assert of == "instcolor"
    assert (published.full is not None, ours.full is None) == (True, True)
    assert torch.equal(published.fusion.model1[0].weight, ours.fusion.model1[0].weight)
