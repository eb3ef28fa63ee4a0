import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from vidcolor.color.bins import gamut_bins
from vidcolor.models.objective import pixel_loss
from vidcolor.records import Rois
from vidcolor.train.data.batch import Pair
from vidcolor.train.losses import (
    color_classes,
    colored,
    distance,
    inside_boxes,
    temporal,
    to_grid,
    warp_back,
)


def regression(*args, **settings):
    """What a phase minimizes."""
    found = distance(*args, **settings)
    assert found.shape[1] == 1
    return found.mean()


def _random(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype) * scale


def _pair(motion, seen):
    return Pair(torch.zeros(len(motion), 1, 8, 8), motion, seen)


# --- regression ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # errors 3 and -20, delta 10
        ("smooth_l1", 0.5 * 0.3**2 + (2 - 0.5)),
        ("l1", 0.3 + 2),
        ("l2", 0.5 * (0.3**2 + 2**2)),
    ],
)
def test_regression_by_hand(kind, expected):
    pred = torch.tensor([13.0, -20.0]).view(1, 2, 1, 1)
    target = torch.tensor([10.0, 0.0]).view(1, 2, 1, 1)
    assert float(regression(pred, target, kind)) == pytest.approx(expected)
    # three pixels of four are right
    wide = target.repeat(1, 1, 2, 2)
    one = wide.clone()
    one[:, :, 0, 1] = pred[:, :, 0, 0]
    assert float(regression(one, wide, kind)) == pytest.approx(expected / 4)


def test_smooth_l1_is_the_pixel_loss_in_units_of_delta():
    pred, target = _random(2, 2, 4, 4, scale=20), _random(2, 2, 4, 4, seed=1, scale=20)
    expected = pixel_loss(pred, target, 3.0).mean() / 3
    assert float(regression(pred, target, delta=3.0)) == pytest.approx(float(expected))


@pytest.mark.parametrize("error", [0.1, 500.0])
def test_gradients_meet_at_both_ends(error):
    slopes = {}
    for kind in ("smooth_l1", "l1", "l2"):
        pred = torch.full((1, 2, 1, 1), error, requires_grad=True)
        regression(pred, torch.zeros(1, 2, 1, 1), kind).backward()
        slopes[kind] = float(pred.grad[0, 0, 0, 0])
    assert slopes["smooth_l1"] == pytest.approx(slopes["l2" if error < 10 else "l1"])


def test_answers_of_another_size_are_resized():
    pred = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).repeat(1, 2, 1, 1)
    target = torch.full((1, 2, 1, 1), 14.0)  # four cells become one: their mean, 4
    assert float(regression(pred, target, "l1")) == pytest.approx(2.0)
    large = to_grid(target, pred)
    assert torch.equal(large, torch.full((1, 2, 2, 2), 14.0))
    assert to_grid(pred.bfloat16(), pred).dtype == torch.float32


def test_half_precision_is_compared_in_float32():
    pred = _random(2, 2, 4, 4, scale=20).bfloat16()
    target = _random(2, 2, 4, 4, seed=1, scale=20)
    with torch.autocast("cpu", torch.bfloat16):
        ours = regression(pred, target)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, regression(pred.float(), target))


# --- classes ------------------------------------------------------------------------------------


def _dense(ab, k, sigma):
    """Soft targets (P, 313) by a search tree."""
    distance, number = cKDTree(gamut_bins().numpy()).query(ab, k)
    weight = np.exp(-(distance**2) / (2 * sigma**2))
    result = np.zeros((len(ab), 313))
    np.put_along_axis(result, number, weight / weight.sum(1, keepdims=True), axis=1)
    return torch.from_numpy(result), torch.from_numpy(number[:, 0])


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_agree_with_cross_entropy_of_soft_targets(weighted):
    logits = _random(2, 313, 3, 4, scale=3, dtype=torch.float64)
    target = _random(2, 2, 3, 4, seed=1, scale=25, dtype=torch.float64)
    weights = _random(313, seed=2, dtype=torch.float64).exp() if weighted else None
    rows = logits.permute(0, 2, 3, 1).reshape(-1, 313)
    soft, nearest = _dense(target.permute(0, 2, 3, 1).reshape(-1, 2).numpy(), 7, 6.0)
    each = F.cross_entropy(rows, soft, reduction="none")
    expected = each.mean() if weights is None else (each * weights[nearest]).mean()
    ours = color_classes(logits, target, gamut_bins(), weights, k=7, sigma=6.0)
    assert float(ours) == pytest.approx(float(expected), rel=1e-10)


