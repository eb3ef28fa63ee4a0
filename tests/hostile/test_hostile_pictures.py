"""Broken pictures: read whole or refused in one line, in bounded time and memory."""

import io
import logging
import struct

import cv2
import numpy as np
import pytest
from corpus import (
    bmp,
    damaged,
    encoded,
    places_to_cut,
    png,
    png_chunk,
    resized_jpeg,
    tiff,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from media_lab import faults, shared_lab
from PIL import Image

from vidcolor.errors import MediaError
from vidcolor.io.image import read_image
from vidcolor.io.planes import BT709, luma_of_rgb
from vidcolor.io.still import read_still

STEPS = ("picture", "color")


def level():
    return (np.add.outer(np.arange(40), np.arange(56)) * 2 % 256).astype(np.uint8)


def colors():
    return np.dstack((level(), level()[::-1], level()[:, ::-1]))


def by_pillow(picture, kind, **settings):
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def sound():
    """Whole pictures by name; the name is what makes it taken for one."""
    plain, other = Image.fromarray(colors()), Image.fromarray(255 - colors())
    many = {"save_all": True, "append_images": [other]}
    return {
        "gray.png": encoded(".png", level()),
        "color.png": encoded(".png", colors()),
        "deep.png": encoded(".png", level().astype(np.uint16) * 257),
        "palette.png": by_pillow(plain.quantize(16), "PNG"),
        "many.png": by_pillow(plain, "PNG", **many),
        "color.jpg": encoded(".jpg", colors()),
        "progressive.jpg": by_pillow(plain, "JPEG", progressive=True),
        "cmyk.jpg": by_pillow(plain.convert("CMYK"), "JPEG"),
        "color.tif": encoded(".tif", colors()),
        "deep.tif": encoded(".tif", level().astype(np.uint16) * 257),
        "cmyk.tif": by_pillow(plain.convert("CMYK"), "TIFF"),
        "alpha.tif": by_pillow(Image.fromarray(level()).convert("LA"), "TIFF"),
        "lzw.tif": by_pillow(plain, "TIFF", compression="tiff_lzw"),
        "bmp.png": encoded(".bmp", colors()),
        "webp.png": encoded(".webp", colors()),
        "gif.png": by_pillow(Image.fromarray(level()), "GIF"),
    }


SOUND = sound()


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def ask(path, *steps):
    told = shared_lab().ask(path, *(steps or STEPS))
    assert faults(path, told) == []
    return told


@pytest.mark.parametrize("name", sorted(SOUND))
def test_sound_pictures_are_read_and_colored(tmp_path, name):
    told = ask(put(tmp_path, name, SOUND[name]))
    assert told["picture"]["size"] == [40, 56]
    assert told["color"]["done"] == 1
    assert told["color"]["beside"] == []


def test_cmyk_is_read_as_others_read_it(tmp_path):
    for name in ("cmyk.jpg", "cmyk.tif"):
        frame, _ = read_image(put(tmp_path, name, SOUND[name]))
        rgb = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        wanted = cv2.transform(rgb.astype(np.float32), BT709)
        assert np.abs(frame.luma[0, 0].numpy() - wanted).mean() < 3


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_picture_cut_off_anywhere_is_an_error(tmp_path, name):
    data = SOUND[name]
    for place in sorted(set(places_to_cut(data, 12))):
        if 0 < place < len(data):
            path = put(tmp_path, f"cut{name}", data[:place])
            told = ask(path, "picture")
            assert "error" in told["picture"], place


@pytest.mark.parametrize("name", sorted(SOUND))
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10_000))
def test_damage_of_any_kind(tmp_path_factory, name, seed):
    data, _ = damaged(SOUND[name], seed)
    told = ask(put(tmp_path_factory.getbasetemp(), f"damaged-{name}", data), "picture")
    if data != SOUND[name] and SOUND[name].startswith(b"\x89PNG"):  # which has checksums
        assert "error" in told["picture"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("large.png", png(60000, 60000)),
        ("largest.png", png(2**31 - 1, 2**31 - 1)),
        ("large.tif", tiff(60000, 60000)),
        ("large.jpg", resized_jpeg(SOUND["color.jpg"], 65500, 65500)),
        ("bmp.png", bmp(60000, 60000)),
        ("down.png", bmp(-(2**31), 5)),
    ],
)
def test_bombs_are_told_before_anything_is_allocated(tmp_path, name, data):
    told = ask(put(tmp_path, name, data))
    assert "at most 268 million are read" in told["picture"]["error"]["text"]
    assert told["grown_mb"] < 100


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gray.png", png(16000, 16000)),
        ("deep.png", png(16000, 16000, color=6, bits=16)),
        ("gray.tif", tiff(16000, 16000)),
        ("bmp.png", bmp(16000, 16000)),
        ("none.png", png(0, 5)),
        ("samples.tif", tiff(64, 64, samples=65535)),
        ("bits.tif", tiff(64, 64, bits=65535)),
        ("mark.png", b"\x89PNG\r\n\x1a\n"),
        ("parts.jpg", b"\xff\xd8\xff\xe1\0\0" * 50),
        ("other.png", b"P5 60000 60000 255\n"),
        ("text.png", b"hello"),
        ("empty.png", b""),
    ],
)
def test_headers_that_promise_more_than_there_is(tmp_path, name, data):
    told = ask(put(tmp_path, name, data))
    assert "error" in told["picture"]
    assert told["grown_mb"] < 100


