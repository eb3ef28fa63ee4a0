"""kill -9 at any moment, and run again: the bytes of an unbroken run."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from made_films import contents, scene, shot, write_film, write_picture
from processes import fresh_processes

from vidcolor.schema import load
from vidcolor.train.dataset.build import build_dataset
from vidcolor.train.dataset.config import BuildConfig

CONFIG = load(
    BuildConfig,
    {
        "every_s": 0.2, "short_side": 48, "least_side": 32, "val": 0.3, "pairs": True,
        "detect": {"detector": "motion"},
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    films = [
        write_film(folder / f"e{n}.mkv", [*shot(2 * n, 8), *shot(2 * n + 1, 8)]) for n in range(3)
    ]
    for number in range(4):
        write_picture(folder / f"in/{number}.png", scene(30 + number))
    return [*films, folder / "in"]


@pytest.fixture(scope="module")
def unbroken(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "set"
    build_dataset(given, out, CONFIG)
    return contents(out)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(given, out, frames: int | None, renames: int | None) -> None:
    """Build, and be killed after so many frames, or just before a renaming of a file."""
    left = {"frames": frames, "renames": renames}

    def count(number: int) -> None:
        if left["frames"] is not None:
            left["frames"] -= number
            if left["frames"] < 0:
                die()

    real = Path.replace

    def replace(path, target):
        if left["renames"] is not None:
            left["renames"] -= 1
            if left["renames"] < 0:
                die()
        return real(path, target)

    Path.replace = replace
    build_dataset(given, out, CONFIG, progress=count)


def killed(given, out, frames=None, renames=None) -> bool:
    process = fresh_processes().Process(target=run_and_die, args=(given, out, frames, renames))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_killed_again_and_again(given, unbroken, tmp_path):
    """Four sources and five files: nine renamings, and a kill before each of them."""
    out = tmp_path / "set"
    for frames in (3, 17):
        assert killed(given, out, frames=frames)
        assert not (out / "dataset.toml").exists()
    for finished in range(2, 5):  # one source more each time
        assert killed(given, out, renames=1)
        assert not (out / "dataset.toml").exists()
        assert len(list((out / ".work").glob("*.tar"))) == finished
    for renames in range(5):
        assert killed(given, out, renames=renames)
        assert not (out / "dataset.toml").exists()
    assert not killed(given, out)
    assert contents(out) == unbroken


def test_another_set_in_the_place_of_a_killed_one(given, unbroken, tmp_path):
    """What an abandoned build has left does not get into the set."""
    out = tmp_path / "set"
    assert killed(given[:2], out, renames=2 + 3)  # after its shards got their names
    assert list(out.glob("*.tar"))
    (out / "train-000007.tar").write_bytes(b"of the other")  # it may have had more of them
    build_dataset(given, out, CONFIG)
    assert contents(out) == unbroken


def test_a_process_killed_from_outside(given, unbroken, tmp_path):
    out = tmp_path / "set"
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from test_dataset_resume import CONFIG
            from vidcolor.train.dataset.build import build_dataset
            build_dataset({[str(path) for path in given]!r}, {str(out)!r}, CONFIG)
            """
        )
    )
    tests = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": tests}
    )
    try:
        end = time.monotonic() + 60
        while not list(out.glob(".work/*.tar")):  # the first source is finished
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert not (out / "dataset.toml").exists()
    frames = []
    build_dataset(given, out, CONFIG, progress=frames.append)
    assert sum(frames) < 3 * 16 + 4
    assert contents(out) == unbroken
