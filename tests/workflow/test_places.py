"""Where the project lies and how Snakemake is started: odd paths, no git, no environment active."""

import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, copy_of_project

pytestmark = pytest.mark.workflow

BIN = Path(sys.executable).parent
PLAN = "results/tiny/augment/plan.csv"


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake by its path in a shell that knows nothing of the environment."""
    source = {"PYTHONPATH": str(ROOT / "src"), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    command = [str(BIN / "snakemake"), "--cores", "1", *arguments]
    return subprocess.run(command, cwd=folder, env=source, capture_output=True, text=True)


def test_a_path_with_braces_without_git_and_without_an_activated_environment(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a {b} c"
    folder.mkdir()
    copy_of_project(folder)
    done = snakemake(folder, "--", PLAN)
    assert done.returncode == 0, done.stderr
    assert (folder / PLAN).exists()


def test_snakemake_from_another_folder_says_where_to_run(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "--dry-run", "--snakefile", str(ROOT / "Snakefile"))
    assert done.returncode == 1
    assert (
        f"There is no dvc.yaml in {tmp_path.resolve()}; run snakemake in the project's folder, or "
        f"with --directory {ROOT}."
    ) in done.stdout + done.stderr


def test_the_catalogues_snakefile_is_the_projects(tmp_path: Path) -> None:
    """`workflow/Snakefile`, without which the catalogue of workflows does not list a project."""
    snakefile = str(ROOT / "workflow/Snakefile")
    done = snakemake(tmp_path, "--list-rules", "--directory", str(ROOT), "--snakefile", snakefile)
    assert done.returncode == 0, done.stderr
    assert "record" in done.stdout.split()
    refused = snakemake(tmp_path, "--dry-run", "--snakefile", snakefile)
    assert f"or with --directory {ROOT}." in refused.stdout + refused.stderr


def test_a_deployment_as_a_module_says_what_to_do_instead(tmp_path: Path) -> None:
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(
        f'module msroi:\n    snakefile: "{ROOT}/workflow/Snakefile"\nuse rule * from msroi\n'
    )
    done = snakemake(tmp_path, "--dry-run")
    assert done.returncode == 1
    assert (
        f"There is no dvc.yaml in {tmp_path.resolve()}; run snakemake in the project's folder, a "
        "clone of its repository."
    ) in done.stdout + done.stderr
