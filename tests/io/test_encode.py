import os
import resource
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import VFR, Film, cut_off, describe, make_video, paint, read_luma, read_packets

from vidcolor.color.compose import ComposeConfig, PlaneLayout, chroma_planes
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.codecs import CODECS
from vidcolor.io.encode import OutputConfig, VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.input_config import InputConfig
from vidcolor.io.streams import OtherStreams
from vidcolor.io.video import VideoReader

LOSSLESS = OutputConfig(codec="ffv1")
PLANES = ColoredPlanes()


def colorize(
    source: Path,
    output: Path,
    config: OutputConfig = LOSSLESS,
    span: tuple[float | None, float | None] = (None, None),
) -> Path:
    """The whole way, with color painted on."""
    with (
        VideoReader(source, InputConfig(*span, batch_size=5)) as reader,
        VideoWriter(output, source, reader.info, PLANES, config, span) as writer,
    ):
        for batch in reader:
            writer.write(paint(batch))
    return output


def stop_in_the_middle(source: Path, output: Path, config: OutputConfig, error: type) -> None:
    """Fail after twelve frames."""
    with (
        VideoReader(source, InputConfig(batch_size=4)) as reader,
        VideoWriter(output, source, reader.info, PLANES, config) as writer,
    ):
        for batch in reader:
            writer.write(paint(batch))
            if batch.index == 8:
                raise error("stopped")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def film(tmp_path) -> Film:
    return make_video(tmp_path / "source.mkv")


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "pix_fmt",
    ["gray", "gray10le", "gray16le", "yuv420p", "yuv420p10le", "yuv444p12le", "yuv420p9le"],
)
def test_luma_in_is_luma_out(tmp_path, pix_fmt, full, size) -> None:
    """FFV1: what is decoded from the output is what was decoded from the source."""
    film = make_video(
        tmp_path / "a.mkv", frames=4, pix_fmt=pix_fmt, full_range=full, size=size, color=True
    )
    output = colorize(film.path, tmp_path / "b.mkv")
    codes, times = read_luma(output)
    assert times == film.times
    assert [c.tobytes() for c in codes] == [c.tobytes() for c in film.luma]
    found = describe(output)
    assert found["full"] is full
    assert found["format"].startswith("yuv420p")
    assert found["bits"] == film.luma[0].dtype.itemsize * 8 or found["bits"] in (9, 10, 12)


@pytest.mark.parametrize(
    ("config", "shift"),
    [
        (OutputConfig("ffv1", pix_fmt="yuv420p10le"), 2),
        (OutputConfig("ffv1", pix_fmt="yuv422p16le"), 8),
        (OutputConfig("h264", crf=0), 0),
        (OutputConfig("h264", crf=0, pix_fmt="yuv444p"), 0),
    ],
)
def test_deeper_output_is_the_luma_shifted(film, tmp_path, config, shift) -> None:
    codes, _ = read_luma(colorize(film.path, tmp_path / "b.mkv", config))
    expected = np.stack(film.luma).astype(np.uint16) << shift
    np.testing.assert_array_equal(np.stack(codes), expected)


def test_odd_sizes_in_h264_lose_nothing(tmp_path) -> None:
    for size, pix_fmt in [((48, 63), "444p"), ((47, 64), "422p"), ((47, 63), "444p")]:
        film = make_video(tmp_path / "a.mkv", frames=3, size=size)
        output = colorize(film.path, tmp_path / "b.mp4", OutputConfig(crf=0, overwrite=True))
        codes, _ = read_luma(output)
        np.testing.assert_array_equal(np.stack(codes), np.stack(film.luma))
        assert describe(output)["format"].endswith(pix_fmt)


def test_chroma_is_what_compose_makes(film, tmp_path) -> None:
    output = colorize(film.path, tmp_path / "b.mkv")
    with VideoReader(film.path) as reader:
        (batch,) = reader
    colored = paint(batch)
    expected = chroma_planes(
        film.luma[3],
        colored.chroma.ab[3].numpy(),
        colored.chroma.lightness[3, 0].numpy(),
        batch.info.color,
        PlaneLayout(2, 2, 8, False, "bt601", "left"),
        ComposeConfig(),
    )
    import av

    with av.open(str(output)) as container:
        frame = list(container.decode(video=0))[3]
        for index, plane in ((1, expected[0]), (2, expected[1])):
            rows = np.frombuffer(frame.planes[index], np.uint8).reshape(24, -1)[:, :32]
            np.testing.assert_array_equal(rows, plane)
    assert np.ptp(expected[0]) > 10


