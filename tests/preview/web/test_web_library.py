"""The films that may be opened, and no other file."""

from __future__ import annotations

import os
import struct
import threading
import time
import unicodedata
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from media import make_video

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.guidance.references.entries import ReferenceEntry, load_references
from vidcolor.preview.web.desk import disk, reference_pictures
from vidcolor.preview.web.desk.library import Library
from vidcolor.preview.web.desk.names import numbered, safe_name
from vidcolor.preview.web.desk.reference_pictures import picture_kind

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def film_bytes(tmp_path_factory) -> bytes:
    return make_video(tmp_path_factory.mktemp("made") / "a.mkv", frames=2).path.read_bytes()


@pytest.fixture
def library(tmp_path) -> Library:
    return Library([], tmp_path / "uploads", LIMIT)


def pieces(data: bytes, size: int = 1000):
    return (data[at : at + size] for at in range(0, len(data), size))


def left(library: Library) -> list[str]:
    return sorted(
        str(path.relative_to(library.folder))
        for path in library.folder.rglob("*")
        if path.is_file()
    )


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("film.mp4", "film.mp4"),
        ("Film 2.MKV", "Film 2.mkv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\films\\a.mov", "a.mov"),
        ("C:a.mov", "a.mov"),
        ("\\\\server\\share\\a.avi", "a.avi"),
        ("/", "film"),
        ("", "film"),
        (".", "film"),
        ("..", "film"),
        ("...mp4", "film.mp4"),
        (".hidden.mp4", "hidden.mp4"),
        ("-o.mp4", "o.mp4"),
        ("~root.mp4", "root.mp4"),
        ("a\x00b\x1b[31m.mp4", "ab[31m.mp4"),
        ("a\nb\t c.mp4", "a b c.mp4"),
        ("gpj\u202emp4.exe", "gpjmp4.exe"),
        ("a<b>c:d|e?f*g\"h%i.mp4", "a_b_c_d_e_f_g_h_i.mp4"),
        ("CON.mp4", "_CON.mp4"),
        ("con.tar.mp4", "_con.tar.mp4"),
        ("LPT9", "_LPT9"),
        ("console.mp4", "console.mp4"),
        ("u\u0308ber.mp4", "\u00fcber.mp4"),
        ("映画.mkv", "映画.mkv"),
        ("film. . .", "film"),
        ("film.mp4 ", "film.mp4"),
        ("film.averylongsuffix", "film.averylongsuffix"),
        ("\ud800.mp4", "film.mp4"),
    ],
)  # fmt: skip
def test_names_are_made_safe(name, safe):
    assert safe_name(name, "film") == safe


@given(st.text(st.characters(codec=None), max_size=200))
@example("é" * 300 + ".mkv")
@example("con .mp4")
@example("\u202e.\u202e./x")
def test_a_safe_name_is_one_file_wherever_it_is_put(name):
    safe = safe_name(name, "film")
    assert Path(safe).name == safe
    assert safe[0] not in ".-~ "
    assert not safe.endswith((".", " "))
    assert not set(safe) & set('<>:"/\\|?*%')
    assert not any(unicodedata.category(letter)[0] == "C" for letter in safe)
    assert 0 < len(safe.encode()) <= 110
    assert safe_name(safe, "film") == safe
    assert safe.split(".")[0].strip().lower() not in ("con", "nul", "aux", "prn", "com1", "lpt1")


def test_numbers_stand_before_the_extension():
    names = numbered("a.b.mp4")
    assert [next(names) for _ in range(3)] == ["a.b.mp4", "a.b-2.mp4", "a.b-3.mp4"]


# --- films that were named ----------------------------------------------------------------------


def test_a_folder_stands_for_its_own_videos_in_natural_order(tmp_path):
    folder = tmp_path / "films"
    (folder / "deeper").mkdir(parents=True)
    for name in (
        "part10.mkv",
        "part2.MP4",
        "Part1.mov",
        ".hidden.mkv",
        "notes.txt",
        "deeper/x.mkv",
    ):
        (folder / name).write_bytes(b"x")
    library = Library([folder], tmp_path / "uploads", LIMIT)
    assert [entry.name for entry in library.films()] == ["Part1.mov", "part2.MP4", "part10.mkv"]
    (folder / "part3.mkv").write_bytes(b"x")
    assert len(library.films()) == 4
    assert not (tmp_path / "uploads").exists()


