"""`vidcolor colorize` with hints, references, tracks and a color script."""

import json
import os
import shutil

import av
import cv2
import numpy as np
import pytest
from media import read_luma, texture, write_gray

from vidcolor import cli
from vidcolor.api import colorize_image, colorize_video
from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import GuidanceError

SIZE = (96, 160)
FRAMES = 24  # of each shot
BLUE = "#3050d0"


def _square(shot, number):
    """Left and top of the square in a frame of a shot."""
    return (10 + 3 * number, 30) if shot == 0 else (100 - 3 * number, 50)


def _lumas():
    """Two shots, over each of which the same light square goes, to the right and to the left."""
    thing = texture(9, 170, 230, 2.0, (30, 30))
    for shot in range(2):
        ground = texture(shot, 30, 100, 3.0, SIZE) if shot == 0 else texture(7, 60, 120, 8, SIZE)
        for number in range(FRAMES):
            luma = ground.copy()
            x, y = _square(shot, number)
            luma[y : y + 30, x : x + 30] = thing
            yield luma.astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_gray(tmp_path_factory.mktemp("film") / "square.mkv", list(_lumas()))


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("VIDCOLOR_")]:
        if name != "VIDCOLOR_CACHE":
            monkeypatch.delenv(name)


def _run(*words):
    words = [str(word) for word in words]
    if words[0] in ("colorize", "plan", "tracks"):
        words += ["--detector", "motion", "--colorize.short_side", "96", "--quiet"]
    if words[0] == "colorize":
        words += ["--codec", "ffv1", "--pix-fmt", "yuv444p"]
    return cli.main(words)


def _read(path):
    """(N, H, W, 2) a*b* of all frames."""
    import torch

    with av.open(str(path)) as result:
        rgb = np.stack([frame.to_ndarray(format="rgb24") for frame in result.decode(video=0)])
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255)
    return lab[:, 1:].permute(0, 2, 3, 1).numpy()


def _on_square(ab, frame):
    """Mean a*b* well inside the square of a frame of the film."""
    x, y = _square(*divmod(frame, FRAMES))
    return ab[frame, y + 8 : y + 22, x + 8 : x + 22].mean((0, 1))


def _beside(ab, frame):
    """Mean a*b* of the corner that the square never comes to."""
    return ab[frame, :20, :].mean((0, 1))


@pytest.fixture(scope="module")
def plain(film, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "plain.mkv"
    assert _run("colorize", film, path) == 0
    return _read(path)


def _is_blue(ab):
    return ab[1] < -25 and ab[0] > 5


def test_a_hint_follows_its_object_through_the_shot(film, plain, tmp_path):
    x, y = _square(0, 5)
    hint = {"frame": 5, "points": [x + 15, y + 15], "radius_px": 2, "color": BLUE}
    (tmp_path / "hints.json").write_text(json.dumps({"version": 1, "hints": [hint]}))
    assert _run("colorize", film, tmp_path / "a.mkv", "--hints", tmp_path / "hints.json") == 0
    ab = _read(tmp_path / "a.mkv")
    for frame in (0, 5, 12, 23):
        assert _is_blue(_on_square(ab, frame))
        assert not _is_blue(_on_square(plain, frame))
        np.testing.assert_allclose(_beside(ab, frame), _beside(plain, frame), atol=2)
    assert not _is_blue(_beside(ab, 30))
    before, after = read_luma(film), read_luma(tmp_path / "a.mkv")
    assert before[1] == after[1]
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))


