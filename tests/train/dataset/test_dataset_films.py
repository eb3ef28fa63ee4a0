import json
from fractions import Fraction

import numpy as np
from made_films import (
    build,
    gray,
    letterboxed,
    near_to,
    resized,
    scene,
    shot,
    write_film,
)

from vidcolor.ops.letterbox import Bars
from vidcolor.records import VideoInfo
from vidcolor.train.dataset.crop import Boxes
from vidcolor.train.dataset.frames import upright_area, upright_boxes
from vidcolor.train.dataset.report import DROPPED, report_table


def test_a_film_becomes_pictures_of_its_shots(tmp_path):
    frames = [*shot(1), *shot(2), *shot(3)]
    film = write_film(tmp_path / "a.mkv", frames)
    report, pictures = build([film], tmp_path / "set", per_shot=3)
    (row,) = report.sources
    assert (row.name, row.kind, row.frames, row.looked) == ("a", "film", 30, 15)
    assert {(p["source"], p["shot"]) for p in pictures.values()} == {("a", 0), ("a", 1), ("a", 2)}
    assert len(pictures) == row.train + row.val == 9
    for picture in pictures.values():
        index = round(picture["time"] * 10)
        assert picture["shot"] == index // 10
        assert (picture["height"], picture["width"]) == picture["rgb"].shape[:2] == (64, 85)
        assert near_to(picture["rgb"], resized(frames[index], (64, 85)))
        assert "boxes" not in picture  # nobody looked


def test_every_offered_frame_is_accounted_for(tmp_path):
    frames = [*shot(1), *gray(shot(2)), *[np.zeros_like(scene(1))] * 10, *shot(1), *shot(3, 1) * 9]
    report, pictures = build([write_film(tmp_path / "a.mkv", frames)], tmp_path / "set")
    (row,) = report.sources
    assert set(row.dropped) == set(DROPPED)
    assert row.looked == sum(row.dropped.values()) + row.train + row.val
    assert row.dropped["gray"] == 5
    assert row.dropped["black"] == 1  # the other four are held
    assert row.dropped["duplicate"] == 4  # of the shot that comes again
    assert row.dropped["held"] == 4 + 4  # and of the shot that stands still
    assert sum(p["time"] < 1.0 for p in pictures.values()) == 4
    assert not any(1.0 <= p["time"] < 4.0 for p in pictures.values())
    table = report_table(report)
    assert all(word in table for word in ("gray", "duplicate", "held", "frames"))
    assert "white" not in table


