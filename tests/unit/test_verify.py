"""What a check of the committed results calls intact, and which damages it names.

The project is what git holds of paper-cpu, as after a clone: whatever DVC alone holds is
missing. No number of paper-cpu stands here, since its results may be made anew.
"""

import copy
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from msroi.errors import ParameterError
from msroi.experiment import comparison, params
from msroi.experiment.layout import Layout
from msroi.experiment.yaml import read_yaml
from msroi.stages import anova, gaze
from msroi.verify import committed, hashes, recompute, tables
from msroi.verify.finding import (
    CHAIN,
    DIFFERS,
    HASH,
    INTACT,
    MISSING,
    OUTDATED,
    RECOMPUTED,
    Checked,
)
from msroi.workflow import dvc_hash, pipeline

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
NAME = "paper-cpu"
RESULTS = Path("results") / NAME
PER_IMAGE = RESULTS / "metrics/per_image.csv"
SUMMARY = RESULTS / "metrics/summary.json"


def write_yaml(path, values):
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    """Copy what git holds of the experiment."""
    folder = tmp_path_factory.mktemp("cloned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        lock = params.read_yaml(hashes.LOCK)
        # the other experiments' records would only take time
        recorded = {
            address: of for address, of in lock["stages"].items() if address.endswith(f"@{NAME}")
        }
        stages = [s for s in pipeline.read_stages().values() if s.name != pipeline.ADOPT]
        outs = {
            path.format(experiment=NAME)
            for stage in stages
            if stage.address(NAME) in recorded
            for path in stage.uncached
        }
        others = {f"config/{NAME}.yaml", "params.yaml", "data/published"}
        for path in map(Path, outs | others | {str(params.SCHEMA)}):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / path)
        values = params.read_yaml(pipeline.STAGES)
    write_yaml(folder / "dvc.lock", lock | {"stages": recorded})
    # a stage that dvc.yaml got after the results were committed has a test of its own
    values["stages"] = {
        name: entry for name, entry in values["stages"].items() if f"{name}@{NAME}" in recorded
    }
    write_yaml(folder / "dvc.yaml", values)
    return folder


