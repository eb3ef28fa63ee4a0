"""Frames in, frames out: every code of every plane outside the repaired places is the source's."""

import hashlib
import logging
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import VFR, describe, fill, make_video, picture, planes_for, read_luma, read_packets

from vidcolor.errors import MediaError
from vidcolor.io.encode import OutputConfig, VideoWriter
from vidcolor.io.film_part import FilmPart
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.source_planes import SourcePlanes
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch, VideoInfo

AUTO = OutputConfig()
PLACE = (slice(5, 9), slice(20, 31))
"""Where frames are repaired."""


def restore(
    source: Path,
    output: Path,
    config: OutputConfig = AUTO,
    add: int = 0,
    span: tuple[float | None, float | None] = (None, None),
) -> Path:
    """The whole way; `add` codes are added to luma in `PLACE`."""
    with (
        VideoReader(source, InputConfig(*span, batch_size=3), keep_chroma=True) as reader,
        VideoWriter(
            output, source, reader.info, SourcePlanes(reader.source_format), config, span
        ) as writer,
    ):
        for batch in prefetch(reader, 2):
            luma = batch.luma.clone()
            luma[:, :, *PLACE] += add
            writer.write(replace(batch, luma=luma))
    return output


def components(path: Path) -> list[list[np.ndarray]]:
    """Every component of every frame, by PyAV alone."""
    found = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            name = frame.format.name
            wide = frame.format.components[0].bits > 8
            rows = [
                np.frombuffer(p, "<u2" if wide else "u1").reshape(p.height, -1)
                for p in frame.planes
            ]
            if name == "bgr0":
                parts = [rows[0][:, n : 4 * frame.width : 4] for n in range(3)]
            else:
                parts = [r[:, : p.width] for r, p in zip(rows, frame.planes, strict=True)]
            found.append([part.copy() for part in parts])
    return found


def sums(frames: list[list[np.ndarray]], without_place: bool = False) -> list[str]:
    """A hash of all planes of each frame, of luma perhaps without `PLACE`."""
    found = []
    for planes in frames:
        digest = hashlib.sha256()
        for number, plane in enumerate(planes):
            if number == 0 and without_place:
                plane = plane.copy()
                plane[PLACE] = 0
            digest.update(repr((plane.shape, plane.dtype.str)).encode() + plane.tobytes())
        found.append(digest.hexdigest())
    return found


FORMATS = [
    *("gray", "gray10le", "gray12le", "gray16le"),
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv422p12le", "yuv420p9le", "yuv420p16le"),
]


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_codes_stay_in_every_plane(tmp_path, pix_fmt, full, size) -> None:
    film = make_video(
        tmp_path / "a.mkv", frames=4, pix_fmt=pix_fmt, full_range=full, size=size, color=True
    )
    output = restore(film.path, tmp_path / "b.mkv", add=3)
    old, new = components(film.path), components(output)
    assert sums(new, without_place=True) == sums(old, without_place=True)
    for before, after in zip(old, new, strict=True):
        np.testing.assert_array_equal(after[0][PLACE], before[0][PLACE] + 3)
    found = describe(output)
    assert (found["codec"], found["format"], found["full"]) == ("ffv1", pix_fmt, full)


def test_nothing_repaired_is_the_source(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=3, color=True)
    output = restore(film.path, tmp_path / "b.mkv")
    assert sums(components(output)) == sums(components(film.path))
    other = restore(film.path, tmp_path / "c.mkv", add=1)
    assert sums(components(other)) != sums(components(film.path))


def raw_film(
    path: Path, pix_fmt: str, planar: str, size=(48, 64), frames=3
) -> list[list[np.ndarray]]:
    """A film without compression; its components as they were put in, packed by hand."""
    height, width = size
    bits = av.VideoFormat(pix_fmt, 16, 16).components[0].bits
    given = []
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for number in range(3):
            luma = picture(number, size, bits)
            luma, blue, red = planes_for(planar, luma, number, color=True)
            red = red[::-1].copy()
            given.append([luma, blue, red])
            pair = np.stack((blue, red), 2).reshape(blue.shape[0], -1)
            if pix_fmt == "nv12":
                planes = [luma, pair]
            else:
                packed = np.stack((luma, pair), 2)[..., :: -1 if pix_fmt == "uyvy422" else 1]
                planes = [packed.reshape(height, -1) << (6 if bits == 10 else 0)]
            frame = av.VideoFrame(width, height, pix_fmt)
            fill(frame, planes)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return given


