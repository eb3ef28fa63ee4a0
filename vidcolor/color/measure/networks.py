"""Files of the networks that metrics see through: found, read as tensors only, loaded strictly."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.given import open_file
from vidcolor.tensor_file import load_saved

__all__ = ["load_strictly", "read_file"]

_SHOWN = 3  # keys that an error names


def read_file(path: Path, what: str, get: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU; one that holds more than tensors is refused.

    Args:
        path: Of the file, as `torch.save` writes it.
        what: Whose it is, for errors.
        get: What to do where it is missing or damaged, for errors.

    Raises:
        WeightsError: If it is missing, damaged, or holds anything else.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing: {what}; {get}")
    try:
        with open_file(path) as file:
            content = load_saved(file)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path} is damaged, or holds more than tensors and is refused; expected {what}; {get}"
        ) from None
    except (OSError, ValueError) as error:
        line = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{path} cannot be read: {line}; expected {what}; {get}") from None
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no named tensors; expected {what}; {get}")
    return content


def _some(keys: Iterable[str]) -> str:
    keys = sorted(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def load_strictly(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    path: Path,
    what: str,
    names: Mapping[str, str] | None = None,
) -> None:
    """Fill a network from a file that must fit it key by key and shape by shape.

    Args:
        module: To be filled.
        tensors: What the file holds.
        path: Of the file, for errors.
        what: Which network it is, for errors.
        names: The keys that the file must have, and those of `module` that they are; the same
            ones if not given.

    Raises:
        WeightsError: If a key is missing, unknown, or of another shape; keys are named.
    """
    state = module.state_dict()
    names = {key: key for key in state} if names is None else names
    missing = [key for key in names if key not in tensors]
    unknown = [key for key in tensors if key not in names]
    if missing or unknown:
        lack = f", lacks {_some(missing)}" if missing else ""
        odd = f", has unknown {_some(unknown)}" if unknown else ""
        raise WeightsError(f"{path} is not {what}{lack}{odd}")
    for key, name in names.items():
        found, expected = tuple(tensors[key].shape), tuple(state[name].shape)
        if found != expected:
            raise WeightsError(f"{path} is not {what}: {key} is {found}, not {expected}")
    module.load_state_dict({name: tensors[key] for key, name in names.items()})
