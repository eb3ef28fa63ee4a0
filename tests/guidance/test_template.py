import base64

import pytest
import torch

from vidcolor.errors import GuidanceError
from vidcolor.guidance.template import GRID, Template


def test_text_and_back():
    draw = torch.Generator().manual_seed(0)
    template = Template(
        torch.rand(2, GRID, GRID, generator=draw) * 200 - 100,
        torch.rand(GRID, GRID, generator=draw) * 100,
        torch.rand(GRID, GRID, generator=draw),
    )
    text = template.to_text()
    assert len(text) == 4 * -(-4 * GRID * GRID // 3)  # base64 of 4 planes of bytes
    again = Template.from_text(text)
    torch.testing.assert_close(again.ab, template.ab, rtol=0, atol=0.5)
    torch.testing.assert_close(again.lightness, template.lightness, rtol=0, atol=0.5 / 2.55 + 1e-5)
    torch.testing.assert_close(again.weight, template.weight, rtol=0, atol=0.5 / 255 + 1e-6)
    assert again.to_text() == text


@pytest.mark.parametrize("text", ["red", "", base64.b64encode(b"x" * 10).decode(), "äöü"])
def test_other_text_is_refused(text):
    with pytest.raises(GuidanceError, match="no color template"):
        Template.from_text(text)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="lightness"):
        Template(torch.zeros(2, GRID, GRID), torch.zeros(4, 4), torch.zeros(GRID, GRID))
