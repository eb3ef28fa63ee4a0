import torch

from vidcolor.models.objective import (
    class_to_color,
    color_class,
    color_range,
    mean_color,
    pixel_loss,
    rate_factor,
)


def _ab(a, b):
    return torch.tensor([a, b]).view(1, 2, 1, 1).float()


def test_classes_by_hand():
    assert color_class(_ab(-110, -110)).item() == 0
    assert color_class(_ab(0, 0)).item() == 11 * 23 + 11
    assert color_class(_ab(110, 110)).item() == 528
    assert color_class(_ab(20, -30)).item() == 13 * 23 + 8
    # half a step goes to the even neighbor: 11.5 -> 12, 10.5 -> 10
    assert color_class(_ab(5, -5)).item() == 12 * 23 + 10


def test_decoding_undoes_encoding_at_the_centers():
    number = torch.arange(529).view(1, 1, 23, 23)
    assert torch.equal(color_class(class_to_color(number)), number)


def test_mean_color_of_two_classes():
    p = torch.zeros(1, 529, 1, 1)
    p[0, 23 * 13 + 8] = 0.25  # a 20, b -30
    p[0, 23 * 11 + 12] = 0.75  # a 0, b 10
    torch.testing.assert_close(mean_color(p), _ab(5, 0))


def test_loss_by_hand():
    pred, target = _ab(0.5, 2.0), _ab(0.0, 0.0)
    # |0.5| < 1: 0.125; |2| > 1: 1.5
    assert pixel_loss(pred, target, delta=1.0).item() == 1.625
    assert pixel_loss(pred, target).shape == (1, 1, 1, 1)


def test_range_and_rate():
    ab = torch.zeros(2, 2, 4, 4)
    ab[0, 0, 1, 1], ab[0, 1, 2, 2] = 7, -4
    assert color_range(ab).tolist() == [11, 0]
    assert [rate_factor(e, 2, 3) for e in range(5)] == [1, 1, 0.75, 0.5, 0.25]
