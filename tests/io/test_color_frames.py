import struct
import zlib

import av
import cv2
import numpy as np
import pytest
from media import cut_off, fill, make_video

from vidcolor.errors import MediaError
from vidcolor.io.color_frames import ColorReader, frame_rgb, read_picture, resize
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.records import ColorSpec

RED = {  # Y', Cb, Cr of pure red, from the standards' tables
    ("bt601", False): (81, 90, 240),
    ("bt709", False): (63, 102, 240),
    ("bt601", True): (76, 85, 255),
}


def yuv(pix_fmt, planes, size=(16, 16)):
    frame = av.VideoFrame(size[1], size[0], pix_fmt)
    fill(frame, planes)
    return frame


def flat(height, width, *codes, dtype=np.uint8):
    """Rows of one or several codes in turn."""
    return np.tile(np.array(codes, dtype), (height, width))


@pytest.mark.parametrize(("matrix", "full"), RED)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "nv12", "nv21", "p010le"])
def test_red_is_red_whatever_carries_it(pix_fmt, matrix, full) -> None:
    y, cb, cr = RED[matrix, full]
    deep = "10" in pix_fmt
    bits, dtype = (10, np.uint16) if deep else (8, np.uint8)
    shift = {"p010le": 8, "yuv420p10le": 2}.get(pix_fmt, 0)
    y, cb, cr = (v << shift for v in (y, cb, cr))
    if full and deep:  # 255 << 2 is not 1023: exact codes of full range
        y, cb, cr = (round(v * 1023 / 255) << (6 if pix_fmt == "p010le" else 0) for v in
                     (76.245, 84.97, 255))  # fmt: skip
    side = 16 if pix_fmt == "yuv444p" else 8
    chroma = [flat(side, side, cb, dtype=dtype), flat(side, side, cr, dtype=dtype)]
    if pix_fmt in ("nv12", "p010le"):
        chroma = [flat(8, 8, cb, cr, dtype=dtype)]
    if pix_fmt == "nv21":
        chroma = [flat(8, 8, cr, cb, dtype=dtype)]
    frame = yuv(pix_fmt, [flat(16, 16, y, dtype=dtype), *chroma])
    rgb = frame_rgb(frame, ColorSpec(matrix, full, bits), (16, 16))
    np.testing.assert_allclose(rgb, np.broadcast_to((1, 0, 0), rgb.shape), atol=0.012)


def test_gray_formats_are_gray() -> None:
    frame = yuv("gray", [flat(16, 16, 51)])
    rgb = frame_rgb(frame, ColorSpec("bt709", True, 8), (8, 8))
    np.testing.assert_allclose(rgb, np.full((8, 8, 3), 0.2), atol=1e-6)


@pytest.mark.parametrize(("pix_fmt", "shift"), [("yuv420p", 0.0), ("yuvj420p", 0.5)])
def test_chroma_lies_where_the_format_puts_it(pix_fmt, shift) -> None:
    """Chroma rises by 4 codes a column; MPEG's first sample lies on 0, JPEG's on 0.5."""
    cb = np.tile((100 + 8 * np.arange(8)).astype(np.uint8), (8, 1))
    frame = yuv(pix_fmt, [flat(16, 16, 128), cb, flat(8, 8, 128)])
    full = pix_fmt == "yuvj420p"
    rgb = frame_rgb(frame, ColorSpec("bt601", full, 8), (16, 16))
    columns = np.arange(2, 13)
    expected = 100 + 4 * (columns - shift)
    blue, green = rgb[8, 2:13, 2], rgb[8, 2:13, 0]  # red = Y' here, as Cr is neutral
    np.testing.assert_allclose(
        128 + (blue - green) / 1.772 * (255 if full else 224), expected, atol=0.02
    )


@pytest.mark.parametrize(("matrix", "tag"), [("bt601", 5), ("bt709", 1)])
def test_pictures_agree_with_swscale(matrix, tag) -> None:
    rng = np.random.default_rng(4)
    ranges = ((30, 220), (90, 166), (90, 166))
    planes = [rng.integers(low, high, (64, 96), dtype=np.uint8) for low, high in ranges]
    frame = yuv("yuv444p", planes, (64, 96))  # chroma of less would be interpolated in its own way
    expected = frame.reformat(
        format="rgb24",
        src_colorspace=tag,
        src_color_range=1,
        dst_color_range=2,
    ).to_ndarray()
    rgb = frame_rgb(frame, ColorSpec(matrix, False, 8), (64, 96)) * 255
    difference = np.abs(rgb - expected)
    assert difference.mean() < 1.2
    wrong = frame_rgb(frame, ColorSpec("bt2020", False, 8), (64, 96)) * 255
    assert np.abs(wrong - expected).mean() > 2 * difference.mean()


def test_shrinking_averages() -> None:
    luma = np.tile(np.array([16, 235], np.uint8), (16, 8))
    frame = yuv("yuv420p", [luma, flat(8, 8, 128), flat(8, 8, 128)])
    rgb = frame_rgb(frame, ColorSpec("bt709", False, 8), (8, 8))
    np.testing.assert_allclose(rgb, np.full((8, 8, 3), 0.5), atol=0.003)


