"""The soak would see what is lost: films are made as drawn, and each kind of harm is found."""

import dataclasses
import itertools
import random
import resource
import signal
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

COPIES = """
import sys, pathlib
import av
source, output = map(pathlib.Path, sys.argv[2:4])
lost = {lost} if output.name == "colored.mkv" else None
with av.open(str(source)) as old, av.open(str(output), "w") as new:
    stream = new.add_stream_from_template(old.streams.video[0])
    for number, packet in enumerate(old.demux(old.streams.video[0])):
        if packet.size and number != lost:
            packet.stream = stream
            new.mux(packet)
if {litter}:
    output.with_name(".colored.partial-12345678.mkv").write_bytes(b"x")
"""
"""A program that only copies; the film that is not named `whole` may lose a frame."""


@pytest.fixture(scope="module")
def soak(tool):
    sys.path.insert(0, str(SCRIPTS))
    yield tool("scripts/soak.py")
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def parts(soak):
    """Its modules."""
    from soaking import footage, harm, program, verdict

    return {"footage": footage, "harm": harm, "program": program, "verdict": verdict}


def _footage(parts, **changes):
    plain = parts["footage"].Footage(
        (7, 5), (36, 48), (40,), "gray", "ffv1", 0, ".mkv", False, False, 3
    )
    return dataclasses.replace(plain, **changes)


def _settings(parts, **changes):
    plain = parts["program"].Settings((), "ffv1", ".mkv", None, False, False)
    return dataclasses.replace(plain, **changes)


# -- makers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "bits"),
    [
        ({}, 8),
        ({"pix_fmt": "yuv420p10le", "size": (37, 51)}, 10),
        ({"codec": "libx264", "pix_fmt": "yuv420p", "b_frames": 3, "suffix": ".mp4"}, 8),
        ({"codec": "libx265", "pix_fmt": "yuv420p10le", "size": (64, 72)}, 10),
        ({"sound": True, "subtitles": True}, 8),
        ({"sound": True, "subtitles": True, "suffix": ".mp4", "codec": "libx264",
          "pix_fmt": "yuv420p"}, 8),
        ({"times": (8, 90, 33)}, 8),
        ({"shots": (1,)}, 8),
    ],
)  # fmt: skip
def test_films_are_made_as_drawn(parts, tmp_path, changes, bits):
    footage = _footage(parts, **changes)
    path = tmp_path / f"film{footage.suffix}"
    parts["footage"].make_film(path, footage)
    count = sum(footage.shots)
    steps = [footage.times[n % len(footage.times)] for n in range(count - 1)]
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        kinds = Counter(other.type for other in film.streams)
        times = [frame.pts * Fraction(stream.time_base) for frame in frames]
        depth = frames[0].format.components[0].bits
    assert len(frames) == count
    assert (frames[0].height, frames[0].width, depth) == (*footage.size, bits)
    assert [b - a for a, b in itertools.pairwise(times)] == [Fraction(step, 1000) for step in steps]
    assert kinds["audio"] == footage.sound
    assert kinds["subtitle"] == footage.subtitles
    if footage.subtitles:
        packets = parts["verdict"].look(path).packets
        assert {kind for kind, _, _ in packets} == {"audio", "subtitle"}


def test_shots_have_pictures_of_their_own(parts, tmp_path):
    path = tmp_path / "film.mkv"
    parts["footage"].make_film(path, _footage(parts))
    with av.open(str(path)) as film:
        lumas = [frame.to_ndarray().astype(float) for frame in film.decode(video=0)]
    changes = [np.abs(b - a).mean() for a, b in itertools.pairwise(lumas)]
    assert np.argmax(changes) == 6
    assert min(changes) > 0  # and within them something moves


def test_what_is_drawn_goes_together(parts):
    films, lines = Counter(), Counter()
    for seed in range(400):
        rng = random.Random(seed)
        footage = parts["footage"].draw_footage(rng)
        settings = parts["program"].draw_settings(rng, footage)
        films[len(footage.shots) == 1, footage.frames < 6, footage.suffix] += 1
        lines[settings.codec] += 1
        lines["plan"] += settings.plan
        lines["span"] += settings.span is not None
        lines["restore"] += settings.restore
        odd = footage.size[0] % 2 or footage.size[1] % 2
        assert not odd or (footage.codec, settings.codec) == ("ffv1", "ffv1")
        assert settings.codec != "ffv1" or settings.suffix == ".mkv"
        assert not (settings.plan and settings.span)
        if settings.span is not None:
            step = [footage.times[n % len(footage.times)] for n in range(footage.frames)]
            assert sum(settings.span) <= sum(step) / 1000 + 0.02
    assert len(films) >= 5
    assert min(lines[name] for name in ("ffv1", "h264", "h265", "plan", "span", "restore")) > 10


# -- the verdict ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looks(parts, tmp_path_factory):
    """A film as source, as unbroken run, and as what was found: all the same."""
    path = tmp_path_factory.mktemp("look") / "film.mkv"
    footage = _footage(parts, sound=True, subtitles=True, shots=(40, 30))
    parts["footage"].make_film(path, footage)
    return parts["verdict"].look(path)


