"""Methods that fill holes, the pairs they are given, and whole runs."""

import cv2
import numpy as np
import pytest
import torch
from made_color import write_film
from made_sets import smooth, write_png
from made_shards import write_shard
from torch import nn

from vidcolor.errors import ConfigError, MediaError, WeightsError
from vidcolor.evaluate.inpaint.config import InpaintConfig
from vidcolor.evaluate.inpaint.ledger import Ledger
from vidcolor.evaluate.inpaint.methods import (
    Floor,
    Network,
    OpenCv,
    choose_methods,
    common_channels,
)
from vidcolor.evaluate.inpaint.pairs import Group, Pairs, groups_of, square
from vidcolor.evaluate.inpaint.run import InpaintJob, codes_of
from vidcolor.holes.classes import CLASSES
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights

CPU = torch.device("cpu")
SMALL = {"depth": 3, "width": 4}


@pytest.fixture
def shard(tmp_path):
    return write_shard(
        tmp_path / "set.tar", {f"{n}.png": smooth(n, (70 + n, 100)) for n in range(3)}
    )


def config(**settings):
    return InpaintConfig(**{"device": "cpu", "per_class": 2, "side": 64, **settings})


def a_hole(size=(48, 40)):
    hole = np.zeros(size, np.bool_)
    hole[10:20, 30:] = True
    hole[30:33] = True
    return hole


def a_net(path, channels=1, seed=0, **settings):
    torch.manual_seed(seed)
    settings = {**SMALL, "channels": channels, **settings}
    model = create_model("partialconv", **settings)
    save_weights(path, model, "partialconv", settings, {})
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["telea", "navier-stokes", "exemplar", "mean"])
def test_classical_methods_leave_valid_pixels_and_do_not_look_into_holes(name, channels):
    (filler,) = choose_methods(config(methods=(name,)), CPU)
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.8, (48, 40, channels)).astype(np.float32)
    hole = a_hole()
    filled = filler.fill(np.where(hole[..., None], np.float32(0), image), hole)
    assert filled.shape == image.shape
    assert np.array_equal(filled[~hole], image[~hole])
    assert filled[hole].min() > 0.1  # nothing of what lay there
    other = filler.fill(np.where(hole[..., None], np.float32(1), image), hole)
    assert np.array_equal(filled, other)


@pytest.mark.parametrize(("name", "flag"), [
    ("telea", cv2.INPAINT_TELEA), ("navier-stokes", cv2.INPAINT_NS),
])  # fmt: skip
def test_opencv_in_16_bits_is_near_opencv_in_8(name, flag):
    codes = smooth(3, (48, 40))
    hole = a_hole()
    expected = cv2.inpaint(codes, hole.astype(np.uint8), 3, flag)
    found = OpenCv(name, 3.0)(codes.astype(np.float32) / 255, hole) * 255
    assert np.abs(found - expected)[hole].mean() < 1.5
    fractions = np.abs(found - np.rint(found))[hole]
    assert (fractions > 0.05).mean() > 0.5  # more than 8 bits come out


def test_the_mean_is_that_of_valid_pixels():
    image = np.zeros((4, 4, 1), np.float32)
    image[0] = 0.8
    hole = np.zeros((4, 4), np.bool_)
    hole[1:3] = True
    assert Floor()(image, hole)[hole].tolist() == [[pytest.approx(0.4)]] * 8


class Asked(nn.Module):
    """Answers with what it was given, and remembers it."""

    channels, multiple = 1, 32

    def forward(self, image, valid):
        self.image, self.valid = image, valid
        return image * valid + (1 - valid) * 0.25


