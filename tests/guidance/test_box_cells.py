"""Boxes as grids of place and lightness, and the soft mask of an object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcolor.guidance.template import GRID, Template
from vidcolor.guidance.tracks.cells import LEVELS, SIDE, Grid, area_of, feather
from vidcolor.guidance.tracks.mask import ObjectMask, along_edges, moving
from vidcolor.guidance.tracks.memory import BoxMemory, Firmness, near_levels

FIRM = Firmness(unsteady=15.0, outlier=12.0, familiar=3.0, n_most=100.0)
RNG = np.random.default_rng(0)


def grid_of(lightness: np.ndarray, box=(8.0, 4.0, 40.0, 36.0)) -> Grid:
    area = area_of(box, lightness.shape)
    assert area is not None
    return Grid(area, lightness.astype(np.float32))


@pytest.mark.parametrize("box", [(8.0, 4.0, 40.0, 36.0), (-7.3, 3.2, 30.6, 47.0)])
def test_parts_sum_to_one(box):
    lightness = RNG.uniform(0, 100, (48, 60)).astype(np.float32)
    grid = grid_of(lightness, box)
    ones = np.ones(grid.size, np.float32)
    area = grid.area.size[0] * grid.area.size[1]
    whole = (box[2] - box[0]) * (box[3] - box[1]) / SIDE**2
    assert grid.gather(ones).sum() * whole == pytest.approx(area, rel=1e-3)
    assert np.allclose(grid.gather(ones).sum(axis=0), grid.place(ones), atol=1e-4)
    field = grid.spread(np.full((1, LEVELS, SIDE, SIDE), 3.0, np.float32))
    assert np.allclose(field, 3.0, atol=1e-4)


def test_color_is_gathered_by_lightness():
    lightness = np.full((48, 60), 20.0)
    lightness[:, 24:] = 80.0
    a = np.where(lightness < 50, -10.0, 30.0).astype(np.float32)
    grid = grid_of(lightness)
    part = grid.gather(np.ones(grid.size, np.float32))
    mean = grid.gather(grid.shrink(a[grid.area.part])) / np.maximum(part, 1e-6)
    step = 100 / (LEVELS - 1)
    dark, light = int(20 // step), int(80 // step)
    middle = SIDE // 2 - 1  # a cell that both sides touch
    assert part[dark, 3, middle] > 0
    assert part[light, 3, middle] > 0
    assert mean[dark, 3, middle] == pytest.approx(-10, abs=1e-3)
    assert mean[light, 3, middle] == pytest.approx(30, abs=1e-3)


def test_a_field_does_not_cross_an_edge_of_lightness():
    lightness = np.full((48, 60), 20.0)
    lightness[:, 24:] = 80.0
    values = np.zeros((1, LEVELS, SIDE, SIDE), np.float32)
    values[:, LEVELS // 2 :] = 5.0
    field = grid_of(lightness).spread(values)[0]
    assert np.allclose(field[:, :16], 0, atol=1e-5)
    assert np.allclose(field[:, 16:], 5, atol=1e-4)


def test_large_boxes_are_looked_at_smaller_but_spread_whole():
    lightness = RNG.uniform(40, 60, (200, 300)).astype(np.float32)
    grid = grid_of(lightness, (0.0, 0.0, 300.0, 200.0))
    assert max(grid.size) <= 96
    assert grid.spread(np.ones((2, LEVELS, SIDE, SIDE), np.float32)).shape == (2, 200, 300)


def test_feather_falls_at_edges_inside_the_picture_only():
    inside = area_of((10.0, 10.0, 50.0, 50.0), (60, 60))
    soft = feather(inside, 0.25)
    assert soft[20, 20] == 1
    assert soft[0].max() < 0.05
    assert soft[5, 20] == pytest.approx(0.55**2 * (3 - 2 * 0.55), abs=1e-5)  # 5.5 of 10 px
    border = area_of((-4.0, 10.0, 50.0, 50.0), (60, 60))
    assert feather(border, 0.25)[20, 0] == 1


def test_boxes_of_next_to_nothing_have_no_area():
    assert area_of((5.0, 5.0, 6.0, 30.0), (60, 60)) is None
    assert area_of((70.0, 5.0, 90.0, 30.0), (60, 60)) is None


def learn(memory: BoxMemory, ab: tuple[float, float], frames: int, lightness: np.ndarray) -> None:
    planes = np.broadcast_to(np.float32(ab)[:, None, None], (2, *lightness.shape)).copy()
    for _ in range(frames):
        grid = grid_of(lightness)
        memory.learn(memory.look(grid, planes, None, None), 1.0)


def test_memory_is_a_robust_mean_that_learns_on():
    lightness = np.full((48, 60), 50.0)
    memory = BoxMemory(FIRM)
    learn(memory, (10.0, 0.0), 40, lightness)
    learn(memory, (60.0, 0.0), 4, lightness)  # outliers: 4 of 44, plain mean 14.5
    level = memory.count[:, 3, 3].argmax()
    assert memory.ab[0, level, 3, 3] == pytest.approx(10, abs=1.0)
    learn(memory, (14.0, 0.0), 400, lightness)
    assert memory.ab[0, level, 3, 3] == pytest.approx(14, abs=0.6)
    assert memory.count.max() <= FIRM.n_most


def test_a_persons_color_counts_more():
    lightness = np.full((48, 60), 50.0)
    plain, taught = BoxMemory(FIRM), BoxMemory(FIRM)
    for memory in (plain, taught):
        learn(memory, (0.0, 0.0), 10, lightness)
        sure = np.ones((48, 60), np.float32) if memory is taught else None
        grid = grid_of(lightness)
        ab = np.full((2, 48, 60), 12.0, np.float32)
        memory.learn(memory.look(grid, ab, sure, None), 1.0)
    level = plain.count[:, 3, 3].argmax()
    assert taught.ab[0, level, 3, 3] > 3 * plain.ab[0, level, 3, 3] > 0


def test_scatter_silences_memory():
    lightness = np.full((48, 60), 50.0)
    steady, wild = BoxMemory(FIRM), BoxMemory(FIRM)
    learn(steady, (10.0, 0.0), 40, lightness)
    for number in range(40):
        learn(wild, (30.0 * (-1) ** number, 0.0), 1, lightness)
    level = steady.count[:, 3, 3].argmax()
    assert steady.say()[level, 3, 3] > 0.85
    assert wild.say()[level, 3, 3] < 0.35


def test_templates_pass_from_memory_to_memory():
    lightness = np.full((48, 60), 30.0)
    lightness[:, 24:] = 70.0
    memory = BoxMemory(FIRM)
    learn(memory, (10.0, -20.0), 60, lightness)
    template = memory.template()
    assert template.ab[0, 4, 6] == pytest.approx(10, abs=0.1)
    assert template.lightness[4, 6] == pytest.approx(70, abs=1)
    assert template.lightness[4, 1] == pytest.approx(30, abs=1)
    assert template.weight.min() > 0.5
    other = BoxMemory(FIRM)
    other.seed(template, 50.0)
    pale = np.zeros((2, 48, 60), np.float32)
    grid = grid_of(lightness)
    sample = other.look(grid, pale, None, None)
    drawn = grid.spread(other.correction(sample))
    assert np.median(drawn[0]) > 8
    assert drawn[0].min() > 5  # where cells of two levels meet
    assert drawn[1].max() < -10


def test_levels_near_a_lightness():
    near = near_levels(np.array([[50.0]], np.float32), 20.0)[:, 0, 0]
    values = np.linspace(0, 100, LEVELS)
    assert near == pytest.approx(np.maximum(0, 1 - np.abs(values - 50) / 20), abs=1e-5)


def test_the_mask_finds_an_object_that_fills_the_middle():
    lightness = np.full((48, 60), 25.0)
    lightness[10:30, 14:34] = 70.0
    mask = ObjectMask()
    grid = grid_of(lightness)
    mask.learn(grid, lightness.astype(np.float32))
    found = grid.spread(mask.likely()[None])[0]
    inside = np.zeros((48, 60), bool)
    inside[10:30, 14:34] = True
    inside = inside[grid.area.part]
    assert found[inside].mean() > 0.9
    assert found[~inside].mean() < 0.12


def test_a_soft_mask_goes_to_the_edges_of_lightness():
    lightness = np.full((40, 40), 20.0, np.float32)
    lightness[:, 20:] = 70.0
    ramp = np.clip((np.arange(40, dtype=np.float32) - 14) / 12, 0, 1)
    soft = np.broadcast_to(ramp, (40, 40)).copy()
    sharp = along_edges(soft, lightness)
    step_before = soft[20, 20] - soft[20, 19]
    assert sharp[20, 20] - sharp[20, 19] > 5 * step_before
    assert sharp.min() >= 0
    assert sharp.max() <= 1


def test_template_text_survives(tmp_path):
    template = Template(
        torch.rand(2, GRID, GRID) * 80 - 40, torch.rand(GRID, GRID) * 100, torch.rand(GRID, GRID)
    )
    back = Template.from_text(template.to_text())
    assert (back.ab - template.ab).abs().max() <= 0.5
    assert (back.lightness - template.lightness).abs().max() <= 0.2
    assert (back.weight - template.weight).abs().max() <= 0.002


def test_what_moves_against_the_background_is_told():
    ground = RNG.uniform(20, 80, (100, 130)).astype(np.float32)
    thing = RNG.uniform(20, 80, (30, 30)).astype(np.float32)
    before, now = ground.copy(), ground.copy()
    before[30:60, 40:70] = thing
    now[30:60, 43:73] = thing
    area = area_of((33.0, 22.0, 83.0, 68.0), ground.shape)
    moves = moving(area, now, before)
    assert moves[12:34, 14:36].mean() > 0.9  # the thing, well inside
    assert moves[:3].mean() < 0.2
    assert moves[:, -3:].mean() < 0.2
    assert moving(area, ground, ground) is None


def test_what_stands_still_is_not_the_object():
    lightness = np.full((48, 60), 40.0, np.float32)
    lightness[:, 24:] = 70.0
    plain, told = ObjectMask(), ObjectMask()
    for _ in range(6):
        grid = grid_of(lightness)
        moves = (lightness[grid.area.part] < 50).astype(np.float32)
        plain.learn(grid, lightness)
        told.learn(grid, lightness, None, moves)
    right = (slice(12, 20), slice(18, 24))
    before = grid.spread(plain.likely()[None])[0][right].mean()
    after = grid.spread(told.likely()[None])[0][right].mean()
    assert after < before - 0.2