@pytest.fixture
def project(cloned, tmp_path, monkeypatch):
    """Work in a copy of the clone."""
    shutil.copytree(cloned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for module, slow in ((anova, "tabulate"), (gaze, "byte_ratios")):
        monkeypatch.setattr(module, slow, once(getattr(module, slow)))
    for module in (params, pipeline):
        monkeypatch.setattr(module, "read_yaml", read_yaml_once)
    return params.load(NAME), Layout(NAME)


COMPUTED = {}


def once(compute):
    """Let one of the slowest computations be done once for the same table."""

    def computed(*of):
        key = compute.__name__, repr(of)
        if key not in COMPUTED:
            COMPUTED[key] = compute(*of)
        return COMPUTED[key]

    return computed


def read_yaml_once(path):
    """Read files of the same bytes once: PyYAML takes a second for dvc.lock."""
    key = "read_yaml", path.read_bytes() if path.is_file() else path
    if key not in COMPUTED:
        COMPUTED[key] = read_yaml(path)
    return copy.deepcopy(COMPUTED[key])


def bumped(text):
    """Change the first digit of a number that is not 0."""
    return re.sub("[1-9]", lambda digit: str(int(digit[0]) % 9 + 1), text, count=1)


def change_cell(path, line, column, change=bumped):
    """Change a cell of a table, CSV or Markdown; return what stood there and what does now."""
    comma = " | " if path.suffix == ".md" else ","
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].removeprefix("| ").removesuffix(" |").split(comma)
    cells = lines[line - 1].removeprefix("| ").removesuffix(" |").split(comma)
    before = cells[header.index(column)]
    after = change(before)
    assert after != before
    lines[line - 1] = lines[line - 1].replace(comma.join(cells), "\0")
    cells[header.index(column)] = after
    lines[line - 1] = lines[line - 1].replace("\0", comma.join(cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return before, after


def change_value(path, *keys):
    """Change a value of a JSON file; return what stood there and what does now."""
    values = json.loads(path.read_text(encoding="utf-8"))
    *inner, last = keys
    place = values
    for key in inner:
        place = place[key]
    before = place[last]
    place[last] = json.loads(bumped(json.dumps(before)))
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return before, place[last]


def change_lock(change):
    values = params.read_yaml(hashes.LOCK)
    change(values["stages"])
    write_yaml(hashes.LOCK, values)


def not_intact(checked, kind):
    """Return state and detail by path below the results."""
    return {
        one.path.removeprefix(f"{RESULTS}/"): (one.state, one.detail)
        for one in committed.failures(checked)
        if one.kind == kind
    }


def one_of(checked):
    (one,) = checked
    return one


def rows_of(project, compute):
    """Return what one recomputation finds."""
    return list(recompute.recompute(*project, compute, recompute.recomputations(*project)[compute]))


# what is committed


@pytest.mark.workflow
def test_all_that_git_holds_is_intact_and_every_number_follows(project):
    checked = committed.verify(NAME)
    assert committed.failures(checked) == []
    assert not [one for one in checked if one.state == DIFFERS]
    missing = {one.path: one.detail for one in checked if one.state == MISSING}
    assert set(missing.values()) == {"`dvc pull` (git does not hold it)"}
    of_git = {
        p.format(experiment=NAME) for s in pipeline.read_stages().values() for p in s.uncached
    }
    assert not of_git & missing.keys()
    assert str(RESULTS / "jpeg/images") in missing
    assert {one.path for one in checked if one.kind == RECOMPUTED} == {
        str(RESULTS / path)
        for path in (
            *("model/summary.json", "readout/summary.json", "heatmaps/summary.json"),
            *("metrics/per_image.csv", "metrics/summary.json", "metrics/comparison.csv"),
            *("judges/per_image.csv", "judges/summary.json", "judges/comparison.csv"),
            *("gaze/per_image.csv", "gaze/maps_per_image.csv", "gaze/comparison.csv"),
            *("gaze/maps.csv", "gaze/bytes.csv", "gaze/summary.json"),
            *("rate_distortion/bd_rate.csv", "rate_distortion/summary.json"),
            *("anova/anova.csv", "anova/summary.json"),
            *("conventions/summary.json", "audit/summary.json"),
            *(f"tables/table{n}.{suffix}" for n in (1, 2, 3, 4) for suffix in ("csv", "md")),
            *("tables/comparison.csv", "tables/comparison.md", "summary.json"),
        )
    }
    assert {str(PER_IMAGE), str(RESULTS / "jpeg/index.csv")} < {
        one.path for one in checked if one.kind == CHAIN
    }
    most = Counter((one.kind, one.path) for one in checked).most_common(1)
    assert most[0][1] == 1
    assert committed.verdict(checked).endswith(
        f"; {len(missing)} outputs that git does not hold are missing."
    )


def test_damages_of_several_files_are_each_named(project):
    sd = change_value(SUMMARY, "salicon", "jpeg", "q50", "sd", "mse_rgb")
    mse = change_cell(RESULTS / "metrics/comparison.csv", 3, "mse_rgb")
    f = change_cell(RESULTS / "anova/anova.csv", 2, "oneway_f")
    change_cell(RESULTS / "anova/anova.csv", 3, "n")
    psnr = change_cell(RESULTS / "tables/table3.md", 4, "psnr_rgb_db")
    rates = RESULTS / "rate_distortion/bd_rate.csv"
    header, first, second, *rest = rates.read_text().splitlines()
    rates.write_text("\n".join([header, second, first, *rest]) + "\n")
    truncated = RESULTS / "conventions/summary.json"
    truncated.write_bytes(truncated.read_bytes()[:-40])
    (RESULTS / "heatmaps/summary.json").unlink()
    (RESULTS / "model/history.csv").unlink()

    checked = committed.verify(NAME)
    damaged = not_intact(checked, HASH)
    assert {path: state for path, (state, _) in damaged.items()} == {
        "model/history.csv": MISSING,
        "heatmaps/summary.json": MISSING,
        "metrics/summary.json": DIFFERS,
        "metrics/comparison.csv": DIFFERS,
        "conventions/summary.json": DIFFERS,
        "rate_distortion/bd_rate.csv": DIFFERS,
        "anova/anova.csv": DIFFERS,
        "tables": DIFFERS,
    }
    assert damaged["model/history.csv"][1] == f"`git checkout -- {RESULTS}/model/history.csv`"

    wrong = not_intact(checked, RECOMPUTED)
    assert wrong.pop("metrics/summary.json") == (
        DIFFERS,
        f"1 value differs: salicon.jpeg.q50.sd.mse_rgb: {sd[1]} committed, {sd[0]} recomputed",
    )
    assert wrong.pop("metrics/comparison.csv") == (
        DIFFERS,
        f"1 value differs: line 3, mse_rgb: {mse[1]} committed, {mse[0]} recomputed",
    )
    assert wrong.pop("tables/table3.md") == (
        DIFFERS,
        f"1 value differs: line 4, psnr_rgb_db: {psnr[1]} committed, {psnr[0]} recomputed",
    )
    _, detail = wrong.pop("anova/anova.csv")
    assert detail.startswith("2 values differ: line 2, oneway_f: " + f[1])
    assert "; line 3, n: " in detail
    _, detail = wrong.pop("rate_distortion/bd_rate.csv")
    assert re.match(r"\d+ values differ: line 2, measure: \w+ committed, \w+ recomputed; ", detail)
    assert re.search(r"(; line .*){4}; and \d+ more$", detail)
    _, detail = wrong.pop("conventions/summary.json")
    assert re.fullmatch(r"it is not JSON \(.* line \d+ column \d+ \(char \d+\)\)", detail)
    assert wrong == {
        "heatmaps/summary.json": (MISSING, f"`git checkout -- {RESULTS}/heatmaps/summary.json`"),
        "model/history.csv": (MISSING, f"`git checkout -- {RESULTS}/model/history.csv`"),
    }
    assert not not_intact(checked, CHAIN)


def test_a_digit_of_one_image_is_told_by_its_hash_and_by_all_that_follows_from_it(project):
    change_cell(PER_IMAGE, 2, "ssim_luma")
    checked = hashes.against_lock(NAME)
    (path, (state, detail)), *others = not_intact(checked, HASH).items()
    assert (path, state, others) == ("metrics/per_image.csv", DIFFERS, [])
    size = PER_IMAGE.stat().st_size
    there = dvc_hash.version_of(PER_IMAGE).md5[:8]
    recorded = hashes.read_lock()[f"metrics@{NAME}"].outs[str(PER_IMAGE)].md5[:8]
    assert detail == f"it has {size} bytes, md5 {there}; dvc.lock says {size} bytes, md5 {recorded}"
    wrong = not_intact(rows_of(project, recompute.of_metrics), RECOMPUTED)
    assert list(wrong) == ["metrics/summary.json", "metrics/comparison.csv"]
    assert re.match(
        r"\d+ values differ: [\w-]+\.jpeg\.q30\.mean\.ssim_luma: ", wrong["metrics/summary.json"][1]
    )


@pytest.mark.parametrize("column", ["psnr_rgb_db", "size_error_pct", "target_bytes"])
def test_the_table_of_images_contradicts_itself(column, project):
    line = 1 + next(
        number
        for number, row in enumerate(PER_IMAGE.read_text().splitlines(), start=1)
        if ",msroi," in row and ",0.0000," not in row
    )
    change_cell(PER_IMAGE, line, column)
    assert (
        f"line {line}, "
        in not_intact(rows_of(project, recompute.of_metrics), RECOMPUTED)["metrics/per_image.csv"][
            1
        ]
    )


def test_a_table_that_todays_code_cant_read_is_outdated_if_it_is_as_recorded(project):
    """Of another stage with other parameters, and with a column that has another name today."""
    table = RESULTS / "judges/per_image.csv"
    table.write_text(table.read_text().replace("ssimulacra2", "ssimulacra", 1))
    version = dvc_hash.version_of(table)

    def change(stages):
        entry = stages[f"judges@{NAME}"]
        entry["params"][f"config/{NAME}.yaml"]["judges"]["images"] += 1
        (out,) = (out for out in entry["outs"] if out["path"] == str(table))
        out |= {"md5": version.md5, "size": version.size}

    change_lock(change)
    (found,) = rows_of(project, recompute.of_judges)
    assert (found.path, found.state, found.allowed) == (str(table), OUTDATED, True)
    assert found.detail == "made with other parameters by older code; `dvc repro` makes it anew"
    assert committed.verdict([found]).endswith("; tables of other parameters, outdated: 1.")
    change_cell(table, 2, "bytes")
    (found,) = rows_of(project, recompute.of_judges)
    assert (found.state, found.allowed) == (DIFFERS, False)
    assert found.detail.startswith("its columns are experiment, ")


def test_tables_follow_from_the_summary_beside_them(project):
    change_value(SUMMARY, "salicon", "jpeg", "q30", "mean", "psnr_rgb_db")
    wrong = not_intact(rows_of(project, recompute.mean_tables), RECOMPUTED)
    assert list(wrong) == ["tables/table3.csv", "tables/table3.md"]
    wrong = not_intact(rows_of(project, recompute.beside_paper), RECOMPUTED)
    assert list(wrong) == ["tables/comparison.csv", "tables/comparison.md"]


def test_a_lost_line_and_one_too_many_are_differences(project):
    path = RESULTS / "tables/table3.csv"
    *lines, last = path.read_text().splitlines()
    path.write_text("\n".join(lines) + "\n")
    with (RESULTS / "tables/table4.md").open("a") as file:
        file.write("| 1 |" + " 2 |" * 10 + "\n")
    wrong = not_intact(rows_of(project, recompute.mean_tables), RECOMPUTED)
    number, quality = len(lines) + 1, last.split(",")[0]
    place = f"line {number}, match_quality"
    assert (
        f"differ: {place}: nothing committed, {quality} recomputed" in wrong["tables/table3.csv"][1]
    )
    place = f"line {number + 2}, match_quality"
    assert f"differ: {place}: 1 committed, nothing recomputed" in wrong["tables/table4.md"][1]


# files that can't be read


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: change_cell(path, 7, "bpp", lambda _: "much"),
            r"line 7, bpp: 'much' is not a number",
        ),
        (
            lambda path: change_cell(path, 7, "bytes", lambda _: "1.5"),
            r"line 7, bytes: '1\.5' is not a whole number",
        ),
        (
            lambda path: change_cell(path, 7, "bytes", lambda _: "1,5"),
            r"line 7 has 11 cells, the header has 10",
        ),
        (
            lambda path: change_cell(path, 1, "bpp", lambda _: "rate"),
            r"its columns are experiment, .*, rate, .*; expected experiment, .*, bpp, .*",
        ),
        (lambda path: path.write_bytes(b""), r"its columns are ; expected experiment, .*"),
        (lambda path: path.write_bytes(b"\xff\xfe"), r"it is not a table in UTF-8 \(.*\)"),
        (
            lambda path: path.write_text(path.read_text().replace(",jpeg,", ",jpg,")),
            rf"nothing can be computed from {RESULTS}/rate_distortion/curves\.csv \(KeyError: .*\)",
        ),
    ],
)
def test_a_table_that_is_none_is_one_sentence(damage, said, project):
    damage(RESULTS / "rate_distortion/curves.csv")
    one = one_of(rows_of(project, recompute.of_rate_distortion))
    assert (one.kind, one.path) == (RECOMPUTED, f"{RESULTS}/rate_distortion/curves.csv")
    assert (one.state, one.allowed) == (DIFFERS, False)
    assert re.fullmatch(said, one.detail)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"salicon": {', r"it is not JSON \(.*line 1 column 14 \(char 13\)\)"),
        ("[]", r"it is not a JSON object"),
        ("{}", rf"nothing can be computed from {SUMMARY} \(KeyError: 'salicon'\)"),
        ('{"salicon": 1, "general-100": 2}', r"nothing can be .* \(AttributeError: 'int' .*\)"),
    ],
)
def test_a_summary_that_is_none_is_one_sentence(text, said, project):
    SUMMARY.write_text(text)
    one = one_of(rows_of(project, recompute.mean_tables))
    assert (one.path, one.state) == (str(SUMMARY), DIFFERS)
    assert re.fullmatch(said, one.detail)


