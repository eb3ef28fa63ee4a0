import dataclasses
import hashlib
import importlib.util
import itertools
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import VFR, Film, main_picture, make_video, paint, read_luma, read_packets
from processes import fresh_processes

from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.io.codecs import CODECS
from vidcolor.io.encode import OutputConfig, VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.input_config import InputConfig
from vidcolor.io.segments import SegmentStore, parts_folder
from vidcolor.io.video import VideoReader
from vidcolor.marks import film_mark, shot_key
from vidcolor.records import Chroma, Colored
from vidcolor.render import ListedShots, render_shots
from vidcolor.stages.cut import CutConfig
from vidcolor.stages.shots_file import Shot

FFV1 = Config(output=OutputConfig("ffv1"), input=InputConfig(batch_size=5))


def cut_at(film: Film, *starts: int) -> list[Shot]:
    with av.open(str(film.path)) as container:
        pts = sorted(p.pts for p in container.demux(main_picture(container)) if p.size)
    edges = [0, *starts, len(pts)]
    return [Shot(n, a, b - 1, pts=pts[a]) for n, (a, b) in enumerate(itertools.pairwise(edges))]


def tint(batch):
    """Paint that depends on everything that a batch says of where it lies."""
    colored = paint(batch)
    place = torch.arange(len(batch))
    numbers = place + batch.index + 7 * (place + batch.start) + 40 * batch.shot
    shift = (numbers % 17).float()[:, None, None, None]
    return Colored(
        batch, colored.tracks, Chroma(colored.chroma.ab + shift, colored.chroma.lightness)
    )


def color(frames, shots):
    """A line without networks: the cut of the list, and paint."""
    return map(tint, ListedShots(CutConfig(), shots)(frames))


def keys_of(shots: list[Shot], **changed: str) -> list[str]:
    return [f"{n}-{changed.get(f'shot{n}', 'a')}" for n in range(len(shots))]


def render(
    film: Film, output: Path, shots: list[Shot], keys=None, config=FFV1, color=color, **more
):
    return render_shots(film.path, output, config, shots, keys or keys_of(shots), color, **more)


def plain(film: Film, output: Path, shots: list[Shot], config=FFV1) -> Path:
    """What `render_shots` must come to: one reader, one line, one writer."""
    planes = ColoredPlanes(config.compose)
    with (
        VideoReader(film.path, config.input) as reader,
        VideoWriter(output, film.path, reader.info, planes, config.output) as writer,
    ):
        for colored in color(reader, shots):
            writer.write(colored)
    return output


def decoded(path: Path) -> list[tuple[Fraction, str]]:
    """Time and hash of all planes of every frame; a decoder that complains is a failure."""
    frames = []
    with av.open(str(path)) as film:
        stream = main_picture(film)
        for frame in film.decode(stream):
            assert not frame.is_corrupt
            frames.append((frame.pts * Fraction(stream.time_base), digest(frame)))
    return frames


def digest(frame) -> str:
    """Hash of all planes, without what lies beside them."""
    size = 2 if frame.format.components[0].bits > 8 else 1
    rows = [
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width * size]
        for plane in frame.planes
    ]
    return hashlib.sha256(b"".join(part.tobytes() for part in rows)).hexdigest()


def picture_packets(path: Path) -> list[tuple[Fraction, Fraction | None, bool, bytes]]:
    with av.open(str(path)) as film:
        stream = main_picture(film)
        unit = Fraction(stream.time_base)
        return [
            (p.pts * unit, None if p.dts is None else p.dts * unit, p.is_keyframe, bytes(p))
            for p in film.demux(stream)
            if p.size
        ]


def identities(store: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in store.iterdir()}


CONTAINERS = [(name, e) for name, codec in CODECS.items() for e in codec.extensions]


@pytest.fixture
def film(tmp_path) -> Film:
    return make_video(tmp_path / "source.mkv", frames=24, sound=("flac",))


