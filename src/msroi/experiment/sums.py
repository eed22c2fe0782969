"""Means and standard deviations of values that come one by one and take no memory.

The sums are exact, so that neither order nor number of the values changes a digit.
"""

import math
from array import array
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

TOGETHER = 4096  # values that wait to be summed
SPLITTER = float(2**27 + 1)  # cuts a double into two halves of 26 bits (Veltkamp)
SQUARE_ROOT_DIGITS = 40  # twice those of a double


class Sums:
    """What values add up to: `n`, how many are above and below 0, their sum and their squares'.

    Values are finite and, but for 0, between 1e-140 and 1e140, so that squares are exact.
    """

    def __init__(self) -> None:
        """Start with no value."""
        self.n = self.above = self.below = 0
        self._waiting = array("d")
        self._total: list[float] = []
        self._squares: list[float] = []

    def add(self, value: float) -> None:
        """Take in a value."""
        self._waiting.append(value)
        self.n += 1
        self.above += value > 0
        self.below += value < 0
        if len(self._waiting) == TOGETHER:
            self._fold()

    def mean(self) -> float | None:
        """Return the mean, or None of no value."""
        self._fold()
        return math.fsum(self._total) / self.n if self.n else None

    def sd(self) -> float | None:
        """Return the standard deviation (n - 1), or None of fewer than two values."""
        self._fold()
        if self.n < 2:
            return None
        total, squares = (sum(map(Fraction, part)) for part in (self._total, self._squares))
        variance = (squares - Fraction(total**2, self.n)) / (self.n - 1)
        with localcontext(prec=SQUARE_ROOT_DIGITS):
            return float((Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt())

    def won(self, higher_is_better: bool) -> float | None:
        """Return the share of values that are better than 0, or None of no value."""
        return (self.above if higher_is_better else self.below) / self.n if self.n else None

    def _fold(self) -> None:
        values = np.frombuffer(self._waiting.tobytes())
        self._total = condensed([*self._total, *self._waiting])
        self._squares = condensed([*self._squares, *squared(values).tolist()])
        self._waiting = array("d")


def condensed(values: Sequence[float]) -> list[float]:
    """Return few values that have exactly the sum of many."""
    few: list[float] = []
    while rest := math.fsum([*values, *(-value for value in few)]):
        few.append(rest)
    return few


def squared(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squares of `(n,)` values as `(2n,)`: what doubles hold of them, and the rest."""
    high = SPLITTER * values
    high -= high - values
    low = values - high
    rounded = values * values
    rest = ((high * high - rounded) + 2 * high * low) + low * low
    return np.concatenate([rounded, rest])
