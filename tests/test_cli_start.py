"""How the program starts: what it imports, what it says at once, how its threads wait."""

import os
import subprocess
import sys
import threading

import pytest
from media import make_video

from vidcolor import cli, marks
from vidcolor.cli.keys import key_names, short_names
from vidcolor.config import SHORT_NAMES, Config
from vidcolor.io import segment_writer
from vidcolor.schema import leaves

SLOW = ("torch", "cv2", "av", "numpy", "scipy", "safetensors", "scenedetect", "ray", "tqdm")
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def _python(code, *words, **variables):
    own = {k: v for k, v in os.environ.items() if k not in WAITING and "VIDCOLOR" not in k}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, check=False, env=own | variables,
    )  # fmt: skip


START = (
    "import sys\nfrom vidcolor.cli import main\n"
    "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as error:\n    code = error.code\n"
    f"slow = [name for name in {SLOW} if name in sys.modules]\n"
    "print('imported:', *slow)\n"
    "sys.exit(code)"
)


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["--help"], 0, "COMMAND", ""),
        (["--version"], 0, "vidcolor ", ""),
        (["colorize", "--help"], 0, "--colorizer", ""),
        (["preview", "--help"], 0, "--serve", ""),
        (["batch", "--help"], 0, "--out-dir", ""),
        (["colorise", "a", "b"], 2, "", "invalid choice"),
        (["colorize", "a"], 2, "", "required: output"),
        (["colorize", "a", "b", "--crv", "3"], 2, "", "did you mean --crf?"),
        (["colorize", "a", "b", "--stabilise.tau", "3"], 2, "", "did you mean --stabilize.tau?"),
        (["colorize", "a", "b", "--stabilize.tau"], 2, "", "--stabilize.tau needs a value"),
        (["colorize", "a", "b", "c"], 2, "", "unexpected argument 'c'"),
        (["colorize", "no/film.mkv", "out.mkv"], 1, "", "no/film.mkv: no such file"),
        (["colorize", "no.png", "out.png"], 1, "", "no.png: no such file"),
        (["restore", "no.mkv", "out.mkv"], 1, "", "no.mkv: no such file"),
        (["shots", "no.mkv"], 1, "", "no.mkv: no such file"),
        (["plan", "no.mkv", "out.vidcolor"], 1, "", "no.mkv: no such file"),
        (["preview", "no.mkv"], 1, "", "no.mkv: no such file"),
        (["preview", "no.mkv", "--at", "3"], 1, "", "no.mkv: no such file"),
        (["batch", "no", "--out-dir", "out"], 1, "", "no: no such file or folder"),
        (["evaluate", "no.mkv"], 1, "", "no.mkv: no such file"),
        (["evaluate"], 2, "", "RESULT is missing"),
        (["dataset", "build", "no.mkv", "--out", "out"], 1, "", "no.mkv: no such file or folder"),
        (["dataset", "preview", "no", "--out", "a.png"], 1, "", "no: no such file or folder"),
        (["train", "--config", "no.toml"], 1, "", "no.toml: cannot read the config"),
        (["settings", "--config", "no.toml"], 1, "", "no.toml: cannot read the config"),
        (["colorize", ".", "out", "--config", "no.toml"], 1, "", "no.toml: cannot read the config"),
    ],
)
def test_what_can_be_said_at_once_is(tmp_path, words, code, out, err):
    done = _python(f"import os; os.chdir({str(tmp_path)!r})\n" + START, *words)
    assert done.returncode == code, done.stderr
    assert out in done.stdout
    assert done.stdout.splitlines()[-1] == "imported:"
    assert err in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_keys_are_those_of_the_config():
    assert key_names() == [leaf.name for leaf in leaves(Config)]
    assert short_names() == list(SHORT_NAMES)


POLICY = (
    "import os, sys\n"
    "class Look:\n"
    "    def find_spec(self, name, *rest):\n"
    "        if name == 'torch':\n"
    f"            print('torch:', *(f'{{n}}={{os.environ.get(n)}}' for n in {WAITING}))\n"
    "            raise KeyboardInterrupt\n"
    "sys.meta_path.insert(0, Look())\n"
    "from vidcolor.cli import main\n"
    "sys.exit(main(['settings']))"
)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "1000"}, {"GOMP_SPINCOUNT": "1000"}),
        ({"KMP_BLOCKTIME": "0"}, {"KMP_BLOCKTIME": "0"}),
        ({"KMP_LIBRARY": "turnaround"}, {"KMP_LIBRARY": "turnaround"}),
    ],
)
def test_threads_sleep_unless_the_user_says_otherwise(given, wanted):
    done = _python(POLICY, **given)
    shown = " ".join(f"{name}={wanted.get(name)}" for name in WAITING)
    assert done.stdout == f"torch: {shown}\n"
    assert done.returncode == 130


