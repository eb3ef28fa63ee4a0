import torch
import torch.nn.functional as F
from torch import nn
from vgg_nets import light, make

from vidcolor.models.registry import create_model


def _convs(net):
    return [m for m in net.head.modules() if isinstance(m, nn.Conv2d)]


def _table(**settings):
    """Channels in and out and size of every convolution of the head, at 224x224."""
    with torch.device("meta"):
        net = create_model("residual_encoder", **settings)
    rows = []
    for layer in _convs(net):
        layer.register_forward_hook(
            lambda m, _x, y: rows.append(
                (m.in_channels, m.out_channels, m.kernel_size[0], len(y[0, 0]))
            )
        )
    net(torch.zeros(1, 1, 224, 224, device="meta"))
    return net, rows


def test_the_table_of_the_article():
    net, rows = _table()
    assert rows == [
        (512, 256, 1, 28),
        (256, 128, 3, 56),
        (128, 64, 3, 112),
        (64, 3, 3, 224),
        (3, 3, 3, 224),
        (3, 2, 3, 224),
    ]
    assert sum(layer.weight.numel() for layer in _convs(net)) == 501_575
    assert all(layer.bias is None for layer in _convs(net))
    norms = [m for m in net.head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sorted(m.num_features for m in norms) == [2, 3, 3, 3, 64, 64, 128, 128, 256, 512]
    assert {m.eps for m in norms} == {1e-3}


def test_widened_it_has_half_the_width_at_full_size():
    _, rows = _table(widened=True)
    assert rows[3:] == [(64, 32, 3, 224), (32, 32, 3, 224), (32, 2, 3, 224)]


def test_weights_start_from_a_cut_normal_distribution():
    torch.manual_seed(0)
    net = create_model("residual_encoder", width=16)
    weight = torch.cat([layer.weight.detach().flatten() for layer in _convs(net)])
    assert weight.abs().max() <= 0.02
    # of a normal distribution cut at two deviations, 0.8796 of the deviation is left
    torch.testing.assert_close(weight.std(), torch.tensor(0.008796), rtol=0.02, atol=0)


@torch.no_grad()
def test_guess_enlarge_add_and_mend():
    """The steps of the table, one by one."""
    net, lightness = make("residual_encoder"), light(2)
    state = net.head.state_dict()

    def norm(x, name):
        mean, var, gain, bias = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * gain + bias

    def conv(x, name):
        return norm(F.conv2d(x, state[f"{name}.0.weight"], padding=1), f"{name}.1")

    picture, conv1_2, conv2_2, conv3_3, conv4_3 = net.trunk(lightness)
    x = F.conv2d(norm(conv4_3, "norms.4"), state["deepest.weight"]).relu()
    for tap, here, up in (
        (conv3_3, "norms.3", "ups.0"),
        (conv2_2, "norms.2", "ups.1"),
        (conv1_2, "norms.1", "ups.2"),
    ):
        x = F.interpolate(x, size=tap.shape[2:], mode="bilinear") + norm(tap, here)
        x = conv(x, up).relu()
    # gray in three channels: each of the picture's differs from it by a scale and an offset only
    x = conv(x + norm(picture[:, [0, 0, 0]], "norms.0"), "mend").relu()
    planes = net.answer_planes("full", lightness)
    assert planes.std() > 0.03
    torch.testing.assert_close(planes, conv(x, "paint").sigmoid(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_statistics_of_the_taps_settle_and_are_used():
    """They see a frozen trunk, but have statistics of their own."""
    net, lightness = make("residual_encoder"), light(4, 16, 16)
    taps = net.taps(lightness)
    net.train()
    for _ in range(120):
        net(lightness)
    net.eval()
    for tap, norm in zip(taps[1:], net.head.norms[1:], strict=True):
        torch.testing.assert_close(norm.running_mean, tap.mean((0, 2, 3)), atol=1e-3, rtol=1e-3)
    before = net(lightness)
    net.head.norms[3].running_mean += 0.5
    assert (net(lightness) - before).abs().max() > 0.1
