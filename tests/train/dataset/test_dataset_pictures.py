import json
import logging
import tarfile

import numpy as np
import pytest
from made_films import (
    album,
    build,
    letterboxed,
    near_to,
    png,
    resized,
    scene,
    shot,
    write_film,
    write_picture,
    write_tar,
)
from media import cut_off

from vidcolor.errors import GuidanceError
from vidcolor.io.shards import Pictures


def test_a_folder_each_picture_a_shot_of_its_own(tmp_path):
    write_picture(tmp_path / "in/more/x.png", scene(70, (60, 90)))
    album(tmp_path / "in")
    (tmp_path / "in/.hidden.png").write_bytes(b"no picture")
    (tmp_path / "in/notes.txt").write_text("no picture")
    report, pictures = build([tmp_path / "in"], tmp_path / "set")
    assert [(one.name, one.frames) for one in report.sources] == [("in", 6), ("in/more", 1)]
    assert sorted(p["file"] for p in pictures.values()) == [
        *(f"p{i}.png" for i in range(6)),
        "x.png",
    ]
    assert len({(p["source"], p["shot"]) for p in pictures.values()}) == 7
    for picture in pictures.values():
        seed = 70 if picture["file"] == "x.png" else int(picture["file"][1])
        assert near_to(picture["rgb"], scene(seed, (60, 90)))  # smaller than short_side: as it was
        assert (picture["pts"], picture["time"]) == (0, 0.0)


def test_repeats_are_dropped_across_sources(tmp_path):
    film = write_film(tmp_path / "a.mkv", [*shot(1), *shot(2)])
    copy = resized(scene(1), (60, 80))
    write_picture(tmp_path / "in/copy.jpg", copy)
    write_picture(tmp_path / "in/new.jpg", scene(9))
    report, pictures = build([film, tmp_path / "in"], tmp_path / "set", per_shot=32)
    assert [p["file"] for p in pictures.values() if "file" in p] == ["new.jpg"]
    assert report.sources[1].dropped["duplicate"] == 1


def test_single_pictures_and_bars_of_stills(tmp_path):
    (boxed,) = letterboxed([scene(1, (60, 100))], 20, 20)
    paths = [
        write_picture(tmp_path / "in/b.png", boxed),
        write_picture(tmp_path / "in/a.png", scene(2, (30, 100))),
        write_picture(tmp_path / "in/c.png", scene(3, (60, 100))),
    ]
    report, pictures = build(paths, tmp_path / "set")
    assert [(one.name, one.looked) for one in report.sources] == [("in", 3)]
    assert report.sources[0].dropped["small"] == 1
    found = {p["file"]: p["rgb"] for p in pictures.values()}
    assert set(found) == {"b.png", "c.png"}
    assert found["b.png"].shape == (58, 100, 3)
    assert near_to(found["b.png"], scene(1, (60, 100))[1:-1])


def test_boxes_of_coco(tmp_path, caplog):
    album(tmp_path / "in", range(4), size=(128, 192))
    data = {
        "images": [
            {"id": 7, "file_name": "in/p0.png", "width": 192, "height": 128},
            {"id": 8, "file_name": "p1.png", "width": 384, "height": 256},
            {"id": 9, "file_name": "elsewhere/p2.png", "width": 192, "height": 128},
            {"id": 10, "file_name": "p3.png", "width": 128, "height": 192},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 20, 100, 60], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4]},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 1},
            {"id": 4, "image_id": 9, "category_id": 1, "bbox": [0, 0, 50, 50]},
            {"id": 5, "image_id": 10, "category_id": 1, "bbox": [0, 0, 50, 50]},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(data))
    with caplog.at_level(logging.WARNING):
        _, pictures = build([tmp_path / "in"], tmp_path / "set", coco=[str(path)])
    found = {p["file"]: p for p in pictures.values()}
    assert found["p0.png"]["boxes"] == [[5.0, 10.0, 55.0, 40.0]]
    assert found["p0.png"]["labels"] == ["dog"]
    assert found["p0.png"]["scores"] == [1.0]
    assert found["p1.png"]["boxes"] == []  # known, and nothing in it
    assert "boxes" not in found["p2.png"]  # of another folder
    assert "boxes" not in found["p3.png"]
    assert "p3.png is 192x128, the COCO file says 128x192" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is no JSON"),
        ('{"images": []}', r"is no COCO file of boxes \(KeyError: 'categories'\)"),
        ('{"images": [], "annotations": [], "categories": []}', None),
        (
            '{"images": [{"id": 1, "file_name": "z.png", "width": 9, "height": 9}],'
            '"annotations": [], "categories": []}',
            "none of the pictures is in the COCO files",
        ),
    ],
)
def test_wrong_coco_files_are_named(tmp_path, text, message):
    album(tmp_path / "in", range(2))
    path = tmp_path / "coco.json"
    path.write_text(text)
    if message is None:
        build([tmp_path / "in"], tmp_path / "set", coco=[str(path)])
        return
    with pytest.raises(GuidanceError, match=message):
        build([tmp_path / "in"], tmp_path / "set", coco=[str(path)])


