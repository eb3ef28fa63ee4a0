"""The program as people run it, on films that the tests make."""

import json
import os
import subprocess
import sys
import threading

import av
import cv2
import numpy as np
import pytest
import torch
from media import cut_off, make_video, read_luma, read_packets

from vidcolor import cli
from vidcolor.cli.terminal import Bar, Stop
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A small network with strong colors."""
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {"license": "none"})
    return path


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch, tmp_path):
    """No downloads, no cache and no settings of whoever runs the tests."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.startswith("VIDCOLOR_") and name != "VIDCOLOR_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture
def run(weights, capsys):
    """Runs the program in this process; gives exit code, stdout, stderr."""

    def run(*words, network=True):
        words = [str(word) for word in words]
        if network and words[0] == "colorize":
            words += ["--weights", str(weights), "--colorize.short_side", "64"]
        if words[0] in ("colorize", "detect") and "--detector" not in words:
            words += ["--detector", "none"]
        code = cli.main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def _no_leftovers(folder, *names):
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_a_film_comes_back_in_color_luma_and_times_untouched(run, tmp_path):
    film = make_video(
        tmp_path / "in.mkv", frames=20, sound=("aac",), pts=[0, 40, 90, *range(120, 800, 40)],
        pix_fmt="gray", full_range=True,
    )  # fmt: skip
    code, out, _ = run("colorize", film.path, tmp_path / "out.mkv", "--codec", "ffv1")
    assert (code, out) == (0, "")
    before, after = read_luma(film.path), read_luma(tmp_path / "out.mkv")
    assert after[1] == before[1]
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert read_packets(tmp_path / "out.mkv") == read_packets(film.path)
    with av.open(str(tmp_path / "out.mkv")) as result:
        frame = next(result.decode(video=0))
        assert np.asarray(frame.planes[1]).std() > 2
    _no_leftovers(tmp_path, "in.mkv", "out.mkv")


def test_default_output_is_h264_with_tags(run, tmp_path):
    film = make_video(tmp_path / "in.mp4", codec="libx264", frames=5)
    assert run("colorize", film.path, tmp_path / "out.mp4")[0] == 0
    with av.open(str(tmp_path / "out.mp4")) as result:
        stream = result.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.colorspace == 6
        assert stream.frames == 5


def test_batches_and_shots_of_the_film_change_nothing(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=30)
    planes = []
    for size in (1, 7, 16):
        target = tmp_path / f"{size}.mkv"
        assert run("colorize", film.path, target, "--codec", "ffv1", "--batch-size", size)[0] == 0
        with av.open(str(target)) as result:
            planes.append(
                [np.asarray(frame.planes[1]).astype(int) for frame in result.decode(video=0)]
            )
    for other in planes[1:]:
        assert max(np.abs(a - b).max() for a, b in zip(planes[0], other, strict=True)) <= 1


def test_picture_and_folder(run, tmp_path):
    gray = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (96, 1))
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a 1.png", "b.jpg"):
        cv2.imwrite(str(folder / name), gray)
    assert run("colorize", folder / "a 1.png", tmp_path / "one.png")[0] == 0
    rgb = cv2.imread(str(tmp_path / "one.png"))[:, :, ::-1].astype(float)
    assert np.abs(rgb @ (0.2126, 0.7152, 0.0722) - gray).max() < 1
    assert np.ptp(rgb, axis=2).max() > 10
    assert run("colorize", folder, tmp_path / "out")[0] == 0
    _no_leftovers(tmp_path / "out", "a 1.png", "b.jpg")
    code, _, err = run("colorize", folder, tmp_path / "out")
    assert code == 1
    assert "exists" in err
    assert run("colorize", folder, folder)[0] == 1


def test_boxes_go_out_and_come_back(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=12)
    row = {"boxes": [[8, 8, 40, 40]], "scores": [0.9], "labels": ["person"]}
    mine = tmp_path / "mine.jsonl"
    mine.write_text(
        "".join(
            json.dumps({"frame": i, "pts": i * 40, "time": i / 25, **row}) + "\n" for i in range(12)
        )
    )
    code, _, err = run("detect", film.path, tmp_path / "seen.jsonl", "--detector", f"boxes:{mine}")
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(12))
    assert all(row["labels"] == ["person"] for row in rows)
    assert np.abs(np.array([row["boxes"][0] for row in rows]) - [8, 8, 40, 40]).max() <= 6
    code, _, err = run(
        "colorize", film.path, tmp_path / "o.mkv", "--detector", f"boxes:{tmp_path / 'seen.jsonl'}"
    )
    assert code == 0, err
    assert run("detect", film.path, tmp_path / "seen.jsonl")[0] == 1
    mine.write_text('{"frame": 0, "boxes": [[1, 2, 3]]}\n')
    code, _, err = run("colorize", film.path, tmp_path / "p.mkv", "--detector", f"boxes:{mine}")
    assert code == 1
    assert "mine.jsonl:1" in err
    assert err.count("\n") == 1


