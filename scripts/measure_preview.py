"""Seconds from a click on a film to what is seen of it, in a headless browser, everything cold.

    python scripts/measure_preview.py film.mkv [--runs 3]

Needs playwright and a Chromium. The server, its cache of previews and the browser are new in every
run; of the film only the color script beside it and finished shots are kept out, by working on a
copy.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)
WAIT_MS = 300_000


def measure(film: Path, browser: str) -> dict[str, float]:
    """One run.

    Args:
        film: A video.
        browser: The program.

    Returns:
        Seconds from the start of the program to its address, and from the click on.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(film, folder))
        command = [sys.executable, "-m", "vidcolor.cli", "preview", str(copy), str(copy.parent)]
        command += ["--serve", "--no-browser", "--port", "0"]
        environment = {**os.environ, "VIDCOLOR_CACHE": f"{folder}/cache"}
        started = time.monotonic()
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            address = find_address(server)
            found = {"server": time.monotonic() - started}
            with sync_playwright() as running:
                tab = running.chromium.launch(executable_path=browser, args=list(FLAGS)).new_page()
                tab.set_default_timeout(WAIT_MS)
                found |= watch(tab, address)
        finally:
            server.terminate()
            server.wait()
    return found


def find_address(server: subprocess.Popen[str]) -> str:
    """What the server says of itself."""
    assert server.stderr is not None
    for line in server.stderr:
        if address := re.search(r"http://\S+", line):
            return address[0]
    raise SystemExit("the server did not start")


def watch(tab: Page, address: str) -> dict[str, float]:
    """From the click on a film to its first shot in color."""
    tab.goto(address)
    if tab.get_by_test_id("film").count() == 0:
        tab.get_by_test_id("open-film").click()
    tab.get_by_test_id("film").first.click()
    clicked = time.monotonic()
    found = {}
    for name, place in {
        "shots": "#shot-0",
        "quick look": "[data-testid=kind]:is([data-kind=quick], [data-kind=exact])",
        "first exact frame": "[data-testid=kind][data-kind=exact]",
        "whole shot": "#shot-0[data-state=ready]",
    }.items():
        tab.locator(place).wait_for(state="attached")
        found[name] = time.monotonic() - clicked
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no browser is installed (apt-get install chromium)")
    for _ in range(given.runs):
        found = measure(given.film, browser)
        print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
