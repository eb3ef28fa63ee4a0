"""The table of known weights: sound in itself, and as torchvision and others have it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch

from vidcolor.color.measure.catalog import METRICS
from vidcolor.models import catalog
from vidcolor.models.instcolor import PUBLISHED
from vidcolor.models.registry import create_model, list_inpainters, list_models, model_spec
from vidcolor.models.weights import suited_side

ROOT = Path(__file__).parents[2]
SPECS = {spec.name: spec for spec in catalog.known_weights()}
OF_TORCHVISION = ("vgg16", "vgg16_bn", "resnet34", "resnet101", "alexnet")
NARROW = 2


def test_names_of_weights_and_of_files_are_unique():
    assert len(SPECS) == len(catalog.known_weights())
    whole = {file for spec in SPECS.values() for file in spec.files}
    files = {file.name for file in whole}
    assert len(files) == len(whole)  # a name is one file, though two entries may be of it
    # of the files of one spec, that which the converted one is called is none
    assert not {spec.converted for spec in SPECS.values() if not spec.shipped} & files


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_entry_is_sound(spec):
    assert spec.license
    assert spec.source
    assert spec.notes
    assert spec.paper or spec.shipped or not spec.files
    assert ("NC" in spec.license) == spec.non_commercial
    if not spec.files:
        assert "weights import" in spec.by_hand
    for file in spec.files:
        assert file.size is None or file.size > (1_000_000 if spec.shipped else 10_000_000)
        for digest, length in ((file.sha256, 64), (file.sha1, 40)):
            assert digest is None or re.fullmatch(f"[0-9a-f]{{{length}}}|[0-9a-f]{{8}}", digest)
        if spec.shipped:
            assert file.url is None
            continue
        if file.url is None:
            assert spec.by_hand
        for url in filter(None, (file.url, *file.mirrors)):
            parts = urlsplit(url)
            assert parts.scheme in ("http", "https")
            assert parts.path.rpartition("/")[2] == file.published_name
        # torch.hub's habit: the name ends in the first digits
        stated = re.search(r"-([0-9a-f]{8})\.pth$", file.name)
        if stated:
            assert file.sha256.startswith(stated[1])
        # what comes unchecked over an open line must at least be checked entry by entry
        assert file.sha256 or file.sha1 or not file.mirrors
        assert file.sha256 or file.sha1 or spec.registered or spec.signs


def test_every_colorizer_has_its_weights_in_the_table():
    models = {spec.model for spec in SPECS.values() if spec.kind == "colorizer"}
    assert models == set(list_models())
    for name in list_models():
        assert SPECS[model_spec(name).weights].model == name


@pytest.mark.parametrize("spec", [s for s in SPECS.values() if s.settings], ids=lambda s: s.name)
def test_settings_are_those_of_the_builder(spec):
    assert spec.settings["width"] == 64
    net = create_model(spec.model, **{**spec.settings, "width": NARROW})
    for name in {"mask_cent", "labels"} & set(spec.settings):
        assert getattr(net, name) == spec.settings[name]


def test_networks_that_fill_holes_have_their_weights_in_the_table():
    models = {spec.model for spec in SPECS.values() if spec.kind == "inpainter"}
    assert models == set(list_inpainters())
    scales = {name: s.settings.get("scale") for name, s in SPECS.items() if s.kind == "inpainter"}
    assert scales == {
        "repair": None,
        "partialconv-naoto0804": "imagenet",
        "partialconv-places": "signed",
        "partialconv-celeba": "signed",
    }


def test_settings_of_siggraph17_and_instcolor():
    assert dict(SPECS["instcolor"].settings) == dict(PUBLISHED)
    cents = {name: spec.settings.get("mask_cent") for name, spec in SPECS.items()}
    assert cents["siggraph17"] == cents["siggraph17-caffe"] == 0.0
    assert cents["siggraph17-retrained"] == cents["instcolor"] == 0.5


@pytest.mark.parametrize(
    "name", [n for n, s in SPECS.items() if s.model in ("ddcolor", "deoldify")]
)
def test_sizes_of_files_are_those_of_their_numbers(name):
    """float32 and no more than a thousandth beside: another variant's file could not pass."""
    spec = SPECS[name]
    with torch.device("meta"):
        state = create_model(spec.model, **spec.settings).state_dict()
    numbers = sum(v.numel() * v.element_size() for v in state.values())
    size = spec.files[0].size
    if size is not None:
        assert numbers < size < numbers * 1.005
    elif name != "ddcolor-tiny":
        assert numbers > 900_000_000  # the large one


