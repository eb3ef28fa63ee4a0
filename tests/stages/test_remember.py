"""Objects keep their color: steady in the box, silent outside, obedient to pins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.template import GRID, Pin, Template
from vidcolor.guidance.tracks.file import TrackEntry, TracksFile, whole_pin
from vidcolor.records import Chroma, Colored, Detections, FrameBatch, Tracks, VideoInfo
from vidcolor.stages.remember import Forget, Remember, RememberConfig

SIZE = (48, 64)
INFO = VideoInfo(*SIZE)
BOX = (16.0, 12.0, 40.0, 36.0)
INNER = (slice(18, 30), slice(22, 34))


def film(
    ab: np.ndarray,
    lightness: np.ndarray | None = None,
    boxes: dict[int, tuple[float, ...]] | None = None,
    *,
    batch: int = 100,
    shot: int = 0,
    first: int = 0,
    held: tuple[int, ...] = (),
    sure: np.ndarray | None = None,
    flow: bool = False,
) -> list[Colored]:
    """Frames with the same boxes in each; `ab` is (N, 2, h, w)."""
    count = len(ab)
    boxes = {shot * 100_000 + 1: BOX} if boxes is None else boxes
    if lightness is None:
        lightness = np.broadcast_to(scene(), (count, *SIZE))
    parts = []
    for start in range(0, count, batch):
        stop = min(count, start + batch)
        n = stop - start
        found = Detections(
            torch.tensor([list(b) for _ in range(n) for b in boxes.values()]).view(-1, 4),
            torch.ones(n * len(boxes)),
            torch.zeros(n * len(boxes), dtype=torch.int64),
            torch.arange(n).repeat_interleave(len(boxes)),
        )
        tracks = Tracks(found, torch.tensor(list(boxes) * n), torch.ones(n * len(boxes)))
        frames = FrameBatch(
            torch.zeros(n, 1, *SIZE, dtype=torch.uint8),
            tuple(range(first + start, first + stop)),
            INFO,
            index=first + start,
            shot=shot,
            start=start,
            held=torch.tensor([start + i in held for i in range(n)]),
        )
        chroma = Chroma(
            torch.from_numpy(ab[start:stop].astype(np.float32)),
            torch.from_numpy(lightness[start:stop, None].astype(np.float32).copy()),
            torch.full((n, 2, *SIZE), 0.5) if flow else None,
            None if sure is None else torch.from_numpy(sure[start:stop, None]).float(),
        )
        parts.append(Colored(frames, tracks, chroma))
    return parts


def scene() -> np.ndarray:
    """A light object with some texture before something dark."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    plane = 25 + 4 * np.sin(rows / 3) * np.cos(columns / 4)
    plane[16:32, 20:36] = 65 + 6 * np.sin(columns[16:32, 20:36] / 2)
    return plane


def flicker(count: int, seed: int = 0, most: float = 8.0) -> np.ndarray:
    """(count, 2, h, w): a color that changes its mind from frame to frame, all over the same."""
    offsets = np.random.default_rng(seed).normal(0, most / 2, (count, 2))
    return np.broadcast_to(
        np.array([20.0, 10.0])[None, :, None, None] + offsets[:, :, None, None],
        (count, 2, *SIZE),
    ).copy()


def run(parts: list[Colored], **settings) -> np.ndarray:
    return ab_of(Remember(RememberConfig(**settings))(parts))


def ab_of(parts) -> np.ndarray:
    return np.concatenate([part.chroma.ab.numpy() for part in parts])


def test_color_in_the_box_is_steadier_and_all_else_is_left_alone():
    ab = flicker(60)
    out = run(film(ab))
    inside = (..., *INNER)
    before, after = ab[20:][inside].std(axis=0).mean(), out[20:][inside].std(axis=0).mean()
    assert after < 0.4 * before
    assert abs(out[inside].mean() - ab[inside].mean()) < 0.5
    outside = np.ones(SIZE, bool)
    outside[12:36, 16:40] = False
    assert (out[..., outside] == ab.astype(np.float32)[..., outside]).all()


def test_detail_stays():
    detail = 6.0 * ((np.indices(SIZE).sum(axis=0) % 2) * 2 - 1)
    out = run(film(flicker(30) + detail))
    patch = out[-1, 0][INNER]
    amplitude = np.abs(np.diff(patch, axis=1)).mean() / 2
    assert amplitude == pytest.approx(6.0, rel=0.05)


def test_what_changes_its_lightness_is_let_go():
    ab = flicker(41, most=0.0)
    lightness = np.repeat(scene()[None], 41, axis=0)
    lightness[40, 16:32, 20:28] += 30  # something else is in front of the left half
    ab[40] = -30.0
    out = run(film(ab, lightness))
    left, right = out[40, :, 18:30, 21:26], out[40, :, 18:30, 30:35]
    assert np.abs(left - -30.0).max() < 2.0
    assert right.mean() > -5.0  # the rest is still drawn to 20, 10


