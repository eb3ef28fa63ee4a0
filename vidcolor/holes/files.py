"""Sets of holes on disk: PNG, 8 bit, white where a picture is damaged, and an index.

`holes.csv` has a line for each mask (id, file, kind, class, share, border), `set.toml` the settings
by which each can be made again. Any other folder of masks is read as well; share and border are
counted again, whatever an index says. Masks change their size with nearest neighbors only.
"""

from __future__ import annotations

import csv
import io
import logging
import secrets
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from vidcolor.errors import ConfigError, MediaError
from vidcolor.given import read_file, read_text
from vidcolor.holes.classes import (
    CLASSES,
    Drawn,
    class_name,
    class_of,
    draw_class,
    share,
    touches_border,
)
from vidcolor.holes.draw import KINDS
from vidcolor.holes.outlines import Hole
from vidcolor.names import natural
from vidcolor.schema import to_toml

__all__ = [
    "INDEX",
    "HoleFile",
    "HoleFiles",
    "SetConfig",
    "build_set",
    "draw_numbered",
    "encode_hole",
    "list_masks",
    "read_hole",
]

_log = logging.getLogger(__name__)

INDEX = "holes.csv"
_SETTINGS = "set.toml"
_FIELDS = ("id", "file", "kind", "class", "share", "border")
_EXTENSIONS = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
_MOST_BYTES = 1 << 30  # of a picture
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SIDES = slice(16, 24)
_MOST_PIXELS = 1 << 27
_DAMAGED = 128
_NEARLY_ALL = 0.75
_SAMPLE = 15
_TAG = 1
_LARGEST_SIDE = 8192

Border = Literal["with", "without", "both"]


@dataclass(frozen=True, slots=True)
class SetConfig:
    """A set of masks; classes and borders take turns, so that each gets its part of the count.

    Attributes:
        count: Number of masks, from 1.
        size: Side of the square masks in pixels, 8 to 8192.
        kinds: What is drawn: strokes, thin, shapes, rectangles, walk, film, thin_film.
        classes: Numbers of classes, 0 to 5.
        border: Whether holes touch the border: with, without, or both in turn.
        seed: Another number, another set; at least 0.
    """

    count: int
    size: int = 512
    kinds: tuple[str, ...] = KINDS
    classes: tuple[int, ...] = tuple(range(len(CLASSES)))
    border: Border = "both"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.count < 1:
            raise ConfigError(f"count: {self.count} is below 1")
        if not 8 <= self.size <= _LARGEST_SIDE:
            raise ConfigError(f"size: {self.size} is not within 8..{_LARGEST_SIDE}")
        if self.seed < 0:
            raise ConfigError(f"seed: {self.seed} is below 0")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds: {list(self.kinds)}; expected some of {', '.join(KINDS)}")
        if not self.classes or not all(0 <= number < len(CLASSES) for number in self.classes):
            raise ConfigError(f"classes: {list(self.classes)}; expected some of 0..5")
        if self.border not in ("with", "without", "both"):
            raise ConfigError(f"border: {self.border!r} is not with, without or both")

    def asked(self, index: int) -> tuple[int, bool]:
        """Class and border of mask `index`."""
        borders = {"with": (True,), "without": (False,), "both": (False, True)}[self.border]
        number, place = divmod(index, len(borders))
        return self.classes[number % len(self.classes)], borders[place]


@dataclass(frozen=True, slots=True)
class HoleFile:
    """What is known of a mask on disk; share and border are counted.

    Attributes:
        path: The file.
        kind: What was drawn, if an index says so, or "".
        share: Part of the picture that is hole.
        border: Whether it touches the border.
        number: Its class 0..5, or None.
    """

    path: Path
    kind: str
    share: float
    border: bool
    number: int | None


def draw_numbered(config: SetConfig, index: int) -> Drawn:
    """Mask `index` of a set: a function of the settings and the index only.

    Raises:
        ConfigError: If none of the kinds makes a hole of its class.
    """
    number, border = config.asked(index)
    rng = np.random.default_rng((config.seed, index, _TAG))
    return draw_class(number, border, (config.size, config.size), rng, config.kinds)


