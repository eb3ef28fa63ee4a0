"""Encoders of NVIDIA GPUs: what is asked of them, and what is said where there is none."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import pytest
from media import make_video, paint

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io import film_file
from vidcolor.io.codecs import CODECS, GPU_CODECS, OutputConfig, choose_encoding
from vidcolor.io.encode import VideoWriter
from vidcolor.io.film_file import FilmFile
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.picture import PictureEncoder
from vidcolor.io.planes import put_planes
from vidcolor.io.video import VideoReader
from vidcolor.records import ColorSpec, VideoInfo

INFO = VideoInfo(144, 192, rate=Fraction(25), time_base=Fraction(1, 25))


def no_driver(name: str) -> bool:
    try:
        with av.open("/dev/null", "w", format="null") as out:
            stream = out.add_stream(GPU_CODECS[name].encoder, rate=25)
            stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
            stream.codec_context.open()
    except av.error.FFmpegError as error:
        return isinstance(error, PermissionError)
    return False


NO_DRIVER = no_driver("h264_nvenc")


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (OutputConfig("h264_nvenc"), {"rc": "vbr", "cq": "19", "b": "0", "preset": "p5"}),
        (OutputConfig("h264_nvenc", crf=30, preset="p1"), {"cq": "30", "preset": "p1"}),
        (OutputConfig("hevc_nvenc", crf=1), {"rc": "vbr", "cq": "1", "b": "0"}),
    ],
)
def test_quality_is_constant_and_called_cq(output, wanted) -> None:
    encoding = choose_encoding(Path("a.mp4"), INFO, output)
    assert wanted.items() <= encoding.options.items()
    assert "crf" not in encoding.options
    assert encoding.pix_fmt == "yuv420p"


@pytest.mark.parametrize("option", ["rc", "cq", "b", "g", "preset", "bf"])
@pytest.mark.parametrize("codec", GPU_CODECS)
def test_options_are_ffmpegs_own(codec, option) -> None:
    """One that is not known is passed over; of one that is, nonsense is refused."""
    with av.open("/dev/null", "w", format="null") as out:
        stream = out.add_stream(GPU_CODECS[codec].encoder, rate=25, options={option: "nonsense"})
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        with pytest.raises(av.error.ArgumentError):
            stream.codec_context.open()


def test_ten_bits_are_for_hevc() -> None:
    deep = dataclasses.replace(INFO, color=ColorSpec(bits=10))
    encoding = choose_encoding(Path("a.mkv"), deep, OutputConfig("hevc_nvenc"))
    assert encoding.pix_fmt == "yuv420p10le"
    with pytest.raises(MediaError, match="10 bits, h264_nvenc holds 8; use h264, h265"):
        choose_encoding(Path("a.mkv"), deep, OutputConfig("h264_nvenc"))
    small = dataclasses.replace(INFO, width=144)
    with pytest.raises(MediaError, match="narrower than 146 pixels"):
        choose_encoding(Path("a.mkv"), small, OutputConfig("h264_nvenc"))


def test_every_stored_format_is_one_that_the_encoder_takes() -> None:
    for codec in (CODECS | GPU_CODECS).values():
        known = {fmt.name for fmt in av.Codec(codec.encoder, "w").video_formats}
        assert set(codec.stored.values()) <= known
        assert not set(codec.stored) & known


def test_codes_stay_in_the_order_of_bytes_of_a_gpu() -> None:
    draw = np.random.default_rng(2)
    sizes = ((146, 258), (73, 129), (73, 129))
    planes = tuple(draw.integers(0, 1024, size).astype(np.uint16) for size in sizes)
    frame = av.VideoFrame(258, 146, "yuv420p10le")
    put_planes(frame, planes)
    stored = frame.reformat(format=GPU_CODECS["hevc_nvenc"].stored["yuv420p10le"])
    luma, pairs = (
        np.frombuffer(plane, np.uint16).reshape(plane.height, -1) for plane in stored.planes
    )
    np.testing.assert_array_equal(luma[:, :258], planes[0] << 6)
    np.testing.assert_array_equal(pairs[:, 0:258:2], planes[1] << 6)
    np.testing.assert_array_equal(pairs[:, 1:258:2], planes[2] << 6)


def test_an_encoder_that_stores_otherwise_gets_the_same_codes(tmp_path) -> None:
    """x264 stands for a GPU: it takes NV12 too."""
    draw = np.random.default_rng(3)
    sizes = ((144, 192), (72, 96), (72, 96))
    planes = tuple(draw.integers(16, 236, size).astype(np.uint8) for size in sizes)
    encoding = choose_encoding(Path("a.mkv"), INFO, OutputConfig("h264", crf=0))
    codec = dataclasses.replace(encoding.codec, stored={"yuv420p": "nv12"})
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        encoder = PictureEncoder(out, dataclasses.replace(encoding, codec=codec), INFO)
        assert encoder.stream.pix_fmt == "nv12"
        for packet in [*encoder.encode(planes, 0), *encoder.flush()]:
            out.mux(packet)
    with av.open(str(path)) as back:
        (frame,) = back.decode(video=0)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        np.testing.assert_array_equal(rows[:, : values.shape[1]], values)


@pytest.mark.parametrize("bad", [{"crf": 0}, {"crf": 52}])
@pytest.mark.parametrize("codec", GPU_CODECS)
def test_quality_zero_would_mean_any(codec, bad) -> None:
    with pytest.raises(ConfigError, match="crf must be 1 to 51"):
        OutputConfig(codec, **bad)


def test_nobody_gets_one_unasked() -> None:
    for bits in (8, 10, 12, 16):
        info = dataclasses.replace(INFO, color=ColorSpec(bits=bits))
        assert choose_encoding(Path("a.mkv"), info, OutputConfig()).name in CODECS


@pytest.mark.skipif(not NO_DRIVER, reason="there is a driver")
@pytest.mark.parametrize(("codec", "other"), [("h264_nvenc", "h264"), ("hevc_nvenc", "h265")])
def test_without_a_gpu_one_line_says_so_and_no_file_is_left(tmp_path, codec, other) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=2, size=(144, 192))
    with VideoReader(film.path) as reader:
        writer = VideoWriter(
            tmp_path / "b.mp4", film.path, reader.info, ColoredPlanes(), OutputConfig(codec)
        )
        with pytest.raises(MediaError) as caught, writer:
            writer.write(paint(next(iter(reader))))
    assert str(caught.value) == (
        f"{tmp_path / 'b.mp4'}: {codec} needs an NVIDIA GPU and its driver, and no driver was "
        f"found; install it, or use --codec {other}"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_a_gpu_refuses_is_told_with_a_way_out(tmp_path, monkeypatch) -> None:
    """A GPU without an encoder."""

    class Refuses:
        def __init__(self, *_: object) -> None:
            raise av.error.FFmpegError(38, "Function not implemented")

    monkeypatch.setattr(film_file, "PictureEncoder", Refuses)
    encoding = choose_encoding(Path("b.mp4"), INFO, OutputConfig("h264_nvenc"))
    with pytest.raises(MediaError, match=r"not implemented\); --codec h264 needs no GPU"):
        FilmFile(Path("b.mp4"), tmp_path / "b.mp4", encoding, INFO, None)
