"""Against the real library where it is installed; without it, that its absence is told."""

import importlib.util
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vidcolor.color.luma import to_lightness
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.records import ColorSpec, FrameBatch, VideoInfo
from vidcolor.stages.detect import COCO_NAMES, DetectConfig, make_detector
from vidcolor.stages.detect_detectron2 import (
    Detectron2Detector,
    build_detectron2,
    load_detectron2,
)

CPU = torch.device("cpu")
MISSING = importlib.util.find_spec("detectron2") is None
needs_detectron2 = pytest.mark.skipif(MISSING, reason="detectron2 is not installed")
CONFIG = DetectConfig(
    detector="detectron2",
    detectron2_config="COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x",
    floor=0.0,
    max_objects=7,
)


def network() -> nn.Module:
    """Untrained, but boxes stay where the anchors are, and scores differ."""
    torch.manual_seed(0)
    made = build_detectron2(CONFIG, CPU)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if "anchor_deltas" in name or "bbox_pred" in name:
                value.zero_()
            if "stem.conv1" in name:
                value.mul_(1e-3)
    return made


@pytest.mark.skipif(not MISSING, reason="detectron2 is installed")
def test_its_absence_is_told_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"pip install .*detectron2"):
        make_detector(CONFIG, CPU)


@pytest.mark.detectron2
@needs_detectron2
@pytest.mark.parametrize("rotation", [0, 90])
def test_a_real_network_sees_boxes_in_frame_pixels(rotation: int) -> None:
    module = network()
    info = VideoInfo(
        60, 80, rotation=rotation, sample_aspect=Fraction(6, 5), color=ColorSpec(full_range=True)
    )
    generator = torch.Generator().manual_seed(0)
    luma = torch.randint(0, 256, (3, 1, 60, 80), dtype=torch.uint8, generator=generator)
    sizes = []
    module.backbone.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape))
    detector = Detectron2Detector(CONFIG, module, CPU, every=2, short_side_px=96)
    (seen,) = detector([FrameBatch(luma, (0, 1, 2), info)])
    # 60x96 with square pixels; 96x154, padded to multiples of 32
    assert [tuple(size[2:]) for size in sizes] == [(160, 96) if rotation else (96, 160)] * 2
    assert set(seen.detections.frame.tolist()) <= {0, 2}
    assert len(seen.detections) > 0
    assert torch.bincount(seen.detections.frame).max() <= 7
    assert seen.detections.names == COCO_NAMES
    limits = torch.tensor([80.0, 60, 80, 60])
    assert bool(((seen.detections.boxes >= 0) & (seen.detections.boxes <= limits)).all())
    assert seen.has_looked().tolist() == [True, False, True]


@pytest.mark.detectron2
@needs_detectron2
def test_it_sees_what_the_library_sees() -> None:
    """Without resizing, our boxes are those of a call as detectron2's documentation has it."""
    module = network()
    generator = torch.Generator().manual_seed(0)
    luma = torch.randint(0, 256, (1, 1, 96, 128), dtype=torch.uint8, generator=generator)
    info = VideoInfo(96, 128, color=ColorSpec(full_range=True))
    detector = Detectron2Detector(CONFIG, module, CPU, short_side_px=96)
    (seen,) = detector([FrameBatch(luma, (0,), info)])
    bgr = (to_lightness(luma, info.color)[0] * 2.55).expand(3, -1, -1)
    with torch.inference_mode():
        (direct,) = module([{"image": bgr, "height": 96, "width": 128}])
    whole = (direct["instances"].pred_boxes.tensor.reshape(-1, 2, 2).diff(dim=1) >= 1).flatten(1)
    kept = direct["instances"][whole.all(dim=1)]
    assert len(kept) > 0
    assert torch.equal(seen.detections.boxes, kept.pred_boxes.tensor)
    assert torch.equal(seen.detections.scores, kept.scores)
    assert torch.equal(seen.detections.labels, kept.pred_classes)


@pytest.mark.detectron2
@needs_detectron2
def test_a_pickle_of_the_zoo_is_loaded_and_other_files_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = build_detectron2(CONFIG, CPU).state_dict()
    arrays = {key: value.numpy() for key, value in source.items() if "pixel_" not in key}
    arrays["roi_heads.mask_head.mask_fcn1.weight"] = np.zeros((2, 2), np.float32)
    path = tmp_path / "model_final.pkl"
    content = {"model": arrays, "__author__": "Detectron2 Model Zoo"}
    path.write_bytes(pickle.dumps(content))
    config = DetectConfig(
        detector="detectron2",
        detectron2_config=CONFIG.detectron2_config,
        detectron2_weights=str(path),
    )
    loaded = load_detectron2(config, CPU).state_dict()
    assert all(torch.equal(loaded[key], source[key]) for key in source)
    del arrays["roi_heads.box_predictor.cls_score.weight"]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(WeightsError, match=r"missing \['roi_heads\.box_predictor\.cls_score"):
        load_detectron2(config, CPU)
    path.write_bytes(pickle.dumps({"model": Path("x")}))
    with pytest.raises(WeightsError, match="it asks for pathlib"):
        load_detectron2(config, CPU)


@pytest.mark.detectron2
@needs_detectron2
def test_missing_names_are_told() -> None:
    with pytest.raises(ConfigError, match="detectron2_weights is empty"):
        load_detectron2(CONFIG, CPU)
    with pytest.raises(ConfigError, match="neither a file nor in"):
        build_detectron2(DetectConfig(detectron2_config="nothing.yaml"), CPU)
