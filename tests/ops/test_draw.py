"""Drawing: text in any script, thumbnails, frames."""

import cv2
import numpy as np
import pytest

from vidcolor.ops import draw

LETTER = 10  # pixels of a capital, about


def ink(picture: np.ndarray) -> np.ndarray:
    """Where something was written."""
    return np.argwhere((picture != 255).any(2))


def written(text: str, **options) -> np.ndarray:
    picture = draw.paper(40, 400)
    draw.write(picture, text, 10, 25, **options)
    return picture


def test_a_line_stands_on_its_base_and_is_as_wide_as_was_said():
    places = ink(written("HELLO"))
    assert places[:, 0].min() >= 25 - 1.3 * LETTER
    assert places[:, 0].max() <= 26
    assert places[:, 1].min() >= 10
    assert places[:, 1].max() == pytest.approx(10 + draw.text_width("HELLO"), abs=3)


@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="OpenCV 4 draws only ASCII")
@pytest.mark.parametrize("text", ["Dornröschen", "Седьмое", "日本語", "한국어", "Ελλ"])
def test_other_scripts_are_drawn(text):
    odd = "".join(letter if letter.isascii() else "?" for letter in text)
    bare = text.replace("ö", "o")
    assert (written(text) != written(odd)).any()
    assert text == bare or (written(text) != written(bare)).any()


def test_before_opencv_5_letters_lose_what_the_font_lacks(monkeypatch):
    monkeypatch.setattr(draw, "_EVERY_SCRIPT", False)
    assert (written("Dornröschen 日") == written("Dornroschen ?")).all()


def test_names_as_disks_have_them_are_drawn():
    composed, split = "Ö", "O\u0308"
    assert (written(composed) == written(split)).all(), "macOS splits letters"
    assert (written("a\udcffb\nc") == written("a?b?c")).all(), "no Unicode, and a new line"


def test_what_finds_no_room_is_cut_short():
    text = "a name that is far too long " * 9
    picture = written(text, room=200)
    assert 150 < ink(picture)[:, 1].max() <= 210
    assert draw.shortened("short", 200) == "short"
    cut = draw.shortened(text, 200)
    assert cut.endswith("..")
    assert text.startswith(cut[:-2])
    assert draw.text_width(cut) <= 200 < draw.text_width(f"{cut[:-2]}xxxx..")


@pytest.mark.parametrize(
    ("size", "shape"),
    [((200, 400), (50, 100)), ((400, 200), (100, 50)), ((10, 20), (50, 100)), ((1, 900), (1, 100))],
)
def test_thumbnails_keep_their_shape(size, shape):
    picture = np.full((*size, 3), 77, np.uint8)
    small = draw.fitted(picture, (100, 100))
    assert small.shape == (*shape, 3)
    assert (small == 77).all()


def test_an_outline_is_seen_on_white_and_on_its_own_color():
    color = 255, 220, 0
    for ground in (color, draw.WHITE):
        picture = draw.paper(40, 60, ground)
        draw.outline(picture, (10, 8, 49, 29), color)
        for row, column in ((8, 30), (29, 30), (20, 10), (20, 49)):
            assert tuple(picture[row, column]) == color
        for row, column in ((7, 30), (9, 30), (30, 30), (20, 9), (20, 11), (20, 50)):
            assert (picture[row, column] == 0).all()
        assert (picture[10:28, 12:48] == ground).all()
        assert (picture[:7] == ground).all()


def test_a_shaded_ground_keeps_a_share_of_its_light():
    picture = draw.paper(10, 10, (200, 100, 40))
    draw.shade(picture[:5], 0.5)
    assert (picture[:5] == (100, 50, 20)).all()
    assert (picture[5:] == (200, 100, 40)).all()


def test_a_swatch_has_an_edge():
    picture = draw.paper(10, 10)
    draw.swatch(picture, (2, 3, 6, 7), (1, 2, 3), (9, 9, 9))
    assert (picture[4:7, 3:6] == (1, 2, 3)).all()
    assert (picture[3, 2:7] == 9).all()
    assert (picture[8:] == 255).all()
