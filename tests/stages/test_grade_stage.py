from pathlib import Path

import pytest
import torch

from vidcolor.color.grade import GradeConfig, HueRange
from vidcolor.errors import GuidanceError
from vidcolor.records import Chroma, Colored, Detections, FrameBatch, Tracks, VideoInfo
from vidcolor.stages.grade import Grade, box_weight, make_grade
from vidcolor.stages.overlay import NoOverlay

HERE = Path()
FILM = GradeConfig(saturation=2.0)
GRAY = GradeConfig(saturation=0.0)


def _tracks(*rows):
    """Rows of frame, id, box, weight."""
    frame, ids, boxes, weight = zip(*rows, strict=True)
    count = len(rows)
    seen = Detections(
        torch.tensor(boxes, dtype=torch.float32),
        torch.ones(count),
        torch.zeros(count, dtype=torch.int64),
        torch.tensor(frame),
    )
    return Tracks(seen, torch.tensor(ids), torch.tensor(weight, dtype=torch.float32))


def _colored(count=2, shot=0, tracks=None, grid=(24, 32), seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = FrameBatch(
        torch.zeros(count, 1, 48, 64, dtype=torch.uint8),
        tuple(range(count)),
        VideoInfo(48, 64),
        shot=shot,
    )
    ab = torch.rand(count, 2, *grid, generator=generator) * 20 + 5
    lightness = torch.rand(count, 1, *grid, generator=generator) * 100
    chroma = Chroma(ab, lightness, torch.ones(count, 2, *grid), torch.full((count, 1, *grid), 0.5))
    return Colored(frames, tracks or Tracks.empty(), chroma)


def test_nothing_to_do_is_the_null_object():
    neutral = GradeConfig(ranges=(HueRange(20),))
    assert isinstance(make_grade(neutral, {0: GradeConfig()}, {7: neutral}, HERE), NoOverlay)
    for film, shots, tracks in ((FILM, {}, {}), (GradeConfig(), {3: FILM}, {}),
                                (GradeConfig(), {}, {3: FILM})):  # fmt: skip
        assert isinstance(make_grade(film, shots, tracks, HERE), Grade)


def test_shot_and_film_one_after_the_other():
    stage = Grade(FILM, {1: GradeConfig(saturation=0.25)}, {}, HERE)
    first, second = _colored(shot=0), _colored(shot=1)
    assert torch.equal(stage(first).chroma.ab, first.chroma.ab * 2)
    assert torch.equal(stage(second).chroma.ab, second.chroma.ab / 2)


def test_others_are_the_very_same():
    stage = Grade(GradeConfig(), {1: FILM}, {100_001: FILM}, HERE)
    colored = _colored(tracks=_tracks((0, 5, (0, 0, 20, 20), 1.0)))
    assert stage(colored) is colored


def test_everything_else_is_carried_on():
    colored = _colored(tracks=_tracks((0, 5, (10, 10, 30, 30), 1.0)))
    kept = colored.chroma.ab.clone()
    graded = Grade(FILM, {}, {5: GRAY}, HERE)(colored)
    assert graded.frames is colored.frames
    assert graded.tracks is colored.tracks
    for name in ("lightness", "flow", "sure"):
        assert getattr(graded.chroma, name) is getattr(colored.chroma, name)
    assert torch.equal(colored.chroma.ab, kept)  # what came in is not written to


def test_a_track_is_graded_in_its_box():
    # frame pixels 16..48 x 8..40 are cells 8..24 x 4..20
    box = (16, 8, 48, 40)
    colored = _colored(tracks=_tracks((1, 5, box, 1.0), (0, 6, box, 1.0)))
    graded = Grade(GradeConfig(), {}, {5: GRAY}, HERE)(colored).chroma.ab
    before = colored.chroma.ab
    assert torch.equal(graded[0], before[0])
    assert (graded[1, :, 8:16, 12:20].abs() < 1e-5).all()
    outside = torch.ones(24, 32, dtype=torch.bool)
    outside[4:20, 8:24] = False
    assert torch.equal(graded[1][:, outside], before[1][:, outside])
    # the cell at the edge: its middle is 0.5 cells inside, the feather 0.15 * 16 = 2.4 cells
    share = 0.5 / 2.4
    share = share * share * (3 - 2 * share)
    torch.testing.assert_close(graded[1, :, 12, 8], before[1, :, 12, 8] * (1 - share))


def test_a_track_fades_in():
    colored = _colored(tracks=_tracks((0, 5, (16, 8, 48, 40), 0.25)))
    graded = Grade(GradeConfig(), {}, {5: GRAY}, HERE)(colored).chroma.ab
    torch.testing.assert_close(graded[0, :, 12, 16], colored.chroma.ab[0, :, 12, 16] * 0.75)


def test_the_smaller_box_has_the_last_word():
    large, small = (0, 5, (0, 0, 64, 48), 1.0), (0, 6, (16, 8, 48, 40), 1.0)
    for rows in ((large, small), (small, large)):
        colored = _colored(tracks=_tracks(*rows))
        stage = Grade(GradeConfig(), {}, {5: GRAY, 6: GradeConfig(temperature=40)}, HERE)
        graded = stage(colored).chroma.ab
        bright = colored.chroma.lightness[0, 0, 12, 16] > 5
        assert bright
        assert graded[0, 1, 12, 16] > 1  # warm on top of gray
        assert (graded[0, :, 0, 0].abs() < 1e-5).all()


def test_batches_make_no_difference():
    rows = [(i, 5, (4 + i, 8, 40 + i, 44), 1.0) for i in range(4)]
    colored = _colored(4, tracks=_tracks(*rows))
    stage = Grade(FILM, {0: GradeConfig(tint=20)}, {5: GRAY}, HERE)
    whole = stage(colored).chroma.ab
    for i in range(4):
        alone = Colored(
            colored.frames[i : i + 1],
            _tracks((0, *rows[i][1:])),
            colored.chroma[i : i + 1],
        )
        assert torch.equal(stage(alone).chroma.ab[0], whole[i])


def test_boxes_at_the_border_and_beyond():
    weight, rows, columns = box_weight((-5.0, -5.0, 10.0, 10.0), (20, 20))
    assert (rows, columns) == (slice(0, 10), slice(0, 10))
    assert weight[0, 0] == 1
    assert weight[9, 9] < 0.1
    for box in ((30.0, 3.0, 40.0, 9.0), (-9.0, 3.0, -2.0, 9.0), (3.0, 30.0, 9.0, 40.0)):
        weight, rows, columns = box_weight(box, (20, 20))
        assert weight.numel() == 0
        assert torch.zeros(20, 20)[rows, columns].numel() == 0
    colored = _colored(tracks=_tracks((0, 5, (70, 0, 90, 20), 1.0), (0, 5, (3, 3, 3, 3), 1.0)))
    graded = Grade(GradeConfig(), {}, {5: GRAY}, HERE)(colored).chroma.ab
    assert torch.equal(graded, colored.chroma.ab)


def test_looks_are_read_beside_the_script(tmp_path):
    (tmp_path / "gray.cube").write_text(
        "LUT_3D_SIZE 2\n" + "".join(f"{v} {v} {v}\n" for v in (0, 0.2, 0.7, 0.9, 0.1, 0.3, 0.8, 1))
    )
    colored = _colored()
    graded = Grade(GradeConfig(lut="gray.cube"), {}, {}, tmp_path)(colored).chroma.ab
    assert graded.abs().max() < 0.1
    assert colored.chroma.ab.abs().min() >= 5
    with pytest.raises(GuidanceError, match=r"none\.cube"):
        make_grade(GradeConfig(), {0: GradeConfig(lut="none.cube")}, {}, tmp_path)
    # a look without a say is not even opened
    assert isinstance(
        make_grade(GradeConfig(lut="none.cube", lut_strength=0), {}, {}, tmp_path), NoOverlay
    )
