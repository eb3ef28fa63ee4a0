import cv2
import numpy as np
import pytest
import torch
from made_shards import flat, texture, write_shard
from torch.utils.data import DataLoader

from vidcolor.color.lab import rgb_to_lab
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.shards import Pictures
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.config import DataConfig
from vidcolor.train.data.pairs import MotionConfig
from vidcolor.train.degrade import DegradeConfig

FILM = DegradeConfig(stock=1, tone=1, blur=1, grain=1)
PLAIN = DegradeConfig(
    stock=0, tone=0, blur=0, grain=0, flicker=0, scratches=0, dust=0, interlace=0, compression=0
)
RED, BLUE, GRAY = (200, 30, 30), (30, 40, 200), (110, 110, 110)
VIEWS = ("whole", "instance", "instances")


def _pictures(tmp_path, members, name="a.tar"):
    return Pictures((write_shard(tmp_path / name, members),))


def _many(tmp_path, count=7):
    """Textures of several sizes; every other one has boxes, two of three a later frame."""
    members = {}
    for n in range(count):
        size = (48 + 8 * (n % 3), 72 - 4 * (n % 2))
        members[f"{n}.png"] = texture(n, size)
        if n % 2:
            members[f"{n}.json"] = {"boxes": [[4, 6, 40, 40], [20, 10, 60, 44]]}
        if n % 3:
            members[f"{n}.next.png"] = texture(n + 50, size)
    return _pictures(tmp_path, members)


def _config(**settings):
    return DataConfig(("x",), **{"sizes": (32,), "batch_size": 4, "crop": 32, **settings})


def _parts(batch):
    """All tensors of a batch, by name."""
    named = {"lightness": batch.lightness, "ab": batch.ab}
    for name in ("rois", "hints", "pair"):
        record = getattr(batch, name)
        for key in () if record is None else record.__slots__:
            named[f"{name}.{key}"] = getattr(record, key)
    return named


def _same(one, other):
    one, other = _parts(one), _parts(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name]


def _lab(rgb):
    return rgb_to_lab(torch.tensor(rgb).view(1, 3, 1, 1) / 255)[0, :, 0, 0]


@pytest.mark.parametrize("view", VIEWS)
def test_batches_depend_on_seed_and_step_only(tmp_path, view):
    pictures = _many(tmp_path)
    config = _config(sizes=(32, 64), hints=0.5)
    settings = {"view": view, "pair": True}
    first = TrainBatches(pictures, config, FILM, **settings)
    again = TrainBatches(pictures, config, FILM, **settings)
    for step in (5, 0, 3, 5):
        _same(first[step], again[step])
    other = TrainBatches(pictures, _config(sizes=(32, 64), hints=0.5, seed=1), FILM, **settings)
    assert not torch.equal(first[0].ab.mean(), other[0].ab.mean())
    assert {first[step].lightness.shape[2] for step in range(6)} == {32, 64}


@pytest.mark.parametrize("view", VIEWS)
def test_processes_share_the_batch_of_one(tmp_path, view):
    pictures = _many(tmp_path)
    config = _config(batch_size=6, hints=0.5, color_range=10.0)
    whole = TrainBatches(pictures, config, FILM, view=view, pair=True)[2]
    for world in (2, 3):
        for rank in range(world):
            part = TrainBatches(pictures, config, FILM, view=view, pair=True, part=(rank, world))[2]
            share = 6 // world
            _same(part, whole[rank * share : (rank + 1) * share])


def test_workers_give_what_one_process_gives(tmp_path):
    batches = TrainBatches(_many(tmp_path), _config(hints=0.5), FILM, view="instances", pair=True)
    loader = DataLoader(batches, batch_size=None, sampler=range(3, 6), num_workers=2)
    for step, batch in zip(range(3, 6), loader, strict=True):
        _same(batch, batches[step])


def test_hints_and_pairs_do_not_change_what_is_drawn(tmp_path):
    pictures = _many(tmp_path)
    bare = TrainBatches(pictures, _config(), PLAIN)[4]
    full = TrainBatches(pictures, _config(hints=1.0), PLAIN, pair=True)[4]
    assert torch.equal(bare.ab, full.ab)
    assert torch.equal(bare.lightness, full.lightness)
    assert bare.rois is bare.hints is bare.pair is None


