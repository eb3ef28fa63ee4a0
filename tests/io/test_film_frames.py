import random
import re
import threading
from fractions import Fraction
from itertools import accumulate, cycle, islice, pairwise

import av
import numpy as np
import pytest
import torch
from media import cut_off, make_video, overwrite_middle

from vidcolor.errors import MediaError
from vidcolor.io import film_walk, key_frames
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.shown import shown_rgb
from vidcolor.io.video import VideoReader
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo

LOSSLESS = {"crf": "0", "g": "12", "bf": "3", "preset": "veryfast"}
OPEN_GOP = {**LOSSLESS, "x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}
OTHERWISE_MARKED = {"b.h264", "b.avi", "refresh.mp4"}  # times made up; marked by decoders alone
LONG_STEPS = list(accumulate(islice(cycle((1, 2, 5, 1, 9, 3)), 30)))
FILMS = {
    "b.mp4": {"codec": "libx264", "options": LOSSLESS},
    "b.mkv": {"codec": "libx264", "options": LOSSLESS},
    "b.ts": {"codec": "libx264", "options": LOSSLESS},
    "b.mov": {"codec": "libx264", "options": LOSSLESS},
    "b.flv": {"codec": "libx264", "options": LOSSLESS},
    "b.avi": {"codec": "libx264", "options": {"g": "12", "bf": "2"}},
    "b.h264": {"codec": "libx264", "options": LOSSLESS},
    "simple.avi": {"codec": "ffv1"},
    "bframes.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "open.mp4": {"codec": "libx264", "options": OPEN_GOP},
    "open.ts": {"codec": "libx264", "options": OPEN_GOP},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "lag-in-frames": "12"}},
    "m2.ts": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "m2.mpg": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "canvas.gif": {"codec": "gif", "pix_fmt": "gray"},
    "vfr.mp4": {
        "codec": "libx264",
        "options": {"g": "12", "bf": "3"},
        "pts": [40 * step for step in LONG_STEPS],
        "time_base": Fraction(1, 1000),
    },
    "early.mkv": {"pts": range(-7, 23), "container_options": {"avoid_negative_ts": "disabled"}},
    "skipped.mp4": {"codec": "libx264", "options": LOSSLESS, "pts": range(-7, 23)},
    "piecewise.mp4": {
        "codec": "libx264",
        "options": LOSSLESS,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "woven.ts": {"codec": "mpeg2video", "options": {"g": "12", "flags": "+ilme+ildct"}},
    "refresh.mp4": {
        "codec": "libx264",
        "options": {"x264-params": "intra-refresh=1:keyint=10:bframes=0"},
    },
    "rgb.mkv": {"pix_fmt": "bgr0"},
    "gray10.mkv": {"pix_fmt": "gray10le"},
    "deep.mkv": {"pix_fmt": "yuv422p10le"},
}


def film(folder, name):
    return make_video(
        folder / name, **{"frames": 30, "size": (32, 48), "color": True, **FILMS[name]}
    ).path


def read(path):
    """All frames in order, by pts."""
    with VideoReader(path, keep_chroma=True) as reader:
        return {pts: batch[i : i + 1] for batch in reader for i, pts in enumerate(batch.pts)}


def same(frame, other):
    planes = ((frame.luma, other.luma), (frame.chroma, other.chroma), (frame.rgb, other.rgb))
    return frame.pts == other.pts and all(
        (a is None and b is None) or torch.equal(a, b) for a, b in planes
    )


@pytest.fixture(scope="module", params=FILMS)
def made(request, tmp_path_factory):
    path = film(tmp_path_factory.mktemp("films"), request.param)
    return path, read(path)


def test_frames_are_those_that_a_reader_gives(made) -> None:
    path, read_frames = made
    times = sorted(read_frames)
    anywhere = random.Random(1).sample(times, len(times))
    with FilmFrames(path) as film:
        assert film.first_pts == times[0]
        for pts in [*anywhere[:14], *times[8:18], *reversed(times[8:18])]:
            assert same(film.at(pts), read_frames[pts])


def test_a_frame_is_shown_until_the_next(made) -> None:
    path, read_frames = made
    times = sorted(read_frames)
    with FilmFrames(path) as film:
        for pts, following in list(pairwise(times))[::4]:
            assert film.at(following - 1).pts == (pts,)
        assert film.at(times[0] - 1).pts == (times[0],)
        assert film.at(times[-1] + 10**9).pts == (times[-1],)


