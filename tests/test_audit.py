"""The audit of what vidcolor depends on, with made-up packages and with those that are here."""

import importlib.util
import subprocess
import sys
import tomllib
from email.message import Message

import audit
import pytest

PROJECT = tomllib.loads((audit.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


class Made:
    """A package that is not there, as importlib.metadata would tell of it."""

    def __init__(self, name, version="1.0", requires=(), **headers):
        self.metadata = Message()
        self.metadata["Name"] = name
        for key, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.metadata[key.replace("_", "-")] = one
        self.version, self.requires = version, list(requires)


def here(*made):
    return {audit.plain(one.metadata["Name"]): one for one in made}


def project(*needed, **extras):
    return {"dependencies": list(needed), "optional-dependencies": extras}


HOLE = audit.Advisory("thing", ">=1,<1.5", ("CVE-2020-1",), "it breaks")


# -- this repository -------------------------------------------------------------------------------


def test_what_we_ask_for_has_no_known_hole():
    assert list(audit.check_declared(PROJECT, audit.read_advisories())) == []


def test_what_is_installed_here_is_well():
    found, faults = audit.installed()
    assert faults == []
    assert list(audit.check_advisories(found, audit.read_advisories())) == []
    reached, faults = audit.closure(PROJECT, found)
    assert faults == []
    assert {"torch", "av", "numpy", "starlette", "sympy"} <= reached.keys()
    assert reached["codespell"] == {"dev"}
    assert "" in reached["numpy"]
    assert list(audit.check_licenses(reached, found)) == []


def test_the_table_is_of_packages_that_we_use_and_of_real_ids():
    direct = {audit.plain(audit.Requirement.read(line).name) for _, line in audit.declared(PROJECT)}
    through = {"h11", "ray"}  # of uvicorn; of many machines
    for one in audit.read_advisories():
        assert audit.plain(one.package) in direct | through, one
        assert audit.is_in("0.0.1", one.affected) or one.affected.startswith(">="), one
        assert "<" in one.affected, one  # there is a version without it
        for name in one.ids:
            assert audit.re.fullmatch(
                r"CVE-20\d\d-\d{4,6}|PYSEC-20\d\d-\d+|GHSA(-[23456789cfghjmpqrvwx]{4}){3}", name
            ), name


# -- what is asked for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (project("thing @ https://example.org/thing.whl"), "is taken from an address"),
        (project("thing @ git+https://example.org/thing"), "is taken from an address"),
        (project("thing"), "has no lowest version"),
        (project("thing<2"), "has no lowest version"),
        (project("thing>=1.2"), "allows 1.2, which has CVE-2020-1"),
        (project("Thing[more]>=1,<2"), "allows 1, which has CVE-2020-1"),
        (project("thing~=1.4"), "allows 1.4"),
        (project("thing==1.0"), "allows 1.0"),
        (project(extra=["thing>=1.4.9"]), "extra: thing>=1.4.9: allows 1.4.9"),
        (project(dev=["thing"]), "has no lowest version"),
    ],
)
def test_faults_of_what_we_ask_for(asked, says):
    (fault,) = audit.check_declared(asked, [HOLE])
    assert says in fault


@pytest.mark.parametrize(
    "asked", [project("thing>=1.5"), project("thing>=0.9"), project(dev=["other"]), project()]
)
def test_what_is_no_fault(asked):
    assert list(audit.check_declared(asked, [HOLE])) == []


# -- what is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "faults"), [("1.4", 1), ("1.5", 0), ("1.4+cu126", 1), ("2", 0)]
)
def test_an_installed_hole(version, faults):
    found = list(audit.check_advisories(here(Made("Thing", version)), [HOLE]))
    assert len(found) == faults


def test_the_closure_follows_extras_and_markers():
    packages = here(
        Made("a", "1.0", ["b>=2", "c; extra == 'more'", "d; python_version < '3'"]),
        Made("b", "2.1"),
        Made("c", "1", ["b<2"]),
        Made("d", "1"),
        Made("unrelated", "1"),
    )
    reached, faults = audit.closure(project("a>=1"), packages)
    assert (reached, faults) == ({"a": {""}, "b": {""}}, [])
    reached, faults = audit.closure(project("a[more]>=1"), packages)
    assert reached.keys() == {"a", "b", "c"}
    assert faults == ["c needs b<2, installed is 2.1"]
    reached, _ = audit.closure(project("b>=1", dev=["a"]), packages)
    assert reached == {"a": {"dev"}, "b": {"", "dev"}}


def test_what_is_missing_or_of_another_version():
    packages = here(Made("a", "1.0", ["gone>=3"]))
    _, faults = audit.closure(project("a>=2"), packages)
    assert faults == [
        "a needs gone>=3, which is not installed",
        "vidcolor needs a>=2, installed is 1.0",
    ]
    assert audit.closure(project(extra=["gone>=1"]), packages) == ({}, [])  # extras may be absent


