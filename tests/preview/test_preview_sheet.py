"""The contact sheet: which frames it shows, where they lie on it, and what it is made of."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from preview_scenes import make_film, moving

from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.film_frames import FilmFrames
from vidcolor.ops import draw
from vidcolor.preview import places, sheet, sheet_page
from vidcolor.preview.contender import Contender
from vidcolor.preview.places import plan_places
from vidcolor.preview.sheet import make_sheet, partial_of
from vidcolor.preview.sheet_page import Cell, Grid, draw_page, draw_row
from vidcolor.schema import load
from vidcolor.scripted import ScriptedFilm

FRAMES = 20  # of each shot
SHOTS = 5
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "detect": {"detector": "none"},
}
CONFIG = load(Config, SETTINGS)
STEP = 512  # ticks of a frame


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pictures = [frame for seed in range(SHOTS) for frame in moving(seed, FRAMES)]
    return make_film(tmp_path_factory.mktemp("sheet") / "film.mp4", pictures, key_every=FRAMES)


@pytest.fixture(scope="module")
def film(path):
    with FilmFrames(path) as opened:
        yield opened


def read(path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1]


def panes(picture: np.ndarray, grid: Grid, row: int, column: int, lines: int = 2):
    """The pictures of a shot on a page."""
    height, width = grid.pane
    top = picture.shape[0] - sheet_page._MARGIN + sheet_page._ROW_GAP
    rows = round((top - 130) / grid.row)
    top -= (rows - row) * grid.row
    left = grid.left(column)
    for place in range(len(grid.heads)):
        x = left + place * (width + 2)
        yield picture[top : top + height, x : x + width].astype(int)


def test_before_is_the_film_and_after_is_the_film_in_color(path, film, tmp_path):
    out = tmp_path / "sheet.png"
    done = []
    assert make_sheet(path, out, CONFIG, progress=done.append) == (out,)
    assert sum(done) == SHOTS
    assert not partial_of(out).exists()
    picture = read(out)
    grid = Grid.fitting(("before", "after"), (96, 160), SHOTS, None, 1920)
    assert grid.columns == 2
    assert picture.shape[1] == grid.width
    for shot in range(SHOTS):
        before, after = panes(picture, grid, shot // 2, shot % 2)
        frame = film.at((shot * FRAMES + FRAMES // 2) * STEP)
        expected = (frame.luma[0, 0].numpy() - 16.0) * 255 / 219
        assert np.ptp(before, axis=2).max() == 0, "a gray film"
        assert np.abs(before[..., 0] - expected).mean() < 1
        assert np.ptp(after, axis=2).mean() > 1, "has color"
        luma = after @ (0.2126, 0.7152, 0.0722)
        assert np.abs(luma - expected).mean() < 1, "beside the same luma"


def test_what_is_there_is_not_replaced(path, tmp_path):
    out = tmp_path / "sheet.png"
    out.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        make_sheet(path, out, CONFIG)
    assert out.read_bytes() == b"mine"
    make_sheet(path, out, CONFIG, overwrite=True, limit=1)
    assert read(out).shape[2] == 3
    picture = tmp_path / "photo.png"
    cv2.imwrite(str(picture), moving(0, 1)[0])
    with pytest.raises(MediaError, match="input"):
        make_sheet(picture, picture, CONFIG, overwrite=True)
    with pytest.raises(ConfigError, match="limit"):
        make_sheet(path, tmp_path / "none.png", CONFIG, limit=0)
    with pytest.raises(ConfigError, match="columns"):
        make_sheet(path, tmp_path / "none.png", CONFIG, columns=70)
    assert not list(tmp_path.glob("none*"))


def test_rows_are_there_before_the_sheet_is(path, tmp_path):
    out = tmp_path / "sheet.png"
    heights = []

    def look(count: int) -> None:
        heights.append(read(partial_of(out)).shape[0])

    make_sheet(path, out, CONFIG, columns=2, progress=look)
    grid = Grid.fitting(("before", "after"), (96, 160), SHOTS, 2, 1920)
    assert heights[0] == heights[1], "the first shot is seen at once"
    assert heights[2] == heights[1]
    assert heights[3] == heights[1] + grid.row
    assert read(out).shape[0] == heights[3] + grid.row
    assert [one.name for one in tmp_path.iterdir()] == ["sheet.png"]


def test_a_failure_leaves_what_is_done_and_no_sheet(path, tmp_path):
    out = tmp_path / "sheet.png"

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sheet(path, out, CONFIG, progress=stop)
    assert [one.name for one in tmp_path.iterdir()] == ["sheet.partial.png"]


def test_no_page_has_its_name_before_all_are_done(path, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet_page, "PAGE_PX", 300)  # one row
    out = tmp_path / "sheet.png"
    done = []

    def stop(count: int) -> None:
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sheet(path, out, CONFIG, columns=1, progress=stop)
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == ["sheet-2.partial.png", "sheet-3.partial.png", "sheet.partial.png"]
    pages = make_sheet(path, out, CONFIG, columns=1)
    assert [one.name for one in pages] == ["sheet.png", *(f"sheet-{n}.png" for n in range(2, 6))]
    assert sorted(tmp_path.iterdir()) == sorted(pages)


def test_another_kind_of_file_is_refused_before_the_work(path, tmp_path):
    with pytest.raises(MediaError, match=r"sheet\.jpg: a sheet is written as \.png"):
        make_sheet(path, tmp_path / "sheet.jpg", CONFIG, progress=lambda count: 1 / 0)


def test_many_shots_go_on_pages(path, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet_page, "PAGE_PX", 500)
    out = tmp_path / "sheet.png"
    grid = Grid.fitting(("before", "after"), (96, 160), SHOTS, 1, 1920)
    assert grid.rows == 2
    pages = make_sheet(path, out, CONFIG, columns=1)
    assert [one.name for one in pages] == ["sheet.png", "sheet-2.png", "sheet-3.png"]
    heights = [read(one).shape[0] for one in pages]
    assert heights[0] == heights[1] == heights[2] + grid.row
    assert max(heights) <= 500
    (tmp_path / "sheet.png").unlink()
    with pytest.raises(MediaError, match=r"sheet-2\.png: exists"):
        make_sheet(path, out, CONFIG, columns=1)


def test_contenders_stand_beside_each_other(path, tmp_path):
    pale = load(Config, {**SETTINGS, "compose": {"saturation": 0.0}})
    ways = (Contender("usual", CONFIG), Contender("pale", pale))
    out = tmp_path / "two.png"
    make_sheet(path, out, Config(), contenders=ways, limit=1)
    grid = Grid.fitting(("before", "usual", "pale"), (96, 160), 1, None, 1920)
    before, usual, gray = panes(read(out), grid, 0, 0)
    assert np.ptp(usual, axis=2).mean() > 1
    assert np.ptp(gray, axis=2).max() == 0
    assert np.abs(gray - before).max() <= 1


def test_boxes_lie_over_what_was_detected(path, tmp_path):
    boxes = tmp_path / "boxes.jsonl"
    row = '{{"frame": {}, "boxes": [[40, 24, 120, 72]], "labels": ["person"]}}\n'
    boxes.write_text("".join(row.format(n) for n in range(SHOTS * FRAMES)))
    config = load(Config, {**SETTINGS, "detect": {"detector": f"boxes:{boxes}"}})
    out, plain = tmp_path / "boxes.png", tmp_path / "plain.png"
    make_sheet(path, out, config, boxes=True, limit=2)
    make_sheet(path, plain, config, limit=2)
    grid = Grid.fitting(("before", "after"), (96, 160), 2, None, 1920)
    for column in range(2):
        before, after = panes(read(out), grid, column, 0)
        strong = np.argwhere(np.ptp(after, axis=2) > 80)
        assert strong[:, 0].min() == pytest.approx(24, abs=1)
        assert strong[:, 0].max() == pytest.approx(71, abs=1)
        assert strong[:, 1].min() == pytest.approx(40, abs=1)
        assert strong[:, 1].max() == pytest.approx(119, abs=1)
        assert np.ptp(before, axis=2).max() == 0
        _, without = panes(read(plain), grid, column, 0)
        assert np.ptp(without, axis=2).max() < 80


# -- which frames ----------------------------------------------------------------------------------


def shots_file(tmp_path, *, pts: bool):
    rows = [
        f'{{"start": {n * FRAMES}, "end": {n * FRAMES + FRAMES - 1}'
        + (f', "pts": {n * FRAMES * STEP}}}' if pts else "}")
        for n in range(SHOTS)
    ]
    path = tmp_path / "shots.json"
    path.write_text('{"shots": [' + ", ".join(rows) + "]}")
    return load(Config, {**SETTINGS, "cut": {"shots_file": str(path)}})


@pytest.mark.parametrize("pts", [True, False])
def test_listed_shots_are_shown_inside(film, tmp_path, pts):
    plan = plan_places(film, shots_file(tmp_path, pts=pts), None)
    assert (plan.exact, plan.shots, plan.most) == (True, SHOTS, SHOTS)
    for number, place in enumerate(plan.places):
        frame = film.at(place.pts).pts[0] // STEP
        assert frame == number * FRAMES + FRAMES // 2
        assert place.number in (frame, None)
        assert place.shot == number
        assert place.seconds == pytest.approx(FRAMES / 25, abs=0.03)
        assert film.at(place.begin).pts[0] == number * FRAMES * STEP


def test_of_many_shots_some_are_chosen_evenly(film, tmp_path):
    plan = plan_places(film, shots_file(tmp_path, pts=True), None, limit=2)
    assert [place.shot for place in plan.places] == [0, 2]
    assert (plan.most, plan.shots) == (2, SHOTS)


def test_a_short_film_is_cut_exactly_and_a_long_one_sketched(film, monkeypatch):
    exact = plan_places(film, CONFIG, None)
    assert exact.exact
    assert [place.begin // STEP for place in exact.places] == [n * FRAMES for n in range(SHOTS)]
    monkeypatch.setattr(places, "AT_ONCE_S", 0.01)
    sketched = plan_places(film, CONFIG, None)
    assert not sketched.exact
    assert sketched.shots is None
    found = list(sketched.places)
    assert [place.begin // STEP for place in found] == [n * FRAMES for n in range(SHOTS)]
    assert sketched.most >= len(found)


def test_with_a_run_the_frame_lies_near_the_beginning(tmp_path):
    path = make_film(tmp_path / "long.mp4", moving(1, 100), key_every=10)
    with FilmFrames(path) as film:
        (place,) = plan_places(film, CONFIG, None).places
        assert place.number == 50
        (place,) = plan_places(film, CONFIG, None, run=True).places
        assert place.number == places.RUN_FRAMES
        assert film.at(place.pts).pts[0] // STEP == places.RUN_FRAMES


@pytest.mark.parametrize(
    "when", ["frame = 47", f"pts = {47 * STEP}", 'time = "0:00:01.880"', f"time = {47 / 25}"]
)
def test_the_frame_of_the_first_hint_is_shown(path, film, tmp_path, when):
    rows = "".join(
        f"[[shots]]\nnumber = {n}\nstart = {n * FRAMES}\nend = {n * FRAMES + FRAMES - 1}\n"
        f"pts = {n * FRAMES * STEP}\n"
        for n in range(SHOTS)
    )
    later = '[[hints]]\nframe = 58\npoints = [9, 9]\ncolor = "red"\n'
    script = tmp_path / "film.vidcolor"
    script.write_text(f"version = 1\n{rows}{later}{later.replace('frame = 58', when)}")
    scripted = ScriptedFilm.open(path, script, [SETTINGS])
    found = list(plan_places(film, scripted.config, scripted).places)
    assert found[2].number == 47
    assert film.at(found[2].pts).pts[0] == 47 * STEP
    assert [film.at(found[n].pts).pts[0] // STEP for n in (1, 3)] == [30, 70]


# -- how it is drawn -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shots", "columns"),
    [((1080, 1920), 1, 1), ((1080, 1920), 8, 2), ((1080, 1920), 500, 3), ((1920, 1080), 500, 5)],
)
def test_pictures_keep_their_shape_and_fit(size, shots, columns):
    grid = Grid.fitting(("before", "after"), size, shots, None, 1920)
    assert grid.columns == columns
    assert grid.width <= 1920
    assert grid.pane[1] / grid.pane[0] == pytest.approx(size[1] / size[0], rel=0.02)


def test_small_films_are_not_enlarged():
    grid = Grid.fitting(("before", "after"), (96, 160), 1, None, 1920)
    assert grid.pane == (96, 160)


@pytest.mark.parametrize("width", [300, 600, 640, 1920])
@pytest.mark.parametrize("shots", [1, 40])
def test_the_width_is_kept(path, tmp_path, width, shots):
    for size in ((96, 160), (1080, 1920), (1920, 1080)):
        assert Grid.fitting(("before", "after"), size, shots, None, width).width <= width
    make_sheet(path, tmp_path / "sheet.png", CONFIG, width=width, limit=1)
    assert read(tmp_path / "sheet.png").shape[1] <= width


def test_a_tiny_film_fits_and_no_columns_do_not():
    assert Grid.fitting(("before", "after"), (6, 8), 1, None, 1920).pane == (6, 8)
    for columns, width in ((0, 1920), (-1, 1920), (None, 30)):
        with pytest.raises(ConfigError, match="column"):
            Grid.fitting(("before", "after"), (96, 160), 1, columns, width)


def test_a_picture_has_neither_time_nor_shots(tmp_path, monkeypatch):
    source = tmp_path / "photo.png"
    cv2.imwrite(str(source), moving(0, 1)[0])
    lines, cells = [], []
    monkeypatch.setattr(
        sheet, "draw_page", lambda *rest: (lines.append(rest[2]), draw_page(*rest))[1]
    )
    monkeypatch.setattr(
        sheet, "draw_row", lambda *rest: (cells.append(rest[1]), draw_row(*rest))[1]
    )
    make_sheet(source, tmp_path / "sheet.png", CONFIG)
    assert lines[-1][0] == "160 x 96"
    ((cell,),) = cells[-1:]
    assert (cell.name, cell.facts, cell.length) == ("", "", "")
    assert np.ptp(cell.pictures[1], axis=2).mean() > 1, "has color"


def test_long_names_are_cut_short(monkeypatch):
    grid = Grid.fitting(("before", "after"), (96, 160), 1, None, 1920)
    written = []
    monkeypatch.setattr(
        sheet_page, "write", lambda *rest: (written.append(rest[1]), draw.write(*rest))[1]
    )
    empty = np.zeros((96, 160, 3), np.uint8)
    row = draw_row(grid, [Cell((empty, empty), "12", "0:00:01.000   frame 25", "3.2 s")])
    picture = draw_page(grid, "Dornröschen, " * 20, ["settings"], [row])
    assert written[:3] == ["3.2 s", "12", "0:00:01.000   frame 25"]
    assert written[3].startswith("Dornröschen")
    edge = picture[:, grid.width - sheet_page._MARGIN + 1 :]
    assert (edge == 32).all(), "nothing is written over the edge"


def test_the_title_says_what_is_known(film):
    plan = places.Plan((), 3, 40, exact=True, chosen=True)
    title = sheet._Title("film.mp4", "0:00:04.000", plan, ("settings as usual",))
    assert title.lines(0, 3, 1, last=True)[0].endswith("   40 shots, 3 of them shown")
    seen = sheet._Title("film.mp4", "0:00:04.000", places.Plan((), 90, None, exact=False), ())
    assert seen.lines(0, 60, 1, last=False)[0].endswith("   shots seen at key frames   page 1")
    assert seen.lines(60, 1, 2, last=True)[0].endswith("   61 shots seen at key frames   page 2")
    some = sheet._Title("film.mp4", "", places.Plan((), 9, None, exact=False, chosen=True), ())
    assert some.lines(0, 9, 1, last=True)[0] == "   some of the shots seen at key frames"
    warm = load(Config, {"grade": {"saturation": 1.5}, "device": "cpu"})
    assert sheet._settings(warm) == "grade.saturation 1.5"
    assert film.info.rate == Fraction(25)
