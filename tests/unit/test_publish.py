"""A page to hand out says what the page that is tracked must not: when, how long, which commit."""

import json
import subprocess

import pytest
from made_page import one_photograph

from msroi.cli import main
from msroi.errors import MissingError
from msroi.experiment.layout import Layout
from msroi.report import page, publish

LAYOUT = Layout("mine")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(stage, seconds, chunk=publish.WHOLE, started="2026-01-01T00:00:00+00:00"):
    return {"stage": stage, "chunk": chunk, "started": started, "seconds": seconds}


def test_only_the_last_run_of_a_stage_counts():
    runs = [run("train", 5.0), run("train", 7.0, started="2026-01-02T00:00:00+00:00")]
    assert publish.last_runs(runs) == {"train": ("2026-01-02T00:00:00+00:00", 7.0)}


def test_chunks_of_the_last_number_are_added_up_with_what_gathered_them():
    runs = [
        run("compress", 100.0),
        run("compress", 3.0, "1-of-2", "2026-01-03T00:00:00+00:00"),
        run("compress", 4.0, "2-of-2", "2026-01-03T00:00:01+00:00"),
        run("compress", 5.0, "2-of-2", "2026-01-03T00:00:02+00:00"),
        run("compress", 1.0, "gather-of-2", "2026-01-03T00:00:09+00:00"),
    ]
    assert publish.last_runs(runs) == {"compress": ("2026-01-03T00:00:00+00:00", 9.0)}


def test_a_run_is_noted_unless_it_fails():
    with publish.noted(LAYOUT, "anova"):
        pass
    with pytest.raises(ValueError, match="broken"), publish.noted(LAYOUT, "report"):
        raise ValueError("broken")
    (line,) = LAYOUT.durations.read_text(encoding="utf-8").splitlines()
    noted = json.loads(line)
    assert (noted["stage"], noted["chunk"]) == ("anova", "1-of-1")
    assert 0 <= noted["seconds"] < 60


def test_the_copy_has_commit_lock_and_durations_and_the_page_stays_as_it_was(tmp_path, capsys):
    subprocess.run(["git", "init", "--quiet"], check=True)
    name = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *name, "commit", "--quiet", "--allow-empty", "-m", "one"], check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
    html = page.render(one_photograph())
    tracked = LAYOUT.report / "index.html"
    tracked.parent.mkdir(parents=True)
    tracked.write_text(html, encoding="utf-8")
    with publish.noted(LAYOUT, "<b>anova"):
        pass
    assert main.main(["publish", "--experiment", "mine", "--out", "handed/out.html"]) == 0
    assert capsys.readouterr().out == "handed/out.html\n"
    copy = (tmp_path / "handed" / "out.html").read_text(encoding="utf-8")
    assert f"{commit.stdout.strip()} with changes that are not committed" in copy
    assert f"sha256 {publish.file_hash(tmp_path / 'dvc.lock')}" in copy
    assert "&lt;b&gt;anova" in copy
    assert tracked.read_text(encoding="utf-8") == html
    start = html.index(page.RUN)
    assert copy.startswith(html[:start])
    assert copy.endswith(html[start + len(page.RUN) :])


def test_where_there_is_no_repository_the_copy_says_so():
    assert publish.origin().rows == [["commit", "not in a git repository"]]


def test_a_page_of_an_older_version_is_refused():
    (LAYOUT.report).mkdir(parents=True)
    (LAYOUT.report / "index.html").write_text("<html>", encoding="utf-8")
    sentence = (
        "^results/mine/report/index.html has no place for the run; make it anew with `snakemake`.$"
    )
    with pytest.raises(MissingError, match=sentence):
        publish.publish(LAYOUT, LAYOUT.results / "out.html")
