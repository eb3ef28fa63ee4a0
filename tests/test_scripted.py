"""Some shots of a film with a script come out as in a run over the whole film."""

import av
import cv2
import numpy as np
import pytest
from media import texture, write_gray

from vidcolor import scripted
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.io.segments import parts_folder
from vidcolor.io.video import VideoReader
from vidcolor.marks import film_mark, shot_key
from vidcolor.planning import shot_made_of
from vidcolor.scripted import ScriptedFilm

SIZE = (96, 160)
FRAMES = 8  # of each shot
SHOTS = 4
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "hints": {"short_side": 64},
    "references": {"short_side": 96},
    "detect": {"detector": "motion"},
    "cadence": {"cadence": "every"},
    "output": {"codec": "ffv1"},
}
HINTS = """
[[hints]]
frame = 3
points = [34.0, 45.0]
track = "none"
color = "#3050d0"

[[hints]]
time = "0:00:00.920"
whole = true
color = "ab(20 30)"
"""


def _luma(frame):
    shot, number = divmod(frame, FRAMES)
    luma = texture(shot, 30 + 20 * shot, 100 + 20 * shot, 3.0, SIZE)
    x = 10 + 3 * number
    luma[30:60, x : x + 30] = texture(9, 180, 230, 2.0, (30, 30))
    return luma.astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_gray(path, [_luma(number) for number in range(SHOTS * FRAMES)])


def _picture(path, frame):
    lab = np.dstack((_luma(frame) / 2.55, np.full(SIZE, -20.0), np.full(SIZE, 30.0)))
    rgb = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)
    cv2.imwrite(str(path), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))


def _script(folder, film, more=""):
    with VideoReader(film) as reader:
        ticks = [pts for batch in reader for pts in batch.pts]
        tick = reader.info.time_base
    text = f'version = 1\n\n[source]\nname = "film.mkv"\nframes = {SHOTS * FRAMES}\n'
    text += f'duration = "0:00:01.280"\ntime_base = "{tick}"\n'
    for shot in range(SHOTS):
        first, last = shot * FRAMES, (shot + 1) * FRAMES - 1
        text += f"\n[[shots]]\nnumber = {shot}\nstart = {first}\nend = {last}\n"
        text += f"pts = {ticks[first]}\nend_pts = {ticks[last]}\n"
    path = folder / "film.vidcolor"
    path.write_text(text + more)
    return path


@pytest.fixture(scope="module")
def said(film, tmp_path_factory):
    """Hints in shots 0 and 2, one picture for shot 1 and one that is a frame of shot 3."""
    folder = tmp_path_factory.mktemp("said")
    _picture(folder / "green.png", 10)
    _picture(folder / "last.png", 28)
    more = '\n[[references]]\nfile = "green.png"\nshots = [1]\n'
    more += '\n[[references]]\nfile = "last.png"\nframe = 28\n'
    return _script(folder, film, HINTS + more)


@pytest.fixture(scope="module")
def whole(film, said):
    output = said.parent / "whole.mkv"
    opened = ScriptedFilm.open(film, said, [SETTINGS])
    assert opened.render(output).made == (0, 1, 2, 3)
    return output


def _segments(output, keys):
    folder = parts_folder(output)
    return [
        path.read_bytes() if (path := folder / f"{key}.segment").exists() else None for key in keys
    ]


@pytest.mark.parametrize("places", [(0,), (1,), (2,), (3,), (0, 2)])
def test_a_shot_by_itself_is_that_of_the_whole_film(film, said, whole, places, tmp_path):
    opened = ScriptedFilm.open(film, said, [SETTINGS])
    output = tmp_path / "some.mkv"
    seen = []
    made = opened.make(output, places, watch=lambda colored: seen.append(colored))
    assert made == places
    keys = opened.keys()
    wanted = _segments(whole, keys)
    for place, found in enumerate(_segments(output, keys)):
        assert found == (wanted[place] if place in places else None)
    assert not output.exists()
    numbers = [n for c in seen for n in range(c.frames.index, c.frames.index + len(c.frames))]
    assert numbers == [n for p in places for n in range(p * FRAMES, (p + 1) * FRAMES)]
    assert opened.make(output, places) == ()


def test_only_what_is_needed_is_read(film, said, tmp_path, monkeypatch):
    read = []

    class Reader(VideoReader):
        def __iter__(self):
            for batch in super().__iter__():
                read.extend(range(batch.index, batch.index + len(batch)))
                yield batch

    monkeypatch.setattr(scripted, "VideoReader", Reader)
    without = said.read_text().replace("frame = 28", "shots = [3]")
    path = said.parent / "near.vidcolor"
    path.write_text(without)
    ScriptedFilm.open(film, path, [SETTINGS]).make(tmp_path / "out.mkv", [0])
    assert sorted(set(read)) == list(range(FRAMES))


