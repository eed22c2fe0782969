"""The real-valued steps of the perceptual encoder: the stated formula, and its line."""

import math

import numpy as np
import pytest

from msroi.encoders import jpeg, steps

# docs/encoder.md's table, typed a second time
LUMA = {1.0: (1.16, 0.42, -0.34, -0.133), 0.2: (1.39, 0.056, -0.35, -0.164)}
CHROMA = (0.09, 1.90, -0.40, 0.0)


def restated(v, u, linear, square, dc, first):
    if u == v == 0:
        return math.exp(dc)
    r = math.sqrt(u * u + v * v) / 8
    f = math.exp(-(((r - 0.125) / 0.1) ** 2))
    return math.exp(linear * r + square * r * r + first * f)


@pytest.mark.parametrize("scale", LUMA)
def test_steps_are_the_formulas(scale):
    quality = 50 / (scale / 0.6) if scale > 0.6 else 100 - scale / 0.6 * 50
    luma, chroma = steps.steps_of(quality)
    for place in range(64):
        v, u = divmod(int(jpeg.ZIGZAG[place]), 8)
        assert luma[place] == pytest.approx(16 * scale * restated(v, u, *LUMA[scale]), rel=1e-5)
        expected = 16 * scale * 1.2 * min(1, scale**-0.5) * restated(v, u, *CHROMA)
        assert chroma[place] == pytest.approx(expected, rel=1e-5)


def test_between_two_scales_the_shape_is_linear_in_the_scales_log():
    middle = math.sqrt(steps.COARSE_SCALE * steps.FINE_SCALE)
    expected = [(a + b) / 2 for a, b in zip(steps.COARSE, steps.FINE, strict=True)]
    assert steps.luma_shape(middle) == pytest.approx(expected)
    assert steps.luma_shape(100) == pytest.approx(steps.COARSE)
    assert steps.luma_shape(0.001) == pytest.approx(steps.FINE)


def test_every_step_falls_as_the_quality_rises():
    lines = np.stack([np.concatenate(steps.steps_of(q)) for q in np.linspace(1, 99.75, 400)])
    assert (np.diff(lines, axis=0) < 0).all()
    assert (steps.steps_of(100)[0] > 0).all()
    assert steps.scale_of(50) == pytest.approx(0.6)
    assert steps.scale_of(100) == steps.scale_of(99.9) > 0