def test_animation_on_threes_gives_no_picture_twice(tmp_path):
    drawings = [scene(5, move=6 * i) for i in range(8)]
    frames = [drawing for drawing in drawings for _ in range(3)]
    report, pictures = build(
        [write_film(tmp_path / "a.mkv", frames)], tmp_path / "set", every_s=0.1, per_shot=32
    )
    shown = [round(p["time"] * 10) // 3 for p in pictures.values()]
    assert sorted(shown) == list(range(8))
    assert report.sources[0].dropped["held"] == 16


def test_bars_are_cut_off_at_the_end_of_the_film_at_full_size(tmp_path):
    lit = [letterboxed(shot(seed, 8, (48, 96)), 12, 12) for seed in range(4)]
    film = write_film(tmp_path / "a.mkv", [f for frames in lit for f in frames])
    _, pictures = build([film], tmp_path / "set", short_side=40)
    assert len(pictures) >= 12
    for picture in pictures.values():
        assert min(picture["rgb"].shape[:2]) == 40  # not of the frame, of what is kept
        edges = np.concatenate((picture["rgb"][:1], picture["rgb"][-1:]))
        assert edges.max(2).min() > 12
    _, pictures = build([film], tmp_path / "whole", bars=False)
    assert all(picture["rgb"][:8].max() < 12 for picture in pictures.values())


def test_a_dark_scene_gets_the_bars_that_the_film_has(tmp_path):
    lit = [letterboxed(shot(seed, 8, (48, 96)), 12, 12) for seed in range(4)]
    fade = np.clip((np.arange(48) - 20) / 20, 0, 1)[:, None, None]
    dark = [(frame * fade).astype(np.uint8) for frame in shot(9, 8, (48, 96))]
    frames = [*letterboxed(dark, 12, 12), *(frame for frames in lit for frame in frames)]
    _, pictures = build([write_film(tmp_path / "a.mkv", frames)], tmp_path / "set", bars=True)
    night = [picture for picture in pictures.values() if picture["shot"] == 0]
    assert night
    for picture in night:
        assert picture["rgb"].shape[:2] == (46, 96)
        assert near_to(picture["rgb"], dark[round(10 * picture["time"])][1:-1])


def test_validation_never_shares_a_shot_with_training(tmp_path):
    frames = [frame for seed in range(9) for frame in shot(seed, 8)]
    _, pictures = build([write_film(tmp_path / "a.mkv", frames)], tmp_path / "set")
    sides = {}
    for picture in pictures.values():
        sides.setdefault(picture["shot"], set()).add(picture["split"])
    assert len(sides) == 9
    assert all(len(side) == 1 for side in sides.values())
    assert {side for one in sides.values() for side in one} == {"train", "val"}


def test_shot_and_reverse_shot_go_to_the_same_side(tmp_path):
    """Two places in turn; each time they come again something else stands in the middle."""
    frames = []
    for turn in range(8):
        for frame in shot(turn % 2, 8, speed=0.3):
            frame[20:44, 36 + 2 * turn : 52 + 2 * turn] = scene(50 + turn, (24, 16))
            frames.append(frame)
    report, pictures = build(
        [write_film(tmp_path / "a.mkv", frames)], tmp_path / "set", same_bits=0
    )
    assert report.sources[0].val
    for picture in pictures.values():
        alike = [p["split"] for p in pictures.values() if p["shot"] % 2 == picture["shot"] % 2]
        assert set(alike) == {picture["split"]}
    assert {p["shot"] for p in pictures.values()} >= {0, 1, 2, 3, 4}


def test_boxes_follow_bars_and_size(tmp_path):
    """A magenta thing is where its box says, before and after."""
    frames = []
    for seed in range(3):
        for frame in letterboxed(shot(seed, 8, (60, 120)), 10, 10):
            frame[20:60, 20:80] = (255, 0, 255)
            frames.append(frame)
    film = write_film(tmp_path / "a.mkv", frames)
    rows = [
        {"frame": n, "boxes": [[20, 20, 80, 60], [0, 0, 120, 14]], "scores": [0.9, 0.5],
         "labels": ["person", "dog"]}
        for n in range(0, 24, 2)
    ]  # fmt: skip
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, pictures = build(
        [film], tmp_path / "set", detector=f"boxes:{boxes}", short_side=32, same_bits=0
    )
    assert len(pictures) >= 3
    for picture in pictures.values():
        assert picture["labels"] == ["person"]  # of the dog's 3 rows not 4 px are left
        assert picture["scores"] == [0.9]
        assert min(picture["rgb"].shape[:2]) == 32
        red, green, blue = np.moveaxis(picture["rgb"].astype(int), 2, 0)
        rows, columns = np.nonzero((red > 230) & (green < 25) & (blue > 230))
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(picture["boxes"], [seen], atol=1.5)


def test_where_the_detector_found_nothing_boxes_are_empty(tmp_path):
    film = write_film(tmp_path / "a.mkv", shot(1, 12))
    _, pictures = build([film], tmp_path / "set", detector="motion")
    assert pictures
    assert all(isinstance(picture["boxes"], list) for picture in pictures.values())


def test_what_moves_gets_boxes_from_the_motion_detector(tmp_path):
    frames = []
    thing = np.rint(scene(4, (40, 40)) * 0.4 + 130)
    for i in range(40):
        frame = scene(1, (144, 192)).copy()
        frame[30 + i : 70 + i, 10 + 3 * i : 50 + 3 * i] = thing
        frames.append(frame)
    film = write_film(tmp_path / "a.mkv", frames)
    _, pictures = build([film], tmp_path / "set", detector="motion", short_side=72)
    hits = 0
    for picture in pictures.values():
        i = 10 * picture["time"]
        expected = np.array((10 + 3 * i, 30 + i, 50 + 3 * i, 70 + i)) / 2
        hits += any(np.abs(box - expected).max() < 5 for box in np.array(picture["boxes"]))
        assert set(picture["labels"]) <= {"moving"}
    assert hits >= 2


def test_pairs_are_the_picture_pair_s_later_in_the_same_shot(tmp_path):
    frames = [*shot(1, 10, speed=3), *shot(2, 10, speed=3)]
    film = write_film(tmp_path / "a.mkv", frames)
    _, pictures = build(
        [film], tmp_path / "set", pairs=True, pair_s=0.2, per_shot=32, least_difference=0.5
    )
    for picture in pictures.values():
        index = round(picture["time"] * 10)
        if index % 10 == 8:  # the shot ends before
            assert "later" not in picture
        else:
            assert near_to(picture["later"], resized(frames[index + 2], (64, 85)))
            assert not near_to(picture["later"], resized(frames[index], (64, 85)))
    assert sum("later" in p for p in pictures.values()) >= 6
    rows = [json.loads(line) for line in (tmp_path / "set/manifest.jsonl").open()]
    assert {r["key"]: r["later"] for r in rows} == {k: "later" in p for k, p in pictures.items()}


def test_of_a_drawing_that_is_held_the_next_one_is_the_later(tmp_path):
    drawings = [scene(5, move=6 * i) for i in range(6)]
    frames = [drawing for drawing in drawings for _ in range(3)]
    film = write_film(tmp_path / "a.mkv", frames)
    _, pictures = build([film], tmp_path / "set", pairs=True, pair_s=0.2, every_s=0.1, per_shot=32)
    shown = {round(p["time"] * 10) // 3: p for p in pictures.values()}
    for number in range(5):
        expected = resized(drawings[number + 1], (64, 85))
        assert near_to(shown[number]["later"], expected)


def test_a_drawing_that_is_held_for_long_has_no_later_one(tmp_path):
    frames = [drawing for i in range(3) for drawing in [scene(5, move=6 * i)] * 6]
    film = write_film(tmp_path / "a.mkv", frames)
    _, pictures = build([film], tmp_path / "set", pairs=True, pair_s=0.2, per_shot=32)
    assert len(pictures) == 3
    assert not any("later" in picture for picture in pictures.values())


def test_a_long_shot_is_thinned_evenly(tmp_path):
    """Of 120 candidates every fourth is left: 48 are too many, and 24 of them still are later."""
    film = write_film(tmp_path / "a.mkv", [scene(i, (36, 48)) for i in range(120)])
    shots = tmp_path / "shots.json"
    shots.write_text(json.dumps({"shots": [{"shot": 0, "start": 0, "end": 119}]}))
    report, pictures = build(
        [film], tmp_path / "set", every_s=0.1, per_shot=32, cut={"shots_file": str(shots)}
    )
    (row,) = report.sources
    assert row.looked == 120 == sum(row.dropped.values()) + 30
    times = sorted(picture["time"] for picture in pictures.values())
    assert times == [round(0.4 * i, 6) for i in range(30)]


def test_boxes_and_bars_are_turned_and_stretched_with_the_picture():
    """Coded 40 rows and 80 columns of pixels twice as wide; turned counter-clockwise: 160 by 40."""
    info = VideoInfo(40, 80, sample_aspect=Fraction(2), rotation=90)
    boxes = Boxes.of([[0, 0, 10, 20]], [1.0], ["cat"])  # the left end of the top
    np.testing.assert_allclose(upright_boxes(boxes, info).boxes, [[0, 140, 20, 160]])
    # 4 columns on the left become 8 rows at the bottom, in a picture of half the size 4
    area = upright_area(Bars(top=6, left=4), info, (80, 20))
    np.testing.assert_allclose(area, (3, 0, 20, 76))
