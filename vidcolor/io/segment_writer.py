"""Segments in the making: colored frames in, a finished segment for each shot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidcolor.errors import MediaError
from vidcolor.io.encode import Order
from vidcolor.io.encode_thread import EncodeThread
from vidcolor.io.segment_file import Segment, SegmentFile
from vidcolor.io.segment_order import Passage
from vidcolor.io.segments import SegmentStore
from vidcolor.records import Colored

__all__ = ["Piece", "SegmentWriter", "miscounted"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment that is to be made.

    Attributes:
        key: Its name, unless it gets another one when it ends.
        shot: Number of its first shot.
        frames: How many there must be; None: as many as come.
    """

    key: str
    shot: int
    frames: int | None = None


class SegmentWriter:
    """Runs of consecutive shots, each encoded on its own, in one thread.

    A segment is put into the store when its last frame is encoded and the file is on the disk.
    When something fails, segments whose frames had all come before are finished; Ctrl-C does not
    wait for that.

    Attributes:
        following: To be set before leaving: pts of the frame after the last one, if the film goes
            on.
        broken: To be set before leaving: whether damage of the film ended it early.
        key: To be set before leaving: name of the last segment, if it is not that of its piece.

    Args:
        store: Where they go.

    Raises:
        MediaError: From `write` and on leaving, if encoding or the disk fails, or a piece has
            another number of frames than announced.
    """

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self.following: int | None = None
        self.broken = False
        self.key: str | None = None
        self._next: _Begin | None = None
        self._order = Order(store.info)
        self._thread: EncodeThread[_Item] | None = None

    @property
    def frames(self) -> int:
        """Frames encoded so far."""
        return 0 if self._thread is None else self._thread.frames

    def __enter__(self) -> Self:
        self._thread = EncodeThread(self._store.folder, _Sink(self._store, self))
        return self

    def begin(self, piece: Piece, pts: int | None = None, before: str | None = None) -> None:
        """What is written from now on is a segment of its own.

        Args:
            piece: Which one.
            pts: Of its first frame, if the card of the segment before shall say what follows.
            before: Name of the segment before, if it is not that of its piece: a name may be found
                out while frames are encoded.
        """
        self._next = piece, pts, before

    def write(self, colored: Colored) -> None:
        """Hand over a batch; waits while the encoder is behind.

        Raises:
            MediaError: If something failed with a batch before this one.
            ValueError: If the frames do not follow the ones before, or are of another size.
        """
        self._order.check(colored.frames)
        assert self._thread is not None, "the writer is not open"
        begin, self._next = self._next, None
        self._thread.put((begin, colored), len(colored.frames))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None, "the writer is not open"
        try:
            if kind is None:
                self._thread.finish()
            elif issubclass(kind, Exception) and self._thread.error is None:
                with contextlib.suppress(MediaError):  # the error on its way says more
                    self._thread.finish(early=True)
        finally:
            self._thread.stop()


_Begin = tuple[Piece, int | None, str | None]
_Item = tuple[_Begin | None, Colored]


class _Sink:
    """Begins a segment where one is announced and lands the one before."""

    def __init__(self, store: SegmentStore, writer: SegmentWriter) -> None:
        self._store, self._writer = store, writer
        self._open: _OpenSegment | None = None

    def encode(self, item: _Item, number: int) -> None:
        begin, colored = item
        if begin is not None and number == 0:
            piece, pts, before = begin
            self._land(before, pts)
            self._open = _OpenSegment(self._store, piece)
        if self._open is None:
            raise RuntimeError(f"frames of shot {colored.frames.shot} came, nothing was begun")
        self._open.encode(colored, number)

    def finish(self, early: bool) -> None:
        if not early:
            self._land(self._writer.key, self._writer.following, self._writer.broken)

    def _land(self, key: str | None, following: int | None, broken: bool = False) -> None:
        if self._open is not None:
            self._open.land(key, following, broken)
            self._open.close()
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.close()


class _OpenSegment:
    """An encoder of its own, and the file that takes its packets."""

    def __init__(self, store: SegmentStore, piece: Piece) -> None:
        self.piece, self._store = piece, store
        self._passage = Passage()
        self._last_shot = piece.shot
        self._target = store.target(piece.key)
        self._file: SegmentFile | None = None
        self._out: Any = None
        try:
            self._file = SegmentFile(self._target.temporary)
            self._out, self._encoder = store.open_encoder()
        except BaseException:
            self.close()
            raise

    def encode(self, colored: Colored, number: int) -> None:
        frames = colored.frames
        if self._passage.frames == self.piece.frames:
            raise miscounted(self._store.output, self.piece, None)
        self._passage.frame(frames.pts[number])
        self._last_shot = frames.shot
        planes = self._store.planes.lay(colored, number, self._store.encoding)
        self._write(self._encoder.encode(planes, frames.pts[number]))

    def land(self, key: str | None, following: int | None, broken: bool) -> None:
        piece, passage = self.piece, self._passage
        name = key or piece.key
        if piece.frames is not None and passage.frames != piece.frames:
            raise miscounted(self._store.output, piece, passage.frames)
        self._write(self._encoder.flush())
        passage.check(self._store.encoding.codec.encoder)
        assert self._file is not None
        self._file.finish(
            Segment(
                key=name,
                first=passage.first,
                last=passage.last,
                frames=passage.frames,
                reorder=passage.reorder,
                header=self._encoder.header.hex(),
                encoder=self._store.encoder,
                shots=self._last_shot + 1 - piece.shot,
                following=following,
                broken=broken,
            )
        )
        self._target.path = self._target.path.with_name(self._store.path(name).name)
        self._target.land()

    def close(self) -> None:
        """Drop what has not landed."""
        if self._file is not None:
            self._file.close()
        if self._out is not None:
            self._out.close()
        self._out = None
        self._target.discard()

    def _write(self, packets: Iterable[Any]) -> None:
        assert self._file is not None
        for packet in packets:
            self._passage.packet(packet.pts, bool(packet.is_keyframe))
            self._file.write(packet.pts, bool(packet.is_keyframe), bytes(packet))


def miscounted(path: Path, piece: Piece, found: int | None) -> MediaError:
    """The error of a piece with another number of frames than announced; None is more."""
    many = "more" if found is None else f"only {found}"
    return MediaError(
        f"{path}: shot {piece.shot} should have {piece.frames} frames, but has {many}; "
        "the list of shots is of another film"
    )
