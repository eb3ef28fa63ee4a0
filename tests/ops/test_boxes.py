from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.ops.boxes import Upright, area, clip, from_center, grow, iou, to_center
from vidcolor.records import VideoInfo

coordinate = st.floats(0, 60, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> torch.Tensor:
    count = draw(st.integers(1, 5))
    rows = []
    for _ in range(count):
        x, y = draw(coordinate), draw(coordinate)
        rows.append((x, y, x + draw(st.floats(1, 30)), y + draw(st.floats(1, 30))))
    return torch.tensor(rows, dtype=torch.float64)


def test_overlap_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 4, 2], [0, 0, 0, 5]])
    second = torch.tensor([[2.0, 0, 6, 2], [0, 0, 4, 2], [10, 10, 11, 11]])
    assert torch.allclose(iou(first, second), torch.tensor([[1 / 3, 1.0, 0], [0, 0, 0]]))
    assert area(first).tolist() == [8, 0]


def test_growth_and_clipping_by_hand() -> None:
    box = torch.tensor([[10.0, 20, 20, 40]])
    assert grow(box, 0.5).tolist() == [[5, 10, 25, 50]]
    assert clip(grow(box, 2.0), (45, 30)).tolist() == [[0, 0, 30, 45]]


@settings(max_examples=30, deadline=None)
@given(boxes())
def test_center_form_returns(rows: torch.Tensor) -> None:
    assert torch.allclose(from_center(to_center(rows)), rows)


@settings(max_examples=30, deadline=None)
@given(
    boxes(),
    st.sampled_from((0, 90, 180, 270)),
    st.sampled_from((Fraction(1), Fraction(16, 11), Fraction(8, 9))),
)
def test_upright_returns(rows: torch.Tensor, rotation: int, aspect: Fraction) -> None:
    upright = Upright(VideoInfo(99, 101, rotation=rotation, sample_aspect=aspect))
    there = upright.from_frame(rows)
    assert torch.allclose(upright.to_frame(there), rows)
    assert bool((there[:, 2:] > there[:, :2]).all())


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(2), Fraction(1, 2)])
def test_box_lies_where_the_picture_is(rotation: int, aspect: Fraction) -> None:
    """A bright patch is turned as a picture; its box, turned as a box, still surrounds it."""
    upright = Upright(VideoInfo(40, 60, rotation=rotation, sample_aspect=aspect))
    plane = torch.zeros(1, 1, 40, 60)
    plane[:, :, 4:12, 30:50] = 1
    picture = upright.picture(plane)[0, 0]
    assert tuple(picture.shape) == upright.size
    rows, columns = torch.where(picture > 0.5)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box = upright.from_frame(torch.tensor([[30.0, 4, 50, 12]]))[0]
    assert torch.allclose(torch.stack(found).float(), box, atol=1.01)


def test_a_broken_aspect_is_not_believed() -> None:
    assert Upright(VideoInfo(40, 60, sample_aspect=Fraction(1000))).size == (40, 60)
