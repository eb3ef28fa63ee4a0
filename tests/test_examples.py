"""The example clip: it is what the script says, and README's command colors it."""

import importlib.util
import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcolor.io.video import VideoReader
from vidcolor.stages.cut import CutConfig, FindShots

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "example.mp4"
SHOT_FRAMES = 72


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_example", ROOT / "scripts/make_example.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_example"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames():
    with av.open(CLIP) as film:
        return [frame.to_ndarray() for frame in film.decode(video=0)]


def test_the_clip_is_black_and_white_film_with_sound_and_chapters(frames):
    assert len(frames) == 3 * SHOT_FRAMES
    assert all((frame[480:] == 128).all() for frame in frames)
    assert CLIP.stat().st_size < 1_000_000
    with av.open(CLIP) as film:
        picture, sound = film.streams.video[0], film.streams.audio[0]
        assert (picture.width, picture.height, picture.average_rate) == (640, 480, 24)
        assert (picture.codec_context.colorspace, picture.codec_context.color_range) == (6, 1)
        assert film.metadata["title"].startswith("Three pictures")
        chapters = film.chapters()
        assert [chapter["metadata"]["title"] for chapter in chapters] == [
            "Evening",
            "The astronaut",
            "The cat",
        ]
        starts = [chapter["start"] * Fraction(chapter["time_base"]) for chapter in chapters]
        assert starts == [0, 3, 6]
        loudness = [np.abs(frame.to_ndarray()).max() for frame in film.decode(sound)]
        assert 8.9 < sum(1024 for _ in loudness) / sound.rate < 9.2
        assert max(loudness) > 0.1


def test_the_camera_moves_by_parts_of_a_pixel(script):
    view = script.View(300.25, 200.5, 320.0)
    rows, columns = np.mgrid[:427, :640].astype(np.float32)
    seen = script.look(np.dstack([columns, rows, rows]), view)
    # The middle of the film shows the middle of the view, and 640 pixels show 320 of the picture.
    assert seen[239:241, 319:321, 0].mean() == pytest.approx(300.25 - 0.5, abs=0.02)
    assert seen[239:241, 319:321, 1].mean() == pytest.approx(200.5 - 0.5, abs=0.02)
    assert np.diff(seen[240, 100:500, 0]).mean() == pytest.approx(0.5, abs=1e-3)


def test_the_script_makes_the_clip_that_is_here(script, frames):
    made = itertools.islice(script.film(script.make_shots()), SHOT_FRAMES + 1)
    for number, (luma, _) in enumerate(made):
        if number % 24 == 0:
            error = luma.astype(float) - frames[number][:480]
            assert np.abs(error).mean() < 3  # grain that the encoder left out
            assert abs(error.mean()) < 1


def test_its_shots_are_found():
    with VideoReader(CLIP) as reader:
        starts = {
            batch.shot: batch.index for batch in reversed(list(FindShots(CutConfig())(reader)))
        }
    assert starts == {0: 0, 1: SHOT_FRAMES, 2: 2 * SHOT_FRAMES}


def test_it_is_colored_offline_with_what_is_in_the_box(tmp_path):
    output = tmp_path / "color.mp4"
    command = [sys.executable, "-m", "vidcolor.cli", "colorize", str(CLIP), str(output)]
    command += ["--start", "2.8", "--duration", "0.4", "--device", "cpu"]
    environment = {name: value for name, value in os.environ.items() if "VIDCOLOR" not in name}
    nowhere = "http://127.0.0.1:9"
    environment |= {
        "VIDCOLOR_CACHE": str(tmp_path / "cache"),
        "TORCH_HOME": str(tmp_path / "torch"),
    }
    environment |= {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "ALL_PROXY": nowhere}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with av.open(output) as film:
        colored = [frame.to_ndarray() for frame in film.decode(video=0)]
        sounds = [stream.codec_context.name for stream in film.streams.audio]
    assert 9 <= len(colored) <= 11
    assert sounds == ["aac"]
    spread = [np.abs(frame[480:].astype(int) - 128).mean() for frame in colored]
    assert min(spread) > 1  # neutral chroma is 0
