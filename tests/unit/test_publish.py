"""What `msroi publish` writes: a crate that says of each file what it is and what made it."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msroi.cli import main
from msroi.publish import crate, folder
from msroi.verify import hashes

ROOT = Path(__file__).parents[2]
NAME = "osie"
PERSON = "Josiah Carberry <0000-0002-1825-0097>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crate of what is committed of an experiment; DVC alone holds some of its outputs."""
    out = tmp_path_factory.mktemp("published") / "crate"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert main.main(["publish", NAME, "--out", str(out), "--author", PERSON]) == 0
    return out


@pytest.fixture(scope="module")
def entities(made: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((made / crate.METADATA).read_text(encoding="utf-8"))
    graph = document["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    return by_id


@pytest.fixture(autouse=True)
def _in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


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


def test_every_file_is_described_by_its_hash_and_size(
    made: Path, entities: dict[str, dict[str, Any]]
) -> None:
    there = {p.relative_to(made).as_posix(): p.read_bytes() for p in made.rglob("*") if p.is_file()}
    there.pop(crate.METADATA)
    files = {name: one for name, one in entities.items() if "File" in one["@type"]}
    assert files.keys() == there.keys()
    for name, data in there.items():
        assert files[name]["contentSize"] == str(len(data))
        assert files[name]["md5"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert (ROOT / name).read_bytes() == data
    assert set(there) <= set(ids(entities["./"]["hasPart"]))


def test_every_stage_of_the_lock_is_an_action_with_what_it_read_and_wrote(
    entities: dict[str, dict[str, Any]],
) -> None:
    lock = hashes.read_lock()
    stages = [name.removesuffix(f"@{NAME}") for name in lock if name.endswith(f"@{NAME}")]
    actions = [one for one in entities.values() if one["@type"] == "CreateAction"]
    assert {one["@id"] for one in actions} == {"#run", *(f"#stage-{name}" for name in stages)}
    for stage in stages:
        locked, action = lock[f"{stage}@{NAME}"], entities[f"#stage-{stage}"]
        for key, recorded in (("object", locked.deps), ("result", locked.outs)):
            named = {entities[one]["name"]: entities[one] for one in ids(action[key])}
            assert recorded.keys() <= named.keys()
            for path, version in recorded.items():
                today = path.startswith(
                    ("workflow/", "data/published", "data/sources", "data/splits")
                )
                assert named[path]["md5"] == version.md5 or today
        program = entities[action["instrument"]["@id"]]
        assert program["name"] == f"msroi stage {stage}"


def test_parameters_stand_by_their_path(entities: dict[str, dict[str, Any]]) -> None:
    found = entities["#parameter-compress.trellis.saliency_share"]
    assert (found["@type"], found["value"]) == ("PropertyValue", "0.3")
    assert found["@id"] in ids(entities["#stage-compress"]["object"])
    assert found["@id"] not in ids(entities["#stage-download"]["object"])
    assert entities["#parameter-judges.match_qualities"]["value"] == "30, 50, 70, 85"


def test_nothing_refers_to_what_is_not_there(entities: dict[str, dict[str, Any]]) -> None:
    named = {
        one for entity in entities.values() for one in references(entity) if one != entity["@id"]
    }
    assert {one for one in named - entities.keys() if not one.startswith("https://")} == set()


def test_what_only_the_cache_has_is_described_and_not_a_part(
    made: Path, entities: dict[str, dict[str, Any]]
) -> None:
    images = entities[f"#file-results-{NAME}-jpeg-images"]
    assert (
        images["md5"]
        == hashes.read_lock()[f"compress@{NAME}"].outs[f"results/{NAME}/jpeg/images"].md5
    )
    assert re.fullmatch(
        r"Not in this crate; \d+ files, \d+ bytes, by dvc\.lock\.", images["description"]
    )
    assert images["@id"] not in ids(entities["./"]["hasPart"])


def test_who_made_it_and_with_what(entities: dict[str, dict[str, Any]]) -> None:
    person = "https://orcid.org/0000-0002-1825-0097"
    assert entities[person] == {"@id": person, "@type": "Person", "name": "Josiah Carberry"}
    for action in (one for one in entities.values() if one["@type"] == "CreateAction"):
        assert ids(action["agent"]) == [person]
    locked = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8")
    packages = [one for name, one in entities.items() if name.startswith("#package-")]
    assert len(packages) > 10
    for one in packages:
        assert f"{one['name']}=={one['softwareVersion']}" in locked


def test_without_an_author_it_is_the_projects(tmp_path: Path) -> None:
    assert main.main(["publish", NAME, "--out", str(tmp_path / "crate")]) == 0
    graph = json.loads((tmp_path / "crate" / crate.METADATA).read_text())["@graph"]
    (found,) = (one for one in graph if one["@type"] == "Organization")
    assert found["name"] == "The msroi authors"


def test_the_same_run_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    folder.publish(NAME, tmp_path / "again", main.parser.STAGES, [folder.author(PERSON)])
    assert (tmp_path / "again" / crate.METADATA).read_bytes() == (
        made / crate.METADATA
    ).read_bytes()


def test_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "crate"
    assert main.main(["publish", NAME, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    rest = f" files of experiment {NAME}; N outputs that are not here are described by their hash."
    assert re.sub(r"\b\d+ ", "N ", said) == f"{out}: N{rest}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["paper", "--out", "DIR/new"],
            "dvc.lock has no stage of experiment 'paper'; run `snakemake`, which records what it "
            "made.",
        ),
        ([NAME, "--out", "DIR"], "DIR is there already; name a folder that is not, or remove it."),
        (
            [NAME, "--out", "DIR/new", "--author", "<0000>"],
            "--author is a name, or a name and an ORCID, such as "
            "'Josiah Carberry <0000-0002-1825-0097>'; got '<0000>'.",
        ),
    ],
    ids=["nothing recorded", "a folder that is there", "no author"],
)
def test_refused(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [one.replace("DIR", str(tmp_path)) for one in arguments]
    assert main.main(["publish", *given]) == 2
    assert capsys.readouterr().err == f"msroi: {expected}\n".replace("DIR", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_the_recorded_one_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("results", "config", "workflow", "data", "requirements", "src", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    for path in ROOT.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    lock = (tmp_path / "dvc.lock").read_text(encoding="utf-8")
    md5 = hashes.read_lock()[f"anova@{NAME}"].outs[f"results/{NAME}/anova/anova.csv"].md5
    (tmp_path / "dvc.lock").write_text(lock.replace(md5, "0123456789abcdef" * 2), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main.main(["publish", NAME, "--out", "crate"]) == 2
    assert capsys.readouterr().err == (
        f"msroi: results/{NAME}/anova/anova.csv is not the one that dvc.lock records; "
        "`msroi verify` says more. Run `dvc repro`, or take the recorded one back.\n"
    )
    assert not list(tmp_path.glob("*crate*"))
