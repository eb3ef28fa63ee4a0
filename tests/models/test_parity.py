"""Our networks against numbers that the reference code gave for the same weights.

The fixtures are excerpts (scripts/record_parity_excerpt.py) of recordings of
ericsujw/InstColorization @1ce3d25 and of the `colorizers` package of richzhang/colorization.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"


def _script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


parity = _script("check_parity")
STEMS = ("eccv16", "fusion", "pictures", "pieces", "siggraph17")  # others have tests of their own
FIXTURES = {f"parity_{stem}": parity.Fixture(str(DATA / f"parity_{stem}.npz")) for stem in STEMS}
CASES = [(stem, name) for stem, fixture in FIXTURES.items() for name in fixture.cases]

# quantities that each kind must have compared, so that a renamed array cannot pass unseen
COMPARED = {
    "recipe": {"head", "sum"},
    "color": {"lab_norm", "roundtrip_rgb", "rgb_unclamped", "encode_idx", "class_mean_ab"},
    "boxinfo": {"rows"},
    "topn": {"selected"},
    "net": {"gcomp_out"},
    "e2e": {"full_A", "box_info", "crop_A", "fused/head", "wmap/stats", "out_ab", "rgb8"},
    "loss": {"huber_map", "huber_mean_x10", "l1_map", "ab_range", "keep", "lr_factor"},
    "grad": {"loss_G", "gradnorm"},
    "demo": {"out_ab", "rgb"},
    "eccv16": {"act/stats", "act/head", "out_ab"},
    "siggraph17": {"act/stats", "act/head", "out_ab"},
}


@pytest.fixture(scope="module", autouse=True)
def _forget_networks():
    yield
    parity.published_instcolor.cache_clear()
    parity.zhang.published_siggraph17.cache_clear()
    parity.zhang.published_eccv16.cache_clear()


@pytest.mark.parametrize(("stem", "name"), CASES)
def test_within_limits(stem, name):
    fixture = FIXTURES[stem]
    case = fixture.cases[name]
    reason = parity.why_skipped(case)
    if reason:
        pytest.skip(reason)
    errors = parity.check(fixture, case)
    compared = COMPARED[case["kind"]]
    if case.get("n") and case["kind"] == "net":
        compared = compared | {"fusion_out", "fused/head", "inst/head", "wmap/stats"}
    assert compared <= {error.quantity for error in errors}
    assert not [error for error in errors if error.bad]


@pytest.mark.parametrize(
    "mistake",
    ["mask_outside", "late_relu", "relu_for_leaky"],
)
def test_known_mistakes_exceed_the_limits(mistake, monkeypatch):
    """What the fixtures' page lists as mistakes must be seen."""
    net = parity.published_instcolor("chroma-parity-v1")
    if mistake == "mask_outside":
        for layer in net.fusion.children():
            if hasattr(layer, "mask_outside"):
                monkeypatch.setattr(layer, "mask_outside", True)
    elif mistake == "late_relu":
        functions = types.SimpleNamespace(relu=lambda x: x, pad=torch.nn.functional.pad)
        monkeypatch.setattr("vidcolor.models.instcolor.F", functions)
    else:
        monkeypatch.setattr(net.fusion.model10[2], "negative_slope", 0.0)
    fixture = FIXTURES["parity_fusion"]
    errors = {e.quantity: e for e in parity.check(fixture, fixture.cases["net_n3_hint"])}
    assert errors["fusion_out"].value > 0.1


@pytest.mark.parametrize(
    "mistake",
    ["norm_before_relu", "no_dilation", "batch_statistics", "cold", "nearest", "lightness"],
)
def test_known_mistakes_in_eccv16_exceed_the_limits(mistake, monkeypatch):
    net = parity.zhang.published_eccv16("chroma-parity-v1")
    if mistake == "norm_before_relu":
        *others, relu, norm = net.model4
        monkeypatch.setitem(net._modules, "model4", torch.nn.Sequential(*others, norm, relu))
    elif mistake == "no_dilation":
        for layer in net.model5:
            if isinstance(layer, torch.nn.Conv2d):
                monkeypatch.setattr(layer, "dilation", (1, 1))
                monkeypatch.setattr(layer, "padding", (1, 1))
    elif mistake == "batch_statistics":
        norm = net.model7[6]
        monkeypatch.setattr(norm, "training", True)
        monkeypatch.setattr(norm, "momentum", 0.0)  # what it has learned stays
    elif mistake == "cold":
        monkeypatch.setattr(net, "temperature", 0.38)
    elif mistake == "nearest":
        functions = types.SimpleNamespace(
            interpolate=lambda x, size, **_: torch.nn.functional.interpolate(x, size)
        )
        monkeypatch.setattr("parity.zhang.F", functions)
    else:
        monkeypatch.setattr("vidcolor.models.eccv16._SPAN", 1.0)  # as the Caffe network takes it
    fixture = FIXTURES["parity_eccv16"]
    errors = {e.quantity: e for e in parity.check(fixture, fixture.cases["rect"])}
    assert errors["out_ab"].value > 0.1


def test_fixtures_are_small_and_name_their_source():
    for path in DATA.glob("parity_*.npz"):
        assert path.stat().st_size <= 50_000
    meta = json.loads(str(FIXTURES["parity_fusion"].arrays["index_json"]))["meta"]
    assert meta["source"].startswith("ericsujw/InstColorization @1ce3d25")


def test_script_prints_errors_and_fails_on_excess(capsys, monkeypatch):
    path = str(DATA / "parity_pieces.npz")
    assert parity.main([path]) == 0
    assert "all within limits" in capsys.readouterr().out
    monkeypatch.setattr(parity.objective, "rate_factor", lambda *_: 1.0)
    assert parity.main([path]) == 1
    assert "EXCEEDED" in capsys.readouterr().out


def test_unknown_kind_is_skipped_with_a_reason():
    reason = parity.why_skipped({"name": "x", "kind": "alexnet"})
    assert reason is not None
    assert "alexnet" in reason
    reason = parity.why_skipped({"name": "x", "kind": "demo", "net": "alexnet"})
    assert reason == "no network of ours is 'alexnet'"


def test_nan_is_an_error():
    assert parity.Error("x", float("nan"), 1.0).bad
    assert parity.difference(torch.zeros(2), parity.np.zeros(3)) == float("inf")
