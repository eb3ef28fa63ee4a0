"""What a person says, looked at before it becomes a part of a script."""

from __future__ import annotations

import contextlib
import reprlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from vidcolor.color.grade import GradeConfig
from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.script.text import to_data
from vidcolor.schema import load

__all__ = ["as_guidance", "check_line", "check_text", "check_words", "graded", "shown"]

_MOST_TEXT = 10_000
_MOST_LINE = 200
_MOST_NUMBERS = 20_000


@contextlib.contextmanager
def as_guidance(what: str) -> Iterator[None]:
    """Say of whatever records refuse that it was said of `what`.

    Raises:
        GuidanceError: In place of a `ConfigError`.
    """
    try:
        yield
    except ConfigError as error:
        text = str(error)
        raise GuidanceError(text if text.startswith(what) else f"{what}: {text}") from None
    except OverflowError:
        raise GuidanceError(f"{what}: a number is too large; give a smaller one") from None


def shown(value: Any) -> str:
    """A value in a message, never long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # numbers of thousands of digits have no text
        return "a number that large"


def check_text(what: str, text: Any, most: int = _MOST_TEXT) -> None:
    """See that a text can stand in a file.

    Raises:
        GuidanceError: If it is none, too long, or has halves of characters in it.
    """
    if not isinstance(text, str):
        raise GuidanceError(f"{what} must be a text, not {type(text).__name__}")
    if len(text) > most:
        raise GuidanceError(f"{what} is {len(text)} characters long; at most {most} will do")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise GuidanceError(f"{what} has characters that cannot be written; type it again")


def check_line(what: str, text: Any) -> None:
    """See that a text is good as a name: short, one line, nothing invisible.

    Raises:
        GuidanceError: If it is not.
    """
    check_text(what, text, _MOST_LINE)
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise GuidanceError(f"{what} must be one line without control characters; type it again")


def check_words(what: str, words: Mapping[str, Any]) -> None:
    """See that all texts of an entry can be written, and that no list is endless.

    Raises:
        GuidanceError: If one cannot.
    """
    for key, value in words.items():
        if isinstance(value, str):
            check_text(f"{what}, {key}", value)
        elif isinstance(value, list | tuple) and len(value) > _MOST_NUMBERS:
            raise GuidanceError(
                f"{what}, {key}: {len(value)} numbers are too many; at most {_MOST_NUMBERS} will "
                "do, draw it in parts"
            )


def graded(grade: GradeConfig, field: str, value: Any) -> GradeConfig:
    """A grade with one field changed.

    Args:
        grade: The old one.
        field: Its name.
        value: As in the file; None is neutral.

    Raises:
        GuidanceError: If there is no such field, or the value is out of range.
    """
    check_line("the part of the grade", field)
    check_words("grade", {field: value})
    data = {key: kept for key, kept in to_data(grade).items() if key != field}
    if value is not None or field not in {known.name for known in fields(GradeConfig)}:
        data[field] = value
    with as_guidance("grade"):
        return load(GradeConfig, data, "grade")
