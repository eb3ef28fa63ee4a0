"""What is measured, with what, on what: settings of the line, and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WARM_UP_FRAMES = 24


def warm_up_frames(frames: int | None) -> int:
    """How many frames are done before those that count."""
    return WARM_UP_FRAMES if frames is None else min(WARM_UP_FRAMES, frames)


def duration(frames: int | None, rate: Fraction) -> float | None:
    """Seconds that hold so many frames."""
    return None if frames is None else float((frames - Fraction(1, 2)) / rate)


def read_flags(flags: list[str], seconds: float | None) -> Any:
    """The config that `--key value` flags give, for the first `seconds` of a film."""
    from vidcolor import schema
    from vidcolor.api import make_config
    from vidcolor.config import SHORT_NAMES, Config

    leaves = {leaf.name: leaf for leaf in schema.leaves(Config)}
    data: dict[str, Any] = {}
    if len(flags) % 2:
        raise SystemExit("options after -- come in pairs, like: --detector none")
    for flag, text in zip(flags[::2], flags[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        name = ".".join(SHORT_NAMES.get(name, tuple(name.split("."))))
        if name not in leaves:
            raise SystemExit(f"unknown option {flag}")
        schema.put(data, leaves[name].path, schema.parse(text, leaves[name]))
    data = schema.merge(data, {"output": {"overwrite": True}, "input": {"duration": seconds}})
    return make_config(**data)


def split_flags(words: list[str]) -> tuple[list[str], list[str]]:
    """What is the benchmark's, and after -- what is the line's."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def machine(flags: list[str]) -> dict[str, Any]:
    """What was measured, with what, on what."""
    import av
    import torch

    import vidcolor
    from vidcolor.build import choose_device, choose_precision

    config = read_flags(flags, None)
    device = choose_device(config.device)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "vidcolor": vidcolor.__version__,
        "commit": commit or None,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": flags,
        "device": device.type,
        "device_name": gpu,
        "precision": str(choose_precision(config.precision, device)).removeprefix("torch."),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "processor": processor(),
        "load_before": [round(value, 2) for value in os.getloadavg()]
        if hasattr(os, "getloadavg")
        else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "av": av.__version__,
    }


def processor() -> str:
    """Name of the CPU, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