def _painted(path, frame):
    """A frame of the film in color: the square red, the ground green."""
    luma = list(_lumas())[frame].astype(np.float32)
    x, y = _square(*divmod(frame, FRAMES))
    lab = np.dstack((luma / 2.55, np.full(SIZE, -20.0), np.full(SIZE, 20.0))).astype(np.float32)
    lab[y : y + 30, x : x + 30, 1:] = (35, 15)
    rgb = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    cv2.imwrite(str(path), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
    return path


def test_a_colored_frame_colors_its_shot(film, plain, tmp_path):
    picture = _painted(tmp_path / "frame_000012.png", 12)
    words = ("--reference", picture, "--references.short_side", "96")
    assert _run("colorize", film, tmp_path / "a.mkv", *words) == 0
    ab = _read(tmp_path / "a.mkv")
    for frame in (3, 12, 20):
        np.testing.assert_allclose(_on_square(ab, frame), (35, 15), atol=10)
        np.testing.assert_allclose(_beside(ab, frame), (-20, 20), atol=10)
        assert np.abs(_beside(plain, frame) - (-20, 20)).max() > 10


def test_a_name_in_the_tracks_file_colors_an_object_in_both_shots(film, plain, tmp_path):
    assert _run("tracks", film, tmp_path / "tracks.json", "--no-sheet") == 0
    document = json.loads((tmp_path / "tracks.json").read_text())
    longest = {}
    for row in document["tracks"]:
        if row["seconds"] > longest.get(row["shot"], row)["seconds"] or row["shot"] not in longest:
            longest[row["shot"]] = row
    assert sorted(longest) == [0, 1]
    for row in longest.values():
        row["identity"] = "square"
    longest[0]["color"] = BLUE  # said once
    (tmp_path / "tracks.json").write_text(json.dumps(document))
    assert _run("colorize", film, tmp_path / "a.mkv", "--tracks", tmp_path / "tracks.json") == 0
    ab = _read(tmp_path / "a.mkv")
    for frame in (12, FRAMES + 12):
        assert _on_square(ab, frame)[1] < _on_square(plain, frame)[1] - 15
        np.testing.assert_allclose(_beside(ab, frame), _beside(plain, frame), atol=2)


def test_of_a_plan_only_what_changed_is_colored_again(film, plain, tmp_path):
    film = shutil.copy(film, tmp_path / "square.mkv")
    script, output = tmp_path / "film.vidcolor", tmp_path / "a.mkv"
    assert _run("plan", film, script) == 0
    assert _run("colorize", film, output, "--plan", script) == 0
    first = _read(output)
    np.testing.assert_allclose(first, plain, atol=3)
    segments = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("a.mkv.parts/*")}
    assert len(segments) == 2

    text = script.read_text()
    where = text.index("number = 1\n") + len("number = 1\n")
    script.write_text(text[:where] + "grade = { saturation = 0.0 }\n" + text[where:])
    assert _run("colorize", film, output, "--plan", script) == 1  # nothing is replaced unasked
    assert _run("colorize", film, output, "--plan", script, "--overwrite") == 0
    again = _read(output)
    assert np.array_equal(again[:FRAMES], first[:FRAMES])
    assert np.abs(again[FRAMES:]).max() < 1
    now = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("a.mkv.parts/*")}
    assert len(now) == 2
    assert len(now.items() & segments.items()) == 1


def test_hints_of_a_plan(film, plain, tmp_path):
    script = tmp_path / "film.vidcolor"
    assert _run("plan", film, script, "--no-tracks") == 0
    x, y = _square(1, 4)
    hint = f'[[hints]]\nframe = {FRAMES + 4}\npoints = [{x + 15}, {y + 15}]\ncolor = "{BLUE}"\n'
    script.write_text(script.read_text() + "\n" + hint)
    assert _run("colorize", film, tmp_path / "a.mkv", "--plan", script) == 0
    ab = _read(tmp_path / "a.mkv")
    assert _is_blue(_on_square(ab, FRAMES + 4))
    assert not _is_blue(_on_square(ab, 4))


def test_a_plan_from_python(film, plain, tmp_path):
    script = tmp_path / "film.vidcolor"
    assert _run("plan", film, script, "--no-tracks") == 0
    options = {"codec": "ffv1", "pix_fmt": "yuv444p", "detector": "none"}
    small = {"short_side": 96}
    output = tmp_path / "a.mkv"
    count = colorize_video(film, output, plan=script, colorize=small, **options)
    assert count == 2 * FRAMES
    assert _read(output).shape == plain.shape


