"""What a forge and an editor read is true: targets of the Makefile, versions, schemas, formats."""

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
GITHUB = {"github.ref", "github.repository", "github.token", "github.workflow"}
EDITOR_WORDS = {
    "root",
    "charset",
    "end_of_line",
    "insert_final_newline",
    "trim_trailing_whitespace",
    "indent_style",
    "indent_size",
    "max_line_length",
}
TEXT = {".md", ".py", ".yml", ".yaml", ".toml", ".cff", ".smk"}


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def runs(path: Path) -> list[str]:
    """Return what the steps of a workflow run, for every value of its matrix."""
    found = []
    for job in read(path)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job["steps"]:
            commands = [step.get("run", "")]
            for name, values in matrix.items():
                place = f"${{{{ matrix.{name} }}}}"
                commands = [one.replace(place, str(v)) for one in commands for v in values]
            found += filter(None, dict.fromkeys(commands))
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_has_a_target_or_a_file(path: Path) -> None:
    for command in runs(path):
        if command.startswith("make"):
            target = command.split()[-1]
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), command
        elif command.startswith("bash"):
            assert (ROOT / command.split()[1]).is_file(), command
        else:
            assert ".venv/bin/" in command or command.startswith("gh release"), command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_expressions_and_needs_name_what_is_there(path: Path) -> None:
    """What actionlint would find. It has no package that carries its program."""
    workflow = read(path)
    jobs = workflow.pop("jobs")
    assert set(EXPRESSION.findall(str(workflow))) <= GITHUB
    for job in jobs.values():
        matrix = {f"matrix.{name}" for name in job.get("strategy", {}).get("matrix", {})}
        named = set(EXPRESSION.findall(str(job)))
        assert matrix <= named <= GITHUB | matrix
        assert job.get("needs") in {None, *jobs}


def test_every_supported_python_is_checked() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.15"' in project
    versions = ["3.11", "3.12", "3.13", "3.14"]
    ci = read(ROOT / ".github/workflows/ci.yml")
    for job in ("check", "test"):
        assert ci["jobs"][job]["strategy"]["matrix"]["python"] == versions
    for version in versions:
        assert f'"Programming Language :: Python :: {version}"' in project


def test_the_hooks_run_what_make_lint_runs() -> None:
    """A hook's program and schema stand in the Makefile; the locks are what a commit writes."""
    hooks = read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    for hook in hooks:
        if hook["id"] == "locks":
            continue
        assert hook["language"] == "system"
        for word in hook["entry"].replace(".venv/lint/bin/", "").split():
            assert word in {"env", "--force-exclude", "--builtin-schema"} or word in MAKEFILE, word


def test_the_citation_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_the_catalogue_of_workflows_knows_every_word_of_its_file() -> None:
    """Of what the Snakemake workflow catalogue documents; it has no schema."""
    usage = read(ROOT / ".snakemake-workflow-catalog.yml")["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert deployment.keys() == {"conda", "apptainer", "apptainer+conda", "report"}
    rules = (path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    named = re.compile(r"^ +(conda|container):", re.MULTILINE)
    assert any(map(named.search, rules)) == (deployment["conda"] or deployment["apptainer"])
    assert (ROOT / "config/README.md").is_file()


def editor_rules() -> dict[str, dict[str, str]]:
    """Return what .editorconfig, an INI file whose first lines have no section, says by pattern."""
    parser = configparser.ConfigParser(strict=True)
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    return {name: dict(parser[name]) for name in parser.sections()}


def test_editorconfig_says_what_the_formatters_say() -> None:
    rules = editor_rules()
    assert rules["top"] == {"root": "true"}
    for name, rule in rules.items():
        assert rule.keys() <= EDITOR_WORDS, name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert int(rules["*.py"]["max_line_length"]) == project["tool"]["ruff"]["line-length"]


@pytest.mark.parametrize("name", [".github", "config", "docs", "src", "tests", "workflow", "."])
def test_files_are_as_editorconfig_says(name: str) -> None:
    """UTF-8, a newline at the end, none of the system that has two, and no blank before it."""
    folder = ROOT / name
    found = folder.glob("*") if name == "." else folder.rglob("*")
    for path in found:
        if path.suffix in TEXT and "__pycache__" not in path.parts:
            text = path.read_bytes().decode("utf-8")
            assert "\r" not in text, path
            assert text.endswith("\n") or not text, path
            assert not re.search(r"[ \t]+$", text, re.MULTILINE), path


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_only_a_release_may_write_and_none_of_its_jobs_both_things(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    more = [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
    expected = [{"id-token": "write"}, {"contents": "write"}] if path.stem == "release" else []
    assert more == expected


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_run_ends_and_does_not_run_beside_itself(path: Path) -> None:
    workflow = read(path)
    assert "github.ref" in workflow["concurrency"]["group"]
    assert all(0 < job["timeout-minutes"] <= 360 for job in workflow["jobs"].values())


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    """And one of ours, for numbers; each heading once a version, in one order, and a list below."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    names = [version.splitlines()[0] for version in versions]
    assert names[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", name) for name in names[1:])
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Results changed"]
    for version in versions:
        headings = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert headings == [kind for kind in kinds if kind in headings]
        sections = re.split(r"^### .+$", version, flags=re.MULTILINE)[1:]
        assert all(re.match(r"\n\n- ", section) for section in sections)
