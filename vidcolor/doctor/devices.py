"""Devices: where networks compute, and how precisely."""

from __future__ import annotations

from collections.abc import Iterator

from vidcolor.doctor.report import Finding
from vidcolor.errors import ConfigError

__all__ = ["see_devices"]

_AREA = "devices"
_GIB = 1 << 30


def see_devices(device: str, precision: str) -> Iterator[Finding]:
    """All devices that PyTorch finds, and the one that the settings take.

    Args:
        device: As in the settings.
        precision: As in the settings.
    """
    import torch

    from vidcolor.build import choose_device, choose_precision

    built = torch.version.cuda or torch.version.hip
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    kind = choose_precision("auto", torch.device("cpu"))
    yield Finding(_AREA, "cpu", f"{threads} thread{plural}; {_name(kind)}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        yield _card(number)
    if not count:
        why = (
            f"no usable card (PyTorch is built for {built})"
            if built
            else "PyTorch is built without"
        )
        yield Finding(_AREA, "cuda", why, "absent")
    if torch.backends.mps.is_built():
        usable = torch.backends.mps.is_available()
        found = "Apple's, usable" if usable else "not on this machine"
        yield Finding(_AREA, "mps", found, "ok" if usable else "absent")
    try:
        chosen = choose_device(device)
    except ConfigError as error:
        yield Finding(_AREA, f"settings: {device}", str(error), "wrong", "choose --device cpu")
        return
    kind = choose_precision(precision, chosen)
    yield Finding(_AREA, f"settings: {device}", f"networks run on {chosen} in {_name(kind)}")


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")


def _card(number: int) -> Finding:
    import torch

    from vidcolor.build import choose_precision

    what = f"cuda:{number}"
    known = torch.cuda.get_device_properties(number)
    try:
        free, whole = torch.cuda.mem_get_info(number)
        torch.ones(1, device=what).add_(1).item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return Finding(
            _AREA, what, f"{known.name}: {reason}", "warning",
            "the card cannot be used; look at its driver, or choose --device cpu",
        )  # fmt: skip
    kind = _name(choose_precision("auto", torch.device(what)))
    room = f"{whole / _GIB:.1f} GB, {free / _GIB:.1f} free"
    return Finding(_AREA, what, f"{known.name}, {known.major}.{known.minor}; {room}; {kind}")
