"""One photograph's page: the same files and numbers as the methods and measures give."""

from pathlib import Path

import numpy as np
import pytest
from made_page import one_photograph
from PIL import Image
from skimage import data

from msroi.cli import main
from msroi.encoders import jpeg
from msroi.experiment import params
from msroi.photos import compressor
from msroi.photos.explain import explained
from msroi.stages import metrics

pytestmark = pytest.mark.numerics

IMAGE = data.chelsea()[:120, 100:260]
SALIENCY = np.tile(np.linspace(0, 1, 160, dtype=np.float32), (120, 1))
PARAMS = params.load("demo").compress


def test_numbers_are_those_of_the_metrics():
    (photo,) = explained("cat", IMAGE, SALIENCY, PARAMS, 50).photographs
    rows = {row["method"]: row for row in photo["qualities"]["50"]["rows"]}
    assert list(rows) == ["jpeg", "msroi", "roi-trellis"]
    plain = jpeg.encode(IMAGE, 50)
    expected = metrics.measure(IMAGE, jpeg.decode(plain), SALIENCY)
    assert rows["jpeg"]["bytes"] == len(plain)
    for name in ("psnr_rgb_db", "ssim_luma", "wpsnr_rgb_db"):
        assert rows["jpeg"][name] == pytest.approx(expected[name])
        gain = rows["roi-trellis"][name] - rows["jpeg"][name]
        assert rows["roi-trellis"]["gain"][name] == pytest.approx(gain, abs=1e-6)
    assert abs(rows["roi-trellis"]["bytes"] / len(plain) - 1) <= 0.01


class Looks:
    """A model that looks to the right."""

    def saliency(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compressor, "load_model", lambda _: Looks())
    monkeypatch.chdir(tmp_path)
    Image.fromarray(IMAGE).save("<cat>.png")
    return tmp_path


def test_the_page_lies_beside_the_photo_and_is_not_overwritten(folder, capsys, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(main.webbrowser, "open", opened.append)
    assert main.main(["explain", "<cat>.png", "--open"]) == 0
    assert capsys.readouterr().out == "<cat>.png: <cat>.msroi.html\n"
    html = (folder / "<cat>.msroi.html").read_text(encoding="utf-8")
    assert "<title>MS-ROI: &lt;cat&gt;.png</title>" in html
    assert opened == [(folder / "<cat>.msroi.html").as_uri()]
    assert main.main(["explain", "<cat>.png"]) == 2
    assert capsys.readouterr().err == (
        "msroi: <cat>.msroi.html is there already; add --force to overwrite it, or choose "
        "another folder with --out DIR.\n"
    )
    assert main.main(["explain", "<cat>.png", "--force", "--out", "pages"]) == 0
    assert (folder / "pages" / "<cat>.html").read_text(encoding="utf-8") == html


def test_a_photo_too_small_to_be_measured_is_named(folder, capsys):
    Image.fromarray(IMAGE[:7, :7]).save("small.png")
    assert main.main(["explain", "small.png", "<cat>.png"]) == 2
    assert capsys.readouterr().err == (
        "msroi: small.png: The image has 7x7 pixels; SSIM and MS-SSIM need at least 11 a side.\n"
    )
    assert (folder / "<cat>.msroi.html").exists()
    assert not (folder / "small.msroi.html").exists()


def test_the_example_of_the_tests_is_such_a_page():
    assert one_photograph().sections == {
        "gallery": "The photograph",
        "provenance": "How this was made",
    }
