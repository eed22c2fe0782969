"""The program as a user meets it: help, results on stdout, mistakes in one sentence."""

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from stand_in import carry

from msroi import __version__
from msroi.cli import main, parser
from msroi.encoders import methods
from msroi.photos import packaged

STAGES = [*parser.STAGES, *parser.AGREEMENT, parser.LOCKS]
COMMANDS = [*parser.PURPOSES, *(f"stage {name}" for name in STAGES)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo():
    """Two photos in the working folder, one with a name that needs care."""
    first, second = Path("photo.png"), Path("Żółw {1} 写真 %s.bmp")
    Image.fromarray(skimage.data.chelsea()[:90, :123]).save(first)
    Image.fromarray(skimage.data.coffee()[:64, :80]).save(second)
    return first, second


def pillow(path, quality):
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "JPEG", quality=quality, dpi=image.info.get("dpi", (0, 0)))
    return buffer.getvalue()


def run(capsys, *arguments):
    """Run the program in this process; return its status, stdout and stderr."""
    try:
        status = main.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def refused(capsys, *arguments):
    """Run the program, insist on one line on stderr and status 2, and return it."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err.removesuffix("\n")


# help


def test_help_of_the_program(capsys):
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    assert out.endswith("Example: msroi compress photo.jpg\n")
    assert re.findall(r"^    (\w+)(?:\s|$)", out, re.MULTILINE) == list(parser.PURPOSES)


def test_help_of_stage_names_every_stage(capsys):
    _, out, _ = run(capsys, "stage", "--help")
    assert re.findall(r"^    (\w+)(?:\s|$)", out, re.MULTILINE) == STAGES


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_an_example(capsys, command):
    status, out, err = run(capsys, *command.split(), "--help")
    assert (status, err) == (0, "")
    assert f"Example: msroi {command}" in out


@pytest.mark.parametrize("stage", [*parser.STAGES, *parser.AGREEMENT])
def test_a_stage_takes_an_experiment(capsys, stage):
    assert refused(capsys, "stage", stage) == (
        f"msroi stage {stage}: the following arguments are required: --experiment; "
        f"see `msroi stage {stage} --help`."
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(capsys, *command.split(), "--help")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("example", parser.EXAMPLES.values())
def test_examples_are_valid(example):
    parser.build_parser().parse_args(example.split()[1:])


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"msroi {__version__}\n", "")


def test_help_names_every_method(capsys):
    assert sorted(parser.METHODS) == sorted(methods.METHODS)
    _, out, _ = run(capsys, "compress", "--help")
    text = " ".join(out.split())
    assert all(f" {name} {one.description}" in text for name, one in methods.METHODS.items())
    assert "(default: roi-trellis)" in text


def test_help_imports_nothing_heavy():
    heavy = "jax flax numpy scipy matplotlib pandas PIL skimage statsmodels safetensors yaml shtab"
    code = f"import sys, msroi.cli.main; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("method", ["jpeg", "mozjpeg"])
def test_methods_without_a_map_import_no_jax(photo, method):
    code = (
        "import sys; from msroi.cli import main; "
        f"main.main(['compress', 'photo.png', '--out', 'out', '--method', '{method}']); "
        "print([m for m in ('jax', 'flax', 'msroi.stages.heatmap') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["[]"]


# results


def test_metrics_print_one_json_object(capsys, photo):
    Path("photo.jpg").write_bytes(pillow(photo[0], 40))
    status, out, err = run(capsys, "metrics", photo[0], "photo.jpg", "--json")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    result = json.loads(out)
    assert result["distorted"] == "photo.jpg"
    assert 25 < result["psnr_rgb_db"] < 45
    assert 0.5 < result["ssim_luma"] < 1

    status, out, err = run(capsys, "metrics", photo[0], "photo.jpg")
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    six_digits = {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in result.items()}
    assert lines == six_digits


def test_metrics_of_equal_images_are_valid_json(capsys, photo):
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    _, out, _ = run(capsys, "metrics", photo[0], photo[0], "--json")
    assert json.loads(out, parse_constant=no_constant)["psnr_rgb_db"] is None
    _, out, _ = run(capsys, "metrics", photo[0], photo[0])
    assert re.search(r"^psnr_rgb_db +inf$", out, re.MULTILINE)


def test_compress_to_jpeg(capsys, photo):
    arguments = ("--out", "a b/ö", "--method", "jpeg", "--match-quality", "50")
    status, out, err = run(capsys, "compress", *photo, *arguments, "--json")
    assert (status, err) == (0, "")  # no progress bar where stderr is no terminal
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["image"] for row in rows] == [str(path) for path in photo]
    for path, row in zip(photo, rows, strict=True):
        assert Path(row["output"]) == Path("a b/ö") / f"{path.stem}.jpg"
        assert Path(row["output"]).read_bytes() == pillow(path, 50)
        assert row["q_final"] == 50

    status, out, err = run(capsys, "compress", photo[1], *arguments, "--force")
    size, original = len(pillow(photo[1], 50)), photo[1].stat().st_size
    share = f"{100 - 100 * size / original:.1f} % saved"
    assert out == f"{photo[1]}: a b/ö/{photo[1].stem}.jpg, {size:,} bytes, {share}\n"
    assert (status, err) == (0, "")


def test_compress_is_as_good_as_quality_85_unless_told(capsys, photo):
    common = ("compress", photo[0], "--out", "out", "--method", "jpeg", "--force")
    levels = {"low": 50, "medium": 70, "high": 85, "60": 60}
    told = [((), 85), *((("--quality", name), of) for name, of in levels.items())]
    for options, of in told:
        _, out, _ = run(capsys, *common, *options)
        data = Path("out/photo.jpg").read_bytes()
        assert data == pillow(photo[0], of)
        assert f"; as good as a plain JPEG of {len(data):,} bytes (SSIMULACRA 2 " in out


def test_compress_to_the_encoders_own_quality(capsys, photo):
    arguments = ("--out", "out", "--method", "jpeg", "--encoder-quality", "62")
    status, out, err = run(capsys, "compress", photo[0], *arguments)
    assert (status, err) == (0, "")
    assert Path("out/photo.jpg").read_bytes() == pillow(photo[0], 62)
    assert re.fullmatch(r"photo\.png: out/photo\.jpg, [\d,]+ bytes, \d+\.\d % saved\n", out)


def test_compress_to_at_most_so_many_bytes(capsys, photo):
    common = ("compress", photo[0], "--out", "out", "--method=jpeg", "--force", "--target-bytes")
    for target in (1500, 3000, 3001):
        status, out, _ = run(capsys, *common, target)
        assert status == 0
        size = Path("out/photo.jpg").stat().st_size
        assert 0.9 * target < size <= target
        assert f" {size:,} bytes, " in out
    smallest = len(pillow(photo[0], 1))
    before = Path("out/photo.jpg").read_bytes()
    assert refused(capsys, *common, 300) == (
        "msroi: photo.png can't be made as small as 300 bytes: "
        f"the lowest quality needs {smallest}."
    )
    assert Path("out/photo.jpg").read_bytes() == before


def test_compress_to_a_psnr_or_an_ssim(capsys, photo):
    common = ("compress", photo[0], "--out", "out", "--method", "mozjpeg", "--force")
    for option, name, least in (
        ("--target-psnr", "psnr_rgb_db", 32.5),
        ("--target-ssim", "ssim_luma", 0.9),
    ):
        status, out, err = run(capsys, *common, option, least, "--json")
        assert (status, err) == (0, "")
        result = json.loads(out)
        assert least <= result[name] < 1.01 * least
        assert (result["target_bytes"], result["size_error_pct"]) == (None, None)
        _, out, _ = run(capsys, "metrics", photo[0], "out/photo.jpg", "--json")
        assert json.loads(out)[name] == pytest.approx(result[name], abs=1e-5)

    _, out, _ = run(capsys, *common, "--target-psnr", 32.5)
    size = rf"{Path('out/photo.jpg').stat().st_size:,} bytes, \d+\.\d % saved"
    assert re.fullmatch(rf"photo\.png: out/photo\.jpg, {size}; PSNR 32\.[56]\d dB\n", out)
    _, out, _ = run(capsys, *common, "--target-ssim", ".9")
    assert re.search(r" % saved; SSIM 0\.9\d{3}\n$", out)
    _, out, _ = run(capsys, *common, "--target-ssimulacra2", "70")
    assert re.search(r" % saved; SSIMULACRA 2 70\.\d\n$", out)

    before = Path("out/photo.jpg").read_bytes()
    sentence = refused(capsys, *common, "--target-psnr", 100)
    assert sentence.startswith(
        "msroi: photo.png can't be made to reach a PSNR of 100.00 dB: the highest quality gives "
        "a PSNR of "
    )
    assert Path("out/photo.jpg").read_bytes() == before


def test_compress_a_folder(capsys, photo, folder):
    arguments = ("--out", "out", "--method", "jpeg", "--json")
    status, out, err = run(capsys, "compress", ".", *arguments)
    assert status == 0
    assert [json.loads(line)["image"] for line in out.splitlines()] == [
        "photo.png",
        "Żółw {1} 写真 %s.bmp",
    ]
    assert err == ""


def test_a_photo_that_fails_does_not_stop_the_others(capsys, photo):
    Path("broken.png").write_bytes(photo[0].read_bytes()[:900])
    Path("empty.jpg").touch()
    status, out, err = run(capsys, "compress", ".", "--out", "out", "--method", "jpeg", "--json")
    assert status == 2
    assert [json.loads(line)["image"] for line in out.splitlines()] == [str(p) for p in photo]
    said = [line for line in re.split(r"[\r\n]+", err) if line.startswith("msroi: ")]
    assert len(said) == 3
    assert said[0].startswith("msroi: broken.png can't be read as an image: ")
    assert said[1].startswith("msroi: empty.jpg can't be read as an image: ")
    assert said[2] == "msroi: 2 of 4 photos could not be compressed; the others are done."


@pytest.fixture
def model(project, folder, quick_compiler, monkeypatch):
    """A tiny project with a model of random weights, which the package carries, too."""
    made = project(side=64)
    made.write_model()
    carry(made, folder / "carried", monkeypatch)
    return folder


@pytest.mark.numerics
def test_own_photos_with_a_model(capsys, photo, model, monkeypatch):
    paths = [model / path for path in photo]
    status, out, err = run(capsys, "heatmap", *paths, "--out", "maps", "--json")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["image"] for row in rows] == [str(path) for path in paths]
    assert all(Path(row[kind]).is_file() for row in rows for kind in ("saliency", "overlay"))
    assert err == ""

    # the model is that of the experiment named, or the one that the package carries
    arguments = ("compress", paths[0], "--out", "small", "--match-quality", 70)
    status, out, err = run(capsys, *arguments, "--experiment", "tiny")
    assert (status, err) == (0, "")
    assert out.startswith(f"{paths[0]}: small/photo.jpg, ")
    first = Path("small/photo.jpg").read_bytes()
    assert first[:2] == b"\xff\xd8"
    Path("small/photo.jpg").unlink()
    (model / "empty").mkdir()
    monkeypatch.chdir(model / "empty")
    status, out, err = run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["method"] == "roi-trellis"
    assert Path("small/photo.jpg").read_bytes() == first


# a stage


@pytest.mark.parametrize("stage", parser.STAGES)
def test_a_stage_runs_with_the_experiment(capsys, monkeypatch, project, stage):
    made = project()
    seen = []

    class Module:
        @staticmethod
        def run(experiment, layout, *options):
            seen.append((experiment, layout))

    monkeypatch.setattr(main, "import_module", {f"msroi.stages.{stage}": Module}.__getitem__)
    assert run(capsys, "stage", stage, "--experiment", "tiny") == (0, "", "")
    assert seen == [(made.experiment, made.layout)]


def test_a_stage_whose_code_has_changed_does_not_run(capsys, project):
    project()
    Path("workflow/code").unlink()
    Path("workflow/code").mkdir()
    _, out, _ = run(capsys, "stage", "locks")
    assert [line.partition(" becomes due: ")[0] for line in out.splitlines()] == [*parser.STAGES]
    lock = Path("workflow/code/anova.lock")
    text = lock.read_text(encoding="utf-8")
    lock.write_text(text.replace("stages/anova.py  ", "stages/anova.py  0"), encoding="utf-8")
    sentence = (
        "msroi: workflow/code/anova.lock is not current, since the code has changed "
        "(src/msroi/stages/anova.py); write it with `msroi stage locks`, which makes stage anova "
        "due."
    )
    assert refused(capsys, "stage", "anova", "--experiment", "tiny") == sentence
    assert refused(capsys, "stage", "locks", "--check") == sentence
    said = "anova becomes due: src/msroi/stages/anova.py\n"
    assert run(capsys, "stage", "locks") == (0, said, "")
    assert lock.read_text(encoding="utf-8") == text
    assert run(capsys, "stage", "locks", "--check") == (0, "", "")
    assert run(capsys, "stage", "locks") == (0, "", "")


def test_a_part_of_a_stage_needs_a_folder(capsys, project):
    project()
    for chunk in ("1-of-2", ""):
        assert refused(capsys, "stage", "metrics", "--experiment", "tiny", "--chunk", chunk) == (
            "msroi: --chunk needs a folder for its files: add --into DIR."
        )


def test_interrupt(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(main.COMMANDS, "stage", interrupt)
    assert run(capsys, "stage", "train", "--experiment", "demo") == (130, "", "msroi: stopped.\n")


# mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "compress photo.png --out out --match-quality 101",
            "msroi compress: argument --match-quality: a quality is a whole number from 1 to 100, "
            "got '101'; see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --target-bytes 0",
            "msroi compress: argument --target-bytes: a size is a whole number of bytes, "
            "at least 1, got '0'; see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --match-quality 50 --target-bytes 900",
            "msroi compress: argument --target-bytes: not allowed with argument --match-quality; "
            "see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --quality best",
            "msroi compress: argument --quality: a level is low, medium, high, visually-lossless "
            "or a number from 1 to 100, got 'best'; see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --quality low --encoder-quality 80",
            "msroi compress: argument --encoder-quality: not allowed with argument --quality; "
            "see `msroi compress --help`.",
        ),
        (
            "compress photo.png --jobs 0",
            "msroi compress: argument --jobs: jobs are a whole number from 1 to 256, got '0'; "
            "see `msroi compress --help`.",
        ),
        (
            "compress no*.png --method jpeg",
            "msroi: no*.png fits no image; check the pattern.",
        ),
        (
            "compress sub/photo.jpg there/photo.jpg --out out",
            "msroi: sub/photo.jpg and there/photo.jpg would both be written to out/photo.jpg; "
            "add --keep-folders, or rename one.",
        ),
        (
            "compress sub/photo.jpg --keep-folders",
            "msroi: --keep-folders needs a folder to keep them in: add --out DIR.",
        ),
        (
            "compress sub/old.msroi.jpg",
            "msroi: sub/old.msroi.jpg is itself a result of msroi compress, by its name; name "
            "the photo that it was made of.",
        ),
        (
            "compress sub/old.jpg sub/photo.jpg",
            "msroi: sub/old.msroi.jpg is there already; add --force to overwrite it, or choose "
            "another folder with --out DIR.",
        ),
        (
            "compress sub/old.jpg photo.png --out there",
            "msroi: there/old.jpg and 1 more of the results are there already; add --force to "
            "overwrite them, or choose another folder with --out DIR.",
        ),
        (
            "heatmap photo.png",
            "msroi heatmap: the following arguments are required: --out; "
            "see `msroi heatmap --help`.",
        ),
        (
            "compress no.png --out out --method jpeg",
            "msroi: no.png is not there; check its name.",
        ),
        (
            "compress photo.png --out out --target-psnr 101",
            "msroi compress: argument --target-psnr: a PSNR is a number of dB from 0 to 100, "
            "got '101'; see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --target-ssim 1.01",
            "msroi compress: argument --target-ssim: an SSIM is a number from 0 to 1, "
            "got '1.01'; see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out out --target-ssim 0.9 --target-psnr 40",
            "msroi compress: argument --target-psnr: not allowed with argument --target-ssim; "
            "see `msroi compress --help`.",
        ),
        (
            "compress empty --out out --method jpeg",
            "msroi: empty is a folder without images; name a folder that has some directly in it.",
        ),
        (
            "metrics empty photo.png",
            "msroi: empty is a folder, not an image file; name an image in it.",
        ),
        (
            "metrics photo.png no.png",
            "msroi: no.png is not there; check its name.",
        ),
        (
            "metrics photo.png",
            "msroi metrics: the following arguments are required: DISTORTED; "
            "see `msroi metrics --help`.",
        ),
        (
            "compress sub/photo.jpg --out sub --method jpeg",
            "msroi: sub/photo.jpg, a result for sub/photo.jpg, would overwrite one of the images; "
            "choose another --out folder.",
        ),
        (
            "compress --out out --experiment demo",
            "msroi compress: the following arguments are required: IMAGE; "
            "see `msroi compress --help`.",
        ),
        (
            "compress",
            "msroi compress: the following arguments are required: IMAGE; "
            "see `msroi compress --help`.",
        ),
        (
            "compress photo.png --out photo.png --method jpeg",
            "msroi: --out photo.png: photo.png is a file; name a folder.",
        ),
        (
            "compress photo.png --out out --experiment demo",
            "msroi: There is no workflow/schemas/experiment.schema.yaml here; run msroi in the "
            "folder of the project that has the experiment, or leave out --experiment for the "
            "model that comes with msroi.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(capsys, photo, arguments, sentence):
    Path("sub").mkdir()
    Path("empty").mkdir()
    Path("there").mkdir()
    files = ("sub/photo.jpg", "sub/old.jpg", "sub/old.msroi.jpg", "there/old.jpg")
    for name in (*files, "there/photo.jpg"):
        Path(name).write_bytes(pillow(photo[0], 90))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert refused(capsys, *arguments.split()) == sentence
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("value", ["0", "-1", "5.5", "", "many", "٣", "²", "1" * 5000])
@pytest.mark.parametrize("option", ["--match-quality", "--target-bytes"])
def test_numbers_are_whole(capsys, photo, option, value):
    sentence = refused(capsys, "compress", photo[0], "--out", "out", f"{option}={value}")
    assert f"argument {option}" in sentence


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e1", "", ".", "many", "٣", "9" * 5000])
@pytest.mark.parametrize(
    "option",
    ["--target-psnr", "--target-ssim", "--target-ssimulacra2", "--quality", "--encoder-quality"],
)
def test_decimal_numbers(capsys, photo, option, value):
    sentence = refused(capsys, "compress", photo[0], "--out", "out", f"{option}={value}")
    assert f"argument {option}" in sentence


@pytest.mark.parametrize(
    "arguments",
    [
        "stage train --experiment nosuch",
        "stage heatmap --experiment nosuch",
        "heatmap photo.png --out out --experiment nosuch",
        "compress photo.png --out out --experiment nosuch",
    ],
)
def test_unknown_experiment(capsys, project, photo, arguments):
    project()
    assert refused(capsys, *arguments.split()) == (
        "msroi: There is no config/nosuch.yaml; config/ has: tiny."
    )


def test_empty_experiment(capsys, project):
    project()
    for stage in ("train", "heatmap"):
        assert "There is no config/.yaml; config/ has: tiny." in refused(
            capsys, "stage", stage, "--experiment", ""
        )


@pytest.mark.parametrize("command", ["heatmap", "compress"])
def test_no_model_yet(capsys, project, photo, folder, command):
    project()
    arguments = (command, folder / photo[0], "--out", "out", "--experiment", "tiny")
    assert refused(capsys, *arguments) == (
        "msroi: results/tiny/readout/weights.safetensors is missing; "
        "run `snakemake` (or `dvc repro`) to make it."
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("heatmap", "weights.safetensors"),
        ("compress", "parameters.yaml"),
        ("compress --method jpeg", "parameters.yaml"),
    ],
)
def test_no_packaged_model(capsys, photo, folder, monkeypatch, arguments, part):
    monkeypatch.setattr(packaged, "FOLDER", folder)
    sentence = refused(capsys, *arguments.split(), photo[0], "--out", "out")
    assert sentence == (
        f"msroi: {folder / part}, a part of the package msroi, is missing; install the package "
        "again, or name an experiment of your own with --experiment."
    )


def test_unknown_shell(capsys):
    assert "argument SHELL: invalid choice: 'tcsh'" in refused(capsys, "completion", "tcsh")


def test_unknown_command(capsys):
    assert "argument NAME: invalid choice: 'trian'" in refused(capsys, "stage", "trian")
    assert refused(capsys, "stage") == (
        "msroi stage: the following arguments are required: NAME; see `msroi stage --help`."
    )
    assert "invalid choice: 'compres'" in refused(capsys, "compres")
    assert refused(capsys) == (
        "msroi: the following arguments are required: COMMAND; see `msroi --help`."
    )


def test_a_defect_is_not_hidden(monkeypatch):
    def broken(*_):
        raise ValueError("a defect")

    monkeypatch.setitem(main.COMMANDS, "stage", broken)
    with pytest.raises(ValueError, match="a defect"):
        main.main(["stage", "train", "--experiment", "demo"])


# as a process of its own


def program(*arguments, **options):
    command = [sys.executable, "-m", "msroi", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_process(photo):
    arguments = ("compress", *photo, "--out", "out", "--method", "jpeg", "--json")
    done = program(*arguments)
    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert "Traceback" not in done.stderr
    failed = program("metrics", photo[0], "no.png")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "msroi: no.png is not there; check its name.\n"


def test_progress_where_stderr_is_a_terminal(photo):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    arguments = ("compress", *photo, "--out", "out", "--method", "jpeg")
    command = [sys.executable, "-m", "msroi", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)  # so that reading ends when the program does
        said = ""
        with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:
            while piece := terminal.read(10_000):
                said += piece.decode(errors="replace")
        assert running.stdout is not None
        lines = running.stdout.read().decode().splitlines()
    assert running.returncode == 0
    assert re.search(r"compress: 100%.* 2/2 ", said)
    assert [line.partition(": ")[0] for line in lines] == [*map(str, photo), "2 photos"]


def test_a_closed_pipe_is_no_defect(photo):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "msroi", "metrics", str(photo[0]), str(photo[0])]
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")


# what stdout and stderr can't take ends nothing


def streamed(*photos, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **variables):
    command = [sys.executable, "-m", "msroi", "compress", *map(str, photos), "--out", "out"]
    return subprocess.run(
        [*command, "--method", "jpeg"],
        stdout=stdout,
        stderr=stderr,
        env=os.environ | variables,
        check=False,
    )


def test_a_name_that_stdout_has_no_character_for(photo):
    done = streamed(*photo, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert rb"\u017b\xf3\u0142w {1} \u5199\u771f %s.bmp: out/" in done.stdout
    assert len(list(Path("out").iterdir())) == 2


def test_a_full_stdout(photo):
    with Path("/dev/full").open("w") as full:
        done = streamed(*photo, stdout=full)
    sentence = b"msroi: stdout can't be written (No space left on device).\n"
    assert (done.returncode, done.stderr) == (1, sentence)
    assert len(list(Path("out").iterdir())) == 2


def test_a_reader_that_has_seen_enough(photo):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = streamed(*photo, stdout=stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert len(list(Path("out").iterdir())) == 2


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stdout_or_stderr(photo, closed):
    Path("broken.png").write_bytes(photo[0].read_bytes()[:900])
    shell = f'exec "$@" {closed}>&-'
    command = [sys.executable, "-m", "msroi", "compress", "broken.png", *map(str, photo)]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *command, "--out", "out", "--method", "jpeg"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(list(Path("out").iterdir())) == 2
    said = {"1": (0, 2), "2": (3, 0)}[closed]
    assert (done.stdout.count(b"\n"), done.stderr.count(b"\n")) == said


def test_a_full_stderr(photo):
    Path("broken.png").write_bytes(photo[0].read_bytes()[:900])
    with Path("/dev/full").open("w") as full:
        done = streamed("broken.png", *photo, stderr=full)
    assert (done.returncode, done.stdout.count(b"\n")) == (2, 3)
    assert len(list(Path("out").iterdir())) == 2
