"""Whatever a user does in turn, Snakemake, DVC and git stay of one mind.

A model of the stages says which may run: by Snakemake those whose parameters, or what they
depend on, are not what the files there were made with; by DVC those of which it has no such run.
"""

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from project import ROOT, Project, hashes, rules_run

from msroi.files import digest, fresh_folder
from msroi.workflow import pipeline

pytestmark = [pytest.mark.torture, pytest.mark.timeout(14400)]

SETTINGS = settings(
    max_examples=16,
    stateful_step_count=10,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],  # a step takes up to a minute: too long to shrink a sequence
    suppress_health_check=list(HealthCheck),
)
CONFIG = "config/tiny.yaml"
RESULTS = "results/tiny"
# parameters of late stages, which cost little to run again, each with another value
EDITS = {
    "anova": ("alpha: 0.05", "alpha: 0.01"),
    "audit": ("papers: [selimovic-2018, made-up-example]", "papers: [selimovic-2018]"),
    "report": ("images: 5", "images: 4"),
}
# what a user may ask Snakemake for
TARGETS = {
    "metrics": f"{RESULTS}/metrics/summary.json",
    "anova": f"{RESULTS}/anova/summary.json",
    "audit": f"{RESULTS}/audit/summary.json",
    "report": f"{RESULTS}/report",
}
# what is removed: all outs of a stage
REMOVED = {
    "compress": ("jpeg",),
    "metrics": ("metrics",),
    "audit": ("audit",),
    "report": ("report", "tables", "figures"),
}
# what is edited by hand, with its stage and the out that it is in: git's and DVC's, files and
# files in folders
EDITED = {
    "data/tiny/prepare/index.csv": ("prepare", "data/tiny/prepare/index.csv"),
    f"{RESULTS}/jpeg/index.csv": ("compress", f"{RESULTS}/jpeg/index.csv"),
    f"{RESULTS}/metrics/per_image.csv": ("metrics", f"{RESULTS}/metrics/per_image.csv"),
    f"{RESULTS}/anova/anova.csv": ("anova", f"{RESULTS}/anova/anova.csv"),
    f"{RESULTS}/figures/figure3.png": ("report", f"{RESULTS}/figures"),
    f"{RESULTS}/report/summary.txt": ("report", f"{RESULTS}/report"),
}
# at the start of every Python: a stage's summary ends in another number of spaces each time
IRREPRODUCIBLE = """\
import time
import msroi.files

write_bytes = msroi.files.write_bytes

def another(path, data):
    spaces = time.time_ns() % 999 + 1 if path.name == "summary.json" else 0
    write_bytes(path, data + b" " * spaces)

msroi.files.write_bytes = another
"""
ADOPT = ("dvc", "repro", "--force", "--single-item", "adopt@tiny")


class Model:
    """The stages of dvc.yaml: what each depends on, and what decides its result."""

    def __init__(self) -> None:
        text = (ROOT / pipeline.STAGES).read_text(encoding="utf-8")
        self.sections: dict[str, list[str]] = {}
        self.parents: dict[str, set[str]] = {}
        # whose runs `dvc repro` does not keep, since git alone holds an out that is no metric;
        # `dvc commit`, and so `record`, keeps them all
        self.forgotten: set[str] = set()
        maker: dict[str, str] = {}
        for name, entry in yaml.safe_load(text)["stages"].items():
            if name in (pipeline.ADOPT, pipeline.LOCKS):
                continue
            self.parents[name] = {maker[dep] for dep in entry["deps"] if dep in maker}
            params = entry.get("params", [])
            self.sections[name] = [part for one in params for part in next(iter(one.values()))]
            if any(isinstance(out, dict) for out in entry.get("outs", [])):  # {…: {cache: false}}
                self.forgotten.add(name)
            outs = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
            for out in outs:
                maker[out if isinstance(out, str) else next(iter(out))] = name

    def values(self, config: Mapping[str, object]) -> dict[str, str]:
        """Return, by stage, its parameters."""
        return {
            stage: json.dumps({section: config[section] for section in sections})
            for stage, sections in self.sections.items()
        }

    def keys(self, config: Mapping[str, object]) -> dict[str, str]:
        """Return, by stage, what stands for its parameters and those of all it depends on."""
        keys: dict[str, str] = {}
        for stage, values in self.values(config).items():
            keys[stage] = digest(values, *sorted(keys[parent] for parent in self.parents[stage]))
        return keys

    def with_dependents(self, stages: Iterable[str]) -> set[str]:
        """Return stages and all that depend on them."""
        found = set(stages)
        for stage, parents in self.parents.items():  # in the order of dvc.yaml
            found |= {stage} if parents & found else set()
        return found

    def with_needed(self, stage: str) -> set[str]:
        """Return a stage and all it depends on."""
        return {stage}.union(*(self.with_needed(parent) for parent in self.parents[stage]))


