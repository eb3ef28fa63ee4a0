"""The weights in the box are the ones that the table and the model card speak of."""

from pathlib import Path

import torch

import vidcolor
from vidcolor.models.download import file_sha256
from vidcolor.models.store import find, weights_spec
from vidcolor.models.weights import load_model, read_card

CARD = Path(__file__).parents[2] / "docs" / "starter.md"


def test_the_file_is_the_one_in_the_table():
    path, file = find("starter"), weights_spec("starter").files[0]
    assert path.is_relative_to(Path(vidcolor.__file__).parent)
    assert file_sha256(path) == file.sha256
    assert path.stat().st_size == file.size <= 12_000_000


def test_it_says_where_it_comes_from():
    card = read_card("starter")
    assert f"{card['steps']:,} steps" in CARD.read_text()
    gain = card["validation"]["psnr"] - card["validation"]["psnr_gray"]
    assert f"+{gain:.2f}" in CARD.read_text()
    assert gain >= 1.5
    assert card["validation"]["chroma"] >= 0.45 * card["validation"]["chroma_true"]
    assert "research" in card["license"]


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
