"""What a set is made of: films, pictures and shards, named and known again by their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vidcolor.errors import MediaError
from vidcolor.io.image import is_image, list_images
from vidcolor.io.source import reason
from vidcolor.names import FILM_EXTENSIONS

__all__ = ["Source", "find_sources", "fingerprint"]

Kind = Literal["film", "pictures", "shard"]

_FILMS = (*FILM_EXTENSIONS, ".gif")
_SHARDS = (".tar",)
_PORTION = 500
"""Pictures of a folder that are one piece of work."""

_WHOLE_BYTES = 16 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 256 << 10


@dataclass(frozen=True, slots=True)
class Source:
    """A film, pictures of one folder (at most some hundred), or a shard: one piece of work.

    Attributes:
        kind: Which of them.
        name: What it is called in the set; portions of one folder share it.
        slug: The same of letters, digits, `-` and `_`, for keys.
        paths: The film or shard, or the pictures.
        first: Number of the first picture in the folder.
        fingerprint: Of the content, see `fingerprint`; empty if not yet known.
    """

    kind: Kind
    name: str
    slug: str
    paths: tuple[Path, ...]
    first: int = 0
    fingerprint: str = ""


def find_sources(given: Sequence[str | Path], out: Path) -> list[Source]:
    """The sources that paths name, in order, with fingerprints.

    Of a folder everything below it is taken: films, shards, and the pictures of each folder.
    Hidden files are passed over, and so is `out`.

    Args:
        given: Films, shards, pictures and folders.
        out: Folder of the set.

    Raises:
        MediaError: If one does not exist, cannot be read, or a folder holds nothing.
    """
    found: list[Source] = []
    for kind, name, paths in _joined(_expanded(given, out)):
        named = _unique(Source(kind, name, _slug(name), ()), found)
        for first in range(0, len(paths), _PORTION):
            part = paths[first : first + _PORTION]
            found.append(replace(named, paths=part, first=first, fingerprint=fingerprint(part)))
    if not found:
        raise MediaError("no source is given; name films, folders of pictures, or shards")
    return found


_Found = tuple[Kind, str, tuple[Path, ...]]


def _expanded(given: Sequence[str | Path], out: Path) -> Iterator[_Found]:
    seen: set[Path] = set()
    for one in given:
        path = Path(one).expanduser()
        if not path.exists():
            raise MediaError(f"{path}: no such file or folder")
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        if not path.is_dir():
            yield _file(path, path.resolve().parent.name)
            continue
        inside = list(_folder(path, out.resolve()))
        if not inside:
            raise MediaError(f"{path}: holds no film, picture or shard")
        yield from inside


def _file(path: Path, folder: str) -> _Found:
    if is_image(path):
        return "pictures", folder or "pictures", (path,)
    kind: Kind = "shard" if path.suffix.lower() in _SHARDS else "film"
    return kind, path.stem, (path,)


def _folder(root: Path, out: Path) -> Iterator[_Found]:
    base = root.resolve().name or "pictures"
    for place, folders, files in os.walk(root):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if name[:1] != "." and (here / name).resolve() != out
        )
        below = here.relative_to(root)
        name = "/".join((base, *below.parts))
        if any(is_image(file) and file[:1] != "." for file in files):
            yield "pictures", name, tuple(list_images(here))
        for file in sorted(files):
            if file[:1] != "." and Path(file).suffix.lower() in (*_FILMS, *_SHARDS):
                kind, stem, paths = _file(here / file, "")
                yield kind, "/".join((base, *below.parts, stem)), paths


def _joined(found: Iterable[_Found]) -> Iterator[_Found]:
    """Single pictures that follow each other and lie in one folder are one source."""
    waiting: _Found | None = None
    for one in found:
        if waiting is not None:
            same = waiting[2][0].resolve().parent == one[2][0].resolve().parent
            if waiting[0] == one[0] == "pictures" and same:
                waiting = (*waiting[:2], (*waiting[2], *one[2]))
                continue
            yield waiting
        waiting = one
    if waiting is not None:
        yield waiting


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[-48:].strip("-") or "source"


def _unique(source: Source, before: Sequence[Source]) -> Source:
    """With a number behind the name if another source has it, so that keys differ."""
    names, slugs = {one.name for one in before}, {one.slug for one in before}
    name, slug, number = source.name, source.slug, 2
    while name in names or slug in slugs:
        suffix = f"-{number}"
        name = f"{source.name}{suffix}" if source.name in names else source.name
        slug = f"{source.slug}{suffix}"
        number += 1
    return replace(source, name=name, slug=slug)


def fingerprint(paths: Sequence[Path]) -> str:
    """Hexadecimal digest of the content and the names of files, wherever they lie.

    Files over 16 MB are known by their size and 64 samples of 256 kB.

    Raises:
        MediaError: If one cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        digest = hashlib.sha256()
        try:
            size = path.stat().st_size
            digest.update(f"{size}\0{path.name}\0".encode())
            with path.open("rb") as file:
                if size <= _WHOLE_BYTES:
                    digest.update(file.read())
                else:
                    for number in range(_SAMPLES):
                        file.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                        digest.update(file.read(_SAMPLE_BYTES))
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({reason(error)})") from error
        total.update(digest.digest())
    return total.hexdigest()[:32]
