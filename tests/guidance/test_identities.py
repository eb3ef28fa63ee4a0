"""Which tracks are one object: by logic on views made by hand, and by the shipped network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vidcolor.guidance.tracks.gallery import Gallery, Member
from vidcolor.guidance.tracks.identities import Describer, Sighting, View, group, likeness
from vidcolor.models.weights import load_model

SHARES = np.linspace(0.05, 1, 20, dtype=np.float32)


def view(angle: float, aspect: float = 0.0, shares: np.ndarray = SHARES) -> View:
    """A view whose features point somewhere in a plane."""
    features = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return View(features, shares, aspect)


def sighting(angle: float, first: int, label: str = "person", aspect: float = 0.0) -> Sighting:
    return Sighting(label, (view(angle, aspect),), first, first + 10)


def test_likeness_by_hand():
    # 13.9 cos - 10.7 |histograms| - 2 |log aspects| - 8
    assert likeness([view(0)], [view(0)]) == pytest.approx(5.9, abs=1e-4)
    assert likeness([view(0)], [view(np.pi / 3)]) == pytest.approx(-1.05, abs=1e-4)
    assert likeness([view(0)], [view(0, 0.5)]) == pytest.approx(4.9, abs=1e-4)
    darker = np.minimum(SHARES + 0.1, 1)
    lost = float(np.abs(darker - SHARES).mean())
    assert likeness([view(0)], [view(0, 0.0, darker)]) == pytest.approx(5.9 - 10.7 * lost, abs=1e-4)
    # every view with the one most like it, both ways: (5.9 and 5.9, -1.05) means 5.9 and 2.425
    both = likeness([view(0)], [view(0), view(np.pi / 3)])
    assert both == pytest.approx((5.9 + 2.425) / 2, abs=1e-4)
    with pytest.raises(ValueError, match="without a view"):
        likeness([], [view(0)])


def test_alike_tracks_of_other_times_are_joined():
    found = [sighting(0.0, 0), sighting(1.5, 20), sighting(0.1, 40)]
    assert group(found) == (0, 1, 0)
    assert group([]) == ()


def test_what_is_seen_together_is_two_objects():
    assert group([sighting(0.0, 0), sighting(0.0, 5)]) == (0, 1)
    # nor by a third track, which is like both: and then it is sure of neither
    assert group([sighting(0.0, 0), sighting(0.02, 5), sighting(0.01, 40)]) == (0, 1, 2)


def test_classes_must_agree():
    assert group([sighting(0.0, 0), sighting(0.0, 40, "dog")]) == (0, 1)


def test_a_rival_nearly_as_like_forbids_joining():
    # the third is 5.9 like the first; the second, seen beside the first, is a rival
    clear = [sighting(0.0, 0), sighting(1.0, 5), sighting(0.0, 40)]
    close = [sighting(0.0, 0), sighting(0.3, 5), sighting(0.0, 40)]
    assert group(clear) == (0, 1, 0)
    assert group(close) == (0, 1, 2)


def member(angle: float) -> Member:
    return Member("person", (view(angle),), (), ())


def test_the_gallery_knows_again_only_what_is_sure():
    gallery = Gallery(2)
    gallery.keep(None, member(0.0))
    assert gallery.find("person", [view(0.05)], set()) == 0
    assert gallery.find("dog", [view(0.05)], set()) is None
    assert gallery.find("person", [view(0.05)], {0}) is None
    assert gallery.find("person", [view(1.5)], set()) is None
    gallery.keep(None, member(0.2))
    assert gallery.find("person", [view(0.1)], set()) is None  # as like one as the other


def test_the_gallery_forgets_what_was_not_seen_for_longest():
    gallery = Gallery(2)
    gallery.keep(None, member(0.0))
    gallery.keep(None, member(1.0))
    gallery.keep(0, member(0.0))  # seen again
    gallery.keep(None, member(2.0))
    assert gallery.find("person", [view(0.0)], set()) == 0
    assert len(gallery[0].views) == 2
    assert gallery.find("person", [view(1.0)], set()) is None


@pytest.fixture(scope="module")
def describe() -> Describer:
    device = torch.device("cpu")
    return Describer(load_model("starter", device)[0], device)


def drawing(seed: int) -> np.ndarray:
    """(120, 160) L* of a few shapes."""
    rng = np.random.default_rng(seed)
    plane = np.full((120, 160), float(rng.uniform(20, 80)), np.float32)
    for _ in range(7):
        center = tuple(int(v) for v in rng.uniform((30, 20), (130, 100)))
        axes = tuple(int(v) for v in rng.uniform(5, 30, 2))
        cv2.ellipse(plane, center, axes, float(rng.uniform(0, 180)), 0, 360,
                    float(rng.uniform(5, 95)), -1)  # fmt: skip
    return cv2.GaussianBlur(plane, (0, 0), 1.0)


def test_the_network_tells_things_apart(describe):
    box = (20.0, 10.0, 140.0, 110.0)
    shifted = (24.0, 8.0, 145.0, 110.0)
    first = [describe(drawing(n), box) for n in range(4)]
    again = [describe(drawing(n) * 0.92 + 3, shifted) for n in range(4)]
    table = np.array([[likeness([a], [b]) for b in again] for a in first])
    assert (table.argmax(axis=1) == np.arange(4)).all()
    assert table.diagonal().min() > 1
    assert table[~np.eye(4, dtype=bool)].max() < table.diagonal().min()


def test_boxes_too_small_to_tell_have_no_view(describe):
    assert describe(drawing(0), (0.0, 0.0, 60.0, 8.0)) is None
    assert describe(drawing(0), (-50.0, -50.0, 5.0, 5.0)) is None
