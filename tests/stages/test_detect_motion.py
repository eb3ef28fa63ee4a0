import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcolor.ops.boxes import iou
from vidcolor.records import ColorSpec, Detected, FrameBatch, VideoInfo
from vidcolor.stages import detect_motion
from vidcolor.stages.detect import DetectConfig
from vidcolor.stages.detect_motion import MotionDetector
from vidcolor.stages.motion_planes import fit_camera

INFO = VideoInfo(144, 192, color=ColorSpec(full_range=True))
SIZE = 36


def texture(height: int, width: int, seed: int, grain: float = 3.0) -> np.ndarray:
    """Smooth random texture, codes 40..200."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), grain)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return 40 + 160 * noise


def scene(
    frames: int = 40,
    pan: float = 0.0,
    square: bool = False,
    flicker: float = 0.0,
    grain: float = 0.0,
    fade: bool = False,
) -> tuple[np.ndarray, list[tuple[float, float, float, float]]]:
    """(T, H, W) uint8 and the square's boxes."""
    rng = np.random.default_rng(1)
    wide = texture(144, 192 + 200, 0)
    thing = texture(SIZE, SIZE, 5, 1.5) * 0.5 + 130
    result, boxes = [], []
    for t in range(frames):
        x = 10 + pan * t
        move = np.array([[1, 0, x], [0, 1, 0]], np.float32)
        picture = cv2.warpAffine(
            wide, move, (192, 144), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        left, top = 10 + 3 * t, 30 + t
        if square:
            picture[top : top + SIZE, left : left + SIZE] = thing
        boxes.append((left, top, left + SIZE, top + SIZE))
        if flicker:
            picture = picture * (1 + flicker * np.sin(2.1 * t)) + 10 * np.cos(1.3 * t)
        if fade:
            picture = picture * max(0.0, 1 - t / frames)
        picture = picture + rng.normal(0, grain, picture.shape)
        result.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return np.stack(result), boxes


def batches(
    film: np.ndarray, sizes: list[int], shot: int = 0, held: np.ndarray | None = None
) -> list[FrameBatch]:
    result, at, k = [], 0, 0
    while at < len(film):
        part = slice(at, at + sizes[k % len(sizes)])
        luma = torch.from_numpy(film[part])[:, None]
        marks = None if held is None else torch.from_numpy(held[part])
        pts = tuple(range(at, at + len(luma)))
        result.append(FrameBatch(luma, pts, INFO, index=at, shot=shot, start=at, held=marks))
        at, k = at + len(luma), k + 1
    return result


def rows(seen: list[Detected]) -> list[tuple[int, tuple[float, ...], float]]:
    return [
        (one.frames.index + int(frame), tuple(box.tolist()), float(score))
        for one in seen
        for frame, box, score in zip(
            one.detections.frame, one.detections.boxes, one.detections.scores, strict=True
        )
    ]


@pytest.mark.parametrize("pan", [0.0, 1.3])
@pytest.mark.parametrize("spoiled", [False, True])
def test_a_moving_square_is_found(pan: float, spoiled: bool) -> None:
    film, boxes = scene(pan=pan, square=True, flicker=0.06 * spoiled, grain=5.0 * spoiled)
    found = rows(list(MotionDetector(DetectConfig())(batches(film, [16]))))
    assert len({frame for frame, *_ in found}) >= 38
    overlaps = []
    for frame, box, score in found:
        overlap = iou(torch.tensor([box]), torch.tensor([boxes[frame]], dtype=torch.float32))
        overlaps.append(float(overlap))
        assert score > 0.5
    assert min(overlaps) > 0.5
    assert float(np.mean(overlaps)) > 0.75


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"pan": 2.2},
        {"flicker": 0.15, "grain": 8.0},
        {"pan": 1.5, "flicker": 0.1, "grain": 6.0},
        {"fade": True, "grain": 2.0},
    ],
    ids=["still", "pan", "flicker and grain", "all", "fade"],
)
def test_where_nothing_moves_nothing_is_found(setting: dict[str, float]) -> None:
    film, _ = scene(**setting)  # type: ignore[arg-type]
    assert rows(list(MotionDetector(DetectConfig())(batches(film, [16])))) == []


def test_an_explosion_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    film = np.stack([texture(144, 192, int(seed)) for seed in rng.integers(0, 99, 30)])
    film = film.astype(np.uint8)
    assert rows(list(MotionDetector(DetectConfig())(batches(film, [8])))) == []


def test_dust_is_not_an_object() -> None:
    film, _ = scene(frames=30)
    film[12, 40:70, 50:80] = 255
    assert rows(list(MotionDetector(DetectConfig())(batches(film, [8])))) == []


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 25), min_size=1, max_size=4))
def test_batch_size_changes_nothing(sizes: list[int]) -> None:
    film, _ = scene(frames=40, square=True)
    seen = list(MotionDetector(DetectConfig())(batches(film, sizes)))
    assert [one.frames.pts for one in seen] == [one.pts for one in batches(film, sizes)]
    assert rows(seen) == rows(list(MotionDetector(DetectConfig())(batches(film, [16]))))
    assert rows(seen)


def test_nothing_crosses_a_cut() -> None:
    first, _ = scene(frames=30)
    second = first[:, :, ::-1].copy()
    seen = MotionDetector(DetectConfig())(batches(first, [8], 0) + batches(second, [8], 1))
    assert rows(list(seen)) == []