def test_an_epoch_shows_every_picture_once(tmp_path):
    batches = TrainBatches(_many(tmp_path, 8), _config(batch_size=2), PLAIN)
    shown = [n for step in range(8) for n in batches._numbers(step)]
    assert sorted(shown[:8]) == sorted(shown[8:]) == list(range(8))
    assert shown[:8] != shown[8:]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_color_lies_on_the_grid_of_the_answer(tmp_path, stride):
    color = pytest.importorskip("skimage.color")
    rgb = texture(3, (32, 32))
    pictures = _pictures(tmp_path, {"0.png": rgb})
    config = _config(batch_size=6, smallest_crop=1.0)
    batch = TrainBatches(pictures, config, PLAIN, stride=stride)[0]
    lab = color.rgb2lab(rgb).astype(np.float32)
    cells = 32 // stride
    expected = lab[..., 1:].reshape(cells, stride, cells, stride, 2).mean((1, 3))
    ways = [expected, expected[:, ::-1]]
    found = [
        min(range(2), key=lambda way: np.abs(ab - ways[way]).max())
        for ab in batch.ab.permute(0, 2, 3, 1).numpy()
    ]
    assert set(found) == {0, 1}  # as it is, and mirrored
    luma = [rgb / 255 @ np.array(w) for w in ((0.2126, 0.7152, 0.0722), (0.299, 0.587, 0.114))]
    for way, ab, lightness in zip(found, batch.ab, batch.lightness, strict=True):
        np.testing.assert_allclose(ab.permute(1, 2, 0), ways[way], atol=0.6)
        near = []
        for gray in luma:
            gray = gray[:, ::-1] if way else gray
            expected_l = color.rgb2lab(np.repeat(gray[..., None], 3, 2))[..., 0]
            near.append(np.abs(lightness[0].numpy() - expected_l).max())
        assert min(near) < 0.05


def test_squashed_crops_show_the_whole_width(tmp_path):
    rgb = np.hstack([flat(RED, (40, 30)), flat(GRAY, (40, 60)), flat(BLUE, (40, 30))])
    pictures = _pictures(tmp_path, {"0.png": rgb})
    for squash, ends in ((True, 2), (False, 1)):
        config = _config(squash=squash, smallest_crop=1.0, batch_size=8)
        batch = TrainBatches(pictures, config, PLAIN)[0]
        red = (batch.ab[:, 1] > 25).flatten(1).any(1)
        blue = (batch.ab[:, 1] < -40).flatten(1).any(1)
        assert int((red.int() + blue.int()).max()) == ends


def test_an_instance_is_a_box_squashed_to_a_square(tmp_path):
    rgb = flat(GRAY, (60, 90))
    rgb[10:50, 20:40] = RED
    rgb[5:25, 60:88] = BLUE
    members = {
        "0.png": rgb,
        "0.json": {
            "boxes": [[20, 10, 40, 50], [60, 5, 88, 25], [0, 0, 30, 30], [50, 40, 60, 58]],
            "scores": [0.9, 0.6, 0.4, 0.9],  # the last is narrow, the third is unsure
        },
        "1.png": flat(BLUE), "1.json": {"boxes": []},
    }  # fmt: skip
    pictures = _pictures(tmp_path, members)
    config = _config(batch_size=16, box_jitter=0.0)
    batch = TrainBatches(pictures, config, PLAIN, view="instance")[0]
    red, blue = (_lab(c)[1:].view(2, 1, 1) for c in (RED, BLUE))
    reds = [bool((ab - red).abs().max() < 1) for ab in batch.ab]
    blues = [bool((ab - blue).abs().max() < 1) for ab in batch.ab]
    assert all(r or b for r, b in zip(reds, blues, strict=True))
    assert 0 < sum(reds) < 16  # whole boxes only, both of them, and never picture 1
    assert batch.rois is None
    jittered = TrainBatches(
        pictures, _config(batch_size=16, box_jitter=0.2), PLAIN, view="instance"
    )[0]
    chroma = jittered.ab.norm(dim=1)
    assert (chroma.amin((1, 2)) < 5).any()  # some gray came in
    assert (chroma.mean((1, 2)) > 30).all()


