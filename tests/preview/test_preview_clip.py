"""Clips: their frames are those of the line, their times and sound those of the film."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import VFR, make_video

from vidcolor.build import build_line
from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.guidance.script.file import script_text
from vidcolor.io.video import VideoReader
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.planning import plan_film
from vidcolor.preview import line as line_module
from vidcolor.preview.clip import ClipConfig, draw_clip, open_clip
from vidcolor.preview.contender import Contender, one_contender
from vidcolor.schema import load, merge
from vidcolor.scripted import ScriptedFilm

WORDS = 18  # rows at top and bottom in which something may be written, in films of 48 lines


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Settings of a small network with strong colors."""
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {"license": "none"})
    return {
        "colorize": {"weights": str(path), "short_side": 64},
        "detect": {"detector": "none"},
        "precision": "float32",
        "device": "cpu",
    }


def _contender(network, name="after", script=None, **more) -> Contender:
    return one_contender(name, [merge(network, more)], script)


def _drawn(source: Path, contenders, config: ClipConfig):
    with draw_clip(source, contenders, config) as clip:
        return clip.layout, list(clip.frames)


def _composed(colored, number: int, compose: ComposeConfig) -> np.ndarray:
    frames, chroma = colored.frames, colored.chroma
    return compose_rgb(
        frames.luma[number, 0].numpy(),
        chroma.ab[number].numpy(),
        chroma.lightness[number, 0].numpy(),
        frames.info.color,
        compose,
    )


