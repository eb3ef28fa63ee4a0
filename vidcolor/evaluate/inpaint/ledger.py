"""Scores that are kept as they come, so that work that broke off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from vidcolor.errors import MediaError
from vidcolor.io.source import reason

__all__ = ["LEDGER", "Ledger"]

LEDGER = "scores.jsonl"


class Ledger:
    """A file with a line for each filled hole, found again by picture, hole and method.

    A line that was cut off by the end of the program is dropped. What is found does not depend on
    the order of work, so methods and classes can be added later.

    Args:
        folder: Where it lies; made if it is not there. None keeps nothing.
        overwrite: Begin anew.

    Raises:
        MediaError: If the folder holds other things, or cannot be read or written.
    """

    def __init__(self, folder: Path | None, overwrite: bool = False) -> None:
        self._known: dict[tuple[str, str], dict[str, float]] = {}
        self._file: IO[str] | None = None
        self._path = None if folder is None else folder / LEDGER
        if folder is None or self._path is None:
            return
        try:
            folder.mkdir(exist_ok=True)
            if self._path.exists() and not overwrite:
                self._read(self._path)
            elif not overwrite and any(folder.iterdir()):
                raise MediaError(
                    f"{folder}: holds files, and no {LEDGER} to go on with; use --overwrite or "
                    "another folder"
                )
            else:
                self._path.write_text("", encoding="utf-8")
        except OSError as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(f"{folder}: cannot be used ({reason(error)})") from None

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                key = (str(row["pair"]), str(row["method"]))
                self._known[key] = {name: float(value) for name, value in row["scores"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise MediaError(
                    f"{path}, line {number}: is no score; use --overwrite to begin anew"
                ) from None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def count(self) -> int:
        """Of scores that are known."""
        return len(self._known)

    def get(self, pair: str, method: str) -> Mapping[str, float] | None:
        """What is known of a pair (by its digest) and a method (by its mark)."""
        return self._known.get((pair, method))

    def add(self, pair: str, method: str, scores: Mapping[str, float]) -> None:
        """Keep it, on disk before the next one is begun.

        Raises:
            MediaError: If it cannot be written.
        """
        self._known[pair, method] = dict(scores)
        if self._file is None:
            return
        row = {"pair": pair, "method": method, "scores": scores}
        try:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        except OSError as error:
            raise MediaError(f"{self._path}: cannot be written ({reason(error)})") from None