def test_boxes_at_random_where_nobody_looked(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 96)[None, :, None], 64, 0).repeat(3, 2).astype(np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 64)[:, None]
    pictures = _pictures(tmp_path, {"0.png": ramp})
    batch = TrainBatches(pictures, _config(batch_size=200), PLAIN, view="instances")[0]
    assert torch.equal(batch.rois.frame, torch.arange(200).repeat_interleave(2))
    sides = (batch.rois.boxes[:, 2:] - batch.rois.boxes[:, :2]) / 32
    mean = sides.prod(1).sqrt()  # of the crop's side; whole pixels around the box
    assert 0.25 <= mean.min() < 0.35
    assert 0.8 < mean.max() <= 1
    tall = sides[:, 1] / sides[:, 0]
    assert 1.6 < tall.max() <= 2.4
    assert 1 / 2.4 <= tall.min() < 1 / 1.6
    middle = (batch.rois.boxes[:, 2:] + batch.rois.boxes[:, :2]).mean(0) / 2
    assert (middle - 16).abs().max() < 1.5
    alone = TrainBatches(pictures, _config(batch_size=32), PLAIN, view="instance")[0]
    spans = alone.lightness.flatten(1).amax(1) - alone.lightness.flatten(1).amin(1)
    assert spans.max() > 1.5 * spans.min()


@pytest.mark.parametrize("side", [64, 110])
def test_close_ups_show_what_lies_in_their_boxes(tmp_path, side):
    """At 64 pixels what is shown is as large as the training size, at 110 larger."""
    rgb = flat((20, 20, 20), (side, side))
    low, high = round(side * 0.25), round(side * 0.7)
    rgb[low:high, low : high + 5] = (230, 220, 200)
    notes = {"boxes": [[low, low, high + 5, high]]}
    pictures = _pictures(tmp_path, {"0.png": rgb, "0.json": notes})
    config = _config(sizes=(64,), batch_size=12, smallest_crop=0.6, crop=32)
    batch = TrainBatches(pictures, config, PLAIN, view="instances")[0]
    rois = batch.rois
    assert rois.size == (64, 64)
    assert rois.crops.shape == (12, 1, 32, 32)
    assert torch.equal(rois.frame, torch.arange(12))
    assert torch.equal(rois.weight, torch.ones(12))
    for crop, box, lightness in zip(rois.crops, rois.boxes, batch.lightness, strict=True):
        assert crop[0, 3:-3, 3:-3].min() > 80
        bright = (lightness[0] > 50).nonzero()
        (y0, x0), (y1, x1) = bright.amin(0).tolist(), (bright.amax(0) + 1).tolist()
        assert (box - torch.tensor([x0, y0, x1, y1])).abs().max() <= 1.5
    assert batch.ab.shape == (12, 2, 16, 16)


def test_close_ups_and_picture_are_of_one_film(tmp_path):
    """Box over the whole crop: the close-up is the degraded picture itself."""
    rgb = texture(5, (64, 64))
    notes = {"boxes": [[0, 0, 64, 64]]}
    pictures = _pictures(tmp_path, {"0.png": rgb, "0.json": notes})
    config = _config(sizes=(64,), crop=64, smallest_crop=1.0, batch_size=6)
    batch = TrainBatches(pictures, config, FILM, view="instances")[0]
    assert torch.equal(batch.rois.crops, batch.lightness)
    whole = TrainBatches(pictures, config, FILM)[0]
    assert torch.equal(batch.lightness, whole.lightness)
    # shown at half its size, the close-up has twice the detail of the same film
    fine = TrainBatches(
        pictures, _config(sizes=(32,), crop=64, smallest_crop=1.0, batch_size=6), FILM,
        view="instances",
    )[0]  # fmt: skip
    for crop, lightness in zip(fine.rois.crops, fine.lightness, strict=True):
        small = cv2.resize(crop[0].numpy(), (32, 32), interpolation=cv2.INTER_AREA)
        # L* of means and mean of L* differ where it is dark and grainy
        assert np.abs(small - lightness[0].numpy()).mean() < 0.6


def test_crops_keep_an_instance_and_never_more_than_allowed(tmp_path):
    corner = {"boxes": [[140, 44, 158, 62]]}
    crowd = {
        "boxes": [[n, n, n + 30, n + 30] for n in range(12)],
        "scores": [0.5 + n / 100 for n in range(12)],
    }
    members = {"0.png": texture(1, (64, 160)), "0.json": corner,
               "1.png": texture(2, (64, 64)), "1.json": crowd}  # fmt: skip
    pictures = _pictures(tmp_path, members)
    batches = TrainBatches(
        pictures, _config(batch_size=20, boxes_max=3, smallest_crop=0.8), PLAIN, view="instances"
    )
    counts = torch.zeros(20, dtype=torch.int64)
    batch = batches[0]
    counts.index_add_(0, batch.rois.frame, torch.ones(len(batch.rois), dtype=torch.int64))
    few = [number == 0 for number in batches._numbers(0)]
    assert counts.tolist() == [1 if one else 3 for one in few]
    for frame, box in zip(batch.rois.frame.tolist(), batch.rois.boxes, strict=True):
        if few[frame]:  # wholly inside: 18 pixels of a crop of 51 to 64
            assert 9 <= (box[2] - box[0]) <= 13.5
            assert 9 <= (box[3] - box[1]) <= 13.5