def _of_the_line(source: Path, config: Config) -> dict[int, np.ndarray]:
    """Composed frames by pts, as `colorize` makes them before they are encoded."""
    found = {}
    with VideoReader(source, config.input) as reader:
        for colored in build_line(config)(reader):
            for number, pts in enumerate(colored.frames.pts):
                found[pts] = _composed(colored, number, config.compose)
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """40 frames at 25 a second, gray, with sound."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_video(path, frames=40, pix_fmt="gray", sound=("aac",))


def test_every_frame_is_that_of_colorize_over_the_same_part(film, network):
    contender = _contender(network)
    config = ClipConfig(at=0.6, duration=0.8)
    layout, drawn = _drawn(film.path, [contender], config)
    assert layout.pane == (48, 64)  # small enough to be shown as it is
    part = {"input": {"start": 0.6, "duration": 0.8}}
    wanted = _of_the_line(film.path, load(Config, merge(network, part)))
    whole = _of_the_line(film.path, load(Config, network))
    assert [pts for _, pts in drawn] == list(range(600, 1400, 40)) == sorted(wanted)
    differs = 0
    for picture, pts in drawn:
        before, after = picture[:, :64], picture[:, 66:]
        assert np.array_equal(after[WORDS:], wanted[pts][WORDS:])
        differs += not np.array_equal(after[WORDS:], whole[pts][WORDS:])
        gray = np.clip((film.luma[pts // 40].astype(float) - 16) * 255 / 219, 0, 255)
        middle = slice(WORDS, 48 - WORDS)
        assert np.abs(before[middle] - gray[middle, :, None]).max() <= 1
    assert differs  # a line that begins elsewhere gives other colors: the part counts


def test_contenders_run_in_lockstep_over_the_same_frames(film, network):
    steady = _contender(network, "steady")
    alone = _contender(network, "alone", stabilize={"enabled": False}, anchor={"enabled": False})
    layout, drawn = _drawn(film.path, [steady, alone], ClipConfig(0.4, 0.6))
    assert layout.labels == ("before", "steady", "alone")
    places = [layout.corner(number) for number in range(3)]
    for place, contender in ((1, steady), (2, alone)):
        part = {"input": {"start": 0.4, "duration": 0.6}}
        wanted = _of_the_line(film.path, load(Config, merge(contender.layers[0], part)))
        top, left = places[place]
        assert len(drawn) == len(wanted) == 15
        for picture, pts in drawn:
            seen = picture[top : top + 48, left : left + 64]
            assert np.array_equal(seen[WORDS:], wanted[pts][WORDS:])
    one, other = (drawn[-1][0][y : y + 48, x : x + 64] for y, x in places[1:])
    assert not np.array_equal(one, other)


def test_split_and_wipe_show_contenders_alone(film, network):
    both = [_contender(network, "one"), _contender(network, "other", compose={"saturation": 0.0})]
    layout, drawn = _drawn(film.path, both, ClipConfig(0.4, 0.12, "split"))
    assert layout.labels == ("one", "other")
    picture = drawn[0][0][WORDS : 48 - WORDS].astype(int)
    assert np.ptp(picture[:, :32], axis=2).max() > 4
    assert np.ptp(picture[:, 33:], axis=2).max() <= 1  # no saturation: gray
    layout, _ = _drawn(film.path, both[:1], ClipConfig(0.4, 0.12, "wipe"))
    assert layout.labels == ("before", "one")


@pytest.fixture(scope="module")
def script(film, network, tmp_path_factory):
    """Two shots, the second with a grade of its own."""
    path = tmp_path_factory.mktemp("script") / "film.vidcolor"
    shots = path.with_name("shots.json")
    shots.write_text('{"shots": [{"start": 0, "end": 17}, {"start": 18, "end": 39}]}')
    config = load(Config, merge(network, {"cut": {"shots_file": str(shots)}}))
    text = script_text(plan_film(film.path, config, tracks=False))
    first, second = text.rsplit("[[shots]]", 1)
    path.write_text(f"{first}[[shots]]{second}\n[shots.grade]\nsaturation = 2.0\n")
    return path


def test_with_a_script_frames_are_those_of_the_whole_film(film, network, script, tmp_path):
    layers = [network]
    wanted: dict[int, np.ndarray] = {}
    whole = ScriptedFilm.open(film.path, script, layers)
    assert [shot.start for shot in whole.shots] == [0, 18]

    def watch(colored):
        for number, pts in enumerate(colored.frames.pts):
            wanted[pts] = _composed(colored, number, whole.config.compose)

    whole.make(tmp_path / "whole.mkv", [0, 1], watch=watch)
    # in both shots; in the second only, and not from its beginning
    for at, duration, numbers in ((0.6, 0.4, range(15, 25)), (1.0, 5.0, range(25, 40))):
        contender = one_contender("after", layers, script)
        _, drawn = _drawn(film.path, [contender], ClipConfig(at, duration))
        assert [pts for _, pts in drawn] == [40 * number for number in numbers]
        for picture, pts in drawn:
            assert np.array_equal(picture[WORDS:, 66:], wanted[pts][WORDS:])


def test_only_shots_that_the_part_touches_are_read(film, network, script, monkeypatch):
    read: list[int] = []

    class Counting(VideoReader):
        def __iter__(self):
            for batch in super().__iter__():
                read.extend(batch.pts)
                yield batch

    monkeypatch.setattr(line_module, "VideoReader", Counting)
    _drawn(film.path, [_contender(network, script=script)], ClipConfig(1.0, 0.2))
    assert set(read) <= set(range(18 * 40, 40 * 40, 40))
    assert read


def test_nothing_is_read_far_ahead(network, tmp_path, monkeypatch):
    film = make_video(tmp_path / "long.mkv", frames=400, size=(16, 24), pix_fmt="gray")
    read: list[int] = []

    class Counting(VideoReader):
        def __iter__(self):
            for batch in super().__iter__():
                read.extend(batch.pts)
                yield batch

    monkeypatch.setattr(line_module, "VideoReader", Counting)
    before = threading.active_count()
    alone = {"stabilize": {"enabled": False}, "track": {"enabled": False}}
    with draw_clip(film.path, [_contender(network, **alone)], ClipConfig(0, 100)) as clip:
        next(clip.frames)
        assert len(read) < 250
    assert threading.active_count() == before  # nobody goes on reading


def test_people_see_it_upright(network, tmp_path):
    film = make_video(
        tmp_path / "turned.mp4", frames=3, codec="libx264", options={"crf": "0"}, rotation=90,
        aspect=Fraction(2),
    )  # fmt: skip
    layout, drawn = _drawn(film.path, [_contender(network)], ClipConfig(0, 1))
    assert layout.pane == (128, 48)
    gray = np.clip((film.luma[0].astype(float) - 16) * 255 / 219, 0, 255)
    turned = np.rot90(gray)  # counter-clockwise
    seen = drawn[0][0][1::2, :48, 1]
    middle = slice(12, 50)
    assert np.abs(seen[middle] - turned[middle]).mean() < 4


def test_before_has_the_color_that_the_source_has(network, tmp_path):
    film = make_video(tmp_path / "color.mkv", frames=3, color=True, tags=(1, 1, 1))
    _, drawn = _drawn(film.path, [_contender(network)], ClipConfig(0, 1))
    with av.open(str(film.path)) as source:
        wanted = [frame.to_ndarray(format="rgb24").astype(int) for frame in source.decode(video=0)]
    middle = slice(WORDS, 48 - WORDS)
    for (picture, _), rgb in zip(drawn, wanted, strict=True):
        assert np.ptp(rgb[middle], axis=2).max() > 60
        # where chroma jumps, the two interpolate it in other ways
        assert np.median(np.abs(picture[middle, :64].astype(int) - rgb[middle])) <= 2


def test_the_file_has_times_and_sound_of_the_part(network, tmp_path):
    film = make_video(
        tmp_path / "vfr.mkv", frames=12, pts=[40 * pts for pts in VFR],
        time_base=Fraction(1, 1000), sound=("aac",), pix_fmt="gray",
    )  # fmt: skip
    out = tmp_path / "clip.mp4"
    job = open_clip(film.path, out, [_contender(network)], ClipConfig(0.08, 0.5))
    told: list[int] = []
    assert job.run(told.append) == sum(told)
    times = [pts for pts in VFR if 2 <= pts < 14.5]
    with av.open(str(out)) as clip:
        picture, sound = clip.streams.video[0], clip.streams.audio[0]
        assert (picture.codec_context.name, picture.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sound.codec_context.name == "aac"
        frames = list(clip.decode(picture))
        assert (frames[0].height, frames[0].width) == (48, 130)
        shown = [float(frame.pts * picture.time_base) for frame in frames]
        assert shown == pytest.approx([(pts - times[0]) * 0.04 for pts in times], abs=0.002)
        length = float(sound.duration * sound.time_base)
    assert length == pytest.approx(0.5, abs=0.05)


def test_what_cannot_be_is_said_before_anything_is_done(film, network, tmp_path):
    ways = [_contender(network)]
    absent = [_contender(merge(network, {"colorize": {"weights": str(tmp_path / "no.pt")}}))]
    with pytest.raises(MediaError, match=r"no frames in the part from 0:01:00.*0:00:01"):
        open_clip(film.path, tmp_path / "a.mp4", absent, ClipConfig(60, 5))
    with pytest.raises(MediaError, match=r"a clip is written as .mp4; name it a.mp4"):
        open_clip(film.path, tmp_path / "a.mkv", ways, ClipConfig())
    (tmp_path / "b.mp4").write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists; use --overwrite"):
        open_clip(film.path, tmp_path / "b.mp4", ways, ClipConfig())
    with pytest.raises(ConfigError, match="a wipe shows two pictures, not 3"):
        open_clip(film.path, tmp_path / "a.mp4", [*ways, *ways, *ways], ClipConfig(layout="wipe"))
    with pytest.raises(ConfigError, match="duration must be more than 0"):
        ClipConfig(0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4"]


def test_a_film_that_breaks_off_leaves_no_clip(network, tmp_path):
    film = make_video(
        tmp_path / "cut.mkv", frames=60, size=(96, 128), options={"g": "1"}, pix_fmt="gray"
    )
    data = film.path.read_bytes()
    film.path.write_bytes(data[: len(data) // 2])
    job = open_clip(film.path, tmp_path / "a.mp4", [_contender(network)], ClipConfig(0, 60))
    with pytest.raises(MediaError, match="cut off"):
        job.run(lambda count: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.mkv"]
