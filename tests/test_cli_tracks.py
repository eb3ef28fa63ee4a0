"""`vidcolor tracks`: a film in, a file and a sheet out."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from vidcolor.cli import main
from vidcolor.guidance.tracks.file import load_tracks


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """28 frames: a light square goes over something dark."""
    path = tmp_path_factory.mktemp("film") / "square.mkv"
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.uniform(20, 110, (96, 160)).astype(np.float32), (0, 0), 3)
    thing = cv2.GaussianBlur(rng.uniform(120, 250, (30, 30)).astype(np.float32), (0, 0), 1.5)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "gray"
        for number in range(28):
            luma = ground.copy()
            luma[30:60, 10 + 3 * number : 40 + 3 * number] = thing[:, : 160 - 10 - 3 * number]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(luma.astype(np.uint8), "gray")))
        out.mux(stream.encode(None))
    return path


def test_tracks_are_listed_named_and_listed_again(film, tmp_path, capsys):
    target = tmp_path / "tracks.json"
    words = ["tracks", str(film), str(target), "--detector", "motion", "--quiet"]
    words += ["--colorize.short_side", "64"]
    assert main(words) == 0
    file = load_tracks(target)
    assert len(file.tracks) >= 1
    entry = max(file.tracks, key=lambda one: one.seconds)
    assert entry.label == "moving"
    _, top, _, bottom = entry.box
    assert top == pytest.approx(30, abs=6)
    assert bottom == pytest.approx(60, abs=6)
    sheet = cv2.imread(str(tmp_path / "tracks.png"))
    assert sheet is not None
    assert sheet.shape[1] > 900

    assert main(words) == 1  # nothing is replaced unasked
    assert "exists" in capsys.readouterr().err

    text = target.read_text().replace(f'"{entry.identity}"', '"the square"')
    target.write_text(text.replace('"color": ""', '"color": "teal"', 1))
    assert main([*words, "--update", "--no-sheet"]) == 0
    again = load_tracks(target)
    assert "the square" in {one.identity for one in again.tracks}
    assert "teal" in {one.color for one in again.tracks}


def test_wrong_asking_is_refused(film, tmp_path, capsys):
    target = str(tmp_path / "tracks.json")
    assert main(["tracks", str(tmp_path), target]) == 2
    assert main(["tracks", str(film), target, "--sheet", "a.png", "--no-sheet"]) == 2
    (tmp_path / "tracks.json").write_text("{")
    assert main(["tracks", str(film), target, "--update"]) == 1
    assert "line 1, column 2" in capsys.readouterr().err
