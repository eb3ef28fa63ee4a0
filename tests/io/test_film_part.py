"""Frames by number: the same as in a whole run, whatever the file makes of seeking."""

from fractions import Fraction

import pytest
import torch
from media import VFR, make_video

from vidcolor.errors import MediaError
from vidcolor.io.film_part import FilmPart, MisplacedFrame
from vidcolor.io.input_config import InputConfig
from vidcolor.io.video import VideoReader

FILMS = {
    "mp4 with B-frames": ("a.mp4", {"codec": "libx264", "options": {"g": "12", "bf": "3"}}),
    "mkv, varying": (
        "a.mkv",
        {
            "codec": "libx264",
            "options": {"g": "7"},
            "pts": [40 * (18 * (n // 12) + VFR[n % 12]) + 330 for n in range(60)],
            "time_base": Fraction(1, 1000),
        },
    ),
    "open groups": (
        "a.mp4",
        {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=10:open-gop=1"}},
    ),
    "open groups in a broadcast": (
        "a.ts",
        {"codec": "mpeg2video", "options": {"g": "10", "bf": "2"}, "pts": range(900, 960)},
    ),
    "no times at all": ("a.h264", {"codec": "libx264", "options": {"g": "10", "bf": "0"}}),
    "avi": ("a.avi", {"codec": "mpeg4", "options": {"g": "9", "bf": "2"}}),
}


def read(path, part=None, batch_size=7):
    with VideoReader(path, InputConfig(batch_size=batch_size), part) as reader:
        return list(reader)


@pytest.fixture(scope="module", params=FILMS)
def film(request, tmp_path_factory):
    name, options = FILMS[request.param]
    path = make_video(tmp_path_factory.mktemp("film") / name, frames=60, **options).path
    batches = read(path)
    return path, torch.cat([b.luma for b in batches]), [t for b in batches for t in b.pts]


@pytest.mark.parametrize("index", [0, 1, 9, 10, 11, 23, 40, 59])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("from_beginning", [True, False])
def test_a_part_is_a_slice_of_the_whole(film, index, known, from_beginning) -> None:
    path, luma, pts = film
    breaks = {n: pts[n] if known else None for n in (0, 9, 10, 23, 40, index) if n >= index}
    for count in (1, 13, None):
        end = min(60, 60 if count is None else index + count)
        part = FilmPart(index, None if count is None else end - index, breaks, from_beginning)
        batches = read(path, part)
        assert [t for b in batches for t in b.pts] == pts[index:end]
        assert torch.equal(torch.cat([b.luma for b in batches]), luma[index:end])
        begins = [b.index for b in batches]
        assert begins[0] == index
        assert set(breaks) & set(range(index, end)) <= set(begins)
        assert begins[1:] == [b.index + len(b) for b in batches[:-1]]


def test_batches_begin_anew_at_breaks(film) -> None:
    path, _, pts = film
    part = FilmPart(5, 30, {5: pts[5], 11: None, 26: pts[26]})
    assert [(b.index, len(b)) for b in read(path, part)] == [
        (5, 6),
        (11, 7),
        (18, 7),
        (25, 1),
        (26, 7),
        (33, 2),
    ]


def test_list_of_another_film(film) -> None:
    path, _, pts = film
    for index, number in ((0, 20), (20, 31), (20, 34), (21, 34)):
        part = FilmPart(index, 34 - index, {index: pts[index], number: pts[number] + 1})
        with pytest.raises(MisplacedFrame, match=f"frame {number} has pts {pts[number]}, but"):
            read(path, part)


def test_list_that_is_wrong_by_a_frame(film) -> None:
    path, _, pts = film
    for shown in (pts[19], pts[20] - 1, pts[20] + 1, pts[21]):
        part = FilmPart(20, 7, {20: shown, 27: pts[27]})
        with pytest.raises(MisplacedFrame, match="the list is of another film"):
            read(path, part)


def test_frames_that_are_not_there(film) -> None:
    path, _, pts = film
    with pytest.raises(MediaError, match="has no frame 60"):
        read(path, FilmPart(60))
    with pytest.raises(MediaError, match="has no frame 60"):
        read(path, FilmPart(60, 2, {60: pts[-1] + 40}))
