"""A picture that shakes stands still; pans, size and chroma are kept."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from vidcolor.errors import ConfigError
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.repair.find import Finder
from vidcolor.repair.heal.fill import TeleaFill
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Repaired
from vidcolor.repair.steady import NoSteady, Steady, SteadyConfig, _uncovered

SIZE = (96, 160)


def view(x: float, y: float) -> np.ndarray:
    """The scene seen from (x, y): smooth, so that any place of it is known exactly."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    u, v = columns + x, rows + y
    return 120 + 40 * np.sin(u / 6) * np.cos(v / 7) + 30 * np.sin(u / 17 + v / 11)


def film(places: np.ndarray, batch: int = 4, **more: object) -> list[FrameBatch]:
    codes = np.stack([np.rint(view(*place)).astype(np.uint8) for place in places])
    info = VideoInfo(*SIZE, rate=Fraction(24), color=ColorSpec(full_range=True))
    whole = FrameBatch(torch.from_numpy(codes[:, None]), tuple(range(len(places))), info)
    whole = replace(whole, **more)  # type: ignore[arg-type]
    return [whole[i : i + batch] for i in range(0, len(places), batch)]


def repaired(batches: list[FrameBatch]) -> list[Repaired]:
    marked = Finder(())(follow(batches, FollowConfig(lines=96)))
    return [Repaired(one.frames, one, (0,) * len(one.frames)) for one in marked]


def planes_of(batches: list[Repaired]) -> np.ndarray:
    return np.concatenate([one.frames.luma[:, 0].numpy() for one in batches]).astype(float)


SHAKE = np.random.default_rng(5).normal(0, 0.6, (40, 2))


def steadied(places: np.ndarray, batch: int = 4, **settings: object) -> np.ndarray:
    config = SteadyConfig(strength=1.0, **settings)  # type: ignore[arg-type]
    return planes_of(list(Steady(config, TeleaFill())(repaired(film(places, batch)))))


def inside(planes: np.ndarray) -> np.ndarray:
    return planes[:, 8:-8, 8:-8]


def test_shaking_stops() -> None:
    before = inside(planes_of(repaired(film(SHAKE))))
    after = inside(steadied(SHAKE))
    jumps = [np.abs(np.diff(planes, axis=0)).mean() for planes in (before, after)]
    assert jumps[0] > 2
    assert jumps[1] < 0.2 * jumps[0]


def test_a_pan_goes_on() -> None:
    pan = np.stack([0.8 * np.arange(40), np.zeros(40)], axis=1)
    after = steadied(pan)
    # nothing is fast, so nothing is moved, at the ends of the shot neither
    difference = np.abs(inside(after) - inside(planes_of(repaired(film(pan)))))
    assert difference.mean((1, 2)).max() < 1


@pytest.mark.parametrize("borders", ["neighbors", "fill", "repeat"])
def test_borders_are_sensible(borders: str) -> None:
    after = steadied(SHAKE, borders=borders)
    rim = np.concatenate([after[:, 0].ravel(), after[:, :, -1].ravel()])
    truth = planes_of(repaired(film(np.zeros((40, 2)))))
    known = np.concatenate([truth[:, 0].ravel(), truth[:, :, -1].ravel()])
    assert np.abs(rim - known).mean() < 12


def test_batches_change_nothing() -> None:
    assert np.array_equal(steadied(SHAKE, 1), steadied(SHAKE, 9))


def test_a_still_film_keeps_every_code() -> None:
    still = np.zeros((6, 2))
    assert np.array_equal(steadied(still), planes_of(repaired(film(still))))


def test_chroma_goes_along() -> None:
    # the same pattern as luma, at half the size: what is right for one is right for the other
    codes = np.stack([np.rint(view(*place)).astype(np.uint8) for place in SHAKE])
    chroma = torch.from_numpy(np.repeat(codes[:, None, ::2, ::2], 2, axis=1))
    batches = repaired(film(SHAKE, chroma=chroma))
    after = list(Steady(SteadyConfig(strength=1.0), TeleaFill())(batches))
    blue = np.concatenate([one.frames.chroma[:, 0].numpy() for one in after]).astype(float)
    jumps = np.abs(np.diff(blue[:, 4:-4, 4:-4], axis=0)).mean()
    assert jumps < 0.5 * np.abs(np.diff(codes[:, 8:-8:2, 8:-8:2].astype(float), axis=0)).mean()


def test_no_frame_goes_too_far() -> None:
    jump = np.zeros((20, 2))
    jump[10] = (12, 0)  # 7.5 % of the width
    after = steadied(jump, most=0.015, slow_frames=3.0)
    truth = planes_of(repaired(film(jump)))
    moved = view(12 - 0.015 * SIZE[1], 0)
    assert np.abs(inside(after[10:11]) - inside(moved[None])).mean() < 2
    assert np.abs(inside(after[10:11]) - inside(truth[10:11])).mean() > 5


def test_what_is_uncovered() -> None:
    new = _uncovered((4, 5), (1.2, -0.5))
    assert new.tolist() == [
        [True] * 5,
        *[[False, False, False, True, True]] * 3,
    ]


def test_off_is_the_same_objects() -> None:
    batches = repaired(film(SHAKE[:3]))
    assert list(NoSteady()(batches)) == batches


@pytest.mark.parametrize("wrong", [{"strength": -1}, {"slow_frames": 0}, {"most": 0.5}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SteadyConfig(**wrong)  # type: ignore[arg-type]
