"""Partial convolutions against numbers that public code gave for the same weights.

The fixture is an excerpt (scripts/record_parity_excerpt.py) of recordings of NVIDIA/partialconv
@610d373 (the layer) and naoto0804/pytorch-inpainting-with-partial-conv @8d64e7e (the network), with
weights by formula. A second fixture, of other sizes, is made here of the definition.
"""

import json
from pathlib import Path

import check_parity
import numpy as np
import pytest
import torch
from dense_partialconv import by_loops, dense_net
from parity import partialconv
from parity.fixture import Fixture

from vidcolor.models.partialconv import PartialConv2d, PartialConvUNet

FIXTURE = Fixture(str(Path(__file__).parents[1] / "data" / "parity_partialconv.npz"))
# quantities that must have been compared, so that a renamed array cannot pass unseen
COMPARED = {
    "formulas": {"first4", "mean", "std", "wave"},
    "layer": {"out", "mask_out", "ratio"},
    "layer_countnorm": {"out", "mask_out"},
    "unet": {"out", "out_summary", "mask_out"},
}
LEARNED = {"loss", "grad_norms", "grad_enc_1_w", "buffers"}


@pytest.fixture(scope="module", autouse=True)
def _forget_weights():
    yield
    partialconv.recipe.cache_clear()


@pytest.mark.parametrize("name", FIXTURE.cases)
def test_within_limits(name):
    case = FIXTURE.cases[name]
    errors = check_parity.check(FIXTURE, case)
    family, kind = case["kind"].split()
    assert family == "partialconv"
    compared = COMPARED[kind]
    if case.get("grads"):
        compared = compared | {"grad_x", "grad_w", "grad_b"}
    if case.get("mode", "eval") != "eval":
        compared = compared | LEARNED
    if name == "unet_5_train":
        compared = compared | {"enc/trace", "dec/trace"}
    if name == "unet_5_empty":
        compared = compared | {"enc/mask"}
    assert compared <= {error.quantity for error in errors}
    assert not [error for error in errors if error.bad]


def _is_far_off(name):
    """Whether anything is no number, or over ten times its limit."""
    errors = check_parity.check(FIXTURE, FIXTURE.cases[name])
    return any(not error.value <= 10 * max(error.limit, 1e-5) for error in errors)


def _replace(monkeypatch, change):
    """Another way to count what is valid."""
    update = PartialConv2d.update
    monkeypatch.setattr(PartialConv2d, "update", lambda self, groups: change(self, groups, update))


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        ("no_factor", "layer_38"),
        ("no_factor", "unet_5_train"),
        ("border_is_valid", "layer_08"),
        ("bias_in_holes", "layer_39"),
        ("one_mask_for_all", "unet_5_train"),
        ("skip_first", "unet_5_train"),
        ("unmasked_behind_norms", "unet_5_train"),
        ("product", "unet_5_train"),
        ("thawed", "unet_5_finetune"),
        ("sums_as_they_are", "count_01"),
    ],
)
def test_known_mistakes_exceed_the_limits(mistake, name, monkeypatch):
    """What the fixtures' page lists as mistakes must be seen."""
    if mistake == "no_factor":

        def change(layer, groups, update):
            ratio, valid = update(layer, groups)
            return ratio / (layer.weight[0].numel()), valid

        _replace(monkeypatch, change)
    elif mistake == "border_is_valid":

        def change(layer, groups, update):
            ratio, valid = update(layer, groups)
            inside, _ = update(layer, [(torch.ones_like(mask), n) for mask, n in groups])
            return ratio / inside, valid

        _replace(monkeypatch, change)
    elif mistake == "one_mask_for_all":

        def change(layer, groups, update):
            return update(layer, [(mask, 1) for mask, _ in groups])

        _replace(monkeypatch, change)
    elif mistake == "bias_in_holes":
        convolve = PartialConv2d.convolve

        def biased(self, held, groups):
            out, valid = convolve(self, held, groups)
            return out + self.bias[:, None, None] * (1 - valid), valid

        monkeypatch.setattr(PartialConv2d, "convolve", biased)
    elif mistake == "skip_first":
        cat = torch.cat
        monkeypatch.setattr(torch, "cat", lambda parts, dim: cat(parts[::-1], dim))
    elif mistake == "unmasked_behind_norms":
        held = "vidcolor.models.partialconv._held"
        monkeypatch.setattr(held, lambda x, mask: torch.nan_to_num(x))
    elif mistake == "product":
        monkeypatch.setattr("vidcolor.models.partialconv._held", lambda x, mask: x * mask)
    elif mistake == "thawed":
        monkeypatch.setattr(torch.nn.ModuleList, "eval", lambda self: self)
    else:
        monkeypatch.setattr(partialconv, "of_sums", lambda weight: weight)
    assert _is_far_off(name)