def test_key_frames_are_found_and_decoded_alone(made) -> None:
    path, read_frames = made
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    with FilmFrames(path) as film:
        keys = film.key_frames()
        assert keys[0] == film.first_pts
        if path.name not in OTHERWISE_MARKED:
            marked = {frame.pts for frame in decoded if frame.key_frame and frame.pts is not None}
            assert set(keys[1:]) == marked - {film.first_pts}
        for pts in sorted(read_frames)[::3]:
            assert same(film.near(pts), read_frames[max(key for key in keys if key <= pts)])
        assert film.near(film.first_pts - 5).pts == (film.first_pts,)


def test_lossless_codes_are_those_that_were_stored(tmp_path) -> None:
    made = make_video(tmp_path / "f.mkv", frames=6, color=True, pix_fmt="yuv444p")
    with FilmFrames(made.path) as film:
        for number in (4, 1, 5):
            frame = film.at(number * 40)
            np.testing.assert_array_equal(frame.luma[0, 0], made.luma[number])
            ramp = 128 + np.roll(np.linspace(-60, 60, 64), number)
            np.testing.assert_array_equal(frame.chroma[0, 0, 0], ramp.astype(np.uint8))
            assert frame.index == frame.start == frame.shot == 0


def test_pictures_laid_over_others_are_whole(tmp_path) -> None:
    """A GIF says only what changes; nothing in it can be decoded by itself."""
    path = tmp_path / "f.gif"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for number in range(20):
            codes = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
            codes[4:8, number : number + 4] = 250
            out.mux(stream.encode(av.VideoFrame.from_ndarray(codes, "gray")))
        out.mux(stream.encode(None))
    whole = read(path)
    with FilmFrames(path) as frames:
        for pts in sorted(whole)[::-3]:
            assert same(frames.at(pts), whole[pts])
        assert frames.at(10**6).luma[0, 0, 40, 60] == 180


def test_the_index_spares_reading(tmp_path, monkeypatch) -> None:
    """Packets of a film with an index are not all read."""
    path = film(tmp_path, "b.mkv")
    monkeypatch.setattr(key_frames, "_demuxed", lambda *_: pytest.fail("read all packets"))
    assert key_frames.find_key_frames(path) == (0, 480, 960)
    path = film(tmp_path, "b.mp4")
    assert key_frames.find_key_frames(path) == (0, 12 * 512, 24 * 512)


def test_a_film_without_index_is_read_through(tmp_path) -> None:
    path = tmp_path / "live.mkv"
    made = make_video(
        tmp_path / "f.mkv", frames=30, codec="libx264", options={"g": "5", "bf": "0"}, rate=25
    )
    with (
        av.open(str(made.path)) as source,
        av.open(str(path), "w", format="matroska", container_options={"live": "1"}) as out,
    ):
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with FilmFrames(path) as frames:
        assert frames.key_frames() == (0, 200, 400, 600, 800, 1000)
        assert same(frames.at(900), read(path)[880])


def test_going_forward_decodes_on(tmp_path, monkeypatch) -> None:
    path = film(tmp_path, "b.mkv")
    sought = []
    before = film_walk.keys_before
    monkeypatch.setattr(film_walk, "keys_before", lambda *a: sought.append(a[2]) or before(*a))
    with FilmFrames(path) as frames:
        for pts in (480, 520, 560, 880, 520, 900):
            frames.at(pts)
        assert sought == []  # from the first frame on, and then what was kept
        monkeypatch.setattr(film_walk, "_AHEAD_S", 0)
        frames.at(1100)
    assert sought == [1100]


def test_times_that_repeat_are_repaired_as_a_reader_does(tmp_path, monkeypatch) -> None:
    """Where that shows only on the way, the film is begun anew."""
    monkeypatch.setattr(film_walk, "_AHEAD_S", 0)
    tenths = [400 * number for number in range(24)]
    tenths[10:14] = [4400, 4403, 4406, 4412]  # 440, 440, 441 (a key frame), 441 ms
    options = {"codec": "libx264", "options": {"g": "12", "bf": "0"}}
    unit = Fraction(1, 10_000)
    path = make_video(
        tmp_path / "f.mkv", frames=24, pts=tenths, time_base=unit, color=True, **options
    ).path
    whole = read(path)
    assert sorted(whole)[9:15] == [360, 440, 441, 442, 443, 560]
    for pts in (441, 442, 443):
        with FilmFrames(path) as frames:
            assert same(frames.at(pts), whole[pts])