def test_films_are_known_by_words_that_stay(tmp_path, monkeypatch):
    film = tmp_path / "film.mkv"
    film.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    first = Library([Path("film.mkv")], tmp_path / "u", LIMIT).films()
    again = Library([film, Path("film.mkv"), tmp_path], tmp_path / "u", LIMIT).films()
    assert [entry.id for entry in first] == [entry.id for entry in again]
    (entry,) = first
    assert len(entry.id) == 16
    assert set(entry.id) <= set("0123456789abcdef")
    assert (entry.path, entry.script) == (film, tmp_path / "film.vidcolor")
    assert not entry.uploaded


def test_what_is_not_there_is_said_at_once(tmp_path):
    with pytest.raises(MediaError, match=r"gone.mkv: no such file"):
        Library([tmp_path / "gone.mkv"], tmp_path / "u", LIMIT)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediaError, match="is no file"):
        Library([tmp_path / "pipe"], tmp_path / "u", LIMIT)


def test_a_film_that_vanishes_is_missed_when_it_is_wanted(tmp_path):
    film = tmp_path / "film.mkv"
    film.write_bytes(b"x")
    library = Library([film], tmp_path / "u", LIMIT)
    (entry,) = library.films()
    film.unlink()
    assert library.films() == ()
    with pytest.raises(GuidanceError, match=r"film\.mkv is not there any more"):
        library.find(entry.id)
    film.write_bytes(b"x")
    assert library.find(entry.id) == entry


@pytest.mark.parametrize("name", ["", "../film.mkv", "0" * 16, "film.mkv"])
def test_unknown_films_are_not_found(tmp_path, name):
    (tmp_path / "film.mkv").write_bytes(b"x")
    with pytest.raises(GuidanceError, match="no such film"):
        Library([tmp_path / "film.mkv"], tmp_path / "u", LIMIT).find(name)


def test_films_of_one_name_are_called_by_their_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "film.mkv").write_bytes(b"x")
    library = Library([tmp_path / "one", tmp_path / "two"], tmp_path / "u", LIMIT)
    assert [entry.name for entry in library.films()] == ["one/film.mkv", "two/film.mkv"]


def test_two_films_of_one_stem_do_not_share_a_script(tmp_path):
    for name in ("film.mkv", "film.mp4"):
        (tmp_path / name).write_bytes(b"x")
    library = Library([tmp_path], tmp_path / "u", LIMIT)
    assert {entry.script.name for entry in library.films()} == {"film.vidcolor"}  # nobody's yet
    text = '[source]\nname = "film.mkv"\n'
    (tmp_path / "film.vidcolor").write_text(text)
    scripts = {entry.name: entry.script.name for entry in library.films()}
    assert scripts == {"film.mkv": "film.vidcolor", "film.mp4": "film.mp4.vidcolor"}
    (tmp_path / "film.mkv").rename(tmp_path / "old.mkv")
    # the film was given another name or was packed anew: the script says what is wrong
    assert library.films()[0].script.name == "film.vidcolor"


# --- uploads ------------------------------------------------------------------------------------


def test_an_upload_is_a_film_in_a_folder_of_its_own(library, film_bytes):
    entry = library.receive("../My film.mkv", pieces(film_bytes))
    assert left(library) == ["My film.mkv/My film.mkv"]
    assert entry.path.read_bytes() == film_bytes
    assert (entry.name, entry.uploaded) == ("My film.mkv", True)
    assert entry.script == library.folder / "My film.mkv" / "My film.vidcolor"
    assert library.find(entry.id) == entry
    again = Library([], library.folder, LIMIT)
    assert again.films() == (entry,)
    assert again.find(entry.id) == entry


def test_a_second_film_of_that_name_gets_a_number(library, film_bytes):
    names = [library.receive("a.mkv", pieces(film_bytes)).name for _ in range(3)]
    assert names == ["a.mkv", "a-2.mkv", "a-3.mkv"]
    assert len({entry.id for entry in library.films()}) == 3


