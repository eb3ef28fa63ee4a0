"""Looks at what vidcolor depends on: versions, licenses, known vulnerabilities. Works offline.

    python scripts/audit.py [--online]

It fails if

* pyproject.toml names a dependency by address, or needs one to run without a lowest version;
* the lowest version that pyproject.toml allows, or an installed one, is in scripts/advisories.toml;
* what is installed of our dependencies, and of theirs, does not satisfy what they ask of one
  another, or lies here in two versions;
* the license of one of them is not in the list below.

`--online` also runs pip-audit, which asks a database, if it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from vidcolor.doctor.ranges import Requirement, is_in

ROOT = Path(__file__).resolve().parents[1]
ADVISORIES = ROOT / "scripts" / "advisories.toml"
PIP_S, PIP_AUDIT_S = 120, 300

ALLOWED = frozenset(
    (
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT",
        "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "LLVM-exception",
    )
)  # fmt: skip
"""SPDX names; MPL only asks that changes of its own files be published."""

TOOLS = frozenset({"GPL-2.0-only", "GPL-3.0-only"})
"""For programs that only look at our source: no part of what runs."""

IN_WORDS = (  # what metadata says instead of SPDX names
    (r"apache( license| software license)?,?( version)? ?2(\.0)?", "Apache-2.0"),
    (r"apache software license", "Apache-2.0"),
    (r"bsd[- ]2[- ]clause( license)?|simplified bsd", "BSD-2-Clause"),
    (r"(new |modified )?bsd( license)?|(3-clause bsd|bsd 3-clause)( license)?", "BSD-3-Clause"),
    (r"mit( license)?|the mit license( \(mit\))?", "MIT"),
    (r"mozilla public license 2\.0( \(mpl 2\.0\))?|mpl[- ]?2\.0", "MPL-2.0"),
    (r"python software foundation license|psf(-2\.0)?", "PSF-2.0"),
    (r"isc license( \(iscl\))?", "ISC"),
    (r"the unlicense( \(unlicense\))?", "Unlicense"),
    (r"nvidia proprietary software|licenseref-nvidia.*", "NVIDIA"),
)  # fmt: skip

NVIDIA = re.compile(r"nvidia-[a-z0-9-]+|cuda-(bindings|pathfinder|toolkit)")
"""Libraries that PyTorch's wheels for CUDA bring; free to use, under NVIDIA's own terms."""


@dataclass(frozen=True)
class Advisory:
    """A known vulnerability.

    Attributes:
        package: Name on PyPI.
        affected: Range of versions.
        ids: In databases.
        what: What happens.
    """

    package: str
    affected: str
    ids: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return f"{self.ids[0]} ({self.what})"


def read_advisories(path: Path = ADVISORIES) -> list[Advisory]:
    """The table."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["advisory"]
    return [Advisory(r["package"], r["affected"], tuple(r["ids"]), r["what"]) for r in rows]


def plain(name: str) -> str:
    """A name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Extra (empty: needed to run) and text of every requirement of a `[project]` table."""
    for line in project.get("dependencies", ()):
        yield "", line
    for extra, lines in project.get("optional-dependencies", {}).items():
        for line in lines:
            yield extra, line


def lowest(wanted: str) -> str | None:
    """The lowest version of a range, if it has one."""
    found = re.search(r"(?:>=|~=|==)\s*([^\s,*]+)", wanted)
    return found[1].rstrip(".") if found else None


# --- what we ask for ----------------------------------------------------------------------------


def check_declared(project: Mapping[str, Any], advisories: Iterable[Advisory]) -> Iterator[str]:
    """Faults of pyproject.toml itself."""
    known: dict[str, list[Advisory]] = {}
    for one in advisories:
        known.setdefault(plain(one.package), []).append(one)
    for extra, line in declared(project):
        where = f"pyproject.toml, {extra or 'dependencies'}: {line}"
        try:
            wanted = Requirement.read(line)
        except ValueError:
            yield f"{where}: is taken from an address; want versions of a package"
            continue
        bound = lowest(wanted.range)
        if bound is None:
            if not extra or plain(wanted.name) in known:
                yield f"{where}: has no lowest version"
            continue
        for one in known.get(plain(wanted.name), ()):
            if is_in(bound, one.affected):
                yield f"{where}: allows {bound}, which has {one}; want none of {one.affected}"


# --- what is installed --------------------------------------------------------------------------


def installed() -> tuple[dict[str, Distribution], list[str]]:
    """What Python finds, the first of each name, and faults: names found in two versions."""
    found: dict[str, Distribution] = {}
    faults = []
    for one in distributions():
        name = one.metadata["Name"]
        if not name:
            continue
        first = found.setdefault(plain(name), one)
        if first.version != one.version:
            faults.append(f"{name} is installed twice: {first.version} and {one.version}")
    return found, faults