@pytest.mark.parametrize(
    ("codec", "extension", "bits", "decoder", "pix_fmt"),
    [
        ("auto", "mkv", 8, "h264", "yuv420p"),
        ("auto", "mp4", 10, "h264", "yuv420p10le"),
        ("auto", "mkv", 12, "hevc", "yuv420p12le"),
        ("auto", "mkv", 16, "ffv1", "yuv420p16le"),
        ("h264", "mov", 8, "h264", "yuv420p"),
        ("h265", "mkv", 8, "hevc", "yuv420p"),
        ("h265", "mp4", 10, "hevc", "yuv420p10le"),
        ("h265", "mov", 8, "hevc", "yuv420p"),
        ("av1", "mkv", 8, "libdav1d", "yuv420p"),
        ("av1", "mp4", 10, "libdav1d", "yuv420p10le"),
        ("prores", "mkv", 8, "prores", "yuv422p10le"),
        ("prores", "mov", 10, "prores", "yuv422p10le"),
        ("ffv1", "mkv", 8, "ffv1", "yuv420p"),
        ("ffv1", "mp4", 10, "ffv1", "yuv420p10le"),
    ],
)
def test_codecs_and_containers(tmp_path, codec, extension, bits, decoder, pix_fmt) -> None:
    """Times are exact, tags say what was used, and luma stays near the source's."""
    film = make_video(
        tmp_path / "a.mkv",
        pix_fmt={8: "yuv420p", 10: "yuv420p10le", 12: "gray12le", 16: "gray16le"}[bits],
        pts=[40 * p for p in VFR],
        time_base=Fraction(1, 1000),
        tags=(1, 1, 13),
        aspect=Fraction(1),
        rotation=270,
    )
    output = colorize(film.path, tmp_path / f"b.{extension}", OutputConfig(codec))
    codes, times = read_luma(output)
    assert times == film.times
    found = describe(output)
    assert (found["codec"], found["format"]) == (decoder, pix_fmt)
    assert found["tags"] == (1, 1, 13)
    assert found["full"] is False
    assert found["rotation"] == 270
    scale = 1 << (found["bits"] - bits)
    error = np.abs(np.stack(codes) / scale - np.stack(film.luma)).mean() / (1 << (bits - 8))
    assert error < (0.001 if codec == "ffv1" else 3)


@pytest.mark.parametrize(
    ("codec", "extension"),
    [("h264", "mkv"), ("h264", "mp4"), ("h265", "mp4"), ("av1", "mkv"), ("ffv1", "mkv")],
)
def test_full_range_stays_full(tmp_path, codec, extension) -> None:
    film = make_video(tmp_path / "a.mkv", pix_fmt="gray", full_range=True, frames=3)
    output = colorize(film.path, tmp_path / f"b.{extension}", OutputConfig(codec))
    assert describe(output)["full"] is True


@pytest.mark.parametrize(
    ("height", "tags", "expected"),
    [
        (48, (2, 2, 2), (6, 6, 6)),
        (578, (2, 2, 2), (1, 1, 1)),
        (48, (2, 5, 2), (5, 5, 6)),
        (48, (9, 2, 2), (9, 9, 14)),
        (48, (6, 1, 13), (6, 1, 13)),
    ],
)
@pytest.mark.parametrize("pix_fmt", ["gray", "yuv420p"])
def test_tags_say_what_was_used(tmp_path, height, tags, expected, pix_fmt) -> None:
    film = make_video(tmp_path / "a.mkv", frames=1, size=(height, 64), tags=tags, pix_fmt=pix_fmt)
    output = colorize(film.path, tmp_path / "b.mkv")
    assert describe(output)["tags"] == expected


def test_rgb_source_becomes_tagged_video(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, pix_fmt="bgr0", full_range=None)
    output = colorize(film.path, tmp_path / "b.mkv")
    found = describe(output)
    assert found["tags"] == (1, 1, 1)
    assert found["full"] is True
    rgb = np.stack(film.rgb).astype(np.float64)
    expected = rgb @ np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(np.stack(read_luma(output)[0]) - expected).max() <= 0.501


