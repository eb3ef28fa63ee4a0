from fractions import Fraction

import pytest
import torch

from vidcolor.guidance.script.entries import ShotEntry, fingerprint
from vidcolor.guidance.script.file import read_script, script_text
from vidcolor.guidance.script.plan import ShotLog, first_script
from vidcolor.guidance.tracks.file import TrackEntry
from vidcolor.records import FrameBatch, VideoInfo

INFO = VideoInfo(2, 2, rate=Fraction(25), time_base=Fraction(1, 1000))


def _film(sizes, pts):
    """Batches of (shot, frames); pts are counted through the film."""
    index = 0
    for shot, count in sizes:
        luma = torch.zeros(count, 1, 2, 2, dtype=torch.uint8)
        stamps = tuple(pts[index : index + count])
        yield FrameBatch(luma, stamps, INFO, index=index, shot=shot)
        index += count


def test_shots_are_written_down_while_they_pass():
    pts = [7, 47, 87, 127, 167, 327, 367]
    film = list(_film([(0, 2), (0, 1), (1, 1), (2, 2), (2, 1)], pts))
    log = ShotLog()
    assert list(log(film)) == film
    assert log.shots() == (
        ShotEntry(0, 0, 2, 7, 87, "0:00:00.000", "0:00:00.080"),
        ShotEntry(1, 3, 3, 127, 127, "0:00:00.120", "0:00:00.120"),
        ShotEntry(2, 4, 6, 167, 367, "0:00:00.160", "0:00:00.360"),
    )


def test_the_first_script_can_be_read(tmp_path):
    film = tmp_path / "film.mkv"
    film.write_bytes(b"frames")
    log = ShotLog()
    for _ in log(_film([(0, 3), (1, 4)], range(0, 280, 40))):
        pass
    tracks = (TrackEntry(100_001, "man", "person", shot=1, first=120, last=240),)
    script = first_script(film, log, tracks, {"stabilize": {"tau": 4.0}})
    source = script.source
    assert (source.name, source.frames, source.duration) == ("film.mkv", 7, "0:00:00.280")
    assert (source.time_base, source.fingerprint) == ("1/1000", fingerprint(film))
    path = tmp_path / "film.vidcolor"
    path.write_text(script_text(script))
    assert read_script(path) == script


def test_nothing_has_passed():
    with pytest.raises(RuntimeError, match="no frame"):
        ShotLog().shots()
