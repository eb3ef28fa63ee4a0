"""The cache of previews: whole or not at all, bounded, and shared."""

import os
import time

import pytest

from vidcolor.errors import MediaError
from vidcolor.preview.web.shots.cache import ViewCache

FILM = "0f" * 16


def _fill(cache, name, size, age_s=0.0):
    with cache.draft(FILM, name) as draft:
        (draft.path / "data").write_bytes(b"x" * size)
        path = draft.land()
    when = time.time() - age_s
    os.utime(path, (when, when))
    return path


def test_nothing_is_there_before_it_lands(tmp_path):
    cache = ViewCache(tmp_path)
    with cache.draft(FILM, "key") as draft:
        (draft.path / "data").write_bytes(b"half")
        assert cache.find(FILM, "key") is None
        draft.land()
        found = cache.find(FILM, "key")
    assert (found / "data").read_bytes() == b"half"


def test_a_draft_that_fails_leaves_nothing(tmp_path):
    cache = ViewCache(tmp_path)

    def fail():
        with cache.draft(FILM, "key") as draft:
            (draft.path / "data").write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list((tmp_path / FILM).iterdir()) == []


def test_of_two_that_make_the_same_one_stays(tmp_path):
    ours, theirs = ViewCache(tmp_path), ViewCache(tmp_path)
    with ours.draft(FILM, "key") as mine, theirs.draft(FILM, "key") as other:
        (mine.path / "data").write_bytes(b"mine")
        (other.path / "data").write_bytes(b"theirs")
        assert other.land() == mine.land()
    assert (ours.find(FILM, "key") / "data").read_bytes() == b"theirs"
    assert [path.name for path in (tmp_path / FILM).iterdir()] == ["key"]


def test_what_is_not_used_for_longest_goes(tmp_path):
    cache = ViewCache(tmp_path, most_bytes=250)
    for age, name in ((30, "used"), (20, "old"), (10, "young")):
        _fill(cache, name, 80, age)
    assert cache.find(FILM, "used") is not None  # counts as used now
    _fill(cache, "new", 80)
    there = {path.name for path in (tmp_path / FILM).iterdir()}
    assert there == {"used", "young", "new"}
    assert cache.find(FILM, "old") is None


def test_to_ask_whether_it_is_there_is_no_use(tmp_path):
    cache = ViewCache(tmp_path, most_bytes=100)
    _fill(cache, "old", 60, 30)
    _fill(cache, "young", 30, 10)
    assert cache.has(FILM, "old")
    _fill(cache, "new", 30)
    assert not cache.has(FILM, "old")


def test_files_count_and_go_as_well(tmp_path):
    cache = ViewCache(tmp_path, most_bytes=100)
    path = cache.put(FILM, "thumb", b"y" * 90)
    os.utime(path, (1, 1))
    assert cache.find(FILM, "thumb").read_bytes() == b"y" * 90
    os.utime(path, (1, 1))
    _fill(cache, "key", 50)
    assert not path.exists()


def test_what_killed_processes_left_goes_after_a_day(tmp_path):
    cache = ViewCache(tmp_path)
    for name, age_s in ((".key.partial-00000001", 90_000), (".key.partial-00000002", 60)):
        left = tmp_path / FILM / name
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age_s,) * 2)
    assert cache.prune() == 0
    assert [path.name for path in (tmp_path / FILM).iterdir()] == [".key.partial-00000002"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\\b", "a b", "x" * 200])
def test_names_are_plain_words(tmp_path, name):
    cache = ViewCache(tmp_path)
    for film, key in ((FILM, name), (name, "key")):
        with pytest.raises(ValueError, match="letters, digits"):
            cache.find(film, key)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = ViewCache(tmp_path / "file")
    with pytest.raises(MediaError, match="VIDCOLOR_CACHE"):
        cache.put(FILM, "thumb", b"")
    with pytest.raises(MediaError, match="VIDCOLOR_CACHE"), cache.draft(FILM, "key"):
        pass