def test_an_output_that_exists_is_refused_before_the_film_is_read(film, tmp_path, capsys):
    (tmp_path / "a.mkv").write_text("mine")
    hint = {"frame": 999, "points": [1, 1], "color": "red"}  # found out by a pass over the film
    (tmp_path / "hints.json").write_text(json.dumps({"version": 1, "hints": [hint]}))
    words = ("--hints", tmp_path / "hints.json")
    assert _run("colorize", film, tmp_path / "a.mkv", *words) == 1
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "a.mkv").read_text() == "mine"
    assert _run("colorize", film, tmp_path / "b.mkv", *words) == 1
    assert "hints[0]: frame 999 lies behind the end" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "hints.json"]


def test_the_palette_of_a_picture(film, plain, tmp_path):
    script = tmp_path / "film.vidcolor"
    assert _run("plan", film, script, "--no-tracks") == 0
    _painted(tmp_path / "green.png", 0)
    entry = '[[references]]\nfile = "green.png"\nmethod = "tone"\nshots = [1]\n'
    script.write_text(script.read_text() + "\n" + entry)
    assert _run("colorize", film, tmp_path / "a.mkv", "--plan", script) == 0
    ab = _read(tmp_path / "a.mkv")
    np.testing.assert_allclose(ab[: FRAMES - 1], plain[: FRAMES - 1], atol=3)
    picture = np.array([-20.0, 20.0])  # and a red square, of a seventeenth of it
    np.testing.assert_allclose(ab[FRAMES + 9].mean((0, 1)), picture, atol=7)


def test_a_picture_with_a_hint_and_a_reference(film, tmp_path):
    luma = next(_lumas())
    cv2.imwrite(str(tmp_path / "a.png"), luma)
    x, y = _square(0, 0)
    hint = {"frame": 0, "points": [x + 15, y + 15], "color": BLUE}
    (tmp_path / "hints.json").write_text(json.dumps({"version": 1, "hints": [hint]}))
    code = cli.main(
        ["colorize", str(tmp_path / "a.png"), str(tmp_path / "b.png"),
         "--hints", str(tmp_path / "hints.json"), "--quiet", "--detector", "none"]
    )  # fmt: skip
    assert code == 0
    lab = cv2.cvtColor(
        cv2.imread(str(tmp_path / "b.png")).astype(np.float32) / 255, cv2.COLOR_BGR2LAB
    )
    assert _is_blue(lab[y + 8 : y + 22, x + 8 : x + 22, 1:].mean((0, 1)))
    picture = _painted(tmp_path / "colored.png", 0)
    rgb = colorize_image(luma, guidance={"references": [str(picture)]}, detector="none")
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(lab[:20, :, 1:].mean((0, 1)), (-20, 20), atol=8)
    with pytest.raises(GuidanceError, match="tracks are those of a film"):
        colorize_image(luma, guidance={"tracks": "tracks.json"}, detector="none")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hints", "none.json"], "none.json"),
        (["--reference", "none.png"], "none.png"),
        (["--tracks", "none.json"], "none.json"),
        (["--plan", "none.vidcolor"], "none.vidcolor"),
        (["--cadence", "often"], "cadence must be auto, every or a number"),
        (["--tracks", "tracks.json", "--no-stabilize"], "remember.enabled is off"),
        (["--style", "winter.png"], "a style needs a network that goes by a vector of the whole"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_written(
    film, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracks.json").write_text('{"version": 1, "tracks": []}')
    assert _run("colorize", film, tmp_path / "a.mkv", *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.mkv").exists()


def test_a_script_of_another_film_and_hints_for_a_folder(film, tmp_path, capsys):
    script = tmp_path / "film.vidcolor"
    assert _run("plan", film, script, "--no-tracks") == 0
    other = tmp_path / "other.mkv"
    other.write_bytes(film.read_bytes() + b"\0")
    assert _run("colorize", other, tmp_path / "a.mkv", "--plan", script) == 1
    assert "for another film" in capsys.readouterr().err
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), next(_lumas()))
    hints = {"version": 1, "hints": [{"frame": 0, "points": [1, 1], "color": "red"}]}
    (tmp_path / "hints.json").write_text(json.dumps(hints))
    assert _run("colorize", folder, tmp_path / "out", "--hints", tmp_path / "hints.json") == 1
    assert "not for a folder" in capsys.readouterr().err
