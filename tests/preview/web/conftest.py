"""A browser for the tests of the page, if there is one."""

import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
)


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots",
        type=Path,
        metavar="FOLDER",
        help="keep the pictures that tests take of the page: docs/images",
    )


@pytest.fixture(scope="module")
def running_browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def chromium(running_browser):
    """The browser; no tab is left open, for it would go on looking for its server."""
    yield running_browser
    for context in running_browser.contexts:
        context.close()
