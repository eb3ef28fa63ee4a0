import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vidcolor.errors import ConfigError, GuidanceError, WeightsError
from vidcolor.records import ColorSpec, Detected, Detections, FrameBatch, Tracked, Tracks, VideoInfo
from vidcolor.stages import detect, detect_torchvision
from vidcolor.stages.boxes_file import BoxesFile, boxes_line
from vidcolor.stages.detect import COCO_NAMES, DetectConfig, NoDetector, look, make_detector
from vidcolor.stages.detect_motion import MotionDetector
from vidcolor.stages.detect_torchvision import TorchvisionDetector, load_torchvision

CPU = torch.device("cpu")
INFO = VideoInfo(48, 64, time_base=Fraction(1, 25), color=ColorSpec(full_range=True))


def film(
    count: int,
    sizes: Sequence[int] = (4,),
    shot: int = 0,
    info: VideoInfo = INFO,
    held: Sequence[bool] | None = None,
) -> list[FrameBatch]:
    """Frames whose codes are their numbers."""
    result, at, k = [], 0, 0
    luma = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, *info.size)
    while at < count:
        end = min(count, at + sizes[k % len(sizes)])
        marks = None if held is None else torch.tensor(held[at:end])
        result.append(FrameBatch(luma[at:end], tuple(range(at, end)), info, at, shot, at, marks))
        at, k = end, k + 1
    return result


def see_codes(batch: FrameBatch, numbers: Sequence[int]) -> list[Detections]:
    """A detector whose box says which frame it saw."""
    return [
        Detections(
            torch.tensor([[0.0, 0.0, 1.0 + float(batch.luma[i].max()), 1.0]]),
            torch.tensor([0.5]),
            torch.tensor([3]),
            torch.tensor([0]),
            COCO_NAMES,
        )
        for i in numbers
    ]


def shown(seen: list[Detected]) -> dict[int, float]:
    """Frame of the film -> what its box says."""
    return {
        one.frames.index + int(frame): float(box[2]) - 1
        for one in seen
        for frame, box in zip(one.detections.frame, one.detections.boxes, strict=True)
    }


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 6), st.integers(0, 99))
def test_frames_are_looked_at_by_their_number_in_the_shot(
    sizes: list[int], every: int, seed: int
) -> None:
    held = (torch.rand(23, generator=torch.Generator().manual_seed(seed)) < 0.5).tolist()
    held[0] = False
    shots = film(23, sizes, 0, held=held) + film(9, sizes, 1)
    calls: list[int] = []

    def see(batch: FrameBatch, numbers: Sequence[int]) -> list[Detections]:
        calls.extend(int(batch.luma[i].max()) + 100 * batch.shot for i in numbers)
        return see_codes(batch, numbers)

    seen = list(look(shots, every, see))
    first = [one for one in seen if one.frames.shot == 0]
    expected, latest = {}, None
    for i in range(23):
        if not held[i]:
            latest = None
        if i % every == 0:
            latest = i if latest is None else latest
            expected[i] = float(latest)
    assert shown(first) == expected
    assert shown([one for one in seen if one.frames.shot == 1]) == {
        i: float(i) for i in range(0, 9, every)
    }
    looked = torch.cat([one.has_looked() for one in first])
    assert looked.nonzero().ravel().tolist() == sorted(expected)
    assert sorted(calls) == [*sorted({int(v) for v in expected.values()}), *range(100, 109, every)]


def test_no_detector_looks_at_nothing() -> None:
    for one in NoDetector()(film(5)):
        assert not one.has_looked().any()
        assert len(one.detections) == 0


