"""The driver's loop, with workers that die, dawdle and send rubbish."""

import itertools
import logging
import re

import pytest
from made_spans import FakeCrew, FakeFilm, spans, write_segment

from vidcolor.distributed.dispatch import Dispatch, Scan
from vidcolor.distributed.plan import Straggling
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.segment_file import read_packets

LENGTHS = (30, 200, 40, 10, 80)


@pytest.fixture
def film(tmp_path):
    return FakeFilm(tmp_path)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "film-color.mkv"


def _run(film, output, crew, found=None, **options):
    counts = []
    dispatch = Dispatch(film, output, crew, counts.append, clock=crew.clock, **options)
    dispatch.run(iter(spans(*LENGTHS) if found is None else found))
    return dispatch, counts


def _whole(film, output, lengths=LENGTHS):
    for span in spans(*lengths):
        times = [pts for pts, _, _ in read_packets(film.segment(output, span))]
        assert times == list(range(span.index, span.index + span.frames))


def test_all_spans_are_made_and_every_frame_counts_once(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 2)
    dispatch, counts = _run(film, output, crew)
    _whole(film, output)
    assert dispatch.spans == spans(*LENGTHS)
    assert sum(counts) == sum(LENGTHS)
    assert min(counts) == 0
    assert [key for _, key in crew.started] == ["key1", "key4", "key2", "key0", "key3"]
    assert crew.now == pytest.approx(200)  # the longest alone, all others beside it


def test_what_is_there_is_not_made_again(film, output, tmp_path):
    there = spans(*LENGTHS)[1]
    write_segment(film.segment(output, there), there)
    crew = FakeCrew(tmp_path / "work", 2)
    _, counts = _run(film, output, crew)
    assert "key1" not in [key for _, key in crew.started]
    assert counts[0] == 200
    assert sum(counts) == sum(LENGTHS)


def test_spans_are_given_out_before_all_are_known(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 1)
    first, second = spans(30, 40)
    seen = []

    def found():
        yield first
        while not crew.started:
            yield None
        seen.append(list(crew.started))
        yield second

    _run(film, output, crew, found())
    assert seen == [[(0, "key0")]]
    _whole(film, output, (30, 40))


def test_a_worker_that_dies_costs_its_span_and_no_frame(film, output, tmp_path, caplog):
    crew = FakeCrew(tmp_path / "work", 2, deaths=[(0, "key1")])
    with caplog.at_level(logging.WARNING):
        _, counts = _run(film, output, crew)
    _whole(film, output)
    assert sum(counts) == sum(LENGTHS)
    assert next(worker for worker, key in crew.started if key == "key1") == 0
    assert len([key for _, key in crew.started if key == "key1"]) == 2
    assert "worker 0 is gone" in caplog.text


def test_a_span_that_kills_whoever_takes_it_stops_the_job(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 2, deaths=[("any", "key4")])
    with pytest.raises(MediaError, match=r"frames 280 to 359 .*3 times"):
        _run(film, output, crew)
    assert len([key for _, key in crew.started if key == "key4"]) == 3


def test_machines_may_go_away_as_often_as_they_like(film, output, tmp_path):
    deaths = [(worker, "key1") for worker in range(6)]
    crew = FakeCrew(tmp_path / "work", 1, deaths=deaths, machines=range(6))
    _run(film, output, crew)
    _whole(film, output)


def test_a_straggler_is_overtaken_and_told_to_stop(film, output, tmp_path):
    lengths = (20, 20, 20, 20)
    slow = {(0, "key0"): 100.0}
    crew = FakeCrew(tmp_path / "work", 2, slow=slow)
    _run(film, output, crew, spans(*lengths), straggling=Straggling(2.0, 1.0))
    _whole(film, output, lengths)
    assert crew.stopped == [0]
    assert crew.now < 200
    alone = FakeCrew(tmp_path / "work", 2, slow=slow)
    for span in spans(*lengths):
        film.segment(output, span).unlink()
    _run(film, output, alone, spans(*lengths), straggling=None)
    assert alone.now == pytest.approx(2000)


def test_a_segment_that_is_lost_on_its_way_is_made_again(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 2, lost_on_the_way=["key1"])
    _, counts = _run(film, output, crew)
    _whole(film, output)
    assert sum(counts) == sum(LENGTHS)
    assert len([key for _, key in crew.started if key == "key1"]) == 2


def test_a_segment_that_comes_damaged_is_made_again(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 2, damaged={"key2": 2})
    _run(film, output, crew)
    _whole(film, output)


def test_one_that_always_comes_damaged_stops_the_job(film, output, tmp_path):
    crew = FakeCrew(tmp_path / "work", 2, damaged={"key2": 99})
    with pytest.raises(MediaError, match="frames 230 and after came damaged"):
        _run(film, output, crew)
    assert not film.segment(output, spans(*LENGTHS)[2]).exists()
    assert list(output.with_name("film-color.mkv.parts").glob(".*")) == []


def test_a_segment_that_fits_no_other_is_refused(film, output, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeFilm, "has", lambda *_: False)
    with pytest.raises(ConfigError, match="another header"):
        _run(film, output, FakeCrew(tmp_path / "work", 2))


def test_a_damaged_film_stops_the_job_where_that_is_seen(film, output, tmp_path):
    def found():
        yield spans(10)[0]
        raise MediaError("film.mkv: is damaged at 0:01")

    with pytest.raises(MediaError, match=re.escape("film.mkv: is damaged at 0:01")):
        _run(film, output, FakeCrew(tmp_path / "work", 1), found())


def test_who_counts_may_stop_it(film, output, tmp_path):
    """As the bar does after Ctrl-C."""

    class Interrupted(KeyboardInterrupt):
        pass

    calls = itertools.count()

    def progress(count):
        if next(calls) == 3:
            raise Interrupted

    crew = FakeCrew(tmp_path / "work", 2)
    dispatch = Dispatch(film, output, crew, progress, clock=crew.clock)
    with pytest.raises(Interrupted):
        dispatch.run(iter(spans(*LENGTHS)))


def test_a_scan_gives_what_it_has_and_never_waits():
    import threading

    go = threading.Event()

    def slowly():
        yield 1
        go.wait(10)
        yield 2

    scan = Scan(slowly())
    found = iter(scan)
    while (first := next(found)) is None:
        pass
    assert first == 1
    assert next(found) is None
    go.set()
    rest = [one for one in found if one is not None]
    assert rest == [2]
    scan.close()


def test_a_scan_that_fails_says_so_where_spans_are_asked_for():
    def broken():
        yield 1
        raise MediaError("film.mkv: cannot be read")

    with pytest.raises(MediaError, match="cannot be read"):
        for _ in Scan(broken()):
            pass
