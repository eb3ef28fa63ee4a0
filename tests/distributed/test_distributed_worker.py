"""What a worker makes, far from the driver's files, is what the driver would make."""

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import texture, write_gray

from vidcolor import plain
from vidcolor.config import Config
from vidcolor.distributed.holdings import send
from vidcolor.distributed.recipe import FILE_KEYS, make_recipe, refuse_whole
from vidcolor.distributed.worker import Facts, Stopped, Worker, check_facts, facts
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.video import VideoReader
from vidcolor.models.weights import load_model, save_weights
from vidcolor.plain import PlainFilm
from vidcolor.schema import leaves, load
from vidcolor.scripted import ScriptedFilm

FRAMES, SHOTS, SIZE = 8, 3, (64, 96)
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "references": {"short_side": 96},
    "detect": {"detector": "motion"},
    "cadence": {"cadence": "every"},
    "output": {"codec": "ffv1"},
}


@pytest.fixture
def folder(tmp_path):
    """Everything that the driver has; it is renamed to take it away."""
    folder = tmp_path / "driver"
    folder.mkdir()
    luma = [
        texture(n // FRAMES, 30 + 60 * (n // FRAMES), 110 + 60 * (n // FRAMES), 3.0, SIZE)
        for n in range(FRAMES * SHOTS)
    ]
    write_gray(folder / "film.mkv", [one.astype(np.uint8) for one in luma])
    green = np.full((*SIZE, 3), (40, 160, 60), np.uint8)
    cv2.imwrite(str(folder / "green.png"), green)
    (folder / "look.cube").write_text("LUT_1D_SIZE 2\n0.0 0.1 0.0\n0.9 1.0 1.0\n")
    return folder


@pytest.fixture
def worker(tmp_path):
    before = os.environ.get("VIDCOLOR_CACHE")
    worker = Worker(scratch=tmp_path / "node")
    yield worker
    worker.close()
    if before is None:
        os.environ.pop("VIDCOLOR_CACHE", None)
    else:
        os.environ["VIDCOLOR_CACHE"] = before


def _script(folder, more=""):
    with VideoReader(folder / "film.mkv") as reader:
        ticks = [pts for batch in reader for pts in batch.pts]
        tick = reader.info.time_base
    text = f'version = 1\n\n[source]\nname = "film.mkv"\nframes = {SHOTS * FRAMES}\n'
    text += f'duration = "0:00:00.960"\ntime_base = "{tick}"\n'
    text += '\n[grade]\nlut = "look.cube"\n'
    for shot in range(SHOTS):
        text += f"\n[[shots]]\nnumber = {shot}\nstart = {shot * FRAMES}\n"
        text += f"end = {(shot + 1) * FRAMES - 1}\npts = {ticks[shot * FRAMES]}\n"
    text += '\n[[references]]\nfile = "green.png"\n'
    path = folder / "film.vidcolor"
    path.write_text(text + more)
    return path


def _take_away(recipe, folder):
    """The driver's files are not on the worker's machine; what the driver reads of them stays."""
    away = folder.with_name("not here")
    folder.rename(away)
    return {
        name: dataclasses.replace(one, path=str(away / Path(one.path).relative_to(folder)))
        for name, one in recipe.holdings().items()
        if Path(one.path).is_relative_to(folder)
    }


def _supply(worker, recipe, there):
    missing = worker.missing(recipe)
    for name in missing:
        wanted = recipe.holdings()[name]
        send(there[name], lambda chunk, at, one=wanted: worker.receive(one, chunk, at, "x"))
    assert worker.missing(recipe) == ()
    return missing


def _bytes(worker, span):
    made = worker.color(span)
    return worker.read(span, 0, made.size)


def test_a_scripted_film_far_from_its_files(folder, worker, tmp_path):
    film = ScriptedFilm.open(folder / "film.mkv", _script(folder), [SETTINGS])
    output = tmp_path / "film-color.mkv"
    spans = list(film.spans(output))
    for span in spans:
        film.color_span(output, span)
    wanted = [film.segment(output, span).read_bytes() for span in spans]
    recipe = make_recipe(film)
    there = _take_away(recipe, folder)
    assert len(_supply(worker, recipe, there)) == 3  # film, picture, look
    worker.open(recipe, output.name)
    assert [_bytes(worker, span) for span in reversed(spans)] == wanted[::-1]
    worker.drop(spans[0])
    with pytest.raises(FileNotFoundError):
        worker.read(spans[0], 0, 1)


def test_a_plain_film_far_from_its_files(folder, worker, tmp_path, monkeypatch):
    """Weights that are a file, and a shots file, under relative paths."""
    monkeypatch.setattr(plain, "_LEAST_FRAMES", 1)
    monkeypatch.chdir(folder)
    model, name = load_model("starter")
    save_weights(folder / "mine.safetensors", model, name, {}, {})
    shots = ", ".join(
        f'{{"start": {n * FRAMES}, "end": {(n + 1) * FRAMES - 1}}}' for n in range(SHOTS)
    )
    (folder / "shots.json").write_text(f'{{"shots": [{shots}]}}')
    own = {"colorize": {"short_side": 64, "weights": "mine.safetensors"}}
    settings = {**SETTINGS, **own, "cut": {"shots_file": "shots.json"}}
    film = PlainFilm(folder / "film.mkv", load(Config, settings))
    output = tmp_path / "film-color.mkv"
    spans = list(film.spans(output))
    assert [span.frames for span in spans] == [FRAMES] * SHOTS
    film.color_span(output, spans[1])
    wanted = film.segment(output, spans[1]).read_bytes()
    recipe = make_recipe(film)
    monkeypatch.chdir(tmp_path)
    there = _take_away(recipe, folder)
    assert len(_supply(worker, recipe, there)) == 3
    worker.open(recipe, output.name)
    assert _bytes(worker, spans[1]) == wanted


def test_with_a_shared_store_nothing_is_sent_or_copied(folder, worker, tmp_path):
    film = ScriptedFilm.open(folder / "film.mkv", _script(folder), [SETTINGS])
    recipe = make_recipe(film)
    assert worker.missing(recipe) == ()
    worker.open(recipe, "out.mkv")
    assert worker._film.source == folder / "film.mkv"
    assert not (tmp_path / "node" / "files").exists()


def test_what_has_gone_meanwhile_is_said(folder, worker):
    film = ScriptedFilm.open(folder / "film.mkv", _script(folder), [SETTINGS])
    recipe = make_recipe(film)
    (folder / "green.png").unlink()
    with pytest.raises(MediaError, match=r"green\.png: is not on .* any more"):
        worker.open(recipe, "out.mkv")


def test_what_is_not_wanted_any_more_stops(folder, worker, tmp_path, monkeypatch):
    film = ScriptedFilm.open(folder / "film.mkv", _script(folder), [SETTINGS])
    recipe = make_recipe(film)
    worker.open(recipe, "out.mkv")
    first, second, _ = film.spans(tmp_path / "out.mkv")
    color = type(worker._film).color_span

    def stopping(self, output, span, progress=None):
        def told(count):
            worker.stop(second.key if span is first else span.key)
            progress(count)

        color(self, output, span, told)

    monkeypatch.setattr(type(worker._film), "color_span", stopping)
    assert worker.color(first).key == first.key  # told to stop another one
    with pytest.raises(Stopped):
        worker.color(second)
    assert worker.at() is None


def test_auto_means_what_it_means_with_the_driver(folder, worker):
    scripted = ScriptedFilm.open(folder / "film.mkv", _script(folder), [SETTINGS])
    films = [PlainFilm(folder / "film.mkv", load(Config, SETTINGS)), scripted]
    for film in films:
        recipe = make_recipe(film)
        config = {**recipe.config, "detect": {"detector": "auto"}}
        layers = tuple({**layer, "detect": {"detector": "auto"}} for layer in recipe.layers)
        worker.open(
            dataclasses.replace(recipe, config=config, layers=layers, detector="none"), "out.mkv"
        )
        assert worker._film.config.detect.detector == "none"
    assert worker._film.settings(1).detect.detector == "none"


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ({"remember": {"across_shots": True}}, "across_shots"),
        ({"guidance": {"references": ["green.png"]}}, "--reference"),
    ],
)
def test_what_needs_the_film_in_one_piece_is_refused(folder, own, word, monkeypatch):
    monkeypatch.chdir(folder)
    film = PlainFilm(folder / "film.mkv", load(Config, {**SETTINGS, **own}))
    with pytest.raises(ConfigError, match=rf"{word}.*vidcolor plan film\.mkv"):
        refuse_whole(film)


def test_every_setting_that_may_name_a_file_exists():
    known = {leaf.name for leaf in leaves(Config)}
    assert set(FILE_KEYS) <= known


def test_other_versions_are_refused_by_name():
    here = facts()
    check_facts(here, dataclasses.replace(here, machine="other", process=1, device="cuda"))
    for field, value, words in (
        ("vidcolor", "0.0.9", "vidcolor 0.0.9"),
        ("python", "3.9", "Python 3.9"),
        ("av", "17.0", "PyAV 17.0"),
        ("code", "abc", "other code"),
    ):
        there: Facts = dataclasses.replace(here, machine="node7", **{field: value})
        with pytest.raises(ConfigError, match=f"machine node7 has .*{words}"):
            check_facts(here, there)
