"""`vidcolor preview`: what a person types, and what lies there afterward."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from media import make_video

from vidcolor import cli
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.preview import sheet
from vidcolor.preview.web.server import serve as server


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {"license": "none"})
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_video(path, frames=30, pix_fmt="gray", sound=("aac",)).path


@pytest.fixture
def run(film, weights, capsys, monkeypatch, tmp_path):
    """Runs it on the film in an empty folder; gives exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words, source=film, network=True):
        words = ["preview", *([] if source is None else [source]), *words]
        if network:
            words += ["--weights", weights, "--detector", "none", "--colorize.short_side", 64]
        code = cli.main([str(word) for word in words])
        return code, capsys.readouterr().err

    return run


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _color(picture: np.ndarray) -> float:
    """How far channels differ, at the most colored tenth of a picture."""
    return float(np.quantile(np.ptp(picture.astype(int), axis=2), 0.9))


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def test_without_options_it_is_a_sheet(run, tmp_path):
    assert run() == (0, "vidcolor: film-preview.png\n")
    assert _files(tmp_path) == ["film-preview.png"]
    picture = cv2.imread("film-preview.png")
    assert np.ptp(picture.astype(int), axis=2).max() > 4
    code, text = run()
    assert code == 1
    assert "exists" in text
    assert run("--overwrite", "--quiet") == (0, "")


def test_a_sheet_gets_what_was_asked_for(run, film, monkeypatch):
    asked = []
    monkeypatch.setattr(
        sheet, "make_sheet", lambda *words, **more: asked.append((words, more)) or ()
    )
    assert run("--limit", 3, "--columns", 2, "--width", 900, "--boxes", "--out", "a.png")[0] == 0
    assert run("--plan", "film.vidcolor", "--compare", "starter", "eccv16", network=False)[0] == 0
    (words, more), (_, compared) = asked
    assert words[:2] == (film, Path("a.png"))
    assert words[2].detect.detector == "none"
    assert {key: more[key] for key in ("limit", "columns", "width", "boxes", "overwrite")} == {
        "limit": 3, "columns": 2, "width": 900, "boxes": True, "overwrite": False,
    }  # fmt: skip
    assert more["contenders"] == ()
    assert [one.name for one in compared["contenders"]] == ["starter", "eccv16"]
    assert compared["script"] == Path("film.vidcolor")
    assert "width" not in compared


def test_at_a_time_it_is_a_clip(run, tmp_path):
    code, text = run("--at", "0:00.4", "--duration", 0.4)
    assert (code, _files(tmp_path)) == (0, ["film-preview.mp4"])
    assert "film-preview.mp4: 10 frames in" in text
    frames = _frames(tmp_path / "film-preview.mp4")
    assert [frame.shape for frame in frames] == [(48, 130, 3)] * 10
    assert _color(frames[0][20:30, :60]) <= 3  # before, but for what the encoder makes of it
    assert _color(frames[0][20:30, 70:]) > 4
    code, text = run("--at", 0)
    assert code == 1
    assert "film-preview.mp4: exists; use --overwrite" in text