SCHEDULED = (
    "import os, threading\n"
    "from vidcolor.cli import main\n"
    "{before}\n"
    "main(['--version'])\n"
    "seen = []\n"
    "thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))\n"
    "thread.start(), thread.join()\n"
    "print(seen[0])"
)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has policies of scheduling")
@pytest.mark.parametrize(
    ("before", "policy"),
    [
        ("pass", "SCHED_BATCH"),
        ("os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))", "SCHED_IDLE"),
    ],
)
def test_threads_are_a_batch_unless_the_user_says_otherwise(before, policy):
    done = _python(SCHEDULED.format(before=before))
    assert done.returncode == 0
    assert int(done.stdout.splitlines()[-1]) == getattr(os, policy)


@pytest.mark.parametrize("how", ["vanishes", "changes"])
def test_a_film_that_goes_away_while_it_is_colored_is_one_line(tmp_path, monkeypatch, capsys, how):
    """The hash comes to the film only when frames of it are written."""
    film = make_video(tmp_path / "in.mkv", frames=30, size=(48, 64)).path
    packet, real = threading.Event(), marks._hash.__wrapped__
    write = segment_writer.SegmentFile.write

    def told(file, *words):
        write(file, *words)
        packet.set()

    def late(found):
        assert packet.wait(60)
        if how == "vanishes":
            film.unlink()
        else:
            os.utime(film, ns=(1, 1))
        return real(found)

    monkeypatch.setattr(segment_writer.SegmentFile, "write", told)
    monkeypatch.setattr(marks, "_hash", late)
    words = ["--weights", "recipe", "--colorizer", "quarternet", "--colorize.short_side", "64",
             "--detector", "none", "--codec", "ffv1", "--quiet", "--device", "cpu"]  # fmt: skip
    assert cli.main(["colorize", str(film), str(tmp_path / "out.mkv"), *words]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    why = "cannot be read (no such file" if how == "vanishes" else "changed while it was read"
    assert err.startswith(f"vidcolor: {film}: {why}")
    left = [] if how == "vanishes" else ["in.mkv"]
    assert [path.name for path in tmp_path.iterdir()] == left


COLLECTOR = (
    "import gc, sys\n"
    "class Look:\n"
    "    def find_spec(self, name, *rest):\n"
    "        if name in ('torch', 'vidcolor.api', 'vidcolor.plain'):\n"
    "            print('#', name, gc.isenabled())\n"
    "sys.meta_path.insert(0, Look())\n"
    "from vidcolor.cli import main\n"
    "code = main(['shots', sys.argv[1], '--quiet'])\n"
    "print('# after', gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
    "sys.exit(code)"
)


def test_the_collector_rests_while_what_stays_is_imported(tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=2, size=(48, 64)).path
    done = _python(COLLECTOR, film)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert sorted(said) == [
        "# after True True", "# torch False", "# vidcolor.api False", "# vidcolor.plain False",
    ]  # fmt: skip


IMPORTED = (
    "import sys\n"
    "import torch\n"  # whatever it brings along is not ours to choose
    "before = set(sys.modules)\n"
    "import vidcolor.api\n"
    "from pathlib import Path\n"
    "if sys.argv[1:]:\n"
    "    vidcolor.api.open_job(Path(sys.argv[1]), Path(sys.argv[2]), vidcolor.api.make_config())\n"
    "print(*set(sys.modules) - before, sep='\\n')"
)
LATE = (
    "torchvision", "onnx", "onnxruntime", "onnxscript", "ray", "starlette", "uvicorn", "tqdm",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.spatial",
    "vidcolor.guidance.hints.solve",
    "vidcolor.export", "vidcolor.train", "vidcolor.evaluate", "vidcolor.preview", "vidcolor.batch",
)  # fmt: skip
"""What a film that is colored with default settings does not need."""


@pytest.mark.parametrize("opened", [False, True])
def test_what_few_runs_need_is_imported_by_those(tmp_path, opened):
    words = [make_video(tmp_path / "in.mkv", frames=2, size=(48, 64)).path, tmp_path / "out.mkv"]
    done = _python(IMPORTED, *(words if opened else ()))
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert {"vidcolor.plain", "vidcolor.pipeline", "cv2", "av"} <= imported
    assert [name for name in LATE if name in imported] == []
