"""Without a GPU: what is asked of one comes from the processor, and is the same."""

import logging

import av
import numpy as np
import pytest
from media import make_video

from vidcolor.errors import ConfigError
from vidcolor.io import gpu_decoder as module
from vidcolor.io import source
from vidcolor.io.decode import decode
from vidcolor.io.gpu_decoder import check_hwaccel, gpu_decoder, why_not
from vidcolor.io.planes import layout_of, luma_of
from vidcolor.io.source import open_source

ABSENT = why_not("cuda") is not None


@pytest.fixture(autouse=True)
def _unasked():
    module._warn.cache_clear()
    yield
    module._warn.cache_clear()


def luma(path, hwaccel: str) -> list[np.ndarray]:
    container, stream = open_source(path, hwaccel)
    with container:
        frames = decode(path, container, stream, True, lambda text: None)
        return [luma_of(frame, layout_of(frame.format)).copy() for frame in frames]


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("libx264", "yuv420p"), ("libx265", "yuv420p10le"), ("ffv1", "gray")],
)
def test_luma_is_the_same_wherever_it_is_decoded(tmp_path, codec, pix_fmt, caplog) -> None:
    """With a GPU this compares it with the processor."""
    film = make_video(
        tmp_path / "a.mkv", codec=codec, pix_fmt=pix_fmt, frames=14, size=(144, 192), color=False
    )
    expected = luma(film.path, "none")
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        found = luma(film.path, "cuda")
        luma(film.path, "cuda")
    assert len(found) == 14
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))
    warnings = [record.getMessage() for record in caplog.records]
    if codec == "ffv1" or not ABSENT:
        assert not warnings  # nobody decodes FFV1 on a GPU
    else:
        assert warnings == [f"hwaccel cuda: {why_not('cuda')}; films are decoded on the processor"]


@pytest.mark.skipif(not ABSENT, reason="there is a GPU")
def test_why_there_is_none() -> None:
    assert why_not("cuda") == "no NVIDIA GPU with its driver was found"
    assert gpu_decoder("cuda", "h264") is None


def test_a_gpu_gets_only_what_it_decodes_to_the_bit(monkeypatch) -> None:
    monkeypatch.setattr(module, "why_not", lambda name: None)
    for codec in ("h264", "hevc", "vp9"):
        assert gpu_decoder("cuda", codec).allow_software_fallback
        assert gpu_decoder("none", codec) is None
    for codec in ("mpeg2video", "mjpeg", "ffv1", "libdav1d"):
        assert gpu_decoder("cuda", codec) is None


def test_the_decoder_reaches_ffmpeg_and_the_first_container_is_closed(tmp_path, monkeypatch):
    """A device that is not there stands for one that is."""
    film = make_video(tmp_path / "a.mkv", codec="libx264", frames=3)
    told = []
    opened = []
    real = av.open

    def record(*args, hwaccel=None, **others):
        told.append(hwaccel)
        opened.append(real(*args, **others))
        return opened[-1]

    decoder = object()
    monkeypatch.setattr(source, "gpu_decoder", lambda name, codec: decoder)
    monkeypatch.setattr("vidcolor.io.demuxer.av.open", record)
    container, stream = open_source(film.path, "cuda")
    assert told == [None, decoder]
    assert container is opened[1]
    assert len(list(container.decode(stream))) == 3
    with pytest.raises((AssertionError, ValueError)):
        next(opened[0].demux())
    container.close()


def test_only_what_is_known_can_be_asked() -> None:
    check_hwaccel("none")
    check_hwaccel("cuda")
    with pytest.raises(ConfigError, match="hwaccel must be none or cuda, not 'nvdec'"):
        check_hwaccel("nvdec")
