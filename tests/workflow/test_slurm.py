"""The small experiment on a cluster: a real SLURM, of one machine, that the test starts."""

from collections.abc import Iterator

import pytest
from cluster import Cluster, missing, one_machine_cluster
from project import Project, copy_of_project, hashes

PROFILE = "profiles/slurm/config.yaml"
TARGET = "results/tiny/metrics/per_image.csv"
# the jobs of the cluster: rules and chunks
EXPECTED = [
    ("prepare", ""),
    ("readout", ""),
    ("train", ""),
    *(
        (f"{stage}_chunk", f"{n}-of-2")
        for stage in ("heatmap", "compress", "metrics")
        for n in (1, 2)
    ),
]

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.machines,
    pytest.mark.skipif(
        bool(missing()),
        reason=f"SLURM is not installed ({', '.join(missing())} missing): "
        "apt-get install slurm-wlm munge",
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with one_machine_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def spread(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose images DVC prepared on the cluster and Snakemake took on from there."""
    project = copy_of_project(tmp_path_factory.mktemp("spread"))
    for stage, chunks in (("heatmap", 4), ("compress", 8), ("metrics", 4)):  # a photograph each
        project.edit(PROFILE, f"  {stage}: {chunks}", f"  {stage}: 2")
    project.edit(PROFILE, "status-checks: 10", "status-checks: 1")
    # what docs/scale.md says about a GPU
    project.edit(PROFILE, "# slurm_partition: gpu", "slurm_partition: gpu")
    project.edit(PROFILE, "# gpu: 1", "gpu: 1")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        patch.setenv("SNAKEMAKE_PROFILE", "profiles/slurm")
        project.run("timeout", "--signal=KILL", "120", "dvc", "repro", "prepare@tiny")
        patch.delenv("SNAKEMAKE_PROFILE")
        snakemake = ("snakemake", "--profile", "profiles/slurm", TARGET)
        project.run("timeout", "--signal=KILL", "240", *snakemake)
    return project


def test_every_rule_that_computes_was_a_job_of_its_own(cluster: Cluster, spread: Project) -> None:
    jobs = cluster.jobs()
    rules = [job["Comment"].removeprefix("rule_").partition("_wildcards_tiny") for job in jobs]
    assert [rule for rule, _, _ in rules] == [rule for rule, _ in EXPECTED]
    # the wildcards are experiment, hash and chunk
    found = [(rule, wildcards.rpartition("_")[2]) for rule, _, wildcards in rules]
    assert sorted(found) == sorted(EXPECTED)
    assert len({job["JobId"] for job in jobs}) == len(EXPECTED)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["WorkDir"] for job in jobs} == {str(spread.folder)}


def test_each_job_asked_for_what_the_profile_says(cluster: Cluster, spread: Project) -> None:
    fields = ("Partition", "NumCPUs", "MinMemoryNode", "TimeLimit")
    asked = {
        "prepare": ("cpu", "2", "8000M", "01:00:00"),
        "readout": ("cpu", "4", "8000M", "04:00:00"),
        "train": ("gpu", "8", "16000M", "1-00:00:00"),
        "heatmap_chunk": ("cpu", "4", "8000M", "04:00:00"),
        "compress_chunk": ("cpu", "8", "8000M", "04:00:00"),
        "metrics_chunk": ("cpu", "4", "8000M", "01:00:00"),
    }
    for job, (rule, _) in zip(cluster.jobs(), EXPECTED, strict=True):
        assert tuple(job[field] for field in fields) == asked[rule]
        assert ("gpu:1" in job.get("TresPerJob", "")) == (rule == "train")


def test_nothing_is_left_to_do(spread: Project) -> None:
    assert "Nothing to be done" in spread.run("snakemake", "--dry-run", TARGET)
    assert spread.outdated().isdisjoint({"download", "prepare"})


def test_a_local_run_gives_the_same_bytes(spread: Project, finished: Project) -> None:
    on_cluster, here = hashes(spread), hashes(finished)
    assert on_cluster == {file: here[file] for file in on_cluster}
    assert {"data/tiny/prepare/images/00000.npy", TARGET} <= on_cluster.keys()
