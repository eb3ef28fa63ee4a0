"""Views of a shot: before, after, clip, boxes; what is exact in them, and what stays behind."""

import itertools
import json

import av
import numpy as np
import pytest
import torch
from shown_film import (
    LENGTHS,
    RATE,
    SETTINGS,
    SIZE,
    Heard,
    frames_of,
    make_film,
    make_script,
    pixels,
)
from shown_film import picture as luma_of

from vidcolor.errors import MediaError
from vidcolor.io.segments import parts_folder
from vidcolor.preview.web.jobs import Jobs
from vidcolor.preview.web.shots import views as shots_module
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import (
    NotMade,
    Times,
    before_name,
    decode_shot,
    kept,
    picture_step,
)
from vidcolor.preview.web.shots.views import ShotViews
from vidcolor.records import VideoInfo
from vidcolor.scripted import ScriptedFilm

MARK = "ab" * 16
SHOT = 1
FIRST, COUNT = LENGTHS[0], LENGTHS[1]
HINT = """
[[hints]]
frame = 16
points = [40.0, 80.0]
track = "none"
color = "#c03020"
"""


def _run(work, stop_after=None):
    """A job as the page runs it; gives what it returned, or the job if that failed."""
    with Jobs() as jobs:
        job = jobs.wait(jobs.start("preview", None, "job", work).id, 60)
    return job.result if job.state == "done" else job


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = make_film(tmp_path_factory.mktemp("film") / "film.mkv")
    boxes = path.with_name("boxes.jsonl")
    rows = []
    for frame in range(sum(LENGTHS)):
        left = 10 + 5 * (frame - (FIRST if FIRST <= frame < FIRST + COUNT else 0))
        box = [left, 30, left + 36, 70] if frame < FIRST + COUNT else [0, 0, 20, 20]
        rows.append(json.dumps({"frame": frame, "boxes": [box], "labels": ["person"]}))
    boxes.write_text("\n".join(rows))
    settings = {**SETTINGS, "detect": {"detector": f"boxes:{boxes}"}, "input": {"batch_size": 5}}
    return ScriptedFilm.open(path, make_script(path, HINT), [settings])


@pytest.fixture(scope="module")
def made(film, tmp_path_factory):
    """Shot 1, colored."""
    folder = tmp_path_factory.mktemp("made")
    heard, output = Heard(), folder / "out.mkv"
    views = ShotViews("film", MARK, ViewCache(folder / "cache"), heard)
    key = _run(lambda report: views.make(film, output, SHOT, report))
    assert key == film.keys()[SHOT]
    return views, key, heard, output


def _gray(rgb):
    return rgb.astype(float) @ (0.2126, 0.7152, 0.0722)


def _shown(luma):
    """Codes of the studio range as a viewer sees them."""
    return (luma.astype(float) - 16) * 255 / 219


def test_before_is_the_source(film, made):
    views, _, _, _ = made
    name = before_name(film, SHOT)
    for number in (0, 5, COUNT - 1):
        rgb = pixels(views.picture(name, number))
        assert rgb.shape == (*SIZE, 3)
        assert np.abs(_gray(rgb) - _shown(luma_of(FIRST + number))).mean() < 4
        assert np.abs(rgb.max(2) - rgb.min(2).astype(float)).mean() < 1.5
    with pytest.raises(NotMade):
        views.picture(name, COUNT)


def test_after_is_what_the_film_will_have(film, made, tmp_path):
    """The small picture against the finished shot, decoded and converted by FFmpeg."""
    views, key, _, output = made
    film.extract(output, SHOT, tmp_path / "shot.mkv")
    with av.open(str(tmp_path / "shot.mkv")) as opened:
        wanted = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(wanted) == COUNT
    chroma = 0.0
    for number in range(COUNT):
        rgb = pixels(views.picture(key, number)).astype(float)
        assert np.abs(rgb - wanted[number]).mean() < 3
        chroma += np.abs(rgb - _gray(rgb)[..., None]).mean() / COUNT
    assert chroma > 4, "the shot is in color"
    assert frames_of(views.film(key))[3].tobytes() == frames_of(tmp_path / "shot.mkv")[3].tobytes()


def test_frames_are_told_while_they_come(made):
    _, key, heard, _ = made
    counts = [event["made"] for event in heard.of("frames")]
    assert counts == sorted(counts)
    assert counts[-1] == COUNT
    assert {(e["film"], e["shot"], e["key"]) for e in heard.of("frames")} == {("film", SHOT, key)}


