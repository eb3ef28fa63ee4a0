"""A process that reads what may be broken, so that a crash, a hang or a flood of memory is its own.

Started by `media_lab.Lab`. One JSON line in for each file, one out: what was read, what was written
for it, what was said, how long it took and how much memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import sys
import time
import traceback
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from vidcolor import api
from vidcolor.errors import VidcolorError
from vidcolor.io.film_frames import FilmFrames
from vidcolor.io.image import read_image
from vidcolor.io.input_config import InputConfig
from vidcolor.io.still import read_still
from vidcolor.io.video import VideoReader
from vidcolor.preview.sketch import sketch

_CHEAP: dict[str, Any] = {
    "detector": "none",
    "stabilize": False,
    "colorize": {"short_side": 64},
}


def digest(codes: np.ndarray) -> str:
    """Of code values, whatever type they travel in."""
    return hashlib.sha256(np.ascontiguousarray(codes, np.uint16).tobytes()).hexdigest()[:16]


def read_film(path: Path, most: int) -> dict[str, Any]:
    """Every frame that the reader gives."""
    found: dict[str, Any] = {"times": [], "luma": []}
    try:
        with VideoReader(path, InputConfig(batch_size=4)) as reader:
            found["size"] = reader.info.size
            for batch in reader:
                unit = batch.info.time_base
                found["times"] += [str(pts * unit) for pts in batch.pts]
                found["luma"] += [digest(frame[0].numpy()) for frame in batch.luma]
                if len(found["times"]) > most:
                    break
    except BaseException as error:  # noqa: BLE001  (all of it is told)
        found["error"] = tell(error)
    return found


def color(path: Path, out: Path) -> dict[str, Any]:
    """What a whole run makes of it."""
    found: dict[str, Any] = {}
    codec = {} if path.suffix in (".png", ".jpg", ".tif") else {"codec": "ffv1"}
    try:
        job = api.open_job(path, out, api.make_config(**_CHEAP, **codec))
        found["done"] = job.run(lambda count: None)
    except BaseException as error:  # noqa: BLE001
        found["error"] = tell(error)
    if out.exists():
        found["written"] = out.stat().st_size
        if codec:
            found.update(look(out))
    found["beside"] = sorted(p.name for p in out.parent.iterdir() if p != out)
    return found


def look(path: Path) -> dict[str, Any]:
    """A film as PyAV alone sees it."""
    times, luma = [], []
    try:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            for frame in film.decode(stream):
                plane = frame.planes[0]
                wide = frame.format.components[0].bits > 8
                rows = np.frombuffer(plane, np.uint16 if wide else np.uint8)
                rows = rows.reshape(plane.height, -1)[:, : plane.width]
                times.append(str(frame.pts * Fraction(stream.time_base)))
                luma.append((digest(rows), frame.format.components[0].bits))
    except Exception as error:  # noqa: BLE001
        return {"unreadable": str(error)}
    return {"times": times, "luma": luma}


def walk(path: Path) -> dict[str, Any]:
    """Key frames, and the sketch that `vidcolor preview` begins with."""
    found: dict[str, Any] = {}
    try:
        with FilmFrames(path) as film:
            found["keys"] = len(film.key_frames())
            found["shots"] = sum(1 for _ in sketch(film, limit=4))
    except BaseException as error:  # noqa: BLE001
        found["error"] = tell(error)
    return found


def picture(path: Path) -> dict[str, Any]:
    """A picture, read both ways."""
    found: dict[str, Any] = {}
    try:
        frame, info = read_image(path)
        found["size"], found["bits"] = frame.info.size, info.bits
        found["luma"] = digest(frame.luma[0, 0].numpy())
        still = read_still(path)
        found["still"] = list(still.pixels.shape)
    except BaseException as error:  # noqa: BLE001
        found["error"] = tell(error)
    return found


def tell(error: BaseException) -> dict[str, Any]:
    """An error, and where it came from if it is not one of ours."""
    ours = isinstance(error, VidcolorError)
    text = "" if ours else "".join(traceback.format_exception(error))[-1800:]
    return {"ours": ours, "kind": type(error).__name__, "text": str(error), "trace": text}


def memory_mb(key: str) -> float:
    """A figure of this process by its name in /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0


def serve(room_mb: int, work: Path) -> None:
    """Answer until there are no more questions."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for line in sys.stdin:
        order = json.loads(line)
        path = Path(order["path"])
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        before, started = memory_mb("VmRSS"), time.monotonic()
        if room_mb and "warm" not in order:
            most = (int(memory_mb("VmSize")) + room_mb) << 20
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        told: dict[str, Any] = {}
        for what in order["do"]:
            if what == "read":
                told["read"] = read_film(path, order.get("most", 5000))
            elif what == "color":
                folder = work / "out"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                suffix = path.suffix if path.suffix in (".png", ".jpg", ".tif") else ".mkv"
                told["color"] = color(path, folder / f"out{suffix}")
            elif what == "walk":
                told["walk"] = walk(path)
            else:
                told["picture"] = picture(path)
        told["seconds"] = round(time.monotonic() - started, 3)
        told["grown_mb"] = round(max(0.0, memory_mb("VmHWM") - before), 1)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    answers = os.dup(1)  # whatever prints, prints elsewhere
    os.dup2(2, 1)
    sys.stdout = os.fdopen(answers, "w")
    serve(int(sys.argv[1]), Path(sys.argv[2]))
