"""Which photographs a stage takes that is too slow for all of them."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

Photograph = tuple[str, str]  # data set and image


def first_by_name(photographs: Iterable[Photograph], count: int) -> list[Photograph]:
    """Return the first `count` photographs of each dataset by name (0: all), sorted."""
    by_set = groupby(sorted(set(photographs)), key=itemgetter(0))
    return [photograph for _, of_set in by_set for photograph in list(of_set)[: count or None]]
