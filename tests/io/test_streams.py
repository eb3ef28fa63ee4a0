import logging
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media import (
    CHAPTERS,
    FONT,
    JPG_COVER,
    PNG_COVER,
    make_video,
    read_luma,
    read_packets,
)
from test_encode import colorize

from vidcolor.io.encode import OutputConfig

EVERYTHING = {
    "sound": ("flac", "aac"),
    "subtitles": "subrip",
    "attachment": True,
    "chapters": True,
    "cover": True,
    "metadata": {"title": "The film", "comment": "A comment", "studio": "Ours"},
    "stream_metadata": {"title": "Picture", "language": "jpn"},
}


def by_type(path: Path) -> list[tuple[str, str | None, int, dict[str, str]]]:
    """Type, codec, disposition and metadata of all streams."""
    with av.open(str(path)) as film:
        return [
            (
                s.type,
                s.codec_context.name if s.codec_context else None,
                int(s.disposition),
                {k: v for k, v in s.metadata.items() if k not in ("DURATION", "ENCODER")},
            )
            for s in film.streams
        ]


def film_notes(path: Path) -> tuple[dict[str, str], list[tuple[Fraction, Fraction, str]]]:
    with av.open(str(path)) as film:
        chapters = [
            (
                c["start"] * Fraction(c["time_base"]),
                c["end"] * Fraction(c["time_base"]),
                c["metadata"]["title"],
            )
            for c in film.chapters()
        ]
        return {k.lower(): v for k, v in film.metadata.items()}, chapters


def test_everything_passes_from_mkv_to_mkv(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, **EVERYTHING)
    output = colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"))
    assert by_type(output) == by_type(film.path)
    assert read_packets(output) == read_packets(film.path)
    assert sorted(read_packets(output)) == [1, 2, 3, 5]  # two of sound, subtitles, cover
    metadata, chapters = film_notes(output)
    assert chapters == [(0, Fraction(1, 5), "One"), (Fraction(1, 5), Fraction(1, 2), "2")]
    assert {k: metadata[k] for k in ("title", "comment", "studio")} == EVERYTHING["metadata"]
    with av.open(str(output)) as container:
        (font,) = container.streams.attachments
        assert bytes(font.data) == FONT
        still = container.streams[-1]
        assert bytes(next(container.demux(still))) == PNG_COVER


def test_mkv_to_mp4_says_what_stays_behind(tmp_path, caplog) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, **EVERYTHING)
    with caplog.at_level(logging.WARNING):
        output = colorize(film.path, tmp_path / "b.mp4", OutputConfig("h264"))
    said = "\n".join(caplog.messages)
    assert "subtitle stream 3 (srt, deu) left out: mp4 cannot hold it; use .mkv" in said
    assert "attachment stream 4 ('font.ttf') left out: mp4 holds no attachments" in said
    assert "metadata of the film left out (studio): mp4 cannot hold it beside a cover" in said
    assert len(caplog.messages) == 3
    kinds = [entry[:2] for entry in by_type(output) if entry[0] != "data"]
    assert kinds == [
        ("video", "h264"),
        ("audio", "flac"),
        ("audio", "aac"),
        ("video", "png"),
    ]
    source, copied = read_packets(film.path), read_packets(output)
    assert [h for _, h in copied[1]] == [h for _, h in source[1]]
    assert [h for _, h in copied[2]] == [h for _, h in source[2]]
    metadata, chapters = film_notes(output)
    assert [c[2] for c in chapters] == ["One", "2"]
    assert {k: metadata.get(k) for k in ("title", "comment", "studio")} == {
        **EVERYTHING["metadata"],
        "studio": None,
    }
    assert [entry[3].get("language") for entry in by_type(output)[:3]] == ["jpn", "eng", "fra"]


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_metadata_of_any_name(tmp_path, extension, caplog) -> None:
    film = make_video(tmp_path / "a.mkv", frames=2, metadata=EVERYTHING["metadata"])
    output = colorize(film.path, tmp_path / f"b.{extension}", OutputConfig("h264"))
    metadata, _ = film_notes(output)
    assert {k: metadata[k] for k in ("title", "comment", "studio")} == EVERYTHING["metadata"]
    assert caplog.messages == []


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_mp4_sound_keeps_packets_and_times(tmp_path, extension, caplog) -> None:
    """AAC begins 21 ms before the picture; that must move neither of them."""
    film = make_video(
        tmp_path / "a.mp4", codec="libx264", frames=20, sound=("aac", "libmp3lame"), chapters=True
    )
    output = colorize(film.path, tmp_path / f"b.{extension}", OutputConfig("h264"))
    assert read_luma(output)[1] == film.times
    source, copied = read_packets(film.path), read_packets(output)
    assert source[1][0][0] == Fraction(-1024, 48000)
    allowed = Fraction(1, 1000) if extension == "mkv" else 0
    for index in (1, 2):
        assert [h for _, h in copied[index]] == [h for _, h in source[index]]
        for (a, _), (b, _) in zip(source[index], copied[index], strict=True):
            assert abs(a - b) <= allowed
    titles = [entry[3].get("title") or entry[3].get("name") for entry in by_type(output)[1:3]]
    assert titles == ["Sound 0", "Sound 1"]
    assert caplog.messages == []


