"""What an examination finds, and how it is written down."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "State", "lines", "to_json", "works"]

State = Literal["ok", "absent", "warning", "wrong"]
"""`absent`: is not here, and need not be."""

_MARKS: dict[State, str] = {"ok": "ok", "absent": "-", "warning": "warning", "wrong": "WRONG"}
_NEEDY: tuple[State, ...] = ("warning", "wrong")
_MARK_COLUMNS = 9
_WHAT_COLUMNS = 24
_LINE = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report.

    Attributes:
        area: Heading that it belongs under; findings of an area come one after the other.
        what: What was looked at.
        found: What is there.
        state: Whether that is well.
        advice: What to do, or how to get it; empty where there is nothing to do.
    """

    area: str
    what: str
    found: str
    state: State = "ok"
    advice: str = ""


def works(findings: Iterable[Finding]) -> bool:
    """Whether nothing is broken; warnings are no reason."""
    return all(finding.state != "wrong" for finding in findings)


def lines(finding: Finding, area: str | None) -> list[str]:
    """A finding as it is printed.

    Args:
        finding: What was found.
        area: That of the finding before it, or None at the beginning.

    Returns:
        Lines: a heading where the area is another one, the finding, what to do if that is needed.
    """
    rows = [] if finding.area == area else ([] if area is None else [""]) + [finding.area]
    head = f"  {_MARKS[finding.state]:<{_MARK_COLUMNS}}{finding.what:<{_WHAT_COLUMNS}} "
    rows += _wrapped(finding.found or "nothing", head)
    if finding.advice and finding.state in _NEEDY:
        rows += _wrapped(finding.advice, " " * (len(head) - 3) + "-> ")
    return rows


def _wrapped(text: str, head: str) -> list[str]:
    return textwrap.wrap(
        text,
        _LINE,
        initial_indent=head,
        subsequent_indent=" " * (2 + _MARK_COLUMNS + _WHAT_COLUMNS + 1),
        break_long_words=False,
        break_on_hyphens=False,
    )


def to_json(findings: Sequence[Finding], **more: Any) -> str:
    """A whole report as JSON.

    Args:
        findings: All of them.
        **more: What is said beside them.
    """
    data = {**more, "works": works(findings), "findings": [asdict(one) for one in findings]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