def test_a_jpeg_too_short_for_its_size_is_cut_off(tmp_path):
    """Decoders fill what is missing with gray."""
    path = put(tmp_path, "short.jpg", resized_jpeg(SOUND["color.jpg"], 8000, 8000))
    with pytest.raises(MediaError, match="is cut off"):
        read_image(path)


def test_a_flat_jpeg_is_not_too_short(tmp_path):
    flat = np.full((2048, 2048), 128, np.uint8)
    data = by_pillow(Image.fromarray(flat), "JPEG", progressive=True, optimize=True, quality=10)
    frame, _ = read_image(put(tmp_path, "flat.jpg", data))
    assert (frame.luma == 128).all()


@pytest.mark.parametrize("name", ["many.png", "many.tif", "many.webp.png"])
def test_of_several_pictures_the_first_is_taken_and_said(tmp_path, caplog, name):
    first, second = Image.fromarray(colors()), Image.fromarray(255 - colors())
    kind = "WEBP" if "webp" in name else "TIFF" if name.endswith("tif") else "PNG"
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = by_pillow(first, kind, save_all=True, append_images=[second], **lossless)
    with caplog.at_level(logging.WARNING):
        still = read_still(put(tmp_path, name, data))
    assert (still.pixels == colors()).all()
    assert "holds several pictures; the first is taken" in caplog.text


def test_a_single_picture_is_not_called_several(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        for name in ("color.png", "color.tif", "webp.png", "color.jpg"):
            read_still(put(tmp_path, name, SOUND[name]))
    assert not caplog.records


def exif(entries):
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(struct.pack("<HHII", *entry) for entry in entries)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"XX*\0\x08\0\0\0",
        exif([(0x0112, 3, 1, 99)]),
        exif([(0x0112, 3, 2**32 - 1, 3)])[:-4],
        exif([(0x0112, 2, 1, 0)] * 400),
        b"II*\0" + struct.pack("<IH", 8, 65535),
    ],
)
def test_orientation_that_makes_no_sense_is_none(tmp_path, block):
    plain = SOUND["gray.png"]
    data = plain[:33] + png_chunk(b"eXIf", block) + plain[33:]
    frame, _ = read_image(put(tmp_path, "exif.png", data))
    assert (frame.luma[0, 0].numpy() == level()).all()


def test_a_tag_of_millions_of_values_is_not_unpacked(tmp_path):
    """The values lie in the file, so they could be."""
    count = 3_000_000
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, count, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, 8), (274, 3, count, 8), (277, 3, 1, 4), (278, 4, 1, 8), (279, 4, 1, 64),
            (338, 3, count, 8)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    body = bytes(2 * count)
    data = b"II*\0" + struct.pack("<I", 8 + len(body)) + body
    data += struct.pack("<H", len(tags)) + entries + bytes(4)
    told = ask(put(tmp_path, "tags.tif", data))
    assert told["grown_mb"] < 100


def test_luma_of_a_large_picture_is_that_of_its_parts():
    draw = np.random.default_rng(1).integers(0, 256, (1100, 37, 3), dtype=np.uint8)
    wanted = np.rint(draw.astype(np.float64) @ BT709[0].astype(np.float64))
    found = luma_of_rgb(draw, 8)
    assert found.dtype == np.uint8
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 1e-3