def test_pictures_without_boxes_are_shown_to_fusion_if_wanted(tmp_path):
    notes = {"boxes": [[4, 4, 40, 40]]}
    members = {"0.png": texture(1), "0.json": {"boxes": []}, "1.png": texture(2), "1.json": notes}
    pictures = _pictures(tmp_path, members)
    config = _config(batch_size=2)
    with_them = TrainBatches(pictures, config, PLAIN, view="instances")
    assert sorted(with_them._numbers(0)) == [0, 1]
    assert len(with_them[0].rois) == 1
    without = TrainBatches(pictures, _config(without_boxes=False), PLAIN, view="instances")
    assert set(without._numbers(0)) == {1}
    assert set(TrainBatches(pictures, config, PLAIN, view="instance")._numbers(0)) == {1}


def test_no_instances_at_all_is_said(tmp_path):
    nothing = _pictures(tmp_path, {"0.png": texture(1), "0.json": {"boxes": []}})
    with pytest.raises(ConfigError, match="none of 1 pictures has a box"):
        TrainBatches(nothing, _config(), PLAIN, view="instance")
    unlooked = _pictures(tmp_path, {"0.png": texture(1)}, "b.tar")
    with pytest.raises(ConfigError, match=r"data\.random_boxes"):
        TrainBatches(unlooked, _config(random_boxes=0), PLAIN, view="instances")
    empty = TrainBatches(nothing, _config(), PLAIN, view="instances")[0].rois
    assert empty.crops.shape == (0, 1, 32, 32)


def test_boxes_outside_the_picture_are_not_shown(tmp_path):
    members = {"0.png": texture(1), "0.json": {"boxes": [[100, 100, 150, 150]]},
               "1.png": flat(RED), "1.json": {"boxes": [[-20, 0, 30, 90]]}}  # fmt: skip
    pictures = _pictures(tmp_path, members)
    batch = TrainBatches(pictures, _config(), PLAIN, view="instance")[0]
    assert (batch.ab - _lab(RED)[1:].view(1, 2, 1, 1)).abs().max() < 1


def test_gray_samples_give_way_to_others(tmp_path):
    members = {f"{n}.png": flat(GRAY) if n % 2 else texture(n) for n in range(8)}
    pictures = _pictures(tmp_path, members)
    before = TrainBatches(pictures, _config(batch_size=8), PLAIN)
    after = TrainBatches(pictures, _config(batch_size=8, color_range=10.0), PLAIN)
    for step in range(3):
        one, other = before[step], after[step]
        gray = torch.tensor([number % 2 == 1 for number in before._numbers(step)])
        assert one.ab[gray].norm(dim=1).amax() < 2
        assert torch.equal(one.ab[~gray], other.ab[~gray])
        assert torch.equal(one.lightness[~gray], other.lightness[~gray])
        assert (other.ab.norm(dim=1).amax((1, 2)) > 5).all()
        # those that step in are not all the same
        assert len({float(ab.mean()) for ab in other.ab[gray]}) == 4


def test_nothing_but_gray_is_said(tmp_path):
    pictures = _pictures(tmp_path, {f"{n}.png": flat(GRAY) for n in range(3)})
    assert len(TrainBatches(pictures, _config(), PLAIN)[0]) == 4
    with pytest.raises(MediaError, match=r"color range of 10\.0"):
        TrainBatches(pictures, _config(color_range=10.0), PLAIN)[0]


def test_hints_are_the_true_color_on_the_grid_of_lightness(tmp_path):
    pictures = _pictures(tmp_path, {"0.png": flat(RED)})
    batch = TrainBatches(pictures, _config(batch_size=100, hints=0.5), PLAIN)[0]
    mask = batch.hints.mask
    assert batch.hints.ab.shape == (100, 2, 32, 32)
    given = mask.flatten(1).any(1)
    assert abs(float(given.float().mean()) - 0.5 * 7 / 8) < 0.15
    expected = _lab(RED)[1:].view(1, 2, 1, 1) * mask
    torch.testing.assert_close(batch.hints.ab, expected, atol=0.6, rtol=0)