def test_few_frames_are_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(film_walk, "_KEPT_BYTES", 1)
    path = film(tmp_path, "b.mkv")
    with FilmFrames(path) as frames:
        frames.at(1000)
        assert len(frames._walk._kept) == film_walk._KEPT_AT_LEAST
        assert same(frames.at(40), read(path)[40])


def test_threads_get_what_they_asked_for(tmp_path) -> None:
    path = film(tmp_path, "open.mp4")
    read_frames = read(path)
    wrong, done = [], []
    with FilmFrames(path) as frames:

        def ask(seed):
            for pts in random.Random(seed).choices(list(read_frames), k=25):
                frame = frames.at(pts) if seed % 2 else frames.near(pts)
                if not same(frame, read_frames[frame.pts[0]]) or (seed % 2 and frame.pts[0] != pts):
                    wrong.append(pts)
            done.append(seed)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert sorted(done) == [0, 1, 2, 3]


def test_color_is_looked_for_all_over(tmp_path) -> None:
    """A color film may begin in black."""
    with av.open(str(tmp_path / "f.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            color = (0, 0, 0) if number < 25 else (220, 30, 60)
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), color, np.uint8))
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with FilmFrames(tmp_path / "f.mp4") as frames:
        assert frames.has_color
    with FilmFrames(make_video(tmp_path / "gray.mp4", codec="libx264").path) as frames:
        assert not frames.has_color


@pytest.mark.parametrize("name", ["b.mkv", "b.ts", "b.mp4"])
def test_a_damaged_place_is_told_and_the_rest_is_there(tmp_path, name) -> None:
    path = make_video(
        tmp_path / name,
        frames=60,
        size=(64, 96),
        codec="libx264",
        options={"g": "10", "bf": "0", "crf": "10"},
    ).path
    whole = read(path)
    overwrite_middle(path, 1500, at=0.5)
    times = sorted(whole)
    failed, right = [], []
    with FilmFrames(path) as frames:
        for pts in times:
            try:
                frame = frames.at(pts)
            except MediaError as error:
                failed.append(str(error))
            else:
                if same(frame, whole[pts]):
                    right.append(pts)
    assert failed
    for told in failed:
        assert re.fullmatch(rf"{path}: is damaged or cut off after 0:00:0.*\)", told)
    assert set(times[:20]) <= set(right)
    assert set(times[45:]) <= set(right)
    assert len(failed) + len(right) >= len(times) - 1


def test_what_is_left_of_a_film_cut_off_can_be_seen(tmp_path) -> None:
    path = film(tmp_path, "b.ts")
    whole = read(path)
    cut_off(path, 0.6)
    with FilmFrames(path) as frames:
        assert same(frames.at(sorted(whole)[9]), whole[sorted(whole)[9]])
        assert len(frames.key_frames()) == 2


@pytest.mark.parametrize("content", [b"", b"no film at all " * 100])
def test_what_is_no_film_is_refused(tmp_path, content) -> None:
    path = tmp_path / "f.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"f\.mp4"), FilmFrames(path):
        pass


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": (64, 96)}, "picture is 64x48 at first and 96x64 at .*; split the file"),
        ({"pix_fmt": "yuv422p"}, "format is yuv420p at first and yuv422p at .*; split the file"),
    ],
)
def test_a_picture_that_changes_is_refused(tmp_path, change, told) -> None:
    form = {"codec": "libx264", "size": (48, 64), "options": {"g": "5"}}
    first = make_video(tmp_path / "a.ts", **form)
    second = make_video(tmp_path / "b.ts", **{**form, **change}, pts=range(100, 112))
    path = tmp_path / "both.ts"
    path.write_bytes(first.path.read_bytes() + second.path.read_bytes())
    with FilmFrames(path) as frames:
        begin = frames.first_pts
        assert frames.at(begin + 3600).pts == (begin + 3600,)
        with pytest.raises(MediaError, match=told):
            frames.at(begin + 103 * 3600)