@pytest.mark.parametrize(
    ("pix_fmt", "planar"),
    [
        ("nv12", "yuv420p"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("y210le", "yuv422p10le"),
    ],
)
def test_semi_planar_and_packed_become_planar(tmp_path, pix_fmt, planar) -> None:
    given = raw_film(tmp_path / "a.avi", pix_fmt, planar)
    with VideoReader(tmp_path / "a.avi", keep_chroma=True) as reader:
        (batch,) = reader
    for number, (luma, blue, red) in enumerate(given):
        np.testing.assert_array_equal(batch.luma[number, 0], luma)
        np.testing.assert_array_equal(batch.chroma[number, 0], blue)
        np.testing.assert_array_equal(batch.chroma[number, 1], red)
    output = restore(tmp_path / "a.avi", tmp_path / "b.mkv", add=2)
    assert describe(output)["format"] == planar
    assert sums(components(output), True) == sums(given, True)


@pytest.mark.parametrize(
    "pix_fmt", ["bgr0", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"]
)
def test_rgb_stays_rgb(tmp_path, pix_fmt) -> None:
    """Where Y' rises by 5 all channels do, up to white; elsewhere codes stay."""
    film = make_video(tmp_path / "a.mkv", frames=3, pix_fmt=pix_fmt, full_range=None)
    output = restore(film.path, tmp_path / "b.mkv", add=5)
    assert describe(output)["format"] == pix_fmt
    assert describe(output)["full"] is True
    top = (1 << describe(output)["bits"]) - 1
    for before, after in zip(components(film.path), components(output), strict=True):
        assert len(after) == 3
        for old, new in zip(before, after, strict=True):
            expected = old.astype(np.int64)
            expected[PLACE] = np.minimum(expected[PLACE] + 5, top)
            np.testing.assert_array_equal(new, expected)


@pytest.mark.parametrize("pix_fmt", ["rgb24", "pal8"])
def test_other_rgb_becomes_what_ffv1_holds(tmp_path, pix_fmt) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    if pix_fmt == "pal8":
        rgb = np.where(rgb[..., :1] > 100, np.uint8([200, 90, 13]), np.uint8([7, 77, 255]))
    path = tmp_path / ("a.gif" if pix_fmt == "pal8" else "a.avi")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("gif" if pix_fmt == "pal8" else "png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(2):
            if pix_fmt == "pal8":
                frame = av.VideoFrame(64, 48, "pal8")
                index = np.where(rgb[..., 0] == 200, 0, 1).astype(np.uint8)
                np.frombuffer(frame.planes[0], np.uint8).reshape(48, -1)[:, :64] = index
                colors = np.uint8([[13, 90, 200, 255], [255, 77, 7, 255]])
                np.frombuffer(frame.planes[1], np.uint8).reshape(-1, 4)[:2] = colors
            else:
                frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    output = restore(path, tmp_path / "b.mkv")
    blue, green, red = components(output)[0]
    np.testing.assert_array_equal(np.stack((red, green, blue), 2), rgb)


def test_everything_else_of_the_film_stays(tmp_path) -> None:
    film = make_video(
        tmp_path / "a.mkv",
        pts=[40 * p for p in VFR],
        time_base=Fraction(1, 1000),
        sound=("flac", "aac"),
        subtitles="subrip",
        attachment=True,
        chapters=True,
        aspect=Fraction(16, 15),
        rotation=90,
        tags=(1, 1, 13),
        metadata={"title": "A Film"},
        color=True,
    )
    output = restore(film.path, tmp_path / "b.mkv", add=1)
    assert read_luma(output)[1] == film.times
    assert read_packets(output) == read_packets(film.path)
    assert {**describe(output), "codec": ""} == {**describe(film.path), "codec": ""}
    with av.open(str(film.path)) as old, av.open(str(output)) as new:
        assert new.metadata["title"] == "A Film"
        assert len(new.chapters()) == len(old.chapters()) == 2
        assert [s.type for s in new.streams] == [s.type for s in old.streams]


def test_a_part_begins_at_zero(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, color=True)
    output = restore(film.path, tmp_path / "b.mkv", span=(0.2, 0.4))
    assert sums(components(output)) == sums(components(film.path)[5:15])
    assert read_luma(output)[1] == [n * Fraction(1, 25) for n in range(10)]


@pytest.mark.parametrize("tags", [(2, 2, 2), (5, 5, 6), (1, 1, 1), (2, 1, 2), (7, 7, 7)])
@pytest.mark.parametrize("name", ["b.mkv", "b.mp4"])
def test_tags_are_the_sources_and_no_more(tmp_path, tags, name) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, tags=tags, color=True)
    assert describe(film.path)["tags"] == tags
    assert describe(restore(film.path, tmp_path / name))["tags"] == tags


def siting_bytes(path: Path) -> bytes:
    """ChromaSitingHorz and ChromaSitingVert (RFC 9559), as they lie in the header."""
    data = path.read_bytes()
    places = [data.find(b"\x55\xb7\x81"), data.find(b"\x55\xb8\x81")]
    return b"".join(data[at + 3 : at + 4] for at in places if at >= 0)


@pytest.mark.parametrize(
    ("siting", "expected"),
    [("left", b"\1\2"), ("topleft", b"\1\1"), ("center", b"\2\2"), (None, b"")],
)
@pytest.mark.parametrize("source", ["a.mkv", "a.mp4"])
def test_chroma_siting_stays(tmp_path, source, siting, expected) -> None:
    codec = "ffv1" if source == "a.mkv" else "libx264"
    options = {} if siting is None else {"chroma_sample_location": siting}
    film = make_video(tmp_path / source, frames=2, codec=codec, options=options, color=True)
    with VideoReader(film.path, keep_chroma=True) as reader:
        found = reader.source_format.siting
    if siting is None and codec == "libx264":
        assert found in (None, "left")
        return
    assert found == siting
    assert siting_bytes(restore(film.path, tmp_path / "b.mkv")) == expected


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(("name", "config"), [("b.mkv", AUTO), ("b.mp4", AUTO)])
def test_fields_stay(tmp_path, order, name, config) -> None:
    number = {"tff": 2, "bff": 3}[order]
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        flags = {"flags": "+ildct+ilme", "x264-params": f"{order}=1"}
        stream = out.add_stream("libx264", rate=25, options=flags)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.field_order = number
        for index in range(4):
            frame = av.VideoFrame(64, 64, "yuv420p")
            fill(frame, planes_for("yuv420p", picture(index, (64, 64)), index, True))
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(source)) as film:
        source_order = film.streams.video[0].codec_context.field_order
        assert next(film.decode(video=0)).interlaced_frame
    with av.open(str(restore(source, tmp_path / name, config))) as film:
        frames = list(film.decode(video=0))
        assert [frame.interlaced_frame for frame in frames] == [True] * 4
        assert film.streams.video[0].codec_context.field_order == source_order


def test_progressive_stays_progressive(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2)
    with av.open(str(restore(film.path, tmp_path / "b.mkv"))) as output:
        assert not next(output.decode(video=0)).interlaced_frame
        assert output.streams.video[0].codec_context.field_order in (0, 1)


# -- codecs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pix_fmt", "name", "codec", "expected"),
    [
        ("yuv420p", "b.mp4", "auto", ("h264", "yuv420p")),
        ("yuv422p", "b.mov", "auto", ("h264", "yuv422p")),
        ("yuv444p10le", "b.mp4", "auto", ("h264", "yuv444p10le")),
        ("yuv411p", "b.mp4", "auto", ("h264", "yuv422p")),
        ("gray", "b.mp4", "auto", ("h264", "yuv420p")),
        ("gray12le", "b.mp4", "auto", ("hevc", "yuv420p12le")),
        ("bgr0", "b.mp4", "auto", ("h264", "yuvj420p")),
        ("yuv422p", "b.mkv", "h264", ("h264", "yuv422p")),
        ("yuv420p", "b.mov", "prores", ("prores", "yuv422p10le")),
        ("yuv444p", "b.mkv", "av1", ("libdav1d", "yuv420p")),
        ("yuv420p10le", "b.mp4", "ffv1", ("ffv1", "yuv420p10le")),
    ],
)
def test_codecs(tmp_path, pix_fmt, name, codec, expected) -> None:
    source_range = None if pix_fmt == "bgr0" else False
    film = make_video(
        tmp_path / "a.mkv", frames=3, pix_fmt=pix_fmt, color=True, full_range=source_range
    )
    output = restore(film.path, tmp_path / name, OutputConfig(codec))
    found = describe(output)
    assert (found["codec"], found["format"]) == expected
    assert read_luma(output)[1] == film.times


