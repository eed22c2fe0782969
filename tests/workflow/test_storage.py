"""Jobs without a shared disk: the small experiment in a folder, and in a bucket as pods."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bucket import in_bucket, one_bucket
from pods import Pods, one_cluster
from project import Project, copy_of_project, hashes, rules_run
from storage import DVC, PYTHON, SNAKEMAKE, image, needed, rsync, set_key

PROFILE = "profiles/kubernetes/config.yaml"
TARGET = "results/tiny/metrics/per_image.csv"
CHUNKS = ("--set-scatter", "heatmap=2", "compress=2", "metrics=2")
# what docs/scale.md says, with folders of the test
FOLDER = (
    *("--default-storage-provider", "fs", "--default-storage-prefix", "{store}"),
    *("--shared-fs-usage", "persistence", "software-deployment", "sources", "source-cache"),
    *("--local-storage-prefix", "{local}"),
)

pytestmark = [pytest.mark.workflow, pytest.mark.machines, pytest.mark.timeout(1200), needed]


@rsync
def test_the_files_lie_in_a_folder(finished: Project, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    project = copy_of_project(tmp_path / "project")
    store = Project(tmp_path / "store")
    options = [
        word.format(store=store.folder, local=tmp_path / "local") for word in (*FOLDER, *CHUNKS)
    ]
    project.run(*SNAKEMAKE, *options, "--", TARGET)
    here = hashes(finished)
    stored = hashes(store)
    assert stored == {file: here[file] for file in stored}
    assert {"data/tiny/prepare/images/00000.npy", TARGET} <= stored.keys()
    assert hashes(project) == {}
    said = project.run(*SNAKEMAKE, *options, "--dry-run", "--", TARGET)
    assert "Nothing to be done" in said
    # the code is no file of the storage, but what it decides is due when it changes
    project.edit("src/msroi/stages/metrics.py", "AHEAD = 32", "AHEAD = 33")
    project.locks()
    said = project.run(*SNAKEMAKE, *options, "--dry-run", "--", TARGET)
    assert rules_run(said) == {"metrics"}


@dataclass(frozen=True)
class Stored:
    """A project whose files lie in a bucket, and the pods that made them."""

    project: Project
    pods: Pods
    url: str

    def run(self, *options: str) -> str:
        """Run Snakemake with the profile."""
        how = ("--profile", "profiles/kubernetes", "--cores", "8")
        often = ("--seconds-between-status-checks", "1")
        return self.project.run(*SNAKEMAKE, *how, *often, *options)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """The small experiment from `download` to `record`; one pod was killed at its work."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "project").mkdir()
    project = copy_of_project(folder / "project")
    with (
        pytest.MonkeyPatch.context() as patch,
        one_bucket(PYTHON, folder) as url,
        one_cluster(folder, image(folder)) as (pods, config),
    ):
        set_key(patch, folder)
        patch.setenv("KUBECONFIG", str(config))
        endpoint = "storage-s3-endpoint-url: "
        project.edit(PROFILE, f"# {endpoint}https://…", endpoint + url)
        for stage, chunks in (("heatmap", 4), ("compress", 8), ("metrics", 4)):
            project.edit(PROFILE, f"\n  {stage}: {chunks}\n", f"\n  {stage}: 2\n")
        for line in ("gpu: 1", "gpu_manufacturer: nvidia", "scale: 0"):
            project.edit(PROFILE, f"# {line}", line)
        pods.doomed = "compress_chunk"
        made = Stored(project, pods, url)
        made.run()
        yield made


def test_every_rule_that_computes_was_a_pod_and_a_killed_one_was_started_again(
    stored: Stored,
) -> None:
    rules = [pod.rule for pod in stored.pods.pods.values()]
    chunks = [f"{stage}_chunk" for stage in ("heatmap", "compress", "metrics") for _ in (1, 2)]
    once = ["prepare", "train", "readout", "judges", "gaze", "rate_distortion", "conventions"]
    again = ["compress_chunk"]
    assert len(stored.pods.killed) == 1
    assert sorted(rules) == sorted([*once, "audit", "report", *chunks, *again])


