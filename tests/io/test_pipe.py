"""Both ends of pipes: FIFOs stand for them, threads for the programs on the other side."""

import array
import fcntl
import io
import os
import pty
import random
import subprocess
import sys
import termios
import threading
import time
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import VFR, make_video, paint, picture, read_luma, read_packets

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.encode import OutputConfig, VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.input_config import InputConfig
from vidcolor.io.pipe import packets as pipe_packets
from vidcolor.io.pipe.ends import PipeIn, PipeOut, is_pipe, must_be_file
from vidcolor.io.pipe.reader import PipeReader
from vidcolor.io.pipe.structure import Structure
from vidcolor.io.pipe.writer import PipeWriter, choose_format
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader

PLANES = ColoredPlanes()
LOSSLESS = OutputConfig(codec="ffv1")


class Feeder:
    """A program that writes into a FIFO."""

    def __init__(self, path: Path, data: bytes, goes_on: bool = False) -> None:
        self.broken = threading.Event()
        self._go = threading.Event()
        self._goes_on = goes_on
        os.mkfifo(path)
        self._path, self._data = path, data
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        try:
            with self._path.open("wb", buffering=0) as end:
                view = memoryview(self._data)
                while view:
                    view = view[end.write(view[:5000]) :]
                if self._goes_on:
                    self._go.wait(20)
        except BrokenPipeError:
            self.broken.set()

    def stop(self) -> None:
        self._go.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def feed(tmp_path, data, goes_on=False):
    path = tmp_path / f"in-{random.random()}"
    feeder = Feeder(path, data, goes_on)
    feeder.path = path
    try:
        yield feeder
    finally:
        feeder.stop()


def collect(tmp_path, send):
    """What comes out of a FIFO into which `send(pipe)` writes."""
    path, found = tmp_path / f"out-{random.random()}", []
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    thread.start()
    with PipeOut(path) as pipe:
        send(pipe)
    thread.join(20)
    return found[0]


