import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from processes import fresh_processes
from runs import assert_same_run, folder_of, rows_of, run, state_of

from vidcolor.errors import MediaError
from vidcolor.io.shards import Pictures
from vidcolor.train.run import train

PROC = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at /proc")


@pytest.mark.parametrize(
    "over",
    [
        {"phase": {"name": "full", "adversarial": 0.1, "temporal": 0.1}, "data": {"sizes": [64]},
         "fit": {"accumulate": 2}},
        {"phase": {"name": "instance", "loss": "smooth_l1+classes", "rebalance": 0.5},
         "model": {"settings": ["bins=true"]}},
        {"phase": {"name": "fusion"}, "fit": {"optimizer": "adam", "schedule": "constant"}},
    ],
    ids=["full", "instance", "fusion"],
)  # fmt: skip
def test_killed_and_resumed_equals_never_killed(config, over):
    whole, killed = config("whole", **over), config("killed", **over)
    copied = config("copied", **over)
    assert run(whole) == [1, 2, 3, 4, 5, 6]
    steps = train(killed)
    for progress in steps:
        if progress.report.step == 5:  # two steps after a save
            # what a power cut would leave behind
            shutil.copytree(folder_of(killed), folder_of(copied))
            break
    assert state_of(copied)["step"] == 3
    assert [row["step"] for row in rows_of(copied)] == [1, 2, 3, 4, 5]
    assert run(copied) == [4, 5, 6]
    assert_same_run(whole, copied)


def test_closed_between_two_steps_loses_none(config, whole):
    closed = config("closed")
    steps = train(closed)
    assert [next(steps).report.step for _ in range(4)] == [1, 2, 3, 4]
    steps.close()
    assert state_of(closed)["step"] == 4
    assert run(closed) == [5, 6]
    assert_same_run(whole, closed)
    assert [
        start["step"]
        for start in json.loads((folder_of(closed) / "run.json").read_text())["starts"]
    ] == [0, 4]


def test_stopped_when_asked_and_by_ctrl_c_while_reading(config, monkeypatch):
    one = config()
    assert run(one, stop=iter([False, True]).__next__) == [1, 2]
    assert state_of(one)["step"] == 2
    rgb = Pictures.rgb
    calls = itertools.count()

    def interrupted(self, number):
        if next(calls) == 2:  # the second batch begins
            raise KeyboardInterrupt
        return rgb(self, number)

    monkeypatch.setattr(Pictures, "rgb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(one)
    monkeypatch.undo()
    assert state_of(one)["step"] == 3
    assert run(one) == [4, 5, 6]


def _work(config, step, line):
    """A process of its own, which tells when it has done `step` and then waits for an answer."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # its workers, as in a user's process
    torch.set_num_threads(1)
    asked = []

    def hear(number, frame):
        if os.getpid() != own:
            raise KeyboardInterrupt  # what a worker does by itself
        asked.append(number)

    own = os.getpid()
    signal.signal(signal.SIGINT, hear)
    for progress in train(config, stop=lambda: bool(asked)):
        if progress.report.step == step:
            line.send(step)
            line.recv()


def _until(config, step):
    """A process that trains and has just done `step`, its workers, and the line to it."""
    context = fresh_processes()
    line, theirs = context.Pipe()
    process = context.Process(target=_work, args=(config, step, theirs))
    process.start()
    theirs.close()
    assert line.recv() == step
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return process, [int(word) for word in children.split()], line


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_for(workers):
    end = time.monotonic() + 20
    while any(map(_runs, workers)):
        assert time.monotonic() < end, "workers outlive their parent"
        time.sleep(0.05)


@PROC
def test_kill_9_in_the_middle_and_workers_end_too(config, whole):
    killed = config("killed", data={"workers": 1})
    process, workers, _ = _until(killed, 4)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert workers
    _wait_for(workers)
    assert state_of(killed)["step"] == 3
    assert run(killed) == [4, 5, 6]
    assert_same_run(whole, killed)


@PROC
def test_ctrl_c_that_everybody_hears_stops_between_two_steps(config, whole):
    stopped = config("stopped", data={"workers": 2})
    process, workers, line = _until(stopped, 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    line.send("go on")
    process.join(60)
    assert process.exitcode == 0
    assert len(workers) == 2
    _wait_for(workers)
    assert state_of(stopped)["step"] == 2
    assert run(stopped) == [3, 4, 5, 6]
    assert_same_run(whole, stopped)


def test_a_log_cut_short_is_mended(config):
    one = config()
    steps = train(one)
    for _ in range(3):
        next(steps)
    steps.close()
    with (folder_of(one) / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "los')
    run(one)
    assert [row["step"] for row in rows_of(one)] == [1, 2, 3, 4, 5, 6]


def test_a_full_disk_costs_the_steps_since_the_last_save(config, whole):
    full = config("full")
    steps = train(full)
    for _ in range(5):
        next(steps)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(MediaError, match=r"full.*File too large.*goes on from step 3"):
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert state_of(full)["step"] == 3
    assert not list(folder_of(full).glob("*.part*"))
    assert not list(folder_of(full).glob(".*"))
    assert run(full) == [4, 5, 6]
    assert_same_run(whole, full)