def test_the_clip_has_before_above_after_and_sound(film, made):
    views, key, _, _ = made
    with av.open(str(views.clip(key))) as clip:
        assert [stream.codec_context.name for stream in clip.streams] == ["h264", "aac"]
        frames = list(clip.decode(video=0))
        assert [round(float(frame.time) * RATE) for frame in frames] == list(range(COUNT))
        clip.seek(0)
        heard = np.concatenate([part.to_ndarray().ravel() for part in clip.decode(audio=0)])
    assert np.abs(heard[4800:9600]).max() > 0.2, "the tone begins with this shot"
    for number in (0, 7):
        rgb = frames[number].to_ndarray(format="rgb24")
        assert rgb.shape == (2 * SIZE[0], SIZE[1], 3)
        above, below = rgb[: SIZE[0]].astype(float), rgb[SIZE[0] :].astype(float)
        assert np.abs(above - pixels(views.picture(before_name(film, SHOT), number))).mean() < 5
        assert np.abs(below - pixels(views.picture(key, number))).mean() < 5


def test_the_sound_is_that_of_the_shot(film, tmp_path):
    """In the first shot there is silence; the next one's tone must not be heard."""
    views = ShotViews("film", MARK, ViewCache(tmp_path / "cache"), Heard())
    key = _run(lambda report: views.make(film, tmp_path / "out.mkv", 0, report))
    with av.open(str(views.clip(key))) as clip:
        heard = [part.to_ndarray() for part in clip.decode(audio=0)]
        end = heard[0].shape[1] * (len(heard) - 1) / 48000
    assert end <= LENGTHS[0] / RATE + 0.05
    early = np.concatenate([part.ravel() for part in heard])[: int(48000 * 0.3)]
    assert np.abs(early).max() < 0.02


def test_boxes_and_times(film, made):
    views, key, _, _ = made
    overlay = views.overlay(key)
    assert overlay["known"]
    assert [frame["t"] for frame in overlay["frames"]] == [n / RATE for n in range(COUNT)]
    for number, frame in enumerate(overlay["frames"]):
        (box,) = frame["boxes"]
        assert (box["id"], box["label"]) == (SHOT * 100_000 + 1, "person")
        left = 10 + 5 * number  # steadied by the line, so not to the pixel
        wanted = (left / SIZE[1], 30 / SIZE[0], (left + 36) / SIZE[1], 70 / SIZE[0])
        assert box["box"] == pytest.approx(wanted, abs=3 / SIZE[1])
    with av.open(str(film.source)) as opened:
        pts = sorted(packet.pts for packet in opened.demux(video=0) if packet.size)
    assert views.times(key).pts == tuple(pts[FIRST : FIRST + COUNT])


def test_objects_are_learned(made):
    views, key, _, _ = made
    tracks = views.tracks(key)
    assert {track.shot for track in tracks} == {SHOT}
    ids = {box["id"] for frame in views.overlay(key)["frames"] for box in frame["boxes"]}
    assert {track.id for track in tracks} <= ids
    assert all(track.template for track in tracks)
    assert tracks[0].time.startswith("0:00:00.")
    assert float(tracks[0].time[5:]) >= FIRST / RATE - 0.002


def test_where_the_hint_reaches(made):
    """It is at (40, 80) of 96 x 160, in frame 3 of the shot."""
    views, key, _, _ = made
    alpha = pixels(views.sure(key, 3))[..., 3].astype(float)
    rows, columns = alpha.shape
    assert alpha[int(80 / SIZE[0] * rows), int(40 / SIZE[1] * columns)] > 100
    assert alpha.min() < 30
    with pytest.raises(NotMade):
        views.sure(key, COUNT)


def test_what_is_there_is_not_made_again(film, made):
    views, key, _, output = made
    before = views.clip(key).stat()
    work = []

    def again(report):
        work.append(views.make(film, output, SHOT, report))

    _run(again)
    assert work == [key]
    after = views.clip(key).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_shot_that_the_command_line_colored(film, made, tmp_path):
    """Views come of its segment; that nobody knows its boxes is said."""
    old, key, _, output = made
    views = ShotViews("film", MARK, ViewCache(tmp_path), Heard())
    segment = parts_folder(output) / f"{key}.segment"
    stamp = segment.stat().st_mtime_ns
    assert _run(lambda report: views.make(film, output, SHOT, report)) == key
    assert segment.stat().st_mtime_ns == stamp
    overlay = views.overlay(key)
    assert not overlay["known"]
    assert len(overlay["frames"]) == COUNT
    assert views.tracks(key) == ()
    assert views.times(key) == old.times(key)
    for number in (0, COUNT - 1):
        ours, theirs = (pixels(one.picture(key, number)).astype(float) for one in (views, old))
        assert np.abs(ours - theirs).mean() < 3
    assert not pixels(views.sure(key, 3))[..., 3].any()


