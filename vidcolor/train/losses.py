"""What training minimizes: distance to the true color, as a value or as a class, and flicker.

All are computed in float32 whatever autocast says, and are means over all pixels, those that a
mask leaves out counted as 0. So the loss of a batch is the mean of the losses of its equal parts,
however gradients are accumulated and pictures divided among machines.

Reference: Zhang et al., ECCV 2016 (arXiv:1603.08511): class cross entropy with rebalancing;
Zhang et al. 2017 (arXiv:1705.02999) and Su, Chu, Huang, CVPR 2020 (arXiv:2005.10825): Smooth L1;
Lai et al.: Learning Blind Video Temporal Consistency, ECCV 2018 (arXiv:1808.00449): the warped
difference of neighboring frames, masked where nothing corresponds; Iizuka, Simo-Serra, Ishikawa:
Let there be Color!, SIGGRAPH 2016, section 3.4: squared error of planes, and kinds of pictures;
Dahl: Automatic Colorization, 2016: squared error before and after two blurs; Larsson, Maire,
Shakhnarovich, ECCV 2016 (arXiv:1603.06668), section 3.3: a few points of each picture.
Differs: Dahl's public ports sum over pixels and picture where we take means, and one of them adds
the planes before it blurs.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.color.bins import at_least_float32, soft_encode
from vidcolor.color.lab import lab_to_rgb
from vidcolor.models.objective import pixel_loss
from vidcolor.records import Rois
from vidcolor.train.data.batch import Pair

__all__ = [
    "RegressionKind",
    "TemporalGradient",
    "at_points",
    "blurred",
    "color_classes",
    "colored",
    "dahl_distance",
    "distance",
    "inside_boxes",
    "label_entropy",
    "plane_distance",
    "rgb_of",
    "temporal",
    "to_grid",
    "warp_back",
]

RegressionKind = Literal["smooth_l1", "l1", "l2"]
TemporalGradient = Literal["both", "later"]

# rows of Dahl's blurs over 3 and 5 pixels; integers over their sum
_BLURS = {
    3: ((1, 2, 1), (2, 4, 2), (1, 2, 1)),
    5: (
        (1, 4, 7, 4, 1),
        (4, 16, 26, 16, 4),
        (7, 26, 41, 26, 7),
        (4, 16, 26, 16, 4),
        (1, 4, 7, 4, 1),
    ),
}


def to_grid(pred: Tensor, like: Tensor) -> Tensor:
    """A network's answer on the grid of the target.

    Args:
        pred: (N, C, H, W) of any size.
        like: (N, ?, h, w).

    Returns:
        (N, C, h, w), at least float32; bilinear where the sizes differ.
    """
    pred = at_least_float32(pred)
    size = like.shape[2:]
    if pred.shape[2:] == size:
        return pred
    return F.interpolate(pred, size=size, mode="bilinear", align_corners=False)


def distance(
    pred: Tensor, target: Tensor, kind: RegressionKind = "smooth_l1", delta: float = 10.0
) -> Tensor:
    """Distance of colors at each pixel, in units of `delta`.

    With the errors e of a and b divided by `delta`, a pixel counts as the sum over both of
    e^2 / 2 for |e| < 1, else |e| - 1/2 (`smooth_l1`; `pixel_loss(...).mean() / delta`), of |e|
    (`l1`), or of e^2 / 2 (`l2`; half the squared a*b* distance over `delta` squared). So small
    errors have the same gradient under `smooth_l1` and `l2`, large ones under `smooth_l1` and
    `l1`.

    Args:
        pred: (N, 2, H, W) a*b*, resized to the target's grid if need be.
        target: (N, 2, h, w) a*b*.
        kind: Which distance.
        delta: a*b* units.

    Returns:
        (N, 1, h, w).

    Raises:
        ValueError: If `kind` is unknown or `delta` not positive.
    """
    if delta <= 0:
        raise ValueError(f"delta must be positive, not {delta}")
    pred, target = to_grid(pred, target), at_least_float32(target)
    if kind == "smooth_l1":
        return pixel_loss(pred, target, delta) / delta
    error = (pred - target) / delta
    if kind == "l1":
        return error.abs().sum(1, keepdim=True)
    if kind == "l2":
        return error.square().sum(1, keepdim=True) / 2
    raise ValueError(f"no distance {kind!r}; there are smooth_l1, l1 and l2")


def plane_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Squared distance of planes at each pixel, mean over them (Iizuka et al.).

    Args:
        pred: (N, C, H, W) in 0..1 (`color.spaces`), resized to the target's grid if need be.
        target: (N, C, h, w) of the same space.

    Returns:
        (N, 1, h, w).

    Raises:
        ValueError: If the numbers of planes differ.
    """
    if pred.shape[1] != target.shape[1]:
        raise ValueError(f"{pred.shape[1]} planes cannot be compared with {target.shape[1]}")
    pred, target = to_grid(pred, target), at_least_float32(target)
    return (pred - target).square().mean(1, keepdim=True)