def _copy(look):
    fields = {f.name: getattr(look, f.name) for f in dataclasses.fields(look)}
    return type(look)(**{k: list(v) if isinstance(v, list) else v for k, v in fields.items()})


def _judge(parts, looks, found, **settings):
    said = _settings(parts, **settings)
    return parts["verdict"].judge(looks, looks, found, said, exact_times=False)


def test_nothing_is_wrong_with_the_same_film(parts, looks):
    verdict = _judge(parts, looks, _copy(looks))
    assert (verdict.wrong, verdict.lost) == ([], 0)


def test_a_lost_frame_is_found(parts, looks):
    found = _copy(looks)
    for part in (found.times, found.lumas, found.planes, found.small):
        del part[50]
    verdict = _judge(parts, looks, found)
    assert "69 frames, not 70" in verdict.wrong
    assert verdict.lost > 0


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("lumas", 1, "1 frames of another luma"),
        ("planes", 1, "1 frames differ from an unbroken run"),
        ("times", Fraction(1, 3), "1 frames at another time"),
    ],
)
def test_a_changed_frame_is_found(parts, looks, part, value, says):
    found = _copy(looks)
    getattr(found, part)[9] += value
    verdict = _judge(parts, looks, found)
    assert says in verdict.wrong
    assert verdict.lost == (part != "planes")


def test_other_sound_and_films_that_cannot_be_sought_are_found(parts, looks):
    found = _copy(looks)
    del found.packets[3]
    found.sought = False
    assert _judge(parts, looks, found).wrong == [
        "other packets of sound or subtitles than in an unbroken run",
        "seeking into the middle misses frames",
    ]


def test_of_a_lossy_film_pictures_in_another_order_are_found(parts, looks):
    found = _copy(looks)
    found.small[10], found.small[60] = found.small[60], found.small[10]
    found.lumas[5] += 1  # which a lossy encoder may do
    (wrong,) = _judge(parts, looks, found, codec="h264").wrong
    assert wrong.startswith("2 frames show something else")


@pytest.mark.parametrize(("off", "wrong"), [(0, False), (1, True)])
def test_a_part_must_be_the_right_one(parts, looks, off, wrong):
    found = _copy(looks)
    for part in (found.times, found.lumas, found.planes, found.small):
        part[:] = part[10 + off : 30 + off]
    found.times = [time - Fraction(10 * 40, 1000) for time in found.times]
    said = _settings(parts, span=(0.4, 0.8))
    verdict = parts["verdict"].judge(looks, found, found, said, exact_times=False)
    assert bool(verdict.wrong) is wrong


def test_seeking_is_tried(parts, tmp_path):
    path = tmp_path / "film.mkv"
    parts["footage"].make_film(path, _footage(parts, shots=(30,)))
    seen = parts["verdict"].look(path)
    assert seen.sought
    seen.times[20] += 1
    assert not parts["verdict"]._sought(path, seen)


def test_what_was_left_behind_is_found(parts, tmp_path):
    for name in ("film.mkv", "colored.mkv", ".colored.partial-0123abcd.mkv"):
        (tmp_path / name).touch()
    parts_folder = tmp_path / "colored.mkv.parts"
    parts_folder.mkdir()
    (parts_folder / ".k.partial-0123abcd.segment").touch()
    (parts_folder / "k.segment").touch()
    expected = {"film.mkv", "colored.mkv"}
    left = parts["verdict"].left_behind
    assert left(tmp_path, expected, plan=False) == [
        ".colored.partial-0123abcd.mkv",
        "colored.mkv.parts",
    ]
    assert left(tmp_path, expected, plan=True) == [
        ".colored.partial-0123abcd.mkv",
        ".k.partial-0123abcd.segment",
    ]


# -- harm ----------------------------------------------------------------------------------------


def test_a_power_cut_takes_only_what_was_not_finished(parts, tmp_path):
    output = tmp_path / "colored.mkv"
    folder = parts["program"].parts_of(output)
    folder.mkdir()
    whole = {folder / "a.segment": b"a" * 500, tmp_path / "film.mkv": b"f" * 500}
    loose = [folder / ".b.partial-00000000.segment", tmp_path / ".colored.partial-11111111.mkv"]
    ways = Counter()
    for seed in range(60):
        for path, data in whole.items():
            path.write_bytes(data)
        for path in loose:
            path.write_bytes(b"x" * 500)
        assert parts["harm"].lose_power(output, random.Random(seed)) == 2
        assert all(path.read_bytes() == data for path, data in whole.items())
        for path in loose:
            data = path.read_bytes() if path.exists() else None
            assert data != b"x" * 500
            ways["gone" if data is None else "zeros" if len(data) == 500 else "cut"] += 1
    assert len(ways) == 3


