"""Narrow colorizers on VGG-16, and what learns them by heart."""

import torch
from torch import nn

from vidcolor.models.registry import create_model

NETS = {
    "hypercolumn": {},
    "hypercolumn of 1x1": {"kernel": 1},
    "hypercolumn in UV, narrow": {"space": "yuv", "narrow": True},
    "residual_encoder": {},
    "residual_encoder in RGB, widened": {"space": "rgb", "widened": True},
}


def make(name, width=8, seed=0, **settings):
    """A network that was somewhere else than at its start."""
    torch.manual_seed(seed)
    net = create_model(name.split()[0], width=width, **NETS.get(name, {}) | settings)
    for key, value in net.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif key.endswith("running_var"):
            # of weights that start with a deviation of 0.01, convolutions say little
            value.uniform_(0.5, 1.5).mul_(1e-3 if "ups" in key or "mend" in key else 1)
        elif key.startswith("head.") and key.endswith("bias"):
            value.normal_(0, 0.2)
    last = next(m for m in [*net.modules()][::-1] if isinstance(m, nn.BatchNorm2d))
    nn.init.uniform_(last.weight, 0.5, 1)
    last.running_var.mul_(0.02)
    return net.eval()


def light(n, height=32, width=48, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1, height, width, generator=random) * 100


def learn(net, answer, target, steps=40):
    """Losses of one batch, over and over."""
    learning = [p for key, p in net.named_parameters() if key.startswith(net.part("full"))]
    optimizer = torch.optim.Adam(learning, 0.02)
    net.train()
    losses = []
    for _ in range(steps):
        loss = (answer() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