def test_a_later_frame_of_the_shard_is_cut_and_degraded_like_its_picture(tmp_path):
    wide = texture(6, (96, 112), 12)
    members = {"0.png": wide[:, :96], "0.next.png": wide[:, 6:102]}
    pictures = _pictures(tmp_path, members)
    config = _config(sizes=(96,), smallest_crop=0.99, batch_size=8)
    batch = TrainBatches(pictures, config, PLAIN, pair=True)[0]
    assert batch.pair.motion.shape == (8, 2, 24, 24)
    x, y = batch.pair.motion[:, 0], batch.pair.motion[:, 1]
    seen = batch.pair.seen[:, 0] > 0
    assert seen.float().mean() > 0.8
    assert (x[seen].abs() - 1.5).abs().mean() < 0.1  # 6 of 96 pixels are 1.5 of 24 cells
    assert y[seen].abs().mean() < 0.1
    assert (x.mean((1, 2)) > 1).any()  # mirrored
    assert (x.mean((1, 2)) < -1).any()
    for now, later, way in zip(batch.lightness, batch.pair.lightness, x.mean((1, 2)), strict=True):
        a, b = (now[..., 8:], later[..., :-8]) if way < 0 else (now[..., :-8], later[..., 8:])
        assert (a - b).abs().mean() > 1  # not 8, but 6 pixels
        a, b = (now[..., 6:], later[..., :-6]) if way < 0 else (now[..., :-6], later[..., 6:])
        assert (a - b).abs().mean() < 0.5


@pytest.mark.parametrize("view", VIEWS)
def test_stills_are_moved_and_the_motion_is_known(tmp_path, view):
    rgb = texture(7, (100, 120), 20)
    notes = {"boxes": [[20, 10, 100, 90]]}
    pictures = _pictures(tmp_path, {"0.png": rgb, "0.json": notes})
    motion = MotionConfig(shift=0.1, turn_deg=3, zoom=0.05, region=1, region_shift=0.1)
    config = _config(sizes=(64,), batch_size=6, motion=motion)
    batch = TrainBatches(pictures, config, PLAIN, view=view, stride=1, pair=True)[0]
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    way = batch.pair.motion
    points = torch.stack((columns + way[:, 0], rows + way[:, 1]), dim=-1)
    back = torch.nn.functional.grid_sample(
        batch.pair.lightness, (points + 0.5) / 32 - 1, align_corners=False
    )
    error = (back - batch.lightness).abs() * batch.pair.seen
    still = (batch.pair.lightness - batch.lightness).abs() * batch.pair.seen
    assert 0.5 < batch.pair.seen.mean() < 1
    assert error.sum() < 0.15 * still.sum()


def test_a_later_frame_of_another_size_is_refused(tmp_path):
    members = {"0.png": texture(1), "0.next.png": texture(1, (40, 40))}
    pictures = _pictures(tmp_path, members)
    with pytest.raises(MediaError, match=r"0\.png: its later frame has another size"):
        TrainBatches(pictures, _config(), PLAIN, pair=True)[0]


def test_batches_must_divide(tmp_path):
    with pytest.raises(ConfigError, match="batch_size 4 cannot be divided among 3 processes"):
        TrainBatches(_many(tmp_path), _config(), PLAIN, part=(0, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest_crop": 0.0}, "smallest_crop"),
        ({"largest_crop": 1.1}, "largest_crop"),
        ({"largest_crop": 0.4}, r"from smallest_crop \(0\.5\) to 1, not 0\.4"),
        ({"sizes": (100,)}, "multiples of 8"),
        ({"sizes": ()}, "multiples of 8"),
        ({"crop": 100}, "crop must be"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"boxes_max": 0}, "boxes_max must be at least 1"),
        ({"random_boxes": -1}, "random_boxes must not be negative"),
        ({"color_range": -1.0}, "color_range must not be negative"),
        ({"hints": 1.5}, "hints must be 0 to 1"),
        ({"box_score": 2.0}, "box_score must be 0 to 1"),
        ({"box_jitter": 0.5}, "box_jitter must be 0 to 0.4"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        _config(**settings)
