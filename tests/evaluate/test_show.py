"""What people see: table, plot, sheet, command."""

import json

import cv2
import numpy as np
import pytest
from made_color import BLUE, RED, flat, texture, tint, write_film

from vidcolor.cli.terminal import Parser, Stop, Usage
from vidcolor.errors import ConfigError, MediaError
from vidcolor.evaluate import evaluate_film
from vidcolor.evaluate.plot import draw_plot
from vidcolor.evaluate.sheet import draw_sheet


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A film with a flash of color and a cut, its gray source, its shots."""
    folder = tmp_path_factory.mktemp("show")
    grays = [texture()] * 12 + [texture(seed=3)] * 12
    colors = [RED] * 6 + [BLUE] + [RED] * 5 + [BLUE] * 12
    shots = folder / "shots.json"
    shots.write_text('{"shots": [{"start": 0, "end": 11}, {"start": 12, "end": 23}]}')
    return {
        "result": write_film(folder / "a.mkv", [tint(*x) for x in zip(grays, colors, strict=True)]),
        "source": write_film(folder / "b.mkv", [np.dstack([gray] * 3) for gray in grays]),
        "shots": shots,
    }


@pytest.fixture(scope="module")
def report(films):
    return evaluate_film(**films)


@pytest.fixture
def words(films):
    return [films["result"], "--source", films["source"], "--shots", films["shots"]]


def test_the_table_names_shots_and_worst_moments(report):
    table = report.to_table()
    lines = table.splitlines()
    assert "24 frames, 2 shots" in lines[1]
    columns = lines[3].split()
    row = next(line for line in lines if line.startswith("film"))
    assert columns[:2] == ["frames", "instab"]
    assert row.split()[1:3] == ["24", f"{report.film.color.instability:.2f}"]
    assert sum(line.startswith("shot ") for line in lines) == 2
    assert any("flash" in line and "0:00:00.240" in line for line in lines)
    assert "PSNR" not in table


def test_the_plot_shows_a_peak_where_color_jumps(report):
    plot = draw_plot(report)
    red = np.all(np.abs(plot.astype(int) - (205, 45, 45)) < 40, axis=2)[60:250, 70:]
    across = np.flatnonzero(red.any(axis=0))
    top = np.array([np.flatnonzero(red[:, x])[0] for x in across])
    peak = across[top == top.min()].mean() + 70
    frame = (peak - 66) / (1400 - 66 - 20 - 1) * 23
    assert 6 <= frame <= 7
    # the border between the shots, in every panel
    border = round(66 + 12 / 23 * (1400 - 66 - 20 - 1))
    gray = np.all(plot[:, border - 1 : border + 2] == 150, axis=2).any(axis=1)
    assert gray.mean() > 0.5


def test_the_sheet_shows_before_at_and_after(report):
    sheet = draw_sheet(report)
    before, at, after = report.worst[0].pictures
    assert np.linalg.norm(at.mean((0, 1)) - before.mean((0, 1))) > 20
    assert np.abs(after.astype(int) - before).max() == 0
    height, width = before.shape[:2]
    assert sheet.shape[1] == 3 * (width + 8) + 8
    shown = sheet[26 : 26 + height, 8 : 8 + width]
    assert (shown == before).mean() > 0.7  # but for the box


def test_a_steady_film_has_an_empty_sheet(tmp_path):
    steady = evaluate_film(write_film(tmp_path / "a.mkv", [flat(RED)] * 4))
    assert draw_sheet(steady).shape[0] == 40
    assert draw_plot(steady).ndim == 3


def run(*words):
    from vidcolor.cli.evaluate import add_command

    root = Parser(prog="vidcolor")
    commands = root.add_subparsers(parser_class=Parser)

    def add(name, summary, function, **settings):
        parser = commands.add_parser(name, help=summary, **settings)
        parser.set_defaults(run=function)
        return parser

    add_command(add)
    args, extra = root.parse_known_args(["evaluate", *map(str, words)])
    args.stop = Stop()
    return args.run(args, extra)


def test_the_command_writes_what_is_asked(words, tmp_path, capsys):
    outputs = [tmp_path / name for name in ("o.json", "p.png", "s.png")]
    words += ["--json", outputs[0], "--plot", outputs[1], "--sheet", outputs[2], "--quiet"]
    assert run(*words, "--motion_side", "32", "--worst=1") == 0
    assert "24 frames, 2 shots" in capsys.readouterr().out
    data = json.loads(outputs[0].read_text())
    assert data["motion_size"] == [32, 43]
    assert len(data["worst"]) == 1
    assert cv2.imread(str(outputs[1])).shape[1] == 1400
    assert cv2.imread(str(outputs[2])).shape[0] > 40
    with pytest.raises(MediaError, match=r"o\.json: exists"):
        run(*words)
    assert run(*words, "--overwrite") == 0


def test_the_command_refuses_what_it_does_not_know(films, tmp_path):
    film = films["result"]
    with pytest.raises(Usage, match="motion_side"):
        run(film, "--motion_sid", "3")
    with pytest.raises(ConfigError, match="motion_side must be at least 16"):
        run(film, "--motion_side", "3")
    with pytest.raises(Usage, match="RESULT"):
        run()
    with pytest.raises(MediaError, match=r"o\.png"):
        run(film, "--plot", tmp_path / "o.jpg")


def test_keys_are_listed(capsys):
    assert run("--keys") == 0
    assert "--motion_side 256" in capsys.readouterr().out
