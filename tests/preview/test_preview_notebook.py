"""What notebooks draw, looked at as a program sees it, and in a browser where there is one."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import av
import cv2
import numpy as np
import pytest
import torch
from media import make_video

import vidcolor
from vidcolor import preview
from vidcolor.errors import GuidanceError, MediaError
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.preview.notebook import Movie, Pages, Slider


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {"license": "none"})
    return {
        "colorize": {"weights": str(path), "short_side": 64},
        "detector": "none",
        "device": "cpu",
        "precision": "float32",
    }


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_video(path, frames=30, pix_fmt="gray", sound=("aac",))


class _Tags(HTMLParser):
    """All tags with their attributes; unknown or unclosed ones fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def _data(url: str, kind: str) -> bytes:
    head = f"data:{kind};base64,"
    assert url.startswith(head)
    return base64.b64decode(url.removeprefix(head), validate=True)


def _picture(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def _is_self_contained(text: str) -> bool:
    return not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", text))


def test_nothing_heavy_is_imported_before_it_is_used():
    code = (
        "import sys, vidcolor.preview as p; "
        "assert 'torch' not in sys.modules and 'cv2' not in sys.modules; "
        "assert sorted(p.__all__) == ['compare', 'contact_sheet', 'show']; p.show; "
        "assert 'torch' in sys.modules and 'starlette' not in sys.modules "
        "and 'IPython' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'sho'"):
        _ = preview.sho


def test_a_picture_before_and_after(options):
    rng = np.random.default_rng(0)
    gray = cv2.GaussianBlur(rng.uniform(0, 255, (60, 80)).astype(np.float32), (0, 0), 4)
    gray = cv2.normalize(gray, None, 30, 220, cv2.NORM_MINMAX).astype(np.uint8)
    shown = preview.show(gray, **options)
    assert isinstance(shown, Slider)
    assert np.array_equal(shown.left, np.repeat(gray[..., None], 3, 2))
    assert np.array_equal(shown.right, vidcolor.colorize_image(gray, **options))
    text = shown._repr_html_()
    assert _is_self_contained(text)
    tags = _Tags(text)
    right, left = (_picture(_data(tag["src"], "image/jpeg")) for tag in tags.all("img"))
    for seen, own, other in ((left, shown.left, shown.right), (right, shown.right, shown.left)):
        error = np.abs(seen.astype(int) - own).mean()
        assert error < 3
        assert error < np.abs(seen.astype(int) - other).mean()
    assert [tag["alt"] for tag in tags.all("img")] == ["after", "before"]
    (line,) = tags.all("input")
    assert (line["type"], line["value"]) == ("range", "50")
    assert line["aria-label"] == "before on the left, after on the right"
    both = _picture(shown._repr_png_())
    assert np.array_equal(both[:, :80], shown.left)
    assert np.array_equal(both[:, 82:], shown.right)


def test_a_file_of_a_picture_and_two_ways(options, tmp_path):
    rgb = np.random.default_rng(1).integers(0, 255, (40, 1200, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), rgb[..., ::-1])
    shown = preview.show(path, **options)
    assert shown.left.shape == (32, 960, 3)  # no wider than notebooks are
    other = tmp_path / "pale.toml"
    other.write_text("[compose]\nsaturation = 0.0\n")
    same = tmp_path / "same.toml"
    same.write_text("")
    one, two = (preview.compare(what, same, other, **options) for what in (path, rgb))
    assert one.labels == ("same.toml", "pale.toml")
    assert np.array_equal(one.left, two.left)
    assert np.ptp(one.right.astype(int), axis=2).max() <= 1  # no color is left
    assert np.ptp(one.left.astype(int), axis=2).max() > 4
    (tmp_path / "a.vidcolor").write_text("")
    with pytest.raises(MediaError, match="a color script is of a film"):
        preview.compare(path, same, tmp_path / "a.vidcolor", **options)


def test_one_frame_of_a_film_is_the_one_that_is_shown_then(options, film):
    shown = preview.show(film.path, at=0.5, **options)  # between frames 12 and 13
    gray = np.clip((film.luma[12].astype(float) - 16) * 255 / 219, 0, 255)
    assert np.abs(shown.left[..., 1] - gray).max() <= 1
    assert np.ptp(shown.right.astype(int), axis=2).max() > 4
    middle = preview.show(film.path, **options)
    gray = np.clip((film.luma[15].astype(float) - 16) * 255 / 219, 0, 255)
    assert np.abs(middle.left[..., 1] - gray).max() <= 1
    with pytest.raises(MediaError, match=r"has no frame at 0:01:00.000; it is 0:00:01"):
        preview.show(film.path, at=60, **options)
    with pytest.raises(MediaError, match="no such file"):
        preview.show(film.path.with_name("gone.mkv"), at=1, **options)


def test_a_part_of_a_film_is_a_clip_within_the_page(options, film):
    shown = preview.show(film.path, at=0.4, duration=0.4, layout="split", **options)
    assert isinstance(shown, Movie)
    text = shown._repr_html_()
    assert _is_self_contained(text)
    (video,) = _Tags(text).all("video")
    assert "controls" in video
    data = _data(video["src"], "video/mp4")
    assert data == shown.data
    with av.open(io.BytesIO(data)) as clip:
        assert [stream.codec_context.name for stream in clip.streams] == ["h264", "aac"]
        assert sum(1 for _ in clip.decode(video=0)) == 10


def test_a_sheet_of_all_shots(options, film):
    sheet = preview.contact_sheet(film.path, limit=3, **options)
    assert isinstance(sheet, Pages)
    picture = _picture(sheet._repr_png_())
    assert picture.shape[1] > 100
    tags = _Tags(sheet._repr_html_()).all("img")
    assert [_data(tag["src"], "image/png") for tag in tags] == list(sheet.pages)
    assert tags[0]["alt"] == "film.mkv, page 1"


def test_names_cannot_break_the_page():
    plain = np.zeros((4, 4, 3), np.uint8)
    text = Slider(plain, plain, ('<b>"x"', "<script>"))._repr_html_()
    assert "<script" not in text
    assert _Tags(text).all("img")[1]["alt"] == '<b>"x"'
    title = '"><script>'
    assert "<script" not in Movie(b"", title)._repr_html_() + Pages((b"",), title)._repr_html_()
    with pytest.raises(ValueError, match="one size"):
        Slider(plain, plain[:2])


def test_a_script_of_another_film_is_refused(options, film, tmp_path):
    path = tmp_path / "film.vidcolor"
    path.write_text("version = 1\n")
    with pytest.raises(GuidanceError, match="has no shots"):
        preview.show(film.path, at=0.5, plan=path, **options)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", None):
            try:
                found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            except api.Error:
                continue
            yield found
            found.close()
            return
        pytest.skip("no Chromium is installed")


def test_the_line_follows_mouse_and_keys_in_a_browser(browser):
    left, right = np.zeros((80, 200, 3), np.uint8), np.full((80, 200, 3), 255, np.uint8)
    page = browser.new_page(viewport={"width": 400, "height": 300})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split(",")[0]))
    page.set_content(f"<body style='margin:0'>{Slider(left, right)._repr_html_()}</body>")

    def dark() -> int:
        """Columns of the left picture that are seen, on a row without words."""
        seen = _picture(page.screenshot())[60, :200].astype(int).sum(1)
        return int(np.count_nonzero(seen < 200))

    assert dark() == pytest.approx(100, abs=4)
    page.mouse.click(150, 40)
    assert dark() == pytest.approx(150, abs=6)
    page.keyboard.press("Home")
    assert dark() <= 3
    page.keyboard.press("End")
    assert dark() >= 194
    for _ in range(4):
        page.keyboard.press("PageDown")
    assert 100 < dark() < 194
    assert {url.split(";")[0] for url in asked} <= {"data:image/jpeg"}  # nothing from outside
    page.set_viewport_size({"width": 120, "height": 200})
    box = page.locator(".vidcolor-slider").bounding_box()
    assert box["width"] <= 120  # small screens
    page.close()