def test_classes_know_nothing_at_the_start():
    loss = color_classes(torch.zeros(1, 313, 2, 2), torch.zeros(1, 2, 2, 2), gamut_bins())
    assert float(loss) == pytest.approx(math.log(313), rel=1e-6)


def test_logits_of_another_size_are_resized():
    logits, target = _random(1, 313, 4, 4), _random(1, 2, 2, 2, scale=20)
    mean = F.avg_pool2d(logits, 2)
    ours = color_classes(logits, target, gamut_bins())
    assert float(ours) == pytest.approx(float(color_classes(mean, target, gamut_bins())), rel=1e-5)


def test_gray_pictures_can_be_left_out():
    target = torch.zeros(3, 2, 2, 2)
    target[1, 1, 0, 1] = -5.5  # one pixel is enough
    target[2] = 5.0
    assert colored(target).flatten().tolist() == [0, 1, 0]
    logits = _random(3, 313, 2, 2)
    alone = color_classes(logits[1:2], target[1:2], gamut_bins())
    ours = color_classes(logits, target, gamut_bins(), gray_limit=5.0)
    assert float(ours) == pytest.approx(float(alone) / 3)
    assert float(color_classes(logits, target, gamut_bins())) > float(ours)


def test_classes_of_half_precision_are_computed_in_float32():
    logits = _random(1, 313, 4, 4, scale=30).bfloat16().requires_grad_()
    target = _random(1, 2, 4, 4, seed=1, scale=30)
    with torch.autocast("cpu", torch.bfloat16):
        ours = color_classes(logits, target, gamut_bins(), torch.ones(313))
    assert ours.dtype == torch.float32
    assert float(ours.detach()) == pytest.approx(
        float(color_classes(logits.detach().float(), target, gamut_bins())), rel=1e-6
    )
    ours.backward()
    assert logits.grad.isfinite().all()


# --- time ---------------------------------------------------------------------------------------


def test_warp_agrees_with_scipy():
    image = _random(2, 3, 6, 9, dtype=torch.float64)
    motion = _random(2, 2, 6, 9, seed=1, scale=2.5, dtype=torch.float64)
    ours = warp_back(image, motion).numpy()
    y, x = np.mgrid[:6, :9]
    for n in range(2):
        place = [y + motion[n, 1].numpy(), x + motion[n, 0].numpy()]
        for channel in range(3):
            theirs = map_coordinates(image[n, channel].numpy(), place, order=1, mode="nearest")
            np.testing.assert_allclose(ours[n, channel], theirs, atol=1e-9)


def test_color_that_moves_with_its_surface_is_steady():
    scene = _random(1, 2, 12, 12, scale=30)
    first, later = scene[..., 3:9, 2:8], scene[..., 4:10, 0:6]  # moved by 2 right and 1 up
    motion = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 6)
    seen = torch.zeros(1, 1, 6, 6)
    seen[..., 1:, :4] = 1
    assert float(temporal(first, later, _pair(motion, seen))) == pytest.approx(0, abs=1e-6)
    assert float(temporal(first, later, _pair(-motion, seen))) > 1
    assert float(temporal(first, later, _pair(motion, torch.ones_like(seen)))) > 1


def test_flicker_by_hand():
    pred, later = torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 1.0)
    later[:, 1] = -6.0
    motion, seen = torch.zeros(1, 2, 2, 2), torch.tensor([[1.0, 0.0], [1.0, 1.0]])[None, None]
    # changes of 1 and 6, delta 2; three of four cells are seen
    expected = 0.75 * (0.5 * 0.5**2 + (3 - 0.5))
    assert float(temporal(pred, later, _pair(motion, seen))) == pytest.approx(expected)


def test_answers_are_brought_to_the_grid_of_the_motion():
    pred, later = torch.full((1, 2, 8, 8), 1.0), torch.full((1, 2, 8, 8), 3.0)
    pair = _pair(torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 2, 2))
    assert float(temporal(pred.bfloat16(), later, pair)) == pytest.approx(2 * 0.5)


