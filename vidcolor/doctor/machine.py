"""The machine: Python, system, processor, memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vidcolor.doctor.report import Finding

__all__ = ["memory_bytes", "program", "see_machine"]

_AREA = "machine"
_OLDEST_PYTHON = (3, 11)
_LEAST_MEMORY = 4 << 30
_GIB = 1 << 30
_FEATURES = (  # names in torch.cpu.get_capabilities, and how people call them
    ("avx2", "AVX2"),
    ("avx512_f", "AVX-512"),
    ("avx512_bf16", "AVX-512 bfloat16"),
    ("avx512_fp16", "AVX-512 float16"),
    ("amx_tile", "AMX"),
    ("amx_bf16", "AMX bfloat16"),
    ("neon", "NEON"),
    ("bf16", "bfloat16"),
    ("sve", "SVE"),
)


def program() -> Iterator[Finding]:
    """Which vidcolor runs, on which Python."""
    import vidcolor

    place = Path(vidcolor.__file__).resolve().parent
    yield Finding("program", "vidcolor", f"{version('vidcolor')}, in {place}")
    python = f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        wanted = ".".join(map(str, _OLDEST_PYTHON))
        yield Finding("program", "Python", python, "wrong", f"install Python {wanted} or newer")
    else:
        yield Finding("program", "Python", python)


def see_machine() -> Iterator[Finding]:
    """System, processor, memory."""
    yield Finding(_AREA, "system", f"{platform.platform()}, {platform.machine()}")
    yield _processor()
    yield _memory()


def _processor() -> Finding:
    import torch

    known: dict[str, Any] = {}
    if hasattr(torch.cpu, "get_capabilities"):
        known = dict(torch.cpu.get_capabilities())
    name = str(known.get("cpu_name") or platform.processor() or platform.machine())
    features = [word for key, word in _FEATURES if known.get(key) is True]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{name}, {cores} cores for this process; {', '.join(features) or 'no wide units'}"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if x86 and known and not known.get("avx2"):
        return Finding(_AREA, "processor", found, "warning", "without AVX2 all of it is slow")
    return Finding(_AREA, "processor", found)


def memory_bytes() -> tuple[int, int] | None:
    """Memory of the machine, or of the container, in bytes: whole and free; None if unknown."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        whole = page * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    free = whole
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        free = int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        whole, free = min(whole, limit), min(free, max(0, limit - used))
    except (OSError, ValueError):  # no container, or one without a limit
        pass
    return whole, free


def _windows_memory() -> tuple[int, int] | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of Windows."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("whole", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("rest", ctypes.c_ulonglong * 5),
        )

    status = Status()
    status.length = ctypes.sizeof(status)
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009  (there on Windows only)
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.whole), int(status.free)


def _memory() -> Finding:
    found = memory_bytes()
    if found is None:
        return Finding(_AREA, "memory", "this system does not say")
    whole, free = found
    text = f"{whole / _GIB:.1f} GB, {free / _GIB:.1f} free"
    if free < _LEAST_MEMORY:
        return Finding(
            _AREA, "memory", text, "warning",
            "1080p takes about 2 GB, larger films more; close other programs",
        )  # fmt: skip
    return Finding(_AREA, "memory", text)