def build_set(
    out: str | Path,
    config: SetConfig,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw and write a set; the folder appears when it is whole.

    Args:
        out: The folder of the set.
        config: What is drawn.
        overwrite: Whether another set of that name may be replaced.
        progress: Told how many masks were written.

    Returns:
        The folder.

    Raises:
        ConfigError: If the folder holds anything that may not be replaced, or no hole can be made.
        MediaError: If it cannot be written.
    """
    out = Path(out).expanduser()
    _check_free(out, overwrite)
    temporary = out.parent / f".{out.name[:100]}.partial-{secrets.token_hex(4)}"
    try:
        temporary.mkdir()
        _write_all(temporary, config, progress)
        _land(temporary, out, overwrite)
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise MediaError(f"{out}: there is no folder {out.parent}")
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out}: is no folder; give a new one")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise ConfigError(f"{out}: exists; use --overwrite to replace it")
    if not (out / INDEX).is_file():
        raise ConfigError(f"{out}: is no set of masks (no {INDEX}); give a new folder")


def _land(temporary: Path, out: Path, overwrite: bool) -> None:
    """Give the finished folder its name; what was there goes last."""
    _check_free(out, overwrite)
    old = temporary.with_name(f"{temporary.name}-old")
    if out.exists():
        out.rename(old)
    try:
        temporary.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_all(folder: Path, config: SetConfig, progress: Callable[[int], None] | None) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_FIELDS)
    for index in range(config.count):
        drawn = draw_numbered(config, index)
        name = f"{index:06}.png"
        (folder / name).write_bytes(encode_hole(drawn.hole))
        number, border = config.asked(index)
        lines.writerow(
            (f"{config.seed}-{index}", name, drawn.kind, class_name(number),
             f"{share(drawn.hole):.6f}", "with" if border else "without")
        )  # fmt: skip
        if progress:
            progress(1)
    (folder / _SETTINGS).write_text(to_toml(config), encoding="utf-8")
    (folder / INDEX).write_text(text.getvalue(), encoding="utf-8")


def encode_hole(hole: Hole) -> bytes:
    """PNG, 8 bit gray: 255 where the hole is, 0 elsewhere."""
    done, data = cv2.imencode(".png", hole.astype(np.uint8) * np.uint8(255))
    assert done
    return data.tobytes()


def read_hole(path: str | Path, size: tuple[int, int] | None = None, invert: bool = False) -> Hole:
    """A mask from a file: white (128 and more) is damaged.

    Args:
        path: Any picture file.
        size: Height and width that it is brought to, with nearest neighbors; None leaves it.
        invert: For masks in which white is valid.

    Raises:
        MediaError: If it cannot be read or is no picture.
    """
    path = Path(path)
    try:
        content = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from error
    if content.startswith(_PNG) and len(content) >= _PNG_SIDES.stop:
        width, height = struct.unpack(">II", content[_PNG_SIDES])
        if width * height > _MOST_PIXELS:
            raise MediaError(f"{path}: claims to be {width}x{height}, too large for a mask")
    data = np.frombuffer(content, np.uint8)
    gray = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if gray is None:
        raise MediaError(f"{path}: is no picture that can be read; expected a PNG mask")
    if size is not None and gray.shape != size:
        gray = cv2.resize(gray, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    hole: Hole = np.asarray(gray) >= _DAMAGED
    return ~hole if invert else hole


def list_masks(folder: str | Path) -> list[Path]:
    """Masks of a folder in natural order: 2 before 10.

    Raises:
        MediaError: If it is no folder or holds none.
    """
    folder = Path(folder)
    try:
        found = [
            path for path in folder.iterdir()
            if path.suffix.lower() in _EXTENSIONS and not path.name.startswith(".")
        ]  # fmt: skip
    except OSError as error:
        raise MediaError(f"{folder}: is no folder of masks ({error.strerror})") from error
    if not found:
        raise MediaError(f"{folder}: holds no masks; expected {', '.join(_EXTENSIONS)}")
    return sorted(found, key=lambda path: natural(path.name))


class HoleFiles:
    """The masks of a folder, read when they are asked for.

    Says so in the log when nearly everything is white in most masks: some public sets mean "valid"
    by white, and read the wrong way round they look just like that.

    Args:
        folder: Any folder of masks; an index is used for kinds only.
        invert: White is valid.

    Attributes:
        paths: The files, in natural order.

    Raises:
        MediaError: If it is no folder, holds no masks, or one of them cannot be read.
    """

    def __init__(self, folder: str | Path, invert: bool = False) -> None:
        self.paths = list_masks(folder)
        self._invert = invert
        self._kinds = _read_kinds(Path(folder) / INDEX)
        self._warn(Path(folder))

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int, size: tuple[int, int] | None = None) -> Hole:
        """Mask `index`, brought to a size; see `read_hole`."""
        return read_hole(self.paths[index], size, self._invert)

    def measured(self) -> Iterator[HoleFile]:
        """All masks with their share, border and class as counted."""
        for index, path in enumerate(self.paths):
            hole = self.read(index)
            kind = self._kinds.get(path.name, "")
            yield HoleFile(path, kind, share(hole), touches_border(hole), class_of(hole))

    def _warn(self, folder: Path) -> None:
        step = max(1, len(self) // _SAMPLE)
        shares = [share(self.read(index)) for index in range(0, len(self), step)]
        middle = float(np.median(shares))
        if middle > _NEARLY_ALL:
            _log.warning(
                "%s: masks are %.0f %% hole; if %s means valid in them, read them inverted",
                folder, 100 * middle, "black" if self._invert else "white",
            )  # fmt: skip


def _read_kinds(path: Path) -> dict[str, str]:
    """Kinds by file name, from an index if there is one."""
    try:
        text = read_text(path)
        rows = csv.DictReader(io.StringIO(text))
        return {row["file"]: row.get("kind") or "" for row in rows if row.get("file")}
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