def test_one_bit_is_turned(parts, tmp_path):
    assert not parts["harm"].turn_a_bit(tmp_path, random.Random(0))
    (tmp_path / ".b.partial-00000000.segment").write_bytes(b"x")
    assert not parts["harm"].turn_a_bit(tmp_path, random.Random(0))
    (tmp_path / "a.segment").write_bytes(bytes(900))
    assert parts["harm"].turn_a_bit(tmp_path, random.Random(0))
    assert sum(byte.bit_count() for byte in (tmp_path / "a.segment").read_bytes()) == 1


def test_frames_of_an_unfinished_span_are_counted(parts, tmp_path):
    from vidcolor.io.segment_file import SegmentFile

    path = tmp_path / ".a.partial-00000000.segment"
    file = SegmentFile(path)
    for number in range(5):
        file.write(number, True, bytes(100))
    file.close()
    assert parts["harm"].frames_in(path) == 5
    path.write_bytes(path.read_bytes()[:-1])
    assert parts["harm"].frames_in(path) == 4


# -- processes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, 137), (signal.SIGTERM, 143), (None, 3)]
)
def test_processes_end_as_a_shell_says(parts, tmp_path, monkeypatch, number, code):
    program = parts["program"]
    wait = "import time, sys; print('vidcolor: 12 of about 50 frames, 3 a second', flush=True); "
    monkeypatch.setattr(program, "LAUNCH", wait + ("time.sleep(60)" if number else "sys.exit(3)"))
    log, began = tmp_path / "log.txt", time.monotonic()
    process = program.start([], log)

    def strike():
        if number is None or "50" not in log.read_text():
            return False
        process.send_signal(number)
        return True

    ended = program.end(process, log, began, strike)
    assert (ended.code, ended.struck, ended.done) == (code, number is not None, 12)
    # Linux counts what the parent had when the process was made
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 1 < ended.peak_mib <= max(1000, 1.01 * parent)


def test_files_can_be_kept_small(parts, tmp_path, monkeypatch):
    program, path = parts["program"], tmp_path / "a"
    limit = program.LAUNCH.replace("from vidcolor.cli import main", "").replace(
        "import vidcolor.cli.terminal as terminal", ""
    )
    limit = limit.replace("terminal._LOG_EVERY_S = 0.1", "").replace(
        "sys.exit(main())", f"open({str(path)!r}, 'wb', 0).write(bytes(5000))"
    )
    monkeypatch.setattr(program, "LAUNCH", limit)
    log = tmp_path / "log.txt"
    program.end(program.start([], log, 1000), log, time.monotonic())
    assert path.stat().st_size == 1000


# -- whole films ---------------------------------------------------------------------------------


def _soaked(soak, parts, monkeypatch, tmp_path, lost=None, litter=False):
    monkeypatch.setattr(parts["program"], "LAUNCH", COPIES.format(lost=lost, litter=litter))
    film = soak.Soaked(0, 8, tmp_path)
    film.footage, film.settings = _footage(parts, shots=(20, 20)), _settings(parts)
    film.source, film.output = film._work / "film.mkv", film._work / "colored.mkv"
    monkeypatch.setattr(film, "_break_off", lambda disk: None)
    return film.run()


def test_a_program_that_loses_nothing_passes(soak, parts, monkeypatch, tmp_path):
    result = _soaked(soak, parts, monkeypatch, tmp_path)
    assert result["wrong"] == []
    assert result["counts"]["frames"] == 40
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_loses_a_frame_is_found_out(soak, parts, monkeypatch, tmp_path):
    result = _soaked(soak, parts, monkeypatch, tmp_path, lost=13)
    assert "39 frames, not 40" in result["wrong"]
    assert result["counts"]["frames lost"] >= 1
    assert (tmp_path / "film-00000" / "work" / "colored.mkv").exists()  # to look at


def test_a_program_that_leaves_litter_is_found_out(soak, parts, monkeypatch, tmp_path):
    (wrong,) = _soaked(soak, parts, monkeypatch, tmp_path, litter=True)["wrong"]
    assert wrong == "left behind: .colored.partial-12345678.mkv"


def test_least_squares_by_hand(soak):
    assert soak.slope([(0, 1), (1, 3), (2, 5)]) == {"slope": 2.0, "standard_error": 0.0}
    found = soak.slope([(0, 0), (1, 2), (2, 1), (3, 3)])
    assert found["slope"] == 0.8
    assert found["standard_error"] == pytest.approx((1.8 / 2 / 5) ** 0.5, abs=1e-6)
    assert soak.slope([(1, 1), (1, 2), (1, 3)]) == {}


@pytest.mark.slow
def test_a_small_soak_of_the_program_itself(soak, tmp_path, capsys):
    report = tmp_path / "report.json"
    words = ["--films", "2", "--short", "300", "--at-once", "1", "--report", str(report)]
    code = soak.main(["--minutes", "3", "--seed", "3", "--folder", str(tmp_path / "s"), *words])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.count("as it should be") == 2
    first = report.read_text()
    soak.main(["--minutes", "3", "--seed", "3", "--folder", str(tmp_path / "s"), *words])
    assert report.read_text() == first  # what is done is not done again
