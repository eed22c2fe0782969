"""Student's interval of a mean."""

from functools import cache

CONFIDENCE = 0.95  # of every interval, but for `anova`, whose `alpha` is a parameter


@cache
def reach_of(n: int, confidence: float = CONFIDENCE) -> float:
    """Return how many standard errors the interval of the mean of `n` >= 2 values reaches each way.

    That is the quantile of Student's t with n - 1 degrees of freedom.
    """
    from scipy.special import stdtrit  # slow to import, and few claims of an audit need it

    return float(stdtrit(n - 1, (1 + confidence) / 2))
