"""Files out: written under a temporary name beside the target, renamed when whole."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["Target", "TargetFolder", "fitted", "flush", "must_not_be", "remove_left_behind"]

_LONGEST_NAME = 255  # bytes
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EXDEV}


class Target:
    """A file to be, and the temporary one that stands in for it.

    Attributes:
        path: Where the file will be; symbolic links are followed.
        temporary: A new, empty file in the same folder.

    Args:
        path: As the user named it.
        overwrite: Whether a file of that name may be replaced.
        sources: Files that must not be replaced in any case.

    Raises:
        MediaError: If the file exists and may not be replaced, is a source, or cannot be made.
    """

    def __init__(self, path: Path, overwrite: bool, sources: Iterable[Path] = ()) -> None:
        self._named = path
        self._overwrite = overwrite
        self.path = Path(os.path.realpath(path))
        must_not_be(path, sources)
        try:
            there = self.path.exists()
        except OSError as error:  # a name too long, a folder that cannot be entered
            raise MediaError(f"{path}: cannot be written ({reason(error)})") from error
        if there:
            if not self.path.is_file():
                raise MediaError(f"{path}: is not a file that can be replaced")
            if not overwrite:
                raise MediaError(f"{path}: exists; use --overwrite to replace it")
        elif self.path.is_symlink():
            raise MediaError(f"{path}: is a link that leads to itself")
        self.temporary = self._create()

    def _create(self) -> Path:
        folder, suffix = self.path.parent, self.path.suffix
        if not folder.is_dir():
            raise MediaError(f"{self._named}: there is no folder {folder}")
        for _ in range(100):
            tail = f".partial-{secrets.token_hex(4)}{suffix}"
            temporary = folder / fitted(f".{self.path.stem}", tail)
            try:
                handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                continue
            except OSError as error:
                raise MediaError(f"{self._named}: cannot be written ({reason(error)})") from error
            os.close(handle)
            return temporary
        raise MediaError(f"{self._named}: no temporary name is free in {folder}")

    def land(self) -> Path:
        """Bring the temporary file to disk and give it the name.

        Raises:
            MediaError: If the disk fails, or a file of that name has appeared meanwhile.
        """
        try:
            flush(self.temporary)
            if self._overwrite:
                self.temporary.replace(self.path)
            else:
                _rename_to_free_name(self.temporary, self.path)
            flush(self.path.parent)
        except FileExistsError as error:
            raise MediaError(f"{self._named}: has appeared meanwhile; nothing replaced") from error
        except OSError as error:
            raise MediaError(f"{self._named}: cannot be written ({reason(error)})") from error
        return self.path

    def land_partial(self) -> Path:
        """Give the temporary file the name `STEM.partial.EXT`, or the next that is free."""
        for number in range(1, 1000):
            tail = "" if number == 1 else f"-{number}"
            name = self.path.with_name(fitted(self.path.stem, f".partial{tail}{self.path.suffix}"))
            try:
                _rename_to_free_name(self.temporary, name)
            except FileExistsError:
                continue
            except OSError as error:
                raise MediaError(f"{name}: cannot be written ({reason(error)})") from error
            return name
        raise MediaError(f"{self.path}: too many partial files beside it")

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        self.temporary.unlink(missing_ok=True)


class TargetFolder:
    """A folder to be, and the hidden one beside it that stands in for it.

    Attributes:
        path: Where the folder will be.
        temporary: A new, empty folder beside it.

    Args:
        path: As the user named it. An empty folder of that name may be there.
        overwrite: Whether a folder of that name may be replaced.
        replaceable: Told the name of each thing in a folder that is to be replaced; says whether
            it may go. Anything else in there stops it all.

    Raises:
        MediaError: If the folder exists and may not be replaced, or cannot be made.
    """

    def __init__(self, path: Path, overwrite: bool, replaceable: Callable[[str], bool]) -> None:
        self._named = path
        self.path = Path(os.path.realpath(path))
        self._replaced: Path | None = None
        if self.path.exists() and not self.path.is_dir():
            raise MediaError(f"{path}: exists and is no folder")
        names = [entry.name for entry in self.path.iterdir()] if self.path.exists() else []
        if names and not overwrite:
            raise MediaError(f"{path}: exists; use --overwrite to replace it")
        other = next((name for name in sorted(names) if not replaceable(name)), None)
        if other is not None:
            raise MediaError(f"{path}: holds {other}, which would be lost; give another folder")
        if not self.path.parent.is_dir():
            raise MediaError(f"{path}: there is no folder {self.path.parent}")
        self.temporary = self._beside("partial")
        try:
            self.temporary.mkdir()
        except OSError as error:
            raise MediaError(f"{path}: cannot be written ({reason(error)})") from error

    def land(self) -> Path:
        """Give the folder its name.

        Raises:
            MediaError: If the disk fails.
        """
        try:
            if self.path.exists():
                self._replaced = self._beside("replaced")
                self.path.rename(self._replaced)
            self.temporary.rename(self.path)
            if self._replaced is not None:
                shutil.rmtree(self._replaced)
        except OSError as error:
            raise MediaError(f"{self._named}: cannot be written ({reason(error)})") from error
        return self.path

    def discard(self) -> None:
        """Remove the temporary folder, if it is still there."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _beside(self, word: str) -> Path:
        tail = f".{word}-{secrets.token_hex(4)}"
        return self.path.with_name(fitted(f".{self.path.name}", tail))


def fitted(name: str, tail: str) -> str:
    """A name with something behind it, shortened where file systems would refuse it.

    Args:
        name: What it begins with; of a long one the beginning stays, and a hash of all of it.
        tail: What it ends with.
    """
    room = _LONGEST_NAME - len(tail.encode("utf-8", "surrogateescape"))
    whole = name.encode("utf-8", "surrogateescape")
    if len(whole) <= room:
        return name + tail
    mark = hashlib.sha256(whole).hexdigest()[:8]
    begin = whole[: max(0, room - len(mark) - 1)].decode("utf-8", "ignore")
    return f"{begin}~{mark}{tail}"


def remove_left_behind(path: Path) -> None:
    """Remove what stood in for a file when a process was killed.

    Only for whoever knows that no other process writes this file now.

    Args:
        path: The file, as the user named it.
    """
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        return
    tail = f".partial-{'0' * 8}{real.suffix}"
    begin = re.escape(fitted(f".{real.stem}", tail).removesuffix(tail))
    name = re.compile(rf"{begin}\.partial-[0-9a-f]{{8}}{re.escape(real.suffix)}", re.DOTALL)
    for other in real.parent.iterdir():
        if name.fullmatch(other.name) and other.is_file() and not other.is_symlink():
            other.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk.

    Raises:
        OSError: If the disk fails.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # folders on some file systems
            raise
    finally:
        os.close(handle)


def must_not_be(path: Path, sources: Iterable[Path]) -> None:
    """Look whether an output is none of the inputs, by whatever name.

    Raises:
        MediaError: If it is.
    """
    for source in sources:
        if _same(Path(os.path.realpath(path)), source):
            raise MediaError(f"{path}: is the input itself; give the output another name")


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _rename_to_free_name(path: Path, name: Path) -> None:
    """Rename without ever replacing a file, also one that appears at this moment."""
    try:
        os.link(path, name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if name.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name)) from error
        path.rename(name)
    else:
        path.unlink()
