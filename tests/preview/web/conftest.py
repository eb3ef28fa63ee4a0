"""A browser for the tests of the page, if there is one."""

import os
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


def modest(program, wrapper):
    """A program that shares processors, also where this one has real-time priority.

    SVT-AV1 takes that where it may, and what is started later inherits it. A browser that waits in
    the kernel for its own dying processes then keeps all others from running.
    """
    real_time = {getattr(os, name, None) for name in ("SCHED_FIFO", "SCHED_RR")}
    if not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) not in real_time:
        return program
    wrapper.write_text(f'#!/bin/sh\nexec chrt --other 0 "{program}" "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    return wrapper


@pytest.fixture(scope="module")
def running_browser(tmp_path_factory):
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no browser is installed (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        program = modest(path, tmp_path_factory.mktemp("browser") / "chromium")
        browser = running.chromium.launch(executable_path=program, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def chromium(running_browser):
    """The browser; no tab is left open, for it would go on looking for its server."""
    yield running_browser
    for context in running_browser.contexts:
        context.close()
