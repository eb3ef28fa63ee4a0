"""Stills: pixels that are not repaired are the source's codes, in every channel."""

import logging
import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from vidcolor.errors import MediaError
from vidcolor.io import color_profile
from vidcolor.io.image import read_image
from vidcolor.io.still import read_still, write_still

SIZE = (13, 17)
PLACE = (slice(3, 6), slice(4, 9))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(channels: int, bits: int) -> np.ndarray:
    """Random codes, with white at one place that is repaired."""
    codes = np.random.default_rng(channels).integers(0, 1 << bits, (*SIZE, channels))
    codes = codes * 9 // 10  # so that Y' can rise by 7 everywhere
    codes[4, 5, : channels - (channels in (2, 4))] = (1 << bits) - 1  # but here
    return codes.astype(np.uint8 if bits == 8 else np.uint16).squeeze()


def save(path, codes: np.ndarray, **more):
    """By Pillow or tifffile; gray, gray with alpha, RGB, RGBA."""
    channels = 1 if codes.ndim == 2 else codes.shape[2]
    if path.suffix == ".tiff":
        photometric = "minisblack" if channels < 3 else "rgb"
        extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        tifffile.imwrite(path, codes, photometric=photometric, **extra, **more)
    elif codes.dtype == np.uint8:
        Image.fromarray(codes).save(path, **more)
    else:
        path.write_bytes(png(codes))
    return path


