import logging

import pytest
import torch

from vidcolor.models.registry import spec_of
from vidcolor.models.weights import load_model
from vidcolor.records import Detections, FrameBatch, Rois, Tracked, Tracks, VideoInfo
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames, _pixels
from vidcolor.stages.portions import Link, Portions

CPU = torch.device("cpu")


class Memory:
    """A device on which every pixel takes 10 bytes while the network works, beside weights."""

    def __init__(self, total: int, weights: int = 40) -> None:
        self.total, self.weights, self.highest, self.asked = total, weights, weights, 0

    def free(self) -> int:
        self.asked += 1
        return self.total - self.taken()

    def taken(self) -> int:
        return self.weights

    def peak(self) -> int:
        return self.highest

    def work(self, pixels: int) -> None:
        self.highest = max(self.highest, self.weights + 10 * pixels)


def portions_of(portions: Portions, pixels: list[int], work=lambda pixels: None) -> list[int]:
    counts = []
    while pixels:
        count = portions.count(pixels)
        with portions.measured(sum(pixels[:count])):
            work(sum(pixels[:count]))
        counts.append(count)
        pixels = pixels[count:]
    return counts


def test_a_processor_gets_few_pictures_and_fewer_large_ones() -> None:
    cpu = Portions.of(CPU)
    assert portions_of(cpu, [192 * 256] * 10) == [4, 4, 2]
    assert portions_of(cpu, [512 * 512] * 5) == [2, 2, 1]
    # InstColorization: a picture with four close-ups is five pictures
    assert portions_of(cpu, [5 * 256 * 256] * 3) == [1, 1, 1]
    assert portions_of(cpu, [1080 * 1440] * 3) == [1, 1, 1]
    assert portions_of(cpu, [100, 100, 900_000, 100, 100]) == [2, 1, 2]


def test_without_a_way_of_asking_all_go_at_once() -> None:
    assert portions_of(Portions(), [10**9] * 16) == [16]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        # (total - 40) / 2 / 10 pixels fit: 1600, that is 1024; 400, that is 256; 40; 2
        (32_040, [1, 10, 5]),
        (32_040 + 8_000, [1, 10, 5]),
        (8_040, [1, 2, 2, 2, 2, 2, 2, 2, 1]),
        (840, [1] * 16),
        (80, [1] * 16),
    ],
)
def test_a_device_gets_what_fits_into_half_of_its_free_memory(total, expected) -> None:
    memory = Memory(total)
    assert portions_of(Portions(memory=memory), [100] * 16, memory.work) == expected
    assert memory.asked == 1


def test_weights_are_no_cost_of_a_picture() -> None:
    memory = Memory(50_000 + 32_000, weights=50_000)
    assert portions_of(Portions(memory=memory), [100] * 16, memory.work) == [1, 10, 5]


def test_close_ups_are_counted_with_their_frame() -> None:
    draw = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    rois = Rois(draw, torch.zeros(6, 4), torch.tensor([0, 0, 2, 2, 2, 2]), torch.ones(6), (64, 64))
    lightness = torch.zeros(4, 1, 64, 96)
    own, close = 64 * 96, 32 * 32
    assert _pixels(lightness, rois) == [own + 2 * close, own, own + 4 * close, own]
    assert _pixels(lightness, None) == [own] * 4


def test_what_took_more_before_makes_portions_smaller_never_larger() -> None:
    memory = Memory(32_040)
    memory.work(400)  # the detector: the peak says nothing of the network but an upper bound
    assert portions_of(Portions(memory=memory), [100] * 16, memory.work) == [1, 2] + [2] * 6 + [1]


def test_running_out_of_memory_halves_what_was_measured() -> None:
    memory = Memory(32_040)
    portions = Portions(memory=memory)
    portions_of(portions, [100], memory.work)
    assert portions.count([100] * 16) == 10
    assert portions.shrink(10) == 5
    assert portions.count([100] * 16) == 5
    assert portions.count([100] * 3) == 3


def test_portions_change_nothing_but_rounding() -> None:
    """One frame at a time and all together, with close-ups."""
    model, of = load_model("starter", CPU)
    spec = spec_of(model, of)
    draw = torch.Generator().manual_seed(3)
    luma = torch.randint(16, 236, (5, 1, 64, 64), generator=draw, dtype=torch.uint8)
    boxes = torch.tensor([[4.0, 4, 40, 50], [20, 10, 60, 60], [8, 8, 30, 60], [0, 0, 64, 40]])
    frame = torch.tensor([0, 0, 2, 4])
    seen = Detections(boxes, torch.ones(4), torch.zeros(4, dtype=torch.int64), frame)
    tracks = Tracks(seen, torch.arange(4), torch.ones(4))
    tracked = Tracked(FrameBatch(luma, tuple(range(5)), VideoInfo(64, 64)), tracks)

    def ab(portions: Portions) -> torch.Tensor:
        stage = ColorizeFrames(model, spec, ColorizeConfig(short_side=64), CPU)
        stage._portions = portions
        return stage(tracked).chroma.ab

    together = ab(Portions())
    assert together.abs().max() > 1
    for portions in (Portions(frames=1), Portions(frames=2), Portions.of(CPU)):
        torch.testing.assert_close(ab(portions), together, atol=2e-3, rtol=0)


def test_without_locked_memory_tensors_are_copied_and_one_line_says_so(caplog, monkeypatch) -> None:
    def refuse(tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("cannot lock\nsecond line")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    link = Link(CPU, locked=True)
    values = torch.arange(6.0).view(2, 3)
    with caplog.at_level(logging.WARNING):
        there = [link.up(values), link.up(values + 1)]
        back = [link.down(one) for one in there]
    link.wait()
    assert torch.equal(back[0], values)
    assert torch.equal(back[1], values + 1)
    assert [record.getMessage() for record in caplog.records] == [
        "no locked memory for cpu (cannot lock): going on with plain copies"
    ]


def test_running_out_of_the_devices_memory_on_the_way_is_not_hidden(monkeypatch) -> None:
    def full(tensor: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "pin_memory", full)
    with pytest.raises(torch.OutOfMemoryError):
        Link(CPU, locked=True).up(torch.zeros(2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_colors_as_the_processor_does() -> None:
    draw = torch.Generator().manual_seed(3)
    luma = torch.randint(16, 236, (9, 1, 128, 160), generator=draw, dtype=torch.uint8)
    tracked = Tracked(FrameBatch(luma, tuple(range(9)), VideoInfo(128, 160)), Tracks.empty())
    found = []
    for device in (CPU, torch.device("cuda")):
        model, of = load_model("starter", device)
        stage = ColorizeFrames(model, spec_of(model, of), ColorizeConfig(), device)
        found += [stage(tracked).chroma.ab for _ in range(2)]
    for ab in found[1:]:
        torch.testing.assert_close(ab, found[0], atol=0.05, rtol=0)
