"""Whole files: frames that belong together, shots, boxes, bars, what is refused."""

import json
from fractions import Fraction

import numpy as np
import pytest
from made_color import BLUE, RED, SIZE, flat, texture, tint, write_film
from media import make_video

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.evaluate import EvaluateConfig, evaluate_film
from vidcolor.evaluate.match import find_bars


def moving(color, count=12, seed=0, size=SIZE):
    return [tint(texture(i, size, seed), color) for i in range(count)]


def test_the_truth_itself_is_right(tmp_path):
    film = write_film(tmp_path / "a.mkv", moving(RED))
    told = []
    report = evaluate_film(film, truth=film, progress=told.append)
    assert sum(told) == report.film.frames == 12
    assert report.film.fidelity.psnr == pytest.approx(78.13, abs=0.01)  # what an equal frame counts
    assert report.film.fidelity.ssim == pytest.approx(1)
    assert report.film.fidelity.delta_e == 0
    assert report.film.chroma_fraction == 1
    assert report.film.cdc_excess == 0
    assert report.film.colorfulness_difference == 0
    assert report.film.color == report.film.truth
    assert report.size == SIZE
    assert report.worst == ()


def test_gray_against_color_is_measured_as_the_pixels_say(tmp_path):
    color = moving(RED, 4)
    gray = [np.repeat(f.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for f in color]
    report = evaluate_film(
        write_film(tmp_path / "gray.mkv", gray), truth=write_film(tmp_path / "color.mkv", color)
    )
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(gray, color, strict=True)]
    expected = np.mean([10 * np.log10(255**2 / e) for e in errors])
    assert report.film.fidelity.psnr == pytest.approx(expected)
    assert report.film.color.chroma == pytest.approx(0, abs=0.01)
    assert report.film.chroma_fraction == pytest.approx(0, abs=0.01)


def test_shots_are_found_and_nothing_crosses_them(tmp_path):
    frames = moving(RED, 10) + moving(BLUE, 10, seed=5)
    film = write_film(tmp_path / "a.mkv", frames)
    report = evaluate_film(film)
    assert [(s.start, s.end) for s in report.shots] == [(0, 9), (10, 19)]
    one = evaluate_film(film, config=EvaluateConfig(motion_side=48), shots=_shots(tmp_path, [19]))
    assert one.film.color.cdc > 5 * report.film.color.cdc


def _shots(folder, ends):
    starts = [0, *(end + 1 for end in ends)]
    rows = [{"start": s, "end": e} for s, e in zip(starts, ends, strict=False)]
    path = folder / "shots.json"
    path.write_text(json.dumps({"shots": rows}))
    return path


def test_a_shots_file_is_obeyed(tmp_path):
    film = write_film(tmp_path / "a.mkv", moving(RED, 12))
    report = evaluate_film(film, shots=_shots(tmp_path, [3, 11]))
    assert [(s.start, s.end) for s in report.shots] == [(0, 3), (4, 11)]
    with pytest.raises(GuidanceError, match="ends at frame 5"):
        evaluate_film(film, shots=_shots(tmp_path, [5]))


def test_boxes_of_a_file_are_tracks(tmp_path):
    frames = moving(RED, 6)
    for i in (1, 3, 5):
        frames[i][12:36, 16:32] = tint(texture(i)[12:36, 16:32], BLUE)
    rows = [
        {"frame": i, "pts": i * 40, "boxes": [[16, 12, 32, 36]], "ids": [4], "labels": ["cat"]}
        for i in range(6)
    ]
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    film = write_film(tmp_path / "a.mkv", frames)
    (track,) = evaluate_film(film, boxes=boxes).tracks
    assert (track.id, track.label, track.measures.frames) == (4, "cat", 6)
    assert track.measures.color.popping > 10
    assert track.measures.color.chroma > 10
    boxes.write_text(boxes.read_text().replace('"pts": 40', '"pts": 41'))
    with pytest.raises(GuidanceError, match=r"pts 40 .*as source"):
        evaluate_film(film, boxes=boxes)


def test_times_may_be_rounded_by_the_container(tmp_path):
    frames = moving(RED, 6)
    stamps = [0, 1001, 2002, 4004, 5005, 6006]
    exact = write_film(tmp_path / "a.nut", frames, stamps, Fraction(1, 30000))
    rounded = write_film(
        tmp_path / "b.mkv", frames, [round(s / 30) for s in stamps], Fraction(1, 1000)
    )
    assert evaluate_film(rounded, truth=exact).film.fidelity.delta_e == 0


def test_other_clocks_are_refused_unless_told(tmp_path):
    frames = moving(RED, 6)
    truth = write_film(tmp_path / "a.mkv", frames)
    late = write_film(tmp_path / "b.mkv", frames, range(10, 16))
    with pytest.raises(MediaError, match=r"b\.mkv: its frame 0 is at 0:00:00\.400"):
        evaluate_film(late, truth=truth)
    report = evaluate_film(late, truth=truth, config=EvaluateConfig(align="first"))
    assert report.film.fidelity.delta_e == 0