def test_resize_grows_one_side_and_shrinks_the_other() -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32), (4, 1))
    small = resize(ramp, (8, 4))
    np.testing.assert_allclose(small, np.tile([0.5, 2.5, 4.5, 6.5], (8, 1)), atol=1e-5)


# -- films -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pix_fmt", "white"), [("gbrp10le", 1023), ("bgr0", 255)])
def test_rgb_films_come_back_as_they_are(tmp_path, pix_fmt, white) -> None:
    film = make_video(tmp_path / "a.mkv", pix_fmt=pix_fmt, full_range=None, frames=5)
    with ColorReader(film.path, InputConfig(batch_size=2)) as reader:
        for batch in reader:
            for i, pts in enumerate(batch.pts):
                expected = np.rint(film.rgb[batch.index + i] * (255 / white))
                np.testing.assert_array_equal(reader.color(pts), expected)


def test_luma_is_what_the_reader_of_luma_gives_and_frames_can_be_forgotten(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=9, color=True)
    config = InputConfig(batch_size=3)
    with ColorReader(film.path, config) as color, VideoReader(film.path, config) as luma:
        before = None
        for one, other in zip(color, luma, strict=True):
            assert one.pts == other.pts
            np.testing.assert_array_equal(one.luma, other.luma)
            assert color.color(one.pts[0]).shape == (48, 64, 3)
            if before is not None:
                with pytest.raises(ValueError, match="not kept"):
                    color.color(before)
            before = one.pts[-2]
            color.forget(before)
            assert color.color(one.pts[-1]).shape == (48, 64, 3)


def corner_film(tmp_path, **settings):
    """White on gray at the left of the top of the coded picture; 40 rows, 80 columns."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 80, 40, "yuv420p"
        stream.codec_context.sample_aspect_ratio = settings.get("aspect", 1)
        if "rotation" in settings:
            stream.set_display_rotation(settings["rotation"])
        luma = np.full((40, 80), 100, np.uint8)
        luma[:20, :20] = 235
        frame = yuv("yuv420p", [luma, flat(20, 40, 128), flat(20, 40, 128)], (40, 80))
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with ColorReader(path) as reader:
        (batch,) = reader
        return reader.color(batch.pts[0], settings.get("size"))


def test_pixel_aspect_and_rotation_are_applied(tmp_path) -> None:
    assert corner_film(tmp_path).shape == (40, 80, 3)
    wide = corner_film(tmp_path, aspect=2)
    assert wide.shape == (40, 160, 3)
    assert wide[10, 30, 0] > 250
    assert wide[10, 50, 0] < 120
    turned = corner_film(tmp_path, rotation=90)  # counter-clockwise: the corner goes to the bottom
    assert turned.shape == (80, 40, 3)
    assert turned[70, 10, 0] > 250
    assert turned[10, 10, 0] < 120
    small = corner_film(tmp_path, rotation=90, aspect=2, size=(80, 20))
    assert small[75, 5, 0] > 250
    assert small[75, 15, 0] < 120


def test_of_interlaced_frames_one_field_is_taken(tmp_path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "mpeg2video", rate=25, options={"flags": "+ilme+ildct", "qmin": "1", "qmax": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(2):
            luma = flat(64, 64, 60)
            luma[1::2] = 200
            cb, cr = flat(32, 32, 100), flat(32, 32, 128)
            cb[1::2] = 160
            frame = yuv("yuv420p", [luma, cb, cr], (64, 64))
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with ColorReader(path) as reader:
        (batch,) = reader
        rgb = reader.color(batch.pts[0], (64, 64)).astype(float)
    # red = Y' = (60 - 16) / 219; blue = Y' + 1.772 * (100 - 128) / 224
    assert np.abs(rgb[..., 0] - 51).max() < 6
    assert np.abs(rgb[..., 2] - 0).max() < 8


# -- stills ----------------------------------------------------------------------------------------


def test_stills_keep_their_color(tmp_path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), rgb[..., ::-1])
    np.testing.assert_array_equal(read_picture(path), rgb)
    cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_picture(path), rgb)
    cv2.imwrite(str(path), rgb[..., 0])
    np.testing.assert_array_equal(read_picture(path), np.repeat(rgb[..., :1], 3, 2))
    np.testing.assert_array_equal(
        read_picture("in/a.tar", path.read_bytes()), np.repeat(rgb[..., :1], 3, 2)
    )


def test_transparency_is_laid_over_white(tmp_path) -> None:
    path = tmp_path / "a.png"
    pixel = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    cv2.imwrite(str(path), pixel)
    np.testing.assert_array_equal(
        read_picture(path), [[[30, 20, 10], [255, 255, 255], [204, 204, 204]]]
    )


def test_orientation_of_the_file_is_applied(tmp_path) -> None:
    path = tmp_path / "a.png"
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[0, 0] = 255
    data = cv2.imencode(".png", rgb)[1].tobytes()
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    path.write_bytes(data[:33] + chunk + data[33:])
    shown = read_picture(path)
    assert shown.shape == (6, 4, 3)
    assert shown[0, 3].tolist() == [255, 255, 255]  # 6: turned clockwise


def test_what_is_no_picture_is_named(tmp_path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(MediaError, match=r"a\.png: cannot be read"):
        read_picture(path)
    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(MediaError, match=r"a\.png: is cut off"):
        read_picture(cut_off(path))
