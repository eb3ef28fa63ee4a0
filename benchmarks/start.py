"""How long it takes from a command to the first frame.

    python benchmarks/start.py [--clip FILE ...] [--heights 480 1080] [--rounds 5] [--out FILE]
                               [-- any option of vidcolor colorize, ...]

Every number is of processes of their own, begun with nothing but their command line, in turn and
`rounds` times:

* `python`: an interpreter that does nothing: the floor;
* `help`: `vidcolor --help`, as it is typed;
* `import`: `import vidcolor`; `import api`: `import vidcolor.api`, by which programs color films;
* `first frame`: `vidcolor colorize CLIP OUT`, from the start of its process until the encoder's
  first packet is written to the segment of the film. Its parts, one after another: `imports`
  (the interpreter and all modules), `weights` (read from files into networks), `opening` (the
  film is looked at, the line is laid), `first batch` (until the line has handed its first frames
  to the encoder: the first call of `progress`) and `encoder` (until its first packet, which comes
  when its lookahead is full).

The operating system has the files in its memory; modules are compiled already. `no bytecode` is
one run of `import api` where Python may read no compiled modules, as right after installing.
Clips are the example, scaled to the heights. Written as JSON to
`benchmarks/results/start-DEVICE.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure.clocks import run_apart, usual_environment
from measure.films import describe, make_clip
from measure.rounds import FOLDER, Case, Value, write_result
from measure.settings import machine, split_flags

HEIGHTS = (480, 1080)
CLIP_FRAMES = 120
FLOOR = "python"
FIRST = "first frame"
PARTS = ("imports", "weights", "opening", "first batch", "encoder")
IMPORTS = {FLOOR: "pass", "import": "import vidcolor", "import api": "import vidcolor.api"}


class Enough(BaseException):
    """The first frame is written."""


# -- one start, in this process ------------------------------------------------------------------


def first_frame(began: float, clip: Path, out: Path, flags: list[str]) -> dict[str, float]:
    """Seconds of each part, in this process, which began at `began` (`time.time`).

    Does not return: prints the parts as JSON and ends the process, whatever threads there are.
    """
    from vidcolor.cli.loading import import_line, share_cores

    share_cores()
    import_line()
    from vidcolor.api import open_job

    moments = {"imports": time.time() - began}
    spent = _count_weights()
    _at_first_packet(lambda: _finish(began, moments, spent))
    config = _config(flags)
    job = open_job(clip, out, config)
    moments["opening"] = time.time() - began

    def progress(count: int) -> None:
        moments.setdefault("first batch", time.time() - began)

    job.run(progress)
    raise SystemExit(f"{clip}: colored, and no packet was seen")


def _config(flags: list[str]) -> Any:
    from measure.settings import read_flags

    return read_flags(flags, None)


def _count_weights() -> list[float]:
    """From now on the time of reading weights is noted."""
    import vidcolor.build as build

    spent: list[float] = []

    def timed(load: Any) -> Any:
        def load_timed(*given: Any, **named: Any) -> Any:
            before = time.perf_counter()
            try:
                return load(*given, **named)
            finally:
                spent.append(time.perf_counter() - before)

        return load_timed

    found = [name for name in ("load_model", "load_inpainter") if hasattr(build, name)]
    for name in found:
        setattr(build, name, timed(getattr(build, name)))
    if not found:
        raise SystemExit("vidcolor.build reads weights in another way now; see start.py")
    return spent


def _at_first_packet(tell: Any) -> None:
    """Call `tell` when the first packet was written."""
    from vidcolor.io.segment_file import SegmentFile

    write = SegmentFile.write

    def told(self: Any, pts: int, key_frame: bool, data: bytes) -> None:
        write(self, pts, key_frame, data)
        self._file.flush()
        tell()

    SegmentFile.write = told  # type: ignore[method-assign]


def _finish(began: float, moments: dict[str, float], spent: list[float]) -> None:
    moments["encoder"] = time.time() - began
    parts = {
        "imports": moments["imports"],
        "weights": sum(spent),
        "opening": moments["opening"] - moments["imports"] - sum(spent),
        "first batch": moments["first batch"] - moments["opening"],
        "encoder": moments["encoder"] - moments["first batch"],
    }
    print(json.dumps({**parts, FIRST: moments["encoder"]}), flush=True)
    os._exit(0)  # what the other threads still do is of no interest


# -- many of them --------------------------------------------------------------------------------


def wall(command: list[str], env: dict[str, str] | None = None) -> float:
    """Seconds from the start of a process to its end.

    Raises:
        SystemExit: If it fails.
    """
    before = time.perf_counter()
    own = usual_environment() if env is None else env
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env=own)
    took = time.perf_counter() - before
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return took


def command_line() -> list[str]:
    """`vidcolor` as it is typed: the installed script, or else the package."""
    script = Path(sys.executable).with_name("vidcolor")
    return [str(script)] if script.exists() else [sys.executable, "-m", "vidcolor.cli"]


def without_bytecode(folder: Path) -> float:
    """Seconds of `import vidcolor.api` where no compiled module may be read."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return wall([sys.executable, "-c", IMPORTS["import api"]], env)


def measure_commands(rounds: int, folder: Path) -> Case:
    """Starts without a film."""
    commands = {name: [sys.executable, "-c", code] for name, code in IMPORTS.items()}
    commands["help"] = [*command_line(), "--help"]
    for command in commands.values():
        wall(command)  # compiled, and in the memory of the system
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(wall(command))
    values = {name: Value("s", tuple(all_)) for name, all_ in found.items()}
    values["no bytecode"] = Value("s", (without_bytecode(folder / "none"),))
    return Case({}, values)


def measure_film(clip: Path, rounds: int, flags: list[str]) -> Case:
    """Starts with a film; `rounds` after one that does not count."""
    found: list[dict[str, float]] = []
    for number in range(-1, rounds):
        with tempfile.TemporaryDirectory() as folder:
            words = ["--clip", str(clip), "--into", folder, "--began", str(time.time())]
            one = run_apart(__file__, [*words, "--", *flags])
        if number >= 0:
            found.append(one)
    names = (FIRST, *PARTS)
    values = {name: Value("s", tuple(one[name] for one in found)) for name in names}
    return Case(describe(clip), values)


def table(cases: dict[str, Case]) -> str:
    """The numbers as people read them."""
    lines = []
    for name, case in cases.items():
        lines.append(name)
        lines += [
            f"  {key:14s}{value.median:8.3f} s  ({min(value.rounds):.3f} to "
            f"{max(value.rounds):.3f}, {len(value.rounds)} rounds)"
            for key, value in case.values.items()
        ]
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, action="append", default=[], help="instead of ours")
    parser.add_argument("--heights", type=int, nargs="+", default=list(HEIGHTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    known, flags = split_flags(sys.argv[1:] if words is None else words)
    given = parser.parse_args(known)
    if given.began is not None:
        first_frame(given.began, given.clip[0], given.into / "out.mkv", flags)
    about = machine(flags)
    cases: dict[str, Case] = {}
    with tempfile.TemporaryDirectory() as folder:
        cases["commands"] = measure_commands(given.rounds, Path(folder))
        clips = list(given.clip)
        for height in [] if clips else given.heights:
            clips.append(Path(folder) / f"example-{height}p.mp4")
            make_clip(height, clips[-1], CLIP_FRAMES)
        for clip in clips:
            cases[clip.stem] = measure_film(clip, given.rounds, flags)
    print(table(cases))
    out = given.out or FOLDER / f"start-{about['device']}.json"
    write_result(out, "start", about, cases)
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
