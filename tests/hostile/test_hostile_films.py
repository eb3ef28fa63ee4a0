"""Broken films: read whole or refused in one line, in bounded time and memory, and never a lie."""

import random
import socket
import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from corpus import (
    FRAMES,
    KINDS,
    annex_b,
    avi_with_rate,
    avi_with_size,
    damaged,
    element,
    jpeg,
    long_mkv,
    make_kind,
    mkv,
    places_to_cut,
    write_blocks,
    y4m,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from media import make_video
from media_lab import faults, said, shared_lab

from vidcolor.errors import MediaError
from vidcolor.io.damage import structural_damage
from vidcolor.io.key_frames import find_key_frames
from vidcolor.io.source import open_source
from vidcolor.io.video import VideoReader
from vidcolor.ops.resize import network_size
from vidcolor.records import VideoInfo

STEPS = ("read", "color", "walk")
TELLING = ("ffv1.mkv", "raw.y4m")
"""Kinds whose files are the same at every run, and in which no damage we know of goes unseen."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The whole films, by kind."""
    folder = tmp_path_factory.mktemp("sound")
    return {kind: make_kind(folder, kind).path for kind in KINDS}


def ask(path, *steps, frames=None, **more):
    """What the worker did; it must be free of faults."""
    told = shared_lab().ask(path, *(steps or STEPS), **more)
    assert faults(path, told, frames) == []
    return told


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


# -- whole, cut, flipped --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_sound_films_are_read_and_colored_whole(sound, kind):
    told = ask(sound[kind], frames=FRAMES)
    assert said(told) == []
    assert len(told["read"]["times"]) == len(told["color"]["times"]) == FRAMES


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_cut_off_anywhere_is_whole_or_an_error(sound, tmp_path, kind):
    data = sound[kind].read_bytes()
    lost = 0
    for place in places_to_cut(data, 16):
        path = put(tmp_path, f"cut{Path(kind).suffix}", data[:place])
        at_a_packet = kind == "mpeg2.ts" and place % 188 == 0  # where a broadcast may end
        told = ask(path, "read", frames=None if at_a_packet else FRAMES)
        lost += "error" in told["read"]
    assert lost > 10


def test_what_is_cut_off_is_not_written_as_a_film(sound, tmp_path):
    for kind in KINDS:
        data = sound[kind].read_bytes()
        path = put(tmp_path, f"part{Path(kind).suffix}", data[: len(data) * 2 // 3])
        told = ask(path, frames=FRAMES)
        assert "error" in told["color"], kind
        assert "written" not in told["color"], kind


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10_000))
def test_damage_of_any_kind(sound, tmp_path_factory, kind, seed):
    data, _ = damaged(sound[kind].read_bytes(), seed)
    path = put(tmp_path_factory.getbasetemp(), f"damaged{Path(kind).suffix}", data)
    ask(path, frames=FRAMES if kind in TELLING else None)


# -- sizes that would fill the memory -------------------------------------------------------------


@pytest.mark.parametrize("size", [(65535, 65535), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (0, 0)])
def test_absurd_sizes(sound, tmp_path, size):
    avi = avi_with_size(sound["mjpeg.avi"].read_bytes(), *size)
    small = [
        put(tmp_path, "size.avi", avi),
        put(tmp_path, "size.y4m", y4m(*size, truth=False)),
        write_blocks(tmp_path / "size.mkv", [0, 40], size=size),
        write_blocks(tmp_path / "raw.mkv", [0, 40], size=size, codec="V_UNCOMPRESSED"),
        write_blocks(tmp_path / "ffv1.mkv", [0, 40], size=size, codec="V_FFV1"),
    ]
    for path in small:
        told = ask(path)
        assert told["grown_mb"] < 500, path.name
        assert told["seconds"] < 10, path.name


def test_a_picture_that_is_too_large_is_told_before_it_is_allocated(tmp_path):
    path = put(tmp_path, "large.y4m", y4m(16000, 16000, truth=False))
    told = ask(path)
    assert "16000x16000" in told["read"]["error"]["text"]
    assert "at most 142 million pixels" in told["read"]["error"]["text"]
    assert told["grown_mb"] < 100


def test_a_picture_that_grows_too_large_later_is_refused(tmp_path):
    """The limit holds in the decoder, whatever the header said."""
    large = jpeg(0)
    at = large.find(b"\xff\xc0")
    large = large[: at + 5] + struct.pack(">HH", 20000, 20000) + large[at + 9 :]
    avi = make_video(tmp_path / "grows.avi", frames=3, size=(32, 48), codec="mjpeg",
                     pix_fmt="yuvj420p", full_range=True).path  # fmt: skip
    data = avi.read_bytes()
    first = data.find(b"00dc", data.find(b"00dc") + 8)
    length = int.from_bytes(data[first + 4 : first + 8], "little")
    put(tmp_path, "grows.avi", data[: first + 8] + large[:length].ljust(length, b"\0")
        + data[first + 8 + length :])  # fmt: skip
    told = ask(avi)
    assert "error" in told["read"]
    assert told["grown_mb"] < 300


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (17, 33), (16, 4000), (4000, 16)])
def test_small_and_narrow_films(tmp_path, size):
    path = put(tmp_path, "narrow.y4m", y4m(*size, 3))
    told = ask(path, frames=3)
    assert said(told) == []
    assert len(told["color"]["times"]) == 3


