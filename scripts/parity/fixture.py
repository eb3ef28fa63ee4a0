"""Parity fixtures: reading them, and comparing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidcolor.models.recipe import fill, trunk_value

# largest error allowed, from the page that describes the fixtures
TANH, MAPS, LOGITS, AB, LAB, RGB = 1e-4, 1e-3, 1e-3, 1e-2, 2e-6, 2e-5
LOSS, GRADIENT, ROUNDING = 1e-4, 1e-2, 1e-6
BINS, BINS_FLOAT32, SCORES = 1e-9, 1e-4, 1e-4
SPREAD, SPREAD_WEIGHTS = 1e-7, 1e-12

Array = np.ndarray[Any, Any]
Case = dict[str, Any]

MANIFEST = "__manifest__"
"""The array with the index of archives whose cases are a table by name."""

# an array that only archives of this kind have, for those without an index
BARE = {
    "act_color_decoder": "ddcolor",
    "dahl_rgb_a": "classic",
    "ddcolor_disc_out": "discriminators",
    "enc5": "bins",
    "flat_solution": "levin",
    "pic_render_factor": "deoldify",
}


@dataclass(frozen=True)
class Error:
    """The largest error of one quantity."""

    quantity: str
    value: float
    limit: float

    @property
    def bad(self) -> bool:
        """Over its limit, or no number."""
        return not self.value <= self.limit


def difference(ours: Tensor | Array | float, theirs: Array) -> float:
    """Largest absolute difference; infinite if the shapes differ."""
    a = ours.detach().double().numpy() if isinstance(ours, Tensor) else np.asarray(ours, float)
    if a.shape != theirs.shape:
        return float("inf")
    return float(np.abs(a - theirs).max(initial=0.0))


def relative(ours: float, theirs: float) -> float:
    """Difference relative to the reference; 0 where both are 0."""
    return 0.0 if ours == theirs else abs(ours - theirs) / max(abs(theirs), 1e-30)


def stats(x: Tensor) -> Array:
    """Mean, population deviation, least and largest value, as fixtures have them."""
    d = x.detach().double()
    return np.array([d.mean(), d.std(correction=0), d.min(), d.max()])


def picture(image: Array) -> Tensor:
    """(1, 3, H, W) float32 in 0..1 of (H, W, 3) uint8."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


class Fixture:
    """One archive, read case by case.

    Its index is `index_json`; or `__manifest__`, whose kinds are named after its format too, since
    others have kinds of the same name ("partialconv loss"); or it has none and is one case.
    """

    def __init__(self, path: str) -> None:
        self.arrays = np.load(path)
        self.bare = not {"index_json", MANIFEST} & set(self.arrays.files)
        if self.bare:
            kinds = (kind for array, kind in BARE.items() if array in self.arrays)
            index = {"meta": {}, "cases": [{"name": "all", "kind": next(kinds, "unknown")}]}
        elif MANIFEST in self.arrays:
            index = _of_manifest(json.loads(self.arrays[MANIFEST].tobytes()))
        else:
            index = json.loads(str(self.arrays["index_json"]))
        self.salt: str = index["meta"].get("salt", "")
        self.cases: dict[str, Case] = {case["name"]: case for case in index["cases"]}

    def _key(self, case: Case, name: str) -> str:
        return name if self.bare else f"{case['name']}/{name}"

    def has(self, case: Case, name: str) -> bool:
        """Whether the case has this array."""
        return self._key(case, name) in self.arrays

    def get(self, case: Case, name: str) -> Array:
        """An array of the case."""
        return self.arrays[self._key(case, name)]

    def tensor(self, case: Case, name: str) -> Tensor:
        """An array of the case as a tensor."""
        return torch.from_numpy(self.get(case, name))


def _of_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Its index; samples of the formulas (`recipe_check`, `input_check`) are the first case."""
    family = manifest["format"].split()[0]
    samples = {key: manifest.get(key, {}) for key in ("recipe_check", "input_check")}
    cases = [{"name": "formulas", "kind": "formulas", **samples}, *manifest["cases"].values()]
    return {
        "meta": {"salt": manifest["salt"]},
        "cases": [{**case, "kind": f"{family} {case['kind']}"} for case in cases],
    }


def output(case: Case, x: Tensor) -> Tensor:
    """The part of an output that the case keeps."""
    stride = int(case.get("stride", 1))
    return x[:, :, ::stride, ::stride]


def fill_trunk(module: nn.Module, salt: str, tag: str) -> None:
    """Give a network of the trunk's family, on the meta device, its weights by formula."""
    fill(module, lambda key, shape, _: trunk_value(salt, tag, key, shape))


def compare_map(errors: list[Error], fix: Fixture, case: Case, name: str, value: Tensor) -> None:
    """Add the errors of a map inside a network: of its numbers, and of its first values."""
    kind = name.split("/")[0]
    if fix.has(case, f"{name}/stats"):
        theirs = fix.get(case, f"{name}/stats")
        scale = max(1.0, float(np.abs(theirs).max()))
        errors.append(Error(f"{kind}/stats", difference(stats(value), theirs) / scale, MAPS))
    if fix.has(case, f"{name}/head"):
        head = fix.get(case, f"{name}/head")
        ours = value.contiguous().flatten()[: len(head)]
        errors.append(Error(f"{kind}/head", difference(ours, head), MAPS))
