import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def commands(path: Path) -> list[str]:
    """What a shell script does after finding its place."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    assert kept[0] == "set -euo pipefail"
    assert kept[1].startswith("cd ")
    return kept[2:]


def test_ci_runs_what_the_readme_tells_a_newcomer_and_nothing_else():
    said = commands(ROOT / ".ci" / "run")
    assert said[-1].endswith("scripts/check.py")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    told = [line.strip() for block in code for line in block.splitlines()]
    assert [line for line in said if line not in told] == []


def test_commits_meet_the_gates_that_ci_checks():
    check = (ROOT / "scripts" / "check.py").read_text(encoding="utf-8")
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = {line.split()[0] for line in re.findall(r"entry: (.*)", hooks)}
    assert entries == {"ruff", "mypy", "lint-imports", "codespell"}
    assert all(entry.split("-")[0] in check for entry in entries)


def test_changelog_knows_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(project['version'])}\]", changelog, re.MULTILINE)
