import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import cut_off, picture

from vidcolor.errors import MediaError
from vidcolor.io.image import is_image, list_images, read_image, write_image
from vidcolor.records import ColorSpec

SIZE = (20, 31)
GRAY = picture(0, SIZE, full=True)
RGB = np.stack((GRAY, GRAY[::-1], GRAY[:, ::-1]), 2)


def save(path: Path, pixels: np.ndarray) -> Path:
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(
            pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        )
    assert cv2.imwrite(str(path), pixels)
    return path


def deep(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) * 250 + 17


def exif(orientation: int) -> bytes:
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def oriented(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    """A picture with a note that it is to be turned."""
    data = save(path, pixels).read_bytes()
    block = exif(orientation)
    if path.suffix == ".jpg":
        segment = b"Exif\0\0" + block
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    else:
        chunk = b"eXIf" + block
        data = (
            data[:33]
            + struct.pack(">I", len(block))
            + chunk
            + struct.pack(">I", zlib.crc32(chunk))
            + data[33:]
        )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("extension", ["png", "tif", "tiff"])
@pytest.mark.parametrize("bits", [8, 16])
def test_gray_codes_are_kept(tmp_path, extension, bits) -> None:
    codes = GRAY if bits == 8 else deep(GRAY)
    for pixels in (codes, np.stack([codes] * 3, 2)):
        batch, info = read_image(save(tmp_path / f"a.{extension}", pixels))
        np.testing.assert_array_equal(batch.luma[0, 0].numpy(), codes)
        assert batch.info.color == ColorSpec("bt709", True, bits, primaries=1, transfer=13)
        assert batch.info.size == SIZE
        assert (info.bits, info.alpha, info.has_color) == (bits, None, False)


@pytest.mark.parametrize("bits", [8, 16])
def test_color_gives_luma_by_bt709(tmp_path, bits) -> None:
    pixels = RGB if bits == 8 else deep(RGB)
    batch, info = read_image(save(tmp_path / "a.png", pixels))
    expected = pixels.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(batch.luma[0, 0].numpy() - expected).max() <= 0.51
    assert info.has_color


def test_jpeg_is_what_the_decoder_gives(tmp_path) -> None:
    path = save(tmp_path / "a.jpg", GRAY)
    batch, _ = read_image(path)
    np.testing.assert_array_equal(
        batch.luma[0, 0].numpy(), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    )
    assert np.abs(batch.luma[0, 0].numpy().astype(int) - GRAY).mean() < 3


def test_palette(tmp_path) -> None:
    """Written by hand: two entries, 1 bit a pixel."""
    rows = b"".join(b"\0" + bytes([0b10100000]) for _ in range(2))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 1, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes([10, 10, 10, 200, 200, 200]))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    batch, _ = read_image(path)
    np.testing.assert_array_equal(batch.luma[0, 0].numpy(), [[200, 10, 200]] * 2)


EXPECTED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_orientation_is_applied_once(tmp_path, orientation, extension) -> None:
    batch, _ = read_image(oriented(tmp_path / f"a.{extension}", GRAY, orientation))
    expected = EXPECTED[orientation](GRAY)
    got = batch.luma[0, 0].numpy()
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < (1 if extension == "png" else 3)