# --- another set ----------------------------------------------------------------------------------


def _bits(mask):
    return np.packbits(mask.astype(bool))


def _layer_case(name, arrays, salt, **fields):
    """A case of the layer, its numbers by loops."""
    generator = np.random.default_rng(fields["h"])
    shape = (fields["n"], fields["cin"], fields["h"], fields["w"])
    channels = fields["cin"] if fields["multi"] else 1
    mask = generator.random((fields.get("mn", fields["n"]), channels, *shape[2:])) < 0.2
    x = partialconv.wave(shape, fields.get("xphase", 0.0)).double().numpy()
    form = (fields["cout"], fields["cin"], fields["k"], fields["k"])
    weight = partialconv.recipe(salt, f"{name}.weight", form).astype(float)
    bias = partialconv.recipe(salt, f"{name}.bias", (fields["cout"],)).astype(float)
    whole = np.broadcast_to(mask, shape).astype(float)
    out, valid = by_loops(x, whole, weight, bias, fields["s"], fields["p"], fields["d"])
    arrays[f"{name}/mask_in_bits"] = _bits(mask)
    arrays[f"{name}/out"] = out.astype(np.float32)
    arrays[f"{name}/mask_out"] = valid.astype(np.uint8)
    return {
        "name": name, "kind": "layer", "bias": True, "mask_in_shape": mask.shape,
        "arrays": ["mask_in_bits", "out", "mask_out"], **fields,
    }  # fmt: skip


def _net_case(name, arrays, salt, layers, cin, n, h, w, xphase):
    width = 2
    with torch.device("meta"):
        entries = PartialConvUNet(cin, layers, width).state_dict()
    tensors = {
        partialconv.foreign_name(key): torch.from_numpy(
            partialconv.recipe(salt, partialconv.foreign_name(key), tuple(entry.shape))
        )
        for key, entry in entries.items()
    }
    mask = np.random.default_rng(w).random((n, 1, h, w)) < 0.3
    valid = torch.from_numpy(mask).double()
    out = dense_net(tensors, partialconv.wave((n, cin, h, w), xphase), valid, False)
    arrays[f"{name}/mask_in_bits"] = _bits(mask)
    arrays[f"{name}/out"] = out[:, :, ::3, ::3].float().numpy()
    arrays[f"{name}/out_summary"] = partialconv.summary(out).astype(np.float32)
    arrays[f"{name}/mask_out_bits"] = _bits(np.ones((n, 1, h, w)))
    return {
        "name": name, "kind": "unet", "mode": "eval", "layers": layers, "cin": cin, "n": n, "h": h,
        "w": w, "xphase": xphase, "stride": 3, "mask_in_shape": mask.shape,
        "trace_shapes": {"enc_1": [n, width, h // 2, w // 2]}, "arrays": ["out"],
    }  # fmt: skip


@pytest.fixture
def other(tmp_path):
    """Path of a set with a salt, sizes, phases and masks of its own; and its manifest."""
    salt, arrays = "another-salt", {}
    cases = [
        _layer_case(
            "a", arrays, salt, cin=2, cout=3, k=5, s=3, p=1, d=1, n=2, h=14, w=11, multi=True,
            xphase=0.4,
        ),
        _layer_case(
            "b", arrays, salt, cin=3, cout=2, k=3, s=1, p=3, d=3, n=3, h=9, w=10, multi=False, mn=1
        ),
        _net_case("c", arrays, salt, layers=6, cin=3, n=1, h=64, w=128, xphase=2.1),
    ]  # fmt: skip
    manifest = {
        "format": "partialconv parity v1",
        "salt": salt,
        "cases": {case["name"]: case for case in cases},
    }
    path = tmp_path / "other.npz"

    def write(manifest):
        packed = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
        np.savez(path, __manifest__=packed, **arrays)
        return str(path)

    return write, manifest


def test_another_set_is_read_as_it_is(other, capsys):
    write, manifest = other
    assert check_parity.main([write(manifest)]) == 0
    assert "c (partialconv unet)" in capsys.readouterr().out
    manifest["salt"] = "yet another"
    assert check_parity.main([write(manifest)]) == 1
    out = capsys.readouterr().out
    assert out.count("EXCEEDED") == 4  # masks are right all the same


def test_kinds_of_one_name_are_kept_apart(other):
    """InstColorization's fixtures have a kind "loss" too."""
    write, manifest = other
    manifest["cases"]["a"]["kind"] = "loss"
    case = Fixture(write(manifest)).cases["a"]
    assert case["kind"] == "partialconv loss"
    assert check_parity.CHECKS["partialconv loss"] is not check_parity.CHECKS["loss"]
    case["kind"] = "partialconv gan"
    assert check_parity.why_skipped(case) == "no network of ours is of kind 'partialconv gan'"