def test_what_several_need_is_missed_once(project):
    PER_IMAGE.unlink()
    of_table = [one for one in recompute.recomputed(*project) if one.path == str(PER_IMAGE)]
    remedy = f"`git checkout -- {PER_IMAGE}`"
    assert of_table == [Checked(NAME, RECOMPUTED, str(PER_IMAGE), MISSING, False, remedy)]


def test_without_a_paper_there_is_no_comparison_with_it(project):
    experiment, layout = project
    alone = dataclasses.replace(experiment.report, published="none")
    experiment = dataclasses.replace(experiment, report=alone)
    assert recompute.beside_paper not in recompute.recomputations(experiment, layout)


# dvc.lock


def test_what_only_dvc_holds_must_be_as_recorded_if_it_is_there(project):
    path = RESULTS / "heatmaps/passes.npy"
    path.write_bytes(b"other")
    wrong = not_intact(hashes.against_lock(NAME), HASH)
    assert wrong.keys() == {"heatmaps/passes.npy"}
    assert wrong["heatmaps/passes.npy"][1].startswith(
        "it has 5 bytes, md5 795f3202; dvc.lock says "
    )


def test_a_result_of_another_version_of_its_input_breaks_the_chain(project):
    def change(stages):
        for dep in stages[f"anova@{NAME}"]["deps"]:
            if dep["path"] == str(PER_IMAGE):
                dep |= {"md5": "0123456789abcdef" * 2, "size": 7}

    change_lock(change)
    recorded = hashes.read_lock()[f"metrics@{NAME}"].outs[str(PER_IMAGE)]
    one = one_of(committed.failures(hashes.against_lock(NAME)))
    assert (one.kind, one.path, one.state) == (CHAIN, str(PER_IMAGE), DIFFERS)
    assert one.detail == (
        f"metrics@{NAME} wrote {recorded.size} bytes, md5 {recorded.md5[:8]}; "
        f"anova@{NAME} read 7 bytes, md5 01234567"
    )


