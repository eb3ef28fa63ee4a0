import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.errors import ConfigError
from vidcolor.ops.boxes import iou
from vidcolor.records import Detected, Detections, FrameBatch, Tracked, VideoInfo
from vidcolor.stages.track import NoTracker, TrackConfig, Tracker

INFO = VideoInfo(120, 160)
NAMES = ("person", "dog")
Seen = list[tuple[tuple[float, float, float, float], float, int]]


def item(
    seen: list[Seen],
    start: int = 0,
    shot: int = 0,
    looked: list[bool] | None = None,
    held: list[bool] | None = None,
    ids: list[int] | None = None,
) -> Detected:
    """A batch whose frames show `seen`."""
    rows = [(*one, i) for i, frame in enumerate(seen) for one in frame]
    found = Detections.empty(NAMES)
    if rows:
        found = Detections(
            torch.tensor([row[0] for row in rows]),
            torch.tensor([row[1] for row in rows]),
            torch.tensor([row[2] for row in rows]),
            torch.tensor([row[3] for row in rows]),
            NAMES,
        )
    frames = FrameBatch(
        torch.zeros(len(seen), 1, 120, 160, dtype=torch.uint8),
        tuple(range(start, start + len(seen))),
        INFO,
        index=start,
        shot=shot,
        start=start,
        held=None if held is None else torch.tensor(held),
    )
    return Detected(
        frames,
        found,
        None if looked is None else torch.tensor(looked),
        None if ids is None else torch.tensor(ids),
    )


def split(seen: list[Seen], sizes: list[int], shot: int = 0) -> list[Detected]:
    """The frames of a shot in batches of the given sizes, repeated as needed."""
    result, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(seen):
            return result
        result.append(item(seen[at : at + size], at, shot))
        at += size
    return result


def rows(tracked: list[Tracked]) -> list[tuple[int, int, tuple[float, ...], float, int, float]]:
    """(frame of the film, id, box, score, label, weight) of everything sent on."""
    result = []
    for one in tracked:
        for k in range(len(one.tracks)):
            found = one.tracks.detections
            result.append(
                (
                    one.frames.index + int(found.frame[k]),
                    int(one.tracks.ids[k]),
                    tuple(found.boxes[k].tolist()),
                    float(found.scores[k]),
                    int(found.labels[k]),
                    float(one.tracks.weight[k]),
                )
            )
    return result


