import threading
import time

import pytest

from vidcolor.io.prefetch import prefetch


def alive() -> int:
    return sum(t.name == "vidcolor-prefetch" for t in threading.enumerate())


def test_gives_all_items_in_order() -> None:
    assert list(prefetch(iter(range(1000)), 3)) == list(range(1000))
    assert alive() == 0


def test_works_ahead_by_depth_and_no_more() -> None:
    made = []

    def source():
        for i in range(20):
            made.append(i)
            yield i

    items = prefetch(source(), 4)
    assert next(items) == 0
    time.sleep(0.2)
    assert made == list(range(6))  # one taken, four waiting, one in the making
    items.close()


def test_error_comes_after_the_items_before_it() -> None:
    def source():
        yield 1
        yield 2
        raise LookupError("broken")

    items = prefetch(source(), 1)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="broken"):
        next(items)
    assert alive() == 0


def test_error_of_iter_itself_is_raised() -> None:
    with pytest.raises(TypeError):
        list(prefetch(5, 1))  # type: ignore[arg-type]


def test_early_stop_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source():
        try:
            yield from range(10_000_000)
        finally:
            closed.set()

    items = prefetch(source(), 2)
    next(items)
    assert alive() == 1
    items.close()
    assert closed.is_set()
    assert alive() == 0


def test_runs_in_another_thread() -> None:
    (name,) = prefetch((threading.current_thread().name for _ in range(1)), 1)
    assert name == "vidcolor-prefetch"


def test_depth_below_one_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="depth"):
        prefetch([], 0)