def test_a_held_frame_shows_what_the_one_before_showed() -> None:
    film, _ = scene(frames=24, square=True)
    twice = np.repeat(film, 2, axis=0)
    held = np.arange(48) % 2 == 1
    found = rows(list(MotionDetector(DetectConfig())(batches(twice, [7], held=held))))
    for i in range(1, 48, 2):
        assert [row[1:] for row in found if row[0] == i] == [
            row[1:] for row in found if row[0] == i - 1
        ]
    assert len({frame for frame, *_ in found}) > 40


def looked_at(seen: list[Detected]) -> list[int]:
    return [
        one.frames.index + i for one in seen for i, at in enumerate(one.has_looked().tolist()) if at
    ]


@pytest.mark.parametrize("sizes", [[16], [5, 1, 9]])
def test_every_second_picture_is_looked_at(sizes: list[int]) -> None:
    film, _ = scene(frames=40, square=True)
    seen = list(MotionDetector(DetectConfig(every=2))(batches(film, sizes)))
    assert looked_at(seen) == list(range(0, 40, 2))
    found = rows(seen)
    assert {frame for frame, *_ in found} <= set(looked_at(seen))
    assert len({frame for frame, *_ in found}) >= 18
    # the background may be that of another frame, the object is the same
    expected = {
        frame: box
        for frame, box, _ in rows(list(MotionDetector(DetectConfig())(batches(film, [16]))))
    }
    overlaps = [
        float(iou(torch.tensor([box]), torch.tensor([expected[frame]])))
        for frame, box, _ in found
        if frame in expected
    ]
    assert len(overlaps) >= 18
    assert float(np.mean(overlaps)) > 0.9


@pytest.mark.parametrize("times", [2, 3])
def test_all_drawings_are_looked_at(times: int) -> None:
    film, _ = scene(frames=14, square=True)
    held = np.arange(14 * times) % times > 0
    again = batches(np.repeat(film, times, axis=0), [7], held=held)
    seen = list(MotionDetector(DetectConfig(every=2))(again))
    assert looked_at(seen) == list(range(14 * times))
    found = rows(seen)
    for i in np.flatnonzero(held).tolist():
        assert [row[1:] for row in found if row[0] == i] == [
            row[1:] for row in found if row[0] == i - 1
        ]
    assert found


def test_held_frames_of_a_picture_that_nobody_saw_show_nothing() -> None:
    """On twos, of which every second picture lies nearer than `every`."""
    film, _ = scene(frames=16, square=True)
    held = np.arange(32) % 2 == 1
    twice = batches(np.repeat(film, 2, axis=0), [8], held=held)
    seen = list(MotionDetector(DetectConfig(every=4))(twice))
    assert looked_at(seen) == [i for i in range(32) if i % 4 < 2]


def test_three_frames_share_a_background(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    sides = detect_motion._Shot._samples

    def note(shot: detect_motion._Shot, number: int, now: np.ndarray, step: int) -> list:
        made.append(number)
        return sides(shot, number, now, step)

    monkeypatch.setattr(detect_motion._Shot, "_samples", note)
    film, _ = scene(frames=40, square=True)
    list(MotionDetector(DetectConfig())(batches(film, [16])))
    # both sides are known from frame 8 to 31, and the last of them serves two more
    both = sorted({number for number in made if 8 <= number < 32})
    assert both == list(range(8, 32, 3))


def test_limited_range_and_ten_bits_show_the_same() -> None:
    film, _ = scene(frames=20, square=True)
    deep = np.rint(64 + film.astype(np.float64) / 255 * (940 - 64)).astype(np.int16)
    info = VideoInfo(144, 192, color=ColorSpec(bits=10))
    frames = FrameBatch(torch.from_numpy(deep)[:, None], tuple(range(20)), info)
    (seen,) = MotionDetector(DetectConfig())([frames])
    expected = rows(list(MotionDetector(DetectConfig())(batches(film, [20]))))
    found = rows([seen])
    assert [row[0] for row in found] == [row[0] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[1] == pytest.approx(other[1], abs=4)


def test_the_camera_is_fitted_beside_an_object() -> None:
    rows_, columns = np.mgrid[0:144, 0:192].astype(np.float64)
    true = np.array([[1.01, 0.02, 3.0], [-0.02, 1.01, -1.0], [0, 0, 1]])
    flow = np.stack(
        (
            true[0, 0] * columns + true[0, 1] * rows_ + true[0, 2] - columns,
            true[1, 0] * columns + true[1, 1] * rows_ + true[1, 2] - rows_,
        ),
        axis=2,
    ).astype(np.float32)
    flow[30:90, 40:110] += 9  # a fifth of the picture goes its own way
    picture = texture(144, 192, 2).astype(np.uint8)
    matrix, reliable = fit_camera(flow, picture, picture)
    assert reliable
    assert np.abs(matrix - true)[:2, :2].max() < 1e-3
    assert np.abs(matrix - true)[:, 2].max() < 0.1


def test_a_figure_on_plain_ground_is_found() -> None:
    """All texture is the figure's; its movement is not the camera's."""
    film = np.full((30, 144, 192), 230, np.uint8)
    figure = texture(50, 40, 5, 2.0).astype(np.uint8)
    for t in range(30):
        left = 20 + 3 * t
        film[t, 60:110, left : left + 40] = figure
    found = rows(list(MotionDetector(DetectConfig())(batches(film, [8]))))
    assert len({frame for frame, *_ in found}) >= 24
    for frame, box, _ in found:
        left = 20 + 3 * frame
        true = torch.tensor([[left, 60, left + 40, 110]], dtype=torch.float32)
        assert float(iou(torch.tensor([box]), true)) > 0.5
