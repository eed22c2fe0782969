"""What a newcomer does: a fresh clone, an empty home folder, two commands."""

import os
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_make_demo_in_a_fresh_clone_with_an_empty_home(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    # the newcomer has no environment of ours on the path
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"HOME": str(home), "PATH": path}
    in_venv = environment | {"PATH": f"{clone / '.venv/bin'}{os.pathsep}{path}"}

    def make_demo() -> tuple[float, str]:
        start = time.monotonic()
        done = subprocess.run(
            ["make", "demo"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return time.monotonic() - start, done.stdout + done.stderr

    def output(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=clone, env=in_venv, capture_output=True, text=True, check=True
        )
        return done.stdout

    first, said = make_demo()
    assert first < 600
    assert (clone / "results/demo/report/summary.txt").read_text(encoding="utf-8") in said
    second, said = make_demo()
    assert second < 10
    assert "Nothing to be done" in said
    assert output("git", "status", "--porcelain") == ""
    # only `snakemake` without a target tells DVC what there is
    output(clone / ".venv/bin/snakemake")
    status = output(clone / ".venv/bin/dvc", "status")
    assert status.split() == ["locks:", "always", "changed"]
