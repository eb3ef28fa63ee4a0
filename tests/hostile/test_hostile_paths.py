"""Names of files and what stands behind them; and what a terminal gets to see of them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import element, make_kind, write_blocks
from media_lab import faults, shared_lab

from vidcolor.cli import main
from vidcolor.cli.terminal import Plain
from vidcolor.errors import MediaError, printable
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.image import read_image
from vidcolor.io.segments import parts_folder
from vidcolor.io.target import Target, TargetFolder, fitted
from vidcolor.io.video import VideoReader

NAMES = (
    "a b.mkv",
    "caf\u00e9.mkv",
    "cafe\u0301.mkv",
    "\U0001f3ac\u200d\U0001f469.mkv",
    "a:b.mkv",
    "100%.mkv",
    "x%03d.mkv",
    "-x.mkv",
    '"it\'s".mkv',
    "a\nb.mkv",
    "\x1b[31mred.mkv",
    "a\\b.mkv",
    "subfile:a.mkv",
    "concat:a|b.mkv",
    "CON.mkv",
    " .mkv",
    "*.mkv",
    "x" * 251 + ".mkv",
    "\u00e9" * 125 + ".mkv",
    "\U0001f3ac" * 62 + ".mkv",
    os.fsdecode(b"\xff\xfe.mkv"),
)
CHEAP = ("--detector", "none", "--no-stabilize", "--codec", "ffv1", "--colorize.short_side=64")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_kind(tmp_path_factory.mktemp("film"), "ffv1.mkv").path


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_films_of_any_name_are_read_and_colored(film, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(film.read_bytes())
    told = shared_lab().ask(path, "read", "color", "walk")
    assert faults(path, told, 9) == []
    assert told["color"]["done"] == 9


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_outputs_of_any_name_and_what_lies_beside_them_fit(tmp_path, name):
    path = tmp_path / name
    target = Target(path, overwrite=False)
    assert target.temporary.parent == path.parent
    target.temporary.write_bytes(b"film")
    target.land_partial()
    (partial,) = tmp_path.iterdir()
    assert ".partial" in partial.name
    again = Target(path, overwrite=False)
    again.land()
    assert path.exists()
    parts_folder(path).mkdir()
    folder = TargetFolder(tmp_path / f"d{name[1:]}", overwrite=False, replaceable=lambda _: False)
    folder.discard()


def test_the_program_takes_names_that_look_like_options(film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-x.mkv").write_bytes(film.read_bytes())
    assert main(["colorize", *CHEAP, "--", "-x.mkv", "-y.mkv"]) == 0
    assert main(["colorize", "./-x.mkv", "./-z.mkv", *CHEAP]) == 0
    with VideoReader(tmp_path / "-y.mkv") as one, VideoReader(tmp_path / "-z.mkv") as other:
        assert sum(map(len, one)) == sum(map(len, other)) == 9


def test_long_names_that_begin_alike_stay_apart():
    one, other = "x" * 250 + "1.mkv", "x" * 250 + "2.mkv"
    assert fitted(one, ".parts") != fitted(other, ".parts")
    for name in (one, "\u00e9" * 127, "\U0001f3ac" * 63 + "abc"):
        assert len(fitted(name, ".parts").encode()) <= 255
        assert fitted(name, ".parts").endswith(".parts")
    assert fitted("film.mkv", ".parts") == "film.mkv.parts"


# -- what is no file ------------------------------------------------------------------------------


def odd(folder, kind):
    path = folder / f"{kind}.mkv"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in ("zero", "null"):
        path.symlink_to(f"/dev/{kind}")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(folder / "nowhere.mkv")
    elif kind == "below":
        (folder / "file").write_bytes(b"x")
        path = folder / "file" / "film.mkv"
    elif kind == "long":
        path = folder / ("y" * 300 + ".mkv")
    else:
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "is a folder"),
        ("fifo", "is a pipe or a device"),
        ("zero", "is a pipe or a device"),
        ("null", "is a pipe or a device"),
        ("loop", "too many levels of symbolic links"),
        ("dangling", "no such file"),
        ("below", "no such file"),
        ("long", "file name too long"),
        ("empty", "is empty"),
    ],
)
def test_what_is_no_file_is_told_at_once(tmp_path, kind, words):
    path = odd(tmp_path, kind)
    told = shared_lab().ask(path, "read", "walk", "picture")
    assert faults(path, told) == []
    for step in ("read", "walk", "picture"):
        assert words in told[step]["error"]["text"]


def test_a_fifo_is_not_waited_for(tmp_path):
    path = odd(tmp_path, "fifo")
    for reader in (VideoReader, FilmFrames):
        with pytest.raises(MediaError), reader(path):
            pass
    with pytest.raises(MediaError):
        read_image(path)


# -- outputs that are the input -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link", "chain"])
def test_an_output_that_is_the_input_is_refused(film, tmp_path, kind, capsys):
    source = tmp_path / "in.mkv"
    source.write_bytes(film.read_bytes())
    output = tmp_path / "out.mkv"
    if kind == "itself":
        output = source
    elif kind == "symlink":
        output.symlink_to(source)
    elif kind == "hard link":
        os.link(source, output)
    else:
        (tmp_path / "middle.mkv").symlink_to(source)
        output.symlink_to(tmp_path / "middle.mkv")
    before = source.read_bytes()
    assert main(["colorize", str(source), str(output), "--overwrite", *CHEAP]) == 1
    assert "is the input itself" in capsys.readouterr().err
    assert source.read_bytes() == before
    assert not any(".partial" in path.name for path in tmp_path.iterdir())


def test_a_link_to_nowhere_gets_its_file(tmp_path):
    (tmp_path / "out.mkv").symlink_to(tmp_path / "there.mkv")
    target = Target(tmp_path / "out.mkv", overwrite=False)
    target.temporary.write_bytes(b"film")
    target.land()
    assert (tmp_path / "there.mkv").read_bytes() == b"film"
    assert (tmp_path / "out.mkv").is_symlink()


def test_an_output_that_is_a_loop_is_refused(tmp_path):
    path = odd(tmp_path, "loop")
    with pytest.raises(MediaError):
        Target(path, overwrite=True).land()
    assert path.is_symlink()


def test_a_folder_that_cannot_be_written_to(tmp_path):
    """As somebody without rights; root may do everything."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.geteuid() and each != folder and "pytest" in str(each):
            each.chmod(0o755)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vidcolor.io.target import Target\n"
        "from vidcolor.errors import MediaError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: Target(Path(sys.argv[1]), False)\n"
        "except MediaError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "out.mkv")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{folder / 'out.mkv'}: cannot be written (permission denied)"