def test_finished_shots_are_found_by_a_render(film, said, tmp_path):
    opened = ScriptedFilm.open(film, said, [SETTINGS])
    output = tmp_path / "film-color.mkv"
    opened.make(output, [1, 3])
    opened.extract(output, 3, tmp_path / "shot.mkv")
    done = opened.render(output)
    assert (done.made, done.found, done.frames) == ((0, 2), (1, 3), SHOTS * FRAMES)
    with av.open(str(output)) as all_of_it, av.open(str(tmp_path / "shot.mkv")) as shot:
        frames = [frame.to_ndarray() for frame in all_of_it.decode(video=0)][-FRAMES:]
        own = [frame.to_ndarray() for frame in shot.decode(video=0)]
    assert len(own) == FRAMES
    assert all(np.array_equal(a, b) for a, b in zip(frames, own, strict=True))


def test_a_shot_has_settings_of_its_own(film, tmp_path):
    path = _script(tmp_path, film)
    text = path.read_text().replace(
        "number = 2\n", "number = 2\nsettings = {stabilize = {tau = 2.5}}\n"
    )
    path.write_text(text)
    opened = ScriptedFilm.open(film, path, [{"stabilize": {"n_most": 7}}, {"device": "cpu"}])
    assert opened.settings(2).stabilize.tau == 2.5
    assert opened.settings(1).stabilize.tau == 3.0
    assert opened.settings(2).stabilize.n_most == 7
    first = opened.keys()
    path.write_text(text.replace("2.5", "2.6"))
    second = ScriptedFilm.open(film, path, [{"stabilize": {"n_most": 7}}, {"device": "cpu"}]).keys()
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, True, False, True]


def test_keys_are_those_of_every_shot_by_itself(film, tmp_path):
    """Worked out for all shots together, they are what each is made of, to the digit."""
    _picture(tmp_path / "green.png", 10)
    more = '\n[[references]]\nfile = "green.png"\nshots = [1, 2]\n'
    more += '\n[[tracks]]\nid = 1\nidentity = "man"\n'
    more += '\n[[tracks]]\nid = 200001\nidentity = "man"\nshot = 2\n'
    more += '\n[[track_grades]]\nidentity = "man"\ngrade = {saturation = 1.2}\n'
    more += '\n[[hints]]\ncolor = "red"\nwhole = true\ntrack = 1\n'
    path = _script(tmp_path, film, HINTS + more)
    own = "number = 2\nnote = 'x'\n"
    own += "settings = {stabilize = {tau = 2.5}}\n"
    path.write_text(path.read_text().replace("number = 2\n", own))
    opened = ScriptedFilm.open(film, path, [SETTINGS])
    mark = film_mark(film)
    wanted = tuple(
        shot_key(mark, shot, shot_made_of(opened.script, shot, tmp_path, opened._settings))
        for shot in opened.shots
    )
    assert opened.keys() == wanted
    assert opened.keys([2]) == wanted[2:3]
    assert opened.keys([]) == ()
    _picture(tmp_path / "green.png", 11)
    changed = zip(opened.keys(), wanted, strict=True)
    assert [a == b for a, b in changed] == [True, False, False, True], "files are looked at anew"


def test_settings_are_worked_out_once_for_shots_that_are_alike(film, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        scripted, "shot_made_of", lambda *words: asked.append(words[1].shot) or shot_made_of(*words)
    )
    path = _script(tmp_path, film)
    own = "number = 2\nsettings = {stabilize = {tau = 2.5}}\n"
    path.write_text(path.read_text().replace("number = 2\n", own))
    opened = ScriptedFilm.open(film, path, [SETTINGS])
    opened.keys()
    assert asked == [0, 2]


def test_canceled_while_it_looks_for_hints(film, said, tmp_path):
    class Canceled(Exception):
        pass

    def progress(count):
        raise Canceled

    with pytest.raises(Canceled):
        ScriptedFilm.open(film, said, [SETTINGS]).make(tmp_path / "a.mkv", [0], progress=progress)
    assert not any(parts_folder(tmp_path / "a.mkv").glob("*.segment"))


def test_what_cannot_be_opened(film, tmp_path):
    path = tmp_path / "empty.vidcolor"
    path.write_text("version = 1\n")
    with pytest.raises(GuidanceError, match=r"empty\.vidcolor: has no shots; write them with"):
        ScriptedFilm.open(film, path)
    listed = _script(tmp_path, film)
    with pytest.raises(ConfigError, match="across_shots"):
        ScriptedFilm.open(film, listed, [{"remember": {"across_shots": True}}])
