"""Looking for damage in a long film must not bring all of it into memory."""

import subprocess
import sys
from fractions import Fraction

import av
import pytest

LOOKS = """
import sys
from pathlib import Path
from vidcolor.io.damage import structural_damage

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

Path("/proc/self/clear_refs").write_text("5")
before = most()
assert structural_damage(Path(sys.argv[1])) is None
print(most() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "frames"), [("film.mkv", 16_000), ("film.ts", 50_000)])
def test_a_long_film_is_looked_through_in_little_memory(tmp_path, name, frames):
    path = tmp_path / name
    codec = {"film.mkv": "rawvideo", "film.ts": "mpeg2video"}[name]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"film.mkv": "gray", "film.ts": "yuv420p"}[name]
        out.start_encoding()
        for number in range(frames):
            packet = av.Packet(bytes(64 * 48))
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)
    size = path.stat().st_size
    assert size > 3000 * frames
    words = [sys.executable, "-c", LOOKS, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) < size / 2
