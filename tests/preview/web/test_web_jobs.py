"""Jobs: their order, giving way, stopping, and what is told of them."""

import logging
import threading
import time

import pytest

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.preview.web.jobs import Canceled, Jobs

WAIT_S = 5.0


@pytest.fixture
def jobs():
    with Jobs() as running:
        yield running


def _until(true):
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def _held(started, go):
    """Work that says that it has begun, and reports until it may go on."""

    def work(report):
        started.set()
        while not go.is_set():
            report()
            time.sleep(0.002)
        return "held"

    return work


def _note(order, name):
    return lambda report: order.append(name)


def _state(jobs, job):
    return jobs.wait(job.id, 0).state


def test_a_newer_look_runs_inside_an_older_one(jobs):
    started, go, order = threading.Event(), threading.Event(), []
    older = jobs.start("a", None, "older", _held(started, go))
    assert started.wait(WAIT_S)
    newer = jobs.start("b", None, "newer", _note(order, "newer"))
    assert jobs.wait(newer.id, WAIT_S).state == "done"
    assert (order, _state(jobs, older)) == (["newer"], "running")
    go.set()
    done = jobs.wait(older.id, WAIT_S)
    assert (done.state, done.result) == ("done", "held")


def test_the_newest_look_comes_first(jobs):
    """Three wait behind one that does not report."""
    block, started, order = threading.Event(), threading.Event(), []

    def work(report):
        started.set()
        block.wait(WAIT_S)

    jobs.start("a", None, "first", work)
    assert started.wait(WAIT_S)
    waiting = [jobs.start("b", None, name, _note(order, name)) for name in "xyz"]
    block.set()
    for job in waiting:
        jobs.wait(job.id, WAIT_S)
    assert order == ["z", "y", "x"]


def test_an_older_look_never_runs_inside_a_newer_one(jobs):
    block, started, order = threading.Event(), threading.Event(), []

    def first(report):
        started.set()
        block.wait(WAIT_S)

    def newest(report):
        for _ in range(3):
            report(1)
        order.append("newest")

    jobs.start("a", None, "first", first)
    assert started.wait(WAIT_S)
    older = jobs.start("b", None, "older", _note(order, "older"))
    jobs.start("b", None, "newest", newest)
    block.set()
    jobs.wait(older.id, WAIT_S)
    assert order == ["newest", "older"]


def test_no_more_than_three_are_held(jobs):
    go, marks = threading.Event(), [threading.Event() for _ in range(5)]
    held = [jobs.start("a", None, "0", _held(marks[0], go))]
    for mark, before in zip(marks[1:], marks, strict=False):
        if not before.wait(0.5):
            break
        held.append(jobs.start("a", None, "more", _held(mark, go)))
    _until(lambda: marks[3].is_set())
    assert not marks[4].wait(0.1)
    go.set()
    assert [jobs.wait(job.id, WAIT_S).state for job in held] == ["done"] * 5


def test_renders_run_in_order_beside_looks(jobs):
    started, go, order = threading.Event(), threading.Event(), []
    first = jobs.start("render", None, "one", _held(started, go), "render")
    second = jobs.start("render", None, "two", _note(order, "two"), "render")
    third = jobs.start("render", None, "three", _note(order, "three"), "render")
    assert started.wait(WAIT_S)
    look = jobs.start("look", None, "look", _note(order, "look"))
    assert jobs.wait(look.id, WAIT_S).state == "done"
    assert [_state(jobs, job) for job in (first, second)] == ["running", "queued"]
    go.set()
    jobs.wait(third.id, WAIT_S)
    assert order == ["look", "two", "three"]


def test_idle_work_waits_for_both_lanes(jobs):
    started, go, steps = threading.Event(), threading.Event(), []

    def idle(report):
        for number in range(200):
            steps.append(number)
            started.set()
            report(1)
            time.sleep(0.002)

    resting = jobs.start("thumbs", None, "idle", idle, "idle")
    assert started.wait(WAIT_S)
    rendering = threading.Event()
    render = jobs.start("render", None, "render", _held(rendering, go), "render")
    assert rendering.wait(WAIT_S)
    time.sleep(0.05)
    count = len(steps)
    time.sleep(0.1)
    assert len(steps) == count < 200
    seen = []
    look = jobs.start("look", None, "look", _note(seen, "look"))
    assert jobs.wait(look.id, WAIT_S).state == "done"
    assert len(steps) == count
    go.set()
    assert jobs.wait(render.id, WAIT_S).state == "done"
    assert jobs.wait(resting.id, WAIT_S).state == "done"
    assert len(steps) == 200


def test_a_slot_has_one_job(jobs):
    """Of the same slot the older ones stop, running or not; other slots go on."""
    started, go = threading.Event(), threading.Event()
    running = jobs.start("a", "film:1", "running", _held(started, go), "render")
    assert started.wait(WAIT_S)
    waiting = jobs.start("a", "film:2", "waiting", _held(threading.Event(), go), "render")
    other = jobs.start("a", "film:3", "other", _note([], ""), "render")
    newer = [jobs.start("a", f"film:{n}", "newer", _note([], ""), "render") for n in (1, 2)]
    assert _state(jobs, waiting) == "canceled"
    ends = [jobs.wait(job.id, WAIT_S).state for job in (running, other, *newer)]
    assert ends == ["canceled", "done", "done", "done"]


