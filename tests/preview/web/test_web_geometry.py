"""Places in the picture that people see, and in the coded frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidcolor.guidance.hints.entries import HintEntry
from vidcolor.ops.boxes import Upright
from vidcolor.preview.web.desk import geometry
from vidcolor.records import VideoInfo

ROTATIONS = st.sampled_from([0, 90, 180, 270])
ASPECTS = st.sampled_from([Fraction(1), Fraction(16, 11), Fraction(8, 9), Fraction(100)])
INFOS = st.builds(
    lambda height, width, turn, aspect: VideoInfo(
        height, width, rotation=turn, sample_aspect=aspect
    ),
    st.integers(2, 2000), st.integers(2, 2000), ROTATIONS, ASPECTS,
)  # fmt: skip
PLACES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("turn", "coded"),
    # players turn the coded picture counter-clockwise: at 90 its upper right corner comes to lie
    # in the upper left, so what is a quarter right and a tenth down lies a tenth left of the right
    # edge and a quarter down
    [(0, (0.25, 0.1)), (90, (0.9, 0.25)), (180, (0.75, 0.9)), (270, (0.1, 0.75))],
)
def test_a_place_by_hand(turn, coded):
    info = VideoInfo(40, 60, rotation=turn)
    assert geometry.to_coded([0.25, 0.1], info) == pytest.approx(coded)
    pixels = (coded[0] * 60, coded[1] * 40)
    assert geometry.to_upright(pixels, info) == pytest.approx((0.25, 0.1))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_mark_lies_where_the_picture_shows_it(turn):
    info = VideoInfo(24, 36, rotation=turn, sample_aspect=Fraction(2))
    planes = torch.zeros(1, 1, 24, 36)
    planes[..., 6:10, 24:30] = 1
    upright = Upright(info)
    shown = upright.picture(planes)[0, 0] > 0.5
    rows, columns = shown.any(1).nonzero()[:, 0], shown.any(0).nonzero()[:, 0]
    height, width = upright.size
    seen = (
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    )
    (box,) = geometry.boxes_to_upright([(24, 6, 30, 10)], info)
    assert box == pytest.approx([float(v) for v in seen], abs=1e-6)


@given(INFOS, PLACES)
def test_there_and_back(info, places):
    flat = [value for place in places for value in place]
    coded = geometry.to_coded(flat, info)
    assert all(0 <= value <= 1 for value in coded)
    pixels = [v * (info.width, info.height)[i % 2] for i, v in enumerate(coded)]
    assert geometry.to_upright(pixels, info) == pytest.approx(flat, abs=1e-9)


@given(INFOS, st.floats(0.001, 0.5))
def test_a_radius_there_and_back(info, radius):
    coded = geometry.radius_to_coded(radius, info)
    assert geometry.radius_to_upright(coded, info) == pytest.approx(radius)


def test_a_radius_is_a_part_of_the_height_that_people_see():
    assert geometry.radius_to_coded(0.1, VideoInfo(40, 60, rotation=180)) == pytest.approx(4)
    assert geometry.radius_to_coded(0.1, VideoInfo(40, 60, rotation=90)) == pytest.approx(6)


def test_hints_of_either_unit():
    info = VideoInfo(40, 80, rotation=270)
    # (20, 10) of 80x40 is (1/4, 1/4); turned by 270 it is (3/4, 1/4)
    by_pixels = HintEntry("red", frame=0, points=(20.0, 10.0), radius_px=8.0)
    by_parts = HintEntry("red", frame=0, points=(0.25, 0.25), unit="fractions")
    assert geometry.hint_places(by_pixels, info) == pytest.approx((0.75, 0.25))
    assert geometry.hint_places(by_parts, info) == pytest.approx((0.75, 0.25))
    assert geometry.hint_radius(by_pixels, info) == pytest.approx(0.1)
    assert geometry.hint_radius(by_parts, info) is None
    box = HintEntry("red", frame=0, region=(0.0, 0.0, 80.0, 10.0))
    assert len(geometry.hint_places(box, info)) == 8
    assert geometry.hint_places(HintEntry("red", frame=0, whole=True), info) == ()


def test_half_a_place_is_none():
    with pytest.raises(ValueError, match="zip"):
        geometry.to_coded([0.5], VideoInfo(4, 4))
