"""One frame colored by itself: with the settings of its shot, and what was said of that frame."""

import contextlib
import threading

import cv2
import numpy as np
import pytest
import torch
from preview_scenes import make_film, moving

from vidcolor import build
from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.config import Config
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.film_part import FilmPart
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.preview.look import Look
from vidcolor.schema import load
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.shots_file import Shot

FRAMES = 10  # of each shot
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "hints": {"short_side": 64},
    "references": {"short_side": 96},
    "detect": {"detector": "none"},
}
STEP = 512  # ticks of a frame: MP4 counts 12800 in a second
SHOTS = "".join(
    f"\n[[shots]]\nnumber = {n}\nstart = {n * FRAMES}\nend = {n * FRAMES + FRAMES - 1}\n"
    f"pts = {n * FRAMES * STEP}\n{{{n}}}\n"
    for n in range(3)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pictures = [frame for seed in (1, 2, 3) for frame in moving(seed, FRAMES)]
    return make_film(tmp_path_factory.mktemp("look") / "film.mp4", pictures, key_every=FRAMES)


@pytest.fixture(scope="module")
def film(path):
    with FilmFrames(path) as opened:
        assert opened.info.time_base == opened.info.time_base.__class__(1, 12800)
        yield opened


def scripted(path, tmp_path, said: str = "", *, shots=("", "", ""), settings=SETTINGS):
    script = tmp_path / "film.vidcolor"
    script.write_text("version = 1\n" + SHOTS.format(*shots) + said)
    return ScriptedFilm.open(path, script, [settings])


def color_at(colored, x: float, y: float) -> np.ndarray:
    """a*b* at fractions of the frame."""
    ab = colored.chroma.ab[0]
    return ab[:, int(y * ab.shape[1]), int(x * ab.shape[2])].numpy()


def chroma_of(colored) -> float:
    return float(colored.chroma.ab.norm(dim=1).mean())


def test_a_shot_has_its_own_settings_and_grade(path, film, tmp_path):
    own = ("grade = {saturation = 0.0}", "settings = {colorize = {short_side = 128}}", "")
    look = Look(scripted(path, tmp_path, shots=own))
    gray, large, plain = (look(film.at(n * FRAMES * STEP), n) for n in range(3))
    assert chroma_of(gray) == 0
    assert chroma_of(plain) > 1
    assert min(large.chroma.ab.shape[2:]) == 128
    assert min(plain.chroma.ab.shape[2:]) == 64
    assert (large.frames.shot, large.frames.index) == (1, FRAMES)


@pytest.mark.parametrize(
    "when", [f"frame = {FRAMES + 4}", 'time = "0:00:00.560"', f"pts = {(FRAMES + 4) * STEP}"]
)
def test_a_hint_counts_in_its_frame_and_in_no_other(path, film, tmp_path, when):
    hint = (
        f'[[hints]]\n{when}\nunit = "fractions"\npoints = [0.5, 0.5, 0.55, 0.5]\n'
        'color = "ab(60 -50)"\n'
    )
    look = Look(scripted(path, tmp_path, hint))
    plain = Look(scripted(path, tmp_path))
    here = film.at((FRAMES + 4) * STEP)
    np.testing.assert_allclose(color_at(look(here, 1), 0.52, 0.5), (60, -50), atol=4)
    for number in (FRAMES + 3, FRAMES + 5, FRAMES - 1):
        other = film.at(number * STEP)
        torch.testing.assert_close(
            look(other, number // FRAMES).chroma.ab, plain(other, number // FRAMES).chroma.ab
        )


def test_a_hint_on_a_numbered_object_counts_by_its_place(path, film, tmp_path):
    hint = (
        '[[hints]]\nframe = 2\nunit = "fractions"\npoints = [0.3, 0.3]\ntrack = 7\n'
        'color = "ab(-50 40)"\n'
    )
    colored = Look(scripted(path, tmp_path, hint))(film.at(2 * STEP), 0)
    np.testing.assert_allclose(color_at(colored, 0.3, 0.3), (-50, 40), atol=6)


def test_a_hint_for_a_whole_shot_counts_in_all_of_it(path, film, tmp_path):
    hint = '[[hints]]\nframe = 12\nwhole = true\ntrack = "none"\ncolor = "ab(20 30)"\n'
    look = Look(scripted(path, tmp_path, hint))
    ab = look(film.at(17 * STEP), 1).chroma.ab
    np.testing.assert_allclose(ab.mean((0, 2, 3)).numpy(), (20, 30), atol=1)
    assert np.abs(look(film.at(7 * STEP), 0).chroma.ab.mean((0, 2, 3)).numpy() - (20, 30)).max() > 5


def test_the_number_of_a_frame_counts_where_its_time_does_not_tell(path, film, tmp_path):
    hint = '[[hints]]\nframe = 25\nunit = "fractions"\npoints = [0.5, 0.5]\ncolor = "ab(60 -50)"\n'
    look = Look(scripted(path, tmp_path, hint))
    frame = film.at(21 * STEP)
    numbered = type(frame)(frame.luma, frame.pts, frame.info, index=25)
    np.testing.assert_allclose(color_at(look(numbered, 2), 0.5, 0.5), (60, -50), atol=4)


def picture_of(film, number: int, path) -> None:
    """A frame, colored all over, as a reference picture."""
    frame = film.at(number * STEP)
    ab = np.full((2, 12, 20), 25.0, np.float32)
    ab[1] = -20
    light = np.full((12, 20), 50.0, np.float32)
    rgb = compose_rgb(frame.luma[0, 0].numpy(), ab, light, frame.info.color, ComposeConfig())
    assert cv2.imwrite(str(path), rgb[..., ::-1])


@pytest.mark.parametrize("entry", ["frame = 22", "frame = 21", "shots = [2]"])
def test_references_are_matched(path, film, tmp_path, entry):
    picture_of(film, 22, tmp_path / "still.png")
    said = f'[[references]]\nfile = "still.png"\n{entry}\n'
    look, plain = Look(scripted(path, tmp_path, said)), Look(scripted(path, tmp_path))
    frame = film.at(22 * STEP)
    wanted = torch.tensor((25.0, -20.0)).view(1, 2, 1, 1)

    def off(colored) -> float:
        return float((colored.chroma.ab - wanted).norm(dim=1).mean())

    assert off(look(frame, 2)) < 0.5 * off(plain(frame, 2))


def test_references_count_only_where_they_may(path, film, tmp_path):
    picture_of(film, 22, tmp_path / "still.png")
    said = '[[references]]\nfile = "still.png"\nshots = [0]\n'
    for entry, own in (
        (said, ("", "", "")),
        (said.replace("0", "2"), ("", "", "references = false")),
    ):
        look = Look(scripted(path, tmp_path, entry, shots=own))
        plain = Look(scripted(path, tmp_path, shots=own))
        frame = film.at(22 * STEP)
        torch.testing.assert_close(look(frame, 2).chroma.ab, plain(frame, 2).chroma.ab)


def test_hints_of_a_file_count_without_a_script(film, tmp_path):
    hints = tmp_path / "hints.json"
    hints.write_text(
        '{"version": 1, "hints": [{"frame": 14, "points": [80, 48], "color": "ab(60 -50)"}]}'
    )
    config = load(Config, {**SETTINGS, "guidance": {"hints": str(hints)}})
    look, plain = Look(config), Look(load(Config, SETTINGS))
    here, other = film.at(14 * STEP), film.at(15 * STEP)
    np.testing.assert_allclose(color_at(look(here), 0.5, 0.5), (60, -50), atol=4)
    torch.testing.assert_close(look(other).chroma.ab, plain(other).chroma.ab)


def test_networks_are_loaded_once_and_threads_wait(path, film, tmp_path):
    build._load.cache_clear()
    look = Look(scripted(path, tmp_path))
    frames = [film.at(number * STEP) for number in range(0, 3 * FRAMES, 5)]
    alone = [look(frame, frame.pts[0] // (STEP * FRAMES)) for frame in frames]
    found: dict[int, torch.Tensor] = {}

    def work(places) -> None:
        for place in places:
            frame = frames[place]
            found[place] = look(frame, frame.pts[0] // (STEP * FRAMES)).chroma.ab

    places = range(len(frames))
    threads = [
        threading.Thread(target=work, args=(order,)) for order in (places[::2], places[1::2])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build._load.cache_info().misses == 1
    for place, colored in enumerate(alone):
        torch.testing.assert_close(found[place], colored.chroma.ab)


def test_a_run_has_the_tracks_of_the_whole_film(path, film, tmp_path):
    boxes = tmp_path / "boxes.jsonl"
    rows = []
    for number in range(3 * FRAMES):
        rows.append(f'{{"frame": {number}, "boxes": [[{20 + number % FRAMES}, 20, 80, 70]]}}')
    boxes.write_text("\n".join(rows) + "\n")
    settings = {**SETTINGS, "detect": {"detector": f"boxes:{boxes}"}}
    look = Look(scripted(path, tmp_path, settings=settings))

    @contextlib.contextmanager
    def opened():
        part = FilmPart(FRAMES, FRAMES, {FRAMES: FRAMES * STEP})
        with VideoReader(path, InputConfig(), part) as reader:
            yield reader

    batches = list(look.run(opened, Shot(1, FRAMES, 2 * FRAMES - 1)))
    assert [pts for batch in batches for pts in batch.frames.pts] == [
        (FRAMES + n) * STEP for n in range(FRAMES)
    ]
    assert {int(one) for batch in batches for one in batch.tracks.ids} == {100001}
    assert {batch.frames.shot for batch in batches} == {1}
