"""Training in the planes of a color space, everywhere or at a few points of each picture."""

import dataclasses

import numpy as np
import pytest
import torch
from made_shards import texture, write_shard
from runs import assert_same_run, folder_of, run
from skimage.color import lab2rgb
from toys import Painter, batch

from vidcolor.errors import ConfigError
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import ModelSpec
from vidcolor.train.data.batch import Batch
from vidcolor.train.data.batches import TrainBatches
from vidcolor.train.data.config import DataConfig
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.losses import dahl_distance, distance
from vidcolor.train.phases import PhaseConfig, make_phase
from vidcolor.train.run import train

SPEC = ModelSpec("painter", Painter, 1, False, False, None, 32, 32, "", 1)


def _phase(space="lab", **settings):
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        model = Painter(space)
    return make_phase(PhaseConfig(**{"loss": "planes", **settings}), model, SPEC, 32)


def _true_planes(space, one):
    """By scikit-image and the formulas of the papers."""
    if space == "lab":
        return one.ab.double() / 200 + 0.5
    lab = torch.cat((one.lightness, one.ab), 1).double().permute(0, 2, 3, 1).numpy()
    rgb = lab2rgb(lab)
    if space == "yuv":
        luma = rgb @ np.array((0.299, 0.587, 0.114))
        u = 0.492 * (rgb[..., 2] - luma) / (2 * 0.435912) + 0.5
        v = 0.877 * (rgb[..., 0] - luma) / (2 * 0.614777) + 0.5
        rgb = np.stack((u, v), 3)
    return torch.from_numpy(rgb).permute(0, 3, 1, 2)