def test_each_pod_asked_for_what_the_profile_says(stored: Stored) -> None:
    asked = {
        pod.rule: (pod.container["resources"]["requests"], pod.container["image"])
        for pod in stored.pods.pods.values()
    }
    name = "registry.example.org/msroi:0.1.0"
    for rule, cpu, memory in (
        ("prepare", "950m", "8000M"),
        ("train", "7600m", "16000M"),
        ("heatmap_chunk", "3800m", "8000M"),
        ("compress_chunk", "7600m", "8000M"),
        ("audit", "950m", "4000M"),
    ):
        requests, of = asked[rule]
        assert (requests["cpu"], requests["memory"], of) == (cpu, memory, name), rule


def test_a_gpu_has_a_limit_too_as_kubernetes_wants_it(stored: Stored) -> None:
    asked = {pod.rule: pod.container["resources"] for pod in stored.pods.pods.values()}
    assert asked["train"]["requests"]["nvidia.com/gpu"] == "1"
    assert asked["train"]["limits"]["nvidia.com/gpu"] == "1"
    assert not any("gpu" in str(resources) for rule, resources in asked.items() if rule != "train")
    assert "limits" not in asked["prepare"]


def test_kubernetes_schema_allows_every_job(stored: Stored, tmp_path: Path) -> None:
    files = []
    for pod in stored.pods.pods.values():
        files.append(tmp_path / f"{pod.name}.json")
        # what the API knows by the address that a job is sent to, the plugin leaves out
        files[-1].write_text(json.dumps({"apiVersion": "batch/v1", "kind": "Job"} | pod.body))
    said = subprocess.run(
        [PYTHON, "-m", "kubernetes_validate", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_local_run_gives_the_same_bytes_and_dvc_records_the_same(
    stored: Stored, finished: Project
) -> None:
    assert hashes(stored.project) == hashes(finished)
    lock = "dvc.lock"
    assert (stored.project.folder / lock).read_bytes() == (finished.folder / lock).read_bytes()
    assert stored.project.outdated() == set()


def test_nothing_is_left_to_do_there_and_here(stored: Stored) -> None:
    assert "Nothing to be done" in stored.run("--dry-run")
    assert stored.project.planned() == set()
    # of the parameters that made them, a plain Snakemake knows once it is told
    stored.project.run("snakemake", "--touch", "--forceall")
    stored.project.edit("config/tiny.yaml", "alpha: 0.05", "alpha: 0.04")
    assert stored.project.planned() == {"anova", "report", "record"}
    stored.project.edit("config/tiny.yaml", "alpha: 0.04", "alpha: 0.05")
    assert stored.project.planned() == set()


def test_a_lost_object_is_made_again(stored: Stored, finished: Project) -> None:
    lost = "results/tiny/anova/anova.csv"
    in_bucket(PYTHON, stored.url, f"delete_object(Bucket='bucket', Key='msroi/{lost}')")
    (stored.project.folder / lost).unlink()
    said = stored.run()
    assert "anova" in rules_run(said)
    assert not {"train", "metrics", "compress"} & rules_run(said)
    assert hashes(stored.project) == hashes(finished)


def test_dvc_pushes_and_pulls_the_same_results(
    stored: Stored, finished: Project, tmp_path: Path
) -> None:
    project = stored.project
    project.run(*DVC, "remote", "add", "--default", "store", "s3://bucket/dvc")
    project.run(*DVC, "remote", "modify", "store", "endpointurl", stored.url)
    project.run(*DVC, "push")
    project.commit("Recorded")
    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "--quiet", str(project.folder), str(clone.folder))
    clone.run(*DVC, "pull")
    assert hashes(clone) == hashes(finished)


def test_dvc_is_told_that_it_does_not_find_files_in_a_storage(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "profiles/kubernetes")
    monkeypatch.setenv("DVC_STAGE", "anova@tiny")
    said = stored.project.run(*SNAKEMAKE, "--dry-run", status=1)
    assert "DVC looks for a stage's files in the project's folder" in said
