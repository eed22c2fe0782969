"""The peers' measures have the values of ours."""

import numpy as np
import pytest
import skimage.data

from benchmarks import similarity
from msroi.encoders import jpeg
from msroi.measures import distortion

CAT = skimage.data.chelsea()[:176, :240]  # multiples of 16, and five scales
PAIR = CAT, jpeg.decode(jpeg.encode(CAT, 40))


def needs_pytorch():
    pytest.importorskip("torch", reason="PyTorch is for the benchmarks only")
    pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is for the benchmarks only")


def test_scikit_image_means_the_same_windows():
    assert similarity.of_scikit_image(*map(distortion.luma, PAIR)) == pytest.approx(
        distortion.ssim_luma(*PAIR), rel=1e-12
    )


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_pytorch_means_the_same_at_even_sides():
    needs_pytorch()
    similarity.agree(distortion.ms_ssim_luma(*PAIR), similarity.of_pytorch(*PAIR))


@pytest.mark.filterwarnings("ignore")
def test_pytorch_means_something_else_at_odd_sides():
    needs_pytorch()
    odd = [image[:171, :173] for image in PAIR]
    with pytest.raises(ValueError, match="do not agree"):
        similarity.agree(distortion.ms_ssim_luma(*odd), similarity.of_pytorch(*odd))


@pytest.mark.parametrize("other", [0.5 + 2e-6, 0.5 - 2e-6, np.nan])
def test_values_that_differ_are_refused(other):
    similarity.agree(0.5, 0.5 + 5e-7)
    with pytest.raises(ValueError, match="the measures do not agree"):
        similarity.agree(0.5, other)


def test_rows_of_both(monkeypatch):
    """Without PyTorch: ours stands in for the peer."""
    monkeypatch.setattr(similarity, "on_one_core", lambda: None)
    monkeypatch.setattr(similarity, "photographs", lambda: [CAT])
    monkeypatch.setattr(similarity, "of_pytorch", distortion.ms_ssim_luma)
    monkeypatch.setattr(similarity.metadata, "version", lambda package: f"{package}'s")
    monkeypatch.setattr(similarity, "TIMES_SCIKIT_IMAGE", 1e9)
    rows = similarity.measure(2)
    assert [row.job for row in rows] == ["ssim", "ms_ssim"]
    assert all(len(row.ratios) == 2 for row in rows)
    assert "luma" in rows[0].limit
    assert "240x176" in rows[0].ours