def check_advisories(
    here: Mapping[str, Distribution], advisories: Iterable[Advisory]
) -> Iterator[str]:
    """Faults: installed versions that are known to be vulnerable."""
    for one in advisories:
        found = here.get(plain(one.package))
        if found is not None and is_in(found.version, one.affected):
            yield f"{one.package} {found.version} has {one}; want none of {one.affected}"


def closure(
    project: Mapping[str, Any], here: Mapping[str, Distribution]
) -> tuple[dict[str, set[str]], list[str]]:
    """What is installed of all that we ask for, directly or not.

    Returns:
        Names, with our extras that lead there (empty: needed to run); faults.
    """
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Full

    reached: dict[str, set[str]] = {}
    faults: list[str] = []
    waiting = [("vidcolor", extra, Full(line), extra) for extra, line in declared(project)]
    seen: set[tuple[str, str, str]] = set()
    while waiting:
        of, context, wanted, root = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": context}):
            continue
        name = plain(wanted.name)
        found = here.get(name)
        if found is None:
            if not root:
                faults.append(f"{of} needs {wanted.name}{wanted.specifier}, which is not installed")
            continue
        if not wanted.specifier.contains(found.version, prereleases=True):
            faults.append(
                f"{of} needs {wanted.name}{wanted.specifier}, installed is {found.version}"
            )
        reached.setdefault(name, set()).add(root)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra, root) in seen:
                continue
            seen.add((name, extra, root))
            for line in found.requires or ():
                try:
                    waiting.append((name, extra, Full(line), root))
                except InvalidRequirement:
                    faults.append(f"{name} states a requirement that nobody understands: {line!r}")
    return reached, sorted(set(faults))


def pip_check() -> Iterator[str]:
    """Faults that pip finds, where `packaging` is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"],
        capture_output=True, text=True, timeout=PIP_S, check=False,
    )  # fmt: skip
    if done.returncode:
        yield from (done.stdout or done.stderr).strip().splitlines()


# --- licenses -----------------------------------------------------------------------------------


def licenses(one: Distribution) -> set[str]:
    """SPDX names of all licenses that a package states; what is in other words stays so."""
    data = one.metadata
    expression = data.get("License-Expression")
    if expression:
        words = re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", expression)
        return {_spdx(word) for word in words if word.strip()}
    stated = (data.get("License") or "").strip()
    if stated and "\n" not in stated and stated.upper() != "UNKNOWN":
        if re.fullmatch(r"[\w.+-]+(?: (?:AND|OR) [\w.+-]+)+", stated):
            return {_spdx(word) for word in re.split(r" (?:AND|OR) ", stated)}
        return {_spdx(stated)}
    classified = [
        line.rpartition("::")[2].strip()
        for line in data.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    return {_spdx(word) for word in classified if word != "OSI Approved"}


def _spdx(words: str) -> str:
    words = words.strip()
    for pattern, name in IN_WORDS:
        if re.fullmatch(pattern, words, re.I):
            return name
    return words


def check_licenses(
    reached: Mapping[str, set[str]], here: Mapping[str, Distribution]
) -> Iterator[str]:
    """Faults: licenses that nobody has allowed."""
    for name, roots in sorted(reached.items()):
        found = licenses(here[name])
        allowed = ALLOWED | TOOLS if roots <= {"dev"} else ALLOWED
        if NVIDIA.fullmatch(name):
            allowed, found = allowed | {"NVIDIA"}, found or {"NVIDIA"}
        if not found:
            yield f"{name} {here[name].version} states no license"
        for word in sorted(found - allowed):
            yield f"{name} {here[name].version} is licensed {word[:60]!r}, which is not in the list"


# --- all of it ----------------------------------------------------------------------------------


def audit(project: Mapping[str, Any], advisories: list[Advisory]) -> tuple[list[str], str]:
    """All faults, and what was looked at, in a line."""
    here, faults = installed()
    faults += check_declared(project, advisories)
    faults += check_advisories(here, advisories)
    if importlib.util.find_spec("packaging") is None:
        faults += pip_check()
        reached = {
            plain(one.name): {extra}
            for extra, one in ((e, Requirement.read(line)) for e, line in declared(project))
            if plain(one.name) in here
        }
    else:
        reached, more = closure(project, here)
        faults += more
    faults += check_licenses(reached, here)
    looked = f"{len(reached)} packages, {len(advisories)} advisories"
    return faults, looked


def ask_database() -> int:
    """Run pip-audit."""
    if importlib.util.find_spec("pip_audit") is None:
        print("pip-audit is not installed: pip install pip-audit")
        return 1
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off"]
    try:
        return subprocess.run(command, timeout=PIP_AUDIT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"pip-audit gave no answer in {PIP_AUDIT_S} s")
        return 1


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--online", action="store_true", help="ask a database too, by pip-audit")
    given = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    faults, looked = audit(project, read_advisories())
    for fault in faults:
        print(fault)
    print(f"{looked}: {len(faults)} faults")
    status = 1 if faults else 0
    return max(status, ask_database()) if given.online else status


if __name__ == "__main__":
    sys.exit(main())
