"""The image of a pod: the steps of make, and no file that they do not need."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
PROFILE = ROOT / "profiles/kubernetes/config.yaml"


def told(instruction: str) -> list[str]:
    """Return what all instructions of one kind are told."""
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The folder that the image's `COPY` leave."""
    for copied in told("COPY"):
        *sources, _ = copied.split()
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, tmp_path / source)
            else:
                shutil.copy2(path, tmp_path)
    return tmp_path


def test_the_image_is_made_by_make(context: Path) -> None:
    target = re.fullmatch(r"make (\S+)", told("RUN")[-1])
    assert target
    makes = ["make", "--no-print-directory", "--dry-run", target[1]]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    steps, here = (
        subprocess.run(
            [*makes, "--always-make"],
            cwd=folder,
            env=alone,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder in (context, ROOT)
    )
    assert steps == here
    for lock in ("build", "lock", "storage"):
        assert f"--require-hashes -r requirements/{lock}.txt" in re.sub(
            " --no-build-isolation", "", steps
        )


def test_what_make_and_the_package_name_is_copied(context: Path) -> None:
    project = (context / "pyproject.toml").read_text(encoding="utf-8")
    assert 'readme = "README.md"' in project
    assert (context / "README.md").exists()
    assert (context / "src/msroi/photos/data").is_dir()


def test_files_that_are_copied_are_those_that_a_build_is_given() -> None:
    given = (ROOT / ".containerignore").read_text(encoding="utf-8").split()
    copied = [source for line in told("COPY") for source in line.split()[:-1]]
    assert given == ["*", *(f"!{name}" for name in copied), "**/__pycache__"]


def test_a_pod_finds_the_locked_python_and_the_jobs_own_source() -> None:
    assert told("ENV") == ["PATH=/opt/msroi/.venv/storage/bin:$PATH PYTHONPATH=src"]
    assert told("WORKDIR") == ["/opt/msroi", "/workdir"]
    version = re.search(r"python:3[.](\d+)-", told("FROM")[0])
    assert version
    assert 11 <= int(version[1]) <= 14


def test_the_profile_takes_the_image_that_the_containerfile_names() -> None:
    image = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))["container-image"]
    assert f"--tag {image} ." in (ROOT / "Containerfile").read_text(encoding="utf-8")
    version = re.search(
        r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert version
    assert image.endswith(f":{version[1]}")