@pytest.mark.parametrize(
    ("name", "codec", "is_said"),
    [
        ("b.mkv", "auto", False),
        ("b.mp4", "auto", True),
        ("b.mkv", "h265", True),
        ("b.mp4", "ffv1", False),
    ],
)
def test_lossy_is_said_once(tmp_path, caplog, name, codec, is_said) -> None:
    caplog.set_level(logging.INFO, "vidcolor")
    film = make_video(tmp_path / "a.mkv", frames=3)
    restore(film.path, tmp_path / name, OutputConfig(codec))
    lines = [r.getMessage() for r in caplog.records if "lossy" in r.getMessage()]
    assert len(lines) == int(is_said)
    if is_said:
        assert ".mkv without --codec is exact" in lines[0]


def test_crf_0_is_exact_at_8_bits_and_not_called_lossy(tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO, "vidcolor")
    film = make_video(tmp_path / "a.mkv", frames=3, color=True, pix_fmt="yuv422p")
    output = restore(film.path, tmp_path / "b.mp4", OutputConfig(crf=0))
    assert sums(components(output)) == sums(components(film.path))
    assert not [r for r in caplog.records if "lossy" in r.getMessage()]


def test_gray_in_h264_has_neutral_chroma(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, pix_fmt="gray")
    output = restore(film.path, tmp_path / "b.mp4", OutputConfig(crf=0))
    luma, blue, red = components(output)[1]
    np.testing.assert_array_equal(luma, film.luma[1])
    assert set(np.unique(blue)) == set(np.unique(red)) == {128}


