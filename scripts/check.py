"""Runs all quality gates, each to its end, the tests last.

    .venv/bin/python scripts/check.py [--fast] [-- PYTEST OPTIONS]

Needs `pip install -e '.[dev]'`. The exit status is 0 when every gate passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sysconfig.get_path("scripts"))
GATES = {
    "style": [sys.executable, "-m", "ruff", "check"],
    "format": [sys.executable, "-m", "ruff", "format", "--check"],
    "types": [sys.executable, "-m", "mypy"],
    "import rules": [str(TOOLS / "lint-imports")],
    "dependencies": [sys.executable, "scripts/audit.py"],
    "spelling": [sys.executable, "-m", "codespell_lib"],
}
TESTS = [sys.executable, "-m", "pytest", "-q"]


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def run(name: str, command: Sequence[str], environment: dict[str, str]) -> bool:
    """Run one gate; true if it passed."""
    print(f"== {name}: {' '.join(command[1:] if command[0] == sys.executable else command)}")
    sys.stdout.flush()
    before = time.monotonic()
    try:
        passed = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0
    except FileNotFoundError:
        print(f"{command[0]}: not installed; pip install -e '.[dev]'")
        passed = False
    verdict = "passed" if passed else "FAILED"
    print(f"== {name}: {verdict} after {time.monotonic() - before:.0f} s\n", flush=True)
    return passed


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="leave out the tests marked slow")
    parser.add_argument("pytest", nargs="*", metavar="PYTEST OPTION", help="after --")
    given = parser.parse_args()

    environment = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    failed = [name for name, command in GATES.items() if not run(name, command, environment)]
    if failed:
        print(f"FAILED so far: {', '.join(failed)}\n", flush=True)
    # One process a core and one thread a process; what pytest says last is the last line.
    tests = [*TESTS, "-n", str(cores()), *given.pytest]
    if given.fast:
        tests += ["-m", "not slow"]
    status = subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode
    return 1 if failed else status


if __name__ == "__main__":
    sys.exit(main())
