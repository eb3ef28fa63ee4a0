"""Exported colorizers: they answer as PyTorch does, say what they are, and nothing hostile runs."""

import hashlib
import json
import os
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from media import make_video
from onnx import TensorProto, helper

from vidcolor import cli, export
from vidcolor.errors import ConfigError, MediaError, WeightsError
from vidcolor.export import export_colorizer
from vidcolor.models import onnx as runtime
from vidcolor.models.onnx import OnnxColorizer, load_exported, read_export
from vidcolor.models.recipe import fan_in_value, fill
from vidcolor.models.registry import create_model, list_models, model_spec, spec_of
from vidcolor.models.weights import identify, load_model, save_weights
from vidcolor.records import Hints
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames
from vidcolor.train.start import start

ROOT = Path(__file__).resolve().parents[1]
NARROW = {
    "ddcolor": {"width": 2, "variant": "tiny"},
    "deoldify": {"width": 1, "variant": "artistic"},
}
QUICK = {("siggraph17", ".onnx"), ("eccv16", ".pt2")}
# graphs for one size are made in a third of the time; those for any are the same in both forms
ANY_SIZE_AS_PT2 = ("eccv16", "iizuka16")
EVERY = [
    pytest.param(name, suffix, marks=() if (name, suffix) in QUICK else pytest.mark.slow)
    for name in list_models()
    for suffix in (".onnx", ".pt2")
]


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path):
    """No settings of whoever runs the tests."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.startswith("VIDCOLOR_") and name != "VIDCOLOR_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


def narrow(folder, name, **more):
    """A file with weights by formula, of running variances near those that the weights make."""
    settings = NARROW.get(name, {"width": 2}) | more
    model = fill(
        create_model(name, **settings),
        lambda key, shape, dtype: fan_in_value("export", key, shape, dtype, (0.9, 1.1)),
    )
    path = folder / f"{name}.safetensors"
    save_weights(path, model, name, settings, {"license": "MIT"})
    return path


@pytest.fixture(scope="module")
def plain(folder):
    """A network without instances, and its weights."""
    weights = narrow(folder, "quarternet", fusion=False)
    weights = weights.rename(folder / "plain.safetensors")
    export_colorizer(str(weights), folder / "plain.onnx")
    return folder / "plain.onnx", weights


@pytest.fixture(scope="module")
def fixed(folder):
    """A file for pictures of one size, quickly made."""
    weights = narrow(folder, "eccv16", width=1).rename(folder / "fixed.safetensors")
    report = export_colorizer(str(weights), folder / "fixed.onnx", size=(64, 80))
    return report, weights


def lightness(count, size, seed=0):
    return 100 * torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(seed))


# --- the same answers ---------------------------------------------------------------------------


def runner(path):
    """The file as another program would use it: numpy or tensors in, tensors out."""
    if path.suffix == ".pt2":
        program = torch.export.load(path).module()

        def answer(**given):
            result = program(*given.values())
            return (result,) if isinstance(result, torch.Tensor) else tuple(result)

        return answer
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda **given: [
        torch.from_numpy(x) for x in session.run(None, {k: v.numpy() for k, v in given.items()})
    ]


@pytest.mark.parametrize(("name", "suffix"), EVERY)
def test_every_network_answers_as_in_pytorch(name, suffix, folder):
    spec = model_spec(name)
    weights, path = narrow(folder, name), folder / f"{name}{suffix}"
    whole = name == "iizuka16"
    one_size = suffix == ".pt2" and name not in ANY_SIZE_AS_PT2
    size = (4 * 32, 5 * 32) if spec.multiple > 16 else (96, 112)
    report = export_colorizer(
        str(weights), path, hints=spec.hints, whole=whole, size=size if one_size else None
    )
    assert report.difference <= 5e-5 * max(1, report.largest)
    model, _ = load_model(weights)
    answer = runner(path)
    # what the export did not look at
    assert one_size or size not in {compared[1:] for compared in report.compared}
    assert all(count != 4 for count, *_ in report.compared)
    for count in (1, 4):
        given = {"lightness": lightness(count, size)}
        more = {}
        if spec.hints:
            mask = (lightness(count, size, 1) < 10).float()
            ab = lightness(count, size, 2).expand(-1, 2, -1, -1) - 50
            given |= {"hint_ab": ab, "hint_mask": mask}
            more["hints"] = Hints(ab, mask)
        if whole:
            rows = torch.rand(count, model.whole_size, generator=torch.Generator().manual_seed(3))
            given |= {"whole": rows, "whole_mask": torch.ones(count, 1)}
            more["whole"] = rows
        with torch.inference_mode():
            expected = [model(given["lightness"], **more)]
            if whole:
                expected.append(model.whole(given["lightness"]))
        for got, wanted in zip(answer(**given), expected, strict=True):
            assert got.shape == wanted.shape
            assert wanted.std() > 1e-3, "an answer that is the same everywhere tells nothing"
            scale = max(1.0, float(wanted.abs().max()))
            assert float((got - wanted).abs().max()) <= 5e-5 * scale
    if spec.hints:
        given["hint_mask"] = torch.zeros_like(mask)
        with torch.inference_mode():
            expected = model(given["lightness"])
        torch.testing.assert_close(answer(**given)[0], expected, rtol=0, atol=5e-5 * scale)


def test_a_file_that_answers_otherwise_is_not_written(folder, tmp_path, monkeypatch):
    weights = narrow(tmp_path, "eccv16", width=1)
    opened = export.open_onnx

    def off_by_one(path):
        model = opened(path)
        right = model.answer
        model.answer = lambda given: tuple(x + 1 for x in right(given))
        return model

    monkeypatch.setattr(export, "open_onnx", off_by_one)
    with pytest.raises(WeightsError, match=r"differs from eccv16 by 1 of a\*b\* up to .*nothing"):
        export_colorizer(str(weights), tmp_path / "off.onnx", size=(64, 64))
    assert [path.name for path in tmp_path.iterdir()] == ["eccv16.safetensors"]


def test_weights_that_give_no_numbers_are_told_from_a_wrong_file(tmp_path):
    model = create_model("eccv16", width=1)
    torch.nn.init.constant_(model.model1[0].weight, 1e38)
    save_weights(tmp_path / "huge.safetensors", model, "eccv16", {"width": 1}, {})
    with pytest.raises(WeightsError, match="also in PyTorch"):
        export_colorizer(str(tmp_path / "huge.safetensors"), tmp_path / "o.pt2", size=(64, 64))
    assert not (tmp_path / "o.pt2").exists()


def test_rounding_of_sensitive_weights_is_no_fault_but_has_a_limit(plain):
    model = load_model(plain[1])[0]
    asked = [(lightness(2, (64, 64)),)]
    with torch.inference_mode():
        expected = [(model(*asked[0]),)]
    noise = export._noise(model, asked, expected, 100.0)
    assert 0 < noise < 1e-2
    # kernels that differ by more than a hundredth of the range are no rounding
    far = [(expected[0][0] + 50,)]
    assert export._noise(model, asked, far, 100.0) == pytest.approx(1.0)


# --- what the file says -------------------------------------------------------------------------


def test_the_file_says_what_it_is_and_nothing_of_this_machine(plain):
    path, weights = plain
    (entry,) = onnx.load(path).metadata_props
    assert entry.key == "vidcolor"
    assert json.loads(entry.value) == {
        "format": 1,
        "model": "quarternet",
        "settings": {"width": 2, "fusion": False},
        "multiple": 32,
        "stride": 4,
        "short_side": 192,
        "square": None,
        "size": None,
        "hints": False,
        "whole_size": 0,
        "left_out": [],
        "weights": "plain.safetensors",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "license": "MIT",
        "vidcolor": version("vidcolor"),
    }
    graph = onnx.load(path).graph
    assert not graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in graph.node)
    assert str(ROOT).encode() not in path.read_bytes()


def test_what_the_network_could_do_beside_is_named(folder, capsys, caplog):
    weights = narrow(folder, "instcolor", width=1)
    path = folder / "inst.pt2"
    code = cli.main(["export", str(weights), str(path), "--size", "64x64"])
    out = capsys.readouterr().out
    assert code == 0
    assert "without close-ups of instances" in out
    assert "without inputs for hints" in out
    assert "lightness -> ab, for any number of pictures of 64x64" in out
    card = read_export(path)
    assert card.left_out == ("instances", "hints")
    assert card.size == (64, 64)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        graph = archive.read(next(n for n in names if n.endswith("models/model.json")))
    assert str(ROOT).encode() not in graph
    # of the three nets one is used
    stored = [name for name in names if "/data/weights/weight_" in name]
    assert 40 < len(stored) <= len(load_model(weights)[0].fusion.state_dict())


def test_a_pt2_file_is_known_but_never_loaded_here(folder, tmp_path):
    weights = narrow(tmp_path, "eccv16", width=1)
    export_colorizer(str(weights), tmp_path / "o.pt2", size=(64, 64))
    path, model, settings = identify(tmp_path / "o.pt2")
    assert (path.name, model, settings) == ("o.pt2", "eccv16", {"width": 1})
    with pytest.raises(WeightsError, match=r"to load a \.pt2 file is to run what is in it.*eccv16"):
        load_model(tmp_path / "o.pt2")
    with zipfile.ZipFile(tmp_path / "foreign.pt2", "w") as archive:
        archive.writestr("foreign/models/model.json", "{}")
    with pytest.raises(WeightsError, match="was not written by `vidcolor export`"):
        identify(tmp_path / "foreign.pt2")
    (tmp_path / "cut.pt2").write_bytes((tmp_path / "o.pt2").read_bytes()[:500])
    with pytest.raises(WeightsError, match="damaged"):
        identify(tmp_path / "cut.pt2")


# --- what is refused ----------------------------------------------------------------------------


def changed(fixed, tmp_path, change):
    model = onnx.load(fixed[0].path)
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def foreign_operator(model):
    model.graph.node[3].domain = "evil.ops"


def hidden_operator(model):
    inner = helper.make_graph(
        [helper.make_node("Steal", [], ["y"], domain="evil.ops")],
        "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    value = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    model.graph.node.append(helper.make_node("Constant", [], ["yes"], value=value))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["z"], then_branch=inner, else_branch=inner)
    )


def weights_elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def one_more_input(model):
    model.graph.input.append(helper.make_tensor_value_info("key", TensorProto.FLOAT, [1]))


def no_card(model):
    del model.metadata_props[:]


def card(**new):
    def change(model):
        data = json.loads(model.metadata_props[0].value) | new
        model.metadata_props[0].value = json.dumps(data)

    return change


def no_json(model):
    model.metadata_props[0].value = "["


def unknown_operator(model):
    model.graph.node[3].op_type = "Cnov"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (foreign_operator, "operators that are not ONNX's own .evil.ops."),
        (hidden_operator, "operators that are not ONNX's own .evil.ops."),
        (weights_elsewhere, "keeps weights in other files"),
        (one_more_input, "takes lightness, key and gives ab, not lightness and ab"),
        (no_card, "was not written by `vidcolor export`"),
        (no_json, "no JSON object"),
        (card(format=2), "format 2, this vidcolor reads 1"),
        (card(format=[]), "format .., this"),
        (card(multiple="8"), "'multiple'"),
        (card(multiple=0), "'multiple'"),
        (card(size=[64]), "'size'"),
        (card(left_out=[["hints"]]), "'left_out'"),
        (card(settings=None), "'settings'"),
        (card(whole_size=False), "'whole_size'"),
        (card(model="eccv17"), "unknown colorizer 'eccv17'; did you mean 'eccv16'"),
        (card(hints=True), "takes lightness and gives ab, not lightness, hint_ab, hint_mask"),
        (unknown_operator, "ONNX Runtime cannot run it"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_or_hostile_file_is_refused_in_one_line(change, says, fixed, tmp_path):
    path = changed(fixed, tmp_path, change)
    with pytest.raises(WeightsError, match=says) as caught:
        load_exported(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_damaged_or_missing_file_is_refused(fixed, tmp_path):
    whole = fixed[0].path.read_bytes()
    for name, content in {"cut.onnx": whole[: len(whole) // 2], "text.onnx": b"no model"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=r"damaged|no description"):
            load_exported(tmp_path / name)
    with pytest.raises(WeightsError, match=r"cannot read .*No such file"):
        load_model(tmp_path / "none.onnx")


def test_what_cannot_be_exported_is_said_before_the_work(fixed, tmp_path, monkeypatch):
    weights = str(fixed[1])
    out = tmp_path / "o.onnx"
    wrong = [
        (ConfigError, "takes no hints", {"hints": True}),
        (ConfigError, "knows no vector", {"whole": True}),
        (ConfigError, r"multiples of 8 for eccv16, not 64x81", {"size": (64, 81)}),
        (ConfigError, "at least 64", {"size": (32, 64)}),
        (ConfigError, "opset must be 18 to 24, not 9", {"opset": 9}),
        (
            ConfigError,
            "are for eccv16, not for --colorizer siggraph17",
            {"colorizer": "siggraph17"},
        ),
    ]
    monkeypatch.setattr(torch.export, "export", None)
    for error, says, options in wrong:
        with pytest.raises(error, match=says):
            export_colorizer(weights, out, **options)
    with pytest.raises(ConfigError, match=r"is exported as \.onnx or \.pt2"):
        export_colorizer(weights, tmp_path / "o.pb")
    with pytest.raises(ConfigError, match="is exported already"):
        export_colorizer(str(fixed[0].path), out)
    out.write_bytes(b"precious")
    with pytest.raises(MediaError, match="exists; use --overwrite"):
        export_colorizer(weights, out)
    assert out.read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["o.onnx"]


def test_a_size_is_written_as_height_and_width(tmp_path, capsys):
    assert cli.main(["export", "starter", str(tmp_path / "o.onnx"), "--size", "256"]) == 2
    assert "'256' is no size; write HEIGHTxWIDTH, like 256x448" in capsys.readouterr().err


def test_what_does_not_fit_in_an_onnx_file_is_said(fixed, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_MOST_BYTES", 10_000)
    with pytest.raises(ConfigError, match=r"export it as \.pt2"):
        export_colorizer(str(fixed[1]), tmp_path / "o.onnx", size=(64, 64))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_what_to_install(missing, fixed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    says = rf"{missing}.*pip install 'vidcolor\[export\]'"
    with pytest.raises(ConfigError, match=says):
        export_colorizer(str(fixed[1]), tmp_path / "o.onnx")
    if missing != "onnxscript":
        with pytest.raises(WeightsError, match=says):
            load_exported(fixed[0].path)


# --- in the line --------------------------------------------------------------------------------


def test_it_runs_behind_the_contract_whatever_the_stage_does(plain):
    model, name = load_model(plain[0])
    assert isinstance(model, OnnxColorizer)
    assert name == "quarternet"
    source = load_model(plain[1])[0]
    picture = lightness(3, (96, 64))
    with torch.inference_mode():
        expected = source(picture)
        torch.testing.assert_close(model(picture), expected, rtol=0, atol=5e-3)
        moved = picture.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            again = model(moved)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again, model(picture), rtol=0, atol=0)
    with pytest.raises(ValueError, match="multiples of 32, not 100x64"):
        model(lightness(1, (100, 64)))


def test_its_spec_is_that_of_the_file_and_not_of_the_network(plain, fixed, folder):
    exported = spec_of(load_model(plain[0])[0], "quarternet")
    network = model_spec("quarternet")
    assert (network.rois, exported.rois) == (True, False)
    assert (exported.multiple, exported.stride, exported.short_side) == (32, 4, 192)
    assert spec_of(load_model(plain[1])[0], "quarternet") is network
    model = load_model(fixed[0].path)[0]
    assert model.spec.short_side == 64
    assert model.spec.square is None
    stage = ColorizeFrames(model, model.spec, ColorizeConfig(), torch.device("cpu"))
    assert not stage.uses_rois


def test_a_file_for_one_size_refuses_others(fixed):
    model = load_model(fixed[0].path)[0]
    assert model(lightness(3, (64, 80))).shape == (3, 2, 16, 20)
    with pytest.raises(WeightsError, match=r"takes pictures of 64x80 only, these are 64x64"):
        model(lightness(1, (64, 64)))


def test_it_takes_as_many_threads_as_pytorch(plain, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    options = load_model(plain[0])[0]._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)


def test_a_device_that_onnx_runtime_lacks_is_refused(plain, monkeypatch):
    with pytest.raises(ConfigError, match=r"cannot use mps here .*--device cpu"):
        load_model(plain[0], "mps")
    chosen = runtime._providers(torch.device("cuda:1"), ["CUDAExecutionProvider"])
    assert chosen[0] == ("CUDAExecutionProvider", {"device_id": 1})
    # it fell back to the processor
    with pytest.raises(ConfigError, match=r"cannot use cuda here .it has CPUExecutionProvider"):
        runtime._providers(torch.device("cuda"), ["CPUExecutionProvider"])


def test_nothing_learns_from_it(plain):
    model = create_model("quarternet", width=2, fusion=False)
    with pytest.raises(WeightsError, match=r"only predicts.*plain\.safetensors"):
        start(model, "quarternet", "full", plain[0])


def test_a_film_gets_the_same_colors_as_from_its_weights(plain, tmp_path, capsys):
    film = make_video(tmp_path / "in.mkv", frames=6, size=(64, 96), pix_fmt="gray", full_range=True)
    planes = {}
    for weights in plain:
        out = tmp_path / f"{weights.suffix[1:]}.mkv"
        code = cli.main(
            ["colorize", str(film.path), str(out), "--weights", str(weights), "--codec", "ffv1",
             "--detector", "none", "--precision", "float32", "--colorize.short_side", "64"]
        )  # fmt: skip
        assert code == 0, capsys.readouterr().err
        with av.open(str(out)) as result:
            planes[weights.suffix] = np.stack(
                [
                    np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
                    for frame in result.decode(video=0)
                    for plane in frame.planes[1:]
                ]
            ).astype(int)
    assert planes[".onnx"].shape == (12, *planes[".onnx"].shape[1:])
    assert planes[".safetensors"].std() > 5
    assert np.abs(planes[".onnx"] - planes[".safetensors"]).max() <= 1


def test_the_line_shows_a_file_for_one_size_pictures_of_that_size(fixed, tmp_path, capsys):
    film = make_video(tmp_path / "in.mkv", frames=3, size=(64, 80), pix_fmt="gray")
    words = ["--weights", fixed[0].path, "--codec", "ffv1", "--detector", "none"]
    code = cli.main([str(word) for word in ["colorize", film.path, tmp_path / "out.mkv", *words]])
    assert code == 0, capsys.readouterr().err
    other = make_video(tmp_path / "wide.mkv", frames=3, size=(64, 160), pix_fmt="gray")
    code = cli.main([str(word) for word in ["colorize", other.path, tmp_path / "no.mkv", *words]])
    assert code == 1
    assert "fixed.onnx: takes pictures of 64x80 only, these are 64x160" in capsys.readouterr().err
