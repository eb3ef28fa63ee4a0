"""What README and docs show of the page; `--screenshots docs/images` keeps it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidcolor.preview.web.server.serve import Server, open_site

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "example.mp4"
LAYERS = ({}, {"device": "cpu", "detect": {"detector": "motion"}})
WAIT_MS = 120_000
KEPT = ("page", "page-dark", "page-small")


@pytest.fixture
def screens(request, tmp_path):
    """Takes a picture of the page and looks at it."""
    folder = request.config.getoption("--screenshots") or tmp_path

    def take(tab, name):
        tab.wait_for_timeout(600)  # what moves has come to rest
        path = (folder if name in KEPT else tmp_path) / f"{name}.jpg"
        tab.screenshot(path=path, type="jpeg", quality=82)
        return cv2.imread(str(path))

    return take


@pytest.fixture
def page(chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    film = Path(shutil.copy(EXAMPLE, tmp_path))
    with Server(open_site([film], LAYERS, folder=tmp_path / "sent", upload_limit=1)) as server:
        context = chromium.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        tab = context.new_page()
        tab.set_default_timeout(WAIT_MS)
        tab.goto(server.url)
        yield tab
        context.close()


def _chroma(picture):
    """Mean chroma of the middle of a picture of the page."""
    height, width = picture.shape[:2]
    middle = picture[height // 4 : height // 2, width // 8 : 5 * width // 8]
    lab = cv2.cvtColor(middle.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


@pytest.mark.slow
def test_the_page_as_docs_show_it(page, screens):
    if not page.locator("#shot-0").is_visible():
        page.get_by_test_id("open-film").click()
        page.get_by_test_id("film").first.click()
    for shot in range(3):
        page.locator(f"#shot-{shot}").click()
        page.get_by_test_id("overlay").press("p")
        page.locator(f"#shot-{shot}[data-state=ready]").wait_for()
    page.locator("#shot-1").click()
    page.get_by_test_id("frame-forth").click()
    page.locator("[data-testid=kind][data-kind=exact]").wait_for(state="attached")
    page.get_by_test_id("compare-before").click()
    assert _chroma(screens(page, "page-before")) < 1.5
    page.get_by_test_id("compare-after").click()
    assert _chroma(screens(page, "page-after")) > 3
    page.get_by_test_id("compare-split").click()
    page.get_by_test_id("tool-dot").click()
    page.get_by_test_id("color-word").fill("darkorange")
    page.get_by_test_id("color-word").press("Enter")
    page.get_by_test_id("overlay").click(position={"x": 643, "y": 578})  # her suit
    page.get_by_test_id("hint").wait_for()
    page.locator("#shot-1[data-state=ready]").wait_for()
    page.locator("[data-testid=kind][data-kind=exact]").wait_for(state="attached")
    orange = screens(page, "page")[600:660, 600:700].astype(int)
    assert (orange[..., 2] - orange[..., 0]).mean() > 60
    page.emulate_media(color_scheme="dark")
    page.get_by_test_id("tab-settings").click()
    assert screens(page, "page-dark")[-200:, -200:].mean() < 80
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_test_id("tab-color").click()
    assert screens(page, "page-small").shape == (844, 390, 3)