def test_networks_are_padded_with_holes_and_cut_back():
    net = Asked()
    image = np.random.default_rng(0).uniform(0, 1, (40, 50, 1)).astype(np.float32)
    hole = np.zeros((40, 50), np.bool_)
    hole[3, 4] = True
    filled = Network(net, CPU)(image, hole)
    assert net.image.shape == (1, 1, 64, 64)
    assert net.valid.sum() == 40 * 50 - 1
    assert net.valid[0, 0, :, 50:].sum() == net.valid[0, 0, 40:].sum() == net.valid[0, 0, 3, 4] == 0
    assert filled[3, 4, 0] == 0.25
    assert np.array_equal(filled[~hole], image[~hole])


def test_networks_and_their_ordinary_twins_are_weights_like_any_other(tmp_path):
    first = a_net(tmp_path / "one.safetensors")
    twin = a_net(tmp_path / "two.safetensors", layer="ordinary")
    chosen = choose_methods(config(methods=("mean",), weights=(first, f"twin={twin}")), CPU)
    assert [one.label for one in chosen] == ["mean", "one", "twin"]
    assert [one.network for one in chosen] == [False, True, True]
    image = np.full((24, 40, 1), 0.5, np.float32)
    answers = [one.fill(image, a_hole((24, 40))) for one in chosen[1:]]
    assert all(answer.shape == image.shape for answer in answers)
    assert not np.array_equal(*answers)
    again = choose_methods(config(weights=(first,)), CPU)[-1]
    other = choose_methods(config(weights=(a_net(tmp_path / "one2.safetensors", seed=1),)), CPU)
    assert again.mark == chosen[1].mark != other[-1].mark  # told by the weights, not by a name


def test_weights_that_do_not_fit(tmp_path):
    gray, rgb = a_net(tmp_path / "g.safetensors"), a_net(tmp_path / "c.safetensors", 3)
    chosen = choose_methods(config(weights=(rgb,)), CPU)
    assert common_channels(chosen, "auto") == common_channels(chosen, "rgb") == 3
    assert common_channels(chosen[:-1], "auto") == 1
    with pytest.raises(ConfigError, match="c fills RGB pictures, not gray ones"):
        common_channels(chosen, "gray")
    with pytest.raises(ConfigError, match="c fills RGB pictures, not gray ones; measure"):
        common_channels(choose_methods(config(weights=(gray, rgb)), CPU), "auto")
    with pytest.raises(ConfigError, match="two methods are called 'mean'"):
        choose_methods(config(weights=(f"mean={gray}",)), CPU)
    with pytest.raises(WeightsError, match="colorizer's, not an inpainter's"):
        choose_methods(config(weights=("starter",)), CPU)


def test_rows_are_those_of_the_paper_and_film():
    names = [one.name for one in groups_of(InpaintConfig())]
    assert names[:3] == ["0.01-0.1 inside", "0.01-0.1 border", "0.1-0.2 inside"]
    assert len(names) == 13
    assert names[-1] == "film"
    some = groups_of(config(classes=("0.5-0.6", "0.2-0.3"), border="with"))
    assert [one.name for one in some] == ["0.2-0.3 border", "0.5-0.6 border"]
    assert len({one.place for one in groups_of(InpaintConfig())}) == 13


def on_border(hole):
    edge = np.ones_like(hole)
    edge[1:-1, 1:-1] = False
    return bool((hole & edge).any())


def test_rows_hold_only_holes_of_their_class(shard):
    pairs = Pairs([shard], config(side=96), 1)
    for group in pairs.groups:
        for pair in pairs.of(group):
            share = pair.hole.mean()
            assert pair.truth.shape == (96, 96, 1)
            if group.number is None:
                assert 0 < share <= 0.2
            else:
                low, high = CLASSES[group.number]
                assert low < share <= high
                assert on_border(pair.hole) == group.border


def test_pairs_depend_on_the_seed_and_on_nothing_else(shard):
    row = Group(1, False)

    def taken(**settings):
        return [(pair.name, pair.digest) for pair in Pairs([shard], config(**settings), 1).of(row)]

    first = taken()
    assert taken() == first
    assert taken(per_class=3, classes=("0.1-0.2",))[:2] == first
    assert taken(seed=1) != first
    holes = [
        {pair.hole.tobytes() for pair in Pairs([shard], config(seed=seed), 1).of(row)}
        for seed in (0, 1)
    ]
    assert not holes[0] & holes[1]
    assert len(set(taken(per_class=3))) == 3
    assert {name for name, _ in taken(per_class=3)} == {"0.png", "1.png", "2.png"}