def test_a_stage_that_is_newer_than_the_results_is_outdated(project):
    shutil.rmtree(RESULTS / "anova")
    change_lock(lambda stages: stages.pop(f"anova@{NAME}"))
    newer = [one for one in hashes.against_lock(NAME) if "/anova/" in one.path]
    why = "the results are from before this stage; `dvc repro` makes it anew"
    assert newer == [
        Checked(NAME, HASH, f"{RESULTS}/anova/{name}", OUTDATED, True, why)
        for name in ("anova.csv", "summary.json")
    ]


def test_a_stage_that_was_never_recorded_is_missing(project):
    change_lock(lambda stages: stages.pop(f"anova@{NAME}"))
    remedy = f"dvc.lock does not have it: `dvc repro anova@{NAME}`"
    assert committed.failures(hashes.against_lock(NAME)) == [
        Checked(NAME, HASH, f"{RESULTS}/anova/{name}", MISSING, False, remedy)
        for name in ("anova.csv", "summary.json")
    ]


def test_an_experiment_that_was_never_recorded_has_nothing_to_be_compared_with(project):
    change_lock(lambda stages: stages.clear())
    checked = hashes.against_lock(NAME)
    assert {(one.kind, one.state, one.allowed) for one in checked} == {(HASH, MISSING, True)}
    stages = pipeline.read_stages().values()
    assert {one.path for one in checked} == {
        path.format(experiment=NAME) for s in stages if s.name != pipeline.ADOPT for path in s.outs
    }


