"""Running sums against the standard library, which keeps all values."""

import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msroi.experiment import sums
from msroi.experiment.sums import Sums

VALUES = st.one_of(
    st.just(0.0),
    st.floats(1e-9, 1e9),
    st.floats(-1e9, -1e-9),
    st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000),
)


def of(values):
    found = Sums()
    for value in values:
        found.add(value)
    return found


@given(st.lists(VALUES, min_size=2, max_size=50))
def test_mean_and_sd_are_those_of_the_standard_library(values):
    found = of(values)
    assert found.mean() == statistics.fmean(values)
    assert found.sd() == statistics.stdev(values)
    assert found.n == len(values)


@given(st.lists(VALUES, min_size=1, max_size=30), st.booleans())
def test_the_share_that_is_better_counts_no_equal_one(values, higher_is_better):
    better = [value > 0 if higher_is_better else value < 0 for value in values]
    assert of(values).won(higher_is_better) == sum(better) / len(values)


def test_of_no_value_there_is_nothing_and_of_one_no_sd():
    assert (of([]).mean(), of([]).sd(), of([]).won(True)) == (None, None, None)
    assert (of([3.0]).mean(), of([3.0]).sd()) == (3.0, None)


def test_neither_their_number_nor_their_order_changes_a_digit(monkeypatch):
    values = np.random.default_rng(0).normal(30, 1e-6, 1000).tolist()
    monkeypatch.setattr(sums, "TOGETHER", 7)
    found, backwards = of(values), of(values[::-1])
    assert found.mean() == backwards.mean() == statistics.fmean(values)
    assert found.sd() == backwards.sd() == statistics.stdev(values)


def test_what_is_kept_does_not_grow_with_the_values(monkeypatch):
    monkeypatch.setattr(sums, "TOGETHER", 10)
    found = of(np.random.default_rng(0).normal(0, 1, 10_000).tolist())
    assert len(found._total) + len(found._squares) + len(found._waiting) < 10


@given(st.lists(VALUES, max_size=40))
def test_few_values_have_exactly_the_sum_of_many(values):
    few = sums.condensed(values)
    assert sum(map(Fraction, few)) == sum(map(Fraction, values))


@pytest.mark.parametrize("value", [1e-140, 0.1, 1 / 3, 123456.789, 1e140, -0.7])
def test_squares_are_exact(value):
    found = sums.squared(np.array([value])).tolist()
    assert sum(map(Fraction, found)) == Fraction(value) ** 2