def mask_file(path, hole):
    write_png(path, np.repeat(np.where(hole, 255, 0).astype(np.uint8)[..., None], 3, axis=2))


def test_masks_come_from_files_and_go_where_they_belong(shard, tmp_path):
    folder = tmp_path / "masks"
    holes = {}
    for name, rows in (("inside", (20, 28)), ("border", (56, 64)), ("large", (8, 56))):
        holes[name] = np.zeros((64, 64), np.bool_)
        holes[name][slice(*rows), 20:60] = True
        mask_file(folder / f"{name}.png", holes[name])
    pairs = Pairs([shard], config(masks=str(folder), classes=("0.01-0.1", "0.4-0.5")), 1)
    found = {group.name: [pair.hole for pair in pairs.of(group)] for group in pairs.groups}
    assert [len(one) for one in found.values()] == [1, 1, 1, 0]
    assert np.array_equal(found["0.01-0.1 inside"][0], holes["inside"])
    assert np.array_equal(found["0.01-0.1 border"][0], holes["border"])
    assert np.array_equal(found["0.4-0.5 inside"][0], holes["large"])
    film = config(film_masks=str(folder), classes=("film",), per_class=9)
    (row,) = Pairs([shard], film, 1).groups
    assert len(list(Pairs([shard], film, 1).of(row))) == 3
    inverted = config(film_masks=str(folder), classes=("film",), invert=True, per_class=9)
    shares = [pair.hole.mean() for pair in Pairs([shard], inverted, 1).of(row)]
    assert shares == [0.53125]  # the others leave too little of the picture
    with pytest.raises(MediaError, match=r"none of the masks is of 0\.2-0\.3"):
        InpaintJob([shard], config(masks=str(folder), classes=("0.2-0.3",), methods=("mean",))).run(
            lambda count: None
        )


def test_masks_are_judged_at_the_size_at_which_they_are_used(shard, tmp_path):
    hole = np.zeros((128, 128), np.bool_)
    hole[40:55, 20:100] = hole[0, 30:90] = True  # halved, the upper row is gone
    mask_file(tmp_path / "masks" / "1.png", hole)
    settings = config(masks=str(tmp_path / "masks"), classes=("0.01-0.1",), border="with")
    (row,) = Pairs([shard], settings, 1).groups
    assert list(Pairs([shard], settings, 1).of(row)) == []
    whole = config(masks=str(tmp_path / "masks"), border="with", side=128)
    assert len(list(Pairs([shard], whole, 1).of(row))) == 1


def test_squares_are_cut_from_the_middle():
    rgb = smooth(1, (70, 100))
    own = square(rgb, 0, config(side=0))
    assert np.array_equal(own, rgb[3:67, 18:82])
    small = square(rgb, 35, config())
    expected = rgb[:, 15:85].reshape(35, 2, 35, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - expected).max() <= 0.75  # OpenCV rounds halves its own way
    with pytest.raises(MediaError, match="is 40x20; at least 32 pixels"):
        square(smooth(1, (20, 40)), 0, config(side=0))


