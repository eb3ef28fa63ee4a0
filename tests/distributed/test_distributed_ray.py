"""A film by workers that Ray runs, equal to the one that this process makes."""

import hashlib
import logging
import os
import signal
import threading

import av
import numpy as np
import pytest
from media import texture, write_gray

from vidcolor import plain
from vidcolor.config import Config
from vidcolor.distributed.ray_crew import RayCrew
from vidcolor.distributed.ray_engine import Node, RayEngine, share_out
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.segments import parts_folder
from vidcolor.plain import PlainFilm
from vidcolor.schema import load

FRAMES, SIZE = (30, 12, 24, 18), (72, 96)
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "detect": {"detector": "motion"},
    "output": {"codec": "ffv1"},
}


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """One Ray for all tests here; it takes seconds to begin."""
    os.environ["VIDCOLOR_SCRATCH"] = str(tmp_path_factory.mktemp("scratch"))
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the loopback address only
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="needs pip install 'vidcolor[cluster]'")
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
        object_store_memory=100 << 20,
    )
    yield ray
    ray.shutdown()
    del os.environ["VIDCOLOR_SCRATCH"], os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    luma = [
        texture(shot, 20 + 45 * shot, 80 + 45 * shot, 3.0, SIZE).astype(np.uint8)
        for shot, count in enumerate(FRAMES)
        for _ in range(count)
    ]
    moving = [np.roll(one, number, 1) for number, one in enumerate(luma)]
    return write_gray(tmp_path_factory.mktemp("film") / "film.mkv", moving)


@pytest.fixture
def film(source, monkeypatch):
    monkeypatch.setattr(plain, "_LEAST_FRAMES", 1)
    return PlainFilm(source, load(Config, SETTINGS))


def _frames(path):
    with av.open(str(path)) as opened:
        return [
            (frame.pts, *(hashlib.sha256(bytes(plane)).hexdigest() for plane in frame.planes))
            for frame in opened.decode(video=0)
        ]


@pytest.mark.ray
def test_two_workers_make_the_film_that_one_process_makes(ray, film, tmp_path):
    film.render(tmp_path / "alone.mkv")
    counts = []
    many = RayEngine(workers=2).render(film, tmp_path / "many.mkv", counts.append)
    assert many == sum(FRAMES) == sum(counts)
    assert _frames(tmp_path / "many.mkv") == _frames(tmp_path / "alone.mkv")
    assert not parts_folder(tmp_path / "many.mkv").exists()


@pytest.mark.ray
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(
    ray, film, tmp_path, monkeypatch, caplog
):
    processes, killed = {}, []
    meet, start = RayCrew._meet, RayCrew.start

    def met(self, member, told):
        processes[member.number] = told[1].process
        meet(self, member, told)

    def started(self, worker, span):
        start(self, worker, span)
        if not killed:
            killed.append(worker)
            kill = threading.Timer(0.3, os.kill, (processes[worker], signal.SIGKILL))
            kill.start()

    monkeypatch.setattr(RayCrew, "_meet", met)
    monkeypatch.setattr(RayCrew, "start", started)
    film.render(tmp_path / "alone.mkv")
    counts = []
    with caplog.at_level(logging.WARNING):
        RayEngine(workers=2).render(film, tmp_path / "many.mkv", counts.append)
    assert f"worker {killed[0]} is gone" in caplog.text
    assert sum(counts) == sum(FRAMES)
    assert _frames(tmp_path / "many.mkv") == _frames(tmp_path / "alone.mkv")


@pytest.mark.ray
def test_what_a_user_can_mend_is_one_line_and_finished_spans_stay(
    ray, film, source, tmp_path, monkeypatch
):
    """The film is damaged for the workers, after this process has found its shots."""
    output = tmp_path / "many.mkv"
    spans = list(film.spans(output))
    broken = tmp_path / "film.mkv"
    broken.write_bytes(source.read_bytes())
    other = PlainFilm(broken, film.config)
    film.color_span(output, spans[0])
    monkeypatch.setattr(type(other), "spans", lambda *_: iter(spans))
    size = broken.stat().st_size
    with broken.open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(MediaError) as caught:
        RayEngine(workers=1).render(other, output)
    assert "\n" not in str(caught.value)
    assert film.has(output, spans[0])
    assert not output.exists()


def test_workers_are_shared_out():
    one_gpu = Node(cpus=16, gpus=1)
    assert share_out([one_gpu] * 3, None, False)[0] == 3
    assert share_out([Node(64, 8)], None, False)[1].gpus == 1
    assert share_out([Node(16, 0)], None, False)[0] == 4
    count, resources = share_out([Node(8, 0), Node(4, 0)], 3, False)
    assert (count, resources.cpus) == (3, 4)
    assert share_out([Node(2, 0)], 2, False)[1].threads == 1


def test_more_workers_than_there_is_room_for():
    with pytest.raises(ConfigError, match=r"--workers 3: this machine has 2 cores.*at most"):
        share_out([Node(2, 0)], 3, growing=False)
    with pytest.raises(ConfigError, match=r"has 1 GPU, "):
        share_out([Node(8, 1)], 2, growing=False)
    assert share_out([Node(2, 0)], 9, growing=True)[0] == 9


def test_an_address_of_the_client_is_refused():
    with pytest.raises(ConfigError, match="on the cluster's head"):
        RayEngine("ray://head:10001")


def test_a_partial_film_is_not_made_by_many(source, tmp_path):
    pytest.importorskip("ray", reason="needs pip install 'vidcolor[cluster]'")
    partial = {**SETTINGS, "output": {"codec": "ffv1", "keep_partial": True}}
    with pytest.raises(ConfigError, match="--keep-partial is for --engine local"):
        RayEngine().render(PlainFilm(source, load(Config, partial)), tmp_path / "out.mkv")
