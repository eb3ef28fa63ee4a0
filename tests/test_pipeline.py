import threading

import cv2
import pytest
import torch

from vidcolor.pipeline import Pipeline
from vidcolor.records import Chroma, Colored, FrameBatch, VideoInfo
from vidcolor.stages.cadence import EveryFrame
from vidcolor.stages.cut import NoCut
from vidcolor.stages.detect import NoDetector
from vidcolor.stages.overlay import NoOverlay
from vidcolor.stages.remember import Forget
from vidcolor.stages.restore import NoRestore
from vidcolor.stages.stabilize import Hold
from vidcolor.stages.track import NoTracker
from vidcolor.stages.whole import NoWhole


def batches(count: int, each: int = 2) -> list[FrameBatch]:
    info = VideoInfo(4, 6)
    return [
        FrameBatch(
            torch.full((each, 1, 4, 6), n, dtype=torch.uint8),
            tuple(range(n * each, (n + 1) * each)),
            info,
            index=n * each,
        )
        for n in range(count)
    ]


def predict(tracked) -> Colored:
    luma = tracked.frames.luma.float()
    return Colored(tracked.frames, tracked.tracks, Chroma(luma.repeat(1, 2, 1, 1), luma))


def laid(network=predict, grade=lambda colored: colored, **stages) -> Pipeline:
    return Pipeline(
        **{
            "cut": NoCut(), "restore": NoRestore(), "detect": NoDetector(),
            "track": NoTracker(), "see_whole": NoWhole(),
            "colorize": EveryFrame(network), "refer": NoOverlay(), "anchor": Forget(),
            "remember": Forget(), "stabilize": Hold(), "tone": Forget(), "obey": NoOverlay(),
            "grade": grade,
        } | stages
    )  # fmt: skip


def threads_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before]


def test_threads_give_what_one_thread_gives() -> None:
    line = laid()
    given = list(line(iter(batches(7))))
    plain = list(line.color(line.follow(line.shots(iter(batches(7))))))
    assert [one.frames.pts for one in given] == [one.frames.pts for one in plain]
    for one, other in zip(given, plain, strict=True):
        assert torch.equal(one.chroma.ab, other.chroma.ab)


def test_network_and_what_is_around_it_have_threads_of_their_own() -> None:
    seen: dict[str, str | int] = {}

    def frames():
        seen["frames"] = threading.get_ident()
        yield from batches(3)

    def network(tracked):
        seen["network"] = threading.get_ident()
        return predict(tracked)

    def grade(colored):
        seen["grade"] = threading.get_ident()
        return colored

    assert len(list(laid(network, grade)(frames()))) == 3
    assert len(set(seen.values())) == 3
    assert seen["grade"] == threading.get_ident()


def test_no_part_runs_far_ahead() -> None:
    asked: list[int] = []
    colored = threading.Event()

    def frames():
        for n, batch in enumerate(batches(30)):
            asked.append(n)
            yield batch

    def network(tracked):
        colored.wait(30)
        return predict(tracked)

    run = laid(network)(frames())
    first: list[Colored] = []
    asking = threading.Thread(target=lambda: first.append(next(run)))
    asking.start()
    asking.join(0.3)
    assert asking.is_alive()  # the network waits
    assert len(asked) <= 4  # one in the network, one waiting, one in the making, one asked for
    colored.set()
    asking.join(30)
    assert len(first) == 1
    run.close()


@pytest.mark.parametrize("where", ["frames", "network", "grade"])
def test_errors_reach_who_asks_and_leave_no_thread(where) -> None:
    before = set(threading.enumerate())

    def stop(at: str) -> None:
        if at == where:
            raise LookupError(at)

    def frames():
        for n, batch in enumerate(batches(9)):
            if n == 5:
                stop("frames")
            yield batch

    def network(tracked):
        if tracked.frames.index >= 8:
            stop("network")
        return predict(tracked)

    def grade(colored):
        if colored.frames.index >= 8:
            stop("grade")
        return colored

    with pytest.raises(LookupError, match=where):
        list(laid(network, grade)(frames()))
    assert not threads_since(before)


def test_who_stops_early_leaves_no_thread_and_an_ended_source() -> None:
    before = set(threading.enumerate())
    ended = threading.Event()

    def frames():
        try:
            yield from batches(50)
        finally:
            ended.set()

    run = laid()(frames())
    next(run)
    assert len(threads_since(before)) == 2
    run.close()
    assert not threads_since(before)
    assert ended.is_set()


def test_opencv_has_one_thread_while_a_line_runs_and_its_own_afterwards() -> None:
    seen: list[int] = []

    def network(tracked):
        seen.append(cv2.getNumThreads())
        return predict(tracked)

    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        one, other = laid(network)(iter(batches(4))), laid(network)(iter(batches(4)))
        next(one), next(other)
        list(one)
        assert cv2.getNumThreads() == 1  # the other one still runs
        list(other)
        assert cv2.getNumThreads() == 3
        assert set(seen) == {1}
        seen.clear()
        list(laid(network, restore=lambda shots: shots)(iter(batches(2))))
        assert set(seen) == {3}
    finally:
        cv2.setNumThreads(before)


def test_who_stops_early_does_not_wait_for_frames_that_never_come() -> None:
    """A film from a pipe whose producer has gone quiet."""
    before = set(threading.enumerate())

    class Quiet:
        def __init__(self) -> None:
            self.canceled = threading.Event()

        def __iter__(self):
            yield from batches(1)
            self.canceled.wait(120)

        def cancel(self) -> None:
            self.canceled.set()

    frames = Quiet()
    run = laid()(frames)
    next(run)
    run.close()
    assert frames.canceled.is_set()
    assert not threads_since(before)
