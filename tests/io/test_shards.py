import gzip
import pickle
import tarfile

import cv2
import numpy as np
import pytest
from made_shards import flat, png, texture, write_shard

from vidcolor.errors import MediaError
from vidcolor.io.shards import Pictures

NOTES = {
    "source": "film.mkv", "pts": 12, "time": 0.5, "shot": 3, "hash": "00ff00ff00ff00ff",
    "width": 64, "height": 48, "boxes": [[1, 2, 30, 40], [4, 5, 20.5, 30], [0, 0, 9, 9]],
    "scores": [0.4, 0.9, 0.7], "labels": ["person", "dog", "cup"],
}  # fmt: skip


def _open(tmp_path, members):
    return Pictures((write_shard(tmp_path / "a.tar", members),))


def test_pictures_come_with_their_notes_and_later_frames(tmp_path):
    first, later, second = texture(1), texture(2), texture(3)
    pictures = _open(
        tmp_path,
        {"x/0.png": first, "x/0.json": NOTES, "x/0.next.png": later, "x/1.png": second},
    )
    assert pictures.names == ["x/0.png", "x/1.png"]
    assert len(pictures) == 2
    np.testing.assert_array_equal(pictures.rgb(0), first)
    np.testing.assert_array_equal(pictures.rgb(1), second)
    np.testing.assert_array_equal(pictures.later(0), later)
    assert (pictures.has_later(0), pictures.has_later(1)) == (True, False)
    assert pictures.later(1) is None
    notes = pictures.notes(0)
    assert (notes.source, notes.shot, notes.time) == ("film.mkv", 3, 0.5)
    assert (notes.hash, notes.size) == ("00ff00ff00ff00ff", (48, 64))
    assert pictures.notes(1) is None


def test_boxes_come_best_first(tmp_path):
    pictures = _open(tmp_path, {"0.png": texture(1), "0.json": NOTES})
    assert pictures.boxes(0).tolist() == [[4, 5, 20.5, 30], [0, 0, 9, 9], [1, 2, 30, 40]]
    assert pictures.boxes(0).dtype == np.float32
    assert pictures.notes(0).labels == ("dog", "cup", "person")
    np.testing.assert_allclose(pictures.scores(0), [0.9, 0.7, 0.4])
    assert pictures.boxes(0, 0.7).tolist() == [[4, 5, 20.5, 30], [0, 0, 9, 9]]
    np.testing.assert_allclose(pictures.scores(0, 0.8), [0.9])


def test_nobody_looked_is_not_nothing_found(tmp_path):
    pictures = _open(
        tmp_path,
        {
            "0.png": texture(1), "1.png": texture(1), "1.json": {"source": "a", "boxes": None},
            "2.png": texture(1), "2.json": {"boxes": []},
            "3.png": texture(1), "3.json": {"boxes": [[0, 0, 9, 9]]},
        },
    )  # fmt: skip
    assert pictures.boxes(0) is pictures.boxes(1) is pictures.scores(1) is None
    assert pictures.boxes(2).shape == (0, 4)
    assert pictures.scores(3).tolist() == [1]
    assert pictures.notes(3).labels == ("object",)


def test_order_in_the_tar_does_not_matter_and_strangers_are_ignored(tmp_path):
    pictures = _open(
        tmp_path,
        {
            "b.next.png": texture(2), "b.json": NOTES, "readme.txt": b"hello",
            "meta.json": b"not json at all", "._b.png": b"of a Mac", "b.png": texture(1),
            "my.photo.PNG": texture(3),
        },
    )  # fmt: skip
    assert pictures.names == ["b.png", "my.photo.PNG"]
    assert len(pictures.boxes(0)) == 3
    np.testing.assert_array_equal(pictures.later(0), texture(2))
    np.testing.assert_array_equal(pictures.rgb(1), texture(3))


def test_jpeg_and_gray_pictures_and_packed_tars(tmp_path):
    jpeg = cv2.imencode(".jpg", flat((20, 20, 20)))[1].tobytes()
    gray = cv2.imencode(".png", np.full((8, 9), 77, np.uint8))[1].tobytes()
    plain = tmp_path / "a.tar"
    write_shard(plain, {"0.jpeg": jpeg, "1.png": gray})
    packed = tmp_path / "b.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for pictures in (Pictures((str(plain),)), Pictures((str(packed),))):
        assert np.abs(pictures.rgb(0).astype(int) - 20).max() <= 2
        assert (pictures.rgb(1) == 77).all()
        assert pictures.rgb(1).shape == (8, 9, 3)


