"""One name per thing, and one list of stages: what must agree, and what to do if it does not."""

import ast
import subprocess
from pathlib import Path

import pytest
import yaml

from msroi.cli import parser
from msroi.experiment import params
from msroi.experiment.layout import CODE
from msroi.workflow import code, pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def source(module: str) -> str:
    return code.path_of(module).read_text(encoding="utf-8")


def stages() -> list[pipeline.Stage]:
    return [stage for stage in pipeline.read_stages().values() if stage.name != pipeline.ADOPT]


def test_stages_commands_modules_and_locks_have_the_same_names() -> None:
    names = [stage.name for stage in stages()]
    assert names == list(parser.STAGES)
    modules = {path.stem for path in (code.PACKAGE / "stages").glob("*.py")} - {"__init__"}
    assert modules == {path.stem for path in CODE.iterdir()} == set(names)


def test_the_snakefile_is_a_table_of_contents() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 40


def test_a_stages_code_is_its_lock() -> None:
    data = ("data/", "results/", "src/msroi/photos/data/")  # the last is what the package carries
    for stage in stages():
        of_code = [dep for dep in stage.deps if not dep.startswith(data)]
        assert of_code == [f"workflow/code/{stage.name}.lock"]


def test_the_committed_locks_are_current() -> None:
    code.insist_on_current(parser.STAGES)


@pytest.mark.parametrize("name", list(parser.STAGES))
def test_params_name_every_section_that_the_stage_reads(name: str) -> None:
    stage = pipeline.read_stages()[name]
    modules = code.closure(f"msroi.stages.{name}")
    sections = set(params.Experiment.__dataclass_fields__) - {"name"}
    read = {
        node.attr
        for module in modules
        for node in ast.walk(ast.parse(source(module)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "experiment"
        and node.attr in sections
    }
    own = {
        node.attr
        for node in ast.walk(ast.parse(source(f"msroi.stages.{name}")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "experiment"
        and node.attr in sections
    }
    if any("asdict(experiment)" in source(module) for module in modules):
        read = sections
    assert own <= set(stage.sections), f"dvc.yaml: add {own - set(stage.sections)} to {name}"
    assert set(stage.sections) <= read, f"dvc.yaml: {name} does not read {stage.sections}"


def test_every_input_is_made_by_an_earlier_stage_or_lies_in_the_repository() -> None:
    made: set[str] = set()
    for stage in stages():
        for dep in stage.deps:
            in_repository = (ROOT / dep).is_file() or dep in ("data/published", "data/splits")
            assert dep in made or in_repository, f"{stage.name}: {dep}"
        made |= set(stage.outs)


def test_adopt_depends_on_every_output() -> None:
    folders = tuple(f"{dep}/" for dep in pipeline.read_stages()[pipeline.ADOPT].deps)
    assert all(out.startswith(folders) for out in pipeline.outputs(pipeline.read_stages()))


def test_a_command_runs_only_its_own_rule() -> None:
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in stages():
        command = entries[stage.name]["cmd"]
        rules = f"{stage.name} {stage.name}_chunk" if stage.name in parser.CHUNKED else stage.name
        start = f"snakemake --allowed-rules {rules} -- "
        assert command.startswith(start)
        target = command.removeprefix(start).replace("${item.experiment}", "{experiment}")
        assert target in stage.outs


def ignored(path: str) -> bool:
    done = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", list(parser.STAGES))
def test_git_ignores_exactly_what_dvc_caches(name: str) -> None:
    stage = pipeline.read_stages()[name]
    for out in stage.outs:
        path = out.format(experiment="some-experiment")
        assert ignored(path) == (out not in stage.uncached), path


def test_params_yaml_names_experiments_that_load() -> None:
    assert pipeline.experiments() == ["demo"]


@pytest.mark.parametrize(
    "bad", ["experiments: demo\n", "experiments: []\n", "", "- demo\n", "experiments: [1]\n"]
)
def test_a_wrong_list_of_experiments_is_one_sentence(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_text(bad, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(params.ParameterError, match=r"^params\.yaml: experiments must be a list"):
        pipeline.experiments()