def test_gray_pictures_are_luma(shard):
    (pair, _) = Pairs([shard], config(side=0), 1).of(Group(0, False))
    number = int(pair.name[0])
    rgb = smooth(number, (70 + number, 100))[(6 + number) // 2 :, 18:][:64, :64]
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(pair.truth[..., 0] - luma).max() <= 0.51


def test_films_are_no_pictures(tmp_path):
    film = write_film(tmp_path / "film.mkv", [smooth(i, (48, 64)) for i in range(3)])
    with pytest.raises(ConfigError, match="is a film; holes are measured on pictures"):
        Pairs([str(film)], config(), 1)


def test_a_run_measures_what_methods_answer(shard, tmp_path):
    net = a_net(tmp_path / "net.safetensors")
    settings = {"methods": ("mean",), "weights": (net,), "classes": ("0.2-0.3",)}
    done = []
    job = InpaintJob([shard], config(**settings), None)
    found = job.run(done.append)
    assert len(done) == job.total == 2 * 2 * 2
    assert [row.name for row in found.rows] == ["0.2-0.3 inside", "0.2-0.3 border"]
    assert all(row.count == 2 and 0.2 < row.share <= 0.3 for row in found.rows)
    (first, _) = Pairs([shard], config(), 1).of(Group(2, False))
    valid = first.truth[~first.hole].mean()
    by_hand = np.abs(np.rint(valid) - first.truth[first.hole]).mean() / 2.55
    scores = found.single["0.2-0.3 inside"]["scores"]
    assert scores["mean"]["hole_l1"][0] == pytest.approx(by_hand, abs=0.01)
    assert scores["net"]["raw_psnr"][0] != scores["net"]["psnr"][0]
    assert scores["mean"]["raw_psnr"] == scores["mean"]["psnr"]
    cells = job.gallery[0].cells
    assert set(cells) == set(job.columns)
    assert len(job.gallery) == 2


def test_no_method_sees_what_was_in_the_hole(shard, monkeypatch):
    monkeypatch.setattr(Floor, "__call__", lambda self, image, hole: image)
    settings = config(methods=("mean",), classes=("0.1-0.2",), border="without")
    scores = InpaintJob([shard], settings).run(lambda n: None).single["0.1-0.2 inside"]["scores"]
    holes = [pair.truth[pair.hole] for pair in Pairs([shard], settings, 1).of(Group(1, False))]
    assert scores["mean"]["hole_l1"] == [pytest.approx(codes.mean() / 2.55) for codes in holes]


def test_work_goes_on_where_it_was_and_takes_new_methods(shard, tmp_path, monkeypatch):
    settings = {"classes": ("0.1-0.2",), "border": "with"}
    whole = InpaintJob([shard], config(methods=("mean", "telea"), **settings)).run(lambda n: None)
    calls = []
    fill = Floor.__call__
    monkeypatch.setattr(Floor, "__call__", lambda *args: (calls.append(1), fill(*args))[1])
    folder = tmp_path / "out"
    with Ledger(folder) as ledger:
        InpaintJob([shard], config(methods=("mean",), **settings)).run(lambda n: None, ledger)
    assert len(calls) == 2
    with Ledger(folder) as ledger:
        job = InpaintJob([shard], config(methods=("mean", "telea"), **settings))
        later = job.run(lambda n: None, ledger)
    assert len(calls) == 3  # once more, for the sheet
    for name in ("mean", "telea"):
        first, second = (
            one.single["0.1-0.2 border"]["scores"][name]["psnr"] for one in (whole, later)
        )
        assert first == second


def test_answers_that_are_no_numbers_are_refused():
    assert codes_of(np.array([[-0.1, 0.5, 1.2]], np.float32)).tolist() == [[0, 128, 255]]
    with pytest.raises(ValueError, match="no number"):
        codes_of(np.array([[np.nan]], np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": ("magic",)}, "methods are of telea, navier-stokes, exemplar, mean, not"),
        ({"methods": ()}, "nothing to measure"),
        ({"classes": ("0.6-0.7",)}, "classes are of 0.01-0.1"),
        ({"classes": ()}, "classes are empty"),
        ({"metrics": ("psnr", "psnr")}, "metrics are named twice"),
        ({"kinds": ("lines",)}, "kinds are of strokes"),
        ({"side": 16}, "side must be 0 or 32 to 2048, not 16"),
        ({"per_class": 0}, "per_class must be 1 or more"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"radius": 0.0}, "radius must be above 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        config(**settings)
