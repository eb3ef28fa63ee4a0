"""The page in a real browser: what it asks for, what it tells, and what it leaves alone."""

import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from test_browser import (
    FRAMES,
    LAYERS,
    _exact,
    _ready,
    _saved_with,
    _say_blue,
    _shot,
    _tab,
    film,
    page,
    source,
)

from vidcolor.preview.web.server.serve import Server, open_site

__all__ = ["film", "page", "source"]  # fixtures

MOST_LISTENING = 5  # tabs of one browser
SEEN = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
SLOWLY = """() => {
    const now = window.fetch;
    window.fetch = async (path, how) => {
        const answer = await now(path, how);
        const film = how?.method === "GET" && /films\\/[^/]+$/.test(path);
        if (film) await new Promise((go) => setTimeout(go, 500));
        return answer;
    };
}"""
PIXEL = """([x, y]) => {
    const canvas = document.getElementById("picture");
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const by = Math.min(w / 192, h / 120);
    const at = [w / 2 + (x - 96) * by, h / 2 + (y - 60) * by].map((v) => v * devicePixelRatio);
    return [...canvas.getContext("2d").getImageData(at[0], at[1], 1, 1).data].slice(0, 3);
}"""


@pytest.fixture
def served(film, tmp_path):
    site = open_site([film], LAYERS, folder=tmp_path / "sent", upload_limit=1 << 20)
    with Server(site) as server:
        yield SimpleNamespace(url=server.url, site=site)


@pytest.fixture
def answers(page):
    """Status and address of all that the page was answered."""
    found = []
    page.on("response", lambda answer: found.append((answer.status, answer.url)))
    yield found
    assert [one for one in found if one[0] >= 400] == []


def _switch_preview_off(tab):
    tab.evaluate("() => document.getElementById('auto-preview').click()")


def _listening(site):
    return site.events.listening


def _until(tab, true):
    for _ in range(100):
        if true():
            return
        tab.wait_for_timeout(100)
    raise AssertionError("it never came")


def test_tabs_that_are_not_seen_leave_the_stream_to_others(page, served):
    _switch_preview_off(page)  # new tabs remember it
    tabs = []
    for _ in range(MOST_LISTENING):
        tabs.append(_tab(page.context))
        tabs[-1].goto(served.url)
        _ready(tabs[-1])
        tabs[-1].evaluate(SEEN, True)
    last = _tab(page.context)
    last.goto(served.url)
    _ready(last)
    _until(page, lambda: _listening(served.site) == 2)
    _say_blue(page)
    last.get_by_test_id("hint").wait_for()
    assert tabs[0].get_by_test_id("hint").count() == 0
    tabs[0].evaluate(SEEN, False)
    tabs[0].get_by_test_id("hint").wait_for()  # what it missed comes with being shown
    _until(page, lambda: _listening(served.site) == 3)
    assert [tab.odd for tab in (*tabs, last)] == [[]] * (MOST_LISTENING + 1)


def test_the_only_film_opens_by_itself(chromium, served):
    context = chromium.new_context()
    tab = _tab(context)
    tab.goto(served.url)
    _ready(tab)
    assert not tab.get_by_test_id("welcome-film").first.is_visible()
    context.close()


def test_several_films_are_listed_at_once(chromium, film, tmp_path):
    other = shutil.copy(film, tmp_path / "another.mkv")
    site = open_site([film, other], LAYERS, folder=tmp_path / "sent", upload_limit=1)
    with Server(site) as server:
        context = chromium.new_context()
        tab = _tab(context)
        tab.goto(server.url)
        tab.get_by_test_id("welcome-film").nth(1).wait_for()
        names = tab.get_by_test_id("welcome-film").all_inner_texts()
        assert [name.split("\n")[0] for name in names] == ["street scene.mkv", "another.mkv"]
        tab.get_by_test_id("welcome-film").nth(1).click()
        _ready(tab)
        assert tab.get_by_test_id("film-name").inner_text().startswith("another.mkv")
        context.close()


@pytest.mark.parametrize(("what", "told"), [("watch", 0), ("thumbs", 0), ("preview", 1)])
def test_small_work_is_done_without_a_word(page, served, what, told):
    job = {"kind": "job", "what": what, "id": "abc", "title": "Some work", "film": None}
    rest = {"shot": None, "done": 0, "total": None, "started": None, "message": "it broke"}
    for state in ("running", "failed"):
        served.site.events.publish({**job, **rest, "state": state})
        page.wait_for_timeout(400)
    assert page.get_by_test_id("error").count() == told


def test_a_shot_that_was_changed_shows_its_former_color(page, answers):
    page.get_by_test_id("overlay").press("p")
    _exact(page)
    _shot(page, 0, "ready")
    _switch_preview_off(page)
    _say_blue(page)
    _shot(page, 0, "stale")
    page.reload()
    _ready(page)
    _shot(page, 0, "stale")
    before = len(answers)
    page.get_by_test_id("frame-forth").click()
    _until(page, lambda: any("side=after&key=" in url for _, url in answers[before:]))
    assert len({url.split("key=")[1] for _, url in answers[before:] if "side=after" in url}) == 1
    page.get_by_test_id("play").click()
    _until(page, lambda: any("clip.mp4" in url for _, url in answers[before:]))
    page.locator("[data-testid=kind][data-kind=former]").wait_for(state="attached")


def test_what_is_wrong_with_the_script_is_a_sentence(page, film):
    script = film.with_suffix(".vidcolor")
    page.get_by_test_id("overlay").press("p")
    _shot(page, 0, "ready")
    page.wait_for_timeout(1500)  # nothing goes on any more that would be told
    good = script.read_text()
    script.write_text(good.replace("version = 1", "version = "))
    page.evaluate("() => dispatchEvent(new Event('focus'))")  # back from an editor
    problem = page.get_by_test_id("problem")
    problem.wait_for()
    assert "street scene.vidcolor" in problem.inner_text()
    assert "goes on by itself" in problem.inner_text()
    script.write_text(good)
    problem.wait_for(state="hidden")