def test_a_strip_is_pressed_together_for_the_network():
    assert network_size(VideoInfo(1, 8000), 256) == (256, 2048)
    assert network_size(VideoInfo(8000, 2), 64) == (512, 64)
    assert network_size(VideoInfo(100, 700), 64) == (64, 448)


@pytest.mark.parametrize("aspect", ["65000:1", "1:65000", "0:1", "1:0", "-3:1"])
def test_absurd_pixel_aspects_are_read_as_square(tmp_path, aspect):
    path = put(tmp_path, "aspect.y4m", y4m(16, 16, 3).replace(b"A1:1", b"A" + aspect.encode()))
    told = ask(path, frames=3)
    assert said(told) == []
    with VideoReader(path) as reader:
        assert reader.info.sample_aspect == 1


def test_pixels_twice_as_wide_are_kept(tmp_path):
    path = put(tmp_path, "wide.y4m", y4m(16, 16, 3).replace(b"A1:1", b"A2:1"))
    with VideoReader(path) as reader:
        assert reader.info.sample_aspect == 2


# -- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["0:0", "1:0", "0:1", "-25:1", "1000000000:1", "1:2147483647"])
def test_absurd_rates_of_y4m(tmp_path, rate):
    told = ask(put(tmp_path, "rate.y4m", y4m(16, 16, 4, rate=rate)), frames=4)
    assert said(told) == []


@pytest.mark.parametrize(
    "clock", [(0, 0), (1, 0), (0, 25), (2**31, 1), (1, 10**9), (2**32 - 1, 1), (1, 2**32 - 1)]
)
def test_absurd_rates_of_avi(sound, tmp_path, clock):
    data = avi_with_rate(sound["mjpeg.avi"].read_bytes(), *clock)
    told = ask(put(tmp_path, "rate.avi", data), frames=FRAMES)
    assert said(told) == []


@pytest.mark.parametrize("scale", [0, 1, 10**9, 2**31])
@pytest.mark.parametrize("duration", [None, 0.0, -5.0, float("nan"), float("inf"), 1e300])
def test_absurd_ticks_and_durations_of_matroska(tmp_path, scale, duration):
    path = write_blocks(tmp_path / "clock.mkv", [0, 40, 80], scale=scale, duration=duration)
    assert said(ask(path, frames=3)) == []


@pytest.mark.parametrize("duration", [3600.0 * 24 * 1000, 9e15])
def test_a_film_that_says_it_lasts_for_ages_is_sketched_in_time(tmp_path, duration):
    path = write_blocks(tmp_path / "ages.mkv", [0, 40, 80], duration=duration)
    told = ask(path, "walk")
    assert said(told) == []
    assert told["seconds"] < 10
    assert told["grown_mb"] < 200


@pytest.mark.parametrize("frame", [1, 10**18, 2**62])
def test_absurd_frame_durations(tmp_path, frame):
    path = write_blocks(tmp_path / "frame.mkv", [0, 40, 80], default_duration=frame)
    assert said(ask(path, frames=3)) == []


@pytest.mark.parametrize(
    ("times", "cluster"),
    [
        ([-80, -40, 0, 40], 0),
        ([0, 40, 40, 40, 80], 0),
        ([0, 80, 40, 120, 20], 0),
        ([0, 40, 32000], 0),
        ([0, 40, 80], 2**50),
        ([0, 40, 80], 2**62),
        ([0, 40, 80], 2**63 - 50),
        ([0], 0),
    ],
    ids=["negative", "repeated", "backward", "gap", "far", "farther", "wrapping", "one"],
)
def test_times(tmp_path, times, cluster):
    path = write_blocks(tmp_path / "times.mkv", times, cluster=cluster)
    told = ask(path, frames=len(times))
    assert said(told) == []
    assert len(told["color"]["times"]) == len(times)


def test_no_frames(tmp_path):
    for path in (
        put(tmp_path, "none.y4m", y4m(16, 16, 0)),
        write_blocks(tmp_path / "none.mkv", []),
    ):
        assert "has no frames" in ask(path)["read"]["error"]["text"]


