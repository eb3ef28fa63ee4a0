"""What does not leave this machine: names of people and machines, folders, passwords."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Veil"]

_TELL_NOTHING = frozenset({"", "root", "localhost"})
_HOMES = re.compile(r"(/home|/Users|[A-Za-z]:\\Users)([/\\])[^/\\\s\"']+")
_PASSWORDS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s\"']*@")
_QUERIES = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s\"'?]*\?)[^\s\"']+")


@dataclass(frozen=True, slots=True)
class Veil:
    """Takes out of texts what is nobody's business.

    Attributes:
        homes: Folders that become `~`, also inside longer paths.
        names: Words that are left out wherever they stand by themselves, with what stands for
            them.
    """

    homes: tuple[str, ...]
    names: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls) -> Veil:
        """For this user of this machine."""
        homes = {str(Path.home()), os.path.realpath(Path.home()), os.environ.get("HOME", "")}
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a container where nobody has a name
            user = ""
        host = socket.gethostname()
        return cls.of(homes, user, (host, host.partition(".")[0]))

    @classmethod
    def of(cls, homes: Iterable[str], user: str, hosts: Iterable[str]) -> Veil:
        """For known names.

        Args:
            homes: Folders of the user; `/` is none.
            user: The name that was logged in with.
            hosts: Names of the machine.
        """
        kept = {home.rstrip("/\\") for home in homes}
        names = [(user, "USER"), *((host, "HOST") for host in hosts)]
        return cls(
            tuple(sorted((home for home in kept if home), key=len, reverse=True)),
            tuple((name, stand) for name, stand in names if name.lower() not in _TELL_NOTHING),
        )

    def __call__(self, text: str) -> str:
        """The text without them."""
        for home in self.homes:
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
        text = _HOMES.sub(r"\1\2NAME", text)
        text = _QUERIES.sub(r"\1...", _PASSWORDS.sub(r"\1", text))
        for name, stand in self.names:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", stand, text, flags=re.I)
        return text