def test_scrubbing_in_a_shot_that_was_never_read_asks_for_nothing_in_vain(page, answers):
    _switch_preview_off(page)
    for shot in (1, 2):
        page.locator(f"#shot-{shot}").click()
        box = page.get_by_test_id("scrub").bounding_box()
        for part in (0.9, 0.4, 0.7):
            page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
            page.wait_for_timeout(30)
        frame = round(0.7 * (FRAMES - 1))
        wanted = f"/shots/{shot}/frames/{frame}.jpg?side=before"
        _until(page, lambda wanted=wanted: any(url.endswith(wanted) for _, url in answers))


def test_before_and_after_are_of_one_frame(page, served):
    """The square of the film is at another place in each frame."""
    _switch_preview_off(page)
    page.locator("#shot-1").click()
    page.route("**/frames/*.jpg*", lambda route: route.fulfill(status=204))
    page.get_by_test_id("compare-before").click()
    page.get_by_test_id("scrub").press("End")
    page.locator("[data-testid=kind][data-kind=quick]").wait_for(state="attached")
    last = 56 + 4 * (FRAMES - 1) + 20
    page.wait_for_timeout(100)
    pixel = np.array(page.evaluate(PIXEL, [last, 60]), int)
    assert pixel.min() > 150  # the square, which is light, and is gray before
    assert np.ptp(pixel) <= 2
    page.unroute("**/frames/*.jpg*")


def test_pictures_say_what_they_are_for(page, tmp_path):
    path = tmp_path / "painted.png"
    assert cv2.imwrite(str(path), np.full((120, 192, 3), (30, 90, 200), np.uint8))
    page.get_by_test_id("tab-pictures").click()
    row = page.get_by_test_id("reference").first
    page.get_by_test_id("picture-use-frame").click()
    page.get_by_test_id("picture-file").set_input_files(path)
    row.get_by_text("for this frame").wait_for()
    page.get_by_test_id("frame-forth").click()
    row.get_by_text("for frame 1 of this shot").wait_for()
    page.locator("#shot-2").click()
    row.get_by_text("for frame 1 of shot 1").wait_for()
    page.get_by_test_id("reference-go").click()
    row.get_by_text("for this frame").wait_for()
    page.get_by_test_id("reference-remove").click()
    page.get_by_test_id("picture-use-film").click()
    page.get_by_test_id("picture-file").set_input_files(path)
    row.get_by_text("for the whole film").wait_for()


def test_the_rest_of_a_shot_has_one_color(page, film):
    for word, color in (("teal", "#008080"), ("peru", "#cd853f")):
        page.get_by_test_id("color-word").fill(word)
        page.get_by_test_id("color-word").press("Enter")
        page.get_by_test_id("whole-shot").click()
        _saved_with(film, color)
    script = film.with_suffix(".vidcolor").read_text()
    assert script.count("[[hints]]") == script.count("whole = true") == 1
    assert "The rest of the shot" in page.get_by_test_id("hint").inner_text()


def test_a_hint_that_is_changed_twice_at_once_has_the_last_color(page, film):
    _switch_preview_off(page)
    _say_blue(page)
    page.get_by_test_id("hint-go").click()

    page.evaluate(SLOWLY)
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    page.wait_for_timeout(200)  # the film is being read just now
    for name in ("Keep automatic", "Gray"):
        page.get_by_test_id("hint").get_by_role("button", name=name).click()
    _saved_with(film, 'color = "gray"')
    assert film.with_suffix(".vidcolor").read_text().count("[[hints]]") == 1
    page.locator("[data-testid=saved][data-state=saved]").wait_for()
    assert page.get_by_test_id("error").count() == 0


def test_objects_of_two_shots_are_two_until_somebody_says_they_are_one(page):
    for shot in (0, 1):
        page.locator(f"#shot-{shot}").click()
        page.get_by_test_id("overlay").press("p")
        _shot(page, shot, "ready")
    page.get_by_test_id("tab-objects").click()
    page.get_by_test_id("objects-of-film").click()
    rows = page.get_by_test_id("track-go")
    rows.nth(1).wait_for()
    assert all("new" in text and "one of" not in text for text in rows.all_inner_texts())
    for row in (0, 1):
        page.get_by_test_id("track-tick").nth(row).click()
    page.get_by_test_id("merge").click()
    page.get_by_test_id("track-go").get_by_text("one of 2").first.wait_for()


def test_a_hint_that_unfolds_is_seen(page):
    page.set_viewport_size({"width": 1280, "height": 640})
    _say_blue(page)
    page.get_by_test_id("hint-go").click()
    button = page.get_by_test_id("hint").get_by_role("button", name="Gray")
    for _ in range(40):  # it may scroll for a while
        page.wait_for_timeout(250)
        inside, panel = button.bounding_box(), page.locator("#panels").bounding_box()
        if inside["y"] + inside["height"] <= panel["y"] + panel["height"]:
            return
    raise AssertionError(f"{inside} is not inside {panel}")


def test_what_was_told_before_the_stream_opened_is_not_missed(chromium, served):
    context = chromium.new_context()
    tab = _tab(context)
    held = []
    tab.route("**/api/events", lambda route: held.append(route))
    tab.goto(served.url)
    tab.get_by_test_id("saved").wait_for(state="attached")
    tab.wait_for_timeout(2500)  # shots are found, and nobody hears of it
    held[0].continue_()
    _ready(tab)
    context.close()
