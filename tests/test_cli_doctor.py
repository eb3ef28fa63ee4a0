"""`vidcolor doctor` as people run it."""

import json
import logging
import os
import subprocess
import sys
import zipfile

import pytest

from vidcolor import cli
from vidcolor.doctor import Finding, examine


@pytest.fixture
def run(capsys):
    def run(*words):
        code = cli.main(["doctor", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def well(monkeypatch):
    """Only one check, whose findings a test chooses."""
    found = [Finding("folders", "cache", "there")]
    for module, name in (
        ("machine", "program"), ("machine", "see_machine"), ("packages", "see_packages"),
        ("devices", "see_devices"), ("codecs", "see_codecs"), ("weights", "see_weights"),
        ("weights", "see_detectors"), ("places", "see_environment"),
    ):  # fmt: skip
        monkeypatch.setattr(getattr(examine, module), name, lambda *_: iter(()))
    monkeypatch.setattr(examine.places, "see_folders", lambda: iter(found))
    return found


def test_a_table_and_a_bundle_of_everything(run, tmp_path):
    path = tmp_path / "b.zip"
    code, out, err = run("--device", "cpu", "--bundle", path)
    assert code == 0, out
    headings = [row for row in out.splitlines() if row and not row.startswith(" ")]
    assert headings[:-1] == [
        "program", "machine", "packages", "devices", "codecs", "weights", "detectors", "folders",
        "environment", "self-test",
    ]  # fmt: skip
    assert headings[-1].startswith("vidcolor works here, ")
    assert "luma                     the source's, bit for bit" in out
    assert f"{path}: the report" in err
    assert err.count("\n") == 1
    with zipfile.ZipFile(path) as archive:
        report = json.loads(archive.read("report.json"))
        assert archive.read("report.txt").decode() in out
        assert "24 frames colored" in archive.read("log.txt").decode()
    assert report["works"] is True
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]


def test_what_is_wrong_is_the_exit_code(run, well):
    assert run("--no-test")[0] == 0
    well.append(Finding("folders", "disk", "nearly full", "warning", "make room"))
    code, out, _ = run("--no-test")
    assert (code, out.splitlines()[-1].split(" (")[0]) == (0, "vidcolor works here, 1 warning")
    well.append(Finding("folders", "temp", "cannot be written", "wrong", "change it"))
    code, out, _ = run("--no-test")
    assert (code, out.splitlines()[-1].split(" (")[0]) == (1, "1 thing wrong, 1 warning")


def test_json_is_json_and_nothing_else(run, well):
    code, out, err = run("--no-test", "--json")
    data = json.loads(out)
    assert (code, err, data["works"]) == (0, "", True)
    assert data["findings"][0] == {
        "area": "folders", "what": "cache", "found": "there", "state": "ok", "advice": "",
    }  # fmt: skip
    assert data["findings"][-1]["found"] == "left out, by --no-test"


def test_a_bundle_is_never_overwritten_and_refused_before_the_work(run, well, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(b"mine")
    code, out, err = run("--no-test", "--bundle", path)
    assert (code, out, "exists" in err) == (1, "", True)
    assert path.read_bytes() == b"mine"
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]
    assert run("--bundle", tmp_path / "b.tar")[0] == 2
    assert run("--bundle", tmp_path / "no" / "b.zip")[0] == 1


def test_a_bundle_is_whole_or_not_there(run, well, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidcolor.doctor.write_bundle", full)
    code, _, err = run("--no-test", "--bundle", tmp_path / "b.zip")
    assert (code, "b.zip: cannot be written (No space left on device)" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["torch", "av"])
def test_where_a_package_is_broken_there_is_still_a_report(broken, tmp_path):
    """As after an update that went wrong: it is installed, and cannot be loaded."""
    (tmp_path / f"{broken}.py").write_text("raise ImportError('libthing.so.13: no such file')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "vidcolor.cli", "doctor", "--bundle", str(tmp_path / "b.zip")],
        capture_output=True, text=True, env=environment, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1
    assert "libthing.so.13" in done.stdout
    assert "install it again" in " ".join(done.stdout.split())
    assert done.stderr.count("\n") == 1  # of the bundle
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert json.loads(archive.read("report.json"))["works"] is False
        assert "Traceback" in archive.read("log.txt").decode()


def test_broken_settings_are_a_finding(run, well, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_DEVIZE", "cpu")
    code, out, _ = run("--no-test")
    assert code == 1
    assert "did you mean VIDCOLOR_DEVICE?" in " ".join(out.split())


def test_a_device_that_is_not_there(run, monkeypatch):
    code, out, _ = run("--no-test", "--device", "cuda:99")
    assert code == 1
    assert "-> choose --device cpu" in out


def test_usage(run):
    assert run("--what")[0] == 2


def test_help_is_instant():
    code = (
        "import sys\nfrom vidcolor.cli import main\n"
        "try:\n    main(['doctor', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(n in sys.modules for n in ('torch', 'cv2', 'av', 'numpy', 'ray')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_log_goes_back_to_where_it_was(run, well):
    logger = logging.getLogger("vidcolor")
    before = list(logger.handlers)
    run("--device", "cpu")
    assert (logger.handlers, logger.propagate) == (before, True)
