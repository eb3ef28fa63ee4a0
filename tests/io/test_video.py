import itertools
import logging
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media import VFR, Film, cut_off, make_video, overwrite_middle, read_luma

from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.input_config import InputConfig
from vidcolor.io.prefetch import prefetch
from vidcolor.io.video import VideoReader


def read(path: Path, **config) -> tuple[np.ndarray, list[int], object]:
    with VideoReader(path, InputConfig(**config)) as reader:
        batches = list(reader)
        info = reader.info
    codes = np.concatenate([b.luma.numpy()[:, 0] for b in batches])
    return codes, [p for b in batches for p in b.pts], info


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("pix_fmt", "dtype"),
    [
        ("gray", np.uint8),
        ("gray10le", np.int16),
        ("gray16le", np.int32),
        ("yuv420p", np.uint8),
        ("yuv420p10le", np.int16),
        ("yuv422p12le", np.int16),
        ("yuv444p16le", np.int32),
    ],
)
def test_luma_is_the_decoded_plane(tmp_path, pix_fmt, dtype, full, size) -> None:
    film = make_video(tmp_path / "a.mkv", frames=3, pix_fmt=pix_fmt, full_range=full, size=size)
    codes, pts, info = read(film.path)
    assert codes.dtype == dtype
    np.testing.assert_array_equal(codes, np.stack(film.luma).astype(dtype))
    assert info.size == size
    assert info.color.full_range is full
    assert info.color.bits == np.iinfo(np.uint8).bits if dtype == np.uint8 else info.color.bits > 8
    assert [p * info.time_base for p in pts] == film.times


def test_batches_number_the_frames(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=7)
    with VideoReader(film.path, InputConfig(batch_size=3)) as reader:
        batches = list(reader)
        assert reader.frames_estimate in (7, 8)
    assert [len(b) for b in batches] == [3, 3, 1]
    assert [(b.index, b.start, b.shot) for b in batches] == [(0, 0, 0), (3, 3, 0), (6, 6, 0)]
    assert all(b.luma.shape[1] == 1 for b in batches)


def test_frames_belong_to_the_reader(tmp_path) -> None:
    """Writing into a batch must not reach the decoder's reference frames."""
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=12, options={"g": "100"})
    expected, _ = read_luma(film.path)
    with VideoReader(film.path, InputConfig(batch_size=1)) as reader:
        for batch, codes in zip(reader, expected, strict=True):
            np.testing.assert_array_equal(batch.luma[0, 0].numpy(), codes)
            batch.luma.fill_(0)


@pytest.mark.parametrize("pix_fmt", ["bgr0", "gbrp10le"])
def test_rgb_gives_luma_by_bt709(tmp_path, pix_fmt) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, pix_fmt=pix_fmt, full_range=None)
    codes, _, info = read(film.path)
    rgb = np.stack(film.rgb).astype(np.float64)
    expected = 0.2126 * rgb[..., 0] + 0.7152 * rgb[..., 1] + 0.0722 * rgb[..., 2]
    assert np.abs(codes - expected).max() <= 0.501
    assert info.color.full_range
    assert info.color.matrix == "bt709"
    assert info.color.bits == (8 if pix_fmt == "bgr0" else 10)


def test_gray_stored_as_rgb_keeps_its_codes(tmp_path) -> None:
    path = tmp_path / "a.mkv"
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        frame = av.VideoFrame.from_ndarray(np.dstack([codes] * 3), "rgb24").reformat(format="bgr0")
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    got, _, _ = read(path)
    np.testing.assert_array_equal(got[0], codes)


@pytest.mark.parametrize(
    ("height", "tags", "matrix"),
    [
        (48, (2, 2, 2), "bt601"),
        (578, (2, 2, 2), "bt709"),
        (48, (1, 1, 1), "bt709"),
        (578, (6, 6, 6), "bt601"),
        (48, (5, 5, 6), "bt601"),
        (48, (9, 9, 14), "bt2020"),
    ],
)
def test_matrix_is_the_tagged_or_goes_by_size(tmp_path, height, tags, matrix) -> None:
    film = make_video(tmp_path / "a.mkv", frames=1, size=(height, 64), tags=tags)
    _, _, info = read(film.path)
    assert info.color.matrix == matrix
    assert (info.color.primaries, info.color.transfer) == tags[1:]


