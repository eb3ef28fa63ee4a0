import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.references.entries import (
    Reference,
    ReferenceEntry,
    list_references,
    load_references,
)
from vidcolor.schema import load


def _save(path, size=(64, 96), seed=0):
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 200, (4, 6, 3)).astype(np.float32)
    picture = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture.astype(np.uint8))
    return picture.astype(np.uint8)[..., ::-1]


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("frame_000120.png", 120), ("000120.png", 120), ("0007.jpg", 7),
        ("frame_12345678.png", 12345678),
        ("car.png", None), ("12.png", None), ("shot_000120.png", None), ("frame_000120b.png", None),
    ],
)  # fmt: skip
def test_numbered_pictures_are_keyframes(tmp_path, name, frame):
    _save(tmp_path / name)
    (entry,) = list_references([tmp_path / name])
    assert entry.frame == frame
    assert (entry.moment is None) == (frame is None)


def test_folders_give_all_their_pictures(tmp_path):
    for name in ("a.png", "frame_0002.png", "frame_0010.png"):
        _save(tmp_path / "set" / name)
    entries = list_references([tmp_path / "set"])
    assert {entry.frame for entry in entries} == {None, 2, 10}
    loaded = load_references([ReferenceEntry("set", shots=(3,), strength=0.5)], tmp_path)
    assert {reference.entry.frame for reference in loaded} == {None, 2, 10}
    assert all(r.entry.shots == (3,) and r.entry.strength == 0.5 for r in loaded)


def test_pictures_are_read_as_they_are(tmp_path):
    rgb = _save(tmp_path / "a.png")
    (reference,) = load_references([ReferenceEntry("a.png")], tmp_path)
    np.testing.assert_array_equal(reference.rgb, rgb)


def test_small_has_luma_as_lightness_and_true_color():
    rgb = np.full((96, 160, 3), (180, 60, 90), np.uint8)
    lightness, ab = Reference(ReferenceEntry("-"), None, rgb).small((64, 96))
    assert lightness.shape == (64, 96)
    assert ab.shape == (2, 64, 96)
    luma = round(0.2126 * 180 + 0.7152 * 60 + 0.0722 * 90)
    gray = rgb2lab(np.full((1, 1, 3), luma, np.uint8))[0, 0, 0]
    np.testing.assert_allclose(lightness, gray, atol=0.05)
    color = rgb2lab(np.array([[[180, 60, 90]]], np.uint8))[0, 0, 1:]
    np.testing.assert_allclose(ab[:, 5, 5], color, atol=0.05)


@pytest.mark.parametrize(
    ("size", "wanted"), [((90, 135), (64, 96)), ((360, 535), (64, 96)), ((200, 100), (128, 64))]
)
def test_only_like_aspects_get_the_size_of_the_film(size, wanted):
    rgb = np.zeros((*size, 3), np.uint8)
    lightness, ab = Reference(ReferenceEntry("-"), None, rgb).small((64, 96))
    assert lightness.shape == wanted
    assert ab.shape[1:] == wanted


def test_what_is_wrong_is_said(tmp_path):
    gray = np.repeat(np.arange(64, dtype=np.uint8)[:, None], 64, 1)
    cv2.imwrite(str(tmp_path / "gray.png"), np.dstack((gray, gray, gray)))
    cv2.imwrite(str(tmp_path / "tiny.png"), np.full((8, 8, 3), (9, 90, 200), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    for name, text in (
        ("none.png", "no such file"), ("film.mp4", "is no picture"), ("gray.png", "is gray"),
        ("tiny.png", "too few"), ("broken.png", "broken.png"), ("empty", "no picture"),
    ):  # fmt: skip
        with pytest.raises(GuidanceError, match=text):
            load_references([ReferenceEntry(name)], tmp_path)
    with pytest.raises(GuidanceError, match="single picture"):
        load_references([ReferenceEntry("empty", frame=3)], tmp_path)


def test_entries_are_checked():
    assert load(ReferenceEntry, {"file": "a.png", "time": "0:02"}, "r").moment.time == "0:02"
    for data, text in (
        ({"file": "a.png", "strength": 1.5}, "strength"),
        ({"file": " "}, "file"),
        ({"file": "a.png", "shots": [-1]}, "shots"),
        ({"file": "a.png", "frame": 2, "pts": 3}, "frame and pts"),
        ({"file": "a.png", "frame": 2, "method": "statistics"}, "statistics"),
        ({"file": "a.png", "methods": "match"}, "method"),
    ):
        with pytest.raises(ConfigError, match=text):
            load(ReferenceEntry, data, "references[0]")


def test_shots_and_strength_decide_where_it_counts():
    assert ReferenceEntry("a").counts_in(7)
    assert ReferenceEntry("a", shots=(2, 7)).counts_in(7)
    assert not ReferenceEntry("a", shots=(2,)).counts_in(7)
    assert not ReferenceEntry("a", strength=0.0).counts_in(7)
