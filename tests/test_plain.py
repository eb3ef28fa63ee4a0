"""A film colored in spans: broken off anywhere, taken up again, the same to the last bit."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from media import cut_off, read_luma, read_packets, texture, write_gray

from vidcolor import marks, plain
from vidcolor.api import make_config
from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io import segment_writer, target
from vidcolor.io.segment_file import read_segment
from vidcolor.io.segments import parts_folder
from vidcolor.io.video import VideoReader
from vidcolor.plain import PlainFilm
from vidcolor.schema import load, merge, to_dict

SIZE = (48, 80)
LENGTHS = (9, 7, 12, 8, 10, 8)  # frames of the shots
STARTS = tuple(np.cumsum((0, *LENGTHS)).tolist())
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "detect": {"detector": "motion"},
    "input": {"batch_size": 4},
    "output": {"codec": "ffv1"},
}
LEAST = 12  # frames of a span, so that these shots make up several


SEEDS = (10, 26, 36, 16, 8, 0)  # of pictures that differ enough for a cut


def _lumas():
    for seed, length in zip(SEEDS, LENGTHS, strict=True):
        wide = texture(seed, 30, 220, 9.0, (SIZE[0], SIZE[1] + 20))
        for number in range(length):
            yield wide[:, number : number + SIZE[1]].astype(np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_gray(path, list(_lumas()), sound=True)


@pytest.fixture(autouse=True)
def _short_spans(monkeypatch):
    monkeypatch.setattr(plain, "_LEAST_FRAMES", LEAST)


def film_of(source, **tables):
    return PlainFilm(source, load(Config, merge(SETTINGS, tables), "test"))


def look(path):
    """pts and planes of all frames, and packets of the sound."""
    with av.open(str(path)) as film:
        frames = [
            (frame.pts, [bytes(plane) for plane in frame.planes]) for frame in film.decode(video=0)
        ]
    packets = read_packets(path)
    return frames, [packets[number] for number in sorted(packets) if number]


@pytest.fixture(scope="module")
def whole(source):
    path = source.with_name("whole.mkv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_LEAST_FRAMES", LEAST)
        assert film_of(source).render(path) == sum(LENGTHS)
    return path


class _Stop(Exception):
    pass


def _stop_after(frames):
    left = [frames]

    def count(number):
        left[0] -= number
        if left[0] < 0:
            raise _Stop

    return count


def test_the_work_folder_is_gone_when_all_is_done(whole):
    assert [path.name for path in whole.parent.iterdir() if "whole" in path.name] == ["whole.mkv"]


def test_spans_are_whole_shots_of_some_length(source, tmp_path):
    spans = list(film_of(source).spans(tmp_path / "a.mkv"))
    assert [span.starts for span in spans] == [STARTS[0:2], STARTS[2:3], STARTS[3:5], STARTS[5:6]]
    assert [span.shot for span in spans] == [0, 2, 3, 5]
    assert [span.frames for span in spans] == [16, 12, 18, 8]
    assert [span.following for span in spans[:-1]] == [span.pts for span in spans[1:]]
    assert spans[-1].following is None
    assert len({span.key for span in spans}) == 4


@pytest.mark.parametrize("after", [3, 17, 29, 47, 51])
def test_whoever_breaks_off_goes_on_where_it_was(source, whole, tmp_path, after):
    output = tmp_path / "a.mkv"
    with pytest.raises(_Stop):
        film_of(source).render(output, _stop_after(after))
    assert not output.exists()
    kept = sorted(path.name for path in parts_folder(output).glob("run-*"))
    # the encoder is at most two batches and the one in its hands behind
    done = [span.index + span.frames for span in film_of(source).spans(output)]
    assert len(kept) >= sum(end <= after - 4 * 4 for end in done)
    times = {path: path.stat().st_mtime_ns for path in parts_folder(output).glob("run-*")}
    colored = []
    assert film_of(source).render(output, colored.append) == sum(LENGTHS)
    assert sum(colored) == sum(LENGTHS)
    assert not parts_folder(output).exists()
    assert look(output) == look(whole)
    assert len(times) == len(kept)


def test_what_is_finished_is_not_colored_again(source, whole, tmp_path, monkeypatch):
    output = tmp_path / "a.mkv"
    with monkeypatch.context() as patch:
        patch.setattr(PlainFilm, "_span", _never)  # all is colored, the end is not reached
        with pytest.raises(_Stop):
            film_of(source).render(output)
    film = film_of(source)
    monkeypatch.setattr(film, "_color_part", _never)
    assert film.render(output) == sum(LENGTHS)
    assert look(output) == look(whole)


def _never(*words):
    raise _Stop


def test_a_span_that_is_lost_in_the_middle_is_made_alone(source, whole, tmp_path, monkeypatch):
    output = tmp_path / "a.mkv"
    with monkeypatch.context() as patch:
        patch.setattr(PlainFilm, "_span", _never)
        with pytest.raises(_Stop):
            film_of(source).render(output)
    film = film_of(source)
    lost = list(film.spans(output))[1]
    film.segment(output, lost).unlink()
    reads = []
    monkeypatch.setattr(
        plain, "FilmPart", lambda *words, **keys: reads.append(words[0]) or _part(*words, **keys)
    )
    assert film.render(output) == sum(LENGTHS)
    assert reads == [lost.index]
    assert look(output) == look(whole)


_part = plain.FilmPart


def test_a_span_alone_is_that_of_the_whole_film(source, whole, tmp_path):
    film, output = film_of(source), tmp_path / "a.mkv"
    spans = list(film.spans(output))
    for span in reversed(spans):
        assert not film.has(output, span)
        told = []
        film.color_span(output, span, told.append)
        assert sum(told) == span.frames
        assert film.has(output, span)
    assert film.join(output, spans) == sum(LENGTHS)
    assert look(output) == look(whole)


def test_spans_made_elsewhere_are_taken(source, whole, tmp_path, monkeypatch):
    film, output = film_of(source), tmp_path / "a.mkv"
    for span in film.spans(output):
        film.color_span(output, span)
    monkeypatch.setattr(PlainFilm, "_color_part", _never)
    assert film_of(source).render(output) == sum(LENGTHS)
    assert look(output) == look(whole)


def test_a_part_of_a_film_is_taken_up_again(source, tmp_path):
    part = {"input": {"start": 0.5, "duration": 1.2}}
    one, other = tmp_path / "one.mkv", tmp_path / "other.mkv"
    frames = film_of(source, **part).render(one)
    assert frames == 30
    with pytest.raises(_Stop):
        film_of(source, **part).render(other, _stop_after(25))
    assert film_of(source, **part).render(other) == 30
    assert look(one) == look(other)
    with av.open(str(one)) as film:
        assert (
            next(film.decode(video=0)).pts == 20
        )  # the first frame from 0.5 s on is that of 0.52 s


def test_batches_and_readers_change_nothing(source, whole, tmp_path):
    """Spans start a new reader; the batches of a shot lie the same way all the same."""
    output = tmp_path / "a.mkv"
    for after in (20, 20, 10):
        with pytest.raises(_Stop):
            film_of(source).render(output, _stop_after(after))
    film_of(source).render(output)
    assert look(output) == look(whole)


@pytest.mark.parametrize(
    "change",
    [
        {"stabilize": {"tau": 7.0}},
        {"colorize": {"short_side": 80}},
        {"input": {"batch_size": 3}},
        {"grade": {"saturation": 0.5}},
        {"cut": {"threshold": 0.31}},
    ],
)
def test_other_settings_are_another_film(source, tmp_path, change):
    output = tmp_path / "a.mkv"
    one = [span.key for span in film_of(source).spans(output)]
    other = [span.key for span in film_of(source, **change).spans(output)]
    assert not set(one) & set(other)


def test_another_film_of_the_same_name_is_another_film(source, tmp_path):
    copy = tmp_path / "film.mkv"
    copy.write_bytes(source.read_bytes())
    one = [span.key for span in film_of(copy).spans(tmp_path / "a.mkv")]
    assert one == [span.key for span in film_of(source).spans(tmp_path / "a.mkv")]
    write_gray(copy, [luma + 1 for luma in _lumas()], sound=True)
    assert not set(one) & {span.key for span in film_of(copy).spans(tmp_path / "a.mkv")}


def test_other_code_makes_another_film(source, tmp_path, monkeypatch):
    one = next(film_of(source).spans(tmp_path / "a.mkv")).key
    monkeypatch.setattr(marks, "code_mark", lambda: "of tomorrow")
    assert next(film_of(source).spans(tmp_path / "a.mkv")).key != one


def test_fresh_forgets(source, whole, tmp_path):
    film, output = film_of(source), tmp_path / "a.mkv"
    for span in film.spans(output):
        film.color_span(output, span)
    first = parts_folder(output) / "notes.txt"
    first.write_text("mine")
    told = []
    film.render(output, told.append, fresh=True)
    assert max(told) <= SETTINGS["input"]["batch_size"]  # batch by batch, nothing at once
    assert look(output) == look(whole)
    assert list(parts_folder(output).iterdir()) == [first]  # what is not ours stays


def test_two_do_not_make_one_film(source, tmp_path):
    output, errors = tmp_path / "a.mkv", []
    inside, done = threading.Event(), threading.Event()

    def wait(count):
        inside.set()
        done.wait(20)

    def other():
        inside.wait(20)
        try:
            film_of(source).render(output)
        except MediaError as error:
            errors.append(str(error))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    film_of(source).render(output, wait)
    thread.join()
    assert errors == [
        f"{output}: another vidcolor is making it; wait for it, or give the output another name"
    ]
    assert output.exists()


def test_a_damaged_segment_is_made_again(source, whole, tmp_path, caplog):
    film, output = film_of(source), tmp_path / "a.mkv"
    spans = list(film.spans(output))
    for span in spans:
        film.color_span(output, span)
    path = film.segment(output, spans[1])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with caplog.at_level("WARNING", logger="vidcolor"):
        assert film.render(output) == sum(LENGTHS)
    assert "is damaged and was removed" in caplog.text
    assert look(output) == look(whole)


def test_a_segment_that_breaks_off_counts_for_nothing(source, whole, tmp_path):
    film, output = film_of(source), tmp_path / "a.mkv"
    for span in film.spans(output):
        film.color_span(output, span)
        path = film.segment(output, span)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        assert not film.has(output, span)
    assert film.render(output) == sum(LENGTHS)
    assert look(output) == look(whole)


def test_names_come_after_their_contents(source, tmp_path, monkeypatch):
    """A file has its name only once it is on the disk, and so has the name, before all goes on."""
    story = []
    real = os.fsync, Path.replace, os.link, Path.rename

    def named(handle):
        return Path(f"/proc/self/fd/{handle}").readlink().name

    def fsync(handle):
        story.append(("flush", named(handle)))
        real[0](handle)

    def replace_(path, to):
        story.append(("name", path.name, Path(to).name))
        return real[1](path, to)

    def link(path, to):
        story.append(("name", Path(path).name, Path(to).name))
        return real[2](path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace_)
    monkeypatch.setattr(os, "link", link)
    output = tmp_path / "a.mkv"
    film_of(source).render(output)
    names = [step for step in story if step[0] == "name"]
    assert len(names) == 5  # four spans and the film
    for step in names:
        at = story.index(step)
        folder = tmp_path.name if step[2] == "a.mkv" else "a.mkv.parts"
        assert ("flush", step[1]) in story[:at]
        assert story[at + 1] == ("flush", folder)
    assert story[0] == ("flush", tmp_path.name)  # the name of the work folder itself


def test_a_full_disk_costs_the_last_span_only(source, whole, tmp_path, monkeypatch):
    output, real = tmp_path / "a.mkv", target.flush

    def full(path):
        if len(list(parts_folder(output).glob("run-*"))) == 2 and path.is_file():
            raise OSError(28, os.strerror(28))
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(target, "flush", full)
        with pytest.raises(MediaError, match="no space left"):
            film_of(source).render(output)
    assert len(list(parts_folder(output).iterdir())) == 2
    assert film_of(source).render(output) == sum(LENGTHS)
    assert look(output) == look(whole)


def test_an_encoder_that_fails_leaves_what_was_finished(source, whole, tmp_path, monkeypatch):
    output, real = tmp_path / "a.mkv", segment_writer._OpenSegment.encode
    count = [0]

    def encode(self, colored, number):
        count[0] += 1
        if count[0] > 20:
            raise ValueError("worn out")
        real(self, colored, number)

    with monkeypatch.context() as patch:
        patch.setattr(segment_writer._OpenSegment, "encode", encode)
        with pytest.raises(MediaError, match="worn out"):
            film_of(source).render(output)
    assert len(list(parts_folder(output).iterdir())) == 1
    film_of(source).render(output)
    assert look(output) == look(whole)


def test_of_a_damaged_film_what_is_finished_waits(source, tmp_path, caplog):
    broken, output = tmp_path / "film.mkv", tmp_path / "a.mkv"
    broken.write_bytes(source.read_bytes())
    cut_off(broken, 0.85)
    with pytest.raises(MediaError, match="damaged or cut off"):
        film_of(broken).render(output)
    waiting = sum(1 for _ in parts_folder(output).glob("run-*"))
    readable = _frames_of(broken)
    assert waiting == sum(start < readable for start in (16, 28, 46)) > 0
    with (
        caplog.at_level("INFO", logger="vidcolor"),
        pytest.raises(MediaError, match="damaged or cut off"),
    ):
        film_of(broken, output={"codec": "ffv1", "keep_partial": True}).render(output)
    assert "what is finished is taken" in caplog.text
    assert not output.exists()
    kept, _ = look(tmp_path / "a.partial.mkv")
    assert len(kept) == readable
    assert sum(1 for _ in parts_folder(output).glob("run-*")) == waiting


def _frames_of(path):
    """How many can be read."""
    count = 0
    with VideoReader(path) as reader:
        try:
            for batch in reader:
                count += len(batch)
        except MediaError:
            return count
    raise AssertionError("it is not damaged")


def test_objects_remembered_across_shots_make_one_piece(source, tmp_path):
    film, output = film_of(source, remember={"across_shots": True}), tmp_path / "a.mkv"
    with pytest.raises(ConfigError, match="vidcolor tracks"):
        list(film.spans(output))
    with pytest.raises(_Stop):
        film.render(output, _stop_after(40))
    assert not parts_folder(output).exists()
    assert film.render(output) == sum(LENGTHS)


def test_guidance_of_a_plain_film_needs_all_of_it(source, tmp_path):
    (tmp_path / "hints.json").write_text(
        '{"version": 1, "hints": [{"frame": 3, "points": [40, 20], '
        '"track": "none", "color": "#3050d0"}]}'
    )
    tables = {"guidance": {"hints": str(tmp_path / "hints.json")}}
    film, output = film_of(source, **tables), tmp_path / "a.mkv"
    with pytest.raises(ConfigError, match="vidcolor plan"):
        list(film.spans(output))
    assert film.render(tmp_path / "one.mkv") == sum(LENGTHS)
    with pytest.raises(_Stop):
        film.render(output, _stop_after(sum(LENGTHS) * film.passes + 30))
    assert film.render(output) == sum(LENGTHS)
    assert look(output) == look(tmp_path / "one.mkv")


def test_h264_is_joined_as_it_was_encoded(source, tmp_path):
    film, output = film_of(source, output={"codec": "h264"}), tmp_path / "a.mp4"
    spans = list(film.spans(output))
    for span in spans:
        film.color_span(output, span)
    film.join(output, spans)
    with av.open(str(output)) as result:
        packets = [packet for packet in result.demux(video=0) if packet.size]
    dts = [packet.dts for packet in packets]
    assert dts == sorted(set(dts))
    assert all(packet.pts >= packet.dts for packet in packets)
    keys = {packet.pts * packet.time_base for packet in packets if packet.is_keyframe}
    assert {span.index / 25 for span in spans} <= {float(key) for key in keys}
    assert len(packets) == sum(LENGTHS)


def test_the_config_of_python_knows_fresh(source, whole, tmp_path):
    from vidcolor import colorize_video

    config = make_config(load(Config, SETTINGS, "test"))
    assert to_dict(config) == to_dict(replace(config))
    assert colorize_video(source, tmp_path / "a.mkv", config=config, fresh=True) == sum(LENGTHS)
    assert look(tmp_path / "a.mkv") == look(whole)


def test_a_card_that_lies_about_what_follows_is_not_believed(source, whole, tmp_path):
    """A bit turned over there would send the film to a place that is none."""
    film, output = film_of(source), tmp_path / "a.mkv"
    spans = list(film.spans(output))
    for span in spans:
        film.color_span(output, span)
    path = film.segment(output, spans[1])
    data = bytearray(path.read_bytes())
    data[data.index(b",", data.rindex(b'"following": ')) - 1] ^= 1
    path.write_bytes(data)
    assert film.render(output) == sum(LENGTHS)
    assert look(output) == look(whole)


def test_what_a_killed_process_left_beside_the_film_goes(source, tmp_path):
    output = tmp_path / "a.mkv"
    left = [tmp_path / f".a.partial-0123456{n}.mkv" for n in range(2)]
    for path in left:
        path.write_bytes(b"half a film")
    other = tmp_path / ".b.partial-01234567.mkv"  # somebody may be writing it
    other.touch()
    film_of(source).render(output)
    assert sorted(tmp_path.iterdir()) == [other, output]


class SlowHash:
    """In place of `marks._hash`: takes as long as a test wants, and says what it saw."""

    def __init__(self, monkeypatch, meanwhile=lambda: None):
        self.real, self.meanwhile = marks._hash.__wrapped__, meanwhile
        self.packet, self.saw = threading.Event(), []
        monkeypatch.setattr(marks, "_hash", self)
        write = segment_writer.SegmentFile.write

        def told(file, *packet):
            write(file, *packet)
            self.packet.set()

        monkeypatch.setattr(segment_writer.SegmentFile, "write", told)

    def __call__(self, film):
        self.saw.append(self.packet.wait(30))
        self.meanwhile()
        return self.real(film)


def _marking_threads():
    return [thread for thread in threading.enumerate() if thread.name == "vidcolor-mark"]


def test_the_first_segment_begins_before_the_film_is_hashed(source, whole, tmp_path, monkeypatch):
    output = tmp_path / "a.mkv"
    slow = SlowHash(monkeypatch)
    assert film_of(source).render(output) == sum(LENGTHS)
    assert slow.saw == [True]
    assert look(output) == look(whole)
    assert not parts_folder(output).exists()
    assert not _marking_threads()


def test_segments_that_were_begun_without_a_name_get_the_one_they_should_have(
    source, tmp_path, monkeypatch
):
    output = tmp_path / "a.mkv"
    SlowHash(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(PlainFilm, "_span", _never)  # all is colored, the end is not reached
        with pytest.raises(_Stop):
            film_of(source).render(output)
    spans = list(film_of(source).spans(output))
    found = {path.stem: read_segment(path) for path in parts_folder(output).iterdir()}
    assert sorted(found) == sorted(span.key for span in spans)
    for span in spans:
        card = found[span.key]
        assert (card.key, card.frames, card.following) == (span.key, span.frames, span.following)


def test_where_there_are_segments_the_film_is_hashed_first(source, whole, tmp_path, monkeypatch):
    output, order = tmp_path / "a.mkv", []
    with pytest.raises(_Stop):
        film_of(source).render(output, _stop_after(40))
    asked, mark, real = threading.Event(), marks.Marking.mark, marks._hash.__wrapped__

    def hash_when_asked(film):
        asked.wait(30)
        order.append("hash")
        return real(film)

    monkeypatch.setattr(marks, "_hash", hash_when_asked)
    monkeypatch.setattr(marks.Marking, "mark", lambda marking: (asked.set(), mark(marking))[1])
    film_of(source).render(output, order.append)
    assert order[0] == "hash"
    assert order.count("hash") == 1
    assert order[1] > SETTINGS["input"]["batch_size"]  # spans from before
    assert look(output) == look(whole)


def test_a_film_of_other_bytes_is_not_joined_with_what_there_was(source, tmp_path):
    output, copy = tmp_path / "a.mkv", tmp_path / "film.mkv"
    copy.write_bytes(source.read_bytes())
    with pytest.raises(_Stop):
        film_of(copy).render(output, _stop_after(40))
    before = {path.name for path in parts_folder(output).glob("run-*")}
    darker = [luma - 20 for luma in _lumas()]
    write_gray(copy, darker, sound=True)
    told = []
    film_of(copy).render(output, told.append)
    assert before
    assert max(told) <= SETTINGS["input"]["batch_size"]  # nothing was taken
    assert np.array_equal(read_luma(output)[0], np.stack(darker))


def test_a_film_that_changes_while_it_is_hashed_ends_the_run(source, tmp_path, monkeypatch):
    output, copy = tmp_path / "a.mkv", tmp_path / "film.mkv"
    copy.write_bytes(source.read_bytes())
    SlowHash(monkeypatch, lambda: copy.open("ab").write(b"\0"))
    with pytest.raises(MediaError, match=r"film\.mkv: changed while it was read; run again"):
        film_of(copy).render(output)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]


def test_whoever_stops_does_not_wait_for_the_hash(source, tmp_path, monkeypatch):
    output, stopped = tmp_path / "a.mkv", []

    def wait(film):
        stopped.append(film.pace.stop.wait(30))
        raise marks._Stopped

    monkeypatch.setattr(marks, "_hash", wait)
    with pytest.raises(_Stop):
        film_of(source).render(output, _stop_after(5))
    assert stopped == [True]
    assert not _marking_threads()
    assert not list(tmp_path.iterdir())


def test_of_a_film_that_was_begun_whoever_stops_does_not_wait_either(source, tmp_path, monkeypatch):
    output, stopped, asked = tmp_path / "a.mkv", [], []
    with pytest.raises(_Stop):
        film_of(source).render(output, _stop_after(40))
    kept = sorted(path.name for path in parts_folder(output).iterdir())

    def wait(film):
        stopped.append(film.pace.stop.wait(30))
        raise marks._Stopped

    def interrupt(marking):
        asked.append(marking)
        raise KeyboardInterrupt

    monkeypatch.setattr(marks, "_hash", wait)
    monkeypatch.setattr(marks.Marking, "mark", interrupt)
    with pytest.raises(KeyboardInterrupt):
        film_of(source).render(output)
    assert stopped == [True]
    assert len(asked) == 1  # and not again while it is said what is finished
    assert sorted(path.name for path in parts_folder(output).iterdir()) == kept


def test_a_film_that_cannot_be_hashed_is_told_with_the_next_batch(source, tmp_path, monkeypatch):
    told = []

    def fail(film):
        raise OSError(5, os.strerror(5))

    def wait(count):
        told.append(count)
        for thread in _marking_threads():
            thread.join(30)

    monkeypatch.setattr(plain, "_LEAST_FRAMES", sum(LENGTHS) + 1)  # all in one span
    monkeypatch.setattr(marks, "_hash", fail)
    with pytest.raises(MediaError, match=r"cannot be read \(input/output error\)"):
        film_of(source).render(tmp_path / "a.mkv", wait)
    assert len(told) == 1
    assert not list(tmp_path.iterdir())
