"""A film in finished pieces: what has been colored once need not be colored again.

Each segment is a shot (or a run of shots), encoded on its own: it begins with a key frame and
nothing in it refers to another. So segments can be made in any order, at any time, and joined
without encoding again. A segment's name is the hash of all that it was made of; whoever finds a
segment of that name may take it.

    FILM.mkv.parts/
      3fc1...e2.segment        finished: under this name only when whole and on the disk
      .3fc1...e2.partial-...   in the making, or left behind by a process that was killed
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import av.error

from vidcolor.color.compose import ComposeConfig
from vidcolor.errors import MediaError
from vidcolor.io.codecs import OutputConfig, encoder_rate
from vidcolor.io.film_file import FilmFile, open_encoder
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.lock import only_one
from vidcolor.io.picture import PictureEncoder
from vidcolor.io.segment_file import Segment, begins_as_segment, read_packets, read_segment
from vidcolor.io.segment_order import DecodeTimes
from vidcolor.io.source import reason
from vidcolor.io.target import Target, fitted, flush, remove_left_behind
from vidcolor.records import VideoInfo

__all__ = ["DamagedSegment", "SegmentStore", "parts_folder"]

_SUFFIX = ".segment"
_LOCK = ".lock"
_SEI_H264 = 6
_SEI_H265 = (39, 40)
_KEY = re.compile(r"[0-9A-Za-z_-]{1,100}")
_LEFT_BEHIND = re.compile(r"\.([0-9A-Za-z_-]{1,100})\.partial-[0-9a-f]{8}\.segment")


class DamagedSegment(MediaError):
    """A segment turned out not to be what its name says; it has been removed."""


def parts_folder(output: Path) -> Path:
    """Where the segments of an output lie, if nobody says otherwise: beside it."""
    return output.with_name(fitted(output.name, ".parts"))


class SegmentStore:
    """The segments of one film, in a folder.

    Attributes:
        folder: Made when the first segment is.
        output: The film to be; its extension and `config` settle the encoder.
        planes: What the encoder gets of a colored frame.
        encoder: Everything that encoders are told, by name. A segment of other settings counts
            as not there.

    Args:
        folder: See above.
        output: See above.
        info: Of the frames.
        config: Codec and file rules.
        compose: How color is laid beside luma.

    Raises:
        MediaError: If container, codec and film do not go together, or `folder` is no folder.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        info: VideoInfo,
        config: OutputConfig | None = None,
        compose: ComposeConfig | None = None,
    ) -> None:
        self.folder, self.output, self.info = folder, output, info
        self.config = config or OutputConfig()
        compose = compose or ComposeConfig()
        self.planes = ColoredPlanes(compose)
        self.encoding = encoding = self.planes.encoding(output, info, self.config)
        if folder.exists() and not folder.is_dir():
            raise MediaError(f"{folder}: is no folder; segments of {output.name} belong there")
        told = {
            "encoder": encoding.codec.encoder,
            "options": encoding.options,
            "pix_fmt": encoding.pix_fmt,
            "size": [info.height, info.width],
            "time_base": str(info.time_base),
            "rate": str(encoder_rate(info)),
            "aspect": str(info.sample_aspect),
            "tags": encoding.tags,
            "compose": asdict(compose),
        }
        self.encoder: dict[str, Any] = json.loads(json.dumps(told))  # as it is read back

    def path(self, key: str) -> Path:
        """Where the segment of a key lies, or will.

        Raises:
            ValueError: If the key is no hash-like word.
        """
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"a key is 1 to 100 letters, digits, - and _, not {key!r}")
        return self.folder / f"{key}{_SUFFIX}"

    def has(self, key: str) -> bool:
        """Whether there is a whole segment of this key that can be joined with new ones."""
        return self.find(key) is not None

    def find(self, key: str, broken: bool = False) -> Segment | None:
        """The card of a segment; None if it must be made (again).

        Args:
            key: Its name.
            broken: Take also one that damage of the film has ended early.
        """
        card = read_segment(self.path(key))
        if card is None or card.key != key or card.encoder != self.encoder:
            return None
        if card.broken and not broken:
            return None
        if self._essence(bytes.fromhex(card.header)) != self._own_essence:
            return None
        # a long film has thousands of cards: what they share is kept once
        return replace(card, encoder=self.encoder, header=sys.intern(card.header))

    def holds(self, kind: str) -> bool:
        """Whether there are segments, finished ones, whose keys begin so.

        Where there are none, nobody needs a whole key to know that one is not there.
        """
        names = (path.name for path in self.folder.iterdir()) if self.folder.is_dir() else ()
        finished = (name for name in names if name.endswith(_SUFFIX) and name[0] != ".")
        return any(name.startswith(kind) for name in finished)

    def remove(self, key: str) -> None:
        """Forget a segment."""
        self.path(key).unlink(missing_ok=True)

    def prune(self, keep: Iterable[str], kind: str = "") -> int:
        """Remove all segments but those of `keep`, and what killed processes left behind.

        Files that are no segments stay.

        Args:
            keep: Keys.
            kind: Only segments whose keys begin so.

        Returns:
            How many files were removed.
        """
        wanted = {self.path(key).name for key in keep}
        removed = 0
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            stale = path.suffix == _SUFFIX and path.name not in wanted and path.is_file()
            if not stale or not path.name.removeprefix(".").startswith(kind):
                continue
            if _LEFT_BEHIND.fullmatch(path.name) or begins_as_segment(path):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Keep other processes from the segments; a folder without any is removed in the end.

        Raises:
            MediaError: If another process does so, or the folder cannot be made.
        """
        try:
            with only_one(self._made() / _LOCK, f"{self.output}: another vidcolor is making it"):
                remove_left_behind(self.output)
                yield
        finally:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def open_encoder(self) -> tuple[Any, PictureEncoder]:
        """A new encoder, and the container in memory that it belongs to and never writes to.

        Raises:
            MediaError: If encoder and film do not go together.
        """
        out = av.open(io.BytesIO(), "w", format=self.encoding.container)
        return out, open_encoder(self.output, out, self.encoding, self.info)

    def target(self, key: str) -> Target:
        """A file to be for a segment, in a folder that exists.

        Raises:
            MediaError: If it cannot be made.
        """
        return Target(self._made() / self.path(key).name, overwrite=True)

    def _made(self) -> Path:
        """The folder, which is there now, whatever happens to the power."""
        if not self.folder.is_dir():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                flush(self.folder.parent)
            except OSError as error:
                raise MediaError(f"{self.folder}: cannot be made ({reason(error)})") from error
        return self.folder

    # -- joining ---------------------------------------------------------------------------------

    def join(
        self,
        keys: Sequence[str],
        source: Path | None,
        span: tuple[float | None, float | None] = (None, None),
        early: bool = False,
    ) -> int:
        """Write `output`: the segments one after the other, and the rest of the source.

        Packets pass as they are. pts stay; dts are made anew for the whole, as they follow from
        the pts in their order and the deepest reordering in any segment.

        Args:
            keys: In the order of the film.
            source: The film from which sound, subtitles, chapters and so on are copied.
            span: `(start, duration)` in seconds of the part of the source that they are of.
            early: More segments were to come: write `STEM.partial.EXT`, with the rest of the
                source up to there.

        Returns:
            How many frames there are.

        Raises:
            MediaError: If a segment is missing, they overlap, the output cannot be written, or
                the source's other streams are damaged.
            DamagedSegment: If a segment is not what its card says. It is removed: make it again.
        """
        cards = [self._needed(key, broken=early) for key in keys]
        if not cards:
            raise MediaError(f"{self.output}: there are no segments to join")
        for before, after in itertools.pairwise(cards):
            if after.first <= before.last:
                raise MediaError(
                    f"{self.output}: segment {after.key} begins at pts {after.first}, "
                    f"before {before.key} ends at {before.last}"
                )
        frames = sum(card.frames for card in cards)
        sources = () if source is None else (source,)
        target = Target(self.output, self.config.overwrite, sources)
        try:
            with FilmFile(
                self.output, target.temporary, self.encoding, self.info, source, span
            ) as film:
                for packet, shown in self._packets(cards, film):
                    film.write((packet,), shown * self.info.time_base)
                film.finish(early)
            if early:
                film.land_partial(target, frames)
            else:
                film.land(target, frames, self.config.keep_partial)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(f"{self.output}: cannot be written ({reason(error)})") from error
        finally:
            target.discard()
        return frames

    def _needed(self, key: str, broken: bool) -> Segment:
        card = self.find(key, broken)
        if card is None:
            raise MediaError(f"{self.path(key)}: there is no such segment of these settings")
        return card

    def _packets(self, cards: Sequence[Segment], film: FilmFile) -> Iterator[tuple[Any, int]]:
        """Packets of all segments for the joined film, and the latest pts so far."""
        stream, unit = film.encoder.stream, self.info.time_base
        step = max(1, round(1 / (encoder_rate(self.info) * unit)))
        begin = cards[0].first - film.shift
        times = DecodeTimes(max(card.reorder for card in cards), step, begin)
        if self._essence(film.encoder.header) != self._own_essence:
            raise MediaError(f"{self.output}: the encoder has another header now than a moment ago")
        latest = cards[0].first
        for card in cards:
            count, first = 0, latest
            try:
                for pts, key_frame, data in read_packets(self.path(card.key)):
                    packet = av.Packet(data)
                    packet.stream, packet.time_base = stream, unit
                    packet.pts = pts - film.shift
                    packet.dts = times.next(packet.pts)
                    packet.is_keyframe = key_frame
                    if count == 0:
                        first = pts if key_frame else card.first - 1
                    count, latest = count + 1, max(latest, pts)
                    yield packet, latest
                if (count, first, latest) != (card.frames, card.first, card.last):
                    raise MediaError("other frames than on its card")
            except MediaError as error:
                self.remove(card.key)
                raise DamagedSegment(
                    f"{self.path(card.key)}: is damaged and was removed; run again to make it anew"
                ) from error

    # -- headers ---------------------------------------------------------------------------------

    @functools.cached_property
    def _own_essence(self) -> bytes:
        out, encoder = self.open_encoder()
        with out:
            return self._essence(encoder.header)

    def _essence(self, header: bytes) -> bytes:
        """The part of a header that decoding depends on.

        H.265's also says with how many threads it was encoded; machines may differ in that.
        """
        start = b"\0\0\1"
        if self.encoding.name not in ("h264", "h265") or start not in header:
            return header
        units = [unit.rstrip(b"\0") for unit in header.split(start) if unit.strip(b"\0")]
        if self.encoding.name == "h264":
            return start.join(unit for unit in units if unit[0] & 31 != _SEI_H264)
        return start.join(unit for unit in units if unit[0] >> 1 & 63 not in _SEI_H265)
