"""A network and a phase small enough to see through."""

import torch
import torch.nn.functional as F
from torch import nn

from vidcolor.color.spaces import ColorSpace
from vidcolor.errors import WeightsError
from vidcolor.records import Rois
from vidcolor.train.adversary import Adversary, PatchCritic
from vidcolor.train.data.batch import Batch


class Net(nn.Module):
    """Color of pictures, and of instances where there are any."""

    def __init__(self, norm=True, dropout=0.0):
        super().__init__()
        # a bias before batch norm would follow nothing but rounding
        self.first = nn.Conv2d(1, 4, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.drop = nn.Dropout(dropout)
        self.last = nn.Conv2d(4, 2, 1)
        self.instance = nn.Conv2d(1, 2, 1)

    def forward(self, lightness, rois=None):
        x = self.drop(F.relu(self.norm(self.first(lightness / 100))))
        ab = 10 * self.last(x)
        if rois is not None and len(rois):
            ab = ab.index_add(0, rois.frame, self.instance(rois.crops / 100))
        return ab


class Toy:
    """A phase; `part` names what learns."""

    def __init__(
        self, model, view="whole", part=("first", "norm", "last"), critic=False, until=0.0
    ):
        self.model = model
        self.view = view
        self.part = part
        self.adversary = Adversary(PatchCritic(1, 4), until=until) if critic else None
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(part))

    def learns(self):
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)

    def train_mode(self):
        self.model.train()

    def losses(self, batch):
        pred = self.colors(batch)
        # the mean of means over pictures, so that parts of a batch weigh as they are long
        values = {"l2": (pred - batch.ab).square().mean() / 100}
        if self.adversary:
            values["adversarial"] = 0.1 * self.adversary.generator_loss(batch.lightness, pred)
        return values, pred

    def colors(self, batch):
        return self.model(batch.lightness, batch.rois)


def toy(seed=0, *, norm=True, dropout=0.0, **phase):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Toy(Net(norm, dropout), **phase)


def batch(step, count=4, side=8):
    """A batch that is a function of its number; color follows from lightness."""
    random = torch.Generator().manual_seed(100 + step)
    lightness = 100 * torch.rand(count, 1, side, side, generator=random)
    ab = torch.cat((lightness / 4 - 10, 15 - lightness / 5), 1)
    return Batch(lightness, ab)


def with_rois(one, frames):
    """The same batch with an instance in each of `frames`."""
    side = one.lightness.shape[2]
    crops = one.lightness[list(frames)].flip(3)
    boxes = torch.tensor([[0.0, 0.0, side, side]] * len(frames)).view(-1, 4)
    rois = Rois(
        crops, boxes, torch.tensor(frames, dtype=torch.int64), torch.ones(len(frames)), (side, side)
    )
    return Batch(one.lightness, one.ab, rois)


def weights(state):
    return {k: v.clone() for k, v in state.phase.model.state_dict().items()}


class Painter(nn.Module):
    """Says planes, planes at points, and kinds of pictures; adopts a trunk. See `registry`."""

    idle: tuple[str, ...] = ("classify.",)

    def __init__(self, space="lab", labels=3):
        super().__init__()
        self.space = ColorSpace(space, 100.0)
        self.labels = labels
        self.trunk = nn.Conv2d(1, 6, 1)
        self.head = nn.Conv2d(6, self.space.channels, 1)
        self.classify = nn.Linear(6, labels)
        self.adopted = None

    def _see(self, lightness):
        return torch.tanh(self.trunk(lightness / 50 - 1))

    def part(self, phase, classes=False):
        return ("trunk.", "head.", "classify.")

    def inherit(self, phase):
        pass

    def answer_planes(self, phase, lightness, rois=None, hints=None):
        return torch.sigmoid(self.head(self._see(lightness)))

    def answer(self, phase, lightness, rois=None, hints=None):
        return self.space.decode(self.answer_planes(phase, lightness), lightness)

    def forward(self, lightness, rois=None, hints=None):
        return self.answer("full", lightness)

    def answer_at(self, phase, lightness, points):
        planes = self.answer_planes(phase, lightness)
        return F.grid_sample(planes, 2 * points[:, None] - 1, align_corners=False)[:, :, 0]

    def answer_labels(self, phase, lightness):
        seen = self._see(lightness)
        return self.classify(seen.mean((2, 3))), torch.sigmoid(self.head(seen))

    def adopt(self, tensors, of):
        if of != "trunkish":
            raise WeightsError(f"painter can begin with trunkish, not with {of}")
        self.trunk.load_state_dict(dict(tensors))
        self.adopted = of


def narrow_vgg():
    """Layers in the order of torchvision's vgg16_bn, a few channels each."""
    torch.manual_seed(3)
    layers, before = [], 3
    for width in (2, 2, "M", 3, 3, "M", 4, 4, 4, "M", 4, 4, 4, "M", 4, 4, 4, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True)]
        before = width
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.1, 0.3)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.uniform_(layer.bias, 0.1, 0.4)
    return net
