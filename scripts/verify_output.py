"""Is OUTPUT what was promised of SOURCE: the same film, with color?

Compares, and prints as a table:

  frames     how many there are
  times      every frame's time, within half a tick of the output's clock (1 ms in mkv)
  luma       every frame's Y plane; a deeper output may be shifted up. FFV1 must be equal to the
             bit. Other codecs lose something: the table has PSNR and the largest difference, in
             codes of the source, and `--exact` makes any difference a failure.
  picture    size, pixel aspect, rotation, range, and the color tags, which must not be empty
  streams    sound, subtitles, attachments, covers: every packet's bytes and time, language,
             disposition
  notes      chapters and metadata

What mp4 and mov cannot hold (attachments, most subtitles, data) is listed, not a failure.
Exits 0 when all is as promised, 1 when something is not, 2 when a file cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidcolor.errors import MediaError
from vidcolor.io.encode import color_tags
from vidcolor.io.input_config import InputConfig
from vidcolor.io.source import Span, is_cover, open_source
from vidcolor.io.video import VideoReader

OK, NOTE, BAD = "ok", "note", "BAD"
_LOSSLESS = ("ffv1",)
_OWN_KEYS = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    state: str
    detail: str


@dataclass
class Track:
    """A stream that is not the picture."""

    kind: str
    codec: str
    label: str
    default: bool
    language: str
    digests: list[str] = field(default_factory=list)
    times: list[Fraction | None] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Of all packets together."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()


@dataclass
class Contents:
    """Everything in a file but its picture."""

    codec: str
    time_base: Fraction
    tags: tuple[int, int, int, int]
    tracks: list[Track]
    chapters: list[tuple[Fraction, Fraction, str]]
    metadata: dict[str, str]
    data_streams: int


def contents(path: Path, span: tuple[float | None, float | None] = (None, None)) -> Contents:
    """Read packets, chapters, metadata; a part is cut and shifted as the writer does it."""
    tags = _first_tags(path)
    container, picture = open_source(path)
    with container:
        part = Span.of(picture, *span)
        tracks = {
            s.index: _track(s) for s in container.streams if s is not picture and s.type != "data"
        }
        for packet in container.demux():
            track = tracks.get(packet.stream_index)
            if track is None or not packet.size:
                continue
            time = None if packet.pts is None else packet.pts * Fraction(packet.time_base)
            if track.kind != "cover" and time is not None:
                if part.first is not None and time < part.first:
                    continue
                if part.end is not None and time >= part.end:
                    continue
                time -= part.shift
            data = bytes(packet)
            if track.codec == "mov_text" and data == b"\0\0":
                continue  # a gap between texts, made by the muxer
            track.digests.append(hashlib.sha256(data).hexdigest())
            track.times.append(None if track.kind == "cover" else time)
        chapters = [
            (
                c["start"] * Fraction(c["time_base"]),
                c["end"] * Fraction(c["time_base"]),
                c["metadata"].get("title", ""),
            )
            for c in container.chapters()
        ]
        return Contents(
            picture.codec_context.name,
            Fraction(picture.time_base),
            tags,
            list(tracks.values()),
            chapters,
            {k.lower(): v for k, v in container.metadata.items() if k.lower() not in _OWN_KEYS},
            sum(s.type == "data" for s in container.streams),
        )


def _first_tags(path: Path) -> tuple[int, int, int, int]:
    container, picture = open_source(path)
    with container:
        frame = next(container.decode(picture), None)
        if frame is None:
            return (0, 2, 2, 2)
        return (
            int(frame.color_range),
            int(frame.colorspace),
            int(frame.color_primaries),
            int(frame.color_trc),
        )


def _track(stream: Any) -> Track:
    kind = "cover" if is_cover(stream) else stream.type
    codec = stream.codec_context.name if stream.codec_context is not None else ""
    language = stream.metadata.get("language", "und")
    label = f"{kind} {stream.index}" + (f" ({codec}, {language})" if codec else "")
    default = bool(stream.disposition & type(stream.disposition).default)
    track = Track(kind, codec, label, default, language)
    if kind == "attachment":
        track.digests.append(hashlib.sha256(bytes(stream.data)).hexdigest())
        track.times.append(None)
    return track


def frames(reader: VideoReader) -> Iterator[tuple[Fraction, np.ndarray[Any, Any]]]:
    """Time and luma of every frame."""
    for batch in reader:
        for pts, luma in zip(batch.pts, batch.luma[:, 0].numpy(), strict=True):
            yield pts * batch.info.time_base, luma


def compare_picture(
    source: Path,
    output: Path,
    span: tuple[float | None, float | None],
    exact: bool,
    codec: str,
) -> Iterator[Finding]:
    """Frames, times, luma, and what the reader makes of the picture."""
    with (
        VideoReader(source, InputConfig(*span, batch_size=4)) as before,
        VideoReader(output, InputConfig(batch_size=4)) as after,
    ):
        old, new = before.info, after.info
        moved = Fraction(0)
        if span[0]:
            moved = Span.of(before._stream, *span).shift
            moved = round(moved / old.time_base) * old.time_base
        shift = new.color.bits - old.color.bits
        count = [0, 0]
        late, worst, squares, changed, values = Fraction(0), 0, 0.0, 0, 0
        left, right = frames(before), frames(after)
        while True:
            a, b = next(left, None), next(right, None)
            count[0] += a is not None
            count[1] += b is not None
            if a is None and b is None:
                break
            if a is None or b is None or old.size != new.size:
                continue
            late = max(late, abs(a[0] - moved - b[0]))
            difference = b[1].astype(np.int64) - (a[1].astype(np.int64) << max(shift, 0))
            if difference.any():
                changed += 1
                worst = max(worst, int(np.abs(difference).max()))
                squares += float((difference.astype(np.float64) ** 2).sum())
            values += difference.size
        yield Finding("frames", OK if count[0] == count[1] else BAD, f"{count[0]} and {count[1]}")
        allowed = new.time_base / 2 if new.time_base > 0 else Fraction(0)
        yield Finding(
            "times",
            OK if late <= allowed else BAD,
            "all equal" if not late else f"at most {float(late) * 1000:.3f} ms apart",
        )
        if shift < 0:
            yield Finding("luma", BAD, f"{old.color.bits} bits became {new.color.bits}")
        elif old.size == new.size and values:
            yield _luma(
                changed, count[0], worst, squares / values, shift, new.color.bits, exact, codec
            )
        for name, a, b in [
            ("size", old.size, new.size),
            ("pixel aspect", old.sample_aspect, new.sample_aspect),
            ("rotation", old.rotation, new.rotation),
            ("range", _range(old.color.full_range), _range(new.color.full_range)),
        ]:
            yield Finding(name, OK if a == b else BAD, f"{a}" if a == b else f"{a} became {b}")
        wanted, found = color_tags(old), contents(output).tags
        if codec == "prores":  # has no room for the range, which is always limited
            found = (wanted[0], *found[1:])
        text = "range {}, matrix {}, primaries {}, transfer {}"
        yield Finding(
            "color tags",
            OK if wanted == found else BAD,
            text.format(*found)
            + ("" if wanted == found else f"; should be {text.format(*wanted)}"),
        )


def _range(full: bool) -> str:
    return "full" if full else "limited"


def _luma(
    changed: int,
    total: int,
    worst: int,
    error: float,
    shift: int,
    bits: int,
    exact: bool,
    codec: str,
) -> Finding:
    shifted = f", shifted by {shift} bits" if shift else ""
    if not changed:
        return Finding("luma", OK, f"all {total} frames equal to the bit{shifted}")
    peak = (1 << bits) - 1
    psnr = 10 * math.log10(peak**2 / error)
    state = BAD if exact or codec in _LOSSLESS else NOTE
    scale = 1 << shift
    detail = f"{changed} frames changed by {codec}: PSNR {psnr:.1f} dB, at most {worst / scale:.4g}"
    return Finding("luma", state, f"{detail} codes{shifted}")


def compare_streams(source: Contents, output: Contents, strict: bool) -> Iterator[Finding]:
    """Every other stream: found again by its bytes."""
    rest = list(output.tracks)
    tick = Fraction(1, 1000)
    for track in source.tracks:
        same = [t for t in rest if t.kind == track.kind and t.digest == track.digest]
        if not same:
            near = [t for t in rest if t.kind == track.kind and t.codec == track.codec]
            if near and track.kind not in ("attachment", "cover"):
                rest.remove(near[0])
                yield Finding(track.label, BAD, _difference(track, near[0]))
            else:
                yield Finding(track.label, BAD if strict else NOTE, "is not in the output")
            continue
        copy = same[0]
        rest.remove(copy)
        pairs = zip(track.times, copy.times, strict=True)
        gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        late = max(gaps, default=Fraction(0))
        problems = []
        if late > tick:
            problems.append(f"times differ by up to {float(late) * 1000:.1f} ms")
        if track.language != copy.language:
            problems.append(f"language became {copy.language}")
        if track.default != copy.default and strict:
            problems.append("default flag changed")
        detail = "; ".join(problems) or f"{len(track.digests)} packets equal"
        yield Finding(track.label, BAD if problems else OK, detail)
    for track in rest:
        yield Finding(track.label, BAD, "was not in the source")
    if source.data_streams > output.data_streams:
        yield Finding("data streams", NOTE, "left out")


def _difference(track: Track, copy: Track) -> str:
    same = sum(a == b for a, b in zip(track.digests, copy.digests, strict=False))
    return f"{len(track.digests)} packets became {len(copy.digests)}, {same} of them equal"


def compare_notes(source: Contents, output: Contents, strict: bool) -> Iterator[Finding]:
    """Chapters and metadata of a whole film."""
    tick = Fraction(1, 1000)
    kept = len(source.chapters) == len(output.chapters) and all(
        abs(a[0] - b[0]) <= tick and abs(a[1] - b[1]) <= tick and a[2] == b[2]
        for a, b in zip(source.chapters, output.chapters, strict=False)
    )
    if source.chapters or output.chapters:
        count = f"{len(source.chapters)} and {len(output.chapters)}"
        yield Finding(
            "chapters", OK if kept else BAD, count if kept else f"{count}, or they differ"
        )
    lost = sorted(k for k, v in source.metadata.items() if output.metadata.get(k) != v)
    if source.metadata:
        state = OK if not lost else (BAD if strict else NOTE)
        detail = f"{len(source.metadata)} entries" if not lost else f"not kept: {', '.join(lost)}"
        yield Finding("metadata", state, detail)


def verify(
    source: Path,
    output: Path,
    *,
    start: float | None = None,
    duration: float | None = None,
    exact: bool = False,
) -> list[Finding]:
    """Compare an output with the part of the source that it was made of.

    Raises:
        MediaError: If one of them cannot be read.
    """
    span = (start, duration)
    before, after = contents(source, span), contents(output)
    strict = output.suffix.lower() == ".mkv"
    findings = list(compare_picture(source, output, span, exact, after.codec))
    findings += compare_streams(before, after, strict)
    if span == (None, None):
        findings += compare_notes(before, after, strict)
    return findings


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the black-and-white film")
    parser.add_argument("output", type=Path, help="what vidcolor made of it")
    parser.add_argument("--start", type=float, help="as given to vidcolor, in seconds")
    parser.add_argument("--duration", type=float, help="as given to vidcolor, in seconds")
    parser.add_argument("--exact", action="store_true", help="any change of luma is a failure")
    given = parser.parse_args(arguments)
    try:
        findings = verify(
            given.source,
            given.output,
            start=given.start,
            duration=given.duration,
            exact=given.exact,
        )
    except (MediaError, av.error.FFmpegError) as error:
        print(f"verify_output: {error}", file=sys.stderr)
        return 2
    width = max(len(f.what) for f in findings)
    for finding in findings:
        print(f"{finding.what:<{width}}  {finding.state:<4}  {finding.detail}")
    bad = sum(f.state == BAD for f in findings)
    print(f"{given.output}: {'as promised' if not bad else f'{bad} not as promised'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
