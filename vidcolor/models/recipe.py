"""Weights by formula: a value depends only on a salt, the entry's name and its shape.

Two programs that fill the same network by the same formula must give the same numbers, so an
implementation can be compared with another one without any weight file
(`scripts/check_parity.py`), and a network can be run, timed and exported before anybody has trained
it (`--weights recipe`). The colors mean nothing.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ["fan_in_value", "fill", "recipe_state", "trunk_value", "unit"]

Array = npt.NDArray[Any]
Value = Callable[[str, tuple[int, ...], torch.dtype], Array]
"""Value of an entry by its key, shape and type."""

_SALT = "vidcolor"
_MEAN_STD = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # ImageNet
_FREE = ("query_feat.", "query_embed.", "level_embed.")  # vectors that nothing is summed over
_POWER_ROUNDS = 3
_VARIANCE = (0.1, 0.2)
_OWN_VARIANCE = (0.5, 1.5)  # near what layers give of such weights: no network runs away


def unit(name: str, shape: tuple[int, ...]) -> Array:
    """Float64 in [0, 1) by PCG64 of the CRC-32 of a name, in C order."""
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)


def trunk_value(salt: str, tag: str, key: str, shape: tuple[int, ...]) -> Array:
    """An entry of the networks of Zhang et al. and Su et al., float32, or int64 for counters."""
    if key.endswith("num_batches_tracked"):
        return np.ones(shape, np.int64)
    u = 2 * unit(f"{salt}|{tag}.{key}", shape) - 1
    if key == "model_out.weight":
        value = u
    elif key.endswith("weight") and len(shape) == 4:
        fan = 4 * shape[0] if shape[2:] == (4, 4) else int(np.prod(shape[1:]))
        value = u * np.sqrt(6 / fan)
        if key.endswith("_conv.4.weight") or key == "model8.6.weight":
            value = value * 6
        elif key == "model_out.0.weight":
            value = value * 0.6
    elif key.endswith("weight"):
        value = 1 + 0.25 * u
    elif key.endswith("_conv.4.bias"):
        value = 1 + 0.5 * u
    elif key.endswith("bias"):
        value = 0.1 * u
    elif key.endswith("running_mean"):
        value = 0.3 + 0.2 * u
    elif key.endswith("running_var"):
        value = 1 + 0.5 * u
    else:
        raise KeyError(key)
    return value.astype(np.float32)


def fan_in_value(
    salt: str,
    key: str,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    variance: tuple[float, float] = _VARIANCE,
) -> Array:
    """An entry of any other network, float32, or int64 for counters.

    Args:
        salt: Of the set.
        key: Of the state dict.
        shape: Of the entry.
        dtype: Of the entry; integers are 0.
        variance: Range of running variances: that of what the layer before gives.
    """
    if not dtype.is_floating_point:
        return np.zeros(shape, np.int64)
    last = key.rpartition(".")[2]
    if key in _MEAN_STD:
        return np.array(_MEAN_STD[key], np.float32).reshape(shape)
    u = unit(f"{salt}/{key}", shape)
    x = 2 * u - 1
    low, high = variance
    if last == "running_var":
        value = low + (high - low) * u
    elif last == "running_mean":
        value = 0.05 * x
    elif last == "weight_g":
        value = 0.5 + u
    elif last == "gamma":
        value = 0.2 + 0.1 * x
    elif last == "weight_u" or (last == "weight_v" and len(shape) == 1) or _is_free(key):
        value = x
    elif len(shape) > 1:
        value = x * np.sqrt(6 / np.prod(shape[1:]))
    else:
        value = 1 + 0.2 * x if last == "weight" else 0.1 * x
    return np.asarray(value, np.float32)


def _is_free(key: str) -> bool:
    return any(part in key for part in _FREE)


def recipe_state(entries: Mapping[str, Tensor], value: Value) -> dict[str, Tensor]:
    """A state dict by formula.

    Vectors of spectral norm (`weight_u`, `weight_v`) become the first singular ones of their
    `weight_orig`, by three rounds of power iteration from where the formula begins.

    Args:
        entries: Keys, shapes and types, perhaps on the meta device.
        value: The formula.
    """
    state = {
        key: torch.from_numpy(value(key, tuple(entry.shape), entry.dtype))
        for key, entry in entries.items()
    }
    for key in [key for key in state if key.endswith("weight_orig")]:
        stem = key.removesuffix("_orig")
        matrix = state[key].double().flatten(1)
        u = nn.functional.normalize(state[f"{stem}_u"].double(), dim=0)
        v = u
        for _ in range(_POWER_ROUNDS):
            v = nn.functional.normalize(matrix.T @ u, dim=0)
            u = nn.functional.normalize(matrix @ v, dim=0)
        state[f"{stem}_u"], state[f"{stem}_v"] = u.float(), v.float()
    return state


def _own_value(
    variances: Mapping[str, tuple[float, float]],
    key: str,
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Array:
    fitting = (limits for prefix, limits in variances.items() if key.startswith(prefix))
    return fan_in_value(_SALT, key, shape, dtype, next(fitting, _OWN_VARIANCE))


def fill(module: nn.Module, value: Value | None = None) -> nn.Module:
    """Give a network its weights by formula.

    Args:
        module: Is changed; may lie on the meta device, and is on the CPU afterwards.
        value: The formula; none is `fan_in_value` with a salt of our own, and running variances
            around 1, or in the ranges that a network gives by prefix in an attribute `variances`.

    Returns:
        `module`, in evaluation mode.
    """
    formula = value or functools.partial(_own_value, getattr(module, "variances", {}))
    module.load_state_dict(recipe_state(module.state_dict(), formula), assign=True)
    return module.eval()
