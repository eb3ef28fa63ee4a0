"""The sheet shows the spots that matter, and the tally counts them all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair import sheet as module
from vidcolor.repair.records import KINDS, Kind, Marked, Moved, Repaired, Spot
from vidcolor.repair.sheet import COLORS, SpotSheet, Tally

FULL = ColorSpec(full_range=True)
TILE = 112


def spot(height: int, width: int, top: int = 0, left: int = 0, **more: object) -> Spot:
    made = Spot("dust", top, left, np.ones((height, width), np.bool_))
    return replace(made, **more)  # type: ignore[arg-type]


def repaired(
    planes: Sequence[np.ndarray],
    spots: Sequence[Sequence[Spot]],
    healed: Sequence[np.ndarray] | None = None,
    color: ColorSpec = FULL,
    index: int = 0,
    changed: Sequence[int] | None = None,
) -> Repaired:
    info = VideoInfo(*planes[0].shape, color=color)

    def batch(of: Sequence[np.ndarray]) -> FrameBatch:
        luma = torch.from_numpy(np.stack(of)[:, None])
        return FrameBatch(luma, tuple(range(len(of))), info, index)

    marked = Marked(Moved(batch(planes), (None,) * len(planes)), tuple(tuple(one) for one in spots))
    counts = (0,) * len(planes) if changed is None else tuple(changed)
    return Repaired(batch(planes if healed is None else healed), marked, counts)


def flat(code: int, size: tuple[int, int] = (80, 120)) -> np.ndarray:
    return np.full(size, code, np.uint8)


class Drawn:
    """A sheet taken apart: tiles and captions by section."""

    def __init__(self, sheet: SpotSheet, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
        self.words: list[str] = []
        write = module.write

        def told(picture: np.ndarray, words: str, *rest: int, **more: float) -> None:
            self.words.append(words)
            write(picture, words, *rest, **more)

        monkeypatch.setattr(module, "write", told)
        self.picture = sheet.draw(tally)
        heads = [i for i, words in enumerate(self.words) if "(as found" in words]
        self.largest = self.words[heads[0] + 1 : heads[1]]
        self.unsure = self.words[heads[1] + 1 :]
        self._top = 20 * heads[0]

    def _row_top(self, section: str, row: int) -> int:
        top = self._top + module._HEAD
        if section == "unsure":
            count = 0 if self.largest == ["none"] else len(self.largest)
            rows = -(-count // 4)
            top += rows * (TILE + module._TEXT + module._GAP) + (0 if count else 20)
            top += module._HEAD
        return top + row * (TILE + module._TEXT + module._GAP)

    def tiles(self, section: str, place: int) -> list[np.ndarray]:
        """As found, marked, repaired."""
        top = self._row_top(section, place // 4)
        left = 10 + (place % 4) * (3 * TILE + 2 + 10)
        starts = (left + step * (TILE + 1) for step in range(3))
        return [self.picture[top : top + TILE, x : x + TILE].astype(int) for x in starts]

    def grays(self, section: str) -> list[int]:
        """Brightness of what was found, of each entry."""
        entries = self.largest if section == "largest" else self.unsure
        return [int(self.tiles(section, i)[0][56, 56, 0]) for i in range(len(entries))]


def drawn(
    monkeypatch: pytest.MonkeyPatch, *batches: Repaired, most: int = 50, tally: Tally | None = None
) -> Drawn:
    sheet = SpotSheet(most)
    for batch in batches:
        sheet.add(batch)
    return Drawn(sheet, monkeypatch, tally or Tally())


# -- counts ------------------------------------------------------------------------------------


def test_the_tally_counts_frames_pixels_and_spots() -> None:
    refused = spot(1, 1, state="rejected")
    doubt = spot(2, 2, state="review", kind="burn")
    first = repaired([flat(9, (10, 20))] * 2, [[spot(3, 4), refused], []], changed=(30, 0))
    second = repaired([flat(9, (10, 20))], [[spot(1, 1), doubt, doubt]], changed=(6,), index=2)
    tally = Tally()
    tally.add(first)
    tally.add(second)
    assert (tally.frames, tally.pixels, tally.changed, tally.touched) == (3, 600, 36, 2)
    assert tally.spots == {
        ("dust", "accepted"): 2, ("dust", "rejected"): 1, ("burn", "review"): 2,
    }  # fmt: skip
    assert tally.lines() == [
        "2 of 3 frames touched, 6.0000 % of all pixels",
        "dust: 2 accepted, 1 rejected",
        "burn: 2 review",
    ]


def test_of_no_film_the_tally_says_nothing_was_touched() -> None:
    assert Tally().lines() == ["0 of 0 frames touched, 0.0000 % of all pixels"]


# -- which spots are kept ------------------------------------------------------------------------


AREAS = (5, 9, 2, 7, 1, 8, 3)
SURE = (0.9, 0.45, 0.1, 0.62, 1.0, 0.51, 0.3)


def one_each() -> list[Repaired]:
    """Frame n is of brightness 10 n and has one spot, of AREAS[n] pixels and SURE[n]."""
    return [
        repaired([flat(10 * n)], [[spot(1, area, 40, 50, confidence=sure)]], index=n)
        for n, (area, sure) in enumerate(zip(AREAS, SURE, strict=True))
    ]


def test_the_largest_are_kept_largest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch, *one_each(), most=4)
    assert found.largest == [
        "1: dust 9 px, 0.45", "5: dust 8 px, 0.51", "3: dust 7 px, 0.62", "0: dust 5 px, 0.90",
    ]  # fmt: skip
    assert found.grays("largest") == [10, 50, 30, 0]


def test_the_least_sure_are_kept_least_sure_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch, *one_each(), most=4)
    # 0.51, 0.45, 0.62, 0.30 are 0.01, 0.05, 0.12, 0.20 from a half
    assert [words.partition(":")[0] for words in found.unsure] == ["5", "1", "3", "6"]
    assert found.grays("unsure") == [50, 10, 30, 60]


def test_more_than_a_row_of_spots(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch, *one_each())
    assert found.grays("largest") == [10, 50, 30, 0, 60, 20, 40]
    assert found.grays("unsure") == [50, 10, 30, 60, 0, 20, 40]


def test_of_equal_spots_the_first_of_the_film_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    equal = [repaired([flat(10 * n)], [[spot(2, 2, 40, 50)]], index=n) for n in range(6)]
    found = drawn(monkeypatch, *equal, most=3)
    assert found.grays("largest") == [0, 10, 20]
    assert found.grays("unsure") == [0, 10, 20]


def test_how_frames_are_batched_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [flat(10 * n) for n in range(len(AREAS))]
    spots = [
        [spot(1, area, 40, 50, confidence=sure)] for area, sure in zip(AREAS, SURE, strict=True)
    ]
    whole = drawn(monkeypatch, repaired(planes, spots), most=4)
    apart = drawn(monkeypatch, *one_each(), most=4)
    assert np.array_equal(whole.picture, apart.picture)


def test_rejected_spots_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = spot(9, 9, state="rejected", confidence=0.5)
    found = drawn(monkeypatch, repaired([flat(90)], [[refused, spot(2, 2)]]))
    assert found.largest == found.unsure == ["0: dust 4 px, 1.00"]


def test_of_spots_in_review_it_says_that_they_were_not_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubt = spot(2, 3, state="review", confidence=0.4, kind="hair")
    found = drawn(monkeypatch, repaired([flat(90)], [[doubt]], index=12))
    assert found.largest == ["12: hair 6 px, 0.40, not repaired"]


def test_a_film_without_damage_has_a_sheet_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    clean = repaired([flat(90)], [[]])
    tally.add(clean)
    found = drawn(monkeypatch, clean, tally=tally)
    assert found.largest == found.unsure == ["none"]
    assert found.words[0] == "0 of 1 frames touched, 0.0000 % of all pixels"
    assert found.picture.min() < 100  # something is written


def test_memory_does_not_grow_with_the_film() -> None:
    sheet = SpotSheet(3)

    def add(first: int, last: int) -> int:
        # each is larger and less sure than all before, so that each is drawn
        for n in range(first, last):
            sure = 1 - n / 400
            made = spot(1, n + 1, 40, 0, confidence=sure)
            sheet.add(repaired([flat(90, (200, 300))], [[made]], index=n))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early, late = add(0, 20), add(20, 180)
    finally:
        tracemalloc.stop()
    assert late - early < 3 * TILE * TILE * 3  # one entry is that much


def test_captions_fit_their_place() -> None:
    longest = "1234567: scratch 33177600 px, 0.50, not repaired"
    batch = repaired([flat(90)], [[spot(1, 1, state="review", kind="scratch")]])
    assert module._entry(batch, 0, batch.marked.spots[0][0]).caption.endswith(longest[-14:])
    (width, _), _ = cv2.getTextSize(longest, cv2.FONT_HERSHEY_SIMPLEX, module._LETTER, 1)
    assert width <= 3 * TILE + 2


# -- pictures ------------------------------------------------------------------------------------


def inked(tile: np.ndarray) -> np.ndarray:
    """(TILE, TILE) bool, true where there is color."""
    return np.asarray(np.ptp(tile, axis=2) > 20)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom; right and bottom lie outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_before_marked_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    before = flat(60)
    before[40:44, 50:54] = 250
    made = spot(4, 4, 40, 50)
    found = drawn(monkeypatch, repaired([before], [[made]], [flat(60)]))
    as_found, marked, after = found.tiles("largest", 0)
    # 4 px and 24 on both sides are 52 px in 112: the spot lies at 24 * 112 / 52 = 51.7 .. 60.3
    assert extent(as_found[..., 0] == 250) == (52, 52, 61, 61)
    assert (as_found[~inked(marked)] == 60).all()
    assert not inked(as_found).any()
    assert extent(inked(marked)) == (52, 52, 61, 61)
    assert (marked[~inked(marked)] == 60).all()
    assert (after == 60).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_spot_is_marked_in_the_color_of_its_kind(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = drawn(monkeypatch, repaired([flat(60)], [[spot(4, 4, 40, 50, kind=kind)]]))
    shift = found.tiles("largest", 0)[1][56, 56] - 60
    toward = np.array(COLORS[kind]) - 60
    share = shift @ toward / (toward @ toward)
    assert 0.4 < share < 0.9  # the picture shows through
    assert shift == pytest.approx(share * toward, abs=2)


def test_only_the_hole_is_marked_not_its_box(monkeypatch: pytest.MonkeyPatch) -> None:
    corner = np.zeros((26, 26), np.bool_)
    corner[:13] = corner[:, :13] = True
    made = spot(1, 1, 80, 90, hole=corner)
    found = drawn(monkeypatch, repaired([flat(60, (200, 220))], [[made]]))
    # 26 px and twice 24 are 74 px in 112; the empty quarter of the box is 13 px wide
    marked = inked(found.tiles("largest", 0)[1])
    assert marked.sum() == pytest.approx(0.75 * (26 * 112 / 74) ** 2, rel=0.05)
    assert not marked[60:75, 60:75].any()
    assert marked[40:52, 40:75].all()


@pytest.mark.parametrize(
    ("top", "left", "box"),
    [
        (0, 0, (0, 0, 9, 9)),
        (0, 116, (104, 0, 112, 9)),
        (76, 0, (0, 104, 9, 112)),
        (76, 116, (104, 104, 112, 112)),
    ],
)
def test_spots_in_the_corners_of_the_frame(
    top: int, left: int, box: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the view stays within the frame, so the spot lies at the border of the tile:
    # 4 px of 52 are 8.6 px of 112, and 48 of them 103.4
    found = drawn(monkeypatch, repaired([flat(60)], [[spot(4, 4, top, left)]]))
    assert extent(inked(found.tiles("largest", 0)[1])) == box


def test_of_a_long_scratch_its_middle_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    height, width = 900, 1200
    ramp = np.repeat(np.linspace(0, 255, height).astype(np.uint8)[:, None], width, 1)
    scratch = spot(height, 8, 0, 600, kind="scratch")
    found = drawn(monkeypatch, repaired([ramp], [[scratch]]))
    as_found, marked, _ = found.tiles("largest", 0)
    # four tiles wide and high: rows 226 to 674 of 900
    assert as_found[0, 0, 0] == pytest.approx(226 / 899 * 255, abs=2)
    assert as_found[-1, 0, 0] == pytest.approx(673 / 899 * 255, abs=2)
    assert inked(marked).any(axis=1).all()
    left, _, right, _ = extent(inked(marked))
    assert (left, right) == (55, 57)  # columns 600 to 608 of the view from 380 in fourths


@pytest.mark.parametrize("left", [0, 750])
def test_a_spot_larger_than_its_view_fills_it(left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    burn = spot(600, 450, 0, left, kind="burn")
    burn.hole[300, 225] = False  # the very middle
    found = drawn(monkeypatch, repaired([flat(60, (600, 1200))], [[burn]]))
    marked = inked(found.tiles("largest", 0)[1])
    assert marked.all()


def test_the_cut_part_of_a_large_spot_lies_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    hole = np.zeros((600, 4), np.bool_)
    hole[[0, -1]] = True  # touches its box far outside of the view
    hole[300:340] = True
    found = drawn(monkeypatch, repaired([flat(60, (600, 900))], [[spot(1, 1, 0, 448, hole=hole)]]))
    # the view begins at row 76 and column 226: 224 to 264 and 222 to 226 in fourths
    left, top, right, bottom = extent(inked(found.tiles("largest", 0)[1]))
    assert (top, bottom) == (56, 66)
    assert (left, right) == (55, 57)


def test_a_frame_smaller_than_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch, repaired([flat(60, (14, 28))], [[spot(7, 7, 0, 21)]]))
    # a square of 14 px in 112
    assert extent(inked(found.tiles("largest", 0)[1])) == (56, 0, 112, 56)


@pytest.mark.parametrize(
    ("bits", "full", "code", "gray"),
    [
        (8, True, 128, 128),
        (8, False, 16, 0),
        (8, False, 235, 255),
        (8, False, 3, 0),  # below black
        (8, False, 255, 255),  # above white
        (10, False, 64, 0),
        (10, False, 502, 128),
        (10, False, 940, 255),
        (10, True, 1023, 255),
        (16, True, 65535, 255),
        (16, True, 32768, 128),
    ],
)
def test_frames_of_any_depth_and_range(
    bits: int, full: bool, code: int, gray: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = {8: np.uint8, 10: np.int16, 16: np.int32}[bits]
    plane = np.full((80, 120), code, kind)
    spec = ColorSpec(full_range=full, bits=bits)
    found = drawn(monkeypatch, repaired([plane], [[spot(4, 4, 40, 50)]], color=spec))
    as_found, _, after = found.tiles("largest", 0)
    assert (as_found == gray).all()
    assert (after == gray).all()
