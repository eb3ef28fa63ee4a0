"""The script that users run on their results: it must see every kind of difference."""

import importlib.util
import sys
from pathlib import Path

import av
import pytest
from media import make_video
from test_encode import colorize
from test_streams import EVERYTHING

from vidcolor.io.encode import OutputConfig

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_output.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("verify_output", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_output"] = module
    spec.loader.exec_module(module)
    return module


def states(findings) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


@pytest.mark.parametrize(
    ("codec", "extension", "pix_fmt", "luma"),
    [
        ("ffv1", "mkv", "gray", "ok"),
        ("ffv1", "mkv", "yuv420p10le", "ok"),
        ("h264", "mkv", "yuv420p", "note"),
        ("h264", "mp4", "yuv420p10le", "note"),
        ("prores", "mkv", "yuv420p", "note"),
    ],
)
def test_our_own_output_is_as_promised(script, tmp_path, codec, extension, pix_fmt, luma) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, pix_fmt=pix_fmt, **EVERYTHING)
    output = colorize(film.path, tmp_path / f"b.{extension}", OutputConfig(codec))
    found = states(script.verify(film.path, output))
    assert "BAD" not in found.values(), found
    assert found["luma"] == luma
    assert found["audio 1 (flac, eng)"] == "ok"
    assert found["attachment 4"] == ("ok" if extension == "mkv" else "note")
    exact = states(script.verify(film.path, output, exact=True))
    assert exact["luma"] == ("ok" if luma == "ok" else "BAD")


def test_a_part_is_compared_with_that_part(script, tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=30, sound=("flac",))
    span = (0.4, 0.4)
    output = colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"), span=span)
    found = states(script.verify(film.path, output, start=0.4, duration=0.4))
    assert set(found.values()) == {"ok"}
    assert states(script.verify(film.path, output))["frames"] == "BAD"


def spoil(source: Path, output: Path, drop: int | None, shift: int, keep_sound: bool) -> None:
    """Copy a film with a packet less, later, or without sound."""
    with av.open(str(source)) as film, av.open(str(output), "w") as out:
        kinds = ("video", "audio") if keep_sound else ("video",)
        streams = [s for s in film.streams if s.type in kinds]
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in streams}
        for number, packet in enumerate(film.demux(streams)):
            if packet.size and number != drop:
                packet.pts += shift if packet.stream.type == "video" else 0
                packet.dts = packet.pts
                packet.stream = copies[packet.stream_index]
                out.mux(packet)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"drop": 0, "shift": 0, "keep_sound": True}, {"audio 1 (flac, eng)"}),
        ({"drop": None, "shift": 2, "keep_sound": True}, {"times"}),
        ({"drop": None, "shift": 0, "keep_sound": False}, {"audio 1 (flac, eng)"}),
    ],
)
def test_differences_are_seen(script, tmp_path, how, what) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, sound=("flac",))
    output = colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"))
    spoiled = tmp_path / "c.mkv"
    if how["drop"] == 0:
        with av.open(str(output)) as opened:
            first = [p.stream.type for p in opened.demux() if p.size]
        how = {**how, "drop": first.index("audio")}
    spoil(output, spoiled, **how)
    found = states(script.verify(film.path, spoiled))
    wrong = {name for name, state in found.items() if state == "BAD"}
    assert what <= wrong
    assert "luma" not in wrong


def test_other_luma_and_range_are_seen(script, tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=4)
    other = make_video(tmp_path / "b.mkv", frames=4, full_range=True)
    wrong = states(script.verify(film.path, colorize(other.path, tmp_path / "c.mkv")))
    assert wrong["luma"] == wrong["range"] == wrong["color tags"] == "BAD"
    assert wrong["frames"] == wrong["times"] == wrong["size"] == "ok"


def test_command_line(script, tmp_path, capsys) -> None:
    film = make_video(tmp_path / "a.mkv", frames=4)
    output = colorize(film.path, tmp_path / "b.mkv")
    assert script.main([str(film.path), str(output)]) == 0
    assert "as promised" in capsys.readouterr().out
    assert script.main([str(film.path), str(film.path)]) == 1  # the source has no tags
    assert "not as promised" in capsys.readouterr().out
    assert script.main([str(film.path), str(tmp_path / "none.mkv")]) == 2
    assert "no such file" in capsys.readouterr().err
