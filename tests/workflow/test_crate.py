"""The public validator of RO-Crates accepts what `msroi publish` writes."""

import json
import subprocess
from pathlib import Path

import pytest

from msroi.cli import parser
from msroi.publish import crate, folder

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/crate/bin/python"
VALIDATE = Path(__file__).with_name("validate_crate.py")

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        not PYTHON.exists(),
        reason="the validator is in an environment of its own, which `make test` sets up",
    ),
]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    folder.publish("osie", tmp_path / "crate", parser.STAGES)
    return tmp_path / "crate"


def wrong(made: Path, severity: str) -> list[str]:
    """Return what the validator finds wrong."""
    command = [str(PYTHON), str(VALIDATE), str(made), severity]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(json.loads(said))


def test_the_crate_conforms_to_the_workflow_run_crate(made: Path) -> None:
    assert wrong(made, "REQUIRED") == []


def test_what_is_recommended_and_not_there(made: Path) -> None:
    """dvc.lock has no times, stages and packages have no addresses, nor has the project."""
    assert {one.split(": ", 1)[1] for one in wrong(made, "RECOMMENDED")} == {
        "The SoftwareApplication id SHOULD be an absolute URI",
        "The Application SHOULD have a url",
        "The Action SHOULD have an endTime in ISO 8601 format",
        "The organization SHOULD have a URL.",
    }


def test_a_crate_without_its_workflow_is_found_out(made: Path) -> None:
    path = made / crate.METADATA
    document = json.loads(path.read_text(encoding="utf-8"))
    document["@graph"] = [one for one in document["@graph"] if one["@id"] != crate.SNAKEFILE]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert wrong(made, "REQUIRED")
