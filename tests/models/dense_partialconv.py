"""Partial convolutions as their definition has them: dense masks, one product, float64.

Slow and plain, to compare with: every channel has a mask of its own, and nothing is shared with
vidcolor. Networks are those of naoto0804's naming.
"""

import numpy as np
import torch
import torch.nn.functional as F


def by_loops(x, mask, weight, bias, stride=1, padding=0, dilation=1):
    """A layer window by window: (n, c, h, w) arrays, `mask` of the same shape; output and mask."""
    n, _, height, width = x.shape
    many, _, side, _ = weight.shape
    around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x, mask = np.pad(np.where(mask > 0, x, 0.0), around), np.pad(mask, around)
    reach = dilation * (side - 1) + 1
    h, w = ((s + 2 * padding - reach) // stride + 1 for s in (height, width))
    out, valid = np.zeros((n, many, h, w)), np.zeros((n, 1, h, w))
    for i in range(n):
        for top in range(h):
            for left in range(w):
                rows = slice(top * stride, top * stride + reach, dilation)
                columns = slice(left * stride, left * stride + reach, dilation)
                count = mask[i, :, rows, columns].sum()
                if count:
                    seen = (weight * x[i, :, rows, columns]).sum((1, 2, 3))
                    out[i, :, top, left] = seen * (weight[0].size / count) + bias
                    valid[i, 0, top, left] = 1
    return out, valid


def dense_layer(x, mask, weight, bias, stride, divides_by_count):
    """Output and mask of a layer; it multiplies by N/S, or divides by S alone."""
    padding = weight.shape[-1] // 2
    raw = F.conv2d(x * mask, weight, None, stride, padding)
    count = F.conv2d(mask, torch.ones_like(weight), None, stride, padding)
    cells = 1 if divides_by_count else weight[0].numel()
    out = raw * cells / count.clamp(min=1)
    if bias is not None:
        out = out + bias.view(1, -1, 1, 1)
    valid = (count > 0).to(x.dtype)
    return out * valid, valid


def dense_net(tensors, image, mask, divides_by_count):
    """The answer of a network in evaluation; `mask` is (N, 1, H, W)."""
    tensors = {key: value.double() for key, value in tensors.items()}
    depth = max(int(key.split(".")[0][4:]) for key in tensors if key.startswith("enc_"))

    def block(name, x, m, stride, slope):
        weight = tensors[f"{name}.conv.input_conv.weight"]
        bias = tensors.get(f"{name}.conv.input_conv.bias")
        x, m = dense_layer(x, m, weight, bias, stride, divides_by_count)
        if f"{name}.bn.weight" in tensors:
            scale, shift, mean, var = (
                tensors[f"{name}.bn.{part}"].view(1, -1, 1, 1)
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            x = (x - mean) / torch.sqrt(var + 1e-5) * scale + shift
        return (x if slope is None else torch.where(x > 0, x, slope * x)), m

    x, m = image.double(), mask.double().expand(image.shape)
    kept = [(x, m)]
    for i in range(depth):
        kept.append(block(f"enc_{i + 1}", *kept[-1], 2, 0.0))
    x, m = kept.pop()
    for i in range(depth, 0, -1):
        skip, skip_mask = kept.pop()
        x, m = (part.repeat_interleave(2, 2).repeat_interleave(2, 3) for part in (x, m))
        x, m = torch.cat((x, skip), 1), torch.cat((m, skip_mask), 1)
        x, m = block(f"dec_{i}", x, m, 1, 0.2 if i > 1 else None)
    return x


def random_net(width, depth, channels, first_bias=False, seed=0):
    """A network's entries, in naoto0804's naming, of sensible size for N/S."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [channels, *(width * unit for unit in (1, 2, 4, 8, 8, 8, 8, 8)[:depth])]
    tensors = {}

    def put(name, into, out, side, norm, bias):
        shape = (out, into, side, side)
        scale = (2 / (into * side**2)) ** 0.5
        tensors[f"{name}.conv.input_conv.weight"] = scale * torch.randn(shape, generator=generator)
        if bias:
            tensors[f"{name}.conv.input_conv.bias"] = 0.3 * torch.randn(out, generator=generator)
        if norm:
            tensors[f"{name}.bn.weight"] = 1 + 0.1 * torch.randn(out, generator=generator)
            tensors[f"{name}.bn.bias"] = 0.2 * torch.randn(out, generator=generator)
            tensors[f"{name}.bn.running_mean"] = 0.1 * torch.randn(out, generator=generator)
            tensors[f"{name}.bn.running_var"] = 0.5 + torch.rand(out, generator=generator)
            tensors[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)

    for i in range(depth):
        side = (7, 5, 5, 3, 3, 3, 3, 3)[i]
        put(f"enc_{i + 1}", sizes[i], sizes[i + 1], side, i > 0, first_bias and i == 0)
    for i in range(depth):
        into = sizes[i + 1] + sizes[i]
        # above the deepest, the one before gives as many channels as the encoder's layer has
        put(f"dec_{i + 1}", into, sizes[i], 3, i > 0, i == 0)
    return tensors