@pytest.mark.parametrize(
    ("pix_fmt", "full", "expected"),
    [
        ("yuv420p", None, False),
        ("gray", None, True),
        ("gray", False, False),
        ("gray10le", True, True),
    ],
)
def test_untagged_range(tmp_path, pix_fmt, full, expected) -> None:
    film = make_video(tmp_path / "a.mkv", frames=1, pix_fmt=pix_fmt, full_range=full)
    assert read(film.path)[2].color.full_range is expected


def test_jpeg_pictures_are_full_range(tmp_path) -> None:
    film = make_video(
        tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=2, full_range=True
    )
    assert read(film.path)[2].color.full_range


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_aspect_and_rotation(tmp_path, name) -> None:
    film = make_video(
        tmp_path / name, codec="libx264", frames=2, aspect=Fraction(16, 15), rotation=90
    )
    _, _, info = read(film.path)
    assert info.sample_aspect == Fraction(16, 15)
    assert info.rotation == 90
    assert info.size == (48, 64)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize("frames", ["0", "3"])
def test_vfr_times_and_b_frames(tmp_path, name, frames) -> None:
    options = {"bf": frames, "b_strategy": "0"}
    film = make_video(
        tmp_path / name,
        codec="libx264",
        options=options,
        pts=[100 + 40 * p for p in VFR],
        time_base=Fraction(1, 1000),
    )
    _, pts, info = read(film.path, batch_size=5)
    origin = film.times[0] if name != "a.ts" else pts[0] * info.time_base
    assert [p * info.time_base - origin for p in pts] == [t - film.times[0] for t in film.times]


def test_avi_with_b_frames_has_increasing_times(tmp_path) -> None:
    film = make_video(tmp_path / "a.avi", codec="mpeg4", options={"bf": "2"}, frames=20)
    codes, pts, _ = read(film.path)
    assert len(codes) == 20
    assert all(b - a == 1 for a, b in itertools.pairwise(pts))


def test_repeated_and_missing_times_are_repaired_and_said(tmp_path, caplog, monkeypatch) -> None:
    film = make_video(
        tmp_path / "a.mkv", frames=6, time_base=Fraction(1, 1000), pts=range(0, 240, 40)
    )
    real = VideoReader._decoded_from

    def spoiled(self, first):
        for frame, pts in zip(real(self, first), (0, 40, 40, None, 30, 300), strict=True):
            frame.pts = pts
            frame.dts = pts
            yield frame

    monkeypatch.setattr(VideoReader, "_decoded_from", spoiled)
    with caplog.at_level(logging.WARNING):
        _, pts, _ = read(film.path)
    assert pts[0] == 0
    assert pts[-1] == 300
    assert all(b > a for a, b in itertools.pairwise(pts))
    assert sum("run backward" in m for m in caplog.messages) == 1
    assert sum("without a time" in m for m in caplog.messages) == 1


def test_has_color_only_where_chroma_is_more_than_noise(tmp_path) -> None:
    for name, kwargs, expected in [
        ("gray.mkv", {"pix_fmt": "gray"}, False),
        ("neutral.mkv", {}, False),
        ("color.mkv", {"color": True}, True),
        ("deep.mkv", {"color": True, "pix_fmt": "yuv420p10le"}, True),
        ("rgb.mkv", {"pix_fmt": "bgr0", "full_range": None}, True),
    ]:
        with VideoReader(make_video(tmp_path / name, frames=1, **kwargs).path) as reader:
            assert reader.has_color is expected, name


def test_cover_is_not_the_film(tmp_path) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", cover=True, frames=4)
    codes, _, _ = read(film.path)
    assert codes.shape == (4, 48, 64)


