"""A copy of the project with a small experiment, and the commands that a user gives in it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from msroi.workflow import pipeline

ROOT = Path(__file__).parents[2]
CONFIG = "config/tiny.yaml"
# the demo, small enough for a test: 64x64 inputs, few crops, one epoch, two passes
SMALLER = {
    "prepare": {"crops_per_class": 6, "validate_last": 2, "input_px": 64},
    "augment": {"views": 1},
    "train": {"epochs": 1, "filters": 16},
    "heatmap": {"input_px": 64, "passes": 2},
    "compress": {"methods": "[jpeg, msroi, roi-trellis]", "match_qualities": "[30, 50]"},
    "rate_distortion": {"qualities": "[20, 40, 50, 80]", "images": 1},
    "conventions": {"images": 1, "match_qualities": "[50]"},
    "anova": {"match_qualities": "[30, 50]"},
    "audit": {"resamples": 100},
}
# and three photographs to compress, of the smallest
PHOTOGRAPHS = {
    "include: [astronaut.png, camera.png, chelsea.png, coffee.png, coins.png, "
    "motorcycle_left.png, rocket.jpg]": "include: [chelsea.png, coins.png]",
    "include: [brick.png, grass.png, gravel.png, hubble_deep_field.jpg, ihc.png, moon.png]": (
        "include: [grass.png]"
    ),
}


@dataclass(frozen=True)
class Project:
    """A project folder and the commands a user gives in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which commands run the folder's own code."""
        return os.environ | {"PYTHONPATH": str(self.folder / "src")}

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command; return stdout and stderr together; the exit status must be `status`."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{' '.join(command)}:\n{done.stdout[-6000:]}"
        return done.stdout

    def planned(self, *options: str) -> set[str]:
        """Return the stages, and `record`, that `snakemake -n` would run."""
        return rules_run(self.run("snakemake", "--dry-run", *options))

    def outdated(self) -> set[str]:
        """Return the stages that `dvc status` does not find up to date.

        `locks` always runs, so it is left out.
        """
        status = json.loads(self.run("dvc", "status", "--json"))
        assert pipeline.LOCKS in status
        return {stage.partition("@")[0] for stage in status} - {pipeline.LOCKS}

    def due(self) -> set[str]:
        """Return the stages, and `record`, that either tool would run."""
        return self.planned() | self.outdated()

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the only occurrence of a text in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def locks(self) -> str:
        """Write the locks of the stages' code; return what becomes due."""
        return self.run("msroi", "stage", "locks")

    def copy(self, folder: Path) -> "Project":
        """Copy everything, times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "-m", message)


def rules_run(said: str) -> set[str]:
    """Return the stages, and `record`, that Snakemake says it runs; a chunk counts as its stage."""
    rules = re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE)
    return {rule.removesuffix("_chunk") for rule in rules} - {"all"}


def ran_by_dvc(said: str) -> set[str]:
    """Return the stages that DVC says it runs."""
    return set(re.findall(r"^Running stage '(\w+)@tiny'", said, re.MULTILINE))


def restored_by_dvc(said: str) -> set[str]:
    """Return the stages that DVC says it brings back from its cache, without a run."""
    return set(re.findall(r"^Stage '(\w+)@tiny' is cached", said, re.MULTILINE))


def copy_of_project(folder: Path) -> Project:
    """Copy what git tracks or would track into a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        # dvc.lock and published results belong to other experiments
        if not name.startswith(("results/", "dvc.lock")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run("git", "config", "user.name", "Test")
    project.run("git", "config", "user.email", "test@example.org")
    (folder / CONFIG).write_text(tiny(folder), encoding="utf-8")
    (folder / "params.yaml").write_text("experiments: [tiny]\n", encoding="utf-8")
    project.commit("The project with a small experiment")
    return project


def tiny(folder: Path) -> str:
    """Return the parameters of the small experiment."""
    config = (folder / "config" / "demo.yaml").read_text(encoding="utf-8")
    for section, values in SMALLER.items():
        for key, value in values.items():
            line = rf"(?m)^({section}:\n(?: .*\n)*? +{key}:).*$"
            config, count = re.subn(line, rf"\1 {value}", config)
            assert count, (section, key)
    for old, new in PHOTOGRAPHS.items():
        assert config.count(old) == 1, old
        config = config.replace(old, new)
    return config


def hashes(project: Project) -> dict[str, str]:
    """Return the hash of every file that the stages wrote, without Snakemake's marks in folders."""
    files = [
        path
        for top in ("data/tiny", "results/tiny")
        for path in (project.folder / top).rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    ]
    return {
        str(path.relative_to(project.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
