"""Where pictures come from: folders, tars, lists, boxes of COCO, films."""

import json
import tarfile

import numpy as np
import pytest
from made_color import write_film
from made_sets import smooth, write_png
from made_shards import write_shard

from vidcolor.errors import MediaError
from vidcolor.evaluate.sets.data import open_data
from vidcolor.evaluate.sets.shelf import TarShelf
from vidcolor.names import natural


def names(data, **settings):
    return [handle.name for one in open_data([str(d) for d in data], **settings) for handle in one]


def test_folders_are_read_whole_in_natural_order(tmp_path):
    for name in ("b/10.png", "b/9.png", "a.JPEG", "b/c/1.tif", ".hidden/1.png", "b/.1.png"):
        write_png(tmp_path / name, smooth(len(name)))
    (tmp_path / "notes.md").write_text("no picture")
    assert names([tmp_path]) == ["a.JPEG", "b/9.png", "b/10.png", "b/c/1.tif"]
    (found,) = open_data([str(tmp_path)])
    assert found.count == 4
    assert not found.has_boxes
    pictures = {handle.name: handle.read() for handle in found}
    assert np.array_equal(pictures["b/10.png"], smooth(8))


def test_natural_order():
    texts = ["x10", "x9b", "X9a", "x", "1", "x010"]
    assert sorted(texts, key=natural) == ["1", "x", "X9a", "x9b", "x010", "x10"]


def test_tars_of_pictures_are_read_where_they_lie(tmp_path):
    path = tmp_path / "set.tar"
    write_shard(path, {"b/2.png": smooth(2), "b/1.png": smooth(1), "read.me": b"text"})
    (found,) = open_data([str(path)])
    handles = list(found)
    assert [handle.name for handle in handles] == ["b/2.png", "b/1.png"]
    assert np.array_equal(handles[1].read(), smooth(1))
    data = path.read_bytes()
    path.write_bytes(data[:2000])
    with pytest.raises(MediaError, match=r"set.tar: (is cut off|not a readable)"):
        open_data([str(path)])
    with pytest.raises(MediaError, match="holds no pictures"):
        open_data([write_shard(tmp_path / "text.tar", {"a.md": b"x"})])


def test_a_tar_that_breaks_off_within_a_picture_says_so(tmp_path):
    path = tmp_path / "set.tar"
    write_shard(path, {"1.png": smooth(1)})
    with tarfile.open(path) as archive:
        (member,) = archive.getmembers()
    path.write_bytes(path.read_bytes()[: member.offset_data + 100])
    with pytest.raises(MediaError, match=r"set.tar: (is cut off within 1.png|not a readable)"):
        TarShelf(path)


def test_tars_with_notes_give_boxes(tmp_path):
    notes = {"boxes": [[1, 2, 30, 40], [5, 5, 20, 20]], "scores": [0.5, 0.9]}
    path = write_shard(tmp_path / "boxed[1].tar", {"1.png": smooth(1), "1.json": notes,
                                                   "2.png": smooth(2)})  # fmt: skip
    (found,) = open_data([path])
    first, second = found
    assert found.has_boxes
    assert first.boxes.tolist() == [[5, 5, 20, 20], [1, 2, 30, 40]]
    assert second.boxes is None
    assert np.array_equal(second.read(), smooth(2))


def test_patterns_name_several_tars(tmp_path):
    for number in (1, 2):
        write_shard(tmp_path / f"s{number}.tar", {f"{number}.png": smooth(number)})
    assert names([tmp_path / "s*.tar"]) == ["1.png", "2.png"]
    with pytest.raises(MediaError, match="nothing fits"):
        open_data([str(tmp_path / "t*.tar")])
    with pytest.raises(MediaError, match="no such file"):
        open_data([str(tmp_path / "none")])


@pytest.fixture
def imagenet(tmp_path):
    for name in ("val/n01/a_1.JPEG", "val/n01/a_2.JPEG", "val/n02/a_3.JPEG", "other/a_3.JPEG"):
        write_png(tmp_path / "set" / name, smooth(len(name)))
    return tmp_path