class States(RuleBasedStateMachine):
    """A project and what its user does; `made` and `known` are what the model knows of it."""

    base: Project
    scratch: Path
    folders: Iterator[int]
    model = Model()

    @initialize()
    def start(self) -> None:
        self.project = self.base.copy(self.new_folder())
        self.made = dict(self.keys)  # of the files that are there; a removed stage has none
        self.values = dict(self.model.values(self.config))
        self.known = {stage: {key} for stage, key in self.made.items()}  # to DVC, of all runs
        self.known_values = {stage: {value} for stage, value in self.values.items()}
        self.since: set[str] = set()  # what ran since both tools agreed
        self.agreed = True
        self.commits = [self.head()]

    def teardown(self) -> None:
        if hasattr(self, "project"):
            shutil.rmtree(self.project.folder)

    # what the model is asked

    @property
    def config(self) -> dict[str, object]:
        """The parameters as they are now."""
        text = (self.project.folder / CONFIG).read_text(encoding="utf-8")
        return dict(yaml.safe_load(text))

    @property
    def keys(self) -> dict[str, str]:
        """What the files would have to be made with now."""
        return self.model.keys(self.config)

    @property
    def outdated(self) -> set[str]:
        """The stages that may run by Snakemake."""
        stale = {stage for stage, key in self.keys.items() if self.made.get(stage) != key}
        return self.model.with_dependents(stale | self.since)

    @property
    def certainly_outdated(self) -> set[str]:
        """The stages that have to run by Snakemake, whatever their inputs' bytes."""
        now = self.model.values(self.config)
        changed = {stage for stage, value in now.items() if self.values[stage] != value}
        return changed | (now.keys() - self.made.keys())

    # helpers

    def new_folder(self) -> Path:
        return self.scratch / str(next(self.folders))

    def head(self) -> str:
        return self.project.run("git", "rev-parse", "HEAD").strip()

    def path(self, name: str) -> Path:
        return self.project.folder / name

    def now_made(self, stages: Iterable[str]) -> None:
        """Take down that the files of these stages are what they should be."""
        keys, values = self.keys, self.model.values(self.config)
        for stage in stages:
            self.made[stage], self.values[stage] = keys[stage], values[stage]

    def agree(self, recorded: Iterable[str] = ()) -> None:
        """Check that both tools say up to date, and commit; DVC knows the runs of `recorded`."""
        assert self.project.planned() == set()
        assert self.project.outdated() == set()
        self.now_made(self.model.parents)
        for stage in recorded:
            self.known[stage].add(self.made[stage])
            self.known_values[stage].add(self.values[stage])
        self.since = set()
        self.agreed = True
        self.project.commit("A full run")
        self.commits.append(self.head())

    def refused(self, out: str, *command: str, status: int) -> None:
        """Check that a command refuses to record an out, and names it."""
        said = " ".join(self.project.run(*command, status=status).split())
        assert "Not recorded, since nothing explains these changed outputs" in said
        assert re.search(rf"\(.*\b{re.escape(out)}\b.*\): either a file was edited", said), said

    def go_back(self, stage: str, out: str, before: Mapping[str, str]) -> None:
        """Do what the refusal says, and check that all is as before.

        What DVC keeps comes back without a run; anything else by one, unless DVC has the same
        bytes from another run.
        """
        kept = self.keys[stage] in self.known[stage]
        self.project.run("rm", "-r", out)
        ran = ran_by_dvc(self.project.run("dvc", "repro"))
        assert {pipeline.ADOPT} <= ran <= {pipeline.ADOPT} | (set() if kept else {stage}), ran
        assert hashes(self.project) == before
        self.agree(ran - {pipeline.ADOPT} - self.model.forgotten)

    # what a user does

    @rule(stage=st.sampled_from(sorted(EDITS)))
    def change_a_parameter(self, stage: str) -> None:
        old, new = EDITS[stage]
        if f"{new}\n" in self.path(CONFIG).read_text(encoding="utf-8"):
            old, new = new, old
        self.project.edit(CONFIG, f"{old}\n", f"{new}\n")
        self.agreed = False
        if not self.outdated:  # all edits are undone
            assert self.project.planned() == set()
            assert self.project.outdated() == set()
            self.agreed = True

    @rule(stage=st.sampled_from(sorted(REMOVED)))
    def remove(self, stage: str) -> None:
        for name in REMOVED[stage]:
            shutil.rmtree(self.path(f"{RESULTS}/{name}"), ignore_errors=True)
        self.made.pop(stage, None)
        self.agreed = False

    # the first by name, and cheap: Hypothesis begins with a sequence of nothing else
    @rule()
    def all_by_dvc(self) -> None:
        keys, values = self.keys, self.model.values(self.config)
        may = {stage for stage in self.outdated if keys[stage] not in self.known[stage]}
        changed = {stage for stage, value in values.items() if self.values[stage] != value}
        must = {stage for stage in changed if values[stage] not in self.known_values[stage]}
        stale = {stage for stage, key in keys.items() if self.made.get(stage) != key}
        said = self.project.run("dvc", "repro")
        ran = ran_by_dvc(said) - {pipeline.ADOPT}
        assert must <= ran <= may, (must, ran, may)
        if stale - ran and pipeline.ADOPT not in ran_by_dvc(said):
            # what DVC only brings back is new to Snakemake, as docs/reliability.md says
            self.project.run(*ADOPT)
        self.agree(ran - self.model.forgotten)

    @rule()
    def all_by_snakemake(self) -> None:
        may, must = self.outdated, self.certainly_outdated
        ran = rules_run(self.project.run("snakemake"))
        assert must <= ran - {"record"} <= may, (must, ran, may)
        self.agree(self.model.parents if "record" in ran else ())

    @rule(stage=st.sampled_from(sorted(TARGETS)))
    def one_by_snakemake(self, stage: str) -> None:
        needed = self.model.with_needed(stage)
        may, must = self.outdated & needed, self.certainly_outdated & needed
        ran = rules_run(self.project.run("snakemake", "--", TARGETS[stage]))
        assert ran <= may, (ran, may)
        # of what is not asked for, only what is read is made again
        assert must & {stage} <= ran, (must, ran)
        self.now_made(ran | (needed & self.made.keys()))
        self.since |= ran
        self.agreed = self.agreed and not ran

    @rule(data=st.data())
    def go_to_a_commit(self, data: st.DataObject) -> None:
        self.check_out(data.draw(st.sampled_from(self.commits)))

    def check_out(self, commit: str) -> None:
        self.project.run("git", "checkout", "--quiet", "--force", commit)
        # with --force, since what only Snakemake knows of may lie there
        self.project.run("dvc", "checkout", "--force", "--quiet")
        self.project.run(*ADOPT)
        self.agree()

    @precondition(lambda self: self.agreed)
    @rule()
    def clone_and_pull(self) -> None:
        folder, remote = self.new_folder(), self.new_folder()
        self.project.run("dvc", "remote", "add", "--default", "--force", "store", str(remote))
        self.project.commit("The remote")
        self.project.run("dvc", "push", "--quiet")
        self.project.run("git", "clone", "--quiet", ".", str(folder))
        shutil.rmtree(self.project.folder)
        self.project = Project(folder)
        self.project.run("git", "config", "user.name", "Test")
        self.project.run("git", "config", "user.email", "test@example.org")
        self.project.run("dvc", "pull", "--quiet")
        shutil.rmtree(remote)
        assert ran_by_dvc(self.project.run("dvc", "repro")) == {pipeline.ADOPT}
        # the files came, and no runs: what git alone holds does not come back from DVC's cache
        self.known = {stage: set() for stage in self.known}
        self.known_values = {stage: set() for stage in self.known_values}
        self.commits = []
        self.agree()

    @precondition(lambda self: self.agreed)
    @rule(file=st.sampled_from(sorted(EDITED)), cut=st.booleans())
    def edit_an_output(self, file: str, *, cut: bool) -> None:
        before, (stage, out) = hashes(self.project), EDITED[file]
        held = self.path(file).read_bytes()
        self.path(file).write_bytes(held[: len(held) // 2] if cut else held + b"\n")
        self.refused(out, "msroi", "stage", "record", "--experiment", "tiny", status=2)
        self.go_back(stage, out, before)

    @precondition(lambda self: self.agreed)
    @rule()
    def run_what_is_irreproducible(self) -> None:
        before, out = hashes(self.project), f"{RESULTS}/anova/summary.json"
        patch = fresh_folder(self.new_folder())
        (patch / "sitecustomize.py").write_text(IRREPRODUCIBLE, encoding="utf-8")
        self.path(out).unlink()
        python_path = f"PYTHONPATH={self.project.folder / 'src'}:{patch}"
        self.refused(out, "env", python_path, "snakemake", status=1)
        self.go_back("anova", out, before)


def ran_by_dvc(said: str) -> set[str]:
    """Return the stages that DVC says it runs."""
    return set(re.findall(r"^Running stage '(\w+)@tiny'", said, re.MULTILINE))


@pytest.fixture(scope="module")
def machine(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> type[States]:
    """The state machine of a project whose small experiment has run."""
    scratch = tmp_path_factory.mktemp("states")
    attributes = {"base": finished, "scratch": scratch, "folders": itertools.count()}
    return type("Ready", (States,), attributes)


def test_each_thing_done_once_both_tools_agree(machine: type[States]) -> None:
    """What is drawn at random need not hold everything."""
    user = machine()
    user.start()
    user.change_a_parameter("anova")
    user.all_by_dvc()
    user.remove("metrics")
    user.one_by_snakemake("metrics")
    user.all_by_snakemake()
    user.edit_an_output(f"{RESULTS}/metrics/per_image.csv", cut=False)
    user.edit_an_output(f"{RESULTS}/figures/figure3.png", cut=True)
    user.run_what_is_irreproducible()
    user.check_out(user.commits[0])
    user.clone_and_pull()
    user.change_a_parameter("report")
    user.all_by_snakemake()
    user.teardown()


def test_whatever_is_done_in_turn_both_tools_agree(machine: type[States]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)
