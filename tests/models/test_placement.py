import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.models.placement import LEVELS, Placement, choose_boxes, place, rows

SIZE = (480, 640)


def test_rows_by_hand():
    # 640 wide to 64 cells: 10 px a cell; 480 high to 64: 7.5 px
    box = torch.tensor([[19, 16, 45, 38]])
    # left trunc(1.9) = 1, right edge trunc(4.5) = 4; top trunc(2.13) = 2, bottom trunc(5.07) = 5
    assert rows(box, SIZE, (64, 64)).tolist() == [[1, 60, 2, 59, 3, 3]]


def test_an_empty_side_is_widened_to_the_right_or_at_the_border_to_the_left():
    box = torch.tensor([[5, 5, 6, 6], [639, 479, 640, 480]])
    assert rows(box, SIZE, (8, 8)).tolist() == [[0, 7, 0, 7, 1, 1], [7, 0, 7, 0, 1, 1]]
    # one cell off the border there is room, but the published code widens to the left
    near = torch.tensor([[570, 0, 571, 480]])
    assert rows(near, SIZE, (8, 8)).tolist() == [[6, 1, 0, 0, 1, 8]]


_corner = st.tuples(st.integers(0, 638), st.integers(0, 478))


@settings(max_examples=60, deadline=None)
@given(_corner, st.integers(1, 640), st.integers(1, 480), st.booleans())
def test_rectangles_fill_the_grid(corner, width, height, outward):
    x0, y0 = corner
    box = torch.tensor([[x0, y0, min(x0 + width, 640), min(y0 + height, 480)]]).float()
    placement, keep = place(box, torch.tensor([0]), torch.ones(1), SIZE, (64, 96), outward)
    assert keep == [0]
    for level in range(LEVELS):
        top, left, h, w = placement.rectangles[level][0]
        assert min(h, w) >= 1
        assert min(top, left) >= 0
        assert top + h <= 64 >> level
        assert left + w <= 96 >> level


@settings(max_examples=60, deadline=None)
@given(_corner, st.floats(0.5, 640), st.floats(0.5, 480))
def test_outward_rectangles_hold_the_box_and_agree_at_all_scales(corner, width, height):
    x0, y0 = corner
    x1, y1 = min(x0 + width, 640.0), min(y0 + height, 480.0)
    box = torch.tensor([[x0, y0, x1, y1]])
    placement, _ = place(box, torch.tensor([0]), torch.ones(1), SIZE, (64, 96), True)
    fine = placement.rectangles[0][0]
    for level in range(LEVELS):
        assert [v << level for v in placement.rectangles[level][0]] == list(fine)
    top, left, h, w = fine
    slack = 0.01 * 8
    assert left <= x0 / 640 * 96 + slack
    assert left + w >= x1 / 640 * 96 - slack
    assert top <= y0 / 480 * 64 + slack
    assert top + h >= y1 / 480 * 64 - slack
    # and no cell more than needed
    assert w <= 8 * math.ceil(96 / 8 * (x1 - x0) / 640 + 1)


def test_boxes_without_area_are_left_out():
    boxes = torch.tensor(
        [[10.2, 10, 10.9, 60], [-50, 0, -10, 40], [700, 0, 800, 40], [10, 10, 60, 60]]
    )
    frame = torch.tensor([0, 1, 2, 3])
    placement, keep = place(boxes, frame, torch.ones(4), SIZE, (64, 64), False)
    assert keep == [3]
    assert placement.frame == (3,)
    # a box thinner than a pixel still has a place where content lies exactly
    assert place(boxes, frame, torch.ones(4), SIZE, (64, 64), True)[1] == [0, 3]


def test_choice_of_boxes():
    scores = torch.tensor([0.9, 0.7, 0.95, 0.8])
    boxes = torch.zeros(4, 4)
    assert choose_boxes(boxes, scores, 2).tolist() == [0, 2]
    assert choose_boxes(boxes, scores, 3).tolist() == [3, 0, 2]
    assert choose_boxes(boxes, scores, 4).tolist() == [0, 1, 2, 3]
    assert choose_boxes(boxes, scores, -1).tolist() == [0, 1, 2, 3]


def test_part_renumbers_frames():
    boxes = torch.tensor([[0, 0, 64, 64]]).repeat(4, 1).float()
    frame = torch.tensor([2, 0, 2, 1])
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4])
    placement, _ = place(boxes, frame, weight, SIZE, (64, 64), True)
    part, which = placement.part([2, 1])
    assert which == [0, 2, 3]
    assert part.frame == (0, 0, 1)
    assert part.members() == {0: [0, 1], 1: [2]}
    assert part.log_weight.exp().tolist() == pytest.approx([0.1, 0.3, 0.4])
    assert len(part.boxes) == 3


@pytest.mark.parametrize("cell", [(8.0, 8.0, 40.0, 24.0), (11.0, 9.5, 30.5, 27.25)])
def test_outward_content_lies_where_the_box_is(cell):
    """A ramp cut out of the frame and put back is the same ramp, at every scale."""
    height, width, side = 48, 64, 40
    x0, y0, x1, y1 = cell
    box = torch.tensor([cell]) * 10  # the frame is ten times the grid
    size = (height * 10, width * 10)
    placement, _ = place(box, torch.tensor([0]), torch.ones(1), size, (height, width), True)
    for level in range(LEVELS):
        grid = (height >> level, width >> level)
        inner = side >> level
        u = (torch.arange(inner) + 0.5) / inner
        crop = (x0 + u * (x1 - x0))[None, :] + 3 * (y0 + u * (y1 - y0))[:, None]
        patch = placement.patch(crop[None], 0, level, grid)[0]
        top, left, h, w = placement.rectangles[level][0]
        x = (torch.arange(left, left + w) + 0.5) * (1 << level)
        y = (torch.arange(top, top + h) + 0.5) * (1 << level)
        # beyond the outermost samples of the crop the ramp is held
        half_x, half_y = (x1 - x0) / inner / 2, (y1 - y0) / inner / 2
        x, y = x.clamp(x0 + half_x, x1 - half_x), y.clamp(y0 + half_y, y1 - half_y)
        torch.testing.assert_close(patch, x[None, :] + 3 * y[:, None], atol=1e-3, rtol=0)


def test_published_content_is_stretched_over_the_rectangle():
    placement = Placement.of_rows([torch.tensor([[1, 1, 0, 2, 2, 2]])] * LEVELS, [0], torch.ones(1))
    x = torch.tensor([[[0.0, 1, 2, 3]] * 4])
    # half-pixel centers without antialiasing: between samples 0 and 1, and between 2 and 3
    assert placement.patch(x, 0, 0, (4, 4))[0].tolist() == [[0.5, 2.5], [0.5, 2.5]]
    assert placement.rectangles[0] == ((0, 1, 2, 2),)