def test_changed_code_and_stages_that_are_no_more_are_none_of_its_business(project):
    def change(stages):
        stages[f"old@{NAME}"] = {"outs": [{"path": str(SUMMARY), "md5": "0" * 32, "size": 1}]}
        for stage in stages.values():
            for dep in stage.get("deps", []):
                if dep["path"].startswith("src/"):
                    dep["md5"] = "0" * 32

    change_lock(change)
    assert committed.failures(hashes.against_lock(NAME)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<<<<<< HEAD\nstages: {", r"dvc\.lock is not YAML: .*"),
        ("stages:\n", r"dvc\.lock is not as DVC writes it \(AttributeError: .*\); `git .*`\."),
        ("stages: {a@b: {outs: [{path: x}]}}", r"dvc\.lock is not .* \(KeyError: 'md5'\); .*"),
    ],
)
def test_a_lock_that_is_none_is_one_sentence(text, said, project):
    hashes.LOCK.write_text(text)
    one = one_of(hashes.against_lock(NAME))
    assert (one.kind, one.path, one.state, one.allowed) == (HASH, "dvc.lock", DIFFERS, False)
    assert re.fullmatch(said, one.detail)
    with pytest.raises(ParameterError, match=said):
        committed.experiments_with_results()


def test_a_lost_lock_is_missing(project):
    hashes.LOCK.unlink()
    remedy = "`git checkout -- dvc.lock`"
    assert hashes.against_lock(NAME) == [Checked(NAME, HASH, "dvc.lock", MISSING, False, remedy)]


def test_experiments_with_results_have_a_lock_a_file_and_a_folder(project):
    def change(stages):
        stages |= {f"train@{name}": {} for name in ("no-results", "no-file")}

    change_lock(change)
    Path("config/no-results.yaml").touch()
    Path("results/no-file").mkdir()
    Path("results/not-locked").mkdir()
    assert committed.experiments_with_results() == [NAME]


