"""Feeds every reader of files that a person gives with broken ones, for as long as wanted.

    python scripts/fuzz.py [--minutes 10] [--seed 0] [--only NAME...] [--keep DIR]

Valid files are changed by their structure and byte by byte (tests/hostile/mutations.py). A reader
may give a record or raise its error with one line that names the file; anything else is a finding:
another exception, two minutes, more than 6 GB. If the program dies, the file is the newest in the
folder that it named first. Printed: executions of each reader, how many of them were read, its
longest processor time, and the findings, each with the seed that makes it again (--only NAME
--seed N --count 1). The exit code is 1 if there are any. The tests run the same cases, a few of
each.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[1]
LONGEST_S = 120  # of the clock: a busy machine may stop a program for a while
LARGEST_BYTES = 6 << 30


def main() -> int:
    """Run until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first file of each reader")
    parser.add_argument("--count", type=int, default=0, help="files a reader; 0: until time is up")
    parser.add_argument("--only", nargs="*", default=(), help="names of readers")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    arguments = parser.parse_args()
    # decoders of pictures speak of every broken one; where the program dies is still told
    told = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    faulthandler.enable(told)
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_BYTES, LARGEST_BYTES))
    sys.path.insert(0, str(ROOT / "tests" / "hostile"))
    with tempfile.TemporaryDirectory() as folder:
        return _run(arguments, Path(folder), told)


def _run(arguments: argparse.Namespace, folder: Path, told: TextIO) -> int:
    from readers import attempt, cases

    chosen = [c for c in cases(folder) if not arguments.only or c.name in arguments.only]
    counts = {case.name: [0, 0, 0.0, 0] for case in chosen}
    findings: dict[tuple[str, str], Any] = {}
    end, seed = time.monotonic() + 60 * arguments.minutes, arguments.seed
    print(f"files lie in {folder}", flush=True)
    while time.monotonic() < end and seed - arguments.seed != (arguments.count or -1):
        for case in chosen:
            faulthandler.dump_traceback_later(LONGEST_S, exit=True, file=told)
            started = time.process_time()
            good, finding = attempt(case, seed, folder)
            took = time.process_time() - started
            row = counts[case.name]
            row[:2] = row[0] + 1, row[1] + good
            if took > row[2]:
                row[2:] = took, seed
            if finding and (case.name, finding.what[:60]) not in findings:
                findings[case.name, finding.what[:60]] = finding
                print(f"FOUND {case.name}, seed {seed}: {finding.what}", flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    (arguments.keep / f"{case.name} {seed} {case.file}").write_bytes(finding.data)
        seed += 1
    faulthandler.cancel_dump_traceback_later()
    print(f"{'reader':28}{'files':>9}{'read':>9}{'longest s':>11}{'its seed':>10}")
    for name, (files, read, longest, its) in counts.items():
        print(f"{name:28}{files:9}{read:9}{longest:11.2f}{its:10}")
    print(f"{sum(row[0] for row in counts.values())} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