@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(8, 9), Fraction(1)])
@pytest.mark.parametrize(
    ("codec", "extension"),
    [(name, e) for name, codec in CODECS.items() for e in codec.extensions],
)
def test_aspect_is_kept(tmp_path, codec, extension, aspect) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=2, aspect=aspect)
    output = colorize(film.path, tmp_path / f"b{extension}", OutputConfig(codec))
    assert describe(output)["aspect"] == aspect
    assert len(read_luma(output)[0]) == 2


@pytest.mark.parametrize("extension", ["mp4", "mov"])
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 90000), [0, 3003, 6007, 9009, 12011]),
        (Fraction(1001, 30000), [0, 1, 2, 3, 7]),
        (Fraction(1, 12288), [512, 1024, 1536, 4000, 4512]),
        (Fraction(1, 1000), [33, 67, 100, 133, 167]),
    ],
)
def test_mp4_keeps_ticks_exactly(tmp_path, extension, time_base, pts) -> None:
    film = make_video(
        tmp_path / "a.mp4", codec="libx264", pts=pts, time_base=time_base, options={"bf": "2"}
    )
    _, source = read_luma(film.path)
    _, times = read_luma(colorize(film.path, tmp_path / f"b.{extension}", OutputConfig("h264")))
    assert times == source


def test_mkv_is_exact_to_its_clock(tmp_path) -> None:
    film = make_video(
        tmp_path / "a.mp4", codec="libx264", pts=range(0, 60060, 1001), time_base=Fraction(1, 24000)
    )
    _, source = read_luma(film.path)
    _, times = read_luma(colorize(film.path, tmp_path / "b.mkv", OutputConfig("h264")))
    assert len(times) == len(source)
    assert max(abs(a - b) for a, b in zip(source, times, strict=True)) <= Fraction(1, 2000)


def test_span_begins_at_zero(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=30)
    output = colorize(film.path, tmp_path / "b.mkv", span=(0.4, 0.32))
    codes, times = read_luma(output)
    assert times == [Fraction(n, 25) for n in range(8)]
    np.testing.assert_array_equal(np.stack(codes), np.stack(film.luma[10:18]))


# -- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("b.avi", OutputConfig(), r"\.mkv, \.mp4 or \.mov"),
        ("b", OutputConfig(), "no extension"),
        ("b.mov", OutputConfig("ffv1"), "mov cannot hold ffv1; use mkv or mp4"),
        ("b.mov", OutputConfig("av1"), "mov cannot hold av1; use mkv or mp4"),
        ("b.mp4", OutputConfig("prores"), "mp4 cannot hold prores; use mkv or mov"),
        ("b.mkv", OutputConfig("h264", pix_fmt="yuv420p12le"), "yuv420p, yuv422p"),
        ("b.mkv", OutputConfig("av1", pix_fmt="yuv444p"), "it can as yuv420p or yuv420p10le"),
        ("b.mkv", OutputConfig("h264", pix_fmt="gray"), "it can as"),
        ("b.mkv", OutputConfig("h264", preset="quick"), "preset=quick"),
        ("none/b.mkv", OutputConfig(), "there is no folder"),
    ],
)
def test_one_clear_line_before_work_begins(film, tmp_path, name, config, message) -> None:
    with pytest.raises(MediaError, match=message) as caught:
        colorize(film.path, tmp_path / name, config)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"source.mkv"}


@pytest.mark.parametrize(
    ("pix_fmt", "full", "codec", "message"),
    [
        ("gray12le", False, "h264", "12 bits, h264 holds 10; use h265 or ffv1"),
        ("gray16le", False, "prores", "16 bits, prores holds 10; use ffv1"),
        ("yuv420p", True, "prores", "full range, which prores cannot mark"),
    ],
)
def test_luma_that_would_not_fit_is_refused(tmp_path, pix_fmt, full, codec, message) -> None:
    film = make_video(tmp_path / "a.mkv", frames=1, pix_fmt=pix_fmt, full_range=full)
    with pytest.raises(MediaError, match=message):
        colorize(film.path, tmp_path / "b.mkv", OutputConfig(codec))


