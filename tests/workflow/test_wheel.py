"""What `pip install` gives a newcomer: a program that works in any folder, and typed modules."""

import configparser
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy, as building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "--wheel-dir", folder, folder], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_what_modules_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read(entry_points).decode())
    package = ROOT / "src/msroi"
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    modules = {path for path in files if path.suffix == ".py"}
    data = {"photos/data/weights.safetensors", "photos/data/parameters.yaml", "py.typed"}
    templates = {f"report/templates/page.{kind}" for kind in ("html", "css", "js")}
    assert {*(package / name for name in data | templates)} <= {*files} - modules
    assert {name for name in names if name.startswith("msroi/")} == {
        path.relative_to(package.parent).as_posix() for path in files
    }
    assert dict(scripts["console_scripts"]) == {"msroi": "msroi.cli.main:program"}


@pytest.mark.slow
def test_a_newcomer_compresses_a_photo(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, with the packages that are installed here."""
    environment, folder, home = tmp_path / "venv", tmp_path / "photos", tmp_path / "home"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin/python", "install")
    subprocess.run([*pip, "--quiet", "--no-deps", wheel], check=True)
    (packages,) = environment.glob("lib/*/site-packages")
    here = sysconfig.get_paths()["purelib"]
    (packages / "here.pth").write_text(f"{here}\n", encoding="utf-8")
    folder.mkdir()
    home.mkdir()
    photo = folder / "photo.jpg"
    Image.fromarray(skimage.data.chelsea()).save(photo, quality=95)

    def msroi(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "bin/msroi", *map(str, arguments)],
            cwd=folder,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert msroi("--version").stdout == "msroi 0.1.0\n"
    done = msroi("compress", "photo.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    result = folder / "photo.msroi.jpg"
    size = result.stat().st_size
    assert done.stdout.startswith(
        f"photo.jpg: photo.msroi.jpg, {size:,} bytes, "
        f"{100 - 100 * size / photo.stat().st_size:.1f} % saved; as good as a plain JPEG of "
    )
    with Image.open(result) as image:
        assert image.size == (451, 300)
    again = msroi("compress", "photo.jpg")
    assert again.returncode == 2
    assert again.stderr == (
        "msroi: photo.msroi.jpg is there already; add --force to overwrite it, or choose "
        "another folder with --out DIR.\n"
    )
    typed = (
        "import msroi, pathlib; assert pathlib.Path(msroi.__file__).with_name('py.typed').is_file()"
    )
    subprocess.run([environment / "bin/python", "-c", typed], cwd=folder, check=True)
