"""A person's word on damage: masks, protection, verdicts, and the file of spots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vidcolor.errors import GuidanceError
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.judge import Judge, spots_of
from vidcolor.repair.records import Marked, Moved, Spot, union
from vidcolor.repair.spots_file import read_verdicts, spot_lines

SIZE = (20, 30)


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    hole = np.zeros(SIZE, np.bool_)
    hole[top : top + height, left : left + width] = True
    return hole


def marked(*spots: Spot) -> Marked:
    """Two frames, numbers 7 and 8, of which the first has the spots."""
    info = VideoInfo(*SIZE)
    frames = FrameBatch(torch.zeros(2, 1, *SIZE, dtype=torch.uint8), (70, 80), info, index=7)
    return Marked(Moved(frames, (None, None)), (tuple(spots), ()))


class Masks:
    """Masks by frame number, as `vidcolor.io.masks` gives them."""

    def __init__(self, by_frame: dict[int, np.ndarray]) -> None:
        self.by_frame = by_frame
        self.is_open = False
        self.checked: int | None = None

    def __call__(self, info: VideoInfo) -> Masks:
        assert info.size == SIZE
        return self

    def hole(self, index: int, /) -> np.ndarray | None:
        assert self.is_open
        return self.by_frame.get(index)

    def check(self, frames: int, /) -> None:
        self.checked = frames

    def __enter__(self) -> Masks:
        self.is_open = True
        return self

    def __exit__(self, *error: object) -> None:
        self.is_open = False


DUST = Spot("dust", 2, 3, np.ones((4, 5), np.bool_), confidence=0.876543)
DOUBT = replace(DUST, left=20, state="review", confidence=0.4)


def test_holes_of_a_person_become_spots() -> None:
    hole = block(1, 1, 2, 3) | block(10, 20, 4, 4)
    hole[10, 20] = False
    first, second = spots_of(hole)
    assert first.box == (1, 1, 4, 3)
    assert second.box == (20, 10, 24, 14)
    assert (first.area, second.area) == (6, 15)
    assert np.array_equal(union((first, second), SIZE), hole)
    assert first.source == "user"


def test_given_holes_are_added_to_what_was_found() -> None:
    given = Masks({7: block(12, 0, 3, 3), 8: block(0, 0, 1, 1)})
    (judged,) = Judge(given, whole=True)([marked(DUST)])
    assert (given.is_open, given.checked) == (False, 9)
    assert [spot.kind for spot in judged.spots[0]] == ["dust", "user"]
    assert judged.spots[1][0].box == (0, 0, 1, 1)


def test_protected_places_win_over_everything() -> None:
    given = Masks({7: block(3, 0, 1, 8)})
    (judged,) = Judge(given, Masks({7: block(3, 0, 17, 6)}))([marked(DUST)])
    assert given.checked is None
    whole = union(judged.spots[0], SIZE)
    expected = block(2, 3, 4, 5) | block(3, 0, 1, 8)
    expected[3:, :6] = False
    assert np.array_equal(whole, expected)
    for spot in judged.spots[0]:
        assert spot.hole.any(0)[[0, -1]].all()
        assert spot.hole.any(1)[[0, -1]].all()


def test_the_file_comes_back_with_other_states(tmp_path: Path) -> None:
    path = tmp_path / "spots.jsonl"
    lines = list(spot_lines(marked(DUST, DOUBT)))
    rows = [json.loads(line) for line in lines]
    assert rows[0] == {
        "frame": 7, "pts": 70, "kind": "dust", "box": [3, 2, 8, 6], "area": 20,
        "confidence": 0.877, "source": "auto", "state": "accepted",
    }  # fmt: skip
    rows[0]["state"], rows[1]["state"] = "rejected", "accepted"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (judged,) = Judge(verdicts=read_verdicts(path))([marked(DUST, DOUBT)])
    assert [spot.state for spot in judged.spots[0]] == ["rejected", "accepted"]


def test_a_verdict_finds_the_spot_that_moved_a_little(tmp_path: Path) -> None:
    path = tmp_path / "spots.jsonl"
    path.write_text('{"frame": 7, "box": [4, 2, 9, 6], "state": "rejected"}\n\n')
    near, far = DUST, replace(DUST, left=12)
    (judged,) = Judge(verdicts=read_verdicts(path))([marked(near, far)])
    assert [spot.state for spot in judged.spots[0]] == ["rejected", "accepted"]


def test_verdicts_of_another_film_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "spots.jsonl"
    path.write_text('{"frame": 7, "pts": 71, "box": [4, 2, 9, 6], "state": "rejected"}\n')
    with pytest.raises(GuidanceError, match="line 1: frame 7 has pts 71 there, but 70"):
        list(Judge(verdicts=read_verdicts(path))([marked(DUST)]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: no JSON"),
        ("[]", "an object with frame, box and state"),
        ('{"frame": 1, "box": [0, 0, 1, 1]}', "state is missing"),
        ('{"frame": 1, "box": [0, 0, 1, 1], "state": "bad"}', "state must be one of"),
        ('{"frame": -1, "box": [0, 0, 1, 1], "state": "accepted"}', "frame must be"),
        ('{"frame": 1, "box": [3, 0, 1, 1], "state": "accepted"}', "is empty"),
        ('{"frame": 1, "box": [0, 1], "state": "accepted"}', "left, top, right, bottom"),
        ('{"frame": 1, "boks": [0, 1], "state": "accepted"}', "did you mean 'box'"),
    ],
)
def test_errors_say_where(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "spots.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(GuidanceError, match=message):
        read_verdicts(path)


def test_nothing_said_changes_nothing() -> None:
    batch = marked(DUST)
    (judged,) = Judge()([batch])
    assert judged.spots == batch.spots
    assert judged.moved is batch.moved
    assert list(Judge()([])) == []
