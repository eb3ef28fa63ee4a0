import numpy as np
import pytest
import torch
from media import make_video

from vidcolor.errors import ConfigError
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader
from vidcolor.records import ColorSpec, VideoInfo


@pytest.mark.parametrize(
    ("height", "width", "bits", "expected"),
    [
        (480, 640, 8, 16),
        (1080, 1920, 8, 16),
        (1440, 2560, 8, 9),  # 33554432 bytes / 3686400
        (2160, 2880, 8, 5),
        (2160, 3840, 8, 4),
        (4320, 7680, 8, 4),
        (1080, 1920, 10, 8),
        (1080, 1920, 16, 4),
    ],
)
def test_batches_of_large_pictures_are_short(height, width, bits, expected) -> None:
    info = VideoInfo(height, width, color=ColorSpec(bits=bits, full_range=bits == 16))
    assert InputConfig().frames_of(info) == expected
    assert InputConfig(batch_size=7).frames_of(info) == 7


def test_readers_batches_are_as_long(tmp_path) -> None:
    small = make_video(tmp_path / "a.mkv", frames=20)
    with VideoReader(small.path) as reader:
        assert [len(batch) for batch in reader] == [16, 4]
    deep = make_video(tmp_path / "b.mkv", pix_fmt="gray16le", frames=6, size=(1200, 1920))
    with VideoReader(deep.path) as reader:
        assert [len(batch) for batch in reader] == [4, 2]


def test_a_film_is_the_same_decoded_on_a_gpu_or_without_one(tmp_path) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=20)
    found = []
    for hwaccel in ("none", "cuda"):
        with VideoReader(film.path, InputConfig(start=0.2, hwaccel=hwaccel)) as reader:
            found.append((reader.info, list(reader)))
    (info, expected), (other, batches) = found
    assert other == info
    assert [batch.pts for batch in batches] == [batch.pts for batch in expected]
    luma = [torch.cat([batch.luma for batch in some]).numpy() for some in (batches, expected)]
    np.testing.assert_array_equal(*luma)
    assert len(luma[0]) == 15


def test_what_keeps_its_color_is_decoded_on_the_processor(tmp_path, monkeypatch) -> None:
    film = make_video(tmp_path / "a.mp4", codec="libx264", frames=2)
    asked = []

    def record(path, hwaccel):
        asked.append(hwaccel)
        return real(path, hwaccel)

    from vidcolor.io import video

    real = video.open_source
    monkeypatch.setattr(video, "open_source", record)
    for keep in (False, True):
        with VideoReader(film.path, InputConfig(hwaccel="cuda"), keep_chroma=keep):
            pass
    assert asked == ["cuda", "none"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"hwaccel": "yes"}, "none or cuda"),
        ({"start": -1.0}, "start"),
        ({"duration": 0.0}, "duration"),
    ],
)
def test_config_is_checked(bad, message) -> None:
    with pytest.raises(ConfigError, match=message):
        InputConfig(**bad)