def test_shots_go_out_and_come_back(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=12)
    code, out, _ = run("shots", film.path)
    assert code == 0
    shots = json.loads(out)["shots"]
    assert len(shots) == 1
    assert run("shots", film.path, tmp_path / "shots.json")[0] == 0
    assert json.loads((tmp_path / "shots.json").read_text())["shots"] == shots
    assert (
        run("colorize", film.path, tmp_path / "o.mkv", "--shots", tmp_path / "shots.json")[0] == 0
    )


def test_layers_default_file_environment_flag(run, tmp_path, monkeypatch):
    film = make_video(tmp_path / "in.mkv", frames=4)
    settings = tmp_path / "my.toml"
    settings.write_text('[output]\ncodec = "ffv1"\npix_fmt = "yuv444p"\n')

    def made(name, *words):
        code, _, err = run("colorize", film.path, tmp_path / name, "--config", settings, *words)
        assert code == 0, err
        with av.open(str(tmp_path / name)) as result:
            return result.streams.video[0].codec_context.pix_fmt

    assert made("a.mkv") == "yuv444p"
    monkeypatch.setenv("VIDCOLOR_OUTPUT__PIX_FMT", "yuv422p")
    assert made("b.mkv") == "yuv422p"
    assert made("c.mkv", "--pix-fmt", "yuv420p") == "yuv420p"
    assert made("d.mkv", "--output.pix_fmt", "yuv420p10le") == "yuv420p10le"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--stabilize.tao", "4"], 2, "did you mean --stabilize.tau?"),
        (["--colorizr", "x"], 2, "did you mean --colorizer?"),
        (["--crf", "many"], 1, "output.crf: 'many' is not"),
        (["--precision", "float8"], 1, "'float8' is not one of"),
        (["--colorizer", "quaternet"], 1, "did you mean 'quarternet'?"),
        (["--colorizer", "siggraph17"], 1, "for quarternet, not for --colorizer siggraph17"),
        (["--device", "cuda:77"], 1, "try --device cpu"),
        (["--start", "soon"], 2, "'soon' is no time"),
        (["--batch-size", "0"], 1, "batch_size"),
        (["--detector", "magic"], 1, "detector"),
        (["--codec", "vhs"], 1, "vhs"),
    ],
)
def test_wrong_options_are_one_line(run, tmp_path, words, code, text):
    film = make_video(tmp_path / "in.mkv", frames=3)
    got, out, err = run("colorize", film.path, tmp_path / "out.mkv", *words)
    assert got == code, err
    assert text in err
    assert out == ""
    assert "Traceback" not in err
    _no_leftovers(tmp_path, "in.mkv")


def test_config_files_are_strict(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=3)
    bad = tmp_path / "bad.toml"
    bad.write_text("[stabilise]\ntau = 3\n")
    code, _, err = run("colorize", film.path, tmp_path / "o.mkv", "--config", bad)
    assert code == 1
    assert "bad.toml.stabilise: unknown key; did you mean 'stabilize'?" in err


