"""The weights in the box are the ones that the table and the model card speak of."""

from pathlib import Path

import torch

import vidcolor
from vidcolor.models.download import file_sha256
from vidcolor.models.store import find, weights_spec
from vidcolor.models.weights import load_model, read_card
from vidcolor.records import Rois

PHASES = ["full", "full", "instance", "fusion", "fusion"]
CARD = Path(__file__).parents[2] / "docs" / "starter.md"


def test_the_file_is_the_one_in_the_table():
    path, file = find("starter"), weights_spec("starter").files[0]
    assert path.is_relative_to(Path(vidcolor.__file__).parent)
    assert file_sha256(path) == file.sha256
    assert path.stat().st_size == file.size <= 16_000_000


def test_it_says_where_it_comes_from():
    card, page = read_card("starter"), CARD.read_text()
    measured = card["validation"]
    assert f"{measured['psnr']:.2f}" in page
    assert f"{measured['psnr_gray']:.2f}" in page
    assert measured["psnr"] - measured["psnr_gray"] >= 1.5
    assert measured["chroma"] >= 0.5 * measured["chroma_true"]
    assert "research" in card["license"]
    assert [phase["name"] for phase in card["phases"]] == PHASES
    for phase in card["phases"]:
        assert f"{phase['steps']:,}" in page


def test_it_adds_color_to_a_bright_sky_over_dark_ground():
    model, name = load_model("starter")
    assert name == "quarternet"
    rows = torch.linspace(75, 60, 96).repeat(2)[:192]
    rows[110:] = (
        30 + 8 * torch.randn(82, generator=torch.Generator().manual_seed(0)).cumsum(0).tanh()
    )
    picture = rows.view(1, 1, 192, 1).expand(1, 1, 192, 256).contiguous()
    with torch.inference_mode():
        ab = model(picture)
    sky = ab[0, :, 4:20].mean((1, 2))
    assert sky[1] < -5, "a smooth bright upper half is taken for a sky, which is blue"


def test_it_fuses_instances_and_is_steady_without_them():
    model, _ = load_model("starter")
    assert model.uses_rois
    generator = torch.Generator().manual_seed(2)
    picture = torch.rand(1, 1, 6, 8, generator=generator) * 80 + 10
    picture = torch.nn.functional.interpolate(picture, size=(192, 256), mode="bicubic")
    box = torch.tensor([[64.0, 32, 192, 160]])
    crop = torch.nn.functional.interpolate(picture[:, :, 32:160, 64:192], size=(128, 128))
    rois = Rois(crop, box, torch.tensor([0]), torch.ones(1), (192, 256))
    with torch.inference_mode():
        plain, fused = model(picture), model(picture, rois)
    change = (plain - fused).abs().sum(1)[0]
    inside = change[10:38, 18:46].mean()
    assert inside > 0.05
    # what lies outside the box hardly notices (maps are fused within, and seen a little around)
    assert change[:, :8].mean() < inside