@pytest.fixture(scope="module")
def verify_output():
    """The script that users run on their results."""
    path = Path(__file__).parents[1] / "scripts" / "verify_output.py"
    spec = importlib.util.spec_from_file_location("verify_output", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_output"] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["verify_output"]


# -- the same film -------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["mkv", "mp4"])
@pytest.mark.parametrize(
    ("pts", "time_base"),
    [
        (range(24), Fraction(1, 25)),
        ([7 + 3 * p + p % 2 for p in range(24)], Fraction(1001, 30000)),
        ([90 * p + (5000 if p > 10 else 0) for p in range(24)], Fraction(1, 1000)),
    ],
)
def test_lossless_film_is_that_of_one_go(tmp_path, pts, time_base, extension) -> None:
    """Frames and times, also where they have gaps, vary, or do not begin at 0."""
    film = make_video(tmp_path / "a.mp4", codec="libx264", pts=pts, time_base=time_base, frames=24)
    shots = cut_at(film, 5, 6, 7, 16)
    config = replace(FFV1, output=OutputConfig("ffv1", pix_fmt="yuv444p10le"))
    done = render(film, tmp_path / f"b.{extension}", shots, config=config)
    expected = decoded(plain(film, tmp_path / f"c.{extension}", shots, config))
    assert decoded(tmp_path / f"b.{extension}") == expected
    source = read_luma(film.path)[1]
    assert [t for t, _ in expected] == pytest.approx(source, abs=0.001)  # both round once
    assert (done.made, done.found, done.frames) == ((0, 1, 2, 3, 4), (), 24)


@pytest.mark.parametrize(("codec", "extension"), CONTAINERS)
def test_codecs_and_containers(tmp_path, verify_output, codec, extension) -> None:
    """Every frame once, at its time; each segment decodes as it does alone; dts rise."""
    pts = [40 * p for p in VFR]
    film = make_video(
        tmp_path / "a.mkv", pts=pts, time_base=Fraction(1, 1000), aspect=Fraction(4, 3)
    )
    shots = cut_at(film, 1, 2, 9)
    config = replace(FFV1, output=OutputConfig(codec))
    output = tmp_path / f"b{extension}"
    render(film, output, shots, config=config, prune=False)
    whole = decoded(output)
    assert [t for t, _ in whole] == film.times
    with VideoReader(film.path) as reader:
        info = reader.info
    alone = []
    for n, key in enumerate(keys_of(shots)):
        piece = tmp_path / f"{n}{extension}"
        store = SegmentStore(parts_folder(output), piece, info, config.output)
        store.join([key], None)
        alone += decoded(piece)
    assert alone == whole
    packets = picture_packets(output)
    stamps = [dts for _, dts, _, _ in packets if dts is not None]
    assert stamps == sorted(set(stamps))
    assert all(dts is None or dts <= pts for pts, dts, _, _ in packets)
    starts = {film.times[shot.start] for shot in shots}
    assert starts <= {pts for pts, _, key_frame, _ in packets if key_frame}
    found = {f.what: f.state for f in verify_output.verify(film.path, output)}
    assert "BAD" not in found.values()


@pytest.mark.parametrize("extension", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_b_frames_are_sought_and_decoded_over_joins(tmp_path, codec, extension) -> None:
    film = make_video(tmp_path / "a.mkv", frames=60, size=(96, 128))
    shots = cut_at(film, 13, 14, 37)
    output = tmp_path / f"b.{extension}"
    config = replace(FFV1, output=OutputConfig(codec, preset="medium"))
    render(film, output, shots, config=config)
    packets = picture_packets(output)
    order = [pts for pts, _, _, _ in packets]
    assert order != sorted(order)  # there are B-frames
    stamps = [dts for _, dts, _, _ in packets if dts is not None]
    assert stamps == sorted(set(stamps))
    whole = decoded(output)
    assert [t for t, _ in whole] == film.times
    with av.open(str(output)) as container:
        stream = main_picture(container)
        unit = Fraction(stream.time_base)
        for number in (0, 5, 13, 14, 30, 37, 59):
            container.seek(round(film.times[number] / unit), stream=stream)
            for frame in container.decode(stream):
                if frame.pts * unit == film.times[number]:
                    assert digest(frame) == whole[number][1]
                    break
            else:
                pytest.fail(f"frame {number} is not found by seeking")
        container.seek(round(film.times[37] / unit), stream=stream)
        first = next(container.decode(stream))
        assert first.pts * unit == film.times[37]
        assert first.key_frame


def test_everything_else_of_the_film_passes(tmp_path, verify_output) -> None:
    film = make_video(
        tmp_path / "a.mkv",
        frames=30,
        sound=("flac", "aac"),
        subtitles="subrip",
        attachment=True,
        chapters=True,
        cover=True,
        metadata={"title": "The film", "studio": "Ours"},
        stream_metadata={"title": "Picture", "language": "jpn"},
        rotation=90,
        aspect=Fraction(16, 15),
    )
    shots = cut_at(film, 10, 20)
    for extension in ("mkv", "mp4", "mov"):
        config = replace(FFV1, output=OutputConfig("h264"))
        output = tmp_path / f"b.{extension}"
        render(film, output, shots, config=config)
        again = plain(film, tmp_path / f"c.{extension}", shots, config)
        assert read_packets(output) == read_packets(again)
        findings = verify_output.verify(film.path, output)
        assert [f for f in findings if f.state == "BAD"] == []
        assert {f.what for f in findings} >= {"chapters", "metadata", "rotation", "pixel aspect"}


# -- what is made again, and what is not ---------------------------------------------------------


def test_only_the_changed_shot_is_made_again(film, tmp_path) -> None:
    shots = cut_at(film, 5, 9, 10, 18)
    output, told, seen = tmp_path / "b.mkv", [], []
    render(film, output, shots)
    before, first = identities(parts_folder(output)), decoded(output)

    def red(frames, run):
        seen.extend(shot.shot for shot in run)
        for colored in color(frames, run):
            ab = torch.full_like(colored.chroma.ab, 30.0)
            yield replace(colored, chroma=replace(colored.chroma, ab=ab))

    config = replace(FFV1, output=replace(FFV1.output, overwrite=True))
    keys = keys_of(shots, shot1="b", shot4="b")
    done = render(film, output, shots, keys, config, red, progress=told.append, prune=False)
    assert (done.made, done.found, seen) == ((1, 4), (0, 2, 3), [1, 4])
    assert sum(told) == 24
    assert told[0] == 5 + 1 + 8
    after = identities(parts_folder(output))
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"1-b.segment", "4-b.segment"}
    same = [a == b for a, b in zip(first, decoded(output), strict=True)]
    assert same == [not (5 <= n < 9 or n >= 18) for n in range(24)]
    render(film, output, shots, config=config, color=None)  # nothing is left to color
    assert decoded(output) == first
    assert sorted(identities(parts_folder(output))) == [f"{k}.segment" for k in keys_of(shots)]


def test_shots_made_in_any_company_are_the_same(film, tmp_path) -> None:
    """Numbers, batches and held frames of a run of some shots are those of the whole film."""
    shots = cut_at(film, 4, 11, 13)
    seen: dict[int, list[tuple]] = {}

    def watch(frames, run):
        for colored in color(frames, run):
            f = colored.frames
            luma = hashlib.sha256(f.luma.numpy().tobytes()).hexdigest()
            seen.setdefault(f.shot, []).append(
                (f.index, f.start, f.pts, f.is_held().tolist(), luma)
            )
            yield colored

    config = replace(FFV1, input=InputConfig(batch_size=3))
    render(film, tmp_path / "b.mkv", shots, config=config, color=watch)
    whole, wanted = dict(seen), decoded(tmp_path / "b.mkv")
    for number in range(4):
        seen.clear()
        config = replace(config, output=replace(config.output, overwrite=True))
        keys = keys_of(shots, **{f"shot{number}": "c"})
        done = render(film, tmp_path / "b.mkv", shots, keys, config, watch, prune=False)
        assert done.made == (number,)
        assert seen == {number: whole[number]}
        assert decoded(tmp_path / "b.mkv") == wanted


def test_other_settings_of_the_encoder_are_another_segment(film, tmp_path) -> None:
    shots = cut_at(film, 12)
    config = replace(FFV1, output=OutputConfig("h264", overwrite=True))
    output = tmp_path / "b.mkv"
    assert render(film, output, shots, config=config).made == (0, 1)
    assert render(film, output, shots, config=config).made == ()
    finer = replace(config, output=replace(config.output, crf=9))
    assert render(film, output, shots, config=finer).made == (0, 1)
    painted = replace(finer, compose=dataclasses.replace(finer.compose, bright_start=0.9))
    assert render(film, output, shots, config=painted).made == (0, 1)
    again = replace(painted, output=replace(painted.output, keep_partial=True))
    assert render(film, output, shots, config=again).made == ()


def test_a_moved_cut_is_seen_even_if_the_keys_are_old(film, tmp_path) -> None:
    config = replace(FFV1, output=replace(FFV1.output, overwrite=True))
    render(film, tmp_path / "b.mkv", cut_at(film, 6, 12), config=config)
    for starts, made in (((7, 12), (0, 1)), ((7, 15), (1, 2))):
        shots = cut_at(film, *starts)
        assert render(film, tmp_path / "b.mkv", shots, config=config).made == made
        assert decoded(tmp_path / "b.mkv") == decoded(
            plain(film, tmp_path / "c.mkv", shots, config)
        )


def test_key_knows_the_film_the_frames_and_the_settings(film, tmp_path) -> None:
    shot = Shot(3, 10, 19, pts=400)
    mark = film_mark(film.path)
    assert mark == hashlib.sha256(film.path.read_bytes()).hexdigest()
    key = shot_key(mark, shot, {"tau": 1.0, "grade": {"a": 1, "b": 2}})
    assert shot_key(mark, replace(shot, shot=4), {"grade": {"b": 2, "a": 1}, "tau": 1.0}) == key
    others = [
        shot_key("other", shot, {"tau": 1.0, "grade": {"a": 1, "b": 2}}),
        shot_key(mark, replace(shot, end=20), {"tau": 1.0, "grade": {"a": 1, "b": 2}}),
        shot_key(mark, replace(shot, pts=401), {"tau": 1.0, "grade": {"a": 1, "b": 2}}),
        shot_key(mark, shot, {"tau": 1.0, "grade": {"a": 1, "b": 3}}),
    ]
    assert len({key, *others}) == 5


# -- failures ------------------------------------------------------------------------------------


def test_interrupted_work_goes_on_where_it_was(film, tmp_path) -> None:
    shots = cut_at(film, 6, 12, 18)
    output = tmp_path / "b.mkv"

    def stops(frames, run):
        for colored in color(frames, run):
            if colored.frames.index >= 15:
                _wait_for(parts_folder(output) / "0-a.segment")  # the encoder has its own pace
                raise KeyboardInterrupt
            yield colored

    others = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        render(film, output, shots, color=stops)
    assert not output.exists()
    names = sorted(p.name for p in parts_folder(output).iterdir())
    assert set(names) <= {"0-a.segment", "1-a.segment"}
    assert "0-a.segment" in names
    ours = [t for t in threading.enumerate() if t not in others]
    assert not [t for t in ours if t.name.startswith("vidcolor-")]
    before = identities(parts_folder(output))
    done = render(film, output, shots)
    assert done.found == tuple(range(len(names)))
    assert before.items() <= identities(parts_folder(output)).items()
    assert decoded(output) == decoded(plain(film, tmp_path / "c.mkv", shots))


def _wait_for(path: Path) -> None:
    for _ in range(200):
        if path.exists():
            return
        time.sleep(0.1)


def _slow(frames, shots):
    for colored in color(frames, shots):
        if colored.frames.shot == 2 and colored.frames.start > 0:
            time.sleep(60)
        yield colored


def _render_slowly(source: Path, output: Path, shots: list[Shot]) -> None:
    render_shots(source, output, FFV1, shots, keys_of(shots), _slow)


def test_killed_in_the_middle(film, tmp_path) -> None:
    shots = cut_at(film, 6, 12)
    output = tmp_path / "b.mkv"
    process = fresh_processes().Process(target=_render_slowly, args=(film.path, output, shots))
    process.start()
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        folder = parts_folder(output)
        left = [p for p in folder.glob(".2-a.partial-*")] if folder.exists() else []
        if left:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not output.exists()
    assert {p.name for p in parts_folder(output).iterdir()} == {
        "0-a.segment",
        "1-a.segment",
        left[0].name,
    }
    done = render(film, output, shots)
    assert (done.made, done.found) == ((2,), (0, 1))
    assert decoded(output) == decoded(plain(film, tmp_path / "c.mkv", shots))
    assert sorted(p.name for p in parts_folder(output).iterdir()) == [
        f"{key}.segment" for key in keys_of(shots)
    ]


@pytest.mark.parametrize(
    "change", ["begin", "middle", "end", "short", "long", "empty", "other key"]
)
def test_a_damaged_segment_is_made_again(film, tmp_path, change) -> None:
    shots = cut_at(film, 6, 12)
    output = tmp_path / "b.mkv"
    render(film, output, shots)
    wanted = decoded(output)
    path = parts_folder(output) / "1-a.segment"
    data = bytearray(path.read_bytes())
    place = {"begin": 3, "middle": len(data) // 2, "end": len(data) - 3}.get(change)
    if place is not None:
        data[place] ^= 0x40
    elif change == "other key":
        data = bytearray((parts_folder(output) / "0-a.segment").read_bytes())
    else:
        data = {"short": data[:-40], "long": data + b"\0", "empty": bytearray()}[change]
    path.write_bytes(data)
    config = replace(FFV1, output=replace(FFV1.output, overwrite=True))
    done = render(film, output, shots, config=config)
    assert (done.made, done.found) == ((1,), (0, 2))
    assert decoded(output) == wanted


def test_list_of_another_film(film, tmp_path) -> None:
    output = tmp_path / "b.mkv"
    shots = cut_at(film, 6, 12)
    for wrong, message in [
        ([*shots[:2], replace(shots[2], end=19)], "ends at frame 19, the film goes on"),
        ([*shots[:2], replace(shots[2], end=29)], "should have 18 frames, but has only 12"),
        ([shots[0], replace(shots[1], pts=99), shots[2]], "frame 6 has pts 240, but 99"),
        ([shots[0], shots[2]], "it must be shot 1 and start at frame 6"),
        ([], "is empty"),
    ]:
        with pytest.raises((GuidanceError, MediaError), match=message) as caught:
            render(film, output, wrong)
        assert "\n" not in str(caught.value)
        assert not output.exists()


def test_refused_before_any_work(film, tmp_path) -> None:
    shots = cut_at(film, 6)
    output = tmp_path / "b.mkv"
    output.write_text("precious")
    with pytest.raises(MediaError, match="exists; use --overwrite"):
        render(film, output, shots, color=None)
    with pytest.raises(MediaError, match="is the input itself"):
        render(film, film.path, shots, color=None)
    with pytest.raises(ConfigError, match="whole film"):
        render(film, tmp_path / "c.mkv", shots, config=Config(input=InputConfig(start=0.2)))
    with pytest.raises(MediaError, match="mov cannot hold ffv1"):
        render(film, tmp_path / "c.mov", shots, color=None)
    (tmp_path / "d.mkv.parts").write_text("precious")
    with pytest.raises(MediaError, match="is no folder"):
        render(film, tmp_path / "d.mkv", shots, color=None)
    with pytest.raises(ValueError, match="different keys"):
        render(film, tmp_path / "c.mkv", shots, ["same", "same"])
    with pytest.raises(ValueError, match="a key is"):
        render(film, tmp_path / "c.mkv", shots, ["../../a", "b"])
    assert {p.name for p in tmp_path.iterdir()} == {"source.mkv", "b.mkv", "d.mkv.parts"}
    assert read_luma(film.path)[1] == film.times