def test_bad_inputs_are_one_line_and_leave_nothing(run, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    cases = [
        (tmp_path / "missing.mkv", "missing.mkv"),
        (tmp_path / "empty.mp4", "empty.mp4"),
        (tmp_path / "noise.mkv", "noise.mkv"),
    ]
    for path, text in cases:
        code, _, err = run("colorize", path, tmp_path / "out.mkv")
        assert code == 1
        assert text in err
        assert err.count("\n") == 1
    film = make_video(tmp_path / "in.mkv", frames=3)
    assert run("colorize", film.path, film.path)[0] == 1
    assert run("colorize", film.path, tmp_path / "no" / "folder.mkv")[0] == 1
    assert run("colorize", film.path, tmp_path / "out.xyz")[0] == 1
    other = tmp_path / "other.safetensors"
    save_weights(other, create_model("quarternet", width=4), "quarternet", {"width": 4}, {})
    other.write_bytes(other.read_bytes()[:-50])
    code, _, err = run("colorize", film.path, tmp_path / "o.mkv", "--weights", other, network=False)
    assert code == 1
    assert "other.safetensors" in err
    assert not (tmp_path / "o.mkv").exists()


def test_a_truncated_film_is_kept_only_when_asked(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=60, size=(96, 128))
    cut_off(film.path, 0.6)
    code, _, err = run("colorize", film.path, tmp_path / "out.mkv", "--codec", "ffv1")
    assert code == 1
    assert "in.mkv" in err
    _no_leftovers(tmp_path, "in.mkv")
    code, _, _ = run(
        "colorize", film.path, tmp_path / "out.mkv", "--codec", "ffv1", "--keep-partial"
    )
    assert code == 1
    _no_leftovers(tmp_path, "in.mkv", "out.partial.mkv")
    kept = read_luma(tmp_path / "out.partial.mkv")[0]
    assert 10 < len(kept) < 60
    assert all(np.array_equal(a, b) for a, b in zip(kept, film.luma, strict=False))


def test_help_is_instant_and_imports_no_torch():
    code = "import sys; from vidcolor import cli; cli.main(['weights', 'path']); " \
        "sys.exit('torch' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_usage_and_version(run, capsys):
    assert cli.main([]) == 2
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("vidcolor ")
    assert cli.main(["colorise", "a", "b"]) == 2


def test_settings_and_weights_lists(run):
    code, out, _ = run("settings")
    assert code == 0
    assert "--stabilize.tau" in out
    code, out, _ = run("weights", "list")
    assert code == 0
    for word in ("starter", "siggraph17", "instcolor", "license", "sha256"):
        assert word in out
    code, _, err = run("weights", "fetch", "instcolr")
    assert code == 1
    assert "did you mean 'instcolor'?" in err


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_stopped_run_leaves_no_half_file(weights, tmp_path, kind):
    import signal

    film = make_video(tmp_path / "in.mkv", frames=4000, size=(48, 64))
    words = [sys.executable, "-m", "vidcolor.cli", "colorize", str(film.path),
             str(tmp_path / "out.mkv"), "--weights", str(weights), "--detector", "none",
             "--colorize.short_side", "256"]  # fmt: skip
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if len(list(tmp_path.iterdir())) > 1:
                break
            threading.Event().wait(0.1)
        assert len(list(tmp_path.iterdir())) > 1, "never started writing"
        child.send_signal(getattr(signal, kind))
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == (130 if kind == "SIGINT" else 143)
    assert "Traceback" not in err
    _no_leftovers(tmp_path, "in.mkv")


def test_ctrl_c_within_code_made_of_text_keeps_the_exit_code(tmp_path):
    text = """
import signal, sys
from vidcolor.cli.terminal import Stop
try:
    exec("Stop()(signal.SIGINT, None)")
except KeyboardInterrupt:
    sys.exit(130)
"""
    (tmp_path / "interrupted.py").write_text(text)
    words = [sys.executable, "-m", "interrupted"]
    assert subprocess.run(words, cwd=tmp_path).returncode == 130


def test_files_for_the_whole_film_serve_a_part(run, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=20)
    rows = [
        {"frame": i, "pts": i * 40, "boxes": [[i, 8, 30 + i, 40]], "ids": [7]} for i in range(20)
    ]
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shots = tmp_path / "shots.json"
    listed = [
        {"start": 0, "end": 5, "pts": 0},
        {"start": 6, "end": 11, "pts": 240},
        {"start": 12, "end": 19, "pts": 480},
    ]
    shots.write_text(json.dumps({"shots": listed}))
    part = ("--start", "0.32", "--duration", "0.4", "--shots", shots)
    code, _, err = run(
        "detect", film.path, tmp_path / "part.jsonl", "--detector", f"boxes:{boxes}", *part
    )
    assert code == 0, err
    seen = [json.loads(line) for line in (tmp_path / "part.jsonl").read_text().splitlines()]
    assert [row["pts"] for row in seen] == list(range(320, 720, 40))
    assert [row["boxes"][0][0] for row in seen] == list(range(8, 18))
    code, out, err = run("shots", film.path, *part)
    assert code == 0, err
    assert [shot["start"] for shot in json.loads(out)["shots"]] == [0, 4]


def test_a_signal_that_was_swallowed_is_raised_again_by_the_next_progress():
    import signal

    stop = Stop()
    bar = Bar(10, "frame", True, stop)
    bar(1)
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        bar(1)