# --- everywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["lab", "yuv", "rgb"])
@pytest.mark.parametrize("loss", ["planes", "dahl"])
def test_the_error_is_that_of_the_networks_own_planes(space, loss):
    phase, one = _phase(space, loss=loss), batch(0)
    values, pred = phase.losses(one)
    planes = phase.model.answer_planes("full", one.lightness).double()
    true = _true_planes(space, one)
    assert planes.shape[1] == (3 if space == "rgb" else 2)
    if loss == "planes":
        expected = (planes - true).square().mean()
    else:  # whose values are told by hand in test_plane_losses
        expected = dahl_distance(planes, true).mean()
    assert list(values) == [loss]
    torch.testing.assert_close(values[loss].double(), expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(pred, phase.model.answer("full", one.lightness))


def test_distances_of_color_go_on_working_in_any_space():
    phase, one = _phase("yuv", loss="l1", delta=20.0), batch(0)
    values, pred = phase.losses(one)
    torch.testing.assert_close(values["l1"], (pred - one.ab).abs().sum(1).mean() / 20)
    values["l1"].backward()
    assert float(phase.model.trunk.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("space", ["lab", "yuv", "rgb"])
def test_planes_learn_color(space):
    phase, one = _phase(space), batch(0)
    optimizer = torch.optim.Adam([p for _, p in phase.learns()], 0.03)
    errors = []
    for _ in range(150):
        values, pred = phase.losses(one)
        optimizer.zero_grad()
        values["planes"].backward()
        optimizer.step()
        errors.append(float((pred - one.ab).detach().abs().mean()))
    assert errors[-1] < 0.4 * errors[0]


# --- at points ----------------------------------------------------------------------------------


def _at(one, cells):
    """The batch with points at the centers of `cells`, (row, column) of each picture."""
    size = one.ab.shape[2]
    points = torch.tensor([[((x + 0.5) / size, (y + 0.5) / size) for y, x in row] for row in cells])
    return dataclasses.replace(one, points=points)


CELLS = [[(0, 0), (3, 5)], [(7, 7), (2, 0)], [(4, 4), (4, 4)], [(0, 7), (6, 1)]]


@pytest.mark.parametrize("space", ["lab", "yuv", "rgb"])
def test_only_points_count(space):
    phase, one = _phase(space, points=2), _at(batch(0), CELLS)
    values, pred = phase.losses(one)
    planes = phase.model.answer_planes("full", one.lightness).double()
    true = _true_planes(space, one)
    places = [(n, y, x) for n, row in enumerate(CELLS) for y, x in row]
    expected = torch.stack([(planes - true)[n, :, y, x].square().mean() for n, y, x in places])
    torch.testing.assert_close(values["planes"].double(), expected.mean(), rtol=1e-4, atol=1e-7)
    everywhere = phase.model.answer("full", one.lightness)
    assert pred.shape == (4, 2, 1, 2)
    for number, (n, y, x) in enumerate(places):
        ours, theirs = pred[n, :, 0, number % 2], everywhere[n, :, y, x]
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_distances_of_color_at_points():
    phase, one = _phase("rgb", points=2, loss="smooth_l1", delta=5.0), _at(batch(0), CELLS)
    values, pred = phase.losses(one)
    target = torch.stack([one.ab[n, :, y, x] for n, row in enumerate(CELLS) for y, x in row])
    target = target.view(4, 2, 2).transpose(1, 2)[:, :, None]
    torch.testing.assert_close(values["smooth_l1"], distance(pred, target, delta=5.0).mean())


def test_all_points_are_the_whole():
    whole, one = _phase("yuv"), batch(0)
    every = [[(y, x) for y in range(8) for x in range(8)]] * 4
    sparse = _phase("yuv", points=64)
    torch.testing.assert_close(
        sparse.losses(_at(one, every))[0]["planes"], whole.losses(one)[0]["planes"]
    )


@pytest.fixture
def pictures(tmp_path):
    members = {f"{i}.png": texture(i) for i in range(6)}
    return Pictures((write_shard(tmp_path / "a.tar", members),))


def _draw(pictures, step, part=(0, 1), seed=0, **settings):
    config = DataConfig(("x",), sizes=(32,), batch_size=4, seed=seed)
    settings = {"points": 50, "stride": 4, **settings}
    return TrainBatches(pictures, config, DegradeConfig(), part=part, **settings)[step]


def test_points_are_centers_of_cells_drawn_anew_for_each_picture_and_step(pictures):
    one = _draw(pictures, 3)
    assert one.points.shape == (4, 50, 2)
    cells = one.points * 8 - 0.5  # of 32 pixels, 4 to a cell
    torch.testing.assert_close(cells, cells.round())
    assert (cells.amin(), cells.amax()) == (0, 7)
    assert len(torch.unique(one.points, dim=0)) == 4
    assert not torch.equal(_draw(pictures, 4).points, one.points)
    assert not torch.equal(_draw(pictures, 3, seed=1).points, one.points)
    assert torch.equal(_draw(pictures, 3).points, one.points)
    # nor does it matter who draws, or whether points are drawn
    halves = [_draw(pictures, 3, (rank, 2)).points for rank in range(2)]
    assert torch.equal(torch.cat(halves), one.points)
    plain = _draw(pictures, 3, points=0)
    assert plain.points is None
    assert torch.equal(plain.lightness, one.lightness)


def test_batches_with_points_and_labels_slice_move_and_are_checked():
    one = Batch(
        torch.zeros(3, 1, 8, 8), torch.zeros(3, 2, 2, 2),
        labels=torch.tensor([4, 5, 6]), points=torch.rand(3, 7, 2),
    )  # fmt: skip
    part = one[1:]
    assert part.labels.tolist() == [5, 6]
    assert torch.equal(part.points, one.points[1:])
    moved = one.to("meta")
    assert {moved.labels.device.type, moved.points.device.type} == {"meta"}
    for wrong in ({"labels": torch.zeros(2)}, {"points": torch.zeros(3, 2)}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            dataclasses.replace(one, **wrong)


SPARSE = {
    "model": {"name": "hypercolumn", "width": 2, "settings": ["space=yuv"]},
    "phase": {"loss": "planes", "points": 9},
    "fit": {"optimizer": "sgd", "momentum": 0.9, "lr": 0.1},
}


def test_killed_and_resumed_equals_never_killed_with_points(config):
    whole, killed = config("whole", **SPARSE), config("killed", **SPARSE)
    assert run(whole) == [1, 2, 3, 4, 5, 6]
    steps = train(killed)
    assert [next(steps).report.step for _ in range(4)] == [1, 2, 3, 4]
    steps.close()
    assert run(killed) == [5, 6]
    assert_same_run(whole, killed)


def test_killed_and_resumed_equals_never_killed_with_labels(config, tmp_path):
    table = tmp_path / "kinds.csv"
    table.write_text("name,category\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(5)))
    over = {
        "data": {"labels": str(table)},
        "model": {"name": "iizuka16", "width": 1, "settings": ["labels=2"]},
        "phase": {"loss": "planes", "label_weight": 0.1},
        "fit": {"optimizer": "adadelta", "lr": 1.0, "steps": 3},
        "run": {"save_every": 1},
    }
    whole, killed = config("whole", **over), config("killed", **over)
    assert run(whole) == [1, 2, 3]
    steps = train(killed)
    next(steps)
    steps.close()
    assert run(killed) == [2, 3]
    assert_same_run(whole, killed)
    assert folder_of(whole) != folder_of(killed)


# --- who cannot ---------------------------------------------------------------------------------


def test_networks_that_cannot_are_told_by_name():
    plain = torch.nn.Conv2d(1, 2, 1)
    spec = dataclasses.replace(SPEC, name="plain")
    for settings, message in (
        ({"loss": "planes"}, r"phase\.loss 'planes': plain does not answer in planes"),
        ({"loss": "dahl"}, r"phase\.loss 'dahl': plain does not answer in planes"),
        ({"points": 5}, r"phase\.points 5: plain cannot answer at single points"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_phase(PhaseConfig(**settings), plain, spec, 32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points": -1}, "points must not be negative"),
        ({"points": 5, "loss": "dahl"}, "points: loss 'dahl' looks at whole pictures"),
        ({"points": 5, "loss": "classes"}, "points: loss 'classes' looks at whole pictures"),
        ({"points": 5, "adversarial": 0.1}, "points: adversarial looks at whole pictures"),
        ({"points": 5, "label_weight": 0.1}, "points: label_weight looks at whole pictures"),
        ({"loss": "classes", "label_weight": 0.1}, "label_weight goes beside planes or colors"),
        ({"loss": "none"}, 'loss "none" has nothing of true colors'),
        ({"label_weight": float("inf")}, "label_weight must not be negative, not inf"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ConfigError, match=message):
        PhaseConfig(**settings)


def test_what_the_pictures_must_be(config):
    with pytest.raises(ConfigError, match=r"data\.sizes: quarternet takes multiples of 32, not 40"):
        config(data={"sizes": [40]})
    with pytest.raises(ConfigError, match=r"data\.crop: quarternet takes multiples of 32, not 48"):
        config(data={"crop": 48})
    assert config(data={"sizes": [40], "crop": 48}, model={"name": "eccv16"}).data.sizes == (40,)
    with pytest.raises(ConfigError, match=r"data\.hints and phase\.points"):
        config(data={"hints": 0.5}, model={"name": "siggraph17"}, phase={"points": 3})
