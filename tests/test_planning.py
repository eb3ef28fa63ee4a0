import functools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from guidance.scripts import write
from media import make_video

from vidcolor.cli import plan as command
from vidcolor.cli.terminal import Parser, Stop, Usage
from vidcolor.config import Config
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.guidance.script.entries import fingerprint
from vidcolor.guidance.script.file import check_source, read_script
from vidcolor.guidance.script.key import content_mark
from vidcolor.planning import listed_shots, planned_run, shot_made_of
from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.schema import load, merge


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """30 frames of 1001/24000 s; the first ten and the others are two shots, says a shots file."""
    folder = tmp_path_factory.mktemp("film")
    ticks = [1001 * n for n in range(30)]
    made = make_video(
        folder / "film.mkv", frames=30, pts=ticks, time_base=Fraction(1, 24000), codec="ffv1"
    )
    (folder / "shots.json").write_text(
        '{"shots": [{"start": 0, "end": 9}, {"start": 10, "end": 29}]}'
    )
    return made.path


def _run(*words):
    root = Parser()
    commands = root.add_subparsers(dest="command", parser_class=Parser)

    def add(name, summary, run, **settings):
        parser = commands.add_parser(name, **settings)
        parser.set_defaults(run=run)
        return parser

    command.add_command(add)
    args, extra = root.parse_known_args(["plan", *map(str, words)])
    args.stop = Stop()
    return args.run(args, extra)


def test_shots_of_a_film(film, tmp_path):
    path = tmp_path / "film.vidcolor"
    words = (film, path, "--no-tracks", "--shots", film.parent / "shots.json", "--quiet")
    assert _run(*words, "--stabilize.tau", "4", "--batch-size", "7") == 0
    script = read_script(path)
    assert [(shot.number, shot.start, shot.end) for shot in script.shots] == [
        (0, 0, 9), (1, 10, 29),
    ]  # fmt: skip
    first, second = script.shots
    tick = script.source.tick
    # Matroska keeps milliseconds
    times = np.array([first.pts, first.end_pts, second.pts, second.end_pts]) * float(tick)
    np.testing.assert_allclose(times, np.array([0, 9, 10, 29]) * 1001 / 24000, atol=1e-3)
    assert second.time == "0:00:00.417"
    assert script.source.frames == 30
    assert script.source.fingerprint == fingerprint(film)
    assert script.settings == {"stabilize": {"tau": 4.0}}
    assert script.tracks == ()
    check_source(script, path, film)


def test_a_grade_is_kept_where_a_script_has_it(film, tmp_path):
    path = tmp_path / "film.vidcolor"
    words = ("--no-tracks", "--quiet", "--grade.saturation", "0.5", "--grade.lut", "look.cube")
    assert _run(film, path, *words) == 0
    script = read_script(path, functools.partial(load, Config))
    assert script.grade.saturation == 0.5
    assert script.grade.lut == str(Path("look.cube").absolute())
    assert script.settings == {}


def test_a_script_is_not_written_over(film, tmp_path, monkeypatch):
    path = tmp_path / "film.vidcolor"
    path.write_text("mine")
    with monkeypatch.context() as patch:  # known before the film is looked at
        patch.setattr("vidcolor.planning.plan_film", None)
        with pytest.raises(MediaError, match=r"film\.vidcolor: exists; use --overwrite"):
            _run(film, path, "--no-tracks", "--quiet")
    assert path.read_text() == "mine"
    assert _run(film, path, "--no-tracks", "--quiet", "--overwrite") == 0
    assert read_script(path).source.name == "film.mkv"