class Corner(nn.Module):
    """Stands for a network of torchvision: finds what is brighter than half."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        self.seen += images
        results = []
        for image in images:
            rows, columns = torch.where(image[0] > 0.5)
            box = torch.stack((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            results.append(
                {
                    "boxes": torch.stack((box, box, box, box)).float(),
                    "scores": torch.tensor([0.9, 0.8, 0.7, 0.05]),
                    "labels": torch.tensor([1, 90, 12, 1]),  # 12 is a hole in COCO's numbers
                }
            )
        return results


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)])
def test_boxes_come_back_to_the_coded_frame(rotation: int, aspect: Fraction) -> None:
    info = VideoInfo(
        48, 64, rotation=rotation, sample_aspect=aspect, color=ColorSpec(full_range=True)
    )
    luma = torch.zeros(2, 1, 48, 64, dtype=torch.uint8)
    luma[:, :, 8:20, 12:45] = 255
    network = Corner()
    detector = TorchvisionDetector(DetectConfig(), network, CPU)
    (seen,) = detector([FrameBatch(luma, (0, 1), info)])
    assert seen.detections.frame.tolist() == [0, 0, 1, 1]
    assert [COCO_NAMES[i] for i in seen.detections.labels[:2]] == ["person", "toothbrush"]
    assert seen.detections.boxes.dtype == torch.float32
    for box in seen.detections.boxes.tolist():
        assert box == pytest.approx((12, 8, 45, 20), abs=1.01)
    high, wide = 48, round(64 * aspect)
    upright = (wide, high) if rotation in (90, 270) else (high, wide)
    assert tuple(network.seen[0].shape) == (3, *upright)
    assert float(network.seen[0].max()) == pytest.approx(1, abs=1e-4)
    assert float(network.seen[0].min()) == pytest.approx(0, abs=1e-4)


def test_labels_are_those_of_torchvision() -> None:
    """Every name that torchvision gives a label is the one that we give it."""
    meta = pytest.importorskip("torchvision.models.detection")
    names = meta.MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"]
    table = detect_torchvision._label_table()
    for label, name in enumerate(names):
        if name in ("__background__", "N/A"):
            assert table[label] == -1
        else:
            assert COCO_NAMES[int(table[label])] == name
    assert len(COCO_NAMES) == 80


def tiny_network() -> nn.Module:
    detection = pytest.importorskip("torchvision.models.detection")
    torch.manual_seed(0)
    network = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, box_score_thresh=0.0, min_size=64, max_size=96
    )
    return network.eval()


def test_a_real_network_gives_the_same_for_any_batch() -> None:
    config = DetectConfig(floor=0.0, max_objects=5)
    detector = TorchvisionDetector(config, tiny_network(), CPU, every=2)
    generator = torch.Generator().manual_seed(1)
    luma = torch.randint(0, 256, (5, 1, 48, 64), dtype=torch.uint8, generator=generator)
    whole = FrameBatch(luma, tuple(range(5)), INFO)
    (one,) = detector([whole])
    several = list(detector([whole[:3], whole[3:]]))
    assert sorted(set(one.detections.frame.tolist())) == [0, 2, 4]
    assert torch.bincount(one.detections.frame).max() <= 5
    joined = torch.cat([part.detections.boxes for part in several])
    assert torch.allclose(joined, one.detections.boxes, atol=1e-3)
    limits = torch.tensor([64.0, 48, 64, 48])
    assert bool(((one.detections.boxes >= 0) & (one.detections.boxes <= limits)).all())


def test_a_file_of_frozen_layers_is_loaded_and_another_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    state = tiny_network().state_dict()
    kept = {key: value for key, value in state.items() if "num_batches" not in key}
    torch.save(kept, tmp_path / "good.pth")
    kept.pop("roi_heads.box_predictor.cls_score.bias")
    torch.save(kept, tmp_path / "bad.pth")
    monkeypatch.setattr(detect_torchvision, "find", lambda _: tmp_path / "good.pth")
    network = load_torchvision(DetectConfig(), name, CPU)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])
    monkeypatch.setattr(detect_torchvision, "find", lambda _: tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"cls_score\.bias"):
        load_torchvision(DetectConfig(), name, CPU)


def test_half_precision_stays_in_the_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    torch.save(tiny_network().state_dict(), tmp_path / "good.pth")
    monkeypatch.setattr(detect_torchvision, "find", lambda _: tmp_path / "good.pth")
    full = load_torchvision(DetectConfig(), name, CPU)
    half = load_torchvision(DetectConfig(), name, CPU, torch.bfloat16)
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact, rough = full.backbone(picture), half.backbone(picture)
    for key in exact:
        assert rough[key].dtype == torch.float32
        assert not torch.equal(rough[key], exact[key])
        assert torch.allclose(rough[key], exact[key], atol=0.05 * float(exact[key].abs().max()))


@pytest.mark.parametrize(("asked", "looks"), [(0, [0, 2, 4]), (1, [0, 1, 2, 3, 4]), (3, [0, 3])])
def test_motion_looks_at_every_second_frame_unless_told(asked: int, looks: list[int]) -> None:
    detector = make_detector(DetectConfig(detector="motion", every=asked), CPU)
    luma = torch.zeros(5, 1, 48, 64, dtype=torch.uint8)
    (seen,) = detector([FrameBatch(luma, tuple(range(5)), VideoInfo(48, 64))])
    assert seen.has_looked().nonzero().flatten().tolist() == looks


def test_auto_takes_motion_without_weights_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def nothing(*_: object, **__: object) -> None:
        raise WeightsError("no network here")

    def fetch(name: str, **__: object) -> None:
        asked.append(name)
        nothing()

    monkeypatch.setattr(detect, "_silent", {})
    monkeypatch.setattr(detect_torchvision, "find", nothing)
    monkeypatch.setattr(detect_torchvision, "fetch", fetch)
    with caplog.at_level(logging.INFO, logger="vidcolor"):
        assert isinstance(make_detector(DetectConfig(), CPU), MotionDetector)
    (line,) = caplog.messages
    assert "motion" in line
    assert "no network here" in line
    assert isinstance(make_detector(DetectConfig(), CPU, still=True), NoDetector)
    assert len(asked) == 1  # who does not answer is not asked again at once
    with pytest.raises(WeightsError, match="no network here"):
        make_detector(DetectConfig(detector="torchvision"), CPU)
    assert len(asked) == 2  # but for whoever insists


@pytest.mark.parametrize(
    "setting",
    [
        {"detector": "yolo"},
        {"detector": "boxes:"},
        {"model": "resnet"},
        {"floor": 2.0},
        {"every": -1},
        {"motion_side_px": 3},
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        DetectConfig(**setting)  # type: ignore[arg-type]


def write(path: Path, *lines: str) -> Path:
    file = path / "boxes.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_boxes_file_is_obeyed(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '{"frame": 1, "boxes": [[1, 2, 10.5, 20], [50, 40, 99, 99]], "labels": ["dog", "cat"]}',
        "",
        '{"frame": 5, "pts": 5, "time": 0.2, "boxes": [[0, 0, 4, 4]], "scores": [0.25]}',
    )
    detector = make_detector(DetectConfig(detector=f"boxes:{file}"), CPU)
    first, second = detector(film(8))
    assert first.detections.boxes.tolist() == [[1, 2, 10.5, 20], [50, 40, 64, 48]]
    assert first.detections.scores.tolist() == [1, 1]
    assert [first.detections.names[i] for i in first.detections.labels] == ["dog", "cat"]
    assert first.detections.frame.tolist() == [1, 1]
    assert second.detections.frame.tolist() == [1]
    assert second.detections.scores.tolist() == [0.25]
    assert second.ids is None
    assert bool(second.has_looked().all())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (batch,) = film(4, (4,))
    found = Detections(
        torch.tensor([[1.25, 2, 30, 40], [3, 4, 50, 44.5], [0, 0, 9, 9]]),
        torch.tensor([0.5, 0.75, 1.0]),
        torch.tensor([0, 1, 1]),
        torch.tensor([0, 0, 3]),
        ("person", "dog"),
    )
    tracks = Tracks(found, torch.tensor([7, 9, 7]), torch.ones(3))
    lines = [boxes_line(Tracked(batch, tracks), i) for i in range(4)]
    assert lines[0].startswith('{"frame": 0, "pts": 0, "time": 0.0, "boxes": [[1.25, 2.0, 30.0')
    assert '"time": 0.12' in lines[3]
    file = tmp_path / "boxes.jsonl"
    file.write_text("".join(lines))
    (seen,) = BoxesFile(file)([batch])
    assert torch.equal(seen.detections.boxes, found.boxes)
    assert torch.equal(seen.detections.scores, found.scores)
    assert torch.equal(seen.detections.frame, found.frame)
    assert seen.ids is not None
    assert seen.ids.tolist() == [7, 9, 7]
    names = [seen.detections.names[i] for i in seen.detections.labels]
    assert names == ["person", "dog", "dog"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "2: no JSON"),
        ("[1]", "2: is a list, expected an object"),
        ('{"boxes": []}', '2: "frame" is missing'),
        ('{"frame": 1}', '2: "boxes" is missing'),
        ('{"frame": 1.5, "boxes": []}', "2: frame is 1.5, expected a whole number"),
        ('{"frame": -1, "boxes": []}', "2: frame -1"),
        ('{"frame": 0, "boxes": []}', "2: frame 0 is already on line 1"),
        ('{"frame": 1, "boxes": {}}', '2: "boxes" is an object, expected a list'),
        ('{"frame": 1, "boxes": [[1, 2, 3]]}', r"2: box 1 is \[1, 2, 3\]; expected four"),
        ('{"frame": 1, "boxes": [[1, 2, 3, "4"]]}', "2: box 1 is"),
        ('{"frame": 1, "boxes": [[1, 2, NaN, 4]]}', "2: no JSON .NaN is no number at column 31"),
        ('{"frame": 1, "boxes": [[9, 2, 3, 4]]}', r"2: box 1 \[9, 2, 3, 4\] is empty"),
        ('{"frame": 1, "boxes": [[1, 2, 3, 4]], "scores": []}', '2: "scores" has 0, expected 1'),
        ('{"frame": 1, "boxes": [[1, 2, 3, 4]], "scores": [2]}', "2: score 2; expected"),
        ('{"frame": 1, "boxes": [[1, 2, 3, 4]], "labels": [1]}', "2: label 1; expected"),
        ('{"frame": 1, "boxes": [[1, 2, 3, 4], [1, 2, 3, 4]], "ids": [1, 1]}', "2: an id occurs"),
        ('{"frame": 1, "boxes": [], "box": []}', "2: unknown key 'box'"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    file = write(tmp_path, '{"frame": 0, "boxes": []}', line)
    with pytest.raises(GuidanceError, match=f"boxes.jsonl:{message}"):
        BoxesFile(file)


def test_files_that_fit_another_film_are_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path, '{"frame": 0, "boxes": []}', '{"frame": 2, "pts": 7, "boxes": []}')
    with pytest.raises(GuidanceError, match=r"jsonl:2: frame 2 has pts 2 in this film, not 7"):
        list(BoxesFile(file)(film(4)))
    file = write(tmp_path, '{"frame": 1, "boxes": [[64, 0, 70, 9]]}')
    with pytest.raises(GuidanceError, match=r"jsonl:1: box 1 .* outside the frame, which is 64"):
        list(BoxesFile(file)(film(4)))
    file = write(tmp_path, '{"frame": 9, "boxes": [[0, 0, 7, 9]]}')
    with caplog.at_level(logging.WARNING):
        list(BoxesFile(file)(film(4)))
    assert "up to frame 9, the film came up to frame 3" in caplog.text


def test_missing_files_and_mixed_identities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GuidanceError, match="cannot be read"):
        BoxesFile(tmp_path / "none.jsonl")
    binary = tmp_path / "film.mp4"
    binary.write_bytes(b"\x00\xff\xfe" * 9)
    with pytest.raises(GuidanceError, match="is no text"):
        BoxesFile(binary)
    file = write(
        tmp_path,
        '{"frame": 0, "boxes": [[0, 0, 7, 9]], "ids": [1]}',
        '{"frame": 1, "boxes": [[0, 0, 7, 9]]}',
    )
    with pytest.raises(GuidanceError, match='jsonl:2: "ids" are missing'):
        BoxesFile(file)
