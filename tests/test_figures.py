"""The arithmetic of the benchmarks, worked out by hand."""

import doctest
import inspect
import math
from typing import get_type_hints

import pytest

import figures
from figures import Measure, Spread
from harness.runs import Run
from made_up import made_up_run


def test_median_and_range() -> None:
    assert figures.median_and_range([9, 1, 2]) == (2, 1, 9)
    assert figures.median_and_range([9, math.nan, 1]) == (5, 1, 9)
    assert all(math.isnan(value) for value in figures.median_and_range([math.nan]))


@pytest.mark.parametrize(
    ("number", "rank"),
    # The confidence of the interval from the k-th least to the k-th greatest of n values is
    # 1 - 2 * P(fewer than k heads in n tosses): for n = 9 and k = 2, 1 - 2 * 10 / 512 = 96.1%,
    # and for k = 3, 1 - 2 * 46 / 512 = 82.0%. For n = 8 and k = 2, it is only 93.0%.
    # Of 12, k = 3 gives 96.1%; of 15, k = 4 gives 96.5%; of 17, k = 5 gives 95.1%.
    [(1, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (17, 5)],
)
def test_interval_rank(number: int, rank: int) -> None:
    assert figures.interval_rank(number) == rank


def test_median_and_interval() -> None:
    values = [50, 20, 90, 10, 80, 30, 70, 40, 60]
    assert figures.median_and_interval(values) == Spread(50, 20, 80)
    assert figures.median_and_interval([*values, math.nan]) == Spread(50, 20, 80)
    assert figures.median_and_interval([3, 1]) == Spread(2, 1, 3)
    assert all(math.isnan(value) for value in figures.median_and_interval([]))


# The ratio of the medians is 8 / 2, the median of the ratios is 5, their mean is 5.33.
RUNS = [
    made_up_run("a", 1, 1.0),
    made_up_run("b", 1, 8.0),  # 8 times
    made_up_run("b", 2, 6.0),
    made_up_run("a", 2, 2.0),  # 3 times, whatever the order in the round
    made_up_run("a", 3, 4.0),
    made_up_run("b", 3, 20.0),  # 5 times
]


def test_ratios_are_taken_round_by_round() -> None:
    assert figures.ratios(RUNS, "a", "b", figures.throughput) == [8, 3, 5]


def test_ratios_need_both_runs_of_a_round() -> None:
    assert figures.ratios(RUNS[:3], "a", "b", figures.throughput) == [8]
    assert figures.ratios(RUNS[:3], "b", "a", figures.throughput) == [1 / 8]


def test_ratios_to_zero_are_left_out() -> None:
    base = [made_up_run("b", 1, 1.0, ok=0), made_up_run("b", 2, 1.0)]
    runs = [made_up_run("a", 1, 1.0), made_up_run("a", 2, 0.5)]
    assert figures.ratios([*base, *runs], "a", "b", figures.throughput) == [2]


def test_ratios_to_what_was_not_measured_are_not_a_number() -> None:
    runs = [made_up_run("a", 1, 1.0), made_up_run("b", 1, 1.0, p50_ms=None)]
    (ratio,) = figures.ratios(runs, "a", "b", figures.p50_ms)
    assert math.isnan(ratio)


def test_whole_rounds() -> None:
    runs = [made_up_run(case, 1, 1.0) for case in "abcabca"]
    assert figures.whole_rounds(runs, 3) == runs[:6]
    assert figures.whole_rounds(runs[:2], 3) == []


RUN = made_up_run("a", 1, 2.0, ok=800, client_cpu_s=1.5, server_cpu_s=0.5, process_s=4.0)
UNKNOWN = made_up_run(
    "a",
    1,
    2.0,
    client_cpu_s=None,
    server_cpu_s=None,
    p50_ms=None,
    p99_ms=None,
    max_ms=None,
    in_flight=None,
    peak_mib=None,
)
ALWAYS_MEASURED: dict[Measure, float] = {
    figures.elapsed_s: 2,
    figures.process_s: 4,
    figures.throughput: 400,  # of the ok answers
    figures.process_rate: 0.25,
    figures.elapsed_us: 2_000,  # of all requests
}
MEASURED_WHERE_POSSIBLE: dict[Measure, float] = {
    figures.client_share: 0.75,
    figures.server_share: 0.25,
    figures.client_cpu_us: 1_500,
    figures.server_cpu_us: 500,
    figures.idle_us: 500,
    figures.requests_per_cpu_s: 1_000 / 1.5,
    figures.p50_ms: 2,
    figures.p99_ms: 5,
    figures.max_ms: 9,
    figures.in_flight: 30,
    figures.peak_mib: 40,
}
EXPECTED = ALWAYS_MEASURED | MEASURED_WHERE_POSSIBLE


@pytest.mark.parametrize("measure", EXPECTED)
def test_measure(measure: Measure) -> None:
    assert measure(RUN) == pytest.approx(EXPECTED[measure])


@pytest.mark.parametrize("measure", MEASURED_WHERE_POSSIBLE)
def test_measure_of_what_could_not_be_measured(measure: Measure) -> None:
    assert math.isnan(measure(UNKNOWN))


def test_every_measure_is_tested() -> None:
    functions = [function for _, function in inspect.getmembers(figures, inspect.isfunction)]
    takes_a_run = {"run": Run, "return": float}
    assert {f for f in functions if get_type_hints(f) == takes_a_run} == EXPECTED.keys()


def test_a_client_with_several_busy_threads_is_not_idle() -> None:
    assert figures.idle_us(made_up_run("a", 1, 1.0, client_cpu_s=1.2)) == 0


def test_docstring_examples() -> None:
    assert doctest.testmod(figures).failed == 0
