import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.colors import NAMES, parse_color
from vidcolor.guidance.hints.entries import FilmHints, HintEntry, place, read_hints
from vidcolor.guidance.hints.paintings import read_painting
from vidcolor.guidance.moment import FrameTimes
from vidcolor.records import VideoInfo
from vidcolor.schema import load, to_dict

INFO = VideoInfo(40, 60)
TIMES = FrameTimes.even(50, Fraction(25), Fraction(1, 25), start=100)


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("#4682b4", (0x46, 0x82, 0xB4)),
        ("#48C", (0x44, 0x88, 0xCC)),
        ("steelblue", (70, 130, 180)),
        ("Steel Blue", (70, 130, 180)),
        (" TOMATO ", (255, 99, 71)),
    ],
)
def test_a_color_is_what_another_library_says(text, rgb):
    lightness, a, b = rgb2lab(np.array(rgb, float)[None, None] / 255)[0, 0]
    color = parse_color(text)
    assert color.ab == pytest.approx((a, b), abs=0.02)
    assert color.lightness == pytest.approx(lightness, abs=0.02)


def test_grays_are_exactly_neutral():
    assert {parse_color(name).ab for name in ("gray", "white", "black", "#7f7f7f")} == {(0.0, 0.0)}


def test_lab_and_ab_are_taken_as_written():
    assert parse_color("lab(60 12.5 -20)").ab == (12.5, -20)
    assert parse_color("Lab(60, 12.5, -20)").lightness == 60
    assert parse_color("ab(-3, 4)").lightness is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stelblue", "did you mean 'steelblue'"),
        ("#12", "write #rrggbb"),
        ("ab(1 2 3)", "wants 2 numbers"),
        ("lab(1 2)", "wants 3 numbers"),
        ("ab(200 0)", "-128 to 128"),
        ("lab(101 0 0)", "0 to 100"),
    ],
)
def test_what_is_no_color_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_color(text)


def test_all_names_are_there():
    assert len(NAMES) == 148
    assert NAMES["rebeccapurple"] == "663399"


def _write(path, hints, **more):
    path.write_text(json.dumps({"version": 1, "hints": hints, **more}))
    return path


DOT = {"frame": 2, "points": [10, 20], "color": "red"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, r"hints\[1\].colour: unknown key; did you mean 'color'"),
        ({"color": "rde"}, r"hints\[1\]: 'rde' is no color"),
        ({"frame": "2"}, r"hints\[1\].frame"),
        ({"frame": None}, r"hints\[1\].frame"),
        ({"time": 1.0}, r"hints\[1\]: .*frame and time are given"),
        ({"points": [1, 2, 3]}, r"hints\[1\]: points must be x0, y0"),
        ({"region": [0, 0, 9, 9]}, r"hints\[1\]: .*points and region are given"),
        ({"points": []}, r"hints\[1\]: .*none is given"),
        ({"track": "both"}, r"hints\[1\].track"),
        ({"reach": -1}, r"hints\[1\]: reach"),
        ({"radius_px": 0}, r"hints\[1\]: radius_px"),
        ({"unit": "inches"}, r"hints\[1\].unit"),
    ],
)
def test_errors_name_file_entry_and_key(tmp_path, change, words):
    entry = {**DOT, **change}
    entry = {key: value for key, value in entry.items() if key != "frame" or value is not None}
    if "frame" not in entry:
        words = r"hints\[1\]: exactly one of frame, time and pts"
    path = _write(tmp_path / "h.json", [DOT, entry])
    with pytest.raises(GuidanceError, match=words) as error:
        read_hints(path)
    assert str(error.value).startswith(str(path))


def test_other_faults_of_a_file(tmp_path):
    path = tmp_path / "h.json"
    for text, words in (
        ('{"version": 1,\n "hints": [}', "line 2, column"),
        ("[]", "must be"),
        ('{"hints": []}', "version is missing"),
        ('{"version": 2, "hints": []}', "reads 1"),
        ('{"version": 1, "hints": []}', "holds no hints"),
    ):
        path.write_text(text)
        with pytest.raises(GuidanceError, match=words):
            read_hints(path)
    with pytest.raises(GuidanceError, match="cannot be read"):
        read_hints(tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GuidanceError, match="holds no hints"):
        read_hints(tmp_path / "empty")


def test_an_entry_survives_being_written():
    entry = HintEntry("ab(1 2)", time="0:01.5", region=(0, 0, 5, 5), track=3, note="coat")
    assert load(HintEntry, to_dict(entry)) == entry


