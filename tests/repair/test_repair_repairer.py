"""All steps of repair in a row: their order, batches, cuts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from vidcolor.records import FrameBatch, VideoInfo
from vidcolor.repair.find import Finder
from vidcolor.repair.judge import Judge
from vidcolor.repair.level import Deflicker, DeflickerConfig, NoDeflicker
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Link, Marked, Moved, Repaired, Spot, union
from vidcolor.repair.repairer import Repairer
from vidcolor.repair.steady import NoSteady
from vidcolor.repair.window import Window

SIZE = (64, 80)
LENGTHS = (9, 1, 7)  # frames of each shot
BROKEN = (2, 3, 8, 9, 12)  # frames with damage


def film(batch: int, shots: Sequence[int] = (0, 1, 2)) -> list[FrameBatch]:
    """Another pattern in every shot, moving, in light that trembles; a frame is held."""
    batches = []
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    light = 1 + 0.05 * np.random.default_rng(2).standard_normal(sum(LENGTHS))
    for shot in shots:
        index = sum(LENGTHS[:shot])
        count = LENGTHS[shot]
        moved = [columns + 1.3 * (i - (i == 5)) for i in range(count)]
        planes = [np.sin(x / (4 + shot)) * np.cos(rows / (6 - shot)) for x in moved]
        lit = [(120 + 60 * plane) * light[index + i - (i == 5)] for i, plane in enumerate(planes)]
        luma = torch.from_numpy(np.rint(np.stack(lit)).astype(np.uint8)[:, None])
        pts = tuple(range(index, index + count))
        whole = FrameBatch(luma, pts, VideoInfo(*SIZE), index, shot)
        batches += [whole[first : first + batch] for first in range(0, count, batch)]
    return batches


class Masks:
    """A person's masks: in broken frames a block whose column tells the frame."""

    def __enter__(self) -> Masks:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def hole(self, index: int, /) -> np.ndarray | None:
        hole = np.zeros(SIZE, np.bool_)
        hole[30:34, 4 * index : 4 * index + 3] = True
        return hole if index in BROKEN else None

    def check(self, frames: int, /) -> None:
        pass


def heal(marked: Iterable[Marked]) -> Iterator[Repaired]:
    """White where something is damaged."""
    for batch in marked:
        luma, counts = batch.frames.luma.clone(), []
        for number, spots in enumerate(batch.spots):
            hole = union(spots, batch.frames.info.size)
            luma[number, 0][torch.from_numpy(hole)] = 255
            counts.append(int(hole.sum()))
        yield Repaired(replace(batch.frames, luma=luma), batch, tuple(counts))


def repairer(**steps: object) -> Repairer:
    usual: dict[str, object] = {
        "motion": FollowConfig(lines=64),
        "find": Finder(()),
        "grow": iter,
        "judge": Judge(lambda info: Masks()),
        "heal": heal,
        "deflicker": NoDeflicker(),
        "steady": NoSteady(),
    }
    return Repairer(**{**usual, **steps})  # type: ignore[arg-type]


# -- the order -----------------------------------------------------------------------------------


@dataclass
class Step:
    """Passes everything through `change`, and tells when it had its turn."""

    name: str
    turns: list[str]
    change: Callable[[object], object] = lambda item: item

    def __call__(self, items: Iterable[object]) -> Iterator[object]:
        for item in items:
            self.turns.append(self.name)
            yield self.change(item)


