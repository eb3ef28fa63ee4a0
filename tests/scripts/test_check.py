import sys

import pytest


@pytest.fixture
def check(tool, monkeypatch):
    script = tool("scripts/check.py")
    monkeypatch.setattr(sys, "argv", ["check.py"])
    return script


def gate(status: int, text: str = "") -> list[str]:
    return [sys.executable, "-c", f"print({text!r}); raise SystemExit({status})"]


@pytest.mark.parametrize(
    ("gates", "tests", "status"),
    [((0, 0), 0, 0), ((1, 0), 0, 1), ((0, 0), 2, 2), ((0, 1), 2, 1)],
)
def test_one_failed_gate_fails_the_whole(check, monkeypatch, capfd, gates, tests, status):
    names = "first", "second"
    monkeypatch.setattr(check, "GATES", {n: gate(s, n) for n, s in zip(names, gates, strict=True)})
    monkeypatch.setattr(check, "TESTS", gate(tests, "the tests"))
    assert check.main() == status
    lines = [line for line in capfd.readouterr().out.splitlines() if line]
    assert all(name in lines for name in names)  # a failure does not keep others from running
    failed = [name for name, value in zip(names, gates, strict=True) if value]
    assert [f"FAILED so far: {', '.join(failed)}"] * bool(failed) == [
        line for line in lines if line.startswith("FAILED")
    ]
    assert lines[-1] == "the tests"


def test_a_tool_that_is_missing_is_a_failed_gate(check, monkeypatch, capfd):
    monkeypatch.setattr(check, "GATES", {"gone": ["no-such-tool"]})
    monkeypatch.setattr(check, "TESTS", gate(0))
    assert check.main() == 1
    assert "no-such-tool: not installed" in capfd.readouterr().out