def test_twice_through_mkv_changes_no_time(tmp_path) -> None:
    """The noted delay of sound is read, and noted again."""
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=20, sound=("aac",))
    once = colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"))
    twice = colorize(once, tmp_path / "c.mkv", OutputConfig("ffv1"))
    assert read_packets(twice) == read_packets(once)
    assert read_luma(twice)[1] == film.times


def test_mp4_cover_and_text_subtitles(tmp_path) -> None:
    film = make_video(
        tmp_path / "a.mp4", codec="libx264", subtitles="mov_text", cover=True, frames=15
    )
    again = colorize(film.path, tmp_path / "b.mp4", OutputConfig("h264"))
    assert by_type(again) == by_type(film.path)
    assert read_packets(again) == read_packets(film.path)
    mkv = colorize(film.path, tmp_path / "c.mkv", OutputConfig("h264"))
    with av.open(str(mkv)) as container:
        still = container.streams[-1]
        assert still.disposition & av.stream.Disposition.attached_pic
        assert bytes(next(container.demux(still))) == JPG_COVER


def test_data_streams_are_named(tmp_path, caplog) -> None:
    film = make_video(tmp_path / "a.ts", codec="libx264", frames=5, data=True)
    assert "data" in [entry[0] for entry in by_type(film.path)]
    with caplog.at_level(logging.WARNING):
        colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"))
    assert any("data stream 1" in m and "left out" in m for m in caplog.messages)


def test_second_film_is_copied(tmp_path) -> None:
    one = make_video(tmp_path / "a.mkv", frames=10)
    two = make_video(tmp_path / "b.mkv", frames=10, size=(16, 16), codec="libx264")
    both = tmp_path / "c.mkv"
    with av.open(str(one.path)) as a, av.open(str(two.path)) as b, av.open(str(both), "w") as out:
        streams = [(s, out.add_stream_from_template(s.streams[0], opaque=True)) for s in (a, b)]
        for source, copy in streams:
            for packet in source.demux(source.streams[0]):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    output = colorize(both, tmp_path / "d.mkv", OutputConfig("ffv1"))
    assert [entry[:2] for entry in by_type(output)] == [("video", "ffv1"), ("video", "h264")]
    assert read_packets(output) == read_packets(both)


def test_span_cuts_packets_and_chapters(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=20, **EVERYTHING)
    output = colorize(film.path, tmp_path / "b.mkv", OutputConfig("ffv1"), span=(0.16, 0.24))
    source, copied = read_packets(film.path), read_packets(output)
    first, end = Fraction(4, 25), Fraction(2, 5)
    for index in (1, 2):
        expected = [(t - first, h) for t, h in source[index] if first <= t < end]
        assert copied[index] == expected
        assert len(expected) >= 3
    # "Hello" stands from 0 to 0.2 s, "World" from 0.25 to 0.45 s
    assert [t for t, _ in copied[3]] == [0, Fraction(9, 100)]
    assert [h for _, h in copied[3]] == [h for _, h in source[3]]
    _, chapters = film_notes(output)
    assert chapters == [(0, Fraction(1, 25), "One"), (Fraction(1, 25), Fraction(6, 25), "2")]
    assert len(CHAPTERS) == 2
    assert read_packets(output)[5] == source[5]


def test_packets_lie_beside_the_pictures_of_their_time(tmp_path) -> None:
    """Interleaved by time: a player reads the file front to back."""
    film = make_video(
        tmp_path / "a.mkv",
        frames=100,
        pts=range(0, 20_000, 200),
        time_base=Fraction(1, 1000),
        sound=("flac",),
    )
    output = colorize(film.path, tmp_path / "b.mkv", OutputConfig("h264"))
    with av.open(str(output)) as container:
        times = [p.pts * Fraction(p.time_base) for p in container.demux() if p.size]
    latest = times[0]
    for time in times:
        assert time > latest - 3  # B-frames alone are 1 s out of order
        latest = max(latest, time)