def test_rgb_in_h264_is_bt709_full_range(tmp_path) -> None:
    """A flat color: Y'CbCr of BT.709 by its definition."""
    red, green, blue = 180, 60, 30
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        frame = av.VideoFrame(64, 48, "bgr0")
        fill(frame, [np.tile(np.uint8([blue, green, red, 0]), (48, 64))])
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    output = restore(tmp_path / "a.mkv", tmp_path / "b.mp4", OutputConfig(crf=0))
    y = round(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    cb, cr = round(128 + (blue - y) / 1.8556), round(128 + (red - y) / 1.5748)
    for plane, value in zip(components(output)[0], (y, cb, cr), strict=True):
        assert set(np.unique(plane)) == {value}
    assert describe(output)["full"] is True
    assert describe(output)["tags"][0] == 1
    repaired = restore(tmp_path / "a.mkv", tmp_path / "c.mp4", OutputConfig(crf=0), add=9)
    brighter, blue_less_luma, red_less_luma = components(repaired)[0]
    assert set(np.unique(brighter[PLACE])) == {y + 9}
    assert set(np.unique(blue_less_luma)) == {cb}, "a gray repair has the color of its place"
    assert set(np.unique(red_less_luma)) == {cr}


def test_asked_for_pixel_format_must_hold_the_film(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, pix_fmt="yuv420p10le")
    output = restore(film.path, tmp_path / "b.mkv", OutputConfig(pix_fmt="yuv420p16le"))
    codes, _ = read_luma(output)
    np.testing.assert_array_equal(np.stack(codes), np.stack(film.luma) << 6)
    for name, config, message in [
        ("c.mkv", OutputConfig(pix_fmt="yuv420p"), "as yuv420p; it can as yuv420p10le"),
        ("c.webm", AUTO, "has the extension"),
        ("c.mov", OutputConfig("ffv1"), "mov cannot hold ffv1"),
        ("c.mkv", OutputConfig(crf=18), "has no crf"),
        ("c.mkv", OutputConfig(preset="slow"), "has no preset"),
    ]:
        with pytest.raises(MediaError, match=message):
            restore(film.path, tmp_path / name, config)


def test_frames_that_lost_their_color_are_refused(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, color=True)
    with VideoReader(film.path, keep_chroma=True) as reader:
        planes = SourcePlanes(reader.source_format)
        (batch,) = reader
    with pytest.raises(ValueError, match="keep_chroma"):
        planes.frames(replace(batch, chroma=None))
    assert planes.frames(batch) is batch


# -- reading ---------------------------------------------------------------------------------------


def test_color_is_read_only_on_request(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, color=True)
    with VideoReader(film.path) as reader:
        (batch,) = reader
        assert batch.chroma is None
        with pytest.raises(RuntimeError, match="keep chroma"):
            _ = reader.source_format


@pytest.mark.parametrize(
    ("pix_fmt", "dtype"),
    [("yuv420p", torch.uint8), ("yuv422p10le", torch.int16), ("yuv444p16le", torch.int32)],
)
def test_chroma_is_of_the_type_of_luma(tmp_path, pix_fmt, dtype) -> None:
    film = make_video(tmp_path / "a.mkv", frames=5, pix_fmt=pix_fmt, color=True)
    with VideoReader(film.path, InputConfig(batch_size=3), keep_chroma=True) as reader:
        first, second = reader
    assert first.chroma.dtype == first.luma.dtype == dtype
    for number, planes in enumerate(components(film.path)):
        batch = (first, second)[number // 3]
        np.testing.assert_array_equal(batch.chroma[number % 3], np.stack(planes[1:]))
    np.testing.assert_array_equal(first[1:].chroma, first.chroma[1:])


def test_a_run_of_frames_has_its_own_chroma(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=12, color=True)
    part = FilmPart(4, 5, {4: 160})
    with VideoReader(film.path, part=part, keep_chroma=True) as reader:
        (batch,) = reader
    expected = [planes[1:] for planes in components(film.path)[4:9]]
    np.testing.assert_array_equal(batch.chroma, np.array(expected))


def test_other_subsampling_in_mid_film_stops(tmp_path) -> None:
    """Luma alone would go on."""
    both = tmp_path / "c.m2v"
    parts = []
    for number, pix_fmt in enumerate(("yuv420p", "yuv422p")):
        path = tmp_path / f"{number}.m2v"
        parts.append(make_video(path, frames=5, codec="mpeg2video", pix_fmt=pix_fmt).path)
    both.write_bytes(b"".join(path.read_bytes() for path in parts))
    with VideoReader(both) as reader:
        assert sum(len(batch) for batch in reader) > 5
    with (
        VideoReader(both, keep_chroma=True) as reader,
        pytest.raises(MediaError, match="changes from yuv420p to yuv422p"),
    ):
        list(reader)


def test_transparency_is_said(tmp_path, caplog) -> None:
    for name, alpha in (("a.mov", 255), ("b.mov", 90)):
        with av.open(str(tmp_path / name), "w") as out:
            stream = out.add_stream("png", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
            pixels = np.full((48, 64, 4), alpha, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgba")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            out.mux([*stream.encode(frame), *stream.encode(None)])
        with VideoReader(tmp_path / name, keep_chroma=True):
            pass
        assert ("transparency" in caplog.text) is (alpha != 255)


def test_batches_check_their_color() -> None:
    luma, info = torch.zeros(2, 1, 4, 6, dtype=torch.uint8), VideoInfo(4, 6)
    chroma = torch.zeros(2, 2, 2, 3, dtype=torch.uint8)
    rgb = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    FrameBatch(luma, (0, 1), info, chroma=chroma)
    FrameBatch(luma, (0, 1), info, rgb=rgb)
    for bad in (
        {"chroma": chroma[:1]},
        {"chroma": chroma[:, :1]},
        {"chroma": chroma.to(torch.int16)},
        {"rgb": rgb[:, :2]},
        {"rgb": rgb[..., :3]},
        {"rgb": rgb.to(torch.int32)},
        {"rgb": rgb, "chroma": chroma},
    ):
        with pytest.raises(ValueError, match=r"chroma|rgb"):
            FrameBatch(luma, (0, 1), info, **bad)


# -- failures --------------------------------------------------------------------------------------


def test_killed_in_the_middle_there_is_nothing(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=8, color=True)
    script = """
import os, sys
from vidcolor.io.encode import VideoWriter
from vidcolor.io.mask_writer import HolesWriter
from vidcolor.io.source_planes import SourcePlanes
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
source, output, holes = sys.argv[1:]
with VideoReader(source, InputConfig(batch_size=2), keep_chroma=True) as reader:
    planes = SourcePlanes(reader.source_format)
    with (
        VideoWriter(output, source, reader.info, planes) as writer,
        HolesWriter(holes, reader.info) as masks,
    ):
        for batch in reader:
            writer.write(batch)
            masks.write(batch.index, batch.luma[0, 0].numpy() > 100)
            if batch.index == 4:
                os.kill(os.getpid(), 9)
"""
    output, holes = tmp_path / "b.mkv", tmp_path / "holes"
    done = subprocess.run(
        [sys.executable, "-c", script, film.path, output, holes],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == -9
    assert not output.exists()
    assert not holes.exists()


def test_an_error_leaves_nothing(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=8)

    def work() -> None:
        with (
            VideoReader(film.path, InputConfig(batch_size=2), keep_chroma=True) as reader,
            VideoWriter(
                tmp_path / "b.mkv", film.path, reader.info, SourcePlanes(reader.source_format)
            ) as writer,
        ):
            writer.write(next(iter(reader)))
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
