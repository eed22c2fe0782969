"""benchmarks.heads: what its maps and its measure are; what it measures is not tested."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from benchmarks import heads
from msroi.network.saliency import scaled

pytestmark = pytest.mark.numerics


@pytest.fixture
def seen():
    """Features `(h, w, K)`, class weights `(K, classes)` and logits of one photograph."""
    rng = np.random.default_rng(0)
    features = rng.exponential(1, (5, 6, 8)).astype(np.float32)
    weights = rng.normal(0, 1, (8, 12)).astype(np.float32)
    return features, weights, features.mean(axis=(0, 1)) @ weights


def test_the_shared_part_of_the_weights_changes_maps_and_no_probability(seen):
    features, weights, logits = seen
    moved = weights - np.float32(3)  # the same for every class
    maps = heads.maps_of(features, weights, logits)
    others = heads.maps_of(features, moved, features.mean(axis=(0, 1)) @ moved)
    for name in ("top-5, no mean", "top-1, no mean", "energy"):
        np.testing.assert_allclose(others[name], maps[name], rtol=1e-4, atol=1e-4)
    # all of them now show where there are few features
    few = -features.sum(axis=2)
    for name in ("top-5", "top-1", "mean"):
        after, before = (np.corrcoef(of[name].ravel(), few.ravel())[0, 1] for of in (others, maps))
        assert after > 0.8 > before


def test_top_1_is_the_weighted_sum_of_the_features(seen):
    features, weights, logits = seen
    expected = np.einsum("hwk,k->hw", features, weights[:, logits.argmax()])
    got = heads.maps_of(features, weights, logits)["top-1"]
    np.testing.assert_allclose(got, scaled(expected.astype(np.float64)), atol=1e-5)


def test_shuffled_auc_is_mann_and_whitneys_statistic():
    rng = np.random.default_rng(1)
    saliency = rng.integers(0, 9, (20, 30)).astype(np.float32)
    here, elsewhere = (rng.integers(0, (20, 30), (n, 2)) for n in (25, 60))
    got = heads.shuffled_auc(saliency, here, elsewhere)
    once = {tuple(point) for point in here}
    positive = [saliency[point] for point in once]
    negative = [saliency[point] for point in {tuple(of) for of in elsewhere} - once]
    statistic = mannwhitneyu(positive, negative).statistic
    assert got == pytest.approx(statistic / len(positive) / len(negative), abs=1e-12)


def test_heads_differ_from_the_letter_in_one_thing():
    letter = vars(heads.LETTER)
    for name, head in heads.HEADS.items():
        changed = {key for key, value in vars(head).items() if value != letter[key]}
        if name == "letter + identity":  # noise of 0.1 would drown the identity
            assert changed == {"start", "init_std"}
        elif name != "accurate":
            assert len(changed) == (name != "letter")