def test_a_change_of_exposure_is_no_change_of_the_object():
    ab = flicker(41, most=0.0)
    lightness = np.repeat(scene()[None], 41, axis=0)
    lightness[40] += 9
    ab[40] = 0.0
    out = run(film(ab, lightness))
    assert out[40, 0][INNER].mean() > 14.0


def test_color_of_a_person_is_left_alone():
    ab = flicker(30)
    sure = np.zeros((30, *SIZE), np.float32)
    sure[:, :, :28] = 1
    parts = film(ab, sure=sure)
    out = ab_of(Remember(RememberConfig())(parts))
    assert (out[..., :28] == ab.astype(np.float32)[..., :28]).all()
    assert (out[10:, :, 20:28, 30:34] != ab.astype(np.float32)[10:, :, 20:28, 30:34]).any()


def test_held_frames_are_copies():
    out = run(film(flicker(12), held=(5, 6, 7), batch=6))
    for number in (5, 6, 7):
        assert (out[number] == out[4]).all()
    assert (out[8] != out[7]).any()


@pytest.mark.parametrize("held", [(), (3, 4, 9)])
def test_lightness_and_flow_go_on(held):
    count = 12
    lightness = scene() + np.arange(count)[:, None, None]
    parts = film(flicker(count), lightness, held=held, batch=5, flow=True)
    out = list(Remember(RememberConfig())(parts))
    after = torch.cat([one.chroma.lightness for one in out])[:, 0].numpy()
    for i in range(count):
        source = max(k for k in range(i + 1) if k not in held)
        np.testing.assert_array_equal(after[i], lightness[source].astype(np.float32))
    for one in out:
        assert one.chroma.flow is not None
        assert (one.chroma.flow == 0.5).all()
        assert one.chroma.sure is None


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_batch_size_changes_nothing(batch):
    ab = flicker(20)
    boxes = {1: BOX, 2: (24.0, 16.0, 34.0, 30.5)}
    pins = [whole_pin(2, (5.0, -20.0))]
    wanted = ab_of(Remember(RememberConfig(), pins=pins)(film(ab, boxes=boxes, held=(4, 9))))
    parts = film(ab, boxes=boxes, held=(4, 9), batch=batch)
    assert (ab_of(Remember(RememberConfig(), pins=pins)(parts)) == wanted).all()


def test_a_cut_ends_it():
    before = film(flicker(20, seed=1), boxes={1: BOX})
    after = film(flicker(20, seed=2), boxes={1: BOX}, shot=1, first=20)
    both = run([*before, *after])
    assert (both[20:] == run(after)).all()


def test_flow_and_sure_are_carried_on():
    parts = film(flicker(6), flow=True, sure=np.full((6, *SIZE), 0.25, np.float32), batch=4)
    for given, out in zip(parts, Remember(RememberConfig())(parts), strict=True):
        assert torch.equal(out.chroma.flow, given.chroma.flow)
        assert torch.equal(out.chroma.sure, given.chroma.sure)


def test_the_smaller_box_is_in_front():
    count = 40
    ab = flicker(count, most=0.0)
    small = (24.0, 20.0, 32.0, 28.0)
    ab[:, :, 20:28, 24:32] = -25.0
    ab[count - 1] = 0.0  # both pale in the last frame
    out = run(film(ab, boxes={1: BOX, 2: small}))
    assert -26 < out[-1, 0, 23:25, 27:29].mean() < -12  # both know, one says
    assert out[-1, 0, 30:32, 21:35].mean() > 10


def test_strength_zero_and_no_tracks_change_nothing():
    ab = flicker(10)
    assert (run(film(ab), strength=0.0) == ab.astype(np.float32)).all()
    assert (run(film(ab, boxes={})) == ab.astype(np.float32)).all()
    parts = film(ab)
    assert list(Forget()(parts)) == parts


def test_a_whole_object_takes_a_persons_color():
    pins = [whole_pin(1, (-30.0, 25.0))]
    (out,) = Remember(RememberConfig(), pins=pins)(film(flicker(12)))
    inside = out.chroma.ab[-1][:, 18:30, 22:34]
    assert (inside[0] + 30).abs().max() < 2
    assert (inside[1] - 25).abs().max() < 2
    assert float(out.chroma.sure[-1, 0, 24, 28]) > 0.95
    dark = out.chroma.ab[-1][0, 12:36, 17]  # background in the box, over a strong edge
    assert float(dark.min()) > 0
    assert float(out.chroma.sure[-1, 0, 5].max()) == 0