def y4m(frames, size, tag="C420jpeg", bits=8, full=False, words=""):
    """A y4m stream by hand, and its luma."""
    height, width = size
    said = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 {tag}{words}\n".encode()
    lumas = [picture(number, size, bits, full) for number in range(frames)]
    share = {"C420": (2, 2), "C422": (1, 2), "C444": (1, 1), "Cmon": None}[tag[:4]]
    for luma in lumas:
        said += b"FRAME\n" + luma.astype("<u2" if bits > 8 else np.uint8).tobytes()
        if share is not None:
            chroma = np.full((-(-height // share[0]), -(-width // share[1])), 1 << (bits - 1))
            said += 2 * chroma.astype("<u2" if bits > 8 else np.uint8).tobytes()
    return said, lumas


def y4m_frames(data, bits=8):
    """Header words and luma of a y4m stream of 4:2:0, by hand."""
    line, rest = data.split(b"\n", 1)
    words = line.decode().split(" ")[1:]
    width, height = (int(next(w[1:] for w in words if w[0] == k)) for k in "WH")
    kind = np.dtype("<u2") if bits > 8 else np.dtype(np.uint8)
    samples = width * height + 2 * -(-width // 2) * -(-height // 2)
    step, lumas = 6 + samples * kind.itemsize, []
    assert len(rest) % step == 0
    for at in range(0, len(rest), step):
        assert rest[at : at + 6] == b"FRAME\n"
        codes = np.frombuffer(rest[at + 6 : at + step], kind)
        lumas.append(codes[: width * height].reshape(height, width))
    return words, lumas


def all_luma(reader):
    return [luma[0].numpy() for batch in reader for luma in batch.luma]


def same(found, wanted):
    return len(found) == len(wanted) and all(map(np.array_equal, found, wanted))


def send_film(source, pipe, kind, output=LOSSLESS, config=None, after_batch=lambda: None):
    span = () if config is None else ((config.start, config.duration),)
    reader = PipeReader(source, config) if is_pipe(source) else VideoReader(source, config)
    with reader:
        others = reader.packets if isinstance(reader, PipeReader) else source
        with PipeWriter(pipe, kind, others, reader.info, PLANES, output, *span) as writer:
            for batch in reader:
                writer.write(paint(batch))
                after_batch()


def packets_in(tmp_path, data, name="sent"):
    (tmp_path / name).write_bytes(data)
    return read_packets(tmp_path / name)


# -- names ---------------------------------------------------------------------------------------


def test_what_is_a_pipe(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    found = [is_pipe(tmp_path / name) for name in ("file", "fifo", "nothing", "")]
    assert found == [False, True, False, False]
    assert is_pipe("-")
    assert is_pipe(Path("-"))
    must_be_file(tmp_path / "file", "a script")
    with pytest.raises(MediaError, match="standard input or output: a script cannot work on a pip"):
        must_be_file("-", "a script")


@pytest.mark.parametrize("end", [PipeIn, PipeOut])
def test_a_terminal_is_refused(end):
    master, terminal = pty.openpty()
    try:
        with pytest.raises(MediaError, match="is a terminal"):
            end(os.ttyname(terminal))
    finally:
        os.close(master)
        os.close(terminal)


def test_which_format_is_taken():
    assert choose_format("auto", "-", "auto", from_y4m=False) == "nut"
    assert choose_format("auto", "-", "auto", from_y4m=True) == "y4m"
    assert choose_format("auto", "-", "ffv1", from_y4m=True) == "matroska"
    assert choose_format("auto", "fifo.y4m", "auto", from_y4m=False) == "y4m"
    assert choose_format("nut", "fifo.y4m", "auto", from_y4m=True) == "nut"
    with pytest.raises(ConfigError, match="format must be one of auto, y4m, nut, matroska"):
        OutputConfig(format="avi")


def test_a_file_has_its_format_by_its_name(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=2)
    with (
        VideoReader(film.path) as reader,
        pytest.raises(MediaError, match="leave out format"),
        VideoWriter(tmp_path / "b.mkv", None, reader.info, PLANES, OutputConfig(format="nut")),
    ):
        pass


# -- in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("tag", "bits"),
    [
        ("C420jpeg", 8), ("C420mpeg2", 8), ("C420paldv", 8), ("C422", 8), ("C444", 8),
        ("Cmono", 8), ("Cmono10", 10), ("C420p10", 10), ("C422p12", 12), ("C444p16", 16),
    ],
)  # fmt: skip
def test_luma_of_y4m_is_taken_as_it_is(tmp_path, tag, bits, full):
    words = " XCOLORRANGE=FULL" if full else " XCOLORRANGE=LIMITED"
    data, lumas = y4m(3, (15, 22), tag, bits, full, words)
    with feed(tmp_path, data) as feeder, PipeReader(feeder.path) as reader:
        color = reader.info.color
        assert (color.bits, color.full_range, color.matrix) == (bits, full, "bt601")
        assert reader.is_y4m
        pts = [time for batch in iter(reader) for time in batch.pts] if full else None
        assert pts in (None, [0, 1, 2])
        if not full:
            assert same(all_luma(reader), lumas)


def test_one_frame_is_a_film(tmp_path):
    data, lumas = y4m(1, (2, 2))
    with feed(tmp_path, data) as feeder, PipeReader(feeder.path) as reader:
        assert same(all_luma(reader), lumas)


def test_a_part_is_decoded_and_what_comes_after_is_not_waited_for(tmp_path):
    data, lumas = y4m(100, (48, 64))
    config = InputConfig(start=0.2, duration=0.4, batch_size=4)
    with feed(tmp_path, data, goes_on=True) as feeder, PipeReader(feeder.path, config) as reader:
        assert same(all_luma(reader), lumas[5:15])


def test_who_sends_learns_that_nobody_wants_more(tmp_path):
    data = y4m(1, (48, 64))[0]
    data += data[data.index(b"FRAME") :] * 800
    with feed(tmp_path, data) as feeder:
        with PipeReader(feeder.path, InputConfig(duration=0.4)) as reader:
            assert len(all_luma(reader)) == 10
        assert feeder.broken.wait(20)


@pytest.mark.parametrize("kind", ["y4m", "mkv", "nut"])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.93])
def test_a_film_that_breaks_off_is_damaged_after_its_last_frame(tmp_path, kind, share):
    data, lumas = y4m(20, (48, 64))
    if kind != "y4m":
        film = make_video(tmp_path / f"a.{kind}", frames=20)
        data, lumas = film.path.read_bytes(), film.luma
    data = data[: int(len(data) * share)]
    found = []
    with (
        feed(tmp_path, data) as feeder,
        PipeReader(feeder.path) as reader,
        pytest.raises(MediaError, match=r"is damaged or cut off after 0:00:00\.\d\d\d \("),
    ):
        found.extend(luma[0].numpy() for batch in reader for luma in batch.luma)
    assert 3 <= len(found) < 20
    assert same(found, lumas[: len(found)])


def whole_and_cut(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=4, sound=("pcm_s16le",))
    make_video(tmp_path / "a.nut", frames=4)
    live = io.BytesIO()
    with av.open(str(film.path)) as source:
        plain = type("Live", (), {"write": lambda self, data: live.write(data)})()
        with av.open(plain, "w", format="matroska") as out:
            copy = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    return [
        (y4m(3, (6, 8))[0], 400),
        (y4m(3, (6, 8), "C422p10", 10)[0], 400),
        (film.path.read_bytes(), 300),
        ((tmp_path / "a.nut").read_bytes(), 300),
        (live.getvalue(), 600),
    ]


def test_structures_are_followed_however_they_come_in(tmp_path):
    for data, most in whole_and_cut(tmp_path):
        for step in (1, 7, 4096):
            whole = Structure()
            for at in range(0, len(data), step):
                whole.feed(data[at : at + step])
            assert whole.missing() is None
        cut = Structure()
        cut.feed(data[: len(data) - 3])
        assert cut.missing()
        cut = Structure()
        cut.feed(data[:most])
        assert cut.missing() or len(data) <= most


def test_what_no_rule_is_known_for_says_nothing():
    for data in (b"", b"\x47" * 4000, b"YUV4MPEG2 W6 H6 C440\nFRAME\n123", b"x" * 24):
        one = Structure()
        one.feed(data)
        assert one.missing() is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty; nothing came out of the program"),
        (b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n", "has no frames"),
        (np.random.default_rng(3).integers(0, 256, 9000, np.uint8).tobytes(), "is no film"),
        (b"a text, and no film\n" * 300, "is no film|no moving picture"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, data, words):
    with feed(tmp_path, data) as feeder, pytest.raises(MediaError, match=words):
        PipeReader(feeder.path).__enter__()


def test_an_mp4_goes_through_if_its_index_lies_before_its_content(tmp_path):
    late = make_video(tmp_path / "late.mp4", codec="libx264", frames=5)
    made = {"codec": "libx264", "frames": 5, "options": {"qp": "0"}}
    fast = {"movflags": "+faststart"}
    soon = make_video(tmp_path / "soon.mp4", **made, container_options=fast)
    refused = pytest.raises(MediaError, match="whose index lies at its end")
    with feed(tmp_path, late.path.read_bytes()) as feeder, refused:
        PipeReader(feeder.path).__enter__()
    with feed(tmp_path, soon.path.read_bytes()) as feeder, PipeReader(feeder.path) as reader:
        assert same(all_luma(reader), soon.luma)


def test_a_producer_that_stalls_can_be_left(tmp_path):
    data, _ = y4m(8, (48, 64))
    with (
        feed(tmp_path, data, goes_on=True) as feeder,
        PipeReader(feeder.path, InputConfig(batch_size=2)) as reader,
        closing(prefetch(reader, 8)) as ahead,
    ):
        assert next(ahead).index == 0


def test_what_a_signal_raises_while_ffmpeg_waits_comes_out(tmp_path, monkeypatch):
    def interrupted(self, count):
        raise KeyboardInterrupt

    with feed(tmp_path, y4m(2, (48, 64))[0]) as feeder:
        reader = PipeReader(feeder.path)
        real = PipeIn._received
        monkeypatch.setattr(
            PipeIn, "_received", lambda self, n: real(self, n) if n < 99 else interrupted(self, n)
        )
        with pytest.raises(KeyboardInterrupt):
            reader.__enter__()


def test_sound_that_does_not_lie_beside_its_picture_is_not_kept_without_end(tmp_path, monkeypatch):
    film = make_video(tmp_path / "a.mkv", frames=50, sound=("pcm_s16le",))
    monkeypatch.setattr(pipe_packets, "_MOST_WAITING", 50_000)
    with (
        feed(tmp_path, film.path.read_bytes()) as feeder,
        PipeReader(feeder.path) as reader,
        pytest.raises(MediaError, match="sound lies too far before its picture"),
    ):
        all_luma(reader)
    with feed(tmp_path, film.path.read_bytes()) as feeder, PipeReader(feeder.path) as reader:
        reader.packets.close()  # nobody wants them
        assert same(all_luma(reader), film.luma)


# -- out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("tag", "bits"), [("C420jpeg", 8), ("C420p10", 10)])
def test_luma_through_y4m_and_y4m_is_the_same(tmp_path, tag, bits, full):
    size = (35, 22)
    words = " XCOLORRANGE=FULL" if full else " XCOLORRANGE=LIMITED"
    data, lumas = y4m(7, size, tag, bits, full, words)
    with feed(tmp_path, data) as feeder:
        sent = collect(tmp_path, lambda pipe: send_film(feeder.path, pipe, "y4m", OutputConfig()))
    found, codes = y4m_frames(sent, bits)
    chroma = "C420mpeg2" if bits == 8 else "C420p10"
    assert found == ["W22", "H35", "F25:1", "Ip", "A1:1", chroma, words.strip()]
    assert same(codes, lumas)
    with av.open(io.BytesIO(sent)) as read:  # FFmpeg agrees, and there is color
        frame = next(read.decode(video=0))
        assert frame.format.name == ("yuv420p" if bits == 8 else "yuv420p10le")
        assert np.asarray(frame.planes[1]).std() > 2


def test_y4m_says_what_it_leaves_out(tmp_path, caplog):
    film = make_video(
        tmp_path / "a.mkv", sound=("aac", "flac"), subtitles="subrip", pts=VFR, rotation=90
    )
    sent = collect(tmp_path, lambda pipe: send_film(film.path, pipe, "y4m", OutputConfig()))
    assert same(y4m_frames(sent)[1], film.luma)
    text = "\n".join(caplog.messages)
    assert "left out: 2 audio, 1 subtitle" in text
    assert text.count("do not come at an even rate") == 1
    assert "turned by 90 degrees" in text


def test_y4m_has_no_encoder(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=2)
    with pytest.raises(MediaError, match="y4m is not encoded"):
        collect(tmp_path, lambda pipe: send_film(film.path, pipe, "y4m"))


@pytest.mark.parametrize("kind", ["nut", "matroska"])
@pytest.mark.parametrize("piped", [False, True])
def test_picture_times_and_sound_are_those_of_the_file_path(tmp_path, caplog, kind, piped):
    film = make_video(
        tmp_path / "a.mkv", frames=30, sound=("flac", "pcm_s16le"), codec="libx264",
        options={"qp": "0"},
        pts=[0, 40, 90, *range(120, 1200, 40)], time_base=Fraction(1, 1000), chapters=True,
        metadata={"title": "A film", "oddity": "kept"}, aspect=Fraction(16, 15),
    )  # fmt: skip
    by_file = tmp_path / "file.mkv"
    with (
        VideoReader(film.path) as reader,
        VideoWriter(by_file, film.path, reader.info, PLANES, LOSSLESS) as writer,
    ):
        for batch in reader:
            writer.write(paint(batch))
    with feed(tmp_path, film.path.read_bytes()) as feeder:
        source = feeder.path if piped else film.path
        sent = collect(tmp_path, lambda pipe: send_film(source, pipe, kind))
        if not piped:
            feeder.path.read_bytes()
    assert packets_in(tmp_path, sent) == read_packets(by_file)
    assert len(packets_in(tmp_path, sent)) == 2
    codes, times = read_luma(tmp_path / "sent")
    assert same(codes, film.luma)
    assert times == film.times
    with av.open(io.BytesIO(sent)) as read:
        told = read.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
        assert told is (kind == "matroska")
        assert told is not ("does not say that its pixels are 16:15" in caplog.text)
        assert read.metadata["title"] == "A film"
        assert {key.lower() for key in read.metadata} >= {"title", "oddity"}
        assert read.streams.audio[1].metadata["language"] == "fra"
        assert len(read.chapters()) == 2


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_nut_keeps_times_of_codecs_that_reorder(tmp_path, codec):
    film = make_video(tmp_path / "a.mkv", frames=40, pts=range(0, 1600, 40),
                      time_base=Fraction(1, 1000))  # fmt: skip
    fast = {"h264": "veryfast", "h265": "ultrafast", "av1": "13"}[codec]
    output = OutputConfig(codec=codec, preset=fast)
    sent = collect(tmp_path, lambda pipe: send_film(film.path, pipe, "nut", output))
    (tmp_path / "sent.nut").write_bytes(sent)
    assert read_luma(tmp_path / "sent.nut")[1] == film.times


def test_sound_before_zero_is_left_out_of_nut(tmp_path):
    """The priming of AAC lies before zero, of which nut knows nothing."""
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=20, sound=("aac",))
    (before,) = read_packets(film.path).values()
    assert before[0][0] < 0
    sent = collect(tmp_path, lambda pipe: send_film(film.path, pipe, "nut"))
    (after,) = packets_in(tmp_path, sent).values()
    assert after == before[1:]


def test_of_a_part_all_sound_comes_through(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=100, sound=("pcm_s16le",))
    config = InputConfig(start=1.0, duration=1.0)
    with feed(tmp_path, film.path.read_bytes()) as feeder:
        sent = collect(tmp_path, lambda pipe: send_film(feeder.path, pipe, "nut", config=config))
    by_file = collect(tmp_path, lambda pipe: send_film(film.path, pipe, "nut", config=config))
    found = packets_in(tmp_path, sent)
    assert found == packets_in(tmp_path, by_file)
    assert len(next(iter(found.values()))) > 40
    codes, times = read_luma(tmp_path / "sent")
    assert same(codes, film.luma[25:50])
    assert times == film.times[:25]


def behind(path, source, late_s):
    """The same film, in which sound lies that much behind the picture."""
    with av.open(str(source)) as read:
        packets = [packet for packet in read.demux() if packet.size]
        with av.open(str(path), "w", container_options={"max_interleave_delta": "1"}) as out:
            copies = {s.index: out.add_stream_from_template(s) for s in read.streams}

            def place(packet):
                late = late_s if packet.stream.type == "audio" else 0
                return packet.dts * packet.time_base + late

            for packet in sorted(packets, key=place):
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


def test_sound_that_lies_behind_the_end_of_a_part_comes_through(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=100, sound=("pcm_s16le",))
    late = behind(tmp_path / "late.mkv", film.path, 1)
    config = InputConfig(duration=1.0)
    with feed(tmp_path, late.read_bytes()) as feeder:
        sent = collect(tmp_path, lambda pipe: send_film(feeder.path, pipe, "nut", config=config))
    by_file = collect(tmp_path, lambda pipe: send_film(film.path, pipe, "nut", config=config))
    assert packets_in(tmp_path, sent) == packets_in(tmp_path, by_file)


def test_sound_before_the_beginning_of_a_part_is_not_kept(tmp_path, monkeypatch):
    film = make_video(tmp_path / "a.mkv", frames=100, sound=("pcm_s16le",))
    monkeypatch.setattr(pipe_packets, "_MOST_WAITING", 300_000)
    data, start = film.path.read_bytes(), InputConfig(start=3.0)
    with feed(tmp_path, data) as feeder, PipeReader(feeder.path, start) as reader:
        assert same(all_luma(reader), film.luma[75:])


def test_a_cover_goes_from_pipe_to_file(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=4, cover=True, attachment=True)
    with feed(tmp_path, film.path.read_bytes()) as feeder, PipeReader(feeder.path) as reader:
        out = tmp_path / "b.mkv"
        with VideoWriter(out, reader.packets, reader.info, PLANES, LOSSLESS) as writer:
            for batch in reader:
                writer.write(paint(batch))
    assert same(read_luma(out)[0], film.luma)
    assert read_packets(out) == read_packets(film.path)


def test_nut_cannot_say_the_range_of_ffv1(tmp_path, caplog):
    film = make_video(tmp_path / "a.mkv", frames=2, full_range=True)
    collect(tmp_path, lambda pipe: send_film(film.path, pipe, "nut"))
    assert "ffv1 in nut does not say the range and matrix of its codes (here: full" in caplog.text


def test_nothing_else_gets_into_standard_output():
    code = (
        "import os; from vidcolor.io.pipe.ends import PipeIn, PipeOut\n"
        "with PipeOut('-') as out, PipeIn('-') as end:\n"
        "    print('noise', flush=True); os.system('echo more noise')\n"
        "    out.write(end.read(99) + end.read(99))\n"
        "print('late noise')"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, input=b"film", capture_output=True, timeout=60, check=True)
    assert done.stdout == b"film"
    assert done.stderr.split(b"\n") == [b"noise", b"more noise", b"late noise", b""]


# -- who does not listen -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["y4m", "nut"])
def test_a_reader_that_leaves_ends_the_film(tmp_path, kind):
    film = make_video(tmp_path / "a.mkv", frames=60, codec="libx264")
    path = tmp_path / "out"
    os.mkfifo(path)

    def leave():
        with path.open("rb") as end:
            end.read(100)

    thread = threading.Thread(target=leave)
    thread.start()
    output = OutputConfig() if kind == "y4m" else LOSSLESS
    with PipeOut(path) as pipe, pytest.raises(BrokenPipeError):
        send_film(film.path, pipe, kind, output)
    thread.join(20)


def filled(descriptor, most=60_000):
    """Wait until so many bytes wait in a pipe that nobody reads."""
    count = array.array("i", [0])
    for _ in range(2000):
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
        if count[0] >= most:
            return
        time.sleep(0.005)
    raise AssertionError("the pipe is never full")


@pytest.mark.parametrize("kind", ["y4m", "nut"])
def test_a_reader_that_stalls_can_be_left(tmp_path, kind):
    film = make_video(tmp_path / "a.mkv", frames=60, size=(240, 320), codec="libx264")
    path = tmp_path / "out"
    os.mkfifo(path)
    output = OutputConfig() if kind == "y4m" else LOSSLESS
    stalled = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def interrupt():
        filled(stalled)
        raise KeyboardInterrupt

    try:
        with PipeOut(path) as pipe, pytest.raises(KeyboardInterrupt):
            send_film(film.path, pipe, kind, output, after_batch=interrupt)
    finally:
        os.close(stalled)