# -- spans ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_film(tmp_path_factory) -> Film:
    options = {"g": "10", "bf": "3", "b_strategy": "0", "flags": "-cgop"}
    path = tmp_path_factory.mktemp("span") / "a.mkv"
    return make_video(path, codec="libx264", options=options, frames=60)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=st.integers(0, 58), count=st.integers(1, 20))
def test_span_is_that_part_of_the_whole(long_film, first, count) -> None:
    whole, times = read_luma(long_film.path)
    start, duration = float(times[first]), count * 0.04
    codes, pts, info = read(long_film.path, start=start, duration=duration, batch_size=7)
    last = min(first + count, 60)
    assert [p * info.time_base for p in pts] == times[first:last]
    np.testing.assert_array_equal(codes, np.stack(whole[first:last]))


def test_start_counts_from_the_first_frame(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", time_base=Fraction(1, 1000), pts=range(5000, 5480, 40))
    _, pts, _ = read(film.path, start=0.08, duration=0.08)
    assert pts == [5080, 5120]


def test_estimate_of_a_span(long_film) -> None:
    with VideoReader(long_film.path, InputConfig(start=1.0, duration=0.4)) as reader:
        assert reader.frames_estimate == 10
    with VideoReader(long_film.path, InputConfig(start=2.0)) as reader:
        assert reader.frames_estimate == 10


def test_span_behind_the_end(long_film) -> None:
    with (
        pytest.raises(MediaError, match=r"no frames in the part.*0:00:02\.4"),
        VideoReader(long_film.path, InputConfig(start=100.0)),
    ):
        pass


@pytest.mark.parametrize("bad", [{"start": -1.0}, {"duration": 0.0}, {"batch_size": 0}])
def test_config_is_checked(bad) -> None:
    with pytest.raises(ConfigError):
        InputConfig(**bad)


# -- bad input -----------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(MediaError) as caught, VideoReader(path) as reader:
        for _ in reader:
            pass
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_missing_empty_folder_text(tmp_path) -> None:
    assert "no such file" in refused(tmp_path / "none.mkv")
    (tmp_path / "empty.mkv").touch()
    assert "is empty" in refused(tmp_path / "empty.mkv")
    assert "folder" in refused(tmp_path)
    for name in ("a.mkv", "a.txt", "a.mp4"):
        (tmp_path / name).write_text("This is no film.\n" * 50)
        refused(tmp_path / name)


def test_only_sound(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", sound=("aac",), frames=3)
    path = tmp_path / "b.mka"
    with av.open(str(film.path)) as source, av.open(str(path), "w", format="matroska") as out:
        copy = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    assert "only audio" in refused(path)


def test_no_frames(tmp_path) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=0)
    refused(film.path)


def test_encrypted(tmp_path) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    film = make_video(
        tmp_path / "a.mp4",
        codec="libx264",
        frames=30,
        container_options=options,
        options={"g": "10"},
    )
    message = refused(film.path)
    assert "is encrypted" in message


@pytest.mark.parametrize(
    ("name", "codec", "options", "container"),
    [
        ("a.mkv", "ffv1", {"level": "3"}, {}),
        ("a.mkv", "libx264", {"g": "10"}, {}),
        ("a.mp4", "libx264", {"g": "10"}, {}),
        ("a.mp4", "libx264", {"g": "10"}, {"movflags": "faststart"}),
        ("a.mp4", "libx264", {"g": "10"}, {"movflags": "frag_keyframe+empty_moov"}),
        ("a.avi", "mpeg4", {"g": "10"}, {}),
    ],
)
def test_cut_off_is_noticed(tmp_path, name, codec, options, container) -> None:
    film = make_video(
        tmp_path / name, codec=codec, options=options, frames=60, container_options=container
    )
    whole = film.path.stat().st_size
    read(film.path)
    cut_off(film.path, 0.6)
    assert film.path.stat().st_size < whole
    refused(film.path)


def test_frames_before_the_cut_come_out(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=40, options={"level": "3"})
    cut_off(film.path, 0.5)
    got = []
    with VideoReader(film.path, InputConfig(batch_size=1)) as reader:
        batches = iter(reader)
        with pytest.raises(MediaError, match=r"after 0:00:00\.\d+ .*missing"):
            got.extend(b.luma[0, 0].numpy() for b in iter(lambda: next(batches), None))
    assert 10 < len(got) < 30
    np.testing.assert_array_equal(np.stack(got), np.stack(film.luma[: len(got)]))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "ffv1", {"level": "3", "slicecrc": "1"}),
        ("a.mkv", "libx264", {"g": "10", "crf": "10"}),
        ("a.mp4", "libx264", {"g": "10", "crf": "10"}),
        ("a.mkv", "libx265", {"x265-params": "log-level=none", "g": "10"}),
        ("a.avi", "mpeg4", {"g": "10", "q": "2"}),
        ("a.mov", "prores_ks", {}),
    ],
)
def test_damage_in_the_middle_is_noticed(tmp_path, name, codec, options) -> None:
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    film = make_video(
        tmp_path / name, codec=codec, options=options, frames=60, pix_fmt=pix_fmt, size=(96, 128)
    )
    overwrite_middle(film.path, 1500)
    assert "damaged" in refused(film.path)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "options"),
    [
        ("mjpeg", "yuvj420p", {}),
        ("libx264", "yuv420p", {"g": "10", "crf": "5"}),
        ("mpeg4", "yuv420p", {"g": "10", "q": "2"}),
    ],
)
def test_a_few_wrong_bytes_inside_a_picture_are_noticed(tmp_path, codec, pix_fmt, options) -> None:
    film = make_video(tmp_path / "a.mkv", codec=codec, pix_fmt=pix_fmt, options=options, frames=30)
    with av.open(str(film.path)) as container:
        payload = [bytes(p) for p in container.demux() if p.size][15]
    data = bytearray(film.path.read_bytes())
    at = data.index(payload) + len(payload) // 2
    data[at : at + 8] = b"\xff" * 8
    film.path.write_bytes(bytes(data))
    assert "damaged" in refused(film.path)


