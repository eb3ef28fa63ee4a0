"""The sheet of colorings: which pictures, and where they lie."""

import numpy as np
import pytest

from vidcolor.evaluate.sets.gallery import Cell, Gallery, GalleryRow, _short, draw_gallery
from vidcolor.ops.draw import text_width

COLORS = {"uncolored": (90, 90, 90), "ours": (200, 40, 30), "truth": (20, 160, 60)}


def row(name, size=(128, 256)):
    cells = {key: Cell(np.full((*size, 3), rgb, np.uint8)) for key, rgb in COLORS.items()}
    return GalleryRow(name, cells)


def test_cells_lie_in_their_columns():
    sheet = draw_gallery(tuple(COLORS), [row("a"), row("b", (256, 128))])
    # margins of 8, titles 26, cells 256 wide, captions 20
    assert sheet.shape == (8 + 26 + (128 + 20 + 8) + (256 + 20 + 8), 8 + 3 * (256 + 8), 3)
    for number, rgb in enumerate(COLORS.values()):
        left = 8 + number * 264
        assert (sheet[34:162, left : left + 256] == rgb).all()
        assert (sheet[190:446, left : left + 128] == rgb).all()
        # nothing beside them
        assert (sheet[34:162, left + 256 : left + 264] == 255).all()
        assert (sheet[190:446, left + 128 : left + 264] == 255).all()
    for left in (8, 272, 536):  # titles
        assert (sheet[8:30, left : left + 100] < 128).any()


def test_captions_stand_below_and_the_name_below_the_last():
    one = row("name of it")
    cells = dict(one.cells)
    cells["ours"] = Cell(cells["ours"].picture, "24.1 dB")
    sheet = draw_gallery(tuple(COLORS), [GalleryRow("name of it", cells)])
    below = sheet[162:182]
    assert (below[:, 8:264] == 255).all()
    assert (below[:, 272:528] < 200).any()
    assert (below[:, 536:792] < 200).any()


def test_a_row_may_lack_a_column():
    one = row("a")
    cells = {key: cell for key, cell in one.cells.items() if key != "ours"}
    sheet = draw_gallery(tuple(COLORS), [GalleryRow("a", cells)])
    assert (sheet[34:162, 272:528] == 255).all()
    assert (sheet[34:162, 8:264] == 90).all()


@pytest.mark.parametrize(
    ("size", "shown"),
    [((512, 512), (256, 256)), ((40, 60), (80, 120)), ((1000, 500), (384, 192))],
)
def test_pictures_fit_their_cells(size, shown):
    gallery = Gallery(1)
    gallery.add("a", {"truth": Cell(np.zeros((*size, 3), np.uint8))})
    ((one,),) = [list(kept.cells.values()) for kept in gallery.rows()]
    assert one.picture.shape[:2] == shown


@pytest.mark.parametrize("total", [1, 3, 4, 5, 8, 9, 30, 101])
def test_pictures_are_taken_evenly_from_any_number(total):
    gallery = Gallery(4)
    wanted = 0
    for number in range(total):
        if gallery.wants:
            wanted += 1
            gallery.add(str(number), {"truth": Cell(np.zeros((4, 4, 3), np.uint8))})
        else:
            gallery.skip()
    kept = [int(one.name) for one in gallery.rows()]
    assert len(kept) == min(4, total)
    assert kept == sorted(set(kept))
    if total > 8:
        steps = np.diff([-kept[0] - 1, *kept, 2 * total - kept[-1] - 1])
        assert steps[1:-1].max() <= 2 * steps[1:-1].min()
        assert kept[0] <= total / 4
        assert kept[-1] >= total * 0.6
        assert wanted < total or total <= 9


def test_titles_give_way_in_the_middle():
    assert _short("short", 0.5, 256) == "short"
    long = "runs/one-that-is-called-like-a-sentence/best-of-all.safetensors"
    shorter = _short(long, 0.5, 256)
    assert text_width(shorter, 0.5) <= 256 < text_width(shorter, 0.5) + 40
    front, back = shorter.split("..")
    assert long.startswith(front)
    assert long.endswith(back)
