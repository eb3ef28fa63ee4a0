import numpy as np
import pytest
from made_films import letterboxed, scene, shot

from vidcolor.ops.letterbox import BarFinder, Bars, Borders
from vidcolor.records import ColorSpec

LIMITED = ColorSpec("bt709", full_range=False)
SIZE = (120, 160)


def luma(rgb: np.ndarray, seed: int = 0, noise: int = 1) -> np.ndarray:
    """Codes of 16..235 with the noise of an encoder."""
    codes = 16 + rgb.astype(np.float32) @ (0.2126, 0.7152, 0.0722) * 219 / 255
    grain = np.random.default_rng(seed).integers(-noise, noise + 1, codes.shape)
    return np.clip(codes + grain, 1, 254).astype(np.uint8)


def of_shot(frames) -> BarFinder:
    finder = BarFinder(frames[0].shape[:2])
    for number, frame in enumerate(frames):
        finder.add(luma(frame, number), LIMITED)
    return finder


def of_film(shots) -> tuple[BarFinder, list[Borders]]:
    film = BarFinder(shots[0][0].shape[:2])
    borders = []
    for frames in shots:
        finder = of_shot(frames)
        film.merge(finder)
        borders.append(finder.borders())
    return film, borders


def close(bars: Bars, top: int, bottom: int, left: int, right: int, most: int = 3) -> bool:
    """All of each bar is cut off, and hardly more."""
    found = (bars.top, bars.bottom, bars.left, bars.right)
    wanted = (top, bottom, left, right)
    return all(
        (w == 0 and f == 0) or (w and w <= f <= w + most)
        for f, w in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("bars", [(15, 15, 0, 0), (0, 0, 20, 20), (14, 14, 20, 20), (0, 0, 0, 0)])
def test_a_film_and_a_single_picture(bars) -> None:
    top, bottom, left, right = bars
    size = (SIZE[0] - top - bottom, SIZE[1] - left - right)
    shots = [letterboxed(shot(seed, 3, size), *bars) for seed in range(5)]
    film, borders = of_film(shots)
    assert close(film.bars(), *bars)
    assert close(of_shot(shots[0][:1]).borders().bars(Bars()), *bars)
    assert all(close(one.bars(film.bars()), *bars) for one in borders)


def test_area_is_what_lies_between() -> None:
    assert Bars(10, 20, 3, 4).area((100, 50)) == (3, 10, 46, 80)


def night(seed: int, size=SIZE) -> np.ndarray:
    """A scene whose upper half is dark, as a sky over hills is."""
    rgb = scene(seed, size).astype(np.float32)
    rows, columns = np.mgrid[: size[0], : size[1]]
    hills = size[0] * (0.5 + 0.12 * np.sin(columns / 20 + seed))
    return (rgb * (1 / (1 + np.exp((hills - rows) / 4)))[..., None]).astype(np.uint8)


def test_a_dark_scene_is_no_bar() -> None:
    dark = [[night(seed + 10 * i) for i in range(3)] for seed in range(4)]
    for frames in dark:
        assert not of_shot(frames).borders().bars(Bars())
    assert not of_film(dark)[0].bars()
    assert not of_film([*dark, *[shot(seed, 3, SIZE) for seed in range(2)]])[0].bars()


def test_what_is_black_on_one_side_only_is_no_bar_of_a_shot() -> None:
    frames = letterboxed(shot(1, 3, (90, 160)), 30, 0)
    assert not of_shot(frames).borders().bars(Bars())


def test_lights_in_the_dark_are_no_bar() -> None:
    """Black above and below alike, with a straight edge: but there is a lamp in it."""
    (frame,) = letterboxed(shot(1, 1, (80, 160)), 20, 20)
    assert close(of_shot([frame]).borders().bars(Bars()), 20, 20, 0, 0)
    for row in (6, 112):
        frame[row : row + 4, 70:76] = 200
    assert not of_shot([frame]).borders().bars(Bars())


def test_a_night_scene_of_a_letterboxed_film_gets_the_bars_of_the_film() -> None:
    lit = [letterboxed(shot(seed, 3, (90, 160)), 15, 15) for seed in range(4)]
    dark = letterboxed([night(seed, (90, 160)) for seed in range(3)], 15, 15)
    film, borders = of_film([*lit, dark])
    assert close(film.bars(), 15, 15, 0, 0)
    assert close(borders[-1].bars(film.bars()), 15, 15, 0, 0)


def test_subtitles_and_logos_in_the_bars_do_not_hide_them() -> None:
    shots = []
    for seed in range(6):
        frames = letterboxed(shot(seed, 4, (80, 160)), 20, 20)
        for frame in frames[seed % 2 :: 2]:
            frame[106:114, 40 + 3 * seed : 100 + 2 * seed : 3] = 235
            frame[4:14, 140:154] = 180
        shots.append(frames)
    assert close(of_film(shots)[0].bars(), 20, 20, 0, 0)


def test_a_shot_of_another_format_keeps_its_picture() -> None:
    wide = [letterboxed(shot(seed, 3, (80, 160)), 20, 20) for seed in range(5)]
    old = letterboxed(shot(7, 3, (120, 120)), 0, 0, 20, 20)
    film, borders = of_film([*wide, shot(8, 3, SIZE), old])
    bars = film.bars()
    assert close(bars, 20, 20, 0, 0)
    assert close(borders[5].bars(bars), 0, 0, 0, 0)
    assert close(borders[6].bars(bars), 0, 0, 20, 20)


def test_black_frames_prove_nothing() -> None:
    black = np.zeros((*SIZE, 3), np.uint8)
    finder = of_shot([black] * 5)
    assert not finder.borders().bars(Bars())
    assert close(finder.borders().bars(Bars(9, 9)), 9, 9, 0, 0)
    finder = of_shot([black, *letterboxed(shot(1, 2, (90, 160)), 15, 15), black])
    assert close(finder.borders().bars(Bars()), 15, 15, 0, 0)


def test_deep_and_full_range_codes() -> None:
    frames = letterboxed(shot(1, 3, (90, 160)), 15, 15)
    for spec, scale in ((ColorSpec("bt709", False, 10), 4), (ColorSpec("bt709", False, 16), 256)):
        finder = BarFinder(SIZE)
        for frame in frames:
            codes = luma(frame).astype(np.int32 if scale == 256 else np.int16) * scale
            finder.add(codes, spec)
        assert close(finder.borders().bars(Bars()), 15, 15, 0, 0)
    finder = BarFinder(SIZE)
    finder.add(frames[0].mean(2).astype(np.uint8), ColorSpec("bt709", True))
    assert close(finder.borders().bars(Bars()), 15, 15, 0, 0)