def test_damage_between_pictures_is_noticed(tmp_path) -> None:
    """Matroska readers skip to the next cluster in silence."""
    film = make_video(tmp_path / "a.mkv", frames=60, options={"level": "3"}, size=(96, 128))
    data = bytearray(film.path.read_bytes())
    at = data.index(b"\xa3", len(data) // 2)
    data[at : at + 2000] = bytes(2000)
    film.path.write_bytes(bytes(data))
    assert "damaged" in refused(film.path)


def test_size_change_in_mid_film(tmp_path) -> None:
    small = make_video(tmp_path / "a.m2v", codec="mpeg2video", frames=6)
    large = make_video(tmp_path / "b.m2v", codec="mpeg2video", frames=6, size=(96, 128))
    joined = tmp_path / "c.m2v"
    joined.write_bytes(small.path.read_bytes() + large.path.read_bytes())
    assert "64x48 to 128x96" in refused(joined)


def test_closing_while_a_thread_decodes_is_safe(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=40)
    with VideoReader(film.path, InputConfig(batch_size=1)) as reader:
        batches = prefetch(reader, 2)
        next(batches)
    rest = list(batches)
    assert len(rest) < 39


def test_odd_file_names(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2)
    odd = tmp_path / "50% concat:a|b ünï.mkv"
    shutil.copy(film.path, odd)
    assert len(read(odd)[0]) == 2


def test_interlaced_and_hdr_are_said(tmp_path, caplog) -> None:
    film = make_video(
        tmp_path / "a.mkv",
        codec="libx264",
        options={"flags": "+ildct+ilme", "x264-params": "tff=1"},
        tags=(9, 9, 16),
        frames=3,
    )
    with caplog.at_level(logging.WARNING):
        read(film.path)
    assert any("interlaced" in m for m in caplog.messages)
    assert any("HDR (PQ)" in m for m in caplog.messages)


def test_luma_is_a_tensor_of_its_own(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2)
    with VideoReader(film.path) as reader:
        (batch,) = reader
    assert isinstance(batch.luma, torch.Tensor)
    np.testing.assert_array_equal(batch.luma.numpy()[:, 0], np.stack(film.luma))
