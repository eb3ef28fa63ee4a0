import logging
import re
import resource
import signal
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from media import make_video, overwrite_middle, read_packets

from vidcolor.errors import MediaError
from vidcolor.io import clip_writer
from vidcolor.io.clip_writer import ClipWriter

RATE = 48000
TICK = Fraction(1, 25)


def flat(color, size=(48, 64)):
    return np.full((*size, 3), color, np.uint8)


def write(path, pictures, *, pts=None, time_base=TICK, rate=25, **options):
    pts = range(len(pictures)) if pts is None else pts
    size = pictures[0].shape[:2]
    with ClipWriter(path, size, time_base, Fraction(rate), **options) as writer:
        for picture, time in zip(pictures, pts, strict=True):
            writer.write(picture, time)
    return path


def frames_of(path):
    with av.open(str(path)) as film:
        return list(film.decode(video=0))


def signals_film(
    path, codec, seconds=12, picture="libx264", layout="stereo", rate=RATE, streams=1, quiet=()
):
    """A film that flashes and beeps in every odd second for 80 ms; `quiet` streams do not beep."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(picture, rate=25, options={"g": "50"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = [out.add_stream(codec, rate=rate, layout=layout) for _ in range(streams)]
        for number, sound in enumerate(sounds):
            sound.disposition = av.stream.Disposition.default if number == streams - 1 else 0
        time = np.arange(seconds * rate) / rate
        beeps = (np.floor(time) % 2 == 1) & (time % 1 < 0.08)
        wave = (np.where(beeps, np.sin(2 * np.pi * 1000 * time), 0) / 2).astype(np.float32)
        out.start_encoding()
        parts = []
        for number, sound in enumerate(sounds):
            values = wave * 0 if number in quiet else wave
            frame = av.AudioFrame.from_ndarray(values[None], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            size = sound.codec_context.frame_size or 1024
            resampler = av.AudioResampler(sound.codec_context.format, layout, rate, size)
            parts.append(iter([*resampler.resample(frame), *resampler.resample(None)]))
        for number in range(seconds * 25):
            lit = number // 25 % 2 == 1 and number % 25 < 2
            frame = av.VideoFrame.from_ndarray(flat(235 if lit else 20))
            frame.pts, frame.time_base = number, TICK
            out.mux(video.encode(frame))
            for sound, rest in zip(sounds, parts, strict=True):
                for part in rest:
                    out.mux(sound.encode(part))
                    if part.pts / rate > number / 25:
                        break
        for stream in (video, *sounds):
            out.mux(stream.encode(None))
    return path


def copy_pictures(source, path, start=None, duration=None, **options):
    """A clip of a part of a film, gone through by PyAV alone."""
    with av.open(str(source)) as film:
        stream = film.streams.video[0]
        unit = Fraction(stream.time_base)
        first = Fraction(stream.start_time or 0) * unit + Fraction(str(start or 0))
        end = None if duration is None else first + Fraction(str(duration))
        with ClipWriter(
            path, (48, 64), unit, Fraction(25), sound=source, span=(start, duration), **options
        ) as writer:
            for frame in film.decode(stream):
                time = frame.pts * unit
                if time >= first and (end is None or time < end):
                    writer.write(frame.to_ndarray(format="rgb24"), frame.pts)
    return path


def flashes_and_beeps(path):
    """Times at which the picture gets bright, and the sound loud."""
    with av.open(str(path)) as film:
        values = [(f.time, f.to_ndarray(format="gray").mean()) for f in film.decode(video=0)]
    flashes = [t for (_, a), (t, b) in pairwise(values) if b > 120 >= a]
    beeps, last = [], -1.0
    with av.open(str(path)) as film:
        resampler = av.AudioResampler("fltp", "mono", RATE)
        for frame in film.decode(audio=0):
            for part in resampler.resample(frame):
                for place in np.flatnonzero(np.abs(part.to_ndarray()[0]) > 0.1):
                    time = part.pts / RATE + place / RATE
                    if time - last > 0.3:
                        beeps.append(time)
                    last = time
    return flashes, beeps


def heard_until(path):
    with av.open(str(path)) as film:
        last = list(film.decode(audio=0))[-1]
        return last.time + last.samples / last.sample_rate


# -- picture -------------------------------------------------------------------------------------


def test_color_and_tags_are_those_that_browsers_read(tmp_path) -> None:
    path = write(tmp_path / "c.mp4", [flat((200, 60, 20))] * 3)
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        tags = context.color_range, context.colorspace, context.color_primaries, context.color_trc
        assert tags == (1, 1, 1, 1)
        assert not film.streams.audio
    frame = frames_of(path)[0]
    codes = [np.frombuffer(plane, np.uint8)[0] for plane in frame.planes]
    # Y' = 0.2126 R + 0.7152 G + 0.0722 B = 86.88 -> 16 + 219 Y'/255; Cb, Cr by BT.709
    np.testing.assert_allclose(codes, (90.6, 96.4, 191.1), atol=1.1)


def test_a_picture_is_where_it_was(tmp_path) -> None:
    rows, columns = np.mgrid[:48, :64]
    picture = np.stack((rows * 5, columns * 3, 250 - rows * 2), 2).astype(np.uint8)
    frame = frames_of(write(tmp_path / "c.mp4", [picture] * 2, crf=5))[1]
    shown = frame.reformat(format="rgb24", src_colorspace=1).to_ndarray()
    assert np.abs(shown.astype(int) - picture).mean() < 2


def test_times_begin_at_zero_and_stay_apart(tmp_path) -> None:
    times = [1000, 1040, 1120, 1130, 1400]
    path = write(
        tmp_path / "c.mp4", [flat(90)] * 5, pts=times, time_base=Fraction(1, 1000), rate=20
    )
    frames = frames_of(path)
    assert [round(f.time * 1000) for f in frames] == [0, 40, 120, 130, 400]
    with av.open(str(path)) as film:
        assert film.duration == 450_000  # the last one for a twentieth


def test_early_times_may_be_negative(tmp_path) -> None:
    path = write(tmp_path / "c.mp4", [flat(90)] * 4, pts=range(-7, -3))
    assert [f.time for f in frames_of(path)] == [0, 0.04, 0.08, 0.12]


def test_one_frame_is_a_clip(tmp_path) -> None:
    path = write(tmp_path / "c.mp4", [flat((10, 200, 90))], pts=[77])
    (frame,) = frames_of(path)
    assert frame.time == 0
    with av.open(str(path)) as film:
        assert film.duration == 40_000


@pytest.mark.parametrize("size", [(33, 47), (48, 63), (1, 1)])
def test_odd_sides_repeat_their_edge(tmp_path, size) -> None:
    picture = flat(20, size)
    picture[-1], picture[:, -1] = 220, 220
    frame = frames_of(write(tmp_path / "c.mp4", [picture] * 2, crf=1))[0]
    assert (frame.height, frame.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width]
    bright = 16 + 219 * 220 / 255
    for part in (luma[-1], luma[:, -1]):
        np.testing.assert_allclose(part, bright, atol=8)


def test_key_frames_come_by_time(tmp_path) -> None:
    times = [*range(0, 1000, 40), *range(1000, 3000, 200)]
    path = write(
        tmp_path / "c.mp4",
        [flat(v % 200) for v in range(len(times))],
        pts=times,
        time_base=Fraction(1, 1000),
        key_every_s=0.4,
    )
    keys = [round(f.time * 1000) for f in frames_of(path) if f.key_frame]
    assert keys == [0, 400, 800, 1200, 1600, 2000, 2400, 2800]


def test_it_can_be_played_while_it_loads(tmp_path) -> None:
    data = write(tmp_path / "c.mp4", [flat(90)] * 5).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_wrong_pictures_and_times_are_refused(tmp_path) -> None:
    def clip():
        return ClipWriter(tmp_path / "c.mp4", (48, 64), TICK, Fraction(25))

    with pytest.raises(ValueError, match=r"\(48, 64, 3\), not uint8 \(48, 66, 3\)"), clip() as w:
        w.write(flat(3, (48, 66)), 0)
    with pytest.raises(ValueError, match="not float32"), clip() as w:
        w.write(flat(3).astype(np.float32), 0)
    with pytest.raises(ValueError, match="at 4 comes after the one at 4"):
        write(tmp_path / "c.mp4", [flat(3)] * 2, pts=(4, 4))
    assert list(tmp_path.iterdir()) == []


# -- sound ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "picture"),
    [
        ("aac.mp4", "aac", "libx264"),
        ("aac.mkv", "aac", "libx264"),
        ("aac.ts", "aac", "libx264"),
        ("mp3.mkv", "libmp3lame", "libx264"),
        ("opus.mkv", "libopus", "libx264"),
        ("pcm.mov", "pcm_s16le", "mpeg4"),
        ("mp2.mpg", "mp2", "mpeg2video"),
    ],
)
def test_sound_stays_with_the_picture(tmp_path, name, codec, picture) -> None:
    source = signals_film(tmp_path / name, codec, picture=picture, seconds=8)
    for span, count in (((None, 1.5), 1), ((2.5, 1.5), 1), ((4.02, 3.5), 2)):
        clip = copy_pictures(source, tmp_path / "clip.mp4", *span, overwrite=True)
        flashes, beeps = flashes_and_beeps(clip)
        assert len(flashes) == count
        np.testing.assert_allclose(beeps, flashes, atol=0.004)
        with av.open(str(clip)) as film:
            length = film.streams.video[0].duration * film.streams.video[0].time_base
            sound = film.streams.audio[0].codec_context
            assert (sound.name, sound.profile, sound.layout.name) == ("aac", "LC", "stereo")
        assert abs(heard_until(clip) - float(length)) < 0.03


def test_aac_passes_as_it_is(tmp_path) -> None:
    source = signals_film(tmp_path / "f.mp4", "aac", seconds=4)
    clip = copy_pictures(source, tmp_path / "clip.mp4", 1, 2)
    there = [digest for _, digest in read_packets(source)[1]]
    copied = [digest for _, digest in read_packets(clip)[1]]
    place = there.index(copied[0])
    assert copied == there[place : place + len(copied)]
    assert len(copied) > 90


def test_copied_sound_is_whole_from_the_first_sample(tmp_path) -> None:
    """AAC needs the packet before to decode the first one that is heard."""
    source = make_video(
        tmp_path / "f.mp4", codec="libx264", frames=50, sound=("aac",), rate=25
    ).path
    clip = copy_pictures(source, tmp_path / "clip.mp4", 0.8)

    def samples(path):
        with av.open(str(path)) as film:
            frames = list(film.decode(audio=0))
            first = round(frames[0].time * RATE)
            return first, np.concatenate([f.to_ndarray()[0] for f in frames if f.pts >= 0])

    (begin, before), (first, after) = samples(source), samples(clip)
    assert begin == 0
    assert first <= 0
    same = before[round(0.8 * RATE) :][:5000]
    np.testing.assert_allclose(after[-first:][:5000], same, atol=1e-3)


def test_sound_ends_with_the_part(tmp_path) -> None:
    source = signals_film(tmp_path / "f.mkv", "flac", seconds=3)
    clip = write(tmp_path / "c.mp4", [flat(3)] * 50, sound=source, span=(None, 1.2))
    assert heard_until(clip) == pytest.approx(1.2, abs=0.025)


@pytest.mark.parametrize(("rate", "expected"), [(44100, 44100), (22050, 44100), (32000, 48000)])
def test_other_sound_becomes_stereo_at_a_usual_rate(tmp_path, rate, expected) -> None:
    source = signals_film(tmp_path / "f.mkv", "flac", seconds=4, layout="mono", rate=rate)
    clip = copy_pictures(source, tmp_path / "clip.mp4", 0.5, 3)
    with av.open(str(clip)) as film:
        sound = film.streams.audio[0].codec_context
        assert (sound.sample_rate, sound.layout.name) == (expected, "stereo")
    flashes, beeps = flashes_and_beeps(clip)
    np.testing.assert_allclose(beeps, flashes, atol=0.004)


def test_of_several_sounds_the_default_one_is_taken(tmp_path) -> None:
    source = signals_film(tmp_path / "f.mkv", "flac", seconds=3, streams=2, quiet=(0,))
    clip = copy_pictures(source, tmp_path / "clip.mp4")
    assert len(flashes_and_beeps(clip)[1]) == 1
    with av.open(str(clip)) as film:
        assert len(film.streams.audio) == 1


def test_sound_that_begins_late_or_pauses_stays_in_place(tmp_path) -> None:
    source = tmp_path / "f.mkv"
    plain = signals_film(tmp_path / "plain.mkv", "flac", seconds=10)
    with av.open(str(plain)) as film, av.open(str(source), "w") as out:
        streams = [film.streams.video[0], film.streams.audio[0]]
        copies = {s.index: out.add_stream_from_template(s) for s in streams}
        for packet in film.demux(streams):
            time = 0 if packet.pts is None else packet.pts * packet.time_base
            quiet = packet.stream.type == "audio" and (time < 2.5 or 4 < time < 6.5)
            if packet.size and not quiet:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    for span in ((None, None), (1.6, 8)):
        clip = copy_pictures(source, tmp_path / "clip.mp4", *span, overwrite=True)
        begin = span[0] or 0
        _, beeps = flashes_and_beeps(clip)
        np.testing.assert_allclose(beeps, [t - begin for t in (3, 7, 9)], atol=0.004)


def test_a_silent_film_makes_a_silent_clip(tmp_path) -> None:
    source = make_video(tmp_path / "f.mp4", codec="libx264").path
    clip = copy_pictures(source, tmp_path / "clip.mp4")
    with av.open(str(clip)) as film:
        assert [s.type for s in film.streams] == ["video"]


def test_sound_that_is_cut_off_ends_early(tmp_path) -> None:
    source = signals_film(tmp_path / "f.mkv", "pcm_s16le", seconds=6)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    clip = write(tmp_path / "c.mp4", [flat(3)] * 150, sound=source)
    assert len(frames_of(clip)) == 150
    assert 2 < heard_until(clip) < 4


def test_sound_that_cannot_be_decoded_is_left_out_with_a_warning(tmp_path, caplog) -> None:
    source = make_video(
        tmp_path / "f.mkv", codec="libx264", frames=100, sound=("flac",), rate=25
    ).path
    overwrite_middle(source, 400, at=0.6)
    with caplog.at_level(logging.WARNING):
        clip = write(tmp_path / "c.mp4", [flat(3)] * 100, sound=source)
    (told,) = [r.getMessage() for r in caplog.records if "sound" in r.getMessage()]
    assert re.fullmatch(rf"{source}: its sound cannot be decoded at 0:00:0.*; left out", told)
    assert heard_until(clip) == pytest.approx(4, abs=0.03)


# -- files ---------------------------------------------------------------------------------------


def test_only_whole_clips_get_the_name(tmp_path) -> None:
    path = tmp_path / "c.mp4"
    with ClipWriter(path, (48, 64), TICK, Fraction(25)) as writer:
        writer.write(flat(4), 0)
        assert not path.exists()
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".c.partial-")
    assert [p.name for p in tmp_path.iterdir()] == ["c.mp4"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_of_a_clip_that_was_given_up(tmp_path, error) -> None:
    def pictures():
        yield from (flat(number) for number in range(30))
        raise error

    def give_up():
        with ClipWriter(tmp_path / "c.mp4", (48, 64), TICK, Fraction(25)) as writer:
            for number, picture in enumerate(pictures()):
                writer.write(picture, number)

    with pytest.raises(error):
        give_up()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_interrupted_at_the_end(tmp_path, monkeypatch) -> None:
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(clip_writer.Target, "land", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "c.mp4", [flat(4)] * 3)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_one_line(tmp_path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (30, 240, 320, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signals = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(MediaError, match=r"c\.mp4: cannot be written \(.*\)$") as caught:
            write(tmp_path / "c.mp4", list(noise), crf=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, signals)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_files_are_replaced_only_when_told(tmp_path) -> None:
    path = tmp_path / "c.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        write(path, [flat(4)])
    assert path.read_bytes() == b"mine"
    write(path, [flat(4)], overwrite=True)
    assert len(frames_of(path)) == 1
    with pytest.raises(MediaError, match="is the input itself"):
        write(path, [flat(4)], overwrite=True, sound=path)
    assert len(frames_of(path)) == 1


def test_what_cannot_be_a_clip_is_told(tmp_path) -> None:
    with pytest.raises(MediaError, match=r"c\.webm: a clip is \.mp4"):
        write(tmp_path / "c.webm", [flat(4)])
    with pytest.raises(MediaError, match="there is no folder"):
        write(tmp_path / "no" / "c.mp4", [flat(4)])
    with pytest.raises(MediaError, match=r"f\.mp4: no such file"):
        write(tmp_path / "c.mp4", [flat(4)], sound=tmp_path / "f.mp4")
    with (
        pytest.raises(MediaError, match="no picture came"),
        ClipWriter(tmp_path / "c.mp4", (48, 64), TICK, Fraction(25)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
