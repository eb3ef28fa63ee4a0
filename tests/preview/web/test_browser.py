"""The page in a real browser, as a person uses it, on a film made here."""

import json
import shutil
import threading
import urllib.request

import av
import cv2
import numpy as np
import pytest
from media import texture, write_gray

from vidcolor import cli
from vidcolor.preview.web.server.serve import Server, open_site

SIZE = (120, 192)
FRAMES = 14  # of each shot
SHOTS = 3
LAYERS = (
    {},
    {
        "device": "cpu",
        "precision": "float32",
        "colorize": {"short_side": 64},
        "hints": {"short_side": 64},
        "detect": {"detector": "motion"},
        "output": {"codec": "ffv1", "pix_fmt": "yuv444p"},
    },
)
FLAGS = (
    "--device cpu --precision float32 --colorize.short_side 64 --hints.short_side 64 "
    "--detector motion --codec ffv1 --pix-fmt yuv444p --quiet"
)
WAIT_MS = 20_000  # machines are shared


def _luma(frame):
    shot, number = divmod(frame, FRAMES)
    luma = texture(shot, 20, 230, 25.0, SIZE)
    x = 56 + 4 * number
    luma[40:80, x : x + 40] = texture(9, 180, 230, 2.0, (40, 40))
    return luma.astype(np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "street scene.mkv"
    return write_gray(path, [_luma(number) for number in range(SHOTS * FRAMES)], sound=True)


@pytest.fixture
def film(source, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    return shutil.copy(source, tmp_path / source.name)


@pytest.fixture
def served(film, tmp_path):
    site = open_site([film], LAYERS, folder=tmp_path / "sent", upload_limit=1 << 20)
    with Server(site) as server:
        yield server


@pytest.fixture
def page(chromium, served):
    """A tab with the film open; anything odd on its console fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    tab = _tab(context)
    _open(tab, served.url)
    yield tab
    odd = tab.odd
    context.close()
    assert odd == []


def _tab(context):
    tab = context.new_page()
    tab.set_default_timeout(WAIT_MS)
    tab.odd = []
    tab.on("console", lambda said: _odd(said) and tab.odd.append(f"{said.text} {said.location}"))
    tab.on("pageerror", lambda error: tab.odd.append(str(error)))
    return tab


def _odd(said):
    return said.type in ("error", "warning")


def _open(tab, url):
    tab.goto(url)
    if "film=" not in tab.url:
        tab.get_by_test_id("open-film").click()
        tab.get_by_test_id("film").first.click()
    _ready(tab)


def _ready(tab):
    """Exact shots are known."""
    tab.locator(f"#shot-{SHOTS - 1}").wait_for()
    tab.locator("[data-testid=saved][data-state=saved]").wait_for()


def _exact(tab):
    tab.locator("[data-testid=kind][data-kind=exact]").wait_for(state="attached")


def _shot(tab, number, state):
    tab.locator(f"#shot-{number}[data-state={state}]").wait_for()


def _say_blue(tab):
    """A dot in the middle of the picture, which is where the square is."""
    tab.get_by_test_id("tool-dot").click()
    tab.get_by_test_id("color-word").fill("#3050d0")
    tab.get_by_test_id("color-word").press("Enter")
    tab.get_by_test_id("overlay").click()
    tab.get_by_test_id("hint").wait_for()


def _frames(path):
    with av.open(str(path)) as result:
        return [frame.to_ndarray(format="rgb24") for frame in result.decode(video=0)]


def _render(tab):
    tab.get_by_test_id("render-open").click()
    tab.get_by_test_id("render-start").click()


def _rendered(tab):
    tab.locator("[data-testid=render-open][data-state=done]").wait_for(state="attached")


def test_from_a_click_to_the_film_that_the_command_line_makes(page, film, tmp_path):
    page.get_by_test_id("overlay").press("p")
    _exact(page)
    _shot(page, 0, "ready")
    page.locator("#shot-1").click()
    _say_blue(page)
    _shot(page, 1, "ready")  # what was said is shown by itself
    script = film.with_suffix(".vidcolor").read_text()
    assert 'color = "#3050d0"' in script
    _render(page)
    _rendered(page)
    with page.expect_download() as download:
        page.get_by_test_id("download").click()
    output = film.with_name("street scene-color.mkv")
    assert download.value.suggested_filename == output.name
    download.value.save_as(tmp_path / "downloaded.mkv")
    assert (tmp_path / "downloaded.mkv").read_bytes() == output.read_bytes()
    again = tmp_path / "again.mkv"
    words = [str(film), str(again), "--plan", str(film.with_suffix(".vidcolor")), *FLAGS.split()]
    assert cli.main(["colorize", *words]) == 0
    seen, made = _frames(output), _frames(again)
    assert len(seen) == SHOTS * FRAMES
    assert all(np.array_equal(a, b) for a, b in zip(seen, made, strict=True))
    red, _, blue = np.moveaxis(seen[FRAMES].astype(int), 2, 0)
    assert (blue - red)[50:70, 65:85].mean() > 40  # the square of shot 1
    assert abs((blue - red)[:20].mean()) < 40
    # the frame on the page is the frame in the film
    shown = page.evaluate(
        "async () => { const r = await fetch(location.pathname.replace(/\\/$/, '') +"
        " '/api/films/' + new URLSearchParams(location.hash.slice(1)).get('film') +"
        " '/shots/1/frames/0.png?side=after');"
        " return Array.from(new Uint8Array(await r.arrayBuffer())) }"
    )
    picture = cv2.imdecode(np.array(shown, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert picture.shape[:2] == SIZE
    assert np.abs(picture.astype(int) - seen[FRAMES]).max() <= 2  # two ways to R'G'B'


def test_settings_and_grades_reach_the_script(page, film):
    page.get_by_test_id("tab-settings").click()
    page.get_by_test_id("scope-film").click()
    _turn(page, "stabilize.tau", "5")
    _saved_with(film, "tau = 5")
    page.get_by_test_id("scope-shot").click()
    _turn(page, "grade.saturation", "0.5")
    _saved_with(film, "saturation = 0.5")
    page.get_by_test_id("undo").click()
    page.locator("[data-testid=redo]:not([disabled])").wait_for()
    assert "saturation" not in film.with_suffix(".vidcolor").read_text()


def _turn(tab, key, value):
    """Type a value, in whichever group of settings it is."""
    control = tab.get_by_test_id(f"control-{key}")
    group = tab.locator("details", has=control)
    if not control.is_visible():
        group.locator("summary").click()
    box = control.locator("input[type=number]")
    box.fill(value)
    box.press("Enter")


def _saved_with(film, words):
    done = threading.Event()
    for _ in range(300):
        if words in film.with_suffix(".vidcolor").read_text():
            return
        done.wait(0.1)
    raise AssertionError(f"{words} never came into the script")


def test_a_reload_while_it_renders_changes_nothing(page, film):
    page.locator("#shot-2").click()
    _render(page)
    page.reload()
    _ready(page)
    assert "shot=3" in page.url  # people count from 1
    _rendered(page)
    assert len(_frames(film.with_name("street scene-color.mkv"))) == SHOTS * FRAMES


def test_two_tabs_say_different_things_and_both_are_kept(page, served, film):
    other = _tab(page.context)
    _open(other, served.url)
    _say_blue(page)
    other.get_by_test_id("hint").wait_for()
    other.get_by_test_id("tab-notes").click()
    other.get_by_test_id("note").fill("the blue square")
    other.get_by_test_id("note").blur()
    _saved_with(film, "the blue square")
    assert "#3050d0" in film.with_suffix(".vidcolor").read_text()
    assert other.odd == []


def test_rubbish_is_refused_in_a_sentence(page, tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"no film at all" * 100)
    page.get_by_test_id("open-film").click()
    page.get_by_test_id("film-file").set_input_files(tmp_path / "holiday.mp4")
    problem = page.get_by_test_id("error").first
    problem.wait_for()
    assert "holiday.mp4" in problem.inner_text()
    assert str(tmp_path) not in problem.inner_text()
    assert not any((tmp_path / "sent").glob("*")) if (tmp_path / "sent").exists() else True
    page.odd.clear()  # the browser itself notes answers that refuse


def test_a_film_that_is_sent_opens(page, source, tmp_path):
    page.get_by_test_id("open-film").click()
    sent = tmp_path / "from elsewhere.mkv"
    shutil.copy(source, sent)
    page.get_by_test_id("film-file").set_input_files(sent)
    page.get_by_test_id("film-name").get_by_text("from elsewhere.mkv").wait_for()
    _ready(page)
    assert (
        next((tmp_path / "sent").rglob("from elsewhere.mkv/*.mkv")).read_bytes()
        == source.read_bytes()
    )


def test_everything_by_keyboard(page):
    page.get_by_test_id("overlay").focus()
    page.keyboard.press("p")
    _exact(page)
    _shot(page, 0, "ready")
    first = page.get_by_test_id("frame-count").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    assert page.get_by_test_id("frame-count").inner_text() != first
    page.keyboard.press("?")
    assert page.get_by_role("dialog").first.is_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert not page.get_by_role("dialog").first.is_visible()


def test_the_clip_plays_with_both_sides(page, served):
    page.get_by_test_id("overlay").press("p")
    _exact(page)
    _shot(page, 0, "ready")
    page.get_by_test_id("loop").click()
    page.get_by_test_id("mute").click()
    before = page.get_by_test_id("frame-count").inner_text()
    page.get_by_test_id("play").click()
    page.wait_for_timeout(1500)
    assert page.get_by_test_id("frame-count").inner_text() != before


@pytest.mark.parametrize("size", [(360, 740), (768, 1024)])
def test_small_screens_show_everything(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for name in ("render-open", "play", "scrub", "tab-color", "tab-settings"):
        box = page.get_by_test_id(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0] + 1
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= size[0]


def test_nothing_is_asked_of_others(chromium, served, film):
    asked = []
    context = chromium.new_context()
    tab = _tab(context)
    tab.on("request", lambda request: asked.append(request.url))
    _open(tab, served.url)
    context.close()
    own = served.url.split("?")[0]
    assert asked
    assert all(url.startswith((own, "blob:", "data:")) for url in asked)


def test_the_server_tells_what_the_page_shows(page, served):
    with urllib.request.urlopen(served.url + "api/state") as answer:
        films = json.load(answer)["films"]
    assert [one["name"] for one in films] == ["street scene.mkv"]
    assert page.get_by_test_id("film-name").inner_text().startswith("street scene.mkv")