def png(codes: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by its specification: Pillow writes no deep colors."""
    channels = 1 if codes.ndim == 2 else codes.shape[2]
    bits, kind = codes.dtype.itemsize * 8, {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = codes.astype(codes.dtype.newbyteorder(">")).reshape(codes.shape[0], -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", codes.shape[1], codes.shape[0], bits, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def png_codes(path) -> np.ndarray:
    """Codes of a PNG of the color type that belongs to them."""
    kind = path.read_bytes()[25]
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    order = {0: ..., 2: [2, 1, 0], 4: [0, 3], 6: [2, 1, 0, 3]}[kind]
    assert codes.ndim == (2 if kind == 0 else 3)
    return codes if kind == 0 else codes[..., order]


def codes_in(path) -> np.ndarray:
    if path.suffix == ".png":
        return png_codes(path)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        channels = page.samplesperpixel
        assert page.extrasamples == ((2,) if channels in (2, 4) else ())
        if channels in (2, 4):
            return page.asarray()
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # LZW, which tifffile does not have
    return codes if channels == 1 else codes[..., ::-1]


@pytest.mark.parametrize("extension", ["png", "tiff"])
@pytest.mark.parametrize("source", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_codes_stay_outside_the_hole(tmp_path, channels, bits, source, extension) -> None:
    codes = pixels(channels, bits)
    still = read_still(save(tmp_path / f"a.{source}", codes))
    assert still.bits == bits
    frame = still.frame()
    luma = frame.luma[0, 0].numpy().copy()
    luma[PLACE] = np.minimum(luma[PLACE].astype(np.int32) + 7, (1 << bits) - 1)
    output = tmp_path / f"b.{extension}"
    write_still(output, still, luma)
    found = codes_in(output)
    assert found.dtype == codes.dtype
    assert found.shape == codes.shape
    same = np.ones(SIZE, np.bool_)
    same[PLACE] = False
    np.testing.assert_array_equal(found[same], codes[same])
    alone = codes if channels in (1, 3) else codes[..., :-1]
    new = found if channels in (1, 3) else found[..., :-1]
    if channels in (2, 4):
        np.testing.assert_array_equal(found[..., -1], codes[..., -1])
    if channels < 3:
        np.testing.assert_array_equal(new.reshape(SIZE), luma)
    else:
        expected = np.minimum(alone.astype(np.int64)[PLACE] + 7, (1 << bits) - 1)
        expected[1, 1] = (1 << bits) - 1
        np.testing.assert_array_equal(new[PLACE], expected)


def test_color_gets_the_difference_on_all_channels(tmp_path) -> None:
    codes = np.full((*SIZE, 3), (100, 50, 250), np.uint8)
    still = read_still(save(tmp_path / "a.png", codes))
    luma = still.frame().luma[0, 0].numpy().copy()
    assert luma[0, 0] == round(0.2126 * 100 + 0.7152 * 50 + 0.0722 * 250)
    luma[PLACE] += np.uint8(20)
    luma[0, 0] -= np.uint8(60)
    found = still.with_luma(luma)
    assert found[3, 4].tolist() == [120, 70, 255]
    assert found[0, 0].tolist() == [40, 0, 190]
    assert found[0, 1].tolist() == [100, 50, 250]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_nothing_repaired_is_the_source(tmp_path, channels) -> None:
    codes = pixels(channels, 16)
    still = read_still(save(tmp_path / "a.png", codes))
    write_still(tmp_path / "b.png", still)
    np.testing.assert_array_equal(codes_in(tmp_path / "b.png"), codes)
    write_still(tmp_path / "c.png", still, still.frame().luma[0, 0].numpy())
    np.testing.assert_array_equal(codes_in(tmp_path / "c.png"), codes)


def test_palette_and_one_bit(tmp_path) -> None:
    rgb = pixels(3, 8)
    palette = Image.fromarray(rgb).quantize(5)
    palette.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_still(tmp_path / "a.png").pixels, np.asarray(palette.convert("RGB"))
    )
    Image.fromarray(rgb[..., 0] > 100).save(tmp_path / "b.png")
    expected = (rgb[..., 0] > 100) * np.uint8(255)
    np.testing.assert_array_equal(read_still(tmp_path / "b.png").pixels, expected)


def test_jpeg_keeps_gray_gray_and_says_that_it_is_lossy(tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO, "vidcolor")
    smooth = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    still = read_still(save(tmp_path / "a.png", np.dstack([smooth, smooth])))
    write_still(tmp_path / "b.jpg", still)
    found = np.asarray(Image.open(tmp_path / "b.jpg"))
    assert found.shape == (48, 64)
    assert np.abs(found - smooth / 257.0).max() < 3
    (line,) = [r.getMessage() for r in caplog.records]
    assert "lossy" in line
    assert "8 bits" in line
    assert "no transparency" in line
    caplog.clear()
    write_still(tmp_path / "c.png", still)
    assert not caplog.records


def test_jpeg_in_png_out_is_what_was_decoded(tmp_path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels(3, 8)).save(path, quality=80)
    still = read_still(path)
    write_still(tmp_path / "b.png", still)
    np.testing.assert_array_equal(
        codes_in(tmp_path / "b.png"), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
    )


@pytest.mark.parametrize("name", ["a.tiff", "a.png"])
def test_gray_with_alpha_is_not_noise_for_others_either(tmp_path, name) -> None:
    codes = pixels(2, 8)
    frame, info = read_image(save(tmp_path / name, codes))
    np.testing.assert_array_equal(frame.luma[0, 0], codes[..., 0])
    np.testing.assert_array_equal(info.alpha, codes[..., 1])


@pytest.mark.parametrize("more", [{"tile": (16, 16)}, {"planarconfig": "separate"}])
def test_transparent_tiff_that_cannot_be_read_is_said(tmp_path, more) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (32, 48, 4), np.uint8)
    path = tmp_path / "a.tiff"
    given = np.moveaxis(codes, 2, 0) if "planarconfig" in more else codes
    tifffile.imwrite(path, given, photometric="rgb", extrasamples=["unassalpha"], **more)
    with pytest.raises(MediaError, match="save it as PNG"):
        read_still(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_with_alpha_is_turned(tmp_path, orientation) -> None:
    codes = pixels(4, 8)
    tag = [(274, "H", 1, orientation, True)]
    path = save(tmp_path / "a.tiff", codes, extratags=tag)
    opaque = tmp_path / "b.tiff"
    tifffile.imwrite(opaque, codes[..., :3], photometric="rgb", extratags=tag)
    found, expected = read_still(path), read_still(opaque)  # which OpenCV turns
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    turned = found.alpha.shape == SIZE
    assert turned is (orientation < 5)


# -- what codes look like ------------------------------------------------------------------------


def profile_of(path) -> bytes | None:
    """By Pillow."""
    return Image.open(path).info.get("icc_profile")


def test_a_profile_that_unpacks_without_end_is_none(monkeypatch) -> None:
    def png(profile):
        packed = b"name\0\0" + zlib.compress(profile)
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(packed)) + b"iCCP" + packed + b"crc."

    monkeypatch.setattr(color_profile, "_MOST_BYTES", 1000)
    assert color_profile.color_profile(png(bytes(1000))) == bytes(1000)
    assert color_profile.color_profile(png(bytes(1001))) is None


@pytest.mark.parametrize("output", ["b.png", "b.jpg", "b.tiff"])
@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.tiff"])
@pytest.mark.parametrize("profile", [PROFILE, bytes(range(256)) * 600])
def test_profile_goes_along(tmp_path, source, output, profile) -> None:
    Image.fromarray(pixels(3, 8)).save(tmp_path / source, icc_profile=profile)
    assert profile_of(tmp_path / source) == profile
    write_still(tmp_path / output, read_still(tmp_path / source))
    assert profile_of(tmp_path / output) == profile
    with Image.open(tmp_path / output) as picture:
        picture.load()
        assert picture.size == (17, 13)


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.tiff"])
def test_none_is_made_up(tmp_path, name) -> None:
    write_still(tmp_path / name, read_still(save(tmp_path / "a.png", pixels(3, 8))))
    assert profile_of(tmp_path / name) is None


def test_color_chunks_of_a_png_stay(tmp_path) -> None:
    chunks = [(b"gAMA", struct.pack(">I", 55555)), (b"pHYs", struct.pack(">IIB", 300, 301, 1))]
    codes = pixels(1, 16)
    (tmp_path / "a.png").write_bytes(png(codes, *chunks))
    write_still(tmp_path / "b.png", read_still(tmp_path / "a.png"))
    data = (tmp_path / "b.png").read_bytes()
    assert all(name + body in data for name, body in chunks)
    np.testing.assert_array_equal(codes_in(tmp_path / "b.png"), codes)
    with Image.open(BytesIO(data)) as picture:
        assert picture.info["gamma"] == pytest.approx(0.55555)


# -- files ---------------------------------------------------------------------------------------


def test_the_input_is_not_replaced(tmp_path) -> None:
    path = save(tmp_path / "a.png", pixels(3, 8))
    before = path.read_bytes()
    still = read_still(path)
    with pytest.raises(MediaError, match="is the input itself"):
        write_still(path, still, overwrite=True)
    write_still(tmp_path / "b.png", still)
    with pytest.raises(MediaError, match="use --overwrite"):
        write_still(tmp_path / "b.png", still)
    with pytest.raises(MediaError, match=r"has the extension '\.bmp'"):
        write_still(tmp_path / "b.bmp", still)
    with pytest.raises(ValueError, match=r"luma is \(2, 2\)"):
        write_still(tmp_path / "c.png", still, np.zeros((2, 2), np.uint8))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_bad_pictures(tmp_path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        read_still(tmp_path / "a.png")
    save(tmp_path / "b.png", pixels(3, 8))
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="is cut off"):
        read_still(tmp_path / "b.png")
    save(tmp_path / "c.tiff", pixels(2, 8))
    data = (tmp_path / "c.tiff").read_bytes()
    (tmp_path / "c.tiff").write_bytes(data[:-150])
    with pytest.raises(MediaError):
        read_still(tmp_path / "c.tiff")