def test_length_is_what_the_file_says(tmp_path) -> None:
    with FilmFrames(film(tmp_path, "b.mp4")) as frames:
        assert frames.seconds == Fraction(30, 25)


# -- as a viewer sees them -----------------------------------------------------------------------


def flat(y, cb, cr, *, size=(8, 12), bits=8, spec=None, **info):
    dtype = torch.uint8 if bits == 8 else torch.int16
    height, width = size
    chroma = torch.stack(
        [torch.full((-(-height // 2), -(-width // 2)), c, dtype=dtype) for c in (cb, cr)]
    )
    spec = spec or ColorSpec("bt709", False, bits)
    return FrameBatch(
        torch.full((1, 1, height, width), y, dtype=dtype),
        (0,),
        VideoInfo(height, width, color=spec, **info),
        chroma=chroma[None],
    )


@pytest.mark.parametrize(
    ("codes", "spec"),
    [  # pure red, from the standards' tables
        ((63, 102, 240), ColorSpec("bt709", False, 8)),
        ((81, 90, 240), ColorSpec("bt601", False, 8)),
        ((76, 85, 255), ColorSpec("bt601", True, 8)),
        ((252, 408, 960), ColorSpec("bt709", False, 10)),
    ],
)
def test_red_is_shown_red(codes, spec) -> None:
    picture = shown_rgb(flat(*codes, spec=spec, bits=spec.bits))
    assert picture.shape == (8, 12, 3)
    assert np.abs(picture.astype(int) - (255, 0, 0)).max() <= 3


def test_gray_and_rgb_are_shown_as_stored() -> None:
    info = VideoInfo(2, 3, color=ColorSpec("bt709", True, 8))
    codes = torch.arange(18, dtype=torch.uint8).reshape(1, 3, 2, 3) * 14
    rgb = FrameBatch(codes[:, :1], (0,), info, rgb=codes)
    np.testing.assert_array_equal(shown_rgb(rgb), codes[0].permute(1, 2, 0))
    gray = FrameBatch(codes[:, :1], (0,), info)
    np.testing.assert_array_equal(shown_rgb(gray)[..., 1], codes[0, 0])


def test_pictures_are_upright_with_square_pixels() -> None:
    frame = flat(16, 128, 128, rotation=90)
    frame.luma[..., :6] = 235  # white at the left of the coded picture
    picture = shown_rgb(frame)  # turned counter-clockwise: the left comes to the bottom
    assert picture.shape == (12, 8, 3)
    assert (picture[:6] < 5).all()
    assert (picture[6:] > 250).all()
    assert shown_rgb(frame, size=(6, 4)).shape == (6, 4, 3)
    wide = flat(16, 128, 128, sample_aspect=Fraction(3, 2))
    assert shown_rgb(wide).shape == (8, 18, 3)


@pytest.mark.parametrize("size", [(32, 48), (31, 47), (64, 96)])
def test_shown_color_is_that_of_another_converter(tmp_path, size) -> None:
    make_video(
        tmp_path / "f.mkv", frames=1, size=size, color=True, pix_fmt="yuv420p", tags=(1, 1, 1)
    )
    with FilmFrames(tmp_path / "f.mkv") as frames:
        picture = frames.rgb(frames.at(0)).astype(int)
    with av.open(str(tmp_path / "f.mkv")) as container:
        frame = next(container.decode(video=0))
        other = frame.reformat(format="rgb24", src_colorspace=1, interpolation="BILINEAR")
    difference = np.abs(picture - other.to_ndarray().astype(int))[:, 3:-3]
    assert np.median(difference) <= (1 if size[1] % 2 == 0 else 2)
    assert difference.mean() < 2.5


def test_a_film_of_jpegs_has_its_chroma_in_the_middle(tmp_path) -> None:
    film = make_video(tmp_path / "f.avi", codec="mjpeg", pix_fmt="yuvj420p", full_range=True)
    with FilmFrames(film.path) as frames:
        assert frames._siting == "center"
    film = make_video(tmp_path / "f.mkv", codec="libx264", full_range=False)
    with FilmFrames(film.path) as frames:
        assert frames._siting == "left"
