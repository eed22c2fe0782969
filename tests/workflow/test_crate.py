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
        reason="the validator is in an environment of its own, which `make crate-test` sets up",
    ),
]


def published(name: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the crate of what is committed of an experiment."""
    monkeypatch.chdir(ROOT)
    folder.publish(name, out, parser.STAGES)
    return out


def wrong(made: Path, severity: str) -> set[str]:
    """Return what the validator finds wrong."""
    command = [str(PYTHON), str(VALIDATE), str(made), severity]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(json.loads(said))


def test_a_folder_conforms_to_the_provenance_run_crate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wrong(published("paper-cpu", tmp_path / "crate", monkeypatch), "REQUIRED") == set()


def test_an_archive_conforms_and_lacks_only_what_is_recommended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dvc.lock has neither times nor Snakemake's version; nothing of ours has an address."""
    found = wrong(published("osie", tmp_path / "crate.zip", monkeypatch), "RECOMMENDED")
    assert found == {
        "RECOMMENDED: The SoftwareApplication id SHOULD be an absolute URI",
        "RECOMMENDED: The SoftwareApplication SHOULD have a version or softwareVersion",
        "RECOMMENDED: The Application SHOULD have a url",
        "RECOMMENDED: The Action SHOULD have an endTime in ISO 8601 format",
        "RECOMMENDED: The organization SHOULD have a URL.",
    }


def test_a_crate_that_leaves_out_what_the_profile_wants_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published("osie", tmp_path / "crate", monkeypatch) / crate.METADATA
    document = json.loads(path.read_text(encoding="utf-8"))
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    del entities["#step/train"]["workExample"]
    del entities["#snakemake-run/train"]["instrument"]
    del entities["#run/train"]["instrument"]
    (path.parent / "LICENSE").unlink()
    path.write_text(json.dumps(document), encoding="utf-8")
    assert wrong(path.parent, "REQUIRED") == {
        "REQUIRED: A ControlAction must reference a HowToStep instance representing the "
        "corresponding workflow step via instrument",
        "REQUIRED: A HowToStep must refer to its corresponding tool via workExample",
        "REQUIRED: A tool must be referred to from an action via instrument",
        "REQUIRED: The Action MUST have an instrument property that references the executed tool",
        "REQUIRED: The RO-Crate does not include the Data Entity 'LICENSE' as part of its payload",
    }