def test_two_versions_of_one_name(monkeypatch):
    both = [Made("Two.names", "1.0"), Made("two-names", "2.0"), Made("one", "1"), Made("one", "1")]
    monkeypatch.setattr(audit, "distributions", lambda: both)
    found, faults = audit.installed()
    assert faults == ["two-names is installed twice: 1.0 and 2.0"]
    assert found.keys() == {"two-names", "one"}


# -- licenses --------------------------------------------------------------------------------------

OSI = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"License_Expression": "MIT"}, {"MIT"}),
        ({"License_Expression": "MIT AND (Apache-2.0 OR BSD-2-Clause)"},
         {"MIT", "Apache-2.0", "BSD-2-Clause"}),
        ({"License_Expression": "MIT WITH LLVM-exception"}, {"MIT", "LLVM-exception"}),
        ({"License": "Apache License 2.0"}, {"Apache-2.0"}),
        ({"License": "3-Clause BSD License"}, {"BSD-3-Clause"}),
        ({"License": "BSD 2-Clause License"}, {"BSD-2-Clause"}),
        ({"License": "MPL-2.0 AND MIT"}, {"MPL-2.0", "MIT"}),
        ({"License": "UNKNOWN", "Classifier": [OSI + "BSD License"]}, {"BSD-3-Clause"}),
        ({"License": "Copyright\nall of it", "Classifier": [OSI + "MIT License"]}, {"MIT"}),
        ({"Classifier": ["License :: OSI Approved", OSI + "Apache Software License"]},
         {"Apache-2.0"}),
        ({"License": "GPL-3.0"}, {"GPL-3.0"}),
        ({"License": "Mitigated"}, {"Mitigated"}),
        ({}, set()),
    ],
)  # fmt: skip
def test_licenses_are_read(headers, found):
    assert audit.licenses(Made("a", **headers)) == found


def faults_of(reached, *made):
    return list(audit.check_licenses(reached, here(*made)))


def test_licenses_that_are_not_in_the_list():
    gpl = Made("tool", License_Expression="GPL-2.0-only")
    assert faults_of({"tool": {"dev"}}, gpl) == []
    for roots in ({""}, {"dev", ""}, {"export"}):
        assert "GPL-2.0-only" in faults_of({"tool": roots}, gpl)[0]
    assert "states no license" in faults_of({"a": {""}}, Made("a"))[0]
    assert "AGPL" in faults_of({"a": {""}}, Made("a", License_Expression="MIT OR AGPL-3.0"))[0]


def test_the_libraries_of_nvidia_are_known_by_name():
    terms = {"License_Expression": "LicenseRef-NVIDIA-Proprietary"}
    assert faults_of({"nvidia-cublas": {""}}, Made("nvidia-cublas", **terms)) == []
    assert faults_of({"cuda-toolkit": {""}}, Made("cuda-toolkit")) == []
    assert "NVIDIA" in faults_of({"thing": {""}}, Made("thing", **terms))[0]


# -- the program -----------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["audit.py", *words])
        return audit.main(), capsys.readouterr().out

    return run


def test_faults_are_the_exit_status(run, monkeypatch):
    monkeypatch.setattr(audit, "audit", lambda *_: ([], "2 packages, 1 advisories"))
    assert run() == (0, "2 packages, 1 advisories: 0 faults\n")
    monkeypatch.setattr(audit, "audit", lambda *_: (["a is bad"], "2 packages"))
    assert run() == (1, "a is bad\n2 packages: 1 faults\n")


def test_without_packaging_pip_is_asked(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "packaging" else real(name)
    )

    def pip(command, **given):
        assert command[1:] == ["-m", "pip", "check"]
        assert given["timeout"] == audit.PIP_S
        return subprocess.CompletedProcess(command, 1, "a 1.0 requires b, which is missing\n", "")

    monkeypatch.setattr(audit.subprocess, "run", pip)
    faults, looked = audit.audit(PROJECT, [])
    assert faults == ["a 1.0 requires b, which is missing"]
    assert int(looked.split()[0]) > 10


def test_the_database_is_asked_only_on_request_and_with_a_limit(run, monkeypatch):
    monkeypatch.setattr(audit, "audit", lambda *_: ([], "nothing"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    status, out = run("--online")
    assert (status, "pip install pip-audit" in out) == (1, True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    asked = []

    def slow(command, timeout, **_):
        asked.append(command[1:3])
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(audit.subprocess, "run", slow)
    status, out = run("--online")
    assert (status, "gave no answer in 300 s" in out) == (1, True)
    assert asked == [["-m", "pip_audit"]]
    assert run()[0] == 0
    assert len(asked) == 1
