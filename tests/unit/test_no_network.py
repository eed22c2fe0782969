"""Nothing but stage download reaches for a network, and not even that for local data."""

import socket
from pathlib import Path

import pytest
import yaml
from PIL import Image

from conftest import texture
from msroi.cli import main, parser
from msroi.experiment.layout import Layout

ROOT = Path(__file__).parents[2]
SETS = {"salient": ["one.png", "two.png"], "texture": ["three.png", "four.png"]}
KINDS = ("checks", "plain", "stripes", "checks")


@pytest.fixture
def attempts(monkeypatch):
    """Refuse every connection, and list those that were tried."""
    tried = []

    def refuse(*arguments, **_):
        tried.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "bind", "sendto", "sendmsg"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection", "create_server"):
        monkeypatch.setattr(socket, name, refuse)
    return tried


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A project with four small photographs in a local folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("workflow", "requirements", "dvc.yaml"):
        Path(name).symlink_to(ROOT / name)
    Path("data/local/photos").mkdir(parents=True)
    Path("data/published").symlink_to(ROOT / "data/published")
    names = [name for of_set in SETS.values() for name in of_set]
    for seed, (name, kind) in enumerate(zip(names, KINDS, strict=True)):
        Image.fromarray(texture(kind, 96, 128, seed)).save(Path("data/local/photos", name))
    sources = (ROOT / "data/sources.csv").read_text(encoding="utf-8")
    row = "photos,local,data/local/photos.zip,,,CC0-1.0,made by a test\n"
    Path("data/sources.csv").write_text(sources + row, encoding="utf-8")
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    values["download"]["datasets"] = ["photos"]
    values["prepare"] |= {"training_set": "photos", "input_px": 32, "crops_per_class": 4}
    values["prepare"] |= {"classes": {name[:-4]: [name] for name in names}, "validate_last": 1}
    values["prepare"]["test_sets"] = {
        name: {"dataset": "photos", "include": files, "split": "", "reduce": 1, "draw": 0}
        for name, files in SETS.items()
    }
    values["train"] |= {"epochs": 1, "batch_size": 4, "filters": 8}
    values["heatmap"] |= {"input_px": 32, "passes": 2}
    values["compress"] |= {"methods": ["jpeg", "msroi", "roi-trellis"], "match_qualities": [50]}
    values["rate_distortion"] |= {"qualities": [20, 40, 50, 70], "images": 1}
    values["conventions"] |= {"images": 2, "match_qualities": [50]}
    values["anova"]["match_qualities"] = [50]
    values["judges"]["match_qualities"] = [50]
    values["gaze"]["match_qualities"] = [50]
    values["audit"] |= {"papers": ["made-up-example"], "resamples": 100}
    values["report"]["images"] = 2
    Path("config").mkdir()
    Path("config/tiny.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    Path("params.yaml").write_text("experiments: [tiny]\n", encoding="utf-8")
    return Layout("tiny")


def run_stages(stages, capfd):
    for stage in stages:
        status = main.main(["stage", stage, "--experiment", "tiny"])
        assert (stage, status) == (stage, 0), capfd.readouterr().err


@pytest.mark.torture
def test_no_stage_reaches_for_a_network(tiny, attempts, quick_compiler, capfd):
    run_stages(parser.STAGES, capfd)
    assert attempts == []
    assert (tiny.report / "report.md").is_file()


def test_images_are_prepared_and_compressed_without_a_network(tiny, attempts, monkeypatch, capfd):
    monkeypatch.setattr("msroi.stages.download.convert", lambda *_: None)  # 60 MB of weights
    run_stages(["download", "prepare", "augment"], capfd)
    photo = "data/local/photos/one.png"
    assert main.main(["compress", photo, "--out", "out", "--method", "jpeg"]) == 0
    assert main.main(["metrics", photo, "out/one.jpg"]) == 0
    assert attempts == []


def test_the_refusal_works(attempts):
    with pytest.raises(OSError, match="no network in this test"):
        socket.create_connection(("127.0.0.1", 9))
    with socket.socket() as opened, pytest.raises(OSError, match="no network"):
        opened.connect(("127.0.0.1", 9))
    assert len(attempts) == 2