def test_canceling_leaves_nothing(film, tmp_path):
    views = ShotViews("film", MARK, ViewCache(tmp_path / "cache"), Heard())
    key = film.keys()[SHOT]
    seen = []

    def work(report):
        class Stops(type(report)):
            def __call__(self, count=0):
                super().__call__(count)
                if count:
                    seen.append(views.made(key))
                    views.picture(key, 0)  # can be looked at while the rest is made
                    jobs.cancel(job.id)
                    super().__call__()

        return views.make(film, tmp_path / "out.mkv", SHOT, Stops(report._jobs, report._task))

    with Jobs() as jobs:
        job = jobs.start("preview", None, "job", work)
        assert jobs.wait(job.id, 60).state == "canceled"
    assert seen[0] > 0
    assert views.made(key) == 0
    assert not list((tmp_path / "cache").glob("*/*"))
    with pytest.raises(NotMade):
        views.picture(key, 0)


def test_a_render_that_takes_the_segment_away(film, tmp_path, monkeypatch):
    """As it ends, a render removes what its own script does not ask for."""
    views = ShotViews("film", MARK, ViewCache(tmp_path / "cache"), Heard())
    output = tmp_path / "out.mkv"
    extract, calls = ScriptedFilm.extract, itertools.count()

    def robbed(self, *words):
        if next(calls) == 0:
            assert self.store(output).prune([]) == 1
        return extract(self, *words)

    monkeypatch.setattr(ScriptedFilm, "extract", robbed)
    key = _run(lambda report: views.make(film, output, SHOT, report))
    assert key == film.keys()[SHOT]
    assert len(views.overlay(key)["frames"]) == COUNT
    assert len(frames_of(views.film(key))) == COUNT
    film.store(output).prune([])  # whatever goes now, the views stay
    assert views.has(key)
    assert len(frames_of(views.film(key))) == COUNT


def test_a_film_that_is_gone_is_told_once(film, tmp_path, monkeypatch):
    views = ShotViews("film", MARK, ViewCache(tmp_path / "cache"), Heard())
    calls = []

    def fail(self, *words, **more):
        calls.append(1)
        raise MediaError("film.mkv: is damaged at 0:00.4")

    monkeypatch.setattr(ScriptedFilm, "make", fail)
    job = _run(lambda report: views.make(film, tmp_path / "out.mkv", SHOT, report))
    assert (job.state, job.message) == ("failed", "film.mkv: is damaged at 0:00.4")
    assert calls == [1]


def test_a_full_disk_is_told(film, tmp_path, monkeypatch):
    views = ShotViews("film", MARK, ViewCache(tmp_path / "cache"), Heard())
    monkeypatch.setattr(shots_module, "jpg", lambda number: "no/such/folder.jpg")
    job = _run(lambda report: views.open(film, SHOT, report))
    assert job.state == "failed"
    assert "previews cannot be kept" in job.message
    assert not list((tmp_path / "cache").glob("*/*"))


def test_frames_of_a_shot_are_those_of_the_film(film):
    batches = list(decode_shot(film, 2))
    assert batches[0].start == 0
    assert sum(map(len, batches)) == LENGTHS[2]
    luma = torch.cat([batch.luma for batch in batches])[:, 0].numpy()
    wanted = frames_of(film.source)[sum(LENGTHS[:2]) :]
    for ours, theirs in zip(luma, wanted, strict=True):
        assert np.array_equal(ours, theirs[: SIZE[0]])
    assert all(batch.chroma is not None for batch in batches)
    assert all(batch.chroma is None for batch in decode_shot(film, 2, color=False))


@pytest.mark.parametrize("count", [1, 750, 751, 1000, 1001, 5000, 200_000])
def test_pictures_of_a_shot_are_bounded(count):
    """All of the first 30 seconds at 25 a second, and 250 of whatever comes after."""
    shown = [kept(number, count) for number in range(count)]
    pictures = sorted(set(shown))
    assert len(pictures) <= 1000
    assert shown[:750] == list(range(min(count, 750)))
    assert [kept(number, count) for number in pictures] == pictures
    step = picture_step(count)
    assert step == (1 if count <= 1000 else -(-(count - 750) // 250))
    assert all(number - step < m <= number for number, m in enumerate(shown))


def test_times_of_a_film_without_a_steady_rate():
    times = Times((1000, 1040, 1100, 1200), VideoInfo(2, 2).time_base / 40)
    assert [times.seconds(n) for n in range(4)] == [0, 0.04, 0.1, 0.2]
    assert [times.number(pts) for pts in (0, 1000, 1039, 1040, 1199, 1200, 9999)] == [
        0, 0, 0, 1, 2, 3, 3,
    ]  # fmt: skip
    assert times.rate == 15  # three steps in 0.2 s
    assert times.length == pytest.approx(0.2 + 1 / 15)
    assert Times.read(times.text().encode()) == times
    assert json.loads(times.text())["tick"] == "1/1000"
    assert Times((7,), times.tick).length == pytest.approx(0.04)