def test_uploads_at_once_do_not_meet(library, film_bytes):
    ends, start = [], threading.Barrier(4)

    def send() -> None:
        start.wait()
        ends.append(library.receive("a.mkv", pieces(film_bytes, 100)).name)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["a-2.mkv", "a-3.mkv", "a-4.mkv", "a.mkv"]


def test_a_film_without_a_name_gets_one(library, film_bytes):
    assert library.receive("", pieces(film_bytes)).name == "film.mkv"
    assert library.receive("a.m3u8", pieces(film_bytes)).name == "a.m3u8.mkv"


GARBAGE = [
    ("a.mp4", b"\x00\x01garbage" * 1000, "a.mp4: is no video"),
    ("a.mp4", b"", "a.mp4: is empty"),
    ("a.mp4", b"just words\n" * 200, "is a text"),
    ("a.png", b"\x89PNG", "is a picture"),
    ("a.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n", "is a text"),
    ("a.mkv", b"ffconcat version 1.0\nfile '../../private.mkv'\n", "is a text"),
]


@pytest.mark.parametrize(("name", "data", "message"), GARBAGE)
def test_garbage_is_refused_and_leaves_nothing(library, name, data, message):
    with pytest.raises(MediaError, match=message) as error:
        library.receive(name, pieces(data))
    assert str(library.folder) not in str(error.value)
    assert not library.folder.exists() or list(library.folder.iterdir()) == []
    assert library.films() == ()


def test_lists_of_other_files_are_refused_whatever_they_begin_with(library, film_bytes, tmp_path):
    private = library.folder / "private.mkv"
    library.folder.mkdir()
    private.write_bytes(film_bytes)
    # the head is no text, but FFmpeg knows the format all the same
    sly = b"\xff\xfe\x00\nv=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"
    with pytest.raises(MediaError, match=r"is a list of other files"):
        library.receive("a.mkv", pieces(sly))
    picture = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    with pytest.raises(MediaError, match=r"is piped png sequence, which cannot be sent"):
        library.receive("a.mkv", pieces(picture))
    assert left(library) == ["private.mkv"]


@pytest.mark.parametrize("end", [b"\0", b"\xff\xfe", b"\xff\0" * 2000])
@pytest.mark.parametrize(
    "start", [b"ffconcat version 1.0\nfile private.mkv\n# ", b"#EXTM3U\n#EXTINF:9,\na.ts\n# ",
              b"\xef\xbb\xbf#EXTM3U\n#EXTINF:9,\na.ts\n# ", b"# VobSub index file, v7\n",
              b"v=0\nc=IN IP4 1.2.3.4\nm=video 9 RTP/AVP 96\n", b"<?xml version='1.0'?><MPD>"]
)  # fmt: skip
def test_lists_are_never_given_to_ffmpeg(library, monkeypatch, start, end):
    """It opens what they name before it can say what they are."""
    seen = []
    monkeypatch.setattr("vidcolor.io.source.av.open", lambda *words, **_: seen.append(words))
    with pytest.raises(MediaError, match="is a text"):
        library.receive("a.mkv", pieces(start + end))
    assert seen == []
    assert left(library) == []


@pytest.mark.parametrize("name", ["a.avi", "a.nut", "a.mp4", "a.ts", "a.mpg", "a.mkv"])
def test_films_do_not_count_as_lists(library, tmp_path, name):
    codec = {"a.mpg": "mpeg2video", "a.avi": "mpeg4"}.get(name, "libx264")
    film = make_video(tmp_path / name, frames=3, codec=codec).path
    assert library.receive(name, pieces(film.read_bytes())).name == name


def test_a_film_of_a_size_that_no_memory_holds_is_refused(library, tmp_path, film_bytes):
    # a few bytes of y4m can say that pictures are 100 million pixels large, and bring one
    head = b"YUV4MPEG2 W8000 H6000 F25:1 Ip A1:1 Cmono\nFRAME\n"
    library.upload_limit = 1 << 26
    with pytest.raises(MediaError, match=r"^a\.y4m: pictures of 8000x6000 pixels are too large"):
        library.receive("a.y4m", [head, bytes(48_000_000)])
    assert left(library) == []
    head = b"YUV4MPEG2 W8192 H4320 F25:1 Ip A1:1 Cmono\nFRAME\n"
    assert library.receive("b.y4m", [head, bytes(8192 * 4320)]).name == "b.y4m"


