"""Equal planes, equal packets; and a process that is scheduled as it was before."""

import ctypes
import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vidcolor.io.codecs import OutputConfig, choose_encoding
from vidcolor.io.picture import PictureEncoder
from vidcolor.records import ColorSpec, VideoInfo

HERE = Path(__file__).parent
M_PERTURB = -6
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root gets real-time scheduling"
)


def noise(size, pix_fmt, frames=12):
    """Blurred noise that moves, with a cut in the middle: all tools of an encoder are used."""
    fmt = av.VideoFormat(pix_fmt, size[1], size[0])
    bits = fmt.components[0].bits
    rng = np.random.default_rng(0)
    field = cv2.blur(rng.random((size[0] + frames, size[1] + 2 * frames)), (5, 5))
    field = (field - field.min()) / np.ptp(field)
    for number in range(frames):
        grain = rng.normal(0, 0.01, field.shape)
        moved = np.roll((field + grain).clip(0, 1), (-number, -2 * number), (0, 1))
        moved = moved if number < frames // 2 else 1 - moved
        codes = np.rint(moved * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
        yield tuple(codes[: part.height, : part.width] for part in fmt.components)


@contextmanager
def encoder_for(codec, size, pix_fmt, extension=".mkv"):
    bits = av.VideoFormat(pix_fmt, 16, 16).components[0].bits
    info = VideoInfo(*size, time_base=Fraction(1, 1000), color=ColorSpec(bits=bits))
    encoding = choose_encoding(Path("a" + extension), info, OutputConfig(codec, pix_fmt=pix_fmt))
    with av.open(io.BytesIO(), "w", format=encoding.container) as out:
        yield PictureEncoder(out, encoding, info)


def packets(codec, planes, pix_fmt):
    size = planes[0][0].shape
    with encoder_for(codec, size, pix_fmt) as encoder:
        made = [p for n, frame in enumerate(planes) for p in encoder.encode(frame, 40 * n)]
        made += encoder.flush()
        return [(packet.pts, packet.dts, bytes(packet)) for packet in made]


@contextmanager
def memory_filled_with(byte):
    """What malloc gives is never what was there before; needs glibc, does nothing elsewhere."""
    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if change is not None:
        change(M_PERTURB, byte)
    try:
        yield
    finally:
        if change is not None:
            change(M_PERTURB, 0)


@pytest.mark.parametrize(
    ("codec", "size", "pix_fmt"),
    [
        ("h264", (60, 100), "yuv420p"),  # 7 macroblocks across: x264's AVX-512 reads too far
        ("h264", (240, 320), "yuv420p"),
        ("h264", (66, 98), "yuv422p10le"),
        ("h265", (66, 98), "yuv420p"),
        ("av1", (66, 98), "yuv420p10le"),
        ("prores", (66, 98), "yuv422p10le"),
        ("ffv1", (66, 98), "yuv444p"),
    ],
)
def test_equal_planes_make_equal_packets(codec, size, pix_fmt) -> None:
    planes = list(noise(size, pix_fmt))
    first = packets(codec, planes, pix_fmt)
    assert len(first) == len(planes)
    for byte in (1, 85, 170, 255):
        with memory_filled_with(byte):
            assert packets(codec, planes, pix_fmt) == first


@LINUX
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "ffv1"])
def test_cores_do_not_matter(codec) -> None:
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core only")
    planes = list(noise((144, 176), "yuv420p", 8))
    many = packets(codec, planes, "yuv420p")
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert packets(codec, planes, "yuv420p") == many
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("rows", [16, 60, 144, 576])
def test_h264_frames_are_whole(rows) -> None:
    """One slice to a picture, whatever machine: each further one costs bits."""
    made = packets("h264", list(noise((rows, 64), "yuv420p", 4)), "yuv420p")
    for _, _, data in made:
        units = [unit for unit in data.split(b"\0\0\1") if unit]
        assert sum(unit[0] & 31 in (1, 5) for unit in units) == 1


SCHEDULING = """
import json, os, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
CHILD = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
def classes():
    found = set()
    for thread in map(int, os.listdir("/proc/self/task")):
        found.add((os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority))
    return sorted(found)
def work():
    from test_picture import encoder_for, noise
    planes = list(noise((64, 64), "yuv420p", 4))
    with encoder_for("av1", (64, 64), "yuv420p") as encoder:
        threads = len(os.listdir("/proc/self/task"))
        found = [classes()]
        for number, frame in enumerate(planes):
            encoder.encode(frame, 40 * number)
            found.append(classes())
        child = subprocess.run([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, check=True)
        found.append([tuple(map(int, child.stdout.split()))])
        encoder.flush()
    found.append(classes())
    print(json.dumps({"threads": threads, "found": found}))
os.sched_setscheduler(0, POLICY, os.sched_param(PRIORITY))
work()
"""


@ROOT
@pytest.mark.parametrize(("policy", "priority"), [("OTHER", 0), ("RR", 5)])
def test_av1_leaves_scheduling_alone(policy, priority) -> None:
    number = getattr(os, f"SCHED_{policy}")
    script = SCHEDULING.replace("POLICY", str(number)).replace("PRIORITY", str(priority))
    seen = run_probe(script)
    assert seen["threads"] > 4  # the encoder has threads of its own
    assert seen["found"] == [[[number, priority]]] * len(seen["found"])


def run_probe(script):
    done = subprocess.run(
        [sys.executable, "-c", script, str(HERE)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)