def scene(seed: int, frames: int = 80) -> tuple[np.ndarray, list[Seen]]:
    """Truth (T, 3, 4) and detections: jittered by 4 %, a tenth missed, false ones added."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    truth = np.empty((frames, 3, 4))
    for k in range(3):
        x = 30 + 45 * k + 8 * np.sin(2 * np.pi * t / (50 + 10 * k) + k)
        y = 60 + (t - frames / 2) * (0.3 - 0.3 * k)
        size = 15 * np.exp(0.1 * np.sin(2 * np.pi * t / 90 + k))
        truth[:, k] = np.stack((x - size, y - size, x + size, y + size), axis=1)
    seen: list[Seen] = []
    for i in range(frames):
        frame: Seen = []
        for k in range(3):
            box = truth[i, k] + rng.normal(0, 0.04 * 30, 4)
            score = float(np.clip(rng.normal(0.75, 0.15), 0.15, 0.99))
            if rng.random() > 0.1:
                frame.append((tuple(box), score, k % 2))
        if rng.random() < 0.3:
            x, y = rng.uniform(0, 100, 2)
            frame.append(((x, y, x + 20, y + 20), float(rng.uniform(0.1, 0.6)), 0))
        seen.append(frame)
    return truth, seen


def errors(truth: np.ndarray, boxes: list[torch.Tensor]) -> tuple[float, float]:
    """Mean corner error in pixels and mean IoU of the best box of each object and frame."""
    corner, overlaps = [], []
    for true, found in zip(truth, boxes, strict=True):
        overlap = iou(torch.from_numpy(true), found.double())
        for k in range(len(true)):
            if len(found) and overlap[k].max() > 0.3:
                best = found[int(overlap[k].argmax())].numpy()
                corner.append(float(np.abs(best - true[k]).mean()))
                overlaps.append(float(overlap[k].max()))
    return float(np.mean(corner)), float(np.mean(overlaps))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tracked_boxes_are_nearer_to_the_truth_and_none_blinks(seed: int) -> None:
    truth, seen = scene(seed)
    tracked = list(Tracker()(split(seen, [7])))
    raw = errors(truth, [torch.tensor([one[0] for one in frame]) for frame in seen])
    steady: list[list[tuple[float, ...]]] = [[] for _ in seen]
    life: dict[int, list[int]] = {}
    for frame, number, box, *_ in rows(tracked):
        steady[frame].append(box)
        life.setdefault(number, []).append(frame)
    smoothed = errors(truth, [torch.tensor(frame) for frame in steady])
    assert smoothed[0] < 0.65 * raw[0]
    assert smoothed[1] > raw[1] + 0.03
    assert sorted(life.values(), key=len)[-3:] == [list(range(80))] * 3
    # without smoothing the same boxes are as bad as the raw ones
    rough: list[list[tuple[float, ...]]] = [[] for _ in seen]
    for frame, _, box, *_ in rows(list(Tracker(TrackConfig(smooth_frames=0))(split(seen, [7])))):
        rough[frame].append(box)
    assert errors(truth, [torch.tensor(frame) for frame in rough])[0] > 0.8 * raw[0]


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_batch_size_and_order_change_nothing(sizes: list[int], random: object, seed: int) -> None:
    _, seen = scene(seed)
    config = TrackConfig(window_frames=20)
    expected = rows(list(Tracker(config)(split(seen, [1]))))
    mixed = [list(frame) for frame in seen]
    for frame in mixed:
        random.shuffle(frame)  # type: ignore[attr-defined]
    tracked = list(Tracker(config)(split(mixed, sizes)))
    assert [len(one.frames) for one in tracked] == [len(one.frames) for one in split(mixed, sizes)]
    assert rows(tracked) == expected


def test_nothing_crosses_a_cut() -> None:
    first, second = scene(0)[1], scene(1)[1]
    both = list(Tracker()(split(first, [9], 0) + split(second, [9], 1)))
    alone = list(Tracker()(split(second, [9], 1)))
    assert rows([one for one in both if one.frames.shot == 1]) == rows(alone)
    ids = [{row[1] for row in rows([one for one in both if one.frames.shot == s])} for s in (0, 1)]
    assert not ids[0] & ids[1]
    assert ids[1]


def test_a_still_picture_keeps_what_scores_well() -> None:
    box = (10.0, 20.0, 60.0, 90.0)
    (one,) = Tracker()([item([[(box, 0.71, 1), ((90.0, 10, 120, 60), 0.69, 0)]])])
    assert rows([one]) == [(0, 1, pytest.approx(box, abs=1e-3), pytest.approx(0.71), 1, 1.0)]


def test_instances_fade_in_and_out_but_not_at_the_cut() -> None:
    still: Seen = [((10.0, 10, 50, 50), 0.9, 0)]
    comer: Seen = [((80.0, 10, 120, 50), 0.9, 0)]
    seen = [still + (comer if 20 <= i < 50 else []) for i in range(80)]
    found = rows(list(Tracker()(split(seen, [16]))))
    weights = {
        number: [row[5] for row in found if row[1] == number]
        for number in {row[1] for row in found}
    }
    lives = {number: [row[0] for row in found if row[1] == number] for number in weights}
    calm, fading = sorted(weights, key=lambda number: lives[number][0])
    assert lives[calm] == list(range(80))
    assert weights[calm] == [1.0] * 80
    assert lives[fading] == list(range(17, 53))  # three frames held on either side
    ramp = [k / 6 for k in range(1, 6)]
    assert weights[fading] == pytest.approx([*ramp, *[1.0] * 26, *ramp[::-1]])


def test_a_blink_is_dropped_and_a_short_gap_filled() -> None:
    box: Seen = [((10.0, 10, 50, 50), 0.8, 0)]
    blink: Seen = [((90.0, 60, 130, 100), 0.95, 0)]
    seen = [(box if i not in range(15, 24) else []) + (blink if i == 30 else []) for i in range(60)]
    found = rows(list(Tracker()(split(seen, [10]))))
    assert [row[0] for row in found] == list(range(60))
    assert {row[1] for row in found} == {1}


def test_a_low_score_keeps_a_track_alive_but_starts_none() -> None:
    box = (10.0, 10.0, 50.0, 50.0)
    other = (90.0, 60.0, 130.0, 100.0)
    seen: list[Seen] = [[(box, 0.9 if i < 5 else 0.35, 0), (other, 0.45, 0)] for i in range(40)]
    found = rows(list(Tracker()(split(seen, [8]))))
    assert [row[0] for row in found] == list(range(40))
    assert found[20][2] == pytest.approx(box, abs=0.5)


def test_windows_of_a_long_shot_join_without_seam() -> None:
    truth, seen = scene(3, frames=300)
    whole = rows(list(Tracker(TrackConfig(window_frames=1000))(split(seen, [8]))))
    parts = rows(list(Tracker(TrackConfig(window_frames=40))(split(seen, [8]))))
    ids = {row[1] for row in parts if row[0] == 0}
    for number in ids:
        assert [row[0] for row in parts if row[1] == number] == list(range(300))
    assert len(ids) == 3
    parts = [row for row in parts if row[1] in ids]
    place = {(row[0], row[4], round(row[2][0] / 40)): row[2] for row in whole}
    far = [
        float(np.abs(np.subtract(place[key], row[2])).max())
        for row in parts
        if (key := (row[0], row[4], round(row[2][0] / 40))) in place
    ]
    assert len(far) > 850
    assert max(far) < 0.5
    assert all(row[5] == 1 for row in parts if 10 < row[0] < 290)
    assert len(truth) == 300


def test_memory_is_bounded_by_window_and_lookahead() -> None:
    taken = 0

    def source() -> Iterator[Detected]:
        nonlocal taken
        for one in split(scene(0, frames=200)[1], [5]):
            taken += len(one.frames)
            yield one

    sent, lag = 0, 0
    for one in Tracker(TrackConfig(window_frames=30, lookahead_frames=20))(source()):
        lag = max(lag, taken - sent)
        sent += len(one.frames)
    assert sent == 200
    assert 50 <= lag <= 60


def test_frames_that_nobody_looks_at_are_not_held() -> None:
    taken = 0

    def source() -> Iterator[Detected]:
        nonlocal taken
        for start in range(0, 40, 4):
            taken += 4
            yield item([[]] * 4, start, looked=[False] * 4)

    sent = 0
    for one in Tracker()(source()):
        sent += len(one.frames)
        assert taken == sent
        assert len(one.tracks) == 0
        assert one.tracks.detections.names == NAMES
    assert sent == 40


@pytest.mark.parametrize("every", [3, 4, 8])
def test_frames_without_look_are_no_misses(every: int) -> None:
    seen: list[Seen] = [[((10.0 + i, 10, 50 + i, 50), 0.9, 0)] for i in range(67)]
    batches = [
        item([frame if i % every == 0 else []], i, looked=[i % every == 0])
        for i, frame in enumerate(seen)
    ]
    found = rows(list(Tracker()(batches)))
    assert [row[0] for row in found] == list(range(67))
    assert all(row[5] == 1 for row in found)
    for i, row in enumerate(found):
        assert row[2] == pytest.approx(seen[i][0][0], abs=1.0)


def test_a_held_frame_has_the_tracks_of_the_one_before() -> None:
    _, seen = scene(5, frames=60)
    held = [i % 2 == 1 for i in range(60)]
    tracked = list(
        Tracker()([item(seen[:30], held=held[:30]), item(seen[30:], 30, held=held[30:])])
    )
    found = rows(tracked)
    for i in range(1, 60, 2):
        before = [row[1:] for row in found if row[0] == i - 1]
        assert [row[1:] for row in found if row[0] == i] == before


def test_given_identities_are_obeyed() -> None:
    rng = np.random.default_rng(0)
    seen: list[Seen] = []
    ids = []
    for i in range(50):
        frame: Seen = []
        for number in (7, 3):
            if number == 3 and i in (20, 21):
                continue
            x = float(rng.uniform(0, 60))
            frame.append(((x, 10.0, x + 30, 40.0), 0.2, 0))
            ids.append(number)
        seen.append(frame)
    (tracked,) = Tracker()([item(seen, ids=ids)])
    found = tracked.tracks
    for frame in range(50):
        here = found.detections.frame == frame
        expected = dict(zip([7, 3] if frame not in (20, 21) else [7], seen[frame], strict=True))
        assert set(found.ids[here].tolist()) == set(expected)
        for number, box in zip(
            found.ids[here].tolist(), found.detections.boxes[here].tolist(), strict=True
        ):
            assert box == pytest.approx(expected[number][0], abs=1e-4)
    fade = {
        int(frame): float(weight)
        for frame, number, weight in zip(
            found.detections.frame, found.ids, found.weight, strict=True
        )
        if number == 3
    }
    assert fade[19] == pytest.approx(1 / 6)
    assert fade[22] == pytest.approx(1 / 6)
    assert fade[0] == fade[49] == 1


def test_the_largest_and_longest_are_chosen_for_the_whole_shot() -> None:
    boxes = [(10.0 * k, 0.0, 10.0 * k + 9, 20.0 + 8 * k) for k in range(11)]
    rng = np.random.default_rng(0)
    seen: list[Seen] = [
        [(box, float(rng.uniform(0.6, 0.99)), 0) for box in boxes] for _ in range(40)
    ]
    found = rows(list(Tracker(TrackConfig(max_instances=4))(split(seen, [8]))))
    for i in range(40):
        here = sorted(row[2][3] for row in found if row[0] == i)
        assert here == pytest.approx([76, 84, 92, 100], abs=0.5)


def test_the_class_is_voted() -> None:
    seen: list[Seen] = [[((10.0, 10, 50, 50), 0.9, 1 if i % 3 else 0)] for i in range(30)]
    assert {row[4] for row in rows(list(Tracker()(split(seen, [8]))))} == {1}


def test_a_still_object_gets_the_same_pixels() -> None:
    rng = np.random.default_rng(0)
    seen: list[Seen] = [
        [(tuple(np.array((20.0, 20, 100, 100)) + rng.normal(0, 0.5, 4)), 0.9, 0)] for _ in range(60)
    ]
    boxes = [row[2] for row in rows(list(Tracker(TrackConfig(quantum_px=8))(split(seen, [8]))))]
    sides = {(round(x1 - x0, 2), round(y1 - y0, 2)) for x0, y0, x1, y1 in boxes}
    assert len(sides) == 1
    assert len({tuple(np.round(box, 3)) for box in boxes}) < 6


def test_standing_alone() -> None:
    seen: Seen = [((0.0, 0, 10, 10), 0.9, 0), ((0.0, 0, 20, 20), 0.8, 1), ((5.0, 5, 9, 9), 0.3, 0)]
    tracked = list(NoTracker(TrackConfig(max_instances=1))([item([seen, seen], shot=2)]))
    assert [(row[0], row[2], row[5]) for row in rows(tracked)] == [
        (0, (0, 0, 20, 20), 1),
        (1, (0, 0, 20, 20), 1),
    ]
    assert len({row[1] for row in rows(tracked)}) == 2


@pytest.mark.parametrize(
    "setting",
    [{"birth": 1.5}, {"max_instances": 0}, {"lookahead_frames": 3}, {"smooth_frames": -1.0}],
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TrackConfig(**setting)  # type: ignore[arg-type]
