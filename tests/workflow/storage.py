"""The environment of the storage plugins, on top of the project's, and its commands."""

import os
import shutil
from pathlib import Path

import pytest
from bucket import KEY
from project import ROOT

PYTHON = ROOT / ".venv/storage/bin/python"
SNAKEMAKE = (str(PYTHON), "-m", "snakemake")
DVC = (str(PYTHON), "-m", "dvc")

needed = pytest.mark.skipif(
    not PYTHON.exists(), reason="the environment of the storages is missing: make storage"
)
rsync = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is missing: apt-get install rsync"
)


def set_key(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let commands know the bucket's key, and nothing of the user's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, KEY)
    for name in ("SNAKEMAKE_STORAGE_S3_ACCESS_KEY", "SNAKEMAKE_STORAGE_S3_SECRET_KEY"):
        patch.setenv(name, KEY)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (folder / "aws").touch()
    patch.setenv("AWS_CONFIG_FILE", str(folder / "aws"))
    patch.setenv("NO_PROXY", "127.0.0.1")


def image(folder: Path) -> dict[str, str]:
    """Return the variables that Containerfile sets, with the paths of this machine.

    Those of OpenBLAS choose what multiplies matrices, as in the run that a test compares with.
    """
    openblas = {name: text for name, text in os.environ.items() if name.startswith("OPENBLAS")}
    return openblas | {
        "PATH": os.pathsep.join([str(PYTHON.parent), "/usr/bin", "/bin"]),
        "PYTHONPATH": "src",
        "HOME": str(folder),
    }