def test_side_that_suits_is_the_render_factor():
    assert SPECS["deoldify-artistic"].short_side == SPECS["deoldify-stable"].short_side == 35 * 16
    assert SPECS["deoldify-video"].short_side == 21 * 16
    assert {SPECS[name].short_side for name in SPECS if name.startswith("ddcolor")} == {512}


def test_torchvision_has_the_same_files():
    models = pytest.importorskip("torchvision.models")
    for name in OF_TORCHVISION:
        theirs, file = models.get_model_weights(name).IMAGENET1K_V1, SPECS[name].files[0]
        assert file.url == theirs.url
        if file.size is not None:  # theirs is in MiB, three decimals
            assert file.size / 2**20 == pytest.approx(theirs.meta["_file_size"], abs=6e-4)


def test_detectors_are_those_of_torchvision():
    detection = pytest.importorskip("torchvision.models.detection")
    from torchvision.models import get_model_weights

    for spec in SPECS.values():
        if spec.kind == "detector":
            builder = getattr(detection, spec.model)
            assert builder.__name__ == spec.model
            assert get_model_weights(builder).DEFAULT.url == spec.files[0].url


def test_torch_fidelity_has_the_same_file():
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert SPECS["inception"].files[0].url == fidelity.URL_INCEPTION_V3


def test_metrics_name_weights_that_are_known():
    wanted = {metric.weights for metric in METRICS.values() if metric.weights}
    assert wanted == {"alexnet", "vgg16", "inception"}
    assert {SPECS[name].kind for name in wanted} <= {"metric", "backbone"}


@pytest.mark.parametrize("size", ["tiny", "large"])
def test_signs_of_a_convnext_are_those_of_ddcolors_encoder(size):
    """The encoder's keys are the ConvNeXt's own."""
    with torch.device("meta"):
        encoder = create_model("ddcolor", variant=size).get_submodule("encoder.arch").state_dict()
    signs = SPECS[f"convnext_{size}_22k"].signs
    assert len(signs) == 2
    for key, shape in signs.items():
        assert tuple(encoder[key].shape) == shape
    depth = max(int(key.split(".")[2]) for key in encoder if key.startswith("stages.2."))
    assert f"stages.2.{depth}.gamma" in signs


def test_configs_of_what_must_be_trained_exist():
    for name in ("hypercolumn", "residual_encoder"):
        (config,) = re.findall(r"configs/train/[\w.-]+", SPECS[name].by_hand)
        assert (ROOT / config).is_file()


# --- the page -----------------------------------------------------------------------------------


def _rows(width):
    """Cells of the tables of docs/weights.md so wide, by the name in the first."""
    text = (ROOT / "docs" / "weights.md").read_text()
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row for row in cells if len(row) == width}


def test_the_page_has_every_entry_and_no_other():
    assert list(_rows(5)) == list(SPECS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_page_says_what_the_table_says(spec):
    _, what, license_, size, source = _rows(5)[spec.name]
    assert license_.startswith(spec.license.split(" (")[0])
    assert ("non-commercial" in license_) == spec.non_commercial
    known = spec.files[0].size if spec.files else None
    if known is None:
        assert size in ("", "about 663 MB", "about 665 MB")
        assert not size or size in spec.notes
    else:
        assert size == f"{known / 1e6:.1f} MB"
    if spec.source.startswith("http"):
        assert spec.source in source
    assert what


def test_the_page_says_what_each_colorizer_needs():
    rows = {name: row for name, row in _rows(3).items() if not name.startswith("--")}
    assert set(rows) == set(list_models())
    for name, (_, weights, file) in rows.items():
        spec = SPECS[model_spec(name).weights]
        assert weights == f"`{spec.name}`"
        if not spec.shipped:
            ours = spec.foreign or not spec.files
            assert file.startswith(f"`{spec.converted if ours else spec.files[0].name}`")


def test_commands_of_the_page_name_weights_that_are_known():
    text = (ROOT / "docs" / "weights.md").read_text()
    named = set(re.findall(r"vidcolor weights (?:fetch|show|import) ([\w-]+)", text)) - {"NAME"}
    assert len(named) >= 3
    assert named <= set(SPECS)


def test_the_side_that_suits_is_found_by_name_and_by_file():
    assert suited_side("deoldify-video") == 336
    assert suited_side("somewhere/ColorizeVideo_gen.pth") == 336
    assert suited_side("deoldify-stable.safetensors") == 560
    assert suited_side("siggraph17") == 0
    assert suited_side("mine.safetensors") == 0