def test_a_hundred_thousand_frames_at_uneven_times(tmp_path):
    draw = random.Random(1)
    data, times = long_mkv(100_000, [draw.choice((1, 5, 40, 41, 42)) for _ in range(997)])
    path = put(tmp_path, "long.mkv", data)
    told = ask(path, "read", most=200_000)
    assert [Fraction(time) * 1000 for time in told["read"]["times"]] == times
    assert told["grown_mb"] < 300
    assert len(find_key_frames(path)) == 100_000


# -- what changes on the way ----------------------------------------------------------------------


def test_another_size_in_mid_stream(tmp_path):
    path = annex_b(tmp_path / "sizes.h264", [(32, 48), (64, 96)])
    told = ask(path)
    assert "changes from 48x32 to 96x64" in told["read"]["error"]["text"]
    assert len(told["read"]["times"]) == 4
    assert "written" not in told["color"]


def test_another_depth_in_mid_stream(tmp_path):
    shallow = annex_b(tmp_path / "shallow.h264", [(32, 48)])
    deep = annex_b(tmp_path / "deep.h264", [(32, 48)], pix_fmt="yuv420p10le")
    path = put(tmp_path, "both.h264", shallow.read_bytes() + deep.read_bytes())
    assert "pixel format changes" in ask(path)["color"]["error"]["text"]


def test_chroma_that_changes_does_no_harm_to_luma(tmp_path):
    parts = [
        annex_b(tmp_path / f"{fmt}.h264", [(32, 48)], pix_fmt=fmt).read_bytes()
        for fmt in ("yuv420p", "yuv444p")
    ]
    told = ask(put(tmp_path, "chroma.h264", b"".join(parts)), "read", "color", frames=8)
    assert said(told) == []


# -- much of it -----------------------------------------------------------------------------------


def test_a_thousand_streams(tmp_path):
    path = write_blocks(tmp_path / "streams.mkv", [0, 40], tracks=900)
    told = ask(path, "read", "walk", frames=2)
    assert said(told) == []


def test_thousands_of_chapters_with_odd_titles(tmp_path):
    chapters = b"".join(
        element(
            0xB6,
            element(0x73C4, n + 1)
            + element(0x91, n * 1000)
            + element(0x92, n * 1000 + 500)
            + element(0x80, element(0x85, f"t\n\x1b[31m{n}") + element(0x437C, "eng")),
        )
        for n in range(4000)
    )
    more = element(0x1043A770, element(0x45B9, chapters))
    told = ask(write_blocks(tmp_path / "chapters.mkv", [0, 40], more=more), frames=2)
    assert said(told) == []
    assert told["grown_mb"] < 400


def attachments(name, size=None):
    data = element(0x465C, b"font")
    if size is not None:
        data = data[:2] + (size | 1 << 56).to_bytes(8, "big")
    file = element(0x466E, name) + element(0x4660, "font/ttf") + element(0x46AE, 7) + data
    return element(0x1941A469, element(0x61A7, file))


def test_an_attachment_of_a_terabyte(tmp_path):
    more = attachments("font.ttf", 2**40)
    told = ask(write_blocks(tmp_path / "large.mkv", [0, 40], more=more))
    assert told["grown_mb"] < 100


def test_attachment_names_are_data(tmp_path):
    name = "..\\..\\..\\evil\x1b[2J/../evil.ttf"
    path = write_blocks(tmp_path / "names.mkv", [0, 40], more=attachments(name))
    told = ask(path, frames=2)
    assert said(told) == []
    assert told["color"]["beside"] == []


# -- structure ------------------------------------------------------------------------------------


def test_a_block_of_no_track_is_damage(tmp_path):
    whole = write_blocks(tmp_path / "track.mkv", [0, 40, 80])
    assert structural_damage(whole) is None
    data = whole.read_bytes()
    second = data.find(b"\x81" + struct.pack(">h", 40))
    put(tmp_path, "track.mkv", data[:second] + b"\x85" + data[second + 1 :])
    told = ask(whole, frames=3)
    assert f"damaged at byte {second - 9}" in told["read"]["error"]["text"]


def test_the_second_riff_of_a_large_avi_counts(tmp_path):
    def riff(kind, size, content):
        return b"RIFF" + struct.pack("<I", size) + kind + content

    chunk = b"LIST" + struct.pack("<I", 16) + b"movi" + b"00dc" + struct.pack("<I", 4) + b"data"
    head = b"strh" + struct.pack("<I", 4) + b"vids"
    whole = riff(b"AVI ", 40, head + chunk) + riff(b"AVIX", 28, chunk)
    assert structural_damage(put(tmp_path, "two.avi", whole)) is None
    cut = put(tmp_path, "two.avi", whole[:-3])
    assert structural_damage(cut) == "3 bytes are missing at its end"
    strange = put(tmp_path, "two.avi", whole.replace(b"00dc", b"80dc"))
    assert structural_damage(strange) == "it is damaged at byte 36"


