"""The arithmetic of the benchmarks, worked out by hand."""

import doctest
import math

import pytest

import figures
from figures import UNKNOWN, Spread
from made_up import made_up_run


def test_median_and_range() -> None:
    assert figures.median_and_range([9, 1, 2]) == (2, 1, 9)
    assert figures.median_and_range([9, math.nan, 1]) == (5, 1, 9)
    assert figures.median_and_range([math.nan]) is UNKNOWN


@pytest.mark.parametrize(
    ("number", "rank"),
    # The confidence of the interval from the k-th lowest to the k-th highest of n values is
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
    assert figures.median_and_interval([]) is UNKNOWN


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
    assert figures.ratios(RUNS, "a", "b", "requests_per_s") == [8, 3, 5]


def test_ratios_need_both_runs_of_a_round() -> None:
    assert figures.ratios(RUNS[:3], "a", "b", "requests_per_s") == [8]
    assert figures.ratios(RUNS[:3], "b", "a", "requests_per_s") == [1 / 8]


def test_ratios_to_zero_are_left_out() -> None:
    base = [made_up_run("b", 1, 1.0, ok=0), made_up_run("b", 2, 1.0)]
    runs = [made_up_run("a", 1, 1.0), made_up_run("a", 2, 0.5)]
    assert figures.ratios([*base, *runs], "a", "b", "requests_per_s") == [2]


def test_spread_of_a_case() -> None:
    assert figures.spread(RUNS, "a", "elapsed_s") == Spread(2, 1, 4)
    assert figures.spread([made_up_run("a", 1, 1.0, p50_ms=None)], "a", "p50_ms") is UNKNOWN


def test_whole_rounds() -> None:
    runs = [made_up_run(case, 1, 1.0) for case in "abcabca"]
    assert figures.whole_rounds(runs, 3) == runs[:6]
    assert figures.whole_rounds(runs[:2], 3) == []


def test_figures_of_a_run() -> None:
    run = made_up_run("a", 1, 2.0, ok=800, client_cpu_s=1.5, server_cpu_s=0.5, process_s=4.0)
    assert run.requests_per_s == 400  # of the ok answers
    assert run.processes_per_s == 0.25
    assert (run.client_cpu, run.server_cpu) == (0.75, 0.25)
    assert (run.client_us, run.server_us) == (1_500, 500)  # of all requests
    unknown = made_up_run("a", 1, 2.0, server_cpu_s=None)
    assert math.isnan(unknown.server_cpu) and math.isnan(unknown.server_us)


def test_docstring_examples() -> None:
    assert doctest.testmod(figures) == (0, 1)
