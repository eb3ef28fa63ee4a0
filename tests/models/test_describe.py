import torch

from vidcolor.models.registry import create_model


def test_maps_of_what_the_encoder_sees():
    torch.manual_seed(0)
    net = create_model("quarternet", width=8, fusion=False).eval()
    lightness = torch.rand(2, 1, 64, 96) * 100
    maps = net.describe(lightness)
    assert [tuple(m.shape) for m in maps] == [
        (2, 8, 16, 24), (2, 16, 8, 12), (2, 26, 4, 6), (2, 32, 2, 3)
    ]  # fmt: skip
    # the decoder starts from just these maps
    with torch.no_grad():
        for parameter in net.encoder.bottom.parameters():
            parameter.zero_()
        again = net.describe(lightness)
    for number in range(3):
        assert torch.equal(maps[number], again[number])
    assert not torch.equal(maps[3], again[3])