def dahl_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Mean of `plane_distance` as it is and after blurs over 3 and 5 pixels (Dahl).

    Args:
        pred: (N, C, H, W) in 0..1, resized to the target's grid if need be.
        target: (N, C, h, w) of the same space.

    Returns:
        (N, 1, h, w).
    """
    pred, target = to_grid(pred, target), at_least_float32(target)
    pairs = [(pred, target), *((blurred(pred, n), blurred(target, n)) for n in _BLURS)]
    return torch.stack([plane_distance(*pair) for pair in pairs]).mean(0)


def blurred(planes: Tensor, side: int) -> Tensor:
    """Planes after Dahl's blur, each by itself; beyond the border they are 0.

    Args:
        planes: (N, C, H, W).
        side: Of the kernel, 3 or 5 pixels.

    Returns:
        (N, C, H, W).
    """
    kernel = planes.new_tensor(_BLURS[side])
    kernel = (kernel / kernel.sum()).expand(planes.shape[1], 1, side, side)
    with torch.autocast(planes.device.type, enabled=False):
        return F.conv2d(planes, kernel, padding=side // 2, groups=planes.shape[1])


def at_points(maps: Tensor, points: Tensor) -> Tensor:
    """The cells of maps in which points lie.

    Args:
        maps: (N, C, h, w).
        points: (N, P, 2) x and y in parts of the width and height, 0..1.

    Returns:
        (N, C, 1, P): a picture of one row.
    """
    height, width = maps.shape[2:]
    column = (points[..., 0] * width).long().clamp(max=width - 1)
    row = (points[..., 1] * height).long().clamp(max=height - 1)
    places = (row * width + column)[:, None].expand(-1, maps.shape[1], -1)
    return maps.flatten(2).gather(2, places)[:, :, None]


def label_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of kinds of pictures.

    Args:
        logits: (N, K).
        labels: (N,) int64 true kinds, -1 where it is not known.

    Returns:
        Mean over pictures, those of unknown kind as 0; in nats.
    """
    return F.cross_entropy(
        at_least_float32(logits), labels, ignore_index=-1, reduction="none"
    ).mean()


def rgb_of(lightness: Tensor, ab: Tensor) -> Tensor:
    """The picture that a color makes, through which gradients go.

    Args:
        lightness: (N, 1, H, W) L* in 0..100.
        ab: (N, 2, h, w) a*b*, resized to the grid of `lightness` if need be.

    Returns:
        (N, 3, H, W) gamma-coded R'G'B', at least 0, above 1 where it is out of gamut; at least
        float32.
    """
    ab = to_grid(ab, lightness)
    return lab_to_rgb(torch.cat((lightness.to(ab.dtype), ab), 1))


def inside_boxes(distances: Tensor, rois: Rois) -> Tensor:
    """Mean over instances of the mean distance inside their boxes.

    Args:
        distances: (N, 1, h, w), see `distance`.
        rois: Instances of the N pictures; a box covers at least the cell that it lies in.

    Returns:
        A scalar; 0 without instances.
    """
    height, width = distances.shape[2:]
    scale = rois.boxes.new_tensor([width / rois.size[1], height / rois.size[0]] * 2)
    corners = (rois.boxes * scale).cpu()
    low = corners[:, :2].floor().long().clamp(min=0)
    high = corners[:, 2:].ceil().long()
    means = []
    for frame, (left, top), (right, bottom) in zip(
        rois.frame.tolist(), low.tolist(), high.tolist(), strict=True
    ):
        left, top = min(left, width - 1), min(top, height - 1)
        cells = distances[frame, 0, top : max(bottom, top + 1), left : max(right, left + 1)]
        means.append(cells.mean())
    return torch.stack(means).mean() if means else distances.sum() * 0


def colored(target: Tensor, limit: float = 5.0) -> Tensor:
    """Which pictures have color at all.

    Args:
        target: (N, 2, h, w) a*b*.
        limit: A picture has color if some |a| or |b| exceeds it; 5 in the code of Zhang et al.

    Returns:
        (N, 1, 1, 1) of `target`'s type, 1 or 0.
    """
    return (target.abs().amax((1, 2, 3), keepdim=True) > limit).to(target.dtype)


