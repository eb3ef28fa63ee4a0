"""An encoder that breaks its heap ends the whole process: each picture has a process here."""

import subprocess
import sys
from pathlib import Path

import pytest

ENCODES = """
import sys
from pathlib import Path
from media import make_video, paint
from vidcolor.color.compose import ComposeConfig
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.encode import VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.video import VideoReader
folder, height, width, fmt = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
make_video(folder / "a.mkv", frames=20, size=(height, width), pix_fmt=fmt)
config = OutputConfig("h265", preset="ultrafast")
with VideoReader(folder / "a.mkv") as reader:
    planes = ColoredPlanes(ComposeConfig())
    with VideoWriter(folder / "b.mkv", None, reader.info, planes, config) as writer:
        for batch in reader:
            writer.write(paint(batch))
with VideoReader(folder / "b.mkv") as reader:
    print(sum(len(batch) for batch in reader))
"""


@pytest.mark.parametrize(
    ("size", "fmt"), [((36, 48), "yuv420p10le"), ((200, 34), "yuv420p10le"), ((48, 48), "yuv420p")]
)
def test_h265_takes_narrow_pictures(tmp_path, size, fmt):
    words = [sys.executable, "-c", ENCODES, str(tmp_path), *map(str, size), fmt]
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tests, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["20"]
