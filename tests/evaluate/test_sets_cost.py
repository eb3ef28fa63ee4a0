"""Time, size and memory of networks, counted by hand."""

import pytest
import torch
from torch import nn

from vidcolor.evaluate.sets.cost import Meter, networks_of


class Plain(nn.Module):
    """40,000 bytes come in; two results of 40,000 and 20,000 are held at once, at most three."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1000))
        self.register_buffer("mean", torch.ones(500))

    def forward(self, x):
        first = x * 2  # 40,000 bytes
        second = first[..., ::2] + 1  # 20,000 more; the slice is none
        del first
        return second[..., ::2] * 3  # 10,000 while 20,000 are there


def test_memory_is_what_a_pass_holds_at_once_and_the_weights():
    net = Plain()
    x = torch.ones(1, 1, 100, 100)
    meter = Meter([net])
    with torch.inference_mode():
        answer = meter(lambda: net(x))
    assert answer.shape == (1, 1, 100, 25)
    cost = meter.cost()
    assert cost.memory_mb == pytest.approx((60_000 + 4_000 + 2_000) / 1e6)
    assert cost.parameters == 1000
    assert cost.sees == (100, 100)
    assert cost.gives == (100, 25)
    assert cost.seconds is None


def test_only_the_first_pass_is_looked_into_and_the_third_timed():
    net = Plain()
    meter = Meter([net])
    for side in (100, 8, 8):
        meter(lambda side=side: net(torch.ones(1, 1, side, side)))
    cost = meter.cost()
    assert cost.sees == (100, 100)
    assert cost.seconds > 0
    assert not net._forward_hooks


def test_clips_are_timed_by_the_frame():
    net = Plain()
    meter = Meter([net])

    def batches():
        for count in (3, 4):
            yield net(torch.ones(count, 1, 8, 8))

    taken = [len(batch) for batch in meter.follow(batches(), len)]
    assert taken == [3, 4]
    cost = meter.cost()
    assert cost.sees == (8, 8)
    assert 0 < cost.seconds < 1
    assert cost.memory_mb is None
    assert not net._forward_hooks


def test_networks_of_stages():
    class Stage:
        def __init__(self, model):
            self.model = model

    class Merged:
        def __init__(self, *parts):
            self.first, self.second = parts

    class Every:
        def __init__(self, colorize):
            self.colorize = colorize

    one, two = Plain(), Plain()
    assert networks_of(Every(Merged(Stage(one), Stage(two)))) == [one, two]
    assert networks_of(Every(Stage(one))) == [one]
    assert networks_of(Every(print)) == []
