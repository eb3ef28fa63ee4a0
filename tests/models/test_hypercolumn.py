import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from vgg_nets import learn, light, make

from vidcolor.models.registry import create_model

KINDS = [{}, {"kernel": 1}, {"narrow": True}]


def _centers(height, width):
    """(1, H * W, 2) x and y of all pixels, in parts of the picture."""
    y, x = np.mgrid[:height, :width]
    points = np.stack(((x + 0.5) / width, (y + 0.5) / height), -1).reshape(1, -1, 2)
    return torch.from_numpy(points.astype(np.float32))


def _column(net, lightness):
    """The hypercolumns of one picture, enlarged by OpenCV and joined."""
    size = lightness.shape[:1:-1]
    joined = []
    for tap in net.taps(lightness):
        maps = [cv2.resize(m, size, interpolation=cv2.INTER_LINEAR) for m in tap[0].numpy()]
        joined.append(np.stack(maps))
    return torch.from_numpy(np.concatenate(joined))[None]


def test_the_column_has_963_channels_at_full_width():
    with torch.device("meta"):
        net = create_model("hypercolumn")
        narrow = create_model("hypercolumn", narrow=True, space="rgb")
    shapes = [tuple(p.shape) for p in net.head.parameters() if p.ndim > 1]
    assert shapes == [(128, 963, 3, 3), (64, 128, 3, 3), (2, 64, 3, 3)]
    shapes = [tuple(p.shape) for p in narrow.head.parameters() if p.ndim > 1]
    assert shapes == [(128, 963, 3, 3), (64, 128, 3, 3), (3, 64, 3, 3), (3, 3, 3, 3)]
    assert not [key for key, _ in net.head.named_parameters() if "conv" in key and "bias" in key]
    assert {norm.eps for norm in net.head.norms} == {1e-3}


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_of_the_column_that_is_never_built(kernel):
    net, lightness = make("hypercolumn", kernel=kernel), light(1, 24, 40)
    column = _column(net, lightness)
    assert column.shape == (1, 3 + 8 + 16 + 32 + 64, 24, 40)
    weight = net.head.column.weight
    direct = F.conv2d(column, weight, padding=kernel // 2)
    assert direct.std() > 0.5
    torch.testing.assert_close(net.head.column(net.taps(lightness)), direct, atol=1e-4, rtol=0)
    # each tap has a part in it
    for part in column.split(net.trunk.channels, 1):
        assert part.std() > 0.05


@torch.no_grad()
def test_the_head_is_batch_norm_and_relu_between_and_a_sigmoid_at_the_end():
    net, lightness = make("hypercolumn", narrow=True), light(1, 24, 40)
    x = _column(net, lightness)
    kernels = [p for p in net.head.parameters() if p.ndim > 1]
    for number, (weight, norm) in enumerate(zip(kernels, net.head.norms, strict=True)):
        x = F.conv2d(x.relu() if number else x, weight, padding=1)
        mean, var, gain, bias = (
            v[:, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        x = (x - mean) / (var + 1e-3).sqrt() * gain + bias
    planes = net.answer_planes("full", lightness)
    assert planes.std() > 0.03
    torch.testing.assert_close(planes, 1 / (1 + (-x).exp()), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("settings", KINDS)
def test_points_say_what_the_whole_picture_says_there(settings):
    net, lightness = make("hypercolumn", **settings), light(2, 16, 24)
    planes = net.answer_planes("full", lightness)
    at = net.answer_at("full", lightness, _centers(16, 24).expand(2, -1, -1))
    assert at.shape == (2, 2, 16 * 24)
    assert at.dtype == torch.float32
    torch.testing.assert_close(at, planes.flatten(2), atol=1e-5, rtol=0)


@torch.no_grad()
def test_pictures_have_their_own_points():
    net, lightness = make("hypercolumn"), light(2, 16, 24)
    planes = net.answer_planes("full", lightness)
    points = torch.tensor([[[0.5 / 24, 15.5 / 16]], [[23.5 / 24, 0.5 / 16]]])
    at = net.answer_at("full", lightness, points)
    torch.testing.assert_close(at[0, :, 0], planes[0, :, 15, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(at[1, :, 0], planes[1, :, 0, 23], atol=1e-5, rtol=0)


@torch.no_grad()
def test_with_3x3_a_point_stands_for_its_pixel():
    net, lightness = make("hypercolumn"), light(1, 16, 24)
    planes = net.answer_planes("full", lightness)
    x = torch.tensor([0.0, 3.01 / 24, 3.99 / 24, 1.0])
    points = torch.stack((x, torch.full((4,), 5.9 / 16)), 1)[None]
    at = net.answer_at("full", lightness, points)[0]
    torch.testing.assert_close(at, planes[0, :, 5, [0, 3, 3, 23]], atol=1e-5, rtol=0)


@torch.no_grad()
def test_with_1x1_columns_are_looked_up_between_pixels():
    net, lightness = make("hypercolumn", kernel=1), light(1, 16, 24)
    # between pixels 7 and 8 no coarser map has a pixel's center: halfway is the mean there
    mean = _column(net, lightness)[:, :, 5:6, 7:9].mean(3, keepdim=True)
    first, *rest = [p for p in net.head.parameters() if p.ndim > 1]
    x = net.head.norms[0](F.conv2d(mean, first))
    for weight, norm in zip(rest, net.head.norms[1:], strict=True):
        x = norm(F.conv2d(x.relu(), weight))
    at = net.answer_at("full", lightness, torch.tensor([[[8 / 24, 5.5 / 16]]]))
    torch.testing.assert_close(at[..., 0], x.sigmoid()[..., 0, 0], atol=1e-5, rtol=0)
    pixels = net.answer_planes("full", lightness)[..., 5, 7:9]
    assert (at - pixels).abs().max() > 1e-3


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("learn_trunk", [False, True])
def test_few_points_teach_the_whole_picture(settings, learn_trunk):
    torch.manual_seed(0)
    net = create_model("hypercolumn", width=8, learn_trunk=learn_trunk, **settings)
    lightness = F.interpolate(light(2, 4, 4), size=(16, 16), mode="bilinear")
    target = 0.3 + lightness.repeat(1, 2, 1, 1) / 300
    chosen = torch.randperm(256)[:40]
    points, wanted = _centers(16, 16)[:, chosen].expand(2, -1, -1), target.flatten(2)[:, :, chosen]
    losses = learn(net, lambda: net.answer_at("full", lightness, points), wanted)
    assert losses[-1] < 0.25 * losses[0]
    moved = {key for key, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {key for key, _ in net.named_parameters() if key.startswith(net.part("full"))}
    with torch.no_grad():
        whole = net.train().answer_planes("full", lightness)
    assert (whole - target).square().mean() < 0.5 * losses[0]


@torch.no_grad()
def test_points_in_half_precision_stay_near():
    net, lightness = make("hypercolumn"), light(1, 16, 24)
    points = _centers(16, 24)
    plain = net.answer_at("full", lightness, points)
    with torch.autocast("cpu", torch.bfloat16):
        half = net.answer_at("full", lightness, points)
    assert half.dtype == torch.float32
    assert (half - plain).abs().mean() < 0.05 * plain.std()


def test_points_are_checked():
    net = make("hypercolumn")
    for shape in ((2, 5, 2), (1, 5, 3), (5, 2)):
        with pytest.raises(ValueError, match=r"points must be \(1, P, 2\)"):
            net.answer_at("full", light(1, 16, 24), torch.zeros(shape))
