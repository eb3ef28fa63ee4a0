"""The hash of a film: right, once, in a thread, and never of a film that changes."""

import hashlib
import os
import threading

import numpy as np
import pytest

from vidcolor import marks
from vidcolor.errors import MediaError
from vidcolor.marks import Marking, film_mark


@pytest.fixture
def film(tmp_path, monkeypatch):
    """1000 bytes, read in several parts."""
    monkeypatch.setattr(marks, "_CHUNK_BYTES", 300)
    path = tmp_path / "film.mkv"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    return path


def test_it_is_sha256_of_all_bytes(film):
    wanted = hashlib.sha256(film.read_bytes()).hexdigest()
    assert film_mark(film) == wanted
    marks._hash.cache_clear()
    with Marking(film) as marking:
        assert marking.mark() == wanted
        assert marking.known


def test_a_film_that_has_not_changed_is_read_once(film):
    marks._hash.cache_clear()
    with Marking(film) as marking:
        first = marking.mark()
    assert film_mark(film) == first
    assert marks._hash.cache_info().misses == 1
    film.write_bytes(film.read_bytes()[::-1])
    os.utime(film, ns=(1, 1))
    assert film_mark(film) == hashlib.sha256(film.read_bytes()).hexdigest() != first


def test_what_cannot_be_read_is_one_line(film, tmp_path):
    for path in (tmp_path / "missing.mkv", film / "x.mkv", tmp_path):
        with pytest.raises(MediaError, match=r"cannot be read \([a-z ]+\)$"):
            film_mark(path)
    with pytest.raises(MediaError, match="missing"), Marking(tmp_path / "missing.mkv"):
        pass


def _slow(monkeypatch, meanwhile):
    """Let something happen to the film before it is read; `entered` says that it has begun."""
    real, entered, go = marks._hash.__wrapped__, threading.Event(), threading.Event()

    def slow(film):
        entered.set()
        assert go.wait(30)
        meanwhile()
        return real(film)

    monkeypatch.setattr(marks, "_hash", slow)
    return entered, go


def test_a_film_that_vanishes_is_told_without_waiting_and_when_waited_for(film, monkeypatch):
    entered, go = _slow(monkeypatch, film.unlink)
    with Marking(film) as marking:
        assert entered.wait(30)
        assert not marking.known
        marking.check()  # nothing is wrong so far
        go.set()
        with pytest.raises(MediaError, match=r"film\.mkv: cannot be read \(no such file"):
            marking.mark()
        with pytest.raises(MediaError, match="cannot be read"):
            marking.check()
        assert not marking.known


@pytest.mark.parametrize("change", ["longer", "touched", "gone"])
def test_a_film_that_changes_meanwhile_has_no_hash(film, monkeypatch, change):
    changes = {
        "longer": lambda: film.write_bytes(film.read_bytes() + b"x"),
        "touched": lambda: os.utime(film, ns=(1, 1)),
        "gone": lambda: None,
    }
    _, go = _slow(monkeypatch, changes[change])
    if change == "gone":  # as soon as it has been read
        real = marks._hash
        monkeypatch.setattr(marks, "_hash", lambda film: (real(film), film.path.unlink())[0])
    go.set()
    with Marking(film) as marking, pytest.raises(MediaError, match=r"changed while|no such file"):
        marking.mark()


class Chunks:
    """What is hashed, chunk by chunk, with something after each of them."""

    def __init__(self, monkeypatch, after):
        self.sizes, real = [], hashlib.sha256
        begun, sizes = threading.Event(), self.sizes

        class Digest:
            def __init__(self):
                self._digest = real()

            def update(self, data):
                self._digest.update(data)
                sizes.append(len(data))
                begun.set()
                after(len(sizes))

            def hexdigest(self):
                return self._digest.hexdigest()

        marks._hash.cache_clear()
        monkeypatch.setattr(marks.hashlib, "sha256", Digest)
        self.begun = begun


def test_leaving_stops_in_the_middle(film, monkeypatch):
    marking, stopped = Marking(film), []
    seen = Chunks(monkeypatch, lambda number: stopped.append(marking._pace.stop.wait(10)))
    with marking:
        assert seen.begun.wait(30)
    assert stopped == [True]
    assert seen.sizes == [300]  # of 1000
    assert not marking.known
    assert not [thread for thread in threading.enumerate() if thread.name == "vidcolor-mark"]


def test_the_thread_rests_until_somebody_waits(film, monkeypatch):
    wanted = hashlib.sha256(film.read_bytes()).hexdigest()
    second, found = threading.Event(), []
    seen = Chunks(monkeypatch, lambda number: second.set() if number == 2 else None)
    monkeypatch.setattr(marks, "_REST", 1e9)
    with Marking(film) as marking:
        assert seen.begun.wait(30)
        assert not second.wait(0.2)
        waiting = threading.Thread(target=lambda: found.append(marking.mark()), daemon=True)
        waiting.start()
        waiting.join(30)
        assert found == [wanted]
    assert seen.sizes == [300, 300, 300, 100]
    marks._hash.cache_clear()
    assert film_mark(film) == wanted  # where nothing else is to be done nobody rests


def test_who_leaves_while_the_thread_rests_does_not_wait(film, monkeypatch):
    seen = Chunks(monkeypatch, lambda number: None)
    monkeypatch.setattr(marks, "_REST", 1e9)

    def leave():
        with Marking(film):
            assert seen.begun.wait(30)

    leaving = threading.Thread(target=leave, daemon=True)
    leaving.start()
    leaving.join(30)
    assert not leaving.is_alive()
    assert seen.sizes == [300]