def test_the_disk_is_never_filled(library, film_bytes, monkeypatch):
    free = iter([2 << 30, (1 << 30) - 1])
    usage = SimpleNamespace
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(free=next(free)))
    monkeypatch.setattr("vidcolor.preview.web.desk.library._LOOK_BYTES", 1 << 19)
    with pytest.raises(MediaError, match=r"^a\.mkv: cannot be kept, less than 1 GB is left"):
        library.receive("a.mkv", pieces(bytes(1 << 20)))
    assert left(library) == []
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage(free=5))
    taken = []

    def sent():
        taken.append(1)
        yield film_bytes[:100]
        taken.append(2)
        yield film_bytes[100:]

    with pytest.raises(MediaError, match="make room"):
        library.receive("a.mkv", sent())
    assert taken == [1]  # the rest is not even read


def test_pictures_do_not_fill_the_disk_either(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = cv2.imencode(".png", noise)[1].tobytes()
    with pytest.raises(MediaError, match=r"^a\.png: cannot be kept, less than 1 GB is left"):
        reference_pictures.store_picture(tmp_path / "film.references", "a.png", data)
    assert list(tmp_path.rglob("*.png")) == []


def test_a_film_cut_off_in_its_head_is_refused(library, film_bytes):
    with pytest.raises(MediaError, match=r"^a.mkv: "):
        library.receive("a.mkv", pieces(film_bytes[:300]))
    assert left(library) == []


def test_the_limit_counts_what_comes(library):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield b"\x00" * 100_000

    with pytest.raises(MediaError, match=r"a\.mkv: is larger than 1 MB"):
        library.receive("a.mkv", endless())
    assert taken == 11  # 1 MiB is more than ten and less than eleven of them
    assert left(library) == []


def test_a_sender_that_goes_away_leaves_nothing(library, film_bytes):
    class Gone(BaseException):
        pass

    def breaks():
        yield film_bytes[:500]
        raise Gone

    with pytest.raises(Gone):
        library.receive("a.mkv", breaks())
    assert left(library) == []


def test_a_full_disk_is_said(library, film_bytes, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidcolor.preview.web.desk.library.os.fsync", full)
    with pytest.raises(MediaError, match=r"a.mkv: cannot be kept \(no space left on device\)"):
        library.receive("a.mkv", pieces(film_bytes))
    assert left(library) == []


def test_what_a_killed_run_left_goes_after_a_day(library):
    library.folder.mkdir()
    old, new = library.folder / ".upload-aa", library.folder / ".upload-bb"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    Library([], library.folder, LIMIT)
    assert (old.exists(), new.exists()) == (False, True)
    assert library.films() == ()


def test_links_do_not_lead_out_of_the_uploads(library, tmp_path, film_bytes):
    secret = tmp_path / "secret.mkv"
    secret.write_bytes(film_bytes)
    for name in ("a.mkv", "b.mkv"):
        (library.folder / name).mkdir(parents=True)
    (library.folder / "a.mkv" / "a.mkv").symlink_to(secret)
    (library.folder / "b.mkv" / "b.mkv").write_bytes(film_bytes)
    home = tmp_path / "c.mkv"
    home.mkdir()
    (home / "c.mkv").write_bytes(film_bytes)
    (library.folder / "c.mkv").symlink_to(home)
    assert [entry.name for entry in library.films()] == ["b.mkv"]


# --- reference pictures -------------------------------------------------------------------------


def colorful(suffix: str = ".png", size: tuple[int, int] = (40, 64)) -> bytes:
    picture = np.zeros((*size, 3), np.uint8)
    picture[:, ::2] = (30, 90, 200)
    return cv2.imencode(suffix, picture)[1].tobytes()


@pytest.fixture
def own(tmp_path):
    (tmp_path / "film.mkv").write_bytes(b"x")
    library = Library([tmp_path / "film.mkv"], tmp_path / "u", LIMIT)
    return library, library.films()[0], tmp_path / "film.references"


@pytest.mark.parametrize(
    ("name", "suffix", "kept"),
    [
        ("a.png", ".png", "a.png"),
        ("../a.JPEG", ".jpg", "a.jpeg"),
        ("a", ".tiff", "a.tiff"),
        ("a.png", ".jpg", "a.png.jpg"),
        ("a.vidcolor", ".png", "a.vidcolor.png"),
        ("", ".png", "picture.png"),
    ],
)
def test_a_picture_lies_beside_the_script(own, name, suffix, kept):
    library, entry, folder = own
    data = colorful(suffix)
    file = library.receive_picture(entry.id, name, data)
    assert file == f"film.references/{kept}"
    assert (entry.script.parent / file).read_bytes() == data
    assert [path.name for path in folder.iterdir()] == [kept]
    (reference,) = load_references((ReferenceEntry(file),), entry.script.parent)
    assert reference.rgb.shape == (40, 64, 3)


def test_the_same_picture_is_kept_once_and_another_one_gets_a_number(own):
    library, entry, folder = own
    names = [
        library.receive_picture(entry.id, "a.png", data)
        for data in (colorful(), colorful(size=(64, 40)), colorful())
    ]
    assert names == [f"film.references/{name}" for name in ("a.png", "a-2.png", "a.png")]
    assert len(list(folder.iterdir())) == 2


def bomb(width: int, height: int) -> bytes:
    """A PNG whose head says that it is that large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


GRAY = cv2.imencode(".png", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.png: is empty"),
        (b"GIF89a" + b"\0" * 100, "is no picture"),
        (b"<svg></svg>", "is no picture"),
        (colorful()[:60], "a.png: is cut off"),
        (colorful()[:20], "does not say how large"),
        (GRAY, "is gray"),
        (colorful(size=(20, 64)), "too few"),
        (bomb(60_000, 60_000), "60000x60000 pixels are too many"),
        (bomb(20_001, 40), "too many"),
        (bomb(10_001, 10_000), "too many"),
        (bomb(0, 40), "does not say how large"),
        (colorful(".jpg").replace(b"\xff\xc0", b"\xff\xe9"), "does not say how large"),
    ],
)
def test_what_cannot_be_a_reference_is_refused_and_leaves_nothing(own, data, message, monkeypatch):
    library, entry, folder = own
    if "too many" in message:
        monkeypatch.setattr(reference_pictures, "load_references", None)  # never decoded
    with pytest.raises(GuidanceError, match=message) as error:
        library.receive_picture(entry.id, "a.png", data)
    assert str(folder.parent) not in str(error.value)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_picture_that_is_too_large_is_refused(own, monkeypatch):
    monkeypatch.setattr(reference_pictures, "PICTURE_BYTES", 1 << 20)
    library, entry, _ = own
    with pytest.raises(GuidanceError, match="larger than 1 MB"):
        library.receive_picture(entry.id, "a.png", bytes((1 << 20) + 1))


def test_sizes_are_read_from_heads():
    assert picture_kind(colorful(".png", (40, 64))) == (".png", (40, 64))
    assert picture_kind(colorful(".jpg", (40, 64))) == (".jpg", (40, 64))
    assert picture_kind(colorful(".tiff", (40, 64))) == (".tiff", (40, 64))


def test_pictures_do_not_go_where_a_link_leads(own, tmp_path):
    library, entry, folder = own
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MediaError, match="leads to another folder"):
        library.receive_picture(entry.id, "a.png", colorful())
    assert list((tmp_path / "elsewhere").iterdir()) == []
    folder.unlink()
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "gone.png")
    assert library.receive_picture(entry.id, "a.png", colorful()) == "film.references/a-2.png"
    assert not (tmp_path / "gone.png").exists()


def test_pictures_are_for_films_that_there_are(own):
    with pytest.raises(GuidanceError, match="no such film"):
        own[0].receive_picture("../x", "a.png", colorful())