@pytest.mark.parametrize("gradient", ["both", "later"])
def test_who_learns_from_flicker(gradient):
    pred, later = torch.zeros(1, 2, 4, 4), torch.full((1, 2, 4, 4), 0.5)
    pred.requires_grad_()
    later.requires_grad_()
    pair = _pair(torch.zeros(1, 2, 4, 4), torch.ones(1, 1, 4, 4))
    temporal(pred, later, pair, gradient=gradient).backward()
    assert (later.grad > 0).all()
    if gradient == "later":
        assert pred.grad is None
    else:
        torch.testing.assert_close(pred.grad, -later.grad)


# --- all ----------------------------------------------------------------------------------------


def _cases():
    target = _random(2, 2, 3, 4, seed=1, scale=15, dtype=torch.float64)
    pred = _random(2, 2, 3, 4, scale=15, dtype=torch.float64)
    motion = _random(2, 2, 3, 4, seed=2, dtype=torch.float64) * 0.7 + 0.05
    seen = (_random(2, 1, 3, 4, seed=3) > -0.5).double()
    centers = gamut_bins()[100:160:6]
    logits = _random(2, len(centers), 3, 4, dtype=torch.float64)
    weights = torch.linspace(0.5, 2, len(centers))
    return {
        "smooth_l1": (lambda x, t: regression(x, t), pred, target),
        "l1": (lambda x, t: regression(x, t, "l1"), pred, target),
        "l2": (lambda x, t: regression(x, t, "l2"), pred, target),
        "classes": (lambda x, t: color_classes(x, t, centers, weights, k=3), logits, target),
        "temporal": (
            lambda x, t, m=motion, s=seen: temporal(x, t, _pair(m[: len(x)], s[: len(x)])),
            pred,
            target,
        ),
    }


@pytest.mark.parametrize("name", list(_cases()))
def test_gradients_are_right(name):
    loss, pred, target = _cases()[name]
    pred.requires_grad_()
    if name == "temporal":
        target.requires_grad_()
    assert torch.autograd.gradcheck(loss, (pred, target))


@pytest.mark.parametrize("name", list(_cases()))
def test_loss_of_a_batch_is_the_mean_of_its_parts(name):
    loss, pred, target = _cases()[name]
    if name == "temporal":
        motion, seen = torch.zeros(2, 2, 3, 4), torch.ones(2, 1, 3, 4)
        seen[1, :, :, 1:] = 0  # one part sees less
        whole = temporal(pred, target, _pair(motion, seen))
        parts = [
            temporal(pred[i : i + 1], target[i : i + 1], _pair(motion[i : i + 1], seen[i : i + 1]))
            for i in (0, 1)
        ]
    else:
        whole = loss(pred, target)
        parts = [loss(pred[i : i + 1], target[i : i + 1]) for i in (0, 1)]
    assert float(whole) == pytest.approx(float(sum(parts)) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: regression(x, x, "huber"), "no distance 'huber'"),
        (lambda x: regression(x, x, delta=0), "delta"),
        (lambda x: color_classes(x, x, gamut_bins()), "one a bin"),
        (
            lambda x: color_classes(torch.zeros(1, 313, 2, 2), x, gamut_bins(), torch.ones(3)),
            "weights must be",
        ),
        (lambda x: temporal(x, x, _pair(x, x[:, :1]), delta=0), "delta"),
        (lambda x: temporal(x, x, _pair(x, x[:, :1]), gradient="first"), "both or later"),
    ],
)
def test_misuse_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 2, 2, 2))


def test_inside_boxes_every_instance_counts_the_same():
    distances = torch.zeros(2, 1, 8, 8)
    distances[0, 0, :4, :4] = 3.0
    distances[1, 0, 7, 7] = 8.0
    # in pixels of a picture four times the grid: a quarter, all of the second, less than a cell
    boxes = torch.tensor([[0.0, 0, 16, 16], [0, 0, 32, 32], [30.5, 30.5, 31, 31]])
    rois = Rois(torch.zeros(3, 1, 32, 32), boxes, torch.tensor([0, 1, 1]), torch.ones(3), (32, 32))
    found = inside_boxes(distances, rois)
    assert float(found) == pytest.approx((3.0 + 8.0 / 64 + 8.0) / 3)


def test_without_instances_nothing_is_inside_and_gradients_still_flow():
    distances = torch.ones(1, 1, 4, 4, requires_grad=True)
    none = Rois(torch.zeros(0, 1, 32, 32), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64),
                torch.zeros(0), (16, 16))  # fmt: skip
    found = inside_boxes(distances, none)
    found.backward()
    assert found.item() == 0
    assert not distances.grad.any()
