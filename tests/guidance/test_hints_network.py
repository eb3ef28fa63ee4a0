"""Hints on their way into networks that take them."""

import torch

from vidcolor.guidance.hints.network import StoredHints
from vidcolor.guidance.layers import LayerStore
from vidcolor.models.registry import create_model, model_spec
from vidcolor.records import FrameBatch, Layer, Tracked, Tracks, VideoInfo
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames

CPU = torch.device("cpu")


def _frames(count=1, size=(64, 96), held=None, **info):
    generator = torch.Generator().manual_seed(0)
    luma = torch.randint(40, 200, (count, 1, *size), generator=generator, dtype=torch.uint8)
    held = None if held is None else torch.tensor(held)
    return FrameBatch(luma, tuple(range(count)), VideoInfo(*size, **info), held=held)


def _layer(rows, columns, weight=1.0, size=(64, 96)):
    layer = Layer(torch.zeros(1, 2, *size), torch.zeros(1, 1, *size))
    layer.ab[0, 0, rows, columns] = 40
    layer.ab[0, 1, rows, columns] = -20
    layer.weight[0, 0, rows, columns] = weight
    return layer


def _stage(store, name="siggraph17"):
    torch.manual_seed(0)
    model = create_model(name, width=8).eval()
    source = None if store is None else StoredHints(store)
    return ColorizeFrames(model, model_spec(name), ColorizeConfig(short_side=64), CPU, hints=source)


def test_only_what_is_sure_is_told():
    store = LayerStore()
    store.put(1, _layer(slice(20, 24), slice(30, 34)))
    store.put(2, _layer(slice(20, 24), slice(30, 34), 0.9))
    hints = StoredHints(store)(_frames(3), (64, 96))
    assert hints.mask.sum(dim=(1, 2, 3)).tolist() == [0, 16, 0]
    assert hints.mask[1, 0, 20:24, 30:34].min() == 1
    assert torch.allclose(hints.ab[1, :, 22, 32], torch.tensor([40.0, -20.0]), atol=0.01)
    assert hints.ab[hints.mask.expand_as(hints.ab) == 0].abs().max() == 0
    assert StoredHints(store)(_frames(1), (64, 96)) is None


def test_areas_become_points_thin_strokes_stay():
    store = LayerStore()
    layer = _layer(slice(0, 40), slice(0, 96))
    layer.ab[0, :, 50:52], layer.weight[0, :, 50:52] = 5, 1
    store.put(0, layer)
    mask = StoredHints(store)(_frames(1), (64, 96)).mask[0, 0]
    assert mask[50:52].min() == 1
    share = mask[4:36, 4:92].mean()
    assert 0.03 < share < 0.12
    assert mask[40:50].max() == 0
    # no place of the area is farther from a point than the lattice is wide
    near = torch.nn.functional.max_pool2d(mask[None, None, :40], 25, 1, 12)
    assert near.min() == 1


def test_a_turned_film_gets_its_hints_upright():
    store = LayerStore()
    store.put(0, _layer(slice(0, 4), slice(92, 96)))  # coded upper right
    hints = StoredHints(store)(_frames(1, rotation=90), (96, 64))
    assert hints.mask[0, 0, :4, :4].min() == 1  # turned counter-clockwise: upper left
    assert hints.mask.sum() == 16


def test_the_network_answers_near_the_hint():
    frames = Tracked(_frames(2), Tracks.empty())
    store = LayerStore()
    store.put(1, _layer(slice(30, 34), slice(46, 50)))
    with torch.no_grad():
        plain = _stage(None)(frames).chroma.ab
        hinted = _stage(store)(frames).chroma.ab
    change = (hinted - plain).norm(dim=1)
    assert torch.equal(hinted[0], plain[0])  # the other frame saw no hint
    assert change[1, 26:38, 42:54].mean() > 1e-3
    assert change[1, 26:38, 42:54].mean() > 3 * change[1, :10, :16].mean()


def test_a_still_is_a_film_of_one_frame():
    still = Tracked(_frames(1), Tracks.empty())
    store = LayerStore()
    store.put(0, _layer(slice(8, 12), slice(8, 12)))
    with torch.no_grad():
        plain = _stage(None)(still).chroma.ab
        hinted = _stage(store)(still).chroma.ab
    assert (hinted - plain)[0, :, 8:12, 8:12].abs().max() > 1e-3


def test_held_frames_are_hinted_like_what_they_repeat():
    frames = _frames(3, held=[False, True, False])
    store = LayerStore()
    for pts in (0, 1):
        store.put(pts, _layer(slice(30, 34), slice(46, 50)))
    with torch.no_grad():
        colored = _stage(store)(Tracked(frames, Tracks.empty())).chroma.ab
        plain = _stage(None)(Tracked(frames, Tracks.empty())).chroma.ab
    assert torch.equal(colored[0], colored[1])
    assert not torch.equal(colored[0], plain[0])
    assert torch.equal(colored[2], plain[2])


def test_a_network_without_use_for_hints_is_not_asked():
    def refuse(frames, size):
        raise AssertionError("was asked")

    torch.manual_seed(0)
    model = create_model("quarternet").eval()
    stage = ColorizeFrames(
        model, model_spec("quarternet"), ColorizeConfig(short_side=64), CPU, hints=refuse
    )
    with torch.no_grad():
        colored = stage(Tracked(_frames(1), Tracks.empty()))
    assert colored.chroma.ab.shape == (1, 2, 64, 96)