def color_classes(
    logits: Tensor,
    target: Tensor,
    centers: Tensor,
    weights: Tensor | None = None,
    k: int = 5,
    sigma: float = 5.0,
    gray_limit: float = 0.0,
) -> Tensor:
    """Cross entropy against softly encoded colors.

    Args:
        logits: (N, Q, H, W), one a bin, resized to the target's grid if need be.
        target: (N, 2, h, w) a*b*.
        centers: (Q, 2) a*b* of the bins (`color.bins.gamut_bins`); best kept on the CPU.
        weights: (Q,) of the bins (`color.bins.rebalance`); a pixel has that of the bin nearest to
            its true color. None: all 1.
        k: Bins that share a color.
        sigma: Of the Gaussian that divides it, a*b* units.
        gray_limit: Pictures in which no |a| or |b| exceeds it count as 0; 0 or less: all count.

    Returns:
        Weighted mean over pixels, in nats.

    Raises:
        ValueError: If there is not one logit and one weight a bin.
    """
    if logits.shape[1] != len(centers):
        raise ValueError(f"logits must be one a bin, {len(centers)}, not {logits.shape[1]}")
    if weights is not None and weights.shape != (len(centers),):
        raise ValueError(f"weights must be ({len(centers)},), not {tuple(weights.shape)}")
    logits, target = to_grid(logits, target), at_least_float32(target)
    numbers, shares = soft_encode(target, centers, k, sigma)
    # only the k logits of each pixel are looked up: no picture of all log-probabilities is made
    expected = (logits.gather(1, numbers) * shares).sum(1)
    entropy = logits.logsumexp(1) - expected
    if weights is not None:
        entropy = entropy * weights.to(entropy)[numbers[:, 0]]
    if gray_limit > 0:
        entropy = entropy * colored(target, gray_limit)[:, 0]
    return entropy.mean()


def warp_back(later: Tensor, motion: Tensor) -> Tensor:
    """What lies at p + motion(p), brought to p.

    Args:
        later: (N, C, h, w).
        motion: (N, 2, h, w) x and y in cells of the same grid.

    Returns:
        (N, C, h, w) float32 (float64 if `later` is), bilinear, the border repeated.
    """
    later = at_least_float32(later)
    height, width = later.shape[2:]
    x = torch.arange(width, device=later.device, dtype=later.dtype)
    y = torch.arange(height, device=later.device, dtype=later.dtype)[:, None]
    # -1 and 1 are the outer edges of the outermost cells, whose centers lie half a cell inside
    across = (2 * (x + motion[:, 0]) + 1) / width - 1
    down = (2 * (y + motion[:, 1]) + 1) / height - 1
    place = torch.stack((across, down), dim=3).to(later)
    with torch.autocast(later.device.type, enabled=False):
        return F.grid_sample(
            later, place, mode="bilinear", padding_mode="border", align_corners=False
        )


def temporal(
    pred: Tensor,
    later_pred: Tensor,
    pair: Pair,
    delta: float = 2.0,
    gradient: TemporalGradient = "both",
) -> Tensor:
    """How much the color of a surface changes from one frame to the next.

    Smooth L1 between the prediction and the later one warped back along the motion, where the
    later frame shows the same surface. In units of `delta`, as `distance` is.

    Args:
        pred: (N, 2, H, W) a*b* of the first frame, resized to the grid of `pair.motion` if need
            be.
        later_pred: The same of the later frame.
        pair: The later frame's motion and what of it is seen.
        delta: Changes below it count squared, a*b* units; about what an eye just notices.
        gradient: Which prediction learns. `both`: they meet halfway; but the cheapest steady
            color is gray, so the weight must stay low. `later`: the first is held as given, which
            leaves it to the true color to say what both should be.

    Returns:
        Mean over all pixels, those not seen as 0.

    Raises:
        ValueError: If `gradient` is unknown or `delta` not positive.
    """
    if delta <= 0:
        raise ValueError(f"delta must be positive, not {delta}")
    if gradient not in ("both", "later"):
        raise ValueError(f"gradient must be both or later, not {gradient!r}")
    first = to_grid(pred, pair.motion)
    if gradient == "later":
        first = first.detach()
    moved = warp_back(to_grid(later_pred, pair.motion), pair.motion)
    return (pixel_loss(first, moved, delta) * pair.seen.to(first)).mean() / delta