@pytest.mark.parametrize("longer", ["truth", "result"])
def test_other_lengths_are_refused(tmp_path, longer):
    frames = moving(RED, 6)
    short = write_film(tmp_path / "short.mkv", frames[:4])
    long = write_film(tmp_path / "long.mkv", frames)
    result, truth = (short, long) if longer == "truth" else (long, short)
    with pytest.raises(MediaError, match=r"short\.mkv: ends before 0:00:00\.160.*long\.mkv"):
        evaluate_film(result, truth=truth)


def test_a_part_is_compared_with_its_place_in_the_truth(tmp_path):
    frames = moving(RED, 12)
    truth = write_film(tmp_path / "a.mkv", frames)
    part = write_film(tmp_path / "b.mkv", frames[5:9])
    report = evaluate_film(part, truth=truth, config=EvaluateConfig(start=0.2))
    assert report.film.frames == 4
    assert report.film.fidelity.delta_e == 0


def test_other_sizes_are_refused(tmp_path):
    result = write_film(tmp_path / "a.mkv", moving(RED, 3))
    truth = write_film(tmp_path / "b.mkv", moving(RED, 3, size=(64, 48)))
    with pytest.raises(MediaError, match=r"a\.mkv: is 64x48 .*b\.mkv is 48x64"):
        evaluate_film(result, truth=truth)


def test_motion_is_looked_for_in_the_source(tmp_path):
    # the result has no texture at all, so its own luma tells nothing
    result = write_film(tmp_path / "a.mkv", [flat(RED)] * 5)
    source = make_video(tmp_path / "b.mkv", frames=5, size=SIZE).path
    report = evaluate_film(result, source=source)
    assert report.film.cdc_gray > 0
    assert evaluate_film(result).film.cdc_gray == 0


def test_bars_are_left_out(tmp_path):
    inner = moving(RED, 8)
    boxed = [np.pad(frame, ((16, 16), (0, 0), (0, 0))) for frame in inner]
    film = write_film(tmp_path / "boxed.mkv", boxed)
    bars = find_bars(film)
    assert 16 <= bars.top <= 18
    assert 16 <= bars.bottom <= 18
    cut = evaluate_film(film)
    kept = evaluate_film(film, config=EvaluateConfig(bars="keep"))
    assert cut.bars[:2] == (bars.top, bars.bottom)
    assert cut.size == (80 - bars.top - bars.bottom, 64)
    assert kept.size == (80, 64)
    crop = [f[bars.top - 16 : 48 - (bars.bottom - 16)] for f in inner]
    bare = evaluate_film(
        write_film(tmp_path / "crop.mkv", crop), config=EvaluateConfig(bars="keep")
    )
    assert cut.film.color.cdc == pytest.approx(bare.film.color.cdc)
    assert cut.film.color.chroma == pytest.approx(bare.film.color.chroma, rel=1e-4)
    assert kept.film.color.chroma < 0.7 * cut.film.color.chroma


def test_results_do_not_depend_on_batches(tmp_path):
    film = write_film(tmp_path / "a.mkv", moving(RED, 10) + moving(BLUE, 9, seed=5))
    one = evaluate_film(film, config=EvaluateConfig(batch_size=1))
    many = evaluate_film(film, config=EvaluateConfig(batch_size=7))
    assert one.to_json() == many.to_json()


def test_a_rotated_film_is_measured_upright(tmp_path):
    film = make_video(
        tmp_path / "a.mp4", codec="libx264", frames=4, size=SIZE, color=True, rotation=90
    ).path
    report = evaluate_film(film, truth=film)
    assert report.size == (64, 48)
    assert report.film.fidelity.delta_e == 0


def test_what_is_odd_about_a_film_is_said_once(tmp_path, caplog):
    film = make_video(tmp_path / "a.mkv", frames=6, size=SIZE, tags=(5, 2, 16), color=True).path
    evaluate_film(film)
    assert sum("HDR" in message for message in caplog.messages) == 1


def test_missing_files_are_one_line(tmp_path):
    with pytest.raises(MediaError, match="nothere"):
        evaluate_film(tmp_path / "nothere.mkv")


def test_json_has_no_nan_and_all_numbers(tmp_path):
    film = write_film(tmp_path / "a.mkv", moving(RED, 3))
    data = json.loads(evaluate_film(film, truth=film).to_json(), parse_constant=pytest.fail)
    assert data["film"]["chroma_fraction"] == 1
    assert data["film"]["color"]["flicker"] is None
    assert data["curves"]["values"]["instability"][0] is None
    assert len(data["curves"]["time"]) == 3
    assert data["shots"][0]["measures"]["frames"] == 3
