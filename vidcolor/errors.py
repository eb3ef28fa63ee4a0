"""What can go wrong for reasons that a user can mend."""

import re

__all__ = [
    "ConfigError",
    "GuidanceError",
    "MediaError",
    "VidcolorError",
    "WeightsError",
    "printable",
]

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Line ends, what steers a terminal, what turns the direction of text, bytes that are no text."""


def printable(text: str) -> str:
    r"""Text in one line that does nothing to a terminal: controls become escapes like `\n`.

    File names and metadata may hold anything.
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class VidcolorError(Exception):
    """Root of all errors that the command line shows as one line.

    A message says what is wrong, where, what was expected and what to do.
    """

    def __str__(self) -> str:
        """The message, `printable`."""
        return printable(super().__str__())


class ConfigError(VidcolorError, ValueError):
    """A setting is unknown, of the wrong type, out of range, or asks for what is not there."""


class MediaError(VidcolorError, OSError):
    """A video or picture cannot be read or written."""


class WeightsError(VidcolorError, RuntimeError):
    """A weight file is missing, damaged, or made for another network."""


class GuidanceError(VidcolorError, ValueError):
    """A file by which a person steers the line (boxes, shots, hints) does not fit."""
