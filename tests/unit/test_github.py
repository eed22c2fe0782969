"""What a forge runs is what a contributor runs: targets of the Makefile, scripts that are there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def runs(path: Path) -> list[str]:
    """Return what the steps of a workflow run, for every value of its matrix."""
    found = []
    for job in read(path)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job["steps"]:
            commands = [step.get("run", "")]
            for name, values in matrix.items():
                place = f"${{{{ matrix.{name} }}}}"
                commands = [one.replace(place, str(v)) for one in commands for v in values]
            found += filter(None, dict.fromkeys(commands))
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_has_a_target_or_a_file(path: Path) -> None:
    for command in runs(path):
        if command.startswith("make"):
            target = command.split()[-1]
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), command
        elif command.startswith("bash"):
            assert (ROOT / command.split()[1]).is_file(), command
        else:
            assert ".venv/bin/" in command, command


def test_every_supported_python_is_checked() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.15"' in project
    ci = read(ROOT / ".github/workflows/ci.yml")
    assert ci["jobs"]["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_may_write_to_the_repository(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {"id-token": "write"}) == {"id-token": "write"}