def test_canceling(jobs):
    started, go = threading.Event(), threading.Event()
    job = jobs.start("a", None, "long", _held(started, go))
    assert started.wait(WAIT_S)
    jobs.cancel(job.id)
    assert jobs.wait(job.id, WAIT_S).state == "canceled"
    jobs.cancel(job.id)  # twice does no harm
    assert _state(jobs, job) == "canceled"
    with pytest.raises(GuidanceError, match="no job 'nothing'"):
        jobs.cancel("nothing")


def test_what_goes_wrong_is_told_and_the_next_job_runs(jobs, caplog):
    def wrong(report):
        raise MediaError("film.mkv: is cut off at 0:03; copy it again")

    def broken(report):
        raise KeyError("of ours")

    with caplog.at_level(logging.ERROR):
        first = jobs.wait(jobs.start("a", None, "wrong", wrong).id, WAIT_S)
        assert not caplog.records
        second = jobs.wait(jobs.start("a", None, "broken", broken).id, WAIT_S)
    assert (first.state, first.message) == ("failed", "film.mkv: is cut off at 0:03; copy it again")
    assert second.state == "failed"
    assert second.message == "a fault of the program: KeyError; its log has the details"
    assert "of ours" in caplog.text
    assert jobs.wait(jobs.start("a", None, "good", lambda report: 7).id, WAIT_S).result == 7


def test_what_is_told(jobs):
    told = []
    leave = jobs.subscribe(told.append)
    go, begun = threading.Event(), threading.Event()

    def work(report):
        report.begin("coloring", 20)
        report(5)
        report(5)
        begun.set()
        go.wait(WAIT_S)
        report.begin("writing", 4)
        report(4)

    job = jobs.start("preview", None, "Coloring shot 3", work, film="f", shot=2)
    assert begun.wait(WAIT_S)
    (now,) = jobs.list("f")
    assert (now.done, now.total, now.message, now.state) == (10, 20, "coloring", "running")
    assert jobs.list("other") == ()
    go.set()
    done = jobs.wait(job.id, WAIT_S)
    assert (done.done, done.total, done.message) == (4, 4, "")
    _until(lambda: told[-1].state == "done")
    assert [job.state for job in told][:2] == ["queued", "running"]
    assert (4, 4) in [(job.done, job.total) for job in told]
    assert all(set(job.data()) >= {"id", "kind", "film", "shot", "title"} for job in told)
    assert "result" not in told[-1].data()
    leave()
    count = len(told)
    jobs.wait(jobs.start("a", None, "unheard", _note([], "")).id, WAIT_S)
    assert len(told) == count


def test_a_listener_that_fails_stops_nothing(jobs, caplog):
    def fail(job):
        raise ValueError("listener")

    jobs.subscribe(fail)
    assert jobs.wait(jobs.start("a", None, "good", lambda report: 1).id, WAIT_S).state == "done"
    assert "listener" in caplog.text


def test_while_files_are_locked_a_job_gives_no_way(jobs):
    """Weights are fetched under a lock that a newer job might want."""
    order, started, go = [], threading.Event(), threading.Event()

    def work(report):
        started.set()
        go.wait(WAIT_S)
        report.fetched(3_000_000, 15_000_000)
        (mine, _) = jobs.list()
        order.append(mine.message)
        report()

    jobs.start("a", None, "fetches", work)
    assert started.wait(WAIT_S)
    newer = jobs.start("b", None, "newer", _note(order, "newer"))
    go.set()
    jobs.wait(newer.id, WAIT_S)
    assert order == ["fetching weights: 3 of 15 MB", "newer"]


def test_closing_stops_everything():
    jobs = Jobs()
    started, go = threading.Event(), threading.Event()
    held = jobs.start("a", None, "look", _held(started, go))
    other = threading.Event()
    render = jobs.start("b", None, "render", _held(other, go), "render")
    waiting = jobs.start("b", None, "render", _note([], ""), "render")
    assert started.wait(WAIT_S)
    assert other.wait(WAIT_S)
    before = time.monotonic()
    assert jobs.close()
    assert time.monotonic() - before < 2
    assert [_state(jobs, job) for job in (held, render, waiting)] == ["canceled"] * 3
    with pytest.raises(GuidanceError, match="closing"):
        jobs.start("a", None, "late", _note([], ""))


def test_closing_does_not_wait_for_what_hears_nothing():
    jobs = Jobs()
    started, go = threading.Event(), threading.Event()

    def deaf(report):
        started.set()
        go.wait(WAIT_S)
        report()

    job = jobs.start("a", None, "deaf", deaf)
    assert started.wait(WAIT_S)
    before = time.monotonic()
    assert not jobs.close(0.1)
    assert time.monotonic() - before < 1
    go.set()
    assert jobs.wait(job.id, WAIT_S).state == "canceled"


def test_old_jobs_are_forgotten(jobs):
    first = jobs.start("a", None, "first", _note([], ""))
    for number in range(60):
        jobs.wait(jobs.start("a", None, str(number), _note([], "")).id, WAIT_S)
    assert len(jobs.list()) <= 42
    with pytest.raises(GuidanceError):
        jobs.wait(first.id)


def test_a_canceled_job_that_swallows_it_is_done(jobs):
    def stubborn(report):
        started.set()
        try:
            while True:
                report()
        except Canceled:
            return "whole anyway"

    started = threading.Event()
    job = jobs.start("a", None, "stubborn", stubborn)
    assert started.wait(WAIT_S)
    jobs.cancel(job.id)
    assert jobs.wait(job.id, WAIT_S).result == "whole anyway"
