"""From finished sources to the set: without repeats, divided, in tar shards with a manifest."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.look import Look, near
from vidcolor.train.dataset.split import Alike, validation_groups
from vidcolor.train.dataset.work import Member, Result, add_member, disk

__all__ = ["MANIFEST", "SPLITS", "Item", "gather", "write_shards"]

MANIFEST = "manifest.jsonl"
SPLITS = ("train", "val")
_HIDDEN = ("key", "group", "small")  # of a row, what KEY.json does not say
_SAME_COLOR = 6.0  # mean L*a*b* distance of small pictures up to which a picture is a repeat
_BOXES = ("boxes", "scores", "labels")


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of the set.

    Attributes:
        key: Its name, unique.
        row: What is known of it, as KEY.json says it.
        picture: Its file.
        later: File of a later frame.
        source: Number of the finished source that it is of.
        split: train or val.
        shard: File name of its shard.
    """

    key: str
    row: dict[str, Any]
    picture: Member
    later: Member | None
    source: int
    split: str
    shard: str = ""


def gather(results: Sequence[Result], config: BuildConfig) -> list[Item]:
    """The pictures of all sources, each once, with their side; in order of the sources.

    What is left out is added to the counts of its source.

    Args:
        results: Of all sources.
        config: How much alike the same is, and how much is for validation.
    """
    places = [(number, i) for number, one in enumerate(results) for i in range(len(one.rows))]
    rows = [results[number].rows[i] for number, i in places]
    alike = Alike()
    again: set[int] = set()
    films = [-1 if "file" in row else number for row, (number, _) in zip(rows, places, strict=True)]
    for pair in near([Look.of_row(row) for row in rows], films, config.alike_bits):
        alike.join(rows[pair.earlier]["group"], rows[pair.later]["group"])
        same = pair.bits <= config.same_bits and pair.color <= _SAME_COLOR
        if same and pair.earlier not in again:
            again.add(pair.later)
    kept = [i for i in range(len(rows)) if i not in again]
    aside = validation_groups([rows[i]["group"] for i in kept], alike, config.val)
    for i in again:
        results[places[i][0]].counts["duplicate"] += 1
    items = []
    for i in kept:
        row, (number, place) = rows[i], places[i]
        items.append(
            Item(
                row["key"],
                {name: value for name, value in row.items() if name not in _HIDDEN},
                results[number].pictures[place],
                results[number].later[place],
                number,
                SPLITS[row["group"] in aside],
            )
        )
    return items


def write_shards(items: Sequence[Item], folder: Path, config: BuildConfig) -> list[Item]:
    """Write `train-000000.tar` and so on, and the manifest.

    A shard holds pictures in an order drawn by their names, so that whoever streams it sees
    neighbors of a film apart; the manifest keeps the order of the sources.

    Args:
        items: The pictures.
        folder: Where the files go; it must exist.
        config: Format of the pictures, size of the shards.

    Returns:
        The same pictures, with their shards.
    """
    where: dict[str, str] = {}
    for split in SPLITS:
        mine = sorted((one for one in items if one.split == split), key=_drawn)
        for name, portion in _portions(mine, split, config.shard_mb * 1_000_000):
            with (
                disk(folder),
                tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as archive,
            ):
                for item in portion:
                    where[item.key] = name
                    add_member(archive, f"{item.key}.{config.format}", item.picture.read())
                    add_member(archive, f"{item.key}.json", _json(item.row))
                    if item.later is not None:
                        add_member(archive, f"{item.key}.next.{config.format}", item.later.read())
    placed = [_placed(item, where[item.key]) for item in items]
    with disk(folder), (folder / MANIFEST).open("wb") as file:
        file.writelines(_json(_line(item)) + b"\n" for item in placed)
    return placed


def _drawn(item: Item) -> str:
    return hashlib.sha256(item.key.encode()).hexdigest()


def _portions(items: Sequence[Item], split: str, most: int) -> Iterator[tuple[str, list[Item]]]:
    portion: list[Item] = []
    number = size = 0
    for item in items:
        portion.append(item)
        size += item.picture.size + (item.later.size if item.later else 0)
        if size >= most:
            yield f"{split}-{number:06d}.tar", portion
            portion, size, number = [], 0, number + 1
    if portion:
        yield f"{split}-{number:06d}.tar", portion


def _placed(item: Item, shard: str) -> Item:
    return Item(item.key, item.row, item.picture, item.later, item.source, item.split, shard)


def _line(item: Item) -> dict[str, Any]:
    facts = {name: value for name, value in item.row.items() if name not in _BOXES}
    boxes = item.row.get("boxes")
    return {
        "key": item.key,
        "split": item.split,
        "shard": item.shard,
        **facts,
        "objects": None if boxes is None else len(boxes),
        "later": item.later is not None,
    }


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()
