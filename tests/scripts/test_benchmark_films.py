import io
import itertools
import json
import sys
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from vidcolor.io.codecs import OutputConfig
from vidcolor.records import VideoInfo


@pytest.fixture(scope="module")
def films(tool):
    return tool("benchmarks/measure/films.py")


@pytest.fixture(scope="module")
def encoding(tool):
    return tool("benchmarks/measure/encoding.py")


@pytest.fixture(scope="module")
def bare(tool):
    return tool("benchmarks/measure/bare.py")


@pytest.fixture(scope="module")
def clocks(tool):
    return tool("benchmarks/measure/clocks.py")


def planes_of(path):
    with av.open(str(path)) as film:
        rows, columns = film.streams.video[0].height, film.streams.video[0].width
        found = [(f.pts, f.to_ndarray()[:rows, :columns]) for f in film.decode(video=0)]
        return found, Fraction(film.streams.video[0].average_rate)


def test_a_clip_begins_again_where_the_example_ends(films, tmp_path):
    short = tmp_path / "short.mp4"
    films.make_clip(48, short, 7)
    assert len(planes_of(short)[0]) == 7
    films.make_clip(48, tmp_path / "long.mp4", 17, source=short)
    found, rate = planes_of(tmp_path / "long.mp4")
    assert len(found) == 17
    assert rate == 24
    steps = {b[0] - a[0] for a, b in itertools.pairwise(found)}
    assert len(steps) == 1
    first = found[0][1].astype(int)
    assert np.abs(found[7][1] - first).mean() < 2  # the same picture, encoded again
    assert np.abs(found[14][1] - first).mean() < 2
    assert np.abs(found[7][1].astype(int) - found[6][1]).mean() > 0.2
    assert films.describe(short)["size"] == [48, 64]


@pytest.mark.parametrize(("hold", "frames"), [(2, 9), (3, 9)])
def test_pictures_stand_for_two_or_three_frames(films, tmp_path, hold, frames):
    films.make_clip(48, tmp_path / "held.mp4", frames, hold)
    found = [plane.astype(int) for _, plane in planes_of(tmp_path / "held.mp4")[0]]
    assert len(found) == frames
    changes = [np.abs(b - a).mean() for a, b in itertools.pairwise(found)]
    repeats = [change for i, change in enumerate(changes, 1) if i % hold]
    moves = [change for i, change in enumerate(changes, 1) if i % hold == 0]
    assert max(repeats) < min(moves) / 2


def test_boxes_drift_slowly_and_stay_inside(films, tmp_path):
    from vidcolor.stages.boxes_file import BoxesFile

    size = (480, 640)
    boxes = np.array([films.drifting_boxes(i, 8, size) for i in range(600)])
    assert boxes.shape == (600, 8, 4)
    assert boxes.min() >= 0
    assert boxes[..., 2].max() <= 640
    assert boxes[..., 3].max() <= 480
    assert (boxes[..., 2:] - boxes[..., :2]).min() > 60
    steps = np.abs(np.diff(boxes, axis=0))
    assert 0.5 < steps.max() < 6  # pixels a frame
    films.write_boxes(tmp_path / "b.jsonl", 3, 2, size)
    BoxesFile(tmp_path / "b.jsonl")  # reads it, or says what is wrong
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["ids"] for row in rows] == [[1, 2]] * 3
    assert films.drifting_boxes(5, 0, size) == []


def test_the_floor_has_the_settings_of_the_lines_own_encoder(encoding):
    from pathlib import Path

    from vidcolor.io.codecs import choose_encoding
    from vidcolor.io.picture import PictureEncoder

    info = VideoInfo(96, 128, Fraction(24), Fraction(1, 24))
    for codec in ("h264", "ffv1"):
        output = OutputConfig(codec=codec)
        told = encoding.EncoderSettings.of_line(info, output)
        chosen = choose_encoding(Path("any.mkv"), info, output)
        said = {}

        class Out:
            def __init__(self, container, said=said):
                self.container, self.said = container, said

            def add_stream(self, name, rate, options):
                self.said.update(options)
                return self.container.add_stream(name, rate=rate, options=options)

        with av.open(io.BytesIO(), "w", format="matroska") as container:
            context = PictureEncoder(Out(container), chosen, info).stream.codec_context
            assert told.options == said
            assert told.encoder == chosen.codec.encoder
            assert told.thread_count == context.thread_count
            assert told.thread_type == context.thread_type.value
            assert (told.width, told.height, told.pix_fmt) == (128, 96, chosen.pix_fmt)


