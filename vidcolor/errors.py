"""What can go wrong for reasons that a user can mend."""

__all__ = ["ConfigError", "GuidanceError", "MediaError", "VidcolorError", "WeightsError"]


class VidcolorError(Exception):
    """Root of all errors that the command line shows as one line.

    A message says what is wrong, where, what was expected and what to do.
    """


class ConfigError(VidcolorError, ValueError):
    """A setting is unknown, of the wrong type, out of range, or asks for what is not there."""


class MediaError(VidcolorError, OSError):
    """A video or picture cannot be read or written."""


class WeightsError(VidcolorError, RuntimeError):
    """A weight file is missing, damaged, or made for another network."""


class GuidanceError(VidcolorError, ValueError):
    """A file by which a person steers the line (boxes, shots, hints) does not fit."""
