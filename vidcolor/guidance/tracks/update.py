"""A new list of tracks that keeps what a person said in the old one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from vidcolor.guidance.tracks.file import TrackEntry, TracksFile
from vidcolor.ops.boxes import iou

__all__ = ["keep_words"]

_log = logging.getLogger(__name__)
_FITS = 0.3  # least overlap of boxes
_SAME_TIME = 0.5  # least part of the shorter track that both last


def keep_words(old: TracksFile, new: TracksFile) -> TracksFile:
    """`new` with identities, names, pins and splits of `old`.

    A track is found again by its time and its box, best first, the same id before others. What was
    found anew joins the identity of an old track if the looks of the two said so and no other old
    identity is among them; else it has one of its own. Words on tracks that are not found again
    are lost; the log says which.

    Args:
        old: A person's file.
        new: Tracks of the same film, listed anew.
    """
    matches = _matches(old.tracks, new.tracks)
    taken = {entry.identity for entry in old.tracks}
    inherited: dict[str, set[str]] = {}
    for entry in new.tracks:
        for mine in matches.get(entry.id, ()):
            inherited.setdefault(entry.identity, set()).add(mine.identity)
    names: dict[str, str] = {}
    entries: list[TrackEntry] = []
    for entry in new.tracks:
        known = matches.get(entry.id)
        if known:
            entries += [_with_words(entry, mine, len(known) > 1) for mine in known]
            continue
        if entry.identity not in names:
            heirs = inherited.get(entry.identity, set())
            names[entry.identity] = (
                next(iter(heirs)) if len(heirs) == 1 else _fresh(entry.identity, taken)
            )
            taken.add(names[entry.identity])
        entries.append(replace(entry, identity=names[entry.identity]))
    found = {mine for known in matches.values() for mine in known}
    for mine in old.tracks:
        if mine not in found and (mine.name or mine.color or mine.since != "" or mine.until != ""):
            _log.warning(
                "track %d (%s) of the old file is not found again; left out are name %r, color %r",
                mine.id, mine.identity, mine.name, mine.color,
            )  # fmt: skip
    return replace(new, tracks=tuple(entries))


def _with_words(entry: TrackEntry, mine: TrackEntry, split: bool) -> TrackEntry:
    """A new line with the words of an old one.

    The template of a part of a track is kept: the new one is of the whole track.
    """
    return replace(
        entry,
        identity=mine.identity,
        name=mine.name,
        color=mine.color,
        since=mine.since,
        until=mine.until,
        template=mine.template if split else entry.template,
    )


def _fresh(name: str, taken: set[str]) -> str:
    """A name that no identity has."""
    stem, _, count = name.rpartition("-")
    number = int(count) if count.isdigit() else 1
    while name in taken:
        number += 1
        name = f"{stem or name}-{number}"
    return name


def _matches(
    old: Sequence[TrackEntry], new: Sequence[TrackEntry]
) -> dict[int, tuple[TrackEntry, ...]]:
    """Old lines by the id of the new track that they mean."""
    lines: dict[int, list[TrackEntry]] = {}
    for mine in old:
        lines.setdefault(mine.id, []).append(mine)
    ranked = []
    for number, known in lines.items():
        for entry in new:
            fit = _fit(known[0], entry)
            if fit is not None:
                ranked.append((number != entry.id, -fit, number, entry.id))
    found: dict[int, tuple[TrackEntry, ...]] = {}
    done: set[int] = set()
    for _, _, number, other in sorted(ranked):
        if number not in done and other not in found:
            done.add(number)
            found[other] = tuple(lines[number])
    return found


def _fit(mine: TrackEntry, entry: TrackEntry) -> float | None:
    """How well two lines mean the same track; None: not at all."""
    common = min(mine.last, entry.last) - max(mine.first, entry.first)
    shorter = min(mine.last - mine.first, entry.last - entry.first)
    if common < 0 or common < _SAME_TIME * shorter:
        return None
    if not mine.box or not entry.box:
        return 0.0 if mine.id == entry.id else None
    boxes = torch.tensor([mine.box, entry.box], dtype=torch.float32)
    overlap = float(iou(boxes[:1], boxes[1:]))
    return overlap if overlap >= _FITS else None
