"""Colours against Matplotlib's, and plots that are the same bytes every time."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from msroi import plots

HISTORY = [
    {"epoch": n, "train_loss": 1 / n, "val_loss": 2 / n}
    | dict.fromkeys(("train_top1", "val_top1", "val_top5"), 1 - 1 / n)
    for n in (1, 2, 3)
]


def drawn(title):
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 3, 2])
    figure.suptitle(title)
    return figure


def test_jet_is_matplotlibs():
    saliency = np.array([[0, 0.5, 1]], np.float32)
    expected = [
        [round(255 * part) for part in mpl.colormaps["jet"](x)[:3]] for x in (0.0, 0.5, 1.0)
    ]
    got = plots.jet(saliency)
    assert got.dtype == np.uint8
    assert np.abs(got[0].astype(int) - expected).max() <= 1
    # dark blue, light green, dark red
    assert got[0].tolist() == [[0, 0, 127], [124, 255, 121], [127, 0, 0]]


def test_overlay_is_the_mean_of_image_and_heatmap():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3), np.uint8)
    image[0] = 255  # must not overflow
    saliency = rng.random((5, 7), np.float32)
    got = plots.overlay(image, saliency)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, (image.astype(int) + plots.jet(saliency)) // 2)


def test_the_same_figure_is_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        plots.save_figure(drawn("same"), tmp_path / "new" / name)
    first, second = (tmp_path / "new" / name for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert set(image.info) <= {"dpi"}  # no date, no version


def test_a_failed_figure_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")

    def fail(*_, **__):
        raise ValueError("no space")

    figure = drawn("new")
    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(ValueError, match="no space"):
        plots.save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["plot.png"]


@pytest.mark.parametrize("epochs", [1, 3])
def test_history_is_a_readable_plot(tmp_path, epochs):
    path = tmp_path / "history.png"
    plots.plot_history(HISTORY[:epochs], path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > 2 * pixels.shape[0]
    assert pixels.min() < 60
    assert pixels.max() == 255
    plots.plot_history(HISTORY[:epochs], tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()