@pytest.mark.parametrize(
    "bad",
    [
        {"codec": "divx"},
        {"crf": -1},
        {"crf": 52},
        {"codec": "prores", "crf": 3},
        {"codec": "ffv1", "preset": "slow"},
    ],
)
def test_config_is_checked(bad) -> None:
    with pytest.raises(ConfigError):
        OutputConfig(**bad)


def test_output_is_never_replaced_unasked(film, tmp_path) -> None:
    output = tmp_path / "b.mkv"
    output.write_text("precious")
    with pytest.raises(MediaError, match="exists; use --overwrite"):
        colorize(film.path, output)
    assert output.read_text() == "precious"
    colorize(film.path, output, replace(LOSSLESS, overwrite=True))
    assert len(read_luma(output)[0]) == 12
    assert names(tmp_path) == {"source.mkv", "b.mkv"}


def test_output_that_appears_meanwhile_is_not_replaced(film, tmp_path) -> None:
    output = tmp_path / "b.mkv"

    def work() -> None:
        with (
            VideoReader(film.path) as reader,
            VideoWriter(output, film.path, reader.info, PLANES, LOSSLESS) as writer,
        ):
            for batch in reader:
                writer.write(paint(batch))
            output.write_text("precious")

    with pytest.raises(MediaError, match="appeared meanwhile"):
        work()
    assert output.read_text() == "precious"
    assert names(tmp_path) == {"source.mkv", "b.mkv"}


@pytest.mark.parametrize("how", ["same", "symbolic", "hard", "dots"])
def test_input_is_never_the_output(film, tmp_path, how) -> None:
    before = film.path.read_bytes()
    output = tmp_path / "other.mkv"
    if how == "same":
        output = film.path
    elif how == "symbolic":
        output.symlink_to(film.path)
    elif how == "hard":
        os.link(film.path, output)
    else:
        output = tmp_path / ".." / tmp_path.name / "source.mkv"
    with pytest.raises(MediaError, match="is the input itself"):
        colorize(film.path, output, replace(LOSSLESS, overwrite=True))
    assert film.path.read_bytes() == before


