"""`vidcolor colorize` with a pipe at one end or at both, as a process between its neighbors."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import av
import numpy as np
import pytest
import torch
from media import make_video, read_luma, read_packets

from vidcolor import cli
from vidcolor.api import make_config
from vidcolor.errors import GuidanceError, MediaError
from vidcolor.io.prefetch import prefetch
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.piped import open_pipe

FFMPEG = shutil.which("ffmpeg")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network with strong colors."""
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {"license": "none"})
    return path


@pytest.fixture
def command(weights):
    """`vidcolor colorize ...` as words for a process."""

    def command(*words):
        small = ("--weights", weights, "--colorize.short_side", "64", "--detector", "none")
        call = (sys.executable, "-m", "vidcolor.cli", "colorize", *words, *small)
        return [str(word) for word in call]

    return command


@pytest.fixture
def config(weights):
    def config(**options):
        small = {"weights": str(weights), "colorize": {"short_side": 64}, "detector": "none"}
        return make_config(**small, **options)

    return config


def as_y4m(film):
    """A film's luma as a y4m stream with neutral chroma."""
    height, width = film.luma[0].shape
    stream = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode()
    neutral = bytes([128]) * (2 * -(-height // 2) * -(-width // 2))
    return stream + b"".join(b"FRAME\n" + luma.tobytes() + neutral for luma in film.luma)


def luma_of_stream(data):
    with av.open(io.BytesIO(data)) as read:
        frames = list(read.decode(video=0))
    rows = (np.asarray(f.planes[0]).reshape(f.height, -1)[:, : f.width] for f in frames)
    return [row.copy() for row in rows], frames


def same(found, wanted):
    return len(found) == len(wanted) and all(map(np.array_equal, found, wanted))


def collected(path):
    """A FIFO and what comes out of it, in a list, once the thread has ended."""
    os.mkfifo(path)
    found = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread, found


def fed(path, data):
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(data), daemon=True)
    thread.start()
    return thread


# -- processes -----------------------------------------------------------------------------------


def test_y4m_goes_through_and_nothing_else_comes_out(tmp_path, command):
    """Nothing is asked of it but `- -`; every byte of stdout is film."""
    film = make_video(tmp_path / "a.mkv", frames=9, size=(47, 63))
    done = subprocess.run(
        command("-", "-"), input=as_y4m(film), capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    line, _, rest = done.stdout.partition(b"\n")
    assert line == b"YUV4MPEG2 W63 H47 F25:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED"
    assert len(rest) == 9 * (6 + 47 * 63 + 2 * 24 * 32)
    lumas, frames = luma_of_stream(done.stdout)
    assert same(lumas, film.luma)
    assert len(np.unique(np.asarray(frames[0].planes[1]))) > 1
    assert b"9 frames" in done.stderr


def test_who_reads_may_leave(tmp_path, command):
    film = make_video(tmp_path / "a.mkv", frames=80, size=(120, 160))
    with subprocess.Popen(
        command(film.path, "-", "--format", "y4m"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(20).startswith(b"YUV4MPEG2")
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(120) == 1
    assert b"Traceback" not in said
    assert b"roken pipe" not in said


def test_ctrl_c_ends_it_while_nothing_comes(tmp_path, command):
    """The producer has sent some frames and waits for ever; so does the decoder."""
    film = make_video(tmp_path / "a.mkv", frames=30, size=(240, 320))
    stderr = subprocess.PIPE
    with subprocess.Popen(command("-", tmp_path / "o.mkv"), stdin=subprocess.PIPE, stderr=stderr) as process:  # noqa: E501  # fmt: skip
        process.stdin.write(as_y4m(film))
        process.stdin.flush()  # more than the pipe holds: it is being read
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()
        assert b"Traceback" not in process.stderr.read()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.skipif(FFMPEG is None, reason="there is no ffmpeg to stand beside")
def test_ffmpeg_stands_on_both_sides(tmp_path, command):
    film = make_video(tmp_path / "a.mkv", frames=12, sound=("flac",))
    quiet = [FFMPEG, "-v", "error", "-y"]
    copy = [*quiet, "-i", str(film.path), "-c", "copy", "-f", "nut", "-"]
    out = tmp_path / "out.mkv"
    back = [*quiet, "-i", "-", "-map", "0", "-c", "copy", str(out)]
    first = subprocess.Popen(copy, stdout=subprocess.PIPE)
    words = command("-", "-", "--codec", "ffv1")
    second = subprocess.Popen(words, stdin=first.stdout, stdout=subprocess.PIPE)
    third = subprocess.Popen(back, stdin=second.stdout)
    first.stdout.close()
    second.stdout.close()
    assert [process.wait(120) for process in (third, second, first)] == [0, 0, 0]
    codes, times = read_luma(out)
    assert same(codes, film.luma)
    assert times == film.times
    assert read_packets(out) == read_packets(film.path)


# -- in this process, with FIFOs -----------------------------------------------------------------


def test_fifos_are_pipes_too(tmp_path, config):
    film = make_video(tmp_path / "a.mkv", frames=12, sound=("pcm_s16le",))
    feeder = fed(tmp_path / "in", film.path.read_bytes())
    reader, found = collected(tmp_path / "out.mkv")
    counted = []
    job = open_pipe(tmp_path / "in", tmp_path / "out.mkv", config(codec="ffv1"))
    assert job.run(counted.append) == sum(counted) == 12
    feeder.join(20)
    reader.join(20)
    (tmp_path / "sent").write_bytes(found[0])
    codes, times = read_luma(tmp_path / "sent")
    assert same(codes, film.luma)
    assert times == film.times
    assert read_packets(tmp_path / "sent") == read_packets(film.path)


def test_what_was_decoded_before_the_break_is_sent(tmp_path, config):
    film = make_video(tmp_path / "a.mkv", frames=20)
    stream = as_y4m(film)
    feeder = fed(tmp_path / "in", stream[: len(stream) * 13 // 20])
    reader, found = collected(tmp_path / "out")
    with pytest.raises(MediaError, match=r"is damaged or cut off after 0:00:00\.44"):
        open_pipe(tmp_path / "in", tmp_path / "out", config()).run(lambda count: None)
    feeder.join(20)
    reader.join(20)
    assert same(luma_of_stream(found[0])[0], film.luma[:12])


@pytest.mark.parametrize("keep", [False, True])
def test_a_file_is_whole_or_says_that_it_is_not(tmp_path, config, keep):
    film = make_video(tmp_path / "a.mkv", frames=20)
    stream = as_y4m(film)
    feeder = fed(tmp_path / "in", stream[: len(stream) * 13 // 20])
    out = tmp_path / "out.mkv"
    settings = config(codec="ffv1", keep_partial=keep)
    with pytest.raises(MediaError, match="cut off"):
        open_pipe(tmp_path / "in", out, settings).run(lambda count: None)
    feeder.join(20)
    assert not out.exists()
    left = {path.name for path in tmp_path.iterdir()} - {"a.mkv", "in"}
    assert left == ({"out.partial.mkv"} if keep else set())
    if keep:
        assert same(read_luma(tmp_path / "out.partial.mkv")[0], film.luma[:12])


def test_what_needs_the_film_twice_is_refused(tmp_path, config, capsys):
    hints = tmp_path / "hints.json"
    hint = {"frame": 0, "points": [4, 4], "color": "red"}
    hints.write_text(json.dumps({"version": 1, "hints": [hint]}))
    os.mkfifo(tmp_path / "in")
    with pytest.raises(GuidanceError, match="need the film more than once"):
        open_pipe(tmp_path / "in", tmp_path / "out.mkv", config(hints=str(hints)))
    code = cli.main(["colorize", "-", str(tmp_path / "out.mkv"), "--plan", "film.vidcolor"])
    assert code == 1
    assert "a color script cannot work on a pipe; write the film to" in capsys.readouterr().err


def test_prefetch_calls_off_what_waits_only_if_it_is_left_early():
    class Waiting:
        def __init__(self, items):
            self.items, self.called_off = items, threading.Event()

        def __iter__(self):
            yield from range(self.items)
            if self.items < 3:
                self.called_off.wait(20)

        def cancel(self):
            self.called_off.set()

    left, ended = Waiting(2), Waiting(5)
    ahead = prefetch(left, 4)
    assert next(ahead) == 0
    ahead.close()
    assert left.called_off.is_set()
    assert list(prefetch(ended, 4)) == [0, 1, 2, 3, 4]
    assert not ended.called_off.is_set()
