"""What is laid over frames: boxes in fractions, a person's word, damage."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from shown_film import pixels

from vidcolor.preview.web.shots.overlays import boxes_of, clear, damage_picture, sure_picture
from vidcolor.records import Chroma, Colored, Detections, FrameBatch, Tracks, VideoInfo
from vidcolor.repair.records import Spot

GREEN = (60, 190, 90)  # of a person's word, as in docs/restore.md


def _colored(info, boxes=(), sure=None, grid=(4, 8)):
    """Two frames; all boxes are in the second one."""
    luma = torch.zeros(2, 1, *info.size, dtype=torch.uint8)
    count = len(boxes)
    found = Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
        torch.full((count,), 0.8125),
        torch.ones(count, dtype=torch.int64),
        torch.ones(count, dtype=torch.int64),
        ("object", "cat"),
    )
    tracks = Tracks(found, torch.arange(count) + 300_007, torch.ones(count))
    chroma = Chroma(torch.zeros(2, 2, *grid), torch.full((2, 1, *grid), 50.0), None, sure)
    return Colored(FrameBatch(luma, (0, 1), info), tracks, chroma)


# a box in the upper left corner of the coded frame, 200 wide and 100 high: 50 x 20 pixels of it
@pytest.mark.parametrize(
    ("rotation", "box"),
    [
        (0, [0.1, 0.1, 0.35, 0.3]),
        (90, [0.1, 0.65, 0.3, 0.9]),  # the left side is below
        (180, [0.65, 0.7, 0.9, 0.9]),
        (270, [0.7, 0.1, 0.9, 0.35]),
    ],
)
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)])
def test_boxes_are_fractions_of_the_upright_picture(rotation, box, aspect):
    info = VideoInfo(100, 200, rotation=rotation, sample_aspect=aspect)
    colored = _colored(info, [(20, 10, 70, 30)])
    assert boxes_of(colored, 0) == []
    (row,) = boxes_of(colored, 1)
    assert (row["id"], row["label"], row["score"]) == (300_007, "cat", 0.812)
    assert row["box"] == pytest.approx(box, abs=2e-3 if aspect != 1 else 1e-6)


def test_boxes_end_at_the_edge():
    (row,) = boxes_of(_colored(VideoInfo(100, 200), [(-20, 50, 100, 130)]), 1)
    assert row["box"] == [0, 0.5, 0.5, 1]


def test_where_a_persons_word_reaches():
    sure = torch.zeros(2, 1, 4, 8)
    sure[1, 0, 0, 7] = 1.0  # upper right
    sure[1, 0, 3, 0] = 0.5
    colored = _colored(VideoInfo(100, 200), sure=sure)
    assert sure_picture(colored, 0) is None
    found = pixels(sure_picture(colored, 1))
    assert found.shape == (4, 8, 4)
    assert found[0, 7].tolist() == [*GREEN, 153]  # 0.6 of 255
    assert found[3, 0].tolist() == [*GREEN, 76]
    assert np.count_nonzero(found[..., 3]) == 2
    turned = pixels(sure_picture(_colored(VideoInfo(100, 200, rotation=90), sure=sure), 1))
    assert turned.shape == (8, 4, 4)
    assert turned[0, 0, 3] == 153  # counter-clockwise: the right side is above
    assert sure_picture(_colored(VideoInfo(100, 200)), 1) is None


def test_damage_by_kind_and_confidence():
    whole = np.ones((10, 20), np.bool_)
    spots = [
        Spot("dust", 10, 20, whole, 1.0),
        Spot("scratch", 40, 100, whole, 0.0),
        Spot("hair", 70, 20, whole, 1.0, state="rejected"),
        Spot("burn", 70, 150, whole, 0.5, state="review"),
    ]
    found = pixels(damage_picture(spots, VideoInfo(100, 200), 100))
    assert found.shape == (50, 100, 4)
    assert found[7, 15].tolist() == [230, 60, 60, 255]
    assert found[22, 55].tolist() == [60, 140, 240, 89]  # 0.35 of 255
    assert found[37, 80, 3] == 172  # 0.675
    assert not found[35:40, 10:20, 3].any()
    assert np.count_nonzero(found[..., 3]) == 3 * 50
    turned = pixels(damage_picture(spots[:1], VideoInfo(100, 200, rotation=180), 200))
    assert turned.shape == (100, 200, 4)
    assert turned[80:90, 160:180, 3].min() == 255
    assert np.count_nonzero(turned[..., 3]) == 200


def test_no_damage_hides_nothing():
    for picture in (damage_picture([], VideoInfo(100, 200), 100), clear()):
        assert not pixels(picture)[..., 3].any()