def test_the_steps_come_in_order_and_each_gets_what_the_one_before_gave() -> None:
    turns: list[str] = []
    dust = Spot("dust", 0, 0, np.ones((1, 1), np.bool_), state="review")

    def find(moved: object) -> Marked:
        assert isinstance(moved, Moved)
        return Marked(moved, ((dust,),) * len(moved.frames))

    wide = replace(dust, hole=np.ones((1, 2), np.bool_))

    def grow(marked: object) -> Marked:
        assert isinstance(marked, Marked)
        assert all(spots == (dust,) for spots in marked.spots)
        return replace(marked, spots=((wide,),) * len(marked.spots))

    def judge(marked: object) -> Marked:
        assert isinstance(marked, Marked)
        assert all(spots == (wide,) for spots in marked.spots)
        return replace(marked, spots=((replace(wide, state="accepted"),),) * len(marked.spots))

    def healed(marked: object) -> Repaired:
        assert isinstance(marked, Marked)
        (repaired,) = heal([marked])
        return repaired

    def darker(item: object) -> Repaired:
        assert isinstance(item, Repaired)
        return replace(item, frames=replace(item.frames, luma=item.frames.luma // 2))

    def turned(item: object) -> Repaired:
        assert isinstance(item, Repaired)
        return replace(item, frames=replace(item.frames, luma=item.frames.luma.roll(1, -1)))

    repair = repairer(
        find=Step("find", turns, find),
        grow=Step("grow", turns, grow),
        judge=Step("judge", turns, judge),
        heal=Step("heal", turns, healed),
        deflicker=Step("deflicker", turns, darker),
        steady=Step("steady", turns, turned),
    )
    out = list(repair(film(9, (0,))))
    assert turns == ["find", "grow", "judge", "heal", "deflicker", "steady"]
    # the speck grew to two pixels, was accepted, made white, halved, and moved by a column
    assert out[0].frames.luma[:, 0, 0, 1:3].tolist() == [[127, 127]] * 9
    assert (out[0].frames.luma[:, 0, 0, 3] < 127).all()
    assert out[0].marked.spots[0][0].state == "accepted"


def test_each_batch_goes_all_the_way_before_the_next_is_asked_for() -> None:
    turns: list[str] = []
    reader = Step("read", turns)
    steady = Step("steady", turns)
    out = repairer(steady=steady)(reader(film(3, (0,))))  # type: ignore[arg-type]
    for _ in out:
        turns.append("write")
    assert turns == ["read", "steady", "write"] * 3


# -- real steps ----------------------------------------------------------------------------------


class Rough:
    """Finds the brightest pixel of a frame; how sure it is tells what of the shot it has seen."""

    before, after = 2, 3

    def begin(self) -> Callable[[Window], list[Spot]]:
        asked = itertools.count(1)

        def ask(window: Window) -> list[Spot]:
            top, left = np.unravel_index(window.frame.plane.argmax(), SIZE)
            seen = next(asked) + len(window.frames) / 10
            hole = np.ones((1, 1), np.bool_)
            return [Spot("dust", int(top), int(left), hole, 1 / seen, state="review")]

        return ask


Out = list[tuple[object, ...]]


def told(repaired: Iterable[Repaired]) -> Out:
    """All that is known of every frame."""
    rows: Out = []
    for batch in repaired:
        frames, source = batch.frames, batch.marked.frames
        for i, spots in enumerate(batch.marked.spots):
            link = batch.marked.moved.links[i]
            rows.append(
                (
                    frames.index + i,
                    frames.shot,
                    frames.start + i,
                    frames.pts[i],
                    frames.luma[i].numpy().tobytes(),
                    source.luma[i].numpy().tobytes(),
                    flows(link),
                    tuple(
                        (one.kind, one.box, one.area, one.confidence, one.state) for one in spots
                    ),
                    batch.changed[i],
                )
            )
    return rows


def flows(link: Link | None) -> object:
    return None if link is None else (link.back.tobytes(), link.onward.tobytes(), link.same)


def run(batch: int, shots: Sequence[int] = (0, 1, 2), **steps: object) -> Out:
    return told(repairer(**steps)(film(batch, shots)))


def test_only_what_a_person_marked_changes() -> None:
    given = film(4)
    out = list(repairer()(given))
    assert sum(len(one.frames) for one in out) == sum(LENGTHS)
    for batch, source in zip(out, given, strict=True):
        for number in range(len(source)):
            index = source.index + number
            plane, before = batch.frames.luma[number, 0], source.luma[number, 0]
            expected = before.clone()
            if index in BROKEN:
                expected[30:34, 4 * index : 4 * index + 3] = 255
            assert torch.equal(plane, expected)
            assert batch.changed[number] == (12 if index in BROKEN else 0)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batches_of_any_size_give_the_same(batch: int) -> None:
    assert run(batch) == run(4)


@pytest.mark.parametrize("batch", [1, 5])
def test_so_they_do_with_a_detector_that_looks_around_and_level_light(batch: int) -> None:
    def steps() -> dict[str, object]:
        level = Deflicker(DeflickerConfig(strength=1.0, slow_frames=2.0))
        return {"find": Finder((Rough(),)), "deflicker": level}

    assert run(batch, **steps()) == run(4, **steps())


@pytest.mark.parametrize("shots", [(0,), (1, 2), (2,)])
def test_a_shot_does_not_depend_on_those_around_it(shots: tuple[int, ...]) -> None:
    def look(of: Sequence[int]) -> Out:
        level = Deflicker(DeflickerConfig(strength=1.0, slow_frames=2.0))
        rows = run(4, of, find=Finder((Rough(),)), deflicker=level)
        return [row for row in rows if row[1] in shots]

    alone = look(shots)
    assert len(alone) == sum(LENGTHS[shot] for shot in shots)
    assert alone == look((0, 1, 2))


def test_links_say_where_a_shot_begins_and_what_is_held() -> None:
    links = [link for batch in repairer()(film(4)) for link in batch.marked.moved.links]
    assert [i for i, link in enumerate(links) if link is None] == [0, 9, 10]
    assert [i for i, link in enumerate(links) if link is not None and link.same] == [5, 15]
    step = links[2]
    assert step is not None
    # the pattern goes 1.3 pixels to the left, so a place was farther right before
    assert float(np.median(step.back[..., 0])) == pytest.approx(1.3, abs=0.2)
    assert float(np.median(step.onward[..., 0])) == pytest.approx(-1.3, abs=0.2)


def test_motion_is_found_as_asked() -> None:
    fast, well = (FollowConfig(lines=64, flow=flow) for flow in ("ultrafast", "medium"))
    given = film(4)
    by_hand = [flows(link) for moved in follow(given, fast) for link in moved.links]
    asked, usual = (
        [flows(link) for batch in repairer(motion=how)(given) for link in batch.marked.moved.links]
        for how in (fast, well)
    )
    assert asked == by_hand
    assert asked != usual


def test_of_no_film_nothing_comes() -> None:
    assert list(repairer()([])) == []