def test_patterns_take_several_shards_in_order(tmp_path):
    for name, value in (("s-1.tar", 50), ("s-0.tar", 10)):
        write_shard(tmp_path / name, {f"{value}.png": flat((value,) * 3)})
    pictures = Pictures((str(tmp_path / "s-*.tar"),))
    assert [int(pictures.rgb(n)[0, 0, 0]) for n in range(2)] == [10, 50]
    assert pictures.where(1).endswith("s-1.tar: 50.png")


def test_another_process_gets_the_same(tmp_path):
    pictures = _open(tmp_path, {"0.png": texture(1), "0.json": NOTES, "1.png": texture(2)})
    copy = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(copy.rgb(1), texture(2))
    assert copy.boxes(0).tolist() == pictures.boxes(0).tolist()


def test_missing_and_unreadable_shards_are_named(tmp_path):
    with pytest.raises(MediaError, match="no such shard"):
        Pictures((str(tmp_path / "none-*.tar"),))
    (tmp_path / "bad.tar").write_bytes(b"nonsense" * 100)
    with pytest.raises(MediaError, match=r"bad\.tar: not a readable tar"):
        Pictures((str(tmp_path / "bad.tar"),))
    path = write_shard(tmp_path / "empty.tar", {"a.txt": b"x"})
    with pytest.raises(MediaError, match=r"empty\.tar: hold no picture"):
        Pictures((path,))


@pytest.mark.parametrize("where", ["in a member", "between members", "in a header", "garbage"])
def test_shards_that_are_cut_off_are_not_taken_for_short_ones(tmp_path, where):
    path = tmp_path / "cut.tar"
    write_shard(path, {f"{n}.png": texture(n) for n in range(3)})
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    end = {"in a member": last.offset_data + 9, "between members": last.offset}.get(
        where, last.offset + 100
    )
    data = path.read_bytes()[:end] + (b"?" * 5000 if where == "garbage" else b"")
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"cut\.tar: not a readable tar file"):
        Pictures((str(path),))


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (b'{"boxes": [', "Expecting value"),
        (b"\xff\xfe", "utf-8"),
        (b"[1, 2]", "is not an object"),
        ({"boxes": [[1, 2, 3]]}, "not a list of 4 numbers each"),
        ({"boxes": [[1, 2, 3, 4], [1]]}, "boxes are not numbers"),
        ({"boxes": "many"}, "boxes are not numbers"),
        ({"boxes": [[0, 0, 1, float("nan")]]}, "boxes are not a list"),
        ({"boxes": [[0, 0, 1, 1]], "scores": [1, 2]}, "1 boxes, 2 scores, 1 labels"),
        ({"boxes": [[0, 0, 1, 1]], "labels": ["a", "b"]}, "1 boxes, 1 scores, 2 labels"),
        ({"boxes": [[0, 0, 1, 1]], "labels": "a"}, "labels is 'a'"),
        ({"shot": "first"}, "shot is 'first'"),
        ({"width": 3.5, "height": 2}, "width is 3.5"),
        ({"source": 7}, "source is 7"),
    ],
)
def test_broken_notes_name_their_member(tmp_path, notes, message):
    with pytest.raises(MediaError, match=rf"a\.tar: k/0\.json: broken notes.*{message}"):
        _open(tmp_path, {"k/0.png": texture(1), "k/0.json": notes})


def test_a_later_frame_needs_its_picture(tmp_path):
    with pytest.raises(MediaError, match=r"a\.tar: k/0\.next has no picture k/0"):
        _open(tmp_path, {"k/0.next.png": texture(1), "k/1.png": texture(1)})


def test_pictures_that_cannot_be_decoded_are_named(tmp_path):
    pictures = _open(
        tmp_path,
        {
            "0.png": png(texture(1))[:40], "1.png": b"", "2.png": texture(1),
            "2.next.png": b"nothing", "3.png": texture(1, (20, 20)), "3.json": NOTES,
        },
    )  # fmt: skip
    for number in (0, 1):
        with pytest.raises(MediaError, match=rf"a\.tar: {number}\.png: not a readable picture"):
            pictures.rgb(number)
    with pytest.raises(MediaError, match=r"2\.png \(later frame\): not a readable picture"):
        pictures.later(2)
    with pytest.raises(MediaError, match=r"3\.png: is 20x20, its boxes are for 64x48"):
        pictures.rgb(3)