def test_tiff_orientation_is_applied_once(tmp_path) -> None:
    tifffile = pytest.importorskip("tifffile")
    for bits, codes in ((8, GRAY), (16, deep(GRAY))):
        path = tmp_path / f"{bits}.tif"
        tifffile.imwrite(path, codes, extratags=[(274, 3, 1, 3, True)])
        batch, _ = read_image(path)
        np.testing.assert_array_equal(batch.luma[0, 0].numpy(), np.rot90(codes, 2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_round_trip_with_alpha(tmp_path, bits, extension) -> None:
    codes = GRAY if bits == 8 else deep(GRAY)
    alpha = np.ascontiguousarray(codes[::-1])
    source = save(tmp_path / f"a.{extension}", np.dstack([codes, codes, codes, alpha]))
    _, info = read_image(source)
    np.testing.assert_array_equal(info.alpha, alpha)
    rgb = RGB if bits == 8 else deep(RGB)
    output = tmp_path / f"b.{extension}"
    write_image(output, rgb, info)
    stored = cv2.imread(str(output), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == rgb.dtype
    np.testing.assert_array_equal(stored[..., 2::-1], rgb)
    np.testing.assert_array_equal(stored[..., 3], alpha)


def test_alpha_turns_with_the_picture(tmp_path) -> None:
    pixels = np.dstack([GRAY, GRAY, GRAY, GRAY])
    batch, info = read_image(oriented(tmp_path / "a.png", pixels, 6))
    np.testing.assert_array_equal(info.alpha, np.rot90(GRAY, -1))
    np.testing.assert_array_equal(batch.luma[0, 0].numpy(), np.rot90(GRAY, -1))


def test_jpeg_gets_eight_bits_and_no_alpha(tmp_path, caplog) -> None:
    _, info = read_image(save(tmp_path / "a.png", np.dstack([RGB, GRAY])))
    smooth = cv2.GaussianBlur(RGB, (0, 0), 3)
    write_image(tmp_path / "b.jpg", smooth.astype(np.uint16) * 257, info)
    stored = cv2.imread(str(tmp_path / "b.jpg"), cv2.IMREAD_UNCHANGED)
    assert stored.shape == (*SIZE, 3)
    assert np.abs(stored[..., ::-1].astype(int) - smooth).mean() < 2
    assert any("transparency" in m for m in caplog.messages)


def test_files_are_not_replaced_unasked(tmp_path) -> None:
    path = save(tmp_path / "a.png", GRAY)
    before = path.read_bytes()
    _, info = read_image(path)
    with pytest.raises(MediaError, match="exists; use --overwrite"):
        write_image(path, RGB)
    with pytest.raises(MediaError, match="is the input itself"):
        write_image(path, RGB, info, overwrite=True)
    assert path.read_bytes() == before
    write_image(path, RGB, overwrite=True)
    assert path.read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("b.bmp", "a picture is"), ("b", "no extension"), ("x/b.png", "no folder")],
)
def test_outputs_that_cannot_be(tmp_path, name, message) -> None:
    with pytest.raises(MediaError, match=message):
        write_image(tmp_path / name, RGB)
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_are_no_picture() -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        write_image("a.png", RGB.astype(np.float32))
    with pytest.raises(ValueError, match="uint8 or uint16"):
        write_image("a.png", GRAY)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
def test_cut_off_pictures(tmp_path, extension, capfd) -> None:
    path = save(tmp_path / f"a.{extension}", cv2.resize(RGB, (300, 200)))
    with pytest.raises(MediaError, match=r"cut off|damaged"):
        read_image(cut_off(path, 0.5))
    assert capfd.readouterr() == ("", "")


def test_bad_pictures(tmp_path, capfd) -> None:
    cases = {"none.png": "no such file", "empty.png": "empty", "text.png": "is no picture"}
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    for name, message in cases.items():
        with pytest.raises(MediaError, match=message):
            read_image(tmp_path / name)
    with pytest.raises(MediaError, match="folder"):
        read_image(tmp_path)
    cv2.imwrite(str(tmp_path / "float.tif"), GRAY.astype(np.float32))
    with pytest.raises(MediaError, match="float32"):
        read_image(tmp_path / "float.tif")
    assert capfd.readouterr() == ("", "")


def test_folders_in_natural_order(tmp_path) -> None:
    names = [
        "frame10.png",
        "frame9.PNG",
        "Frame 1.jpg",
        "a2b10.tif",
        "a2b9.tiff",
        "100000.png",
        "99.png",
    ]
    for name in [*names, "notes.txt", ".hidden.png"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == [
        "99.png",
        "100000.png",
        "a2b9.tiff",
        "a2b10.tif",
        "frame9.PNG",
        "frame10.png",
        "Frame 1.jpg",
    ]
    with pytest.raises(MediaError, match="holds no picture"):
        list_images(tmp_path / "folder.png")
    with pytest.raises(MediaError, match="cannot be listed"):
        list_images(tmp_path / "none")


def test_is_image() -> None:
    assert is_image("a.JPG")
    assert not is_image(Path("a.mkv"))