def test_device_files_are_not_replaced(film, tmp_path) -> None:
    pipe = tmp_path / "b.mkv"
    os.mkfifo(pipe)
    with pytest.raises(MediaError, match="not a file"):
        colorize(film.path, pipe, replace(LOSSLESS, overwrite=True))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_leave_to_write(film, tmp_path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(MediaError, match="permission denied"):
        colorize(film.path, folder / "b.mkv")


# -- failures on the way -------------------------------------------------------------------------


def test_error_in_the_body_leaves_nothing(film, tmp_path) -> None:
    with pytest.raises(LookupError, match="stopped"):
        stop_in_the_middle(film.path, tmp_path / "b.mkv", LOSSLESS, LookupError)
    assert names(tmp_path) == {"source.mkv"}
    assert not [t for t in threading.enumerate() if t.name == "vidcolor-encode"]


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_partial_is_kept_on_request(tmp_path, extension, error) -> None:
    film = make_video(tmp_path / "source.mkv", frames=30, sound=("aac",))
    config = OutputConfig("ffv1", keep_partial=True)
    for kept in (f"b.partial.{extension}", f"b.partial-2.{extension}"):
        with pytest.raises(error):
            stop_in_the_middle(film.path, tmp_path / f"b.{extension}", config, error)
        codes, times = read_luma(tmp_path / kept)
        np.testing.assert_array_equal(np.stack(codes), np.stack(film.luma[:12]))
        assert times == film.times[:12]
    partials = {f"b.partial.{extension}", f"b.partial-2.{extension}"}
    assert names(tmp_path) == {"source.mkv"} | partials


def test_truncated_film_keeps_what_was_decoded(tmp_path) -> None:
    film = make_video(tmp_path / "source.mkv", frames=40, sound=("aac",))
    cut_off(film.path, 0.5)
    config = OutputConfig("ffv1", keep_partial=True)
    with pytest.raises(MediaError, match="cut off after"):
        colorize(film.path, tmp_path / "b.mkv", config)
    codes, _ = read_luma(tmp_path / "b.partial.mkv")
    assert 10 < len(codes) < 30
    np.testing.assert_array_equal(np.stack(codes), np.stack(film.luma[: len(codes)]))
    with pytest.raises(MediaError, match="cut off after"):
        colorize(film.path, tmp_path / "c.mkv")
    assert names(tmp_path) == {"source.mkv", "b.partial.mkv"}


def test_truncated_mp4_with_sound_keeps_both(tmp_path) -> None:
    """Sound breaks off as well, and earlier or later than the picture."""
    film = make_video(
        tmp_path / "source.mp4",
        codec="libx264",
        frames=60,
        sound=("aac",),
        options={"g": "10", "crf": "5"},
        container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    )
    whole, source_times = read_luma(film.path)
    cut_off(film.path, 0.6)
    with pytest.raises(MediaError, match="damaged"):
        colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1", keep_partial=True))
    codes, times = read_luma(tmp_path / "b.partial.mkv")
    assert 10 < len(codes) < 50
    np.testing.assert_array_equal(np.stack(codes), np.stack(whole[: len(codes)]))
    assert times == source_times[: len(times)]
    assert len(read_packets(tmp_path / "b.partial.mkv")[1]) > 10
    assert names(tmp_path) == {"source.mp4", "b.partial.mkv"}


@pytest.mark.parametrize("keep", [False, True])
def test_damaged_sound_is_an_error(tmp_path, monkeypatch, keep) -> None:
    film = make_video(tmp_path / "source.mkv", frames=20, sound=("flac",))
    real = OtherStreams._cut

    def damaged(self, packet, ended):
        if packet.pts > 200:
            raise OSError(5, "Input/output error")
        return real(self, packet, ended)

    monkeypatch.setattr(OtherStreams, "_cut", damaged)
    with pytest.raises(MediaError, match="sound or subtitles are damaged"):
        colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1", keep_partial=keep))
    assert names(tmp_path) == {"source.mkv", *(["b.partial.mkv"] if keep else [])}
    if keep:
        assert len(read_luma(tmp_path / "b.partial.mkv")[0]) == 20


def test_no_frames_make_no_film(film, tmp_path) -> None:
    with (
        VideoReader(film.path) as reader,
        pytest.raises(MediaError, match="no frames"),
        VideoWriter(tmp_path / "b.mkv", film.path, reader.info, PLANES, LOSSLESS),
    ):
        pass
    assert names(tmp_path) == {"source.mkv"}


@pytest.mark.parametrize("limit", [500, 40_000])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_full_disk_is_one_line(tmp_path, limit, keep, extension) -> None:
    """A limit of file size stands in for the disk's end: the same calls fail."""
    film = make_video(tmp_path / "source.mkv", frames=60)
    config = OutputConfig("ffv1", keep_partial=keep)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(
            MediaError, match=r"b\.\w+: cannot be written .file too large"
        ) as caught:
            colorize(film.path, tmp_path / f"b.{extension}", config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"source.mkv"}


def test_frames_out_of_order_are_a_bug(film, tmp_path) -> None:
    with VideoReader(film.path, InputConfig(batch_size=4)) as reader:
        batches = [paint(batch) for batch in reader]

    def work() -> None:
        with VideoWriter(tmp_path / "b.mkv", None, reader.info, PLANES, LOSSLESS) as writer:
            writer.write(batches[1])
            writer.write(batches[0])

    with pytest.raises(ValueError, match="does not follow"):
        work()
    assert names(tmp_path) == {"source.mkv"}


def test_without_a_source_only_the_picture_is_written(film, tmp_path) -> None:
    with (
        VideoReader(film.path) as reader,
        VideoWriter(tmp_path / "b.mkv", None, reader.info, PLANES, LOSSLESS) as writer,
    ):
        for batch in reader:
            writer.write(paint(batch))
    assert writer.frames == 12
    assert read_luma(tmp_path / "b.mkv")[1] == film.times


def test_encoders_do_not_chatter(tmp_path) -> None:
    film = make_video(tmp_path / "source.mkv", frames=3)
    here = Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = {[str(here), str(here.parent)]!r}\n"
        "from test_encode import colorize, OutputConfig\nfrom pathlib import Path\n"
        f"for codec in ('h264', 'h265', 'av1', 'ffv1'):\n"
        f"    colorize(Path({str(film.path)!r}), Path({str(tmp_path)!r}) / (codec + '.mkv'),"
        " OutputConfig(codec))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
