"""Compute what a table or picture shows from runs: medians, ratios and intervals."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from harness.runs import Run

CONFIDENCE = 0.95


class Spread(NamedTuple):
    """A median between two other values; all are not a number if there was nothing to measure."""

    median: float
    low: float
    high: float


UNKNOWN = Spread(math.nan, math.nan, math.nan)


def runs_of(runs: Sequence[Run], case: str) -> list[Run]:
    """Return the runs of one case."""
    return [run for run in runs if run.case == case]


def value(run: Run, field: str) -> float:
    """Return a field or property of a run by its name; not a number if it was not measured."""
    found = getattr(run, field)
    return math.nan if found is None else float(found)


def spread(runs: Sequence[Run], case: str, field: str) -> Spread:
    """Return the median of a field over the runs of a case, with the lowest and the highest."""
    return median_and_range([value(run, field) for run in runs_of(runs, case)])


def ratios(runs: Sequence[Run], case: str, base: str, field: str) -> list[float]:
    """Return a field of a case over that of another case, for each round that both have run."""
    base_values = {run.round: value(run, field) for run in runs_of(runs, base)}
    return [
        value(run, field) / base_values[run.round]
        for run in runs_of(runs, case)
        if base_values.get(run.round)
    ]


def median_and_range(values: Sequence[float]) -> Spread:
    """Return the median with the lowest and the highest value."""
    known = [value for value in values if not math.isnan(value)]
    return Spread(median(known), min(known), max(known)) if known else UNKNOWN


def median_and_interval(values: Sequence[float]) -> Spread:
    """Return the median with its distribution-free interval of 95% confidence.

    The ends are two of the values: of nine, the second lowest and the second highest.
    Of fewer than nine, they are the lowest and the highest, and of fewer than six, this
    range has less confidence than 95%.

    >>> median_and_interval([1, 2, 3, 4, 5, 6, 7, 8, 90])
    Spread(median=5, low=2, high=8)
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    if not ordered:
        return UNKNOWN
    rank = interval_rank(len(ordered))
    return Spread(median(ordered), ordered[rank - 1], ordered[-rank])


def interval_rank(number: int) -> int:
    """Return k for the interval of the median: from the k-th lowest to the k-th highest value.

    Each value is as likely to lie below the true median as above it. The interval misses
    the true median if fewer than k values lie below it, or fewer than k above it.
    """
    rank = 1
    # The next rank will do as well, as long as both sides together stay within the error.
    while 2 * sum(math.comb(number, below) for below in range(rank + 1)) <= (
        (1 - CONFIDENCE) * 2**number
    ):
        rank += 1
    return rank


def whole_rounds(runs: Sequence[Run], cases: int) -> list[Run]:
    """Return the runs of those rounds in which each of so many cases has run."""
    return list(runs[: len(runs) - len(runs) % cases])