def test_a_pinned_cell_is_painted_where_its_lightness_is():
    weight = torch.zeros(GRID, GRID)
    weight[:, : GRID // 2] = 1
    template = Template(torch.full((2, GRID, GRID), -20.0), torch.full((GRID, GRID), 65.0), weight)
    (out,) = Remember(RememberConfig(), pins=[Pin(1, template)])(film(flicker(6, most=0)))
    color = out.chroma.ab[-1]
    assert abs(float(color[0, 24, 23]) + 20) < 2  # light, left
    assert float(color[0, 24, 34]) == pytest.approx(20, abs=2)  # light, right
    assert float(color[0, 33, 20]) > 10  # dark, left


def entry(number: int, at: int, shot: int = 0, **words) -> TrackEntry:
    return TrackEntry(
        number, words.pop("identity", "one"), shot=shot, first=at - 5, last=at + 5, at=at,
        box=BOX, **words,
    )  # fmt: skip


def test_a_pin_goes_for_the_identity_in_every_shot():
    file = TracksFile(
        (entry(1, 5, color="ab(-30 25)"), entry(100_001, 17, shot=1)), begin=0, time_base="1/25"
    )
    first = film(flicker(12))
    second = film(flicker(12, seed=3), shot=1, first=12)
    out = ab_of(Remember(RememberConfig(), file)([*first, *second]))
    assert np.abs(out[20, :, 20:28, 24:32] - np.array([-30, 25])[:, None, None]).max() < 2
    other = replace(file, tracks=(file.tracks[0], replace(file.tracks[1], identity="other")))
    out = ab_of(Remember(RememberConfig(), other)([*first, *second]))
    assert out[20, 0, 20:28, 24:32].min() > 0


def test_hints_on_a_track_go_for_its_identity():
    file = TracksFile((entry(1, 5), entry(100_001, 17, shot=1)))
    second = film(flicker(12, seed=3), shot=1, first=12)
    pins = [whole_pin(1, (-30.0, 25.0))]
    out = ab_of(Remember(RememberConfig(), file, pins)(second))
    assert out[5, 0, 20:28, 24:32].max() < -25


def test_a_split_track_has_two_colors():
    file = TracksFile(
        (
            entry(1, 5, color="ab(-30 25)", until=0.4),
            entry(1, 5, identity="two", color="ab(40 0)", since=0.4),
        )
    )
    out = ab_of(Remember(RememberConfig(), file)(film(flicker(20))))
    assert out[9, 0, 24, 28] == pytest.approx(-30, abs=2)  # 0.36 s
    assert out[10, 0, 24, 28] == pytest.approx(40, abs=2)


def test_templates_are_known_from_the_first_frame_and_shots_stay_independent():
    weight = torch.zeros(GRID, GRID)
    weight[2:6, 2:6] = 1
    light = torch.full((GRID, GRID), 65.0)
    color = Template(torch.full((2, GRID, GRID), -30.0), light, weight).to_text()
    file = TracksFile((entry(1, 5, template=color), entry(100_001, 17, shot=1)))
    second = film(flicker(12, most=0), shot=1, first=12)
    alone = ab_of(Remember(RememberConfig(), file)(second))
    assert alone[0, 0, 20:28, 24:32].max() < 0  # drawn from 20 toward -30 by another shot's memory
    both = ab_of(Remember(RememberConfig(), file)([*film(flicker(12)), *second]))
    assert (both[12:] == alone).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (entry(7, 5), r"track 7 \(one\).*not in the film at pts 5 \(there: 1\).*--update"),
        (
            replace(entry(1, 5, name="Anna"), box=(50.0, 0.0, 60.0, 10.0)),
            r"track 1 \(Anna\).*somewhere else at pts 5: its box there is 16, 12, 40, 36",
        ),
    ],
)
def test_a_file_of_another_film_is_refused(line, message):
    stage = Remember(RememberConfig(), TracksFile((line,)))
    with pytest.raises(GuidanceError, match=message):
        list(stage(film(flicker(10))))


def test_objects_are_known_again_in_a_later_shot(describer):
    config = RememberConfig(across_shots=True)
    # larger pictures tell more: the crop is the textured object
    first = film(flicker(30, most=0))
    second = film(flicker(30, most=0) - 40, shot=1, first=30)
    known = ab_of(Remember(config, describe=describer)([*first, *second]))
    alone = ab_of(Remember(config, describe=describer)(second))
    place = (30, 0, 24, 28)
    assert known[place] > alone[(0, 0, 24, 28)] + 15


def test_across_shots_needs_eyes():
    with pytest.raises(ConfigError, match="across_shots needs"):
        Remember(RememberConfig(across_shots=True))


@pytest.mark.parametrize(
    "wrong", [{"strength": 1.5}, {"outlier": 0.0}, {"n_most": 0}, {"feather": 0.0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RememberConfig(**wrong)


@pytest.fixture(scope="module")
def describer():
    from vidcolor.guidance.tracks.identities import Describer
    from vidcolor.models.weights import load_model

    device = torch.device("cpu")
    return Describer(load_model("starter", device)[0], device)