# -- what a terminal gets to see ------------------------------------------------------------------


def test_controls_become_escapes():
    assert printable("a\nb\x1b[31m\x07\u202e\udcff.mkv") == (
        "a\\nb\\x1b[31m\\x07\\u202e\\udcff.mkv"
    )
    kept = "caf\u00e9 \u65e5\u672c \U0001f3ac\u200d\U0001f469 \u00a0"
    assert printable(kept) == kept


def test_an_error_is_one_line_whatever_the_name():
    assert str(MediaError("a\nb.mkv: no such file")) == "a\\nb.mkv: no such file"


def test_log_lines_are_plain():
    record = logging.LogRecord(
        "vidcolor", logging.WARNING, "here.py", 1, "%s: %s left out", ("a\nb", "\x1b[2J"), None
    )
    assert Plain("vidcolor: %(message)s").format(record) == "vidcolor: a\\nb: \\x1b[2J left out"


def test_the_program_prints_no_controls_of_names_and_titles(tmp_path, monkeypatch, capsys):
    """Attachments are left out of MP4, and a warning names them."""
    font = element(0x466E, "..\\..\\evil\x1b[2J.ttf") + element(0x4660, "font/ttf")
    font += element(0x465C, b"font") + element(0x46AE, 7)
    more = element(0x1941A469, element(0x61A7, font))
    name = "a\nb\x1b[31m.mkv"
    monkeypatch.chdir(tmp_path)
    write_blocks(Path(name), [0, 40], more=more)
    words = [word for word in CHEAP if word not in ("--codec", "ffv1")]
    assert main(["colorize", name, "out.mp4", *words]) == 0
    said = capsys.readouterr().err
    assert "left out" in said
    assert "\x1b" not in said
    assert main(["colorize", f"no{name}", "out2.mp4", *words]) == 1
    assert capsys.readouterr().err == "vidcolor: noa\\nb\\x1b[31m.mkv: no such file\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out.mp4"]