def test_a_transport_packet_without_its_mark_is_damage(sound, tmp_path):
    data = bytearray(sound["mpeg2.ts"].read_bytes())
    data[188 * 30] = 0x48
    damage = structural_damage(put(tmp_path, "mark.ts", bytes(data)))
    assert damage == f"it is damaged at byte {188 * 30}"


def test_checksums_of_ffv1_are_looked_at(sound, tmp_path):
    """A bit in each picture: the decoder paints over it and says nothing."""
    data = bytearray(sound["ffv1.nut"].read_bytes())
    with av.open(str(sound["ffv1.nut"])) as film:
        for packet in film.demux(video=0):
            if packet.size:
                data[bytes(data).find(bytes(packet)) + 200] ^= 4
    told = ask(put(tmp_path, "bits.nut", bytes(data)), "read")
    assert "the checksum of a picture is wrong" in told["read"]["error"]["text"]


def test_ffv1_without_checksums_is_read(tmp_path):
    options = {"level": "3", "slicecrc": "0"}
    path = make_video(tmp_path / "plain.mkv", frames=5, size=(32, 48), options=options).path
    assert said(ask(path, frames=5)) == []


def test_a_picture_that_a_decoder_drops_is_missed(tmp_path):
    """A bit makes one VP9 picture a hidden one; no decoder complains."""
    quick = {"g": "1", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    path = make_video(tmp_path / "hidden.webm", size=(32, 48), codec="libvpx-vp9", options=quick,
                      frames=8).path  # fmt: skip
    assert said(ask(path, "read", frames=8)) == []
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as film:
        fifth = [packet for packet in film.demux(video=0) if packet.size][4]
    data[bytes(data).find(bytes(fifth))] &= ~0x02
    put(tmp_path, "hidden.webm", bytes(data))
    with av.open(str(path)) as film:
        assert len(list(film.decode(video=0))) == 7
    told = ask(path, frames=8)
    for step in ("read", "color"):
        assert "1 of its pictures cannot be decoded" in told[step]["error"]["text"]


# -- files that are others in disguise ------------------------------------------------------------


@pytest.fixture
def others(tmp_path):
    """Films that a list would lead to."""
    make_video(tmp_path / "other.ts", codec="mpeg2video", frames=12)
    return tmp_path


@pytest.mark.parametrize("name", ["list.m3u8", "list.mkv", "list.txt"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        "<AdaptationSet><Representation id='0'><BaseURL>other.ts</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
    ],
    ids=["hls", "concat", "sdp", "dash"],
)
def test_lists_of_other_files_are_not_followed(others, name, text):
    path = put(others, name, text.encode())
    told = ask(path)
    for step in STEPS:
        assert "error" in told[step]
    with pytest.raises(MediaError):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.txt", "ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_lists_that_ffmpeg_would_follow(others, name, text):
    path = put(others, name, text.encode())
    with av.open(str(path)) as film:
        assert len(list(film.decode(video=0))) == 12
    told = ask(path)
    for step in STEPS:
        assert "is a list of other files" in told[step]["error"]["text"]


def test_a_playlist_opens_no_connection(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/other.ts"
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        assert "is a list of other files" in ask(put(tmp_path, "web.m3u8", text.encode()))["read"][
            "error"
        ]["text"]  # fmt: skip
        with pytest.raises(TimeoutError):
            listening.accept()


def test_a_name_that_is_a_pattern_opens_no_other_pictures(tmp_path):
    for number in range(1, 4):
        put(tmp_path, f"p{number}.bmp", b"BM")
    told = ask(put(tmp_path, "p%d.bmp", b"BM"))
    assert "without %" in told["read"]["error"]["text"]


# -- metadata -------------------------------------------------------------------------------------


def test_metadata_that_is_not_utf8_is_read_as_latin1(tmp_path):
    path = make_video(tmp_path / "old.mkv", frames=3, metadata={"title": "qqqq"}).path
    data = path.read_bytes()
    put(tmp_path, "old.mkv", data.replace(b"qqqq", b"caf\xe9"))
    container, _ = open_source(path)
    with container:
        assert container.metadata["title"] == "café"
    assert said(ask(path, frames=3)) == []


def test_hand_made_films_are_films(tmp_path):
    """The makers of this corpus make sound films where they are not told to lie."""
    path = put(tmp_path, "plain.mkv", mkv([]))
    assert structural_damage(path) is None
    with av.open(str(write_blocks(tmp_path / "plain.mkv", [0, 40, 80]))) as film:
        assert [frame.pts for frame in film.decode(video=0)] == [0, 40, 80]
    with av.open(str(put(tmp_path, "plain.y4m", y4m(16, 24, 3)))) as film:
        assert len(list(film.decode(video=0))) == 3
    kind = make_kind(tmp_path, "rgb.gif").path
    with av.open(str(kind)) as film:
        assert len(list(film.decode(video=0))) == FRAMES