def test_objects_of_a_film(film, tmp_path):
    """Boxes of a file: one object in each shot; they are what the tracks are."""
    boxes = tmp_path / "boxes.jsonl"
    row = '{{"frame": {0}, "boxes": [[8, 8, 40, 40]], "labels": ["person"]}}'
    boxes.write_text("\n".join(row.format(n) for n in range(30)))
    path = tmp_path / "film.vidcolor"
    shots = film.parent / "shots.json"
    words = ("--shots", shots, "--detector", f"boxes:{boxes}", "--colorize.short_side", "64")
    assert _run(film, path, "--quiet", "--device", "cpu", *words) == 0
    script = read_script(path)
    assert [(track.shot, track.label) for track in script.tracks] == [(0, "person"), (1, "person")]
    assert [track.id // 100_000 for track in script.tracks] == [0, 1]
    assert script.settings["detect"] == {"detector": f"boxes:{boxes}"}


def test_another_search_for_shots_keeps_what_was_said(film, tmp_path):
    path = tmp_path / "film.vidcolor"
    words = (film, path, "--no-tracks", "--quiet")
    assert _run(*words) == 0
    text = path.read_text().replace("[[shots]]", "[grade]\nsaturation = 0.5\n\n[[shots]]", 1)
    path.write_text(text + 'note = "mine"\n')
    again = (*words, "--shots", film.parent / "shots.json", "--keep", path, "--overwrite")
    assert _run(*again) == 0
    script = read_script(path)
    assert script.grade.saturation == 0.5
    assert [shot.note for shot in script.shots] == ["mine", "mine"]
    path.write_text(path.read_text().replace('fingerprint = "', 'fingerprint = "0'))
    with pytest.raises(GuidanceError, match="another film"):
        _run(*again)


@pytest.mark.parametrize("size", [1, 7, 24, 96])
def test_other_settings_for_other_shots(size, tmp_path):
    """Shots 0-23 and 48-95 like the film, 24-47 with settings of its own (guidance.scripts)."""
    script = read_script(write(tmp_path))
    info = VideoInfo(2, 2)
    luma = torch.zeros(96, 1, 2, 2, dtype=torch.uint8)
    film = FrameBatch(luma, tuple(range(96)), info)
    seen = []

    def run_for(settings):
        def color(frames, shots):
            batches = list(frames)
            seen.append((
                settings.get("colorize", {}).get("colorizer"),
                [shot.shot for shot in shots],
                [pts for batch in batches for pts in batch.pts],
            ))  # fmt: skip
            yield from batches

        return color

    run = planned_run(script, tmp_path, run_for)
    shots = listed_shots(script)
    assert (shots[1].start, shots[1].end, shots[1].pts) == (24, 47, 24024)
    out = list(run((film[i : i + size] for i in range(0, 96, size)), shots))
    assert [pts for batch in out for pts in batch.pts] == list(range(96))
    assert seen == [
        (None, [0], list(range(24))),
        ("siggraph17", [1], list(range(24, 48))),
        (None, [2], list(range(48, 96))),
    ]
    # a run in the middle of the film, as where only some shots are rendered
    seen.clear()
    list(run([film[30:70], film[70:]], shots[1:]))
    assert [row[:2] for row in seen] == [("siggraph17", [1]), (None, [2])]
    # neighbors with the same settings share a line
    seen.clear()
    plain = replace(script.shots[1], colorizer=None, settings={})
    script = replace(script, shots=(script.shots[0], plain, script.shots[2]))
    list(planned_run(script, tmp_path, run_for)([film], shots))
    assert [row[:2] for row in seen] == [(None, [0, 1, 2])]


def test_a_shot_is_made_of_the_picture_of_its_style(tmp_path, monkeypatch):
    """Another picture under the same name makes another shot."""
    monkeypatch.chdir(tmp_path)
    script = read_script(write(tmp_path))
    shots = listed_shots(script)

    def mark(shot, **colorize):
        def settings(keys):
            own = {"colorize": {"colorizer": "iizuka16", "weights": "recipe", **colorize}}
            return load(Config, merge(merge(keys, {"guidance": {"references": []}}), own))

        return shot_made_of(script, shots[shot], tmp_path, settings)

    (tmp_path / "winter.png").write_bytes(b"snow")
    (tmp_path / "again.png").write_bytes(b"snow")
    first = mark(0, style="winter.png")
    assert first["files"] == [content_mark(tmp_path / "again.png")]
    assert mark(0)["files"] == []
    (tmp_path / "winter.png").write_bytes(b"sun!!")
    second = mark(0, style="winter.png")
    assert second["files"] != first["files"]
    assert {**second, "files": first["files"]} == first
    with pytest.raises(GuidanceError, match=r"none\.png: cannot be read"):
        mark(0, style="none.png")


def test_a_shot_is_made_of_the_masks_that_repair_goes_by(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = read_script(write(tmp_path))
    shots = listed_shots(script)

    def files(enabled):
        def settings(keys):
            own = {
                "colorize": {"colorizer": "iizuka16", "weights": "recipe"},
                "restore": {"enabled": enabled, "masks": "masks", "spots": "spots.jsonl"},
            }
            return load(Config, merge(merge(keys, {"guidance": {"references": []}}), own))

        return shot_made_of(script, shots[0], tmp_path, settings)["files"]

    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "000003.png").write_bytes(b"white")
    (tmp_path / "spots.jsonl").write_bytes(b"{}")
    first = files(True)
    assert len(first) == 2
    assert files(False) == []
    (tmp_path / "masks" / "000003.png").write_bytes(b"black")
    assert [a == b for a, b in zip(files(True), first, strict=True)] == [False, True]


def test_only_whole_films(film, tmp_path):
    with pytest.raises(Usage, match="whole film"):
        _run(film, tmp_path / "x.vidcolor", "--start", "3")
    with pytest.raises((GuidanceError, ConfigError, MediaError), match=r"none\.mkv"):
        _run(tmp_path / "none.mkv", tmp_path / "x.vidcolor", "--no-tracks")
