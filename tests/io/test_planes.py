import av
import numpy as np
import pytest

from vidcolor.errors import MediaError
from vidcolor.io.planes import chroma_share, codes_of, layout_of, luma_of, put_planes

SIZE = (47, 62)


def random_codes(limit: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, limit, SIZE)


def words(frame: av.VideoFrame, dtype: str) -> np.ndarray:
    """Plane 0 as rows of words."""
    plane = frame.planes[0]
    return np.frombuffer(plane, dtype).reshape(plane.height, -1)


def frame_of(pix_fmt: str, full: bool) -> av.VideoFrame:
    frame = av.VideoFrame(SIZE[1], SIZE[0], pix_fmt)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 100
    frame.color_range = 2 if full else 1
    return frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("pix_fmt", "dtype", "step", "first", "shift", "bits"),
    [
        ("yuyv422", "u1", 2, 0, 0, 8),
        ("uyvy422", "u1", 2, 1, 0, 8),
        ("nv12", "u1", 1, 0, 0, 8),
        ("nv21", "u1", 1, 0, 0, 8),
        ("ya8", "u1", 2, 0, 0, 8),
        ("ya16le", "<u2", 2, 0, 0, 16),
        ("p010le", "<u2", 1, 0, 6, 10),
        ("p010be", ">u2", 1, 0, 6, 10),
        ("p012le", "<u2", 1, 0, 4, 12),
        ("p016le", "<u2", 1, 0, 0, 16),
        ("p210le", "<u2", 1, 0, 6, 10),
        ("y210le", "<u2", 2, 0, 6, 10),
        ("yuv420p10be", ">u2", 1, 0, 0, 10),
        ("gray16be", ">u2", 1, 0, 0, 16),
        ("gray12le", "<u2", 1, 0, 0, 12),
        ("yuva420p", "u1", 1, 0, 0, 8),
        ("yuv440p", "u1", 1, 0, 0, 8),
    ],
)
def test_luma_comes_out_as_it_lies_in_memory(pix_fmt, dtype, step, first, shift, bits, full):
    codes = random_codes(1 << bits)
    frame = frame_of(pix_fmt, full)
    words(frame, dtype)[:, first : SIZE[1] * step : step] = codes << shift
    layout = layout_of(frame.format)
    assert layout.bits == bits
    np.testing.assert_array_equal(luma_of(frame, layout), codes)


@pytest.mark.parametrize(
    ("pix_fmt", "dtype", "shift", "red_first", "rows"),
    [
        ("nv12", "u1", 0, False, 24),
        ("nv21", "u1", 0, True, 24),
        ("nv16", "u1", 0, False, 47),
        ("nv42", "u1", 0, True, 47),
        ("p010le", "<u2", 6, False, 24),
        ("p010be", ">u2", 6, False, 24),
        ("p012le", "<u2", 4, False, 24),
        ("p016le", "<u2", 0, False, 24),
        ("p210le", "<u2", 6, False, 47),
        ("p410le", "<u2", 6, False, 47),
    ],
)
def test_semi_planar_chroma_comes_out_in_order(pix_fmt, dtype, shift, red_first, rows):
    frame = frame_of(pix_fmt, full=False)
    layout = layout_of(frame.format)
    columns = SIZE[1] if pix_fmt in ("nv42", "p410le") else SIZE[1] // 2
    pair = np.random.default_rng(1).integers(0, 1 << layout.bits, (rows, columns, 2))
    plane = frame.planes[1]
    memory = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    memory[:, : 2 * columns] = pair.reshape(rows, -1) << shift
    found = codes_of(frame, layout)
    order = (1, 0) if red_first else (0, 1)
    np.testing.assert_array_equal(found.chroma, pair.transpose(2, 0, 1)[list(order)])
    np.testing.assert_array_equal(found.luma, luma_of(frame, layout))
    assert found.chroma.dtype == found.luma.dtype


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr24", "rgba", "bgra", "argb", "0rgb", "gbrp"])
def test_gray_in_rgb_keeps_its_codes(pix_fmt):
    codes = random_codes(256).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.dstack([codes] * 3), "rgb24")
    if pix_fmt != "rgb24":
        frame = frame.reformat(format=pix_fmt)
    layout = layout_of(frame.format)
    assert layout.full_range
    np.testing.assert_array_equal(luma_of(frame, layout), codes)
    assert chroma_share(frame, layout) == 0


def test_one_bit_pictures_are_black_and_white():
    frame = frame_of("monob", full=True)
    words(frame, "u1")[:] = 0b11110000
    luma = luma_of(frame, layout_of(frame.format))
    np.testing.assert_array_equal(luma[0, :8], [255] * 4 + [0] * 4)


@pytest.mark.parametrize(("offset", "share"), [(0, 0.0), (5, 0.0), (12, 1.0)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le", "nv12", "p010le", "yuyv422"])
def test_share_of_color(pix_fmt, offset, share):
    frame = av.VideoFrame(64, 48, "yuv420p")
    for plane, value in zip(frame.planes, (90, 128, 128 + offset), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    if pix_fmt != "yuv420p":
        frame = frame.reformat(format=pix_fmt)
    assert chroma_share(frame, layout_of(frame.format)) == share


def test_shallow_formats_are_refused():
    with pytest.raises(MediaError, match=r"cannot be read|bits"):
        layout_of(av.VideoFormat("vaapi", 64, 48))


def test_planes_of_another_size_are_refused():
    frame = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p")
    planes = [np.zeros((p.height, p.width), np.uint8) for p in frame.planes]
    put_planes(frame, tuple(planes))
    with pytest.raises(ValueError, match="24x31"):
        put_planes(frame, (planes[0], planes[0], planes[0]))
