"""libx265 writes beyond its memory in pictures narrower than 64 pixels, and the process ends."""

import pytest
from media import make_video, paint

from vidcolor.color.compose import ComposeConfig
from vidcolor.errors import MediaError
from vidcolor.io.codecs import OutputConfig
from vidcolor.io.encode import VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.video import VideoReader

CONFIG = OutputConfig("h265", preset="ultrafast")


@pytest.mark.parametrize(
    ("size", "fmt"), [((36, 48), "yuv420p10le"), ((200, 34), "yuv420p10le"), ((48, 62), "yuv420p")]
)
def test_h265_refuses_narrow_pictures(tmp_path, size, fmt):
    film = make_video(tmp_path / "a.mkv", frames=3, size=size, pix_fmt=fmt)
    with VideoReader(film.path) as reader:
        info = reader.info
    with (
        pytest.raises(MediaError, match=f"narrower than 64 pixels, and this one has {size[1]}"),
        VideoWriter(tmp_path / "b.mkv", None, info, ColoredPlanes(ComposeConfig()), CONFIG),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize(("size", "fmt"), [((20, 64), "yuv420p10le"), ((36, 66), "yuv420p")])
def test_h265_takes_low_ones(tmp_path, size, fmt):
    film = make_video(tmp_path / "a.mkv", frames=20, size=size, pix_fmt=fmt)
    planes = ColoredPlanes(ComposeConfig())
    with (
        VideoReader(film.path) as reader,
        VideoWriter(tmp_path / "b.mkv", None, reader.info, planes, CONFIG) as writer,
    ):
        for batch in reader:
            writer.write(paint(batch))
    with VideoReader(tmp_path / "b.mkv") as reader:
        assert sum(len(batch) for batch in reader) == 20
