"""Filling of holes: what a network gets to see, how answers are joined, and what stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.models.partialconv import PartialConvUNet
from vidcolor.repair.heal.crops import Crop, crops, picture_window, ramp, tiles, width_px
from vidcolor.repair.heal.fill import NetFill, NetFillConfig, TeleaFill, fill_picture

CPU = torch.device("cpu")


class Said(nn.Module):
    """Answers a constant, or the column numbers of its picture, and remembers what it saw."""

    def __init__(self, multiple: int = 32, channels: int = 1, value: float = 0.5) -> None:
        super().__init__()
        self.multiple, self.channels, self.value = multiple, channels, value
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        self.seen.append((image.clone(), valid.clone()))
        return torch.full_like(image, self.value)


class MeanOfKnown(Said):
    """Answers the mean of what is valid in its picture."""

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        super().forward(image, valid)
        mean = (image * valid).sum((2, 3), keepdim=True) / valid.sum((2, 3), keepdim=True)
        return mean.expand_as(image)


def block(size: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    hole = np.zeros(size, np.bool_)
    hole[top : top + height, left : left + width] = True
    return hole


def noise(size: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, size).astype(np.float32)


def net(depth: int = 3, channels: int = 1) -> PartialConvUNet:
    torch.manual_seed(0)
    return PartialConvUNet(channels, depth=depth, width=4).eval()


def test_a_crop_has_context_and_whole_multiples():
    hole = block((1080, 1920), 500, 900, 20, 20)
    # 20 + 2 * 64 = 148, rounded up to 256, in the middle
    assert crops(hole, 64, 128) == [Crop(436 - 54, 836 - 54, 256, 256)]
    # twice the smaller side, where that is more: 60 + 2 * 120 = 300
    assert crops(block((1080, 1920), 500, 900, 60, 90), 64, 10) == [Crop(380, 780, 300, 330)]


def test_crops_stay_in_the_picture_where_they_can():
    hole = block((300, 400), 0, 395, 5, 5)
    assert crops(hole, 64, 32) == [Crop(0, 304, 96, 96)]
    small = block((50, 70), 20, 20, 5, 5)
    (crop,) = crops(small, 64, 64)
    assert crop == Crop(0, 0, 64, 128)
    cut = crop.cut(np.ones((50, 70), np.float32), 0)
    assert cut.shape == (64, 128)
    assert cut.sum() == 50 * 70


def test_crops_are_joined_where_that_is_less_work():
    near = block((600, 600), 300, 300, 4, 4) | block((600, 600), 300, 330, 4, 4)
    assert len(crops(near, 64, 32)) == 1
    far = block((600, 600), 10, 10, 4, 4) | block((600, 600), 580, 580, 4, 4)
    assert len(crops(far, 64, 32)) == 2


def test_the_network_never_sees_the_whole_picture_for_a_small_hole():
    model = Said(128)
    hole = block((1080, 1920), 500, 900, 20, 20)
    filled = NetFill(model, CPU)(noise(hole.shape), hole)
    assert [tuple(image.shape) for image, _ in model.seen] == [(1, 1, 256, 256)]
    valid = model.seen[0][1]
    assert int((valid == 0).sum()) == 400
    assert (filled[hole] == 127.5).all()


def test_beyond_the_border_and_in_black_bars_there_are_holes():
    gray = noise((50, 70)) + 1
    model = Said(64)
    NetFill(model, CPU)(gray, block((50, 70), 20, 20, 5, 5))
    assert int(model.seen[0][1].sum()) == 50 * 70 - 25
    barred = np.clip(noise((100, 100)), 30, 255)
    barred[:12] = barred[-12:] = 3.0
    model = Said(32)
    NetFill(model, CPU)(barred, block((100, 100), 40, 40, 5, 5))
    valid = model.seen[0][1]
    assert int(valid.sum()) == 76 * 100 - 25
    # damage within a bar: somebody wants it filled, so the bar is believed
    model = Said(32)
    NetFill(model, CPU)(barred, block((100, 100), 2, 40, 5, 5))
    assert int(model.seen[0][1].sum()) == 96 * 100 - 25


def test_the_window_of_a_picture():
    gray = np.full((40, 60), 100.0, np.float32)
    gray[:, ::2] = 120
    gray[:5] = 2
    gray[:, 55:] = 0
    rows, columns = picture_window(gray, np.zeros(gray.shape, np.bool_))
    assert (rows, columns) == (slice(5, 40), slice(0, 55))


def test_what_lies_in_holes_does_not_matter_and_all_else_stays():
    fill = NetFill(net(), CPU)
    gray, hole = noise((90, 110)), block((90, 110), 30, 0, 12, 9) | block((90, 110), 84, 100, 6, 10)
    once = fill(gray, hole)
    spoiled = np.where(hole, np.float32(np.nan), gray)
    np.testing.assert_array_equal(fill(spoiled, hole), once)
    np.testing.assert_array_equal(once[~hole], gray[~hole])
    assert (once[hole] != gray[hole]).all()


def test_a_crop_does_not_depend_on_the_others():
    fill = NetFill(net(), CPU)
    one, other = block((400, 400), 50, 50, 6, 6), block((400, 400), 330, 330, 6, 6)
    gray = noise((400, 400))
    both = fill(gray, one | other)
    np.testing.assert_array_equal(both[one], fill(gray, one)[one])
    np.testing.assert_array_equal(both[other], fill(gray, other)[other])


def test_large_holes_are_filled_in_tiles_that_fade_into_one_another():
    config = NetFillConfig(context_px=16, tile_px=128, overlap_px=32)
    model = MeanOfKnown(32)
    model.multiple = 128  # closes 78 px: no coarse step is needed
    hole = block((128, 600), 60, 30, 8, 540)
    gray = np.broadcast_to(np.linspace(0, 250, 600, dtype=np.float32), (128, 600)).copy()
    filled = NetFill(model, CPU, config=config)(gray, hole)
    assert len(model.seen) == 7  # 640 columns, 96 more with each tile of 128
    line = filled[64, 30:570]
    assert (np.diff(line) >= -1e-3).all()
    assert np.diff(line).max() < 4  # without blending a seam is a step of about 40


def test_tiles_cover_and_weights_never_vanish():
    crop = Crop(10, 20, 128, 500)
    found = tiles(crop, 128, 32)
    total = np.zeros((200, 600), np.float32)
    for tile in found:
        assert (tile.height, tile.width) == (128, 128)
        weight = ramp(crop, tile, 32)
        assert weight.min() > 0
        total[tile.place] += weight
    assert (total[10:138, 20:520] > 0.4).all()
    assert total[:10].max() == total[:, 520:].max() == 0


def test_a_hole_too_wide_for_the_network_is_filled_from_a_small_picture_first():
    model = MeanOfKnown(32)  # 5 layers; 3 of them close 30 px
    hole = block((256, 256), 64, 64, 120, 120)
    fill = NetFill(model, CPU, config=NetFillConfig(context_px=32))
    filled = fill(np.full((256, 256), 80, np.float32), hole)
    assert width_px(hole) > 100
    small, large = model.seen[0][1], model.seen[-1][1]
    assert small.shape[-1] < large.shape[-1]
    # a rim of 16 px is filled again at full size
    assert int((large == 0).sum()) == 120**2 - 88**2
    np.testing.assert_allclose(filled, 80, atol=0.5)


@pytest.mark.parametrize("fill", [TeleaFill(), NetFill(Said(), CPU)])
def test_nothing_but_hole_is_refused(fill):
    with pytest.raises(GuidanceError, match="covers the whole picture"):
        fill(noise((40, 40)), np.ones((40, 40), np.bool_))


def test_telea_in_crops_is_telea():
    gray = np.rint(cv2.GaussianBlur(noise((200, 300)), (0, 0), 3))
    hole = block((200, 300), 20, 20, 6, 9) | block((200, 300), 150, 250, 5, 50)
    codes = (gray * 256).astype(np.uint16)
    whole = cv2.inpaint(codes, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    filled = TeleaFill()(gray, hole)
    np.testing.assert_allclose(filled[hole], whole[hole] / 256, atol=1e-3)
    np.testing.assert_array_equal(filled[~hole], gray[~hole])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_every_sort(kind, channels):
    most = np.iinfo(kind).max
    rng = np.random.default_rng(1)
    shape = (60, 80) if channels == 1 else (60, 80, 3)
    pixels = rng.integers(0, most + 1, shape).astype(kind)
    hole = block((60, 80), 0, 70, 20, 10)
    for fill in (TeleaFill(), NetFill(net(), CPU), NetFill(net(channels=3), CPU)):
        filled = fill_picture(pixels, hole, fill)
        assert filled.dtype == pixels.dtype
        np.testing.assert_array_equal(filled[~hole], pixels[~hole])
        assert (filled[hole] != pixels[hole]).mean() > 0.8


def test_a_color_is_continued_by_luma_and_chroma():
    pixels = np.full((60, 80, 3), (200, 90, 40), np.uint8)
    hole = block((60, 80), 20, 30, 9, 9)
    broken = np.where(hole[..., None], np.uint8(255), pixels)
    for fill in (TeleaFill(), NetFill(MeanOfKnown(), CPU), NetFill(MeanOfKnown(channels=3), CPU)):
        assert np.abs(fill_picture(broken, hole, fill).astype(int) - pixels).max() <= 1


def test_a_color_network_on_gray_and_wrong_shapes():
    gray, hole = np.full((40, 40), 90, np.float32), block((40, 40), 10, 10, 4, 4)
    fill = NetFill(MeanOfKnown(channels=3), CPU)
    np.testing.assert_allclose(fill(gray, hole), 90, atol=1e-3)
    with pytest.raises(ValueError, match="planes must be"):
        fill.planes(gray[None], hole)
    with pytest.raises(ValueError, match="pixels must be"):
        fill_picture(gray, hole, fill)
    with pytest.raises(ValueError, match="hole is"):
        fill_picture(gray.astype(np.uint8), hole[:20], fill)


def test_half_precision_is_near_the_reference():
    gray, hole = noise((64, 64)), block((64, 64), 20, 20, 8, 8)
    model = net()
    exact = NetFill(model, CPU)(gray, hole)
    half = NetFill(model, CPU, torch.bfloat16)(gray, hole)
    assert np.abs(exact - half).max() < 8
    assert (exact != half).any()


def test_batches_have_one_size_and_shrink_when_memory_runs_out():
    class Tight(MeanOfKnown):
        def forward(self, image: Tensor, valid: Tensor) -> Tensor:
            if len(image) > 2:
                raise torch.OutOfMemoryError("too much")
            return super().forward(image, valid)

    model = Tight()
    fill = NetFill(model, CPU)
    fill._batch = 4  # as on a device
    hole = np.zeros((128, 1200), np.bool_)
    for left in (40, 340, 640, 940, 1140):
        hole[60:64, left : left + 4] = True
    gray = noise(hole.shape)
    filled = fill(gray, hole)
    assert {len(image) for image, _ in model.seen} == {2}
    np.testing.assert_allclose(filled, NetFill(MeanOfKnown(), CPU)(gray, hole), atol=1e-3)


def test_settings_out_of_range_are_refused():
    for name, value in (("context_px", 1), ("tile_px", 64), ("overlap_px", 400), ("batch", 0)):
        with pytest.raises(ConfigError, match=name):
            NetFillConfig(**{name: value})