def test_unreadable_pictures_are_left_out_and_named(tmp_path, caplog):
    album(tmp_path / "in", range(3))
    cut_off(tmp_path / "in/p1.png")
    with caplog.at_level(logging.WARNING):
        report, pictures = build([tmp_path / "in"], tmp_path / "set")
    assert report.sources[0].dropped["unreadable"] == 1
    assert {p["file"] for p in pictures.values()} == {"p0.png", "p2.png"}
    assert "p1.png: is cut off; left out" in caplog.text


def test_foreign_shards_are_taken(tmp_path):
    tar = write_tar(
        tmp_path / "old.tar",
        {f"x/{i}.png": png(scene(i, (60, 80))) for i in range(4)} | {"index.csv": b"a,b"},
    )
    report, pictures = build([tar], tmp_path / "set")
    assert (report.sources[0].name, report.sources[0].kind) == ("old", "shard")
    assert sorted(p["file"] for p in pictures.values()) == [f"x/{i}.png" for i in range(4)]


def test_our_own_shards_keep_what_they_say(tmp_path):
    frames = [*shot(1), *shot(2), *shot(3)]
    film = write_film(tmp_path / "a.mkv", frames)
    boxes = tmp_path / "boxes.jsonl"
    rows = [{"frame": n, "boxes": [[10, 10, 60, 60]]} for n in range(30)]
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"pairs": True, "format": "png"}
    _, first = build([film], tmp_path / "one", detector=f"boxes:{boxes}", **options)
    _, second = build(sorted((tmp_path / "one").glob("*.tar")), tmp_path / "two", **options,
                      short_side=32)  # fmt: skip
    assert len(second) == len(first)
    known = {(p["shot"], p["pts"]): p for p in first.values()}
    for picture in second.values():
        old = known.pop((picture["shot"], picture["pts"]))
        assert (picture["source"], picture["time"]) == ("a", old["time"])
        assert "file" not in picture
        smaller = np.array(old["boxes"]) * (42 / 85, 0.5, 42 / 85, 0.5)
        np.testing.assert_allclose(picture["boxes"], smaller, atol=0.05)
        assert ("later" in picture) == ("later" in old)
        assert picture["rgb"].shape == (32, 42, 3)
    sides = {(p["shot"], p["split"]) for p in second.values()}
    assert len(sides) == 3


def test_what_training_reads(tmp_path):
    film = write_film(tmp_path / "a.mkv", [*shot(1), *shot(2)])
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text('{"frame": 0, "boxes": [[9, 9, 63, 54]], "labels": ["cat"]}\n')
    _, pictures = build([film], tmp_path / "set", detector=f"boxes:{boxes}", pairs=True)
    for split in ("train", "val"):
        read = Pictures((str(tmp_path / f"set/{split}-*.tar"),))
        assert len(read) == sum(p["split"] == split for p in pictures.values())
        for number in range(len(read)):
            picture = pictures[read.names[number].removesuffix(".jpg")]
            np.testing.assert_array_equal(read.rgb(number), picture["rgb"])
            assert read.has_later(number) == ("later" in picture)
            np.testing.assert_allclose(
                read.boxes(number), np.reshape(picture["boxes"], (-1, 4)), atol=1e-4
            )


def test_shards_are_plain_and_of_the_wanted_size(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        noise = rng.integers(0, 256, (380, 400, 3), dtype=np.uint8)
        noise[:190, :200, number % 3] = 85 * (number // 3)
        write_picture(tmp_path / f"in/{number}.png", noise)
    report, _ = build(
        [tmp_path / "in"], tmp_path / "set", format="png", short_side=380, shard_mb=1, val=0.0,
        same_bits=0,
    )  # fmt: skip
    assert report.shards == tuple(f"train-00000{n}.tar" for n in range(2))
    lines = [json.loads(line) for line in (tmp_path / "set/manifest.jsonl").open()]
    assert len(lines) == 6
    for name in report.shards:
        with tarfile.open(tmp_path / "set" / name) as archive:
            members = archive.getmembers()
        assert len(members) == 6
        for picture, notes in zip(members[::2], members[1::2], strict=True):
            key = picture.name.removesuffix(".png")
            assert notes.name == f"{key}.json"
            assert "." not in key
            assert (picture.mtime, picture.uid, picture.gid, picture.uname) == (0, 0, 0, "")
            assert next(line["shard"] for line in lines if line["key"] == key) == name


def test_jpeg_keeps_full_chroma(tmp_path):
    rgb = scene(1, (64, 96))
    rgb[:, ::2] = rgb[:, ::2] // 2  # columns in turn, which half the chroma would blur
    rgb[:, ::2, 0] = 255 - rgb[:, ::2, 0]
    write_picture(tmp_path / "in/a.png", rgb)
    _, pictures = build([tmp_path / "in"], tmp_path / "set", val=0.0)
    (picture,) = pictures.values()
    assert near_to(picture["rgb"], rgb, 3.0)