def test_a_transcode_uses_those_settings(encoding, tmp_path):
    info = VideoInfo(96, 128, Fraction(24), Fraction(1, 24))
    settings = encoding.EncoderSettings.of_line(info, OutputConfig())
    settings = replace(settings, thread_count=3, thread_type=1)
    encoder = encoding.Encoder(tmp_path / "t.mkv", settings)
    context = encoder._stream.codec_context
    assert (context.thread_count, context.thread_type.name) == (3, "FRAME")  # PyAV: slices
    picture = av.VideoFrame(128, 96, "yuv420p")
    picture.pts, picture.time_base = 0, Fraction(1, 24)
    encoder.put(picture)
    encoder.close()
    with av.open(str(tmp_path / "t.mkv")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 1


class Asked(torch.nn.Module):
    """A network that answers at a quarter of the size and counts how often."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.uses_rois = True
        self.whole_size = 3

    def forward(self, lightness, rois=None, whole=None):
        self.calls.append((tuple(lightness.shape), rois, whole))
        return torch.zeros(len(lightness), 2, lightness.shape[2] // 4, lightness.shape[3] // 4)


def test_the_stand_in_answers_at_once_in_the_right_size(bare):
    network, sizes = Asked(), {}
    instant = bare.Instant(network, sizes)
    assert instant.uses_rois
    assert instant.whole_size == 3
    ramp = torch.linspace(0, 100, 32).expand(5, 1, 16, 32)
    ab = instant(ramp, "rois")
    assert ab.shape == (5, 2, 4, 8)
    assert network.calls == [((1, 1, 16, 32), None, None)]  # asked once, without close-ups
    again = bare.Instant(network, sizes)(ramp[:2])
    assert len(network.calls) == 1
    assert torch.equal(again, ab[:2])
    # color goes with lightness: cold where it is dark, warm where it is bright
    assert (ab[:, :, 1:] == ab[:, :, :-1]).all()
    assert (ab[:, 0].diff(dim=-1) > 0).all()
    assert 5 < ab.norm(dim=1).mean() < 15


def test_all_networks_of_a_line_are_taken_out_and_close_ups_stay(bare):
    from types import SimpleNamespace

    one, two = SimpleNamespace(model=Asked()), SimpleNamespace(model=Asked())
    merged = SimpleNamespace(colorize=SimpleNamespace(first=one, second=two))
    line = SimpleNamespace(colorize=merged)
    assert {id(stage) for stage in bare.networks(line)} == {id(one), id(two)}
    assert bare.without_network({})(line) is line
    assert all(isinstance(stage.model, bare.Instant) for stage in (one, two))
    with pytest.raises(RuntimeError, match="no stage with a network"):
        bare.without_network({})(SimpleNamespace(colorize=object()))


def test_films_are_colored_by_changed_lines_and_then_no_more(bare, monkeypatch):
    import vidcolor.plain as plain

    monkeypatch.setattr(plain, "build_line", lambda *given: ("line", *given))
    with bare.changed_lines(lambda line: ("changed", *line)):
        assert plain.build_line(1) == ("changed", "line", 1)
    assert plain.build_line(1) == ("line", 1)
    # somebody else lays lines one day: then this must not measure the wrong thing
    with pytest.raises(RuntimeError, match="no line was made"), bare.changed_lines(lambda line: 0):
        pass


def test_bytes_are_those_of_the_records(clocks):
    from vidcolor.records import Chroma, Colored, FrameBatch, Tracks

    luma = torch.zeros(3, 1, 4, 6, dtype=torch.uint8)
    frames = FrameBatch(luma, (0, 1, 2), VideoInfo(4, 6), held=torch.zeros(3, dtype=torch.bool))
    chroma = Chroma(torch.zeros(3, 2, 2, 3), torch.zeros(3, 1, 2, 3))
    traffic = clocks.Traffic()
    for _ in range(2):
        traffic("decode", frames)
        traffic("colorize", Colored(frames, Tracks.empty(), chroma))
    traffic("compose", (np.zeros((4, 6), np.uint8), np.zeros((2, 3), np.uint8)))
    assert traffic.bytes["decode"] == {"luma": 2 * 72, "held": 6}
    assert traffic.per_frame(6)["colorize"] == {
        "luma": 24, "held": 1, "ab": 2 * 6 * 4, "lightness": 6 * 4,
    }  # fmt: skip
    assert traffic.bytes["compose"] == {"planes": 30}


def test_a_clock_tells_what_leaves_a_stage(clocks):
    seen = []
    clock = clocks.StageClock(watch=lambda name, item: seen.append((name, item)))
    assert list(clock.items("decode", [1, 2])) == [1, 2]
    clock.call("encode", lambda: 3)
    assert seen == [("decode", 1), ("decode", 2), ("encode", 3)]


def test_processes_apart_give_their_last_line(clocks, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint('noise')\nprint('{\"x\": %s}' % sys.argv[1])")
    assert clocks.run_apart(script, ["7"]) == {"x": 7}
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match=r"s\.py 1 failed"):
        clocks.run_apart(script, ["1"])


def test_processes_apart_keep_what_python_compiles(clocks, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    script = tmp_path / "s.py"
    script.write_text("import json, sys\nprint(json.dumps({'dont': sys.dont_write_bytecode}))")
    assert clocks.run_apart(script, []) == {"dont": False}


def test_nothing_heavy_is_imported_by_the_floor():
    import subprocess
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import line; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