def test_a_list_picks_pictures_by_the_end_of_their_names(imagenet):
    path = imagenet / "some.txt"
    path.write_text("# a list\nn02/a_3.JPEG 65\n\na_2\n./val/n01/a_1.JPEG\n")
    expected = ["val/n02/a_3.JPEG", "val/n01/a_2.JPEG", "val/n01/a_1.JPEG"]
    assert names([path], folder=imagenet / "set") == expected
    tar = imagenet / "set.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add(imagenet / "set" / "val", "val")
    assert names([path], folder=tar) == expected


def test_a_list_says_what_fits_nothing_or_too_much(imagenet):
    path = imagenet / "set" / "some.txt"
    path.write_text("a_9\n")
    with pytest.raises(MediaError, match=r"some.txt: no picture fits 'a_9' in .*; see --folder"):
        open_data([str(path)])
    path.write_text("a_3.JPEG\n")
    with pytest.raises(MediaError, match=r"2 of 4 pictures fit 'a_3.JPEG'"):
        open_data([str(path)])
    path.write_text("#\n")
    with pytest.raises(MediaError, match="names no pictures"):
        open_data([str(path)])


@pytest.fixture
def coco(tmp_path):
    """Pictures with boxes; crowds and crumbs among them."""
    for number in range(3):
        write_png(tmp_path / "pictures" / f"{number}.png", smooth(number))
    images = [{"id": i, "file_name": f"pictures/{i}.png"} for i in (2, 0, 1)]
    images[2]["mean_chroma"] = 1.0
    boxes = [
        {"image_id": 0, "bbox": [4, 4, 20, 20]},
        {"image_id": 0, "bbox": [30, 8, 40, 50], "area": 1200.0},
        {"image_id": 0, "bbox": [0, 0, 90, 60], "iscrowd": 1},
        {"image_id": 0, "bbox": [0, 0, 60, 7]},
        {"image_id": 0, "bbox": [0, 0, 60, 60], "area": 200.0},
        {"image_id": 2, "bbox": [0, 0, 60, 60]},
    ]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes}))
    return path


def test_coco_pictures_have_the_boxes_of_objects_of_some_size(coco):
    (found,) = open_data([str(coco)])
    handles = list(found)
    assert [handle.name for handle in handles] == [f"pictures/{i}.png" for i in range(3)]
    assert handles[0].boxes.tolist() == [[30, 8, 70, 58], [4, 4, 24, 24]]
    assert handles[1].boxes.shape == (0, 4)
    assert [handle.chroma for handle in handles] == [None, 1.0, None]
    assert np.array_equal(handles[2].read(), smooth(2))


def test_broken_annotations_are_refused(coco, tmp_path):
    (found,) = open_data([str(coco)], folder=tmp_path / "no")
    with pytest.raises(MediaError, match=r"no/pictures/0.png: .*; see --folder"):
        next(iter(found)).read()
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [{"id": 1}], "annotations": [{"bbox": 3}]}')
    with pytest.raises(MediaError, match=r"broken.json: no COCO annotations"):
        open_data([str(broken)])
    broken.write_text('{"images": [], "annotations": []}')
    with pytest.raises(MediaError, match="lists no pictures"):
        open_data([str(broken)])


def test_films_are_pictures_too(tmp_path):
    frames = [smooth(i, (48, 64)) for i in range(7)]
    path = write_film(tmp_path / "film.mkv", frames)
    (found,) = open_data([str(path)], step=3)
    assert found.count == 3
    taken = [(handle.name, handle.read()) for handle in found]
    assert [name for name, _ in taken] == ["film.mkv#0", "film.mkv#3", "film.mkv#6"]
    assert all(np.array_equal(p, frames[i]) for (_, p), i in zip(taken, (0, 3, 6), strict=True))
    gray = [np.repeat(frame[..., :1], 3, axis=2) for frame in frames]
    with pytest.raises(MediaError, match="is gray"):
        open_data([str(write_film(tmp_path / "gray.mkv", gray))])


def test_a_single_picture(tmp_path):
    path = write_png(tmp_path / "one.png", smooth(1))
    ((handle,),) = open_data([str(path)])
    assert handle.name == "one.png"
    assert np.array_equal(handle.read(), smooth(1))
