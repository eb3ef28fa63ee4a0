"""Files on a worker's machine: found, sent once, kept, let go."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from vidcolor.distributed.holdings import NodeFiles, hold, scratch_folder, send
from vidcolor.errors import MediaError

DATA = bytes(range(256)) * 5000


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "driver" / "film.mkv"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


@pytest.fixture
def node(tmp_path):
    return NodeFiles(tmp_path / "node")


def _elsewhere(film):
    """What the driver knows of a file that this machine does not have."""
    wanted = hold(film)
    film.unlink()
    return wanted


def _send(film, node, wanted, part="a", chunk_bytes=100_000):
    copy = film.with_name("copy")
    copy.write_bytes(DATA)
    here = type(wanted)(str(copy), wanted.size, 0, "", wanted.sha256)
    offsets = []

    def receive(chunk, offset):
        offsets.append(offset)
        node.receive(wanted, chunk, offset, part)

    send(here, receive, chunk_bytes)
    return offsets


def test_a_file_under_the_same_path_is_used_where_it_is(film, node):
    assert node.find(hold(film)) == film
    assert not node.scratch.exists()


def test_the_same_content_with_another_time_is_the_same_file(film, node):
    wanted = hold(film)
    os.utime(film, (1, 1))
    assert node.find(wanted) == film


def test_the_same_size_is_not_the_same_file(film, node):
    wanted = hold(film)
    film.write_bytes(DATA[:-1] + b"x")
    assert node.find(wanted) is None


def test_time_and_size_may_lie_but_not_the_ends(film, node):
    wanted = hold(film)
    film.write_bytes(b"x" + DATA[1:])
    os.utime(film, ns=(wanted.changed_ns, wanted.changed_ns))
    assert node.find(wanted) is None


def test_what_is_sent_is_found_by_everybody_on_the_machine(film, node):
    wanted = _elsewhere(film)
    assert node.find(wanted) is None
    offsets = _send(film, node, wanted)
    assert offsets == list(range(0, len(DATA), 100_000))
    found = NodeFiles(node.scratch).find(wanted)
    assert found is not None
    assert found.name == wanted.sha256
    assert found.read_bytes() == DATA
    assert [path.name for path in found.parent.iterdir()] == [wanted.sha256]


def test_half_a_file_is_no_file(film, node):
    wanted = _elsewhere(film)
    node.receive(wanted, DATA[:1000], 0, "a")
    assert node.find(wanted) is None
    _send(film, node, wanted, "b")  # another sender begins anew
    assert node.find(wanted).read_bytes() == DATA


@pytest.mark.parametrize("offset", [10, 2000])
def test_chunks_out_of_order_are_refused(film, node, offset):
    wanted = _elsewhere(film)
    node.receive(wanted, DATA[:1000], 0, "a")
    with pytest.raises(MediaError, match="out of order"):
        node.receive(wanted, DATA[1000:2000], offset, "a")


def test_other_content_than_announced_is_refused_and_leaves_nothing(film, node):
    wanted = _elsewhere(film)
    with pytest.raises(MediaError, match="changed on the way"):
        node.receive(wanted, DATA[::-1], 0, "a")
    assert list((node.scratch / "files").iterdir()) == []


def test_a_file_that_grows_shorter_while_it_is_sent_is_noticed(film):
    wanted = hold(film)
    film.write_bytes(DATA[:-5])
    with pytest.raises(MediaError, match="changed while it was sent"):
        send(wanted, lambda chunk, offset: None)


def test_an_empty_file_arrives_too(tmp_path, node):
    path = tmp_path / "empty.cube"
    path.write_bytes(b"")
    wanted = hold(path)
    path.rename(tmp_path / "away")
    away = type(wanted)(str(tmp_path / "away"), 0, 0, "", wanted.sha256)
    send(away, lambda chunk, offset: node.receive(wanted, chunk, offset, "a"))
    assert node.find(wanted).read_bytes() == b""


def test_a_full_disk_lets_go_of_what_nobody_uses_oldest_first(tmp_path, node, monkeypatch):
    usage = namedtuple("usage", "total used free")
    held = []
    for number in range(3):
        path = tmp_path / f"{number}.mkv"
        path.write_bytes(bytes([number]) * 1000)
        held.append(hold(path))
        send(held[-1], lambda chunk, offset, one=held[-1]: node.receive(one, chunk, offset, "a"))
        path.unlink()
        os.utime(node.find(held[-1]), (number + 1, number + 1))
    work = node.open_work()
    work.lay("0", [("0.mkv", node.scratch / "files" / held[0].sha256)], folder=False)
    free = iter([0, 0, 1 << 40, 1 << 40, 1 << 40])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, next(free)))
    new = tmp_path / "new.mkv"
    new.write_bytes(b"n" * 1000)
    wanted = hold(new)
    node.receive(wanted, b"n" * 1000, 0, "a")
    kept = {path.name for path in (node.scratch / "files").iterdir()}
    assert kept == {held[0].sha256, held[2].sha256, wanted.sha256}  # one in use, the youngest
    work.close()


def test_files_keep_the_names_that_they_had(film, node):
    wanted = _elsewhere(film)
    _send(film, node, wanted)
    work = node.open_work()
    laid = work.lay("0", [("film.mkv", node.find(wanted))], folder=False)
    assert laid.name == "film.mkv"
    assert laid.read_bytes() == DATA
    folder = work.lay("1", [("a.png", film.parent / "copy"), ("b/c.png", laid)], folder=True)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png")) == ["a.png", "b/c.png"]
    work.close()
    assert not work.path.exists()


def test_folders_of_killed_workers_are_removed_and_of_others_not(node):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from vidcolor.distributed.holdings import NodeFiles\n"
        "print(NodeFiles(Path(sys.argv[1])).open_work().path, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    mine = node.open_work()
    done = subprocess.run(
        [sys.executable, "-c", code, str(node.scratch)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -9
    left = mine.path.parent / done.stdout.strip().rpartition("/")[2]
    assert left.is_dir()
    other = node.open_work()
    assert not left.exists()
    assert mine.path.is_dir()
    mine.close()
    other.close()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no such call on this system")
def test_workers_of_a_machine_take_different_cores(node, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 4, 5, 6, 7})
    others = [NodeFiles(node.scratch) for _ in range(3)]
    assert [one.cores(2) for one in others] == [[3, 4], [5, 6], []]
    lock = others[0]._cores
    fcntl.flock(lock, fcntl.LOCK_UN)  # as when its process ends
    assert NodeFiles(node.scratch).cores(2) == [3, 4]


def test_where_it_is_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_SCRATCH", str(tmp_path / "fast disk"))
    assert scratch_folder() == tmp_path / "fast disk"
