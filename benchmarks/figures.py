"""Compute what a table or picture shows from runs: medians, ratios and intervals."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from harness.runs import Run

Measure = Callable[[Run], float]  # a figure of one run; not a number where it wasn't measured

CONFIDENCE = 0.95


class Spread(NamedTuple):
    """A median between two other values; all are not a number if there was nothing to measure."""

    median: float
    low: float
    high: float


def runs_of(runs: Sequence[Run], case: str) -> list[Run]:
    """Return the runs of one case."""
    return [run for run in runs if run.case == case]


def median_and_range(values: Sequence[float]) -> Spread:
    """Return the median with the least and the greatest value."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Spread(math.nan, math.nan, math.nan)
    return Spread(median(known), min(known), max(known))


def median_and_interval(values: Sequence[float]) -> Spread:
    """Return the median with its distribution-free interval of 95% confidence.

    The ends are two of the values. Of nine, they are the second least and the second
    greatest; of fewer than six, whose range has less confidence than that, the range.

    >>> median_and_interval([1, 2, 3, 4, 5, 6, 7, 8, 90])
    Spread(median=5, low=2, high=8)
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    if not ordered:
        return Spread(math.nan, math.nan, math.nan)
    rank = interval_rank(len(ordered))
    return Spread(median(ordered), ordered[rank - 1], ordered[-rank])


def interval_rank(number: int) -> int:
    """Return k for the interval of the median: from the k-th least to the k-th greatest value.

    It leaves the median out on one side with the probability that, of as many tosses of a
    coin as there are values, fewer than k come up heads.
    """
    rank = 1
    # The next rank will do as well, as long as both sides together stay within the error.
    while 2 * sum(math.comb(number, heads) for heads in range(rank + 1)) <= (
        (1 - CONFIDENCE) * 2**number
    ):
        rank += 1
    return rank


def ratios(runs: Sequence[Run], case: str, base: str, measure: Measure) -> list[float]:
    """Return a measure of a case over that of another, for each round that both have run."""
    base_values = {run.round: measure(run) for run in runs_of(runs, base)}
    return [
        measure(run) / base_values[run.round]
        for run in runs_of(runs, case)
        if base_values.get(run.round)
    ]


def whole_rounds(runs: Sequence[Run], cases: int) -> list[Run]:
    """Return the runs of those rounds in which each of so many cases has run."""
    return list(runs[: len(runs) - len(runs) % cases])


# -- Measures -----------------------------------------------------------------------------------


def elapsed_s(run: Run) -> float:
    """Return the time from the start of the first request to the end of the last."""
    return run.elapsed_s


def process_s(run: Run) -> float:
    """Return the time from the start of the client's process to its end."""
    return run.process_s


def throughput(run: Run) -> float:
    """Return the ok answers a second."""
    return run.ok / run.elapsed_s


def process_rate(run: Run) -> float:
    """Return how many times a second the client's whole process could run."""
    return 1 / run.process_s


def client_share(run: Run) -> float:
    """Return the processor time of the client over the elapsed time: 1 is one full core."""
    return or_nan(run.client_cpu_s) / run.elapsed_s


def server_share(run: Run) -> float:
    """Return the processor time of the server over the elapsed time: 1 is one full core."""
    return or_nan(run.server_cpu_s) / run.elapsed_s


def elapsed_us(run: Run) -> float:
    """Return the elapsed time a request, in microseconds."""
    return 1e6 * run.elapsed_s / run.requests


def client_cpu_us(run: Run) -> float:
    """Return the processor time of the client a request, in microseconds."""
    return 1e6 * or_nan(run.client_cpu_s) / run.requests


def server_cpu_us(run: Run) -> float:
    """Return the processor time of the server a request, in microseconds."""
    return 1e6 * or_nan(run.server_cpu_s) / run.requests


def idle_us(run: Run) -> float:
    """Return the time a request in which the client used no processor, in microseconds."""
    idle = elapsed_us(run) - client_cpu_us(run)
    # Several threads can use more than one core. Not max(), which makes 0 of not a number.
    return 0 if idle < 0 else idle


def requests_per_cpu_s(run: Run) -> float:
    """Return how many requests the client sends with one second of processor time."""
    return run.requests / or_nan(run.client_cpu_s)


def p50_ms(run: Run) -> float:
    """Return the latency that half of the ok answers did not exceed."""
    return or_nan(run.p50_ms)


def p99_ms(run: Run) -> float:
    """Return the latency that 99% of the ok answers did not exceed."""
    return or_nan(run.p99_ms)


def max_ms(run: Run) -> float:
    """Return the longest latency of an ok answer."""
    return or_nan(run.max_ms)


def in_flight(run: Run) -> float:
    """Return how many requests were in flight on average."""
    return or_nan(run.in_flight)


def peak_mib(run: Run) -> float:
    """Return the peak memory of the client's process."""
    return or_nan(run.peak_mib)


def or_nan(value: float | None) -> float:
    """Return a measured value, and not a number for one that could not be measured."""
    return math.nan if value is None else value