def test_hints_find_their_frames_and_shots(tmp_path):
    path = _write(
        tmp_path / "h.json",
        [
            DOT,
            {"time": "1.0", "region": [0, 0, 0.5, 0.5], "unit": "fractions", "color": "gray"},
            {"pts": 149, "whole": True, "color": "tan"},
            {"track": 200003, "whole": True, "color": "#123"},
        ],
    )
    placed = place(read_hints(path), TIMES, INFO)
    assert sorted(placed.frames) == [102, 125, 149]
    assert list(placed.tracks) == [200003]
    assert placed.frames[125][0].where == f"{path}.hints[1]"
    assert placed.frames[125][0].source.corners(INFO) == [(0, 0), (30, 0), (30, 20), (0, 20)]
    # shots begin at frames 0, 10, 30 and 40
    assert placed.touched({0: 100, 1: 110, 2: 130, 3: 140}) == {0, 1, 2, 3}
    assert placed.touched({0: 100, 1: 103, 2: 130, 3: 150}) == {0, 1, 2}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (HintEntry("red", frame=50, points=(1, 1)), r"hints\[0\]: frame 50 lies behind the end"),
        (
            HintEntry("red", frame=0, points=(61, 1)),
            r"\(61, 1\) lies outside the frame, which is 60",
        ),
        (HintEntry("red", frame=0, region=(60, 0, 90, 9)), "region lies outside"),
    ],
)
def test_hints_outside_the_film_are_refused(entry, words):
    with pytest.raises(GuidanceError, match=words):
        place(FilmHints.of((entry,)), TIMES, INFO)


def _gray(height=40, width=60):
    ramp = np.linspace(30, 220, width).astype(np.uint8)
    return np.repeat(np.broadcast_to(ramp, (height, width))[..., None], 3, axis=2).copy()


def test_a_folder_of_painted_frames_and_a_file(tmp_path):
    cv2.imwrite(str(tmp_path / "0007.png"), _gray())
    cv2.imwrite(str(tmp_path / "frame_000012.png"), _gray(20, 30))
    _write(tmp_path / "hints.json", [DOT])
    hints = read_hints(tmp_path)
    placed = place(hints, TIMES, INFO)
    assert sorted(placed.frames) == [102, 107, 112]
    cv2.imwrite(str(tmp_path / "7.png"), _gray())
    with pytest.raises(GuidanceError, match=r"7.png: is the same frame as 0007.png"):
        read_hints(tmp_path)
    (tmp_path / "7.png").rename(tmp_path / "seven.png")
    with pytest.raises(GuidanceError, match="is its number"):
        read_hints(tmp_path)


def test_a_painted_frame_must_have_the_shape_of_the_film(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), _gray(40, 40))
    with pytest.raises(GuidanceError, match="40x40, the film 60x40"):
        place(read_hints(tmp_path), TIMES, INFO)
    (tmp_path / "1.png").write_bytes(b"\x89PNG no")
    with pytest.raises(GuidanceError, match=r"1\.png"):
        place(read_hints(tmp_path), TIMES, INFO)


def test_what_differs_from_gray_is_paint(tmp_path):
    picture = _gray()
    picture[10:20, 20:40] = (180, 130, 70)  # blue first: steelblue
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), picture)
    ab, known = read_painting(path, INFO, (20, 30))
    expected = np.zeros((20, 30))
    expected[5:10, 10:20] = 1
    assert np.array_equal(known, expected)
    wanted = rgb2lab(np.array((70, 130, 180.0))[None, None] / 255)[0, 0, 1:]
    assert np.abs(ab[:, known > 0] - wanted[:, None]).max() < 0.1


def test_a_thin_stroke_is_seen_on_a_coarse_grid(tmp_path):
    picture = _gray(400, 600)
    picture[200:202] = (0, 0, 255)
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), picture)
    _, known = read_painting(path, INFO, (40, 60))
    assert known[20].all()
    assert known.sum() == 60


def test_what_jpeg_makes_of_gray_is_no_paint(tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.repeat(rng.integers(40, 200, (40, 60, 1), dtype=np.uint8), 3, axis=2)
    noisy[..., 0] += rng.integers(0, 8, (40, 60), dtype=np.uint8)  # a scan is never quite gray
    noisy[5:17, 5:17] = (0, 0, 220)
    path = tmp_path / "1.jpg"
    cv2.imwrite(str(path), noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])
    ab, known = read_painting(path, INFO, (40, 60))
    assert known[7:15, 7:15].all()
    known[2:21, 2:21] = 0  # the block of the codec around the paint
    assert not known.any()
    assert ab[0, 10, 10] > 50


def test_with_transparency_gray_paint_counts(tmp_path):
    picture = np.dstack((_gray(), np.zeros((40, 60), np.uint8)))
    picture[0:10, 0:10, 3] = 255
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), picture)
    ab, known = read_painting(path, INFO, (40, 60))
    assert known[:10, :10].all()
    assert known.sum() == 100
    assert np.abs(ab).max() < 0.1


def test_a_turned_film_takes_the_picture_that_players_show(tmp_path):
    info = VideoInfo(40, 60, rotation=90)
    shown = _gray(60, 40)
    shown[:6, :6] = (0, 0, 220)  # upper left as shown
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), shown)
    _, known = read_painting(path, info, (40, 60))
    # shown is the coded picture turned counter-clockwise: its upper left is coded upper right
    assert known[:6, -6:].all()
    assert known.sum() == 36
