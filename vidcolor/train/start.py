"""Where a phase begins: weights of earlier phases, of other networks, of trunks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.models.weights import (
    WeightsSpec,
    find,
    known_weights,
    load_model,
    read_card,
    read_tensors,
)
from vidcolor.train.phases import PhaseName

__all__ = ["complete", "start", "start_critic"]

_ORDER: tuple[PhaseName, ...] = ("full", "instance", "fusion")
_BACKBONE = "backbone"


def start(model: nn.Module, name: str, phase: PhaseName, weights: str | Path) -> None:
    """Give a new network its first values.

    Weights of an earlier phase are taken whole, and the part of `phase` begins as a copy of the
    part before (`Phased.inherit`); others, also foreign ones, just go on. Of another network, or
    of a trunk that classifies pictures, a network takes what it has a use for, if it can
    (`models.registry.Adopts`).

    Args:
        model: Is changed.
        name: Its registered name.
        phase: What is going to learn.
        weights: Name of known weights, or a file.

    Raises:
        WeightsError: If the weights are missing, damaged, or for another network.
    """
    before: Any = "full"
    backbone = _backbone(weights)
    if backbone is not None:
        spec, path = backbone
        _adopt(model, name, read_tensors(path), spec.model, weights)
    else:
        source, of = load_model(weights)
        if of == name:
            _take(model, source.state_dict(), str(weights))
            before = read_card(weights).get("phase")
        else:
            _adopt(model, name, source.state_dict(), of, weights)
    if phase in _ORDER and before in _ORDER:
        for later in _ORDER[_ORDER.index(before) + 1 : _ORDER.index(phase) + 1]:
            model.inherit(later)  # type: ignore[operator]  # Phased


def _backbone(weights: str | Path) -> tuple[WeightsSpec, Path] | None:
    """What is known of a trunk, by its name or that of its file, and where it lies."""
    for spec in known_weights():
        if spec.kind != _BACKBONE:
            continue
        if spec.name == str(weights):
            return spec, find(spec.name)
        path = Path(weights).expanduser()
        names = {name for file in spec.files for name in (file.name, file.published_name)}
        if path.name in names and path.is_file():
            return spec, path
    return None


def _adopt(
    model: nn.Module, name: str, tensors: Mapping[str, Tensor], of: str, weights: str | Path
) -> None:
    if not hasattr(model, "adopt"):
        raise WeightsError(f"{weights}: for {of}, not for {name}")
    model.adopt(tensors, of)  # type: ignore[operator]  # Adopts


def _take(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    own = model.state_dict()
    wrong = [key for key, value in state.items() if key not in own or own[key].shape != value.shape]
    # weights that were made without instances lack their part as a whole
    lacking = {key.split(".")[0] for key in own.keys() - state.keys()}
    if wrong or lacking & {key.split(".")[0] for key in state}:
        first = wrong[0] if wrong else min(lacking)
        raise WeightsError(
            f"{source}: made with other settings than model.* asks for (first at {first!r})"
        )
    model.load_state_dict(own | state)
    for later in _ORDER[1:] if lacking else ():
        model.inherit(later)  # type: ignore[operator]  # Phased


def complete(model: nn.Module, phase: PhaseName) -> None:
    """Let the parts of later phases start from what `phase` has learned, so that all can color."""
    if phase in _ORDER:
        for later in _ORDER[_ORDER.index(phase) + 1 :]:
            model.inherit(later)  # type: ignore[operator]  # Phased


def start_critic(critic: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give a new critic what another run's has learned.

    Args:
        critic: Is changed.
        tensors: The other one's.
        where: Whose they are, for the error.

    Raises:
        WeightsError: If it is another critic's.
    """
    try:
        critic.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise WeightsError(
            f"phase.start_critic {where}: its critic was made with other phase.critic.* settings "
            f"or crops ({reason})"
        ) from None