def test_a_folder_has_the_hash_that_dvc_gives_it(tmp_path):
    shutil.copyfile(ROOT / ".dvcignore", tmp_path / ".dvcignore")
    folder = tmp_path / "folder"
    names = ("b.txt", "a/1", "a-b/2", "a.b", 'A/ž"€', "a/b/c", "a/.hidden", "a/empty")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name if name != "a/empty" else "", encoding="utf-8")
    (folder / "nothing in it").mkdir()
    for ignored in (".snakemake_timestamp", "a/.partial-7-x.png"):
        (folder / ignored).write_text("ignored")
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path)}
    for command in (["init", "--no-scm"], ["add", "folder"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
        )
    (out,) = yaml.safe_load((tmp_path / "folder.dvc").read_text())["outs"]
    expected = dvc_hash.Version(out["md5"], out["size"], out["nfiles"])
    assert dvc_hash.version_of(folder) == expected
    assert expected.files == len(names)


def test_what_dvc_leaves_out_of_a_folder_is_left_out_here():
    lines = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    assert tuple(line for line in lines if not line.startswith("#")) == dvc_hash.IGNORED


# comparing


@pytest.mark.parametrize(
    ("committed", "computed", "same"),
    [
        (1.0, 1.0000009, True),
        (1.0, 1.000002, False),
        (30, 30.0, True),
        (float("inf"), float("inf"), True),
        (float("inf"), 30.0, False),
        (3, 3, True),
        (3.0, 3, False),
        (True, 1, False),
        (True, 1.0, False),
        ("3", 3.0, False),
        (None, None, True),
        (None, 3.0, False),
    ],
)
def test_only_real_numbers_may_differ_a_little(committed, computed, same):
    assert tables.same_value(committed, computed) is same


def test_what_is_rounded_to_decimals_may_differ_by_one_of_the_last():
    assert tables.same_value(0.123457, 0.123456, unit=1e-6)
    assert not tables.same_value(0.123459, 0.123456, unit=1e-6)


def test_an_audit_allows_what_its_tolerances_say_and_tables_round_far_below():
    value = 27.123456
    assert tables.same_value(value * (1 + 0.9 * tables.RELATIVE), value)
    assert not tables.same_value(value * (1 + 1.1 * tables.RELATIVE), value)
    half_a_unit = 0.5 * 10 ** (1 - comparison.DIGITS)  # of the last digit, where the first is a 1
    assert half_a_unit <= tables.RELATIVE / 10


@pytest.mark.parametrize(
    ("text", "computed", "same"),
    [
        ("2.5000001", 2.5, True),
        ("2.6", 2.5, False),
        ("", 2.5, False),
        ("", None, True),
        ("true", True, True),
        ("True", True, False),
        ("2", 2, True),
        ("2.0", 2, False),
        ("29.10", "29.10", True),
        ("29.1", "29.10", False),
    ],
)
def test_a_cell_is_what_the_stage_would_write(text, computed, same):
    assert tables.same_cell(text, computed) is same


# what is said


def test_the_summary_counts_lists_and_ends_with_a_verdict():
    checked = [
        Checked("mine", HASH, "results/mine/a.csv", INTACT, False, ""),
        Checked("mine", HASH, "results/mine/b", MISSING, True, "`dvc pull` (git does not hold it)"),
        Checked("mine", CHAIN, "results/mine/a.csv", INTACT, False, ""),
        Checked(
            "mine",
            RECOMPUTED,
            "results/mine/c.json",
            DIFFERS,
            False,
            "2 values differ: a: 1.5 committed, 1.75 recomputed; b: 2.5 committed, 2.75 recomputed",
        ),
    ]
    assert committed.summary_text(checked) == (
        "check          intact  missing outdated  differs\n"
        "hash                1        1        0        0\n"
        "chain               1        0        0        0\n"
        "recomputed          0        0        0        1\n"
        "\n"
        "missing  hash        results/mine/b: `dvc pull` (git does not hold it)\n"
        "differs  recomputed  results/mine/c.json: 2 values differ: a: 1.5 committed, 1.75 "
        "recomputed; b: 2.5\n"
        "                     committed, 2.75 recomputed\n"
        "\n"
        "mine: 1 of 4 checks failed.\n"
    )
    assert committed.failures(checked) == checked[-1:]


@pytest.mark.parametrize(
    ("checked", "said"),
    [
        ([], "Nothing was checked: no experiment has results here."),
        (
            [Checked(name, HASH, "a", INTACT, False, "") for name in ("one", "two")],
            "one, two: all that git holds is intact, and every number follows from its table.",
        ),
    ],
)
def test_the_verdict_is_one_sentence(checked, said):
    assert committed.verdict(checked) == said
    assert committed.summary_text(checked).endswith(f"0\n\n{said}\n")