def test_colorize_s_own_word_for_the_time_does_as_well(run, tmp_path):
    assert run("--start", 0.4, "--duration", 0.2, "--layout", "wipe", "--out", "a.mp4")[0] == 0
    frames = _frames(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5


def test_contenders_in_a_clip_and_in_a_sheet(run, weights, tmp_path):
    Path("pale.toml").write_text("[compose]\nsaturation = 0.0\n")
    words = ("--compare", "pale.toml", weights)
    assert run("--at", 0, "--duration", 0.1, "--layout", "split", *words)[0] == 0
    first = _frames(tmp_path / "film-preview.mp4")[0][20:30]
    assert _color(first[:, :28]) <= 3
    assert _color(first[:, 36:]) > 4
    assert run(*words)[0] == 0
    assert _files(tmp_path) == ["film-preview.mp4", "film-preview.png", "pale.toml"]


def test_flags_of_the_line_count(run, tmp_path):
    words = ("--at", 0, "--duration", 0.1, "--compose.saturation", "0.0", "--no-stabilize")
    assert run(*words)[0] == 0
    assert _color(_frames(tmp_path / "film-preview.mp4")[0][20:30, 66:]) <= 3


def test_with_a_script_it_counts(run, film, tmp_path):
    assert cli.main(["plan", str(film), "film.vidcolor", "--no-tracks", "--quiet"]) == 0
    with Path("film.vidcolor").open("a") as script:
        script.write("\n[grade]\nsaturation = 0.0\n")
    part = ("--at", 0.4, "--duration", 0.1)
    assert run("--plan", "film.vidcolor", *part)[0] == 0
    assert _color(_frames(tmp_path / "film-preview.mp4")[0][20:30, 66:]) <= 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--at", 60), 1, "has no frames in the part from 0:01:00.000 on; it is 0:00:01"),
        (("--at", "soon"), 2, "'soon' is no time; write seconds (12.5) or h:mm:ss"),
        (("--at", 0, "--layout", "above"), 1, "layout must be one of side, split, wipe"),
        (("--at", 0, "--height", 4), 1, "height must be at least 16 lines"),
        (("--at", 0, "--out", "a.mkv"), 1, "a clip is written as .mp4; name it a.mp4"),
        (("--out", "a.mp4"), 2, "a sheet is written as .png; for a clip say by --at"),
        (("--duration", 3), 2, "--duration is of a clip; say by --at where it begins"),
        (("--layout", "wipe"), 2, "--layout is of a clip; say by --at where it begins"),
        (("--at", 0, "--boxes"), 2, "--boxes is of a sheet; leave out --at"),
        (("--at", 0, "--start", 1), 2, "--at and --start are the same; leave one out"),
        (("--token", "secret"), 2, "--token is for --serve"),
        (("--compare", "starter"), 1, "compare: name at least two, not 1"),
        (("--compare", "ddcolour", "starter"), 1, "did you mean 'ddcolor'?"),
        (("--columns", 0), 1, "columns must be at least 1"),
        (("--out", "x" * 300 + ".png"), 1, "cannot be written (file name too long)"),
        (("other.mkv",), 2, "name one video, not 2"),
        (("--at", 0, "--stabilise.tau", 3), 2, "did you mean --stabilize.tau"),
        (("--serve", "--at", 3), 2, "--at is not for --serve"),
        (("--serve", "--upload-limit", 0), 2, "--upload-limit must be more than 0 GB"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(run, tmp_path, words, code, said):
    found, text = run(*words, network=False)
    assert (found, said in text) == (code, True), text
    assert "Traceback" not in text
    assert _files(tmp_path) == []


def test_a_name_too_long_for_what_is_made_of_it_is_cut(run, film, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    source = folder / ("\u0439" * 124 + ".mkv")  # 252 bytes
    source.write_bytes(film.read_bytes())
    assert run(source=source)[0] == 0
    assert run("--at", 0, "--duration", 0.1, source=source)[0] == 0
    names = [name for name in _files(tmp_path) if name != "films"]
    assert names == ["\u0439" * 110 + "-preview" + suffix for suffix in (".mp4", ".png")]


def test_a_picture_has_a_sheet_and_no_clip(run, tmp_path):
    picture = tmp_path / "photo.jpg"
    cv2.imwrite(str(picture), np.full((48, 64), 120, np.uint8))
    code, text = run("--at", 0, source=picture)
    assert (code, "is a picture, which has no clip; leave out --at" in text) == (1, True), text
    assert run(source=picture)[0] == 0
    assert _files(tmp_path) == ["photo-preview.png", "photo.jpg"]


def test_of_a_folder_it_says_what_to_do(run, tmp_path):
    code, text = run(source=tmp_path)
    assert (code, "is a folder; name one video, or look at all with --serve" in text) == (2, True)


def test_a_video_must_be_named(run):
    assert run(source=None, network=False)[0] == 2


def test_serve_hands_everything_on(run, film, monkeypatch):
    asked = []

    def serve(films, layers, **options):
        asked.append((films, layers, options))
        return 0

    monkeypatch.setattr(server, "serve", serve)
    assert run("--serve", network=False)[0] == 0
    words = (
        "--host", "0.0.0.0", "--port", 81, "--token", "a secret", "--folder", "up", "--no-browser",
        "--upload-limit", 0.5, "--stabilize.tau", 3, "--detector", "none",
    )  # fmt: skip
    assert run("more", "--serve", *words, network=False)[0] == 0
    assert run("--serve", source=None, network=False)[0] == 0
    (films, layers, options), (many, flags, all_options), (none, _, _) = asked
    assert (films, many, none) == ([film], [film, Path("more")], [])
    assert options.pop("stop") is not None
    assert options == {"folder": Path("vidcolor-films"), "browser": True}
    all_options.pop("stop")
    assert all_options == {
        "folder": Path("up"),
        "browser": False,
        "host": "0.0.0.0",
        "port": 81,
        "token": "a secret",
        "upload_limit": 512 << 20,
    }
    assert list(layers) == [{}, {}, {}]
    assert flags[2] == {"stabilize": {"tau": 3.0}, "detect": {"detector": "none"}}
