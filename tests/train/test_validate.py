import dataclasses

import cv2
import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch

from vidcolor.errors import MediaError
from vidcolor.models.registry import model_spec
from vidcolor.train.measured import Closeups, mean_ab, measured_size
from vidcolor.train.validate import color_picture, validate

ASPECT = dataclasses.replace(model_spec("quarternet"), multiple=32, square=None, crop=32)
SQUARE = dataclasses.replace(ASPECT, multiple=8, square=256)


class Memory:
    """Pictures that are just there."""

    def __init__(self, pictures, boxes=None):
        self.pictures = pictures
        self.given = boxes or [None] * len(pictures)

    def __len__(self):
        return len(self.pictures)

    def rgb(self, number):
        return self.pictures[number]

    def boxes(self, number):
        found = self.given[number]
        return None if found is None else np.array(found, np.float32).reshape(-1, 4)


class Constant(torch.nn.Module):
    """One color everywhere; instances get another one of the brightness of their close-up."""

    def __init__(self, a, b):
        super().__init__()
        self.ab = torch.nn.Parameter(torch.tensor([a, b], dtype=torch.float32))
        self.calls = []

    def forward(self, lightness, rois=None, hints=None):
        self.calls.append((lightness, rois, self.training, torch.is_autocast_enabled("cpu")))
        n, _, height, width = lightness.shape
        ab = self.ab.view(1, 2, 1, 1).repeat(n, 1, height // 4, width // 4)
        if rois is None:
            return ab
        to_cells = torch.tensor([width / rois.size[1], height / rois.size[0]] * 2) / 4
        cells = (rois.boxes * to_cells).round().long().tolist()
        for k, (x0, y0, x1, y1) in enumerate(cells):
            brightness = rois.crops[k].mean()
            ab[rois.frame[k], 0, y0:y1, x0:x1] = 0
            ab[rois.frame[k], 1, y0:y1, x0:x1] = brightness
        return ab


def _smooth(seed, size, low=70, high=180):
    """A soft picture, so that its colors lie well inside the gamut."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(low, high, (5, 6, 3)).astype(np.float32)
    soft = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.rint(soft).clip(0, 255).astype(np.uint8)


def _with_color(rgb, a, b):
    lab = skimage.color.rgb2lab(rgb)
    lab[..., 1], lab[..., 2] = a, b
    return np.rint(skimage.color.lab2rgb(lab) * 255).astype(np.uint8)


def _expect(quality, pairs):
    """Against scikit-image; pairs of a colored and a true picture."""
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    labs = [[skimage.color.rgb2lab(x) for x in pair] for pair in pairs]
    psnr = [skimage.metrics.peak_signal_noise_ratio(t, p) for p, t in pairs]
    ssim = [skimage.metrics.structural_similarity(p, t, channel_axis=-1, **how) for p, t in pairs]
    delta = [skimage.color.deltaE_ciede2000(p, t).mean() for p, t in labs]
    chroma = [np.hypot(p[..., 1], p[..., 2]).mean() for p, _ in labs]
    assert quality.psnr == pytest.approx(np.mean(psnr), abs=0.01)
    assert quality.ssim == pytest.approx(np.mean(ssim), abs=1e-4)
    assert quality.delta_e == pytest.approx(np.mean(delta), abs=0.01)
    assert quality.chroma == pytest.approx(np.mean(chroma), abs=0.01)


def test_scores_agree_with_scikit_image():
    # of measured size already, and of two sizes, so that two batches are made
    truths = [_smooth(0, (64, 96)), _smooth(1, (96, 64)), _smooth(2, (64, 96))]
    boxes = [[[8, 8, 40, 50], [30, 10, 90, 60]], [], None]
    pictures = Memory(truths, boxes)
    scores = validate(Constant(12, -9), pictures, 64, boxes=pictures.boxes, detail=True)
    crops = [(0, slice(8, 50), slice(8, 40)), (0, slice(10, 60), slice(30, 90))]
    colors = {"uncolored": (0, 0), "colored": (12, -9)}
    assert set(scores.picture.rows) == set(scores.instance.rows) == set(colors)
    for name, color in colors.items():
        pictured = [_with_color(truth, *color) for truth in truths]
        _expect(scores.picture.rows[name], list(zip(pictured, truths, strict=True)))
        parts = [(pictured[i][y, x], truths[i][y, x]) for i, y, x in crops]
        _expect(scores.instance.rows[name], parts)
    assert (scores.picture.count, scores.instance.count) == (3, 2)
    assert scores.psnr == pytest.approx(scores.picture.rows["colored"].psnr)
    assert scores.psnr_gray == pytest.approx(scores.picture.rows["uncolored"].psnr)
    assert scores.gain == pytest.approx(scores.picture.gain("colored"))
    assert scores.chroma == pytest.approx(15)
    true = [np.linalg.norm(skimage.color.rgb2lab(t)[..., 1:], axis=2).mean() for t in truths]
    assert scores.chroma_true == pytest.approx(np.mean(true), abs=1e-3)


def test_the_costly_scores_come_on_request():
    model = Constant(12, -9)
    scores = validate(model, Memory([_smooth(0, (64, 96))]), 64)
    assert scores.picture is None
    assert scores.instance is None
    assert len(model.calls) == 1


BOX = [144, 48, 240, 144]


def _two_tone():
    """192 x 384 as stored, dark, with a brighter box."""
    rgb = np.full((192, 384, 3), 60, np.uint8)
    rgb[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 150
    return rgb


@pytest.mark.parametrize(
    ("spec", "seen"), [(ASPECT, (64, 128)), (SQUARE, (64, 64))], ids=["aspect", "square"]
)
def test_instances_are_seen_as_close_ups_where_they_lie(spec, seen):
    pictures = Memory([_smooth(0, (192, 384)), _two_tone()], [None, [BOX, [0, 0, 90, 90]]])
    model = Constant(0, 0)
    scores = validate(
        model, pictures, 64, spec=spec, boxes=pictures.boxes, most_boxes=1, detail=True
    )
    lightness, rois, *_ = model.calls[0]
    assert tuple(lightness.shape) == (2, 1, *seen)
    assert rois.crops.shape == (1, 1, 32, 32)
    assert rois.frame.tolist() == [1]
    # cut of the stored picture: nothing but the box is in it
    bright = skimage.color.rgb2lab(np.full((1, 1, 3), 150, np.uint8))[0, 0, 0]
    torch.testing.assert_close(rois.crops, torch.full_like(rois.crops, bright), atol=0.01, rtol=0)
    assert scores.picture.rows["colored"].chroma == pytest.approx(0, abs=0.02)
    # an eighth of one picture of two is colored; soft edges keep the sum
    assert scores.chroma == pytest.approx(bright / 16, rel=1e-3)
    assert scores.psnr == pytest.approx(scores.picture.rows["instances"].psnr)
    assert scores.instance.count == 1
    assert scores.instance.rows["instances"].chroma > 0.8 * bright


def test_without_a_box_the_network_gets_none():
    model = Constant(3, 4)
    pictures = Memory([_smooth(0, (32, 64))], [[]])
    scores = validate(model, pictures, 32, spec=ASPECT, boxes=pictures.boxes, detail=True)
    assert [rois for _, rois, *_ in model.calls] == [None]
    rows = scores.picture.rows
    assert rows["instances"] == rows["colored"]


def test_a_network_without_instances_has_no_row_for_them():
    pictures = Memory([_smooth(0, (32, 64))], [[[0, 0, 32, 32]]])
    blind = Constant(3, 4)
    blind.uses_rois = False
    for model, spec in (
        (blind, ASPECT),
        (Constant(3, 4), dataclasses.replace(ASPECT, rois=False)),
        (Constant(3, 4), None),
    ):
        scores = validate(model, pictures, 32, spec=spec, boxes=pictures.boxes, detail=True)
        assert set(scores.instance.rows) == {"uncolored", "colored"}
        assert [rois for _, rois, *_ in model.calls] == [None]


def test_a_picture_to_look_at_is_the_one_that_is_measured():
    rgb = _smooth(0, (64, 96))
    model = Constant(12, -9).train()
    shown, colored = color_picture(model, rgb, 64)
    assert np.array_equal(shown, rgb)
    assert np.abs(colored.astype(int) - _with_color(rgb, 12, -9)).max() <= 1
    assert (model.training, model.calls[0][2]) == (True, False)
    small, _ = color_picture(model, rgb, 32, ASPECT, np.array([[0, 0, 48, 64]]))
    assert small.shape == (32, 64, 3)
    torch.testing.assert_close(model.calls[1][1].boxes, torch.tensor([[0.0, 0, 32, 32]]))


def test_how_pictures_are_batched_changes_nothing():
    sizes = [(64, 96), (96, 64), (64, 96), (64, 64), (64, 96)]
    truths = [_smooth(i, size) for i, size in enumerate(sizes)]
    pictures = Memory(truths, [[[4, 4, 40 + i, 50], [10, 0, 60, 30]] for i in range(5)])
    results = [
        validate(
            Constant(12, -9), pictures, 64, spec=ASPECT, boxes=pictures.boxes, detail=True,
            batch_size=size,
        )
        for size in (1, 2, 16)
    ]  # fmt: skip
    for other in results[1:]:
        assert other.psnr == pytest.approx(results[0].psnr, abs=1e-6)
        assert other.instance.count == results[0].instance.count == 10
        for name, quality in other.instance.rows.items():
            expected = results[0].instance.rows[name].values()
            assert quality.values() == pytest.approx(expected, abs=1e-5)


def test_every_part_gets_its_mode_back():
    model = torch.nn.Sequential(torch.nn.Dropout(), Constant(0, 0))
    model.train()
    model[0].eval()
    validate(model, Memory([_smooth(0, (32, 32))]), 32)
    assert [model.training, model[0].training, model[1].training] == [True, False, True]
    assert model[1].calls[0][2] is False
    with pytest.raises(AttributeError):
        validate(model, Memory([None]), 32)
    assert [model.training, model[0].training, model[1].training] == [True, False, True]


def test_precision_is_a_choice():
    model = Constant(0, 0)
    validate(model, Memory([_smooth(0, (32, 32))]), 32)
    validate(model, Memory([_smooth(0, (32, 32))]), 32, dtype=torch.bfloat16)
    assert [half for *_, half in model.calls] == [False, True]


def test_so_many_pictures_and_no_more():
    truths = [_smooth(0, (32, 32)), _smooth(1, (32, 32), 120, 130)]
    one = validate(Constant(9, 9), Memory(truths), 32, 1)
    assert one.psnr == pytest.approx(validate(Constant(9, 9), Memory(truths[:1]), 32).psnr)
    assert one.psnr != pytest.approx(validate(Constant(9, 9), Memory(truths), 32).psnr, abs=0.1)
    with pytest.raises(MediaError, match="no pictures"):
        validate(Constant(0, 0), Memory([]), 32)


def test_all_networks_are_measured_on_the_same_grid():
    # 160 x 213 at 160: the long side goes to 224, at 256: 340.8 to 352
    assert measured_size((160, 213), 160, ASPECT) == (160, 224)
    assert measured_size((160, 213), 160, SQUARE) == (160, 224)
    assert measured_size((213, 160), 256) == (352, 256)
    coarse = dataclasses.replace(ASPECT, multiple=48)
    assert measured_size((160, 213), 100, coarse) == (96, 96)


def test_the_mean_color_of_a_set():
    colors = [(200, 40, 40), (40, 60, 180), (90, 90, 90)]
    pictures = Memory([np.full((9, 13, 3), color, np.uint8) for color in colors])
    labs = skimage.color.rgb2lab(np.array([colors], np.uint8))[0, :, 1:]
    assert mean_ab(pictures) == pytest.approx(labs.mean(axis=0), abs=0.01)
    # two of three: the first and the second
    assert mean_ab(pictures, limit=2) == pytest.approx(labs[:2].mean(axis=0), abs=0.01)
    with pytest.raises(MediaError, match="no pictures"):
        mean_ab(Memory([]))


def test_close_ups_are_pictures():
    rgb = _smooth(3, (60, 80))
    boxes = [[[4, 2, 40.9, 50], [0, 0, 20, 60], [10, 20, 99, 70], [0, 0, 50, 50]], None, []]
    close = Closeups(Memory([rgb] * 3, boxes), Memory([rgb] * 3, boxes).boxes, most_boxes=3)
    assert len(close) == 2
    assert np.array_equal(close.rgb(0), rgb[2:50, 4:40])
    assert np.array_equal(close.rgb(1), rgb[20:60, 10:80])
    outside = Memory([rgb], [[[100, 0, 150, 50]]])
    with pytest.raises(MediaError, match="outside"):
        Closeups(outside, outside.boxes).rgb(0)
