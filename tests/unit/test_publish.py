"""What `msroi publish` writes: a crate that says of each file what it is and what made it."""

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from msroi.cli import main, parser
from msroi.publish import crate, folder
from msroi.publish.crate import Author, Run
from msroi.verify import hashes
from msroi.verify.hashes import Locked
from msroi.workflow import code
from msroi.workflow.dvc_hash import Version, version_of

ROOT = Path(__file__).parents[2]
NAME = "osie"
PERSON = "Josiah Carberry <0000-0002-1825-0097>"

Entities = dict[str, dict[str, Any]]


def read(made: Path) -> Entities:
    """Return the entities of a crate by their identifiers, of which none stands twice."""
    graph = json.loads((made / crate.METADATA).read_text(encoding="utf-8"))["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    return by_id


@pytest.fixture(scope="module", params=[NAME, "paper-cpu"])
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """An experiment, and the crate of what is committed of it."""
    out = tmp_path_factory.mktemp("published") / "crate"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert main.main(["publish", request.param, "--out", str(out), "--author", PERSON]) == 0
    return request.param, out


@pytest.fixture(scope="module")
def name(published: tuple[str, Path]) -> str:
    return published[0]


@pytest.fixture(scope="module")
def made(published: tuple[str, Path]) -> Path:
    return published[1]


@pytest.fixture(scope="module")
def entities(made: Path) -> Entities:
    return read(made)


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def recorded(name: str) -> dict[str, Locked]:
    """Return what dvc.lock has of an experiment, by the stages' names; `adopt` makes nothing."""
    lock = hashes.read_lock().items()
    stages = {key.partition("@")[0]: one for key, one in lock if key.endswith(f"@{name}")}
    return {stage: locked for stage, locked in stages.items() if stage != "adopt"}


def ids(value: Any) -> list[str]:
    """Return the identifiers of one reference or of several."""
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def references(value: Any) -> Iterator[str]:
    """Yield every identifier in an entity's properties."""
    if isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield value["@id"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_file_is_described_by_its_hash_and_size(made: Path, entities: Entities) -> None:
    there = {p.relative_to(made).as_posix(): p.read_bytes() for p in made.rglob("*") if p.is_file()}
    there.pop(crate.METADATA)
    files = {name: one for name, one in entities.items() if "File" in one["@type"]}
    assert files.keys() == there.keys()
    for name, data in there.items():
        assert files[name]["contentSize"] == str(len(data))
        assert files[name]["md5"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert (ROOT / name).read_bytes() == data
    assert set(there) <= set(ids(entities["./"]["hasPart"]))


def test_every_folder_is_the_recorded_one(made: Path, entities: Entities) -> None:
    folders = {one for one in ids(entities["./"]["hasPart"]) if one.endswith("/")}
    assert len(folders) > 1
    for one in folders:
        assert entities[one]["md5"] == version_of(made / one).md5
        below = {p.relative_to(made).as_posix() for p in (made / one).rglob("*") if p.is_file()}
        assert set(ids(entities[one]["hasPart"])) == below


def test_every_stage_is_an_action_with_the_hashes_of_the_lock(
    name: str, entities: Entities
) -> None:
    """A file that has changed since is not taken for the one that the stage read."""
    stages = recorded(name)
    actions = {one["@id"] for one in entities.values() if one["@type"] == "CreateAction"}
    assert actions == {"#run", *(f"#run/{stage}" for stage in stages)}
    for stage, locked in stages.items():
        action = entities[f"#run/{stage}"]
        for key, versions in (("object", locked.deps), ("result", locked.outs)):
            named = [entities[one] for one in ids(action[key]) if "md5" in entities[one]]
            assert {one["name"]: one["md5"] for one in named} == {
                path: version.md5 for path, version in versions.items()
            }
        assert action["description"].endswith(f"; by the command: {locked.command}")
        assert locked.command.startswith(f"snakemake --allowed-rules {stage} ")
        assert entities[action["instrument"]["@id"]]["name"] == f"msroi stage {stage}"


def test_parameters_have_the_values_of_the_lock(name: str, entities: Entities) -> None:
    for stage, locked in recorded(name).items():
        taken = [
            entities[one]
            for one in ids(entities[f"#run/{stage}"]["object"])
            if entities[one]["@type"] == "PropertyValue"
        ]
        found: dict[str, Any] = {}
        for one in taken:
            *above, last = one["name"].split(".")
            place = found
            for key in above:
                place = place.setdefault(key, {})
            place[last] = one["value"]
        assert ([found] if taken else []) == [as_text(one) for one in locked.params.values()]


def as_text(value: Any) -> Any:
    """Return nested values with each value as the crate writes it."""
    if isinstance(value, dict) and value:
        return {key: as_text(one) for key, one in value.items()}
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def test_a_step_comes_after_those_whose_results_it_reads(name: str, entities: Entities) -> None:
    made: set[str] = set()
    stages = recorded(name)
    steps = [one for one in entities.values() if one["@type"] == "HowToStep"]
    written = {path for one in stages.values() for path in one.outs}
    for step in sorted(steps, key=lambda one: int(one["position"])):
        locked = stages[step["name"]]
        assert set(locked.deps) & written <= made
        made |= set(locked.outs)
        assert step["workExample"] == entities[f"#run/{step['name']}"]["instrument"]
        assert ids(entities[f"#snakemake-run/{step['name']}"]["object"]) == [f"#run/{step['name']}"]
    assert ids(entities["Snakefile"]["step"]) == [one["@id"] for one in steps]


def test_nothing_refers_to_what_is_not_there(entities: Entities) -> None:
    named = {one for entity in entities.values() for one in references(entity)}
    assert {one for one in named - entities.keys() if not one.startswith("https://")} == set()


def test_what_only_the_cache_has_is_described_and_not_a_part(name: str, entities: Entities) -> None:
    path = f"results/{name}/jpeg/images"
    version = recorded(name)["compress"].outs[path]
    assert version.md5.endswith(".dir")
    assert entities[f"#{version.md5}/{path}"] == {
        "@id": f"#{version.md5}/{path}",
        "@type": "CreativeWork",
        "name": path,
        "description": (
            f"Not in this crate; {version.files} files, {version.size} bytes, by dvc.lock."
        ),
        "md5": version.md5,
    }
    assert not [one for one in ids(entities["./"]["hasPart"]) if one.startswith("#")]


def test_sources_are_those_that_were_taken_with_hash_and_licence(
    name: str, entities: Entities
) -> None:
    rows = [one for key, one in entities.items() if key.startswith("#source/")]
    wanted = recorded(name)["download"].params[f"config/{name}.yaml"]["download"]
    names = {*wanted["datasets"], wanted["weights"]}
    assert {one["name"].partition(":")[0] for one in rows} == names
    assert all(re.fullmatch(r"(sha256|md5):[0-9a-f]+", one["identifier"]) for one in rows)
    assert all(one["license"] for one in rows)
    taken = ids(entities["#run/download"]["object"])
    assert {one["@id"] for one in rows} == {one for one in taken if one.startswith("#source/")}


def test_packages_are_those_of_the_stages_whose_code_is_as_recorded(
    name: str, entities: Entities
) -> None:
    for stage, locked in recorded(name).items():
        needed = ids(entities[f"#msroi-stage/{stage}"].get("softwareRequirements", []))
        lock = code.lock_path(stage)
        then = locked.deps.get(lock.as_posix())
        pins = re.findall(r"^(\S+)==(\S+)$", lock.read_text(encoding="utf-8"), re.MULTILINE)
        is_recorded = then is not None and then.md5 == version_of(lock).md5
        assert needed == ([f"pkg:pypi/{one}@{version}" for one, version in pins] * is_recorded)
        for one in needed:
            assert one == f"pkg:pypi/{entities[one]['name']}@{entities[one]['softwareVersion']}"


def test_who_made_it(entities: Entities) -> None:
    person = "https://orcid.org/0000-0002-1825-0097"
    assert entities[person] == {"@id": person, "@type": "Person", "name": "Josiah Carberry"}
    for one in (entities["./"], entities["Snakefile"]):
        assert ids(one["author"]) == [person]
    for action in (one for one in entities.values() if one["@type"] == "CreateAction"):
        assert ids(action["agent"]) == [person]


def test_the_same_run_gives_the_same_bytes_packed_or_not(
    name: str, made: Path, tmp_path: Path
) -> None:
    packed = [tmp_path / one for one in ("a.zip", "b.zip")]
    for out in packed:
        folder.publish(name, out, parser.STAGES, [folder.author(PERSON)])
    first, second = (path.read_bytes() for path in packed)
    assert first == second
    with zipfile.ZipFile(packed[0]) as archive:
        assert archive.testzip() is None
        held = {one: archive.read(one) for one in archive.namelist() if not one.endswith("/")}
    below = [path for path in made.rglob("*") if path.is_file()]
    assert held == {path.relative_to(made).as_posix(): path.read_bytes() for path in below}


# a run that is made up, for what the committed ones do not have


def run_of(stages: dict[str, Locked], files: dict[str, Version]) -> Run:
    return Run(
        experiment="made-up",
        title="Made up.",
        licence="MIT",
        date="2020-01-01T00:00:00+00:00",
        stages=stages,
        purposes={},
        files={crate.SNAKEFILE: Version("0" * 32, 1, None), **files},
        folders={},
        sources=[],
        packages={"a": {"numpy": "1"}, "b": {"numpy": "2"}},
        version="1",
        authors=[Author("李"), Author("王")],
    )


def test_two_versions_of_a_file_a_parameter_and_a_package_are_told_apart() -> None:
    old, new = Version("a" * 32, 1, None), Version("b" * 32, 2, None)
    stages = {
        "a": Locked({"x": old}, {}, {"config/made-up.yaml": {"seed": 1}}, "a"),
        "b": Locked({"x": new}, {}, {"config/made-up.yaml": {"seed": 2}}, "b"),
    }
    run = run_of(stages, {"x": new})
    graph = crate.document(run)["@graph"]
    found = {one["@id"]: one for one in graph}
    assert len(found) == len(graph)
    assert ids(found["#run/a"]["object"]) == [f"#{old.md5}/x", "#parameter/a/seed"]
    assert ids(found["#run/b"]["object"]) == ["x", "#parameter/b/seed"]
    assert [found[f"#parameter/{one}/seed"]["value"] for one in "ab"] == ["1", "2"]
    assert found["pkg:pypi/numpy@1"]["softwareVersion"] == "1"
    assert found["pkg:pypi/numpy@2"]["softwareVersion"] == "2"
    assert [found[one]["name"] for one in ids(found["./"]["author"])] == ["李", "王"]
    # a file of the crate alone decides what it holds
    assert crate.elsewhere(run) == [("x", old)]
    assert crate.elsewhere(replace(run, files=run.files | {"x": old})) == [("x", new)]


def test_identifiers_are_addresses_whatever_a_file_is_called() -> None:
    path = "data/splits/ein Bild #1 é%.csv"
    version = Version("a" * 32, 1, None)
    stages = {"a": Locked({path: version}, {}, {}, "a")}
    for files in ({path: version}, {}):
        for one in crate.document(run_of(stages, files))["@graph"]:
            assert re.fullmatch(r"#?[A-Za-z0-9._~:/@%#-]+", one["@id"])
            assert "#" not in one["@id"][1:] or one["@id"].startswith("https://")
    (found,) = (
        one for one in crate.document(run_of(stages, {}))["@graph"] if one.get("name") == path
    )
    assert found["@id"] == f"#{version.md5}/data/splits/ein%20Bild%20%231%20%C3%A9%25.csv"


# a small project of its own, for what needs other files or another git


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with what is committed of the experiment; it is the folder that commands run in."""
    place = tmp_path / "project"
    wanted = (*folder.PROJECT, "config", "data", f"results/{NAME}")
    names = git(ROOT, "ls-files", "-z", "--", *wanted).split("\0")
    for one in filter(None, names):
        (place / one).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / one, place / one)
    git(place, "init", "--quiet")
    git(place, "add", "--all", "--force")
    commit(place)
    monkeypatch.chdir(place)
    return place


def git(place: Path, *arguments: str) -> str:
    """Return what git says in a folder."""
    given = ["-c", "user.name=n", "-c", "user.email=n@example.org", *arguments]
    command = ["git", "-C", str(place), *given]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commit(place: Path) -> None:
    git(place, "commit", "--quiet", "--all", "--message", "m", "--date", "2020-01-01T00:00:00Z")


def relock(path: str, version: Version) -> None:
    """Write another version of an output into dvc.lock."""
    values = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
    for entry in values["stages"].values():
        for out in (one for one in entry.get("outs", []) if one["path"] == path):
            out |= {"md5": version.md5, "size": version.size, "nfiles": version.files}
    Path("dvc.lock").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def test_the_page_is_in_it_where_it_is_there(project: Path) -> None:
    page = project / f"results/{NAME}/report/index.html"
    page.parent.mkdir()
    page.write_text("<!doctype html>", encoding="utf-8")
    relock(f"results/{NAME}/report", version_of(page.parent))
    folder.publish(NAME, Path("crate"), parser.STAGES)
    found = read(project / "crate")
    assert (project / f"crate/results/{NAME}/report/index.html").read_text() == "<!doctype html>"
    assert f"results/{NAME}/report/" in ids(found["#run/report"]["result"])
    assert found[f"results/{NAME}/report/index.html"]["encodingFormat"] == "text/html"


def test_what_is_for_the_cache_and_what_git_does_not_hold_stays_out(project: Path) -> None:
    private, weights = (
        project / "src/msroi/private.env",
        f"results/{NAME}/model/weights.safetensors",
    )
    private.write_text("secret", encoding="utf-8")
    (project / weights).write_bytes(b"many")
    relock(weights, version_of(project / weights))
    folder.publish(NAME, Path("crate"), parser.STAGES)
    assert not (project / "crate/src/msroi/private.env").exists()
    assert not (project / "crate" / weights).exists()
    version = version_of(project / weights)
    assert f"#{version.md5}/{weights}" in ids(read(project / "crate")["#run/train"]["result"])


def test_without_an_author_those_of_the_citation_made_it(project: Path) -> None:
    folder.publish(NAME, Path("first"), parser.STAGES)
    (one,) = ids(read(project / "first")["./"]["author"])
    assert read(project / "first")[one] == {
        "@id": one,
        "@type": "Organization",
        "name": "The msroi authors",
    }
    citation = yaml.safe_load(folder.CITATION.read_text(encoding="utf-8"))
    person = {"given-names": "Josiah", "family-names": "Carberry"}
    citation["authors"] = [person | {"orcid": "https://orcid.org/0000-0002-1825-0097"}, person]
    folder.CITATION.write_text(yaml.safe_dump(citation), encoding="utf-8")
    folder.publish(NAME, Path("second"), parser.STAGES)
    found = read(project / "second")
    assert [found[one] for one in ids(found["./"]["author"])] == [
        {"@id": one, "@type": "Person", "name": "Josiah Carberry"}
        for one in ("https://orcid.org/0000-0002-1825-0097", "#author/Josiah%20Carberry")
    ]


def test_the_date_is_that_of_the_locks_commit(project: Path) -> None:
    folder.publish(NAME, Path("crate"), parser.STAGES)
    date = git(project, "log", "-1", "--format=%cI", "--", "dvc.lock").strip()
    assert read(project / "crate")["./"]["datePublished"] == date


def test_the_folder_is_below_build_if_none_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["publish", NAME]) == 0
    assert (project / "build" / NAME / crate.METADATA).is_file()
    assert [path.name for path in (project / "build").iterdir()] == [NAME]
    assert capsys.readouterr().out.startswith(f"build/{NAME}: ")


def test_what_has_changed_since_is_not_taken_for_what_a_stage_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ("data/sources.csv", "workflow/code/download.lock")
    for path in changed:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write("\n")
    assert main.main(["publish", NAME, "--out", "crate"]) == 0
    said, found = capsys.readouterr().out, read(project / "crate")
    read_then = recorded(NAME)["download"].deps
    for path in changed:
        assert found[path]["md5"] == version_of(project / path).md5 != read_then[path].md5
        assert path not in ids(found["#run/download"]["object"])
        assert f"#{read_then[path].md5}/{path}" in ids(found["#run/download"]["object"])
    assert "softwareRequirements" not in found["#msroi-stage/download"]
    assert said.endswith(" Stages without packages, as their code has changed: 1.\n")


def test_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "crate"
    assert main.main(["publish", NAME, "--out", str(out)]) == 0
    files = [path for path in out.rglob("*") if path.is_file() and path.name != crate.METADATA]
    absent = [
        one for one in read(out).values() if "Not in this crate" in one.get("description", "")
    ]
    assert capsys.readouterr().out.startswith(
        f"{out}: {len(files)} files of experiment {NAME}. Described by their hash, not copied: "
        f"{len(absent)} files and folders."
    )


EXAMPLE = "such as 'Josiah Carberry <0000-0002-1825-0097>'"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["paper", "--out", "DIR/new"],
            "dvc.lock has no stage of experiment 'paper'; run `snakemake`, which records what it "
            "made.",
        ),
        ([NAME, "--out", "DIR"], "DIR is there already; name one that is not, or remove it."),
        (
            [NAME, "--out", "DIR/new", "--author", "<0000>"],
            f"--author is a name, or a name and an ORCID, {EXAMPLE}; got '<0000>'.",
        ),
        (
            [NAME, "--out", "DIR/new", "--author", "Josiah Carberry <0000-0002-1825-0079>"],
            "--author has the ORCID 0000-0002-1825-0079, whose last character does not fit the "
            "others; copy it from the person's page at orcid.org.",
        ),
    ],
    ids=["nothing recorded", "a folder that is there", "no author", "a slip in an ORCID"],
)
def test_refused(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [one.replace("DIR", str(tmp_path)) for one in arguments]
    assert main.main(["publish", *given]) == 2
    assert capsys.readouterr().err == f"msroi: {expected}\n".replace("DIR", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def changed_result(project: Path) -> None:
    with (project / f"results/{NAME}/anova/anova.csv").open("a") as file:
        file.write("one more\n")


def one_more_figure(project: Path) -> None:
    (project / f"results/{NAME}/figures/more.png").write_bytes(b"")


def no_git(project: Path) -> None:
    shutil.rmtree(project / ".git")


def a_lock_of_today(project: Path) -> None:
    git(project, "rm", "--quiet", "--cached", "dvc.lock")
    shutil.rmtree(project / ".git")
    git(project, "init", "--quiet")
    git(project, "add", "Snakefile")
    commit(project)


NOT_RECORDED = (
    "is not the one that dvc.lock records; `msroi verify` says more. Run `dvc repro`, or take the "
    "recorded one back."
)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (changed_result, f"results/{NAME}/anova/anova.csv {NOT_RECORDED}"),
        (one_more_figure, f"results/{NAME}/figures {NOT_RECORDED}"),
        (no_git, "git does not know this folder; run `msroi publish` in a clone of the project."),
        (
            a_lock_of_today,
            "git does not know when dvc.lock was committed; commit it, so that the crate has a "
            "date.",
        ),
    ],
)
def test_a_project_that_is_not_as_recorded_is_refused_and_nothing_is_left(
    harm: Callable[[Path], None],
    expected: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    harm(project)
    for out in ("crate", "crate.zip"):
        assert main.main(["publish", NAME, "--out", out]) == 2
        assert capsys.readouterr().err == f"msroi: {expected}\n"
        assert not list(project.glob("*crate*"))


def test_a_full_disk_leaves_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "pack", full)
    assert main.main(["publish", NAME, "--out", "crate.zip"]) == 2
    assert not list(project.glob("*crate*"))
