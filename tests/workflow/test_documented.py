"""Every command in the documentation is run here or by the test that is named, or says why not.

All of them are also parsed, and their names looked up, by tests/unit/test_documented_names.py.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from documented import PAGES, ROOT, documented
from skimage import data
from skimage.io import imsave

# run here in this order, in a folder with photo.jpg, photo.png and a folder of two photos
OWN_PHOTOS = (
    "msroi compress photo.jpg",
    "msroi explain photo.jpg --open",
    "msroi compress photo.jpg --out fine --quality visually-lossless",
    "msroi compress photo.jpg --out small --target-bytes 20000",
    "msroi compress photo.jpg --out good --target-ssim 0.95",
    "msroi compress holiday --out holiday-small --quality medium --jobs 2",
)

RUNS, DUE = "tests/workflow/test_runs.py::", "tests/workflow/test_due.py::"
UNIT = "tests/unit/"
NEWCOMER = "tests/workflow/test_newcomer.py::test_make_demo_in_a_fresh_clone_with_an_empty_home"
REMOTE = "tests/workflow/test_remote.py::test_a_worker_trains_what_home_prepared"
STORAGE = "tests/workflow/test_storage.py::"
TRAIN = (
    "tests/workflow/test_train_in_time.py::test_make_trains_and_does_nothing_more_once_it_is_done"
)
SLURM = "tests/workflow/test_slurm.py::test_every_rule_that_computes_was_a_job_of_its_own"
REPRODUCE = "tests/workflow/test_reproduce.py::test_a_small_experiment_comes_out_the_same"
COMPLETION = UNIT + "test_completion.py::test_a_script_is_one_of_its_shell"
BY_DVC = DUE + "test_a_changed_alpha_reruns_anova_and_report_by_either_tool"
TRIED = RUNS + "test_an_experiment_can_be_tried_compared_and_undone"
GENERATED = UNIT + "test_generated.py::test_committed_tables_are_current"
PROSE = UNIT + "test_prose.py::test_pages_are_checked"
TEMPLATE = UNIT + "test_audit_paper.py::test_a_template_is_written_once_and_has_two_planted_errors"
AUDITED = UNIT + "test_cli_audit.py::test_an_audit_reports_and_does_not_fail"

HARDWARE = "not run: needs a GPU"
HOURS = "not run: takes an hour or more, or data that are not here"
SETS_UP = "not run: would change the environment that the tests run in"

# a command as the documentation has it -> a test that runs it, for another experiment if need be
ELSEWHERE = {
    ". .venv/bin/activate": "not run: `make` puts .venv on the path of the tests",
    "make setup": NEWCOMER,
    "make demo": NEWCOMER,
    "make check": "not run: runs some of the tests",
    "make test": "not run: this is what runs the tests",
    "make reproduce": REPRODUCE,
    'make reproduce REPRODUCE="mine --threads 1 --chunks 2"': REPRODUCE,
    'make reproduce REPRODUCE="demo --threads 1 --chunks 3 --write"': REPRODUCE,
    "MSROI_MIRROR=/path/to/files make paper-cpu": HOURS,
    "MSROI_MIRROR=/path/to/files snakemake": HOURS,
    "snakemake --profile profiles/slurm": SLURM,
    "SNAKEMAKE_PROFILE=profiles/slurm dvc repro": SLURM,
    "snakemake --set-scatter heatmap=20 compress=40 metrics=20": RUNS
    + "test_the_number_of_chunks_makes_nothing_outdated",
    "snakemake --default-storage-provider fs --default-storage-prefix /shared/msroi "
    "--local-storage-prefix /scratch/msroi "
    "--shared-fs-usage persistence software-deployment sources source-cache": STORAGE
    + "test_the_files_lie_in_a_folder",
    "snakemake --default-storage-provider s3 --default-storage-prefix s3://bucket/msroi": STORAGE
    + "test_a_local_run_gives_the_same_bytes_and_dvc_records_the_same",
    "make storage": SETS_UP,
    "snakemake --touch --forceall": STORAGE + "test_nothing_is_left_to_do_there_and_here",
    "dvc repro": BY_DVC,
    "dvc repro --force --single-item adopt": DUE
    + "test_a_wrong_parameter_stops_both_tools_and_what_dvc_put_away_comes_back",
    "dvc config --local core.no_scm true": UNIT
    + "test_record.py::test_dvc_does_without_git_where_there_is_none",
    "dvc metrics diff": TRIED,
    "dvc metrics show": RUNS + "test_the_reports_of_both_tools_can_be_made",
    "dvc exp show --only-changed": RUNS + "test_the_reports_of_both_tools_can_be_made",
    "git diff dvc.lock": "not run: shows what a kill has left",
    "git checkout dvc.lock": "tests/workflow/test_kills.py",
    'find data results .msroi -newermt now -exec touch -d "$(date)" {} +': (
        "tests/workflow/test_faults.py::test_a_clock_that_was_set_back"
    ),
    "uv venv /tmp/lowest && uv pip install --python /tmp/lowest --resolution lowest-direct "
    "-r pyproject.toml": SETS_UP,
    "dvc exp apply": "not run: `dvc exp run` leaves the same in the working folder",
    "msroi publish osie --out crate --author 'Josiah Carberry <0000-0002-1825-0097>'": UNIT
    + "test_publish.py::test_every_file_is_described_by_its_hash_and_size",
    "msroi verify": UNIT + "test_cli_audit.py::test_a_clone_knows_that_its_own_results_are_whole",
    "msroi audit --experiment demo": AUDITED,
    "msroi audit --new my-paper": TEMPLATE,
    "msroi audit data/published/jiang-2021": UNIT
    + "test_audit_photographs.py::test_without_photographs_all_51_can_not_be_told",
    "msroi audit data/published/jiang-2021 --photographs testsets": UNIT
    + "test_audit_photographs.py::"
    "test_the_42_plain_jpeg_numbers_of_jiang_reproduce_and_9_psnr_b_of_two_compressions_do_not",
    "msroi audit my-paper": TEMPLATE,
    "msroi audit my-paper --strict": TEMPLATE,
    "msroi audit my-paper --out my-paper/audit": TEMPLATE,
    "msroi audit --experiment paper-cpu": AUDITED,
    "msroi completion bash": COMPLETION,
    "msroi completion --help": COMPLETION,
    "MSROI_MIRROR=/path/to/files snakemake results/osie/gaze/summary.json": HOURS,
    "MSROI_MIRROR=/path/to/files snakemake results/osie/readout/summary.json": HOURS,
    "msroi stage prepare --experiment x": UNIT + "test_hostile_parameters.py",
    "PYTHONPATH=src:tests/unit python -m hostile": GENERATED,
    "python docs/prose.py --lower": PROSE,
    "python docs/prose.py docs/audit.md": PROSE,
    "python -m benchmarks.plan": GENERATED,
    "python -m benchmarks.encoders": UNIT + "test_bench.py::test_the_program_has_one_row_a_method",
    "python -m benchmarks.backbones paper-cpu": HOURS,
    "python -m benchmarks.backbones efficientnet paper-cpu": HOURS,
    "msroi stage heatmap --experiment efficientnet": HOURS,
    "msroi stage readout --experiment efficientnet": HOURS,
    "python -m benchmarks.by_eye General-100 coco_640x480 --images 20": HOURS,
    "python -m benchmarks.by_eye General-100 coco_640x480 --images 20 --vary share": HOURS,
    "python -m benchmarks.by_eye FOLDER --images 60 --vary masking": HOURS,
    "python -m benchmarks.encoder_terms": HOURS,
    "python -m benchmarks.heads": HOURS,
    "python -m benchmarks.heads --weights "
    '"accurate, all images=results/paper-cpu/model/weights.safetensors"': HOURS,
    "python -m benchmarks.eye": UNIT
    + "test_eye.py::test_every_file_of_the_judges_photographs_has_a_row",
    "python -m benchmarks.scale --counts 100 1000 20000": HOURS,
    "python -m benchmarks.many_rows": HOURS,
    "python -m benchmarks.stores": HOURS,
    # scale.md: several machines
    "pip install '.[efficientnet]'": SETS_UP,
    "pip install '.[s3]'": SETS_UP,
    "pip install '.[storage]'": SETS_UP,
    "pip install '.[slurm]'": SETS_UP,
    "apt-get install slurm-wlm munge": "not run: .ci/run does",
    "dvc remote add --default store s3://bucket/msroi": REMOTE,
    "dvc remote modify store endpointurl https://…": REMOTE,
    "dvc remote modify --local": "not run: holds what is secret",
    "dvc repro augment@paper": REMOTE,
    'git add --all && git commit -m "Ready to train" && git push && dvc push': REMOTE,
    "dvc pull download@paper prepare@paper augment@paper": REMOTE,
    "dvc repro --single-item train@paper": REMOTE,
    'git add --all && git commit -m "Trained" && git push && dvc push train@paper': REMOTE,
    "git pull && dvc pull train@paper": REMOTE,
    # gpu.md
    "python -m venv .venv": SETS_UP,
    'python -c "import jax; print(jax.devices())"': HARDWARE,
    "XLA_FLAGS=--xla_gpu_deterministic_ops=true msroi stage train --experiment paper": HARDWARE,
    "msroi stage train --experiment paper --devices 4": HARDWARE,
    "make train EXPERIMENT=paper MINUTES=25": TRAIN,
    "msroi stage train --experiment paper --until-minutes 25": UNIT + "test_checkpoints.py::"
    "test_a_run_with_a_time_limit_stops_with_status_0_and_ends_as_an_unbroken_one",
    "XLA_FLAGS=--xla_force_host_platform_device_count=4 "
    "msroi stage train --experiment demo --devices 4": UNIT
    + "test_devices.py::test_the_loss_curve_is_the_same_on_several_devices",
    "python - float32 <<'END'": UNIT
    + "test_documented_names.py::test_the_memory_of_a_step_is_printed",
    # SECURITY.md
    "pip install pip-audit": SETS_UP,
    "pip-audit --strict --disable-pip --require-hashes -r requirements/lock.txt": "not run: asks a "
    "service on the network",
}


def accounted(command: str) -> bool:
    """Say whether a command is run here or elsewhere; pytest's and make's name what they run."""
    words = shlex.split(command)
    if words[0] == "pytest":
        files = [word for word in words if word.startswith("tests/")]
        return bool(files) and all((ROOT / file).is_file() for file in files)
    return command in OWN_PHOTOS or command in ELSEWHERE


def test_every_command_is_run_by_a_test_or_says_why_not() -> None:
    missing = {command: on for command, on in documented().items() if not accounted(command)}
    assert missing == {}, "add to OWN_PHOTOS or ELSEWHERE"


def test_no_command_is_accounted_for_that_stands_nowhere() -> None:
    assert {*OWN_PHOTOS, *ELSEWHERE} <= set(documented())


@pytest.mark.parametrize("where", sorted(set(ELSEWHERE.values())))
def test_the_test_that_is_named_is_there(where: str) -> None:
    if where.startswith("not run: "):
        return
    file, _, name = where.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)


def test_targets_of_make_are_there() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    told = set()
    for page in (ROOT / name for name in PAGES):
        told |= set(re.findall(r"\bmake ([a-z][a-z-]+)`", page.read_text(encoding="utf-8")))
    assert told <= targets


@pytest.mark.numerics
def test_commands_for_own_photos(tmp_path: Path) -> None:
    photo = data.coffee()[:240, :320]
    (tmp_path / "holiday").mkdir()
    for name in ("photo.jpg", "photo.png", "holiday/a.png", "holiday/b.png"):
        imsave(tmp_path / name, photo, check_contrast=False)
    for command in OWN_PHOTOS:
        program, *arguments = shlex.split(command)
        assert program == "msroi"
        done = subprocess.run(
            # the second time, results of the first are there; a browser is not
            [sys.executable, "-m", "msroi", *(a for a in arguments if a != "--open")]
            + ["--force"] * ("--out" in arguments),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert {"photo.msroi.jpg", "photo.msroi.html", "small/photo.jpg", "good/photo.jpg"} <= made
    assert {"holiday-small/a.jpg", "holiday-small/b.jpg"} <= made


@pytest.mark.numerics
def test_the_python_of_the_tutorial(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    imsave(tmp_path / "photo.jpg", data.coffee()[:240, :320], check_contrast=False)
    code = f"{block}\nassert 0 < len(data) <= 20_000 and data[:2] == bytes([255, 216])\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
