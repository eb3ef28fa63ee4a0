"""A contact sheet of the tracks of a film: a thumbnail a track, grouped by identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.color.lab import lab_to_rgb
from vidcolor.guidance.colors import parse_color
from vidcolor.guidance.tracks.file import TrackEntry

__all__ = ["track_sheet"]

Bytes = npt.NDArray[np.uint8]

_PAPER = 250
_INK = (40, 40, 40)
_FAINT = (120, 120, 120)
_LINE = (205, 205, 205)
_MIDDLE = 60.0  # L* of a swatch whose color has none
_SIDE = 160
_GAP = 12
_TEXT = 16  # of a line of text
_LINES = 4
_HEAD = 30
_COLUMNS = 6
_LETTER = 0.42  # scale of the font
_LETTER_PX = 7.4  # width of a letter at that scale, about


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    entries: tuple[TrackEntry, ...]


def track_sheet(
    entries: Sequence[TrackEntry], pictures: Mapping[int, Bytes], columns: int = _COLUMNS
) -> Bytes:
    """Draw the sheet.

    Identities with several tracks come first, each on rows of its own under a heading; those with
    a single track follow together. Under each thumbnail: id and class, time and length, mean
    color, and name and pin if a person gave them.

    Args:
        entries: Lines of the file.
        pictures: (h, w, 3) uint8 R'G'B' by id; a track without one gets an empty frame.
        columns: Thumbnails in a row.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    width = _GAP + columns * (_SIDE + _GAP)
    strips = [_heading(_title(entries), width, _INK)]
    for group in _groups(entries):
        strips.append(_heading(group.title, width, _FAINT))
        for first in range(0, len(group.entries), columns):
            strips.append(_row(group.entries[first : first + columns], pictures, width))
    return np.concatenate(strips)


def _title(entries: Sequence[TrackEntry]) -> str:
    tracks = len({entry.id for entry in entries})
    objects = len({entry.identity for entry in entries})
    return f"{tracks} track{'s' * (tracks != 1)}, {objects} object{'s' * (objects != 1)}"


def _groups(entries: Sequence[TrackEntry]) -> list[_Group]:
    by: dict[str, list[TrackEntry]] = {}
    for entry in entries:
        by.setdefault(entry.identity, []).append(entry)
    shared = [
        _Group(f"{identity} ({len(members)} tracks)", tuple(members))
        for identity, members in by.items()
        if len(members) > 1
    ]
    alone = tuple(members[0] for members in by.values() if len(members) == 1)
    return shared + ([_Group("seen once", alone)] if alone else [])


def _heading(text: str, width: int, ink: tuple[int, int, int]) -> Bytes:
    paper = np.full((_HEAD, width, 3), _PAPER, np.uint8)
    cv2.line(paper, (_GAP, _HEAD - 6), (width - _GAP, _HEAD - 6), _LINE, 1)
    _write(paper, text, _GAP, _HEAD - 12, ink, width - 2 * _GAP)
    return paper


def _row(entries: Sequence[TrackEntry], pictures: Mapping[int, Bytes], width: int) -> Bytes:
    height = _SIDE + _LINES * _TEXT + _GAP
    paper = np.full((height, width, 3), _PAPER, np.uint8)
    for number, entry in enumerate(entries):
        left = _GAP + number * (_SIDE + _GAP)
        _thumbnail(paper, pictures.get(entry.id), left)
        _caption(paper, entry, left)
    return paper


def _thumbnail(paper: Bytes, picture: Bytes | None, left: int) -> None:
    if picture is None or 0 in picture.shape:
        cv2.rectangle(paper, (left, 0), (left + _SIDE - 1, _SIDE - 1), _LINE, 1)
        return
    scale = _SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    fitted = np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)
    top, start = (_SIDE - size[1]) // 2, left + (_SIDE - size[0]) // 2
    paper[top : top + size[1], start : start + size[0]] = fitted


def _caption(paper: Bytes, entry: TrackEntry, left: int) -> None:
    since = f" from {entry.since}" if entry.since != "" else ""
    until = f" to {entry.until}" if entry.until != "" else ""
    lines = [
        f"{entry.id}  {entry.identity}",
        f"{entry.time}  {entry.seconds:.1f} s",
        f"{entry.label}{since}{until}",
        entry.name,
    ]
    for number, text in enumerate(lines):
        ink = _INK if number in (0, 3) else _FAINT
        _write(paper, text, left, _SIDE + (number + 1) * _TEXT - 3, ink, _SIDE)
    right = left + _SIDE
    bottom = _SIDE + 3 * _TEXT - 2
    for color in (entry.color, entry.mean):
        swatch = _swatch(color)
        if swatch is not None:
            cv2.rectangle(paper, (right - 12, bottom - 11), (right - 1, bottom), swatch, -1)
            cv2.rectangle(paper, (right - 12, bottom - 11), (right - 1, bottom), _LINE, 1)
            right -= 15


def _swatch(color: str) -> tuple[int, int, int] | None:
    """R'G'B' of a color in a person's words; None where there is none."""
    if not color:
        return None
    found = parse_color(color)
    lightness = _MIDDLE if found.lightness is None else found.lightness
    rgb = lab_to_rgb(torch.tensor([[lightness, *found.ab]])).clamp(0, 1)[0]
    red, green, blue = (round(float(v) * 255) for v in rgb)
    return red, green, blue


def _write(paper: Bytes, text: str, x: int, y: int, ink: tuple[int, int, int], room: int) -> None:
    """Text that fits into `room` pixels; OpenCV's letters are those of ASCII."""
    plain = text.encode("ascii", "replace").decode()
    letters = int(room / _LETTER_PX)
    if len(plain) > letters:
        plain = plain[: letters - 2] + ".."
    cv2.putText(paper, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, _LETTER, ink, 1, cv2.LINE_AA)
