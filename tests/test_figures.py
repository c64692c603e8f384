"""The arithmetic of the benchmarks, worked out by hand."""

import math

import pytest

import figures
from figures import Spread
from harness.runs import ServerSettings
from made_up import made_up_case, made_up_run


def test_spread() -> None:
    nine = [50, 20, 900, 1, 80, 30, 70, 40, 60]
    assert figures.spread(nine) == Spread(50, 20, 80)  # without the lowest and the highest
    assert figures.spread([*nine, 52]) == Spread(51, 20, 80)
    assert figures.spread(nine[:8]) == Spread(45, 1, 900)  # their range
    assert figures.spread([]) is None


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
    # Both cases have to have run in the round, and the base with an answer.
    assert figures.ratios(RUNS[:3], "a", "b", "requests_per_s") == [8]
    assert figures.ratios(RUNS[:3], "b", "a", "requests_per_s") == [1 / 8]
    failed = made_up_run("b", 1, 8.0, ok=0)
    assert figures.ratios([failed, *RUNS[2:], RUNS[0]], "a", "b", "requests_per_s") == [3, 5]


def test_values_of_a_case() -> None:
    unknown = made_up_run("a", 4, 1.0, p50_ms=None)
    assert figures.values([unknown, *RUNS], "a", "elapsed_s") == [1, 1, 2, 4]
    assert figures.values([unknown, *RUNS], "a", "p50_ms") == [2, 2, 2]


def test_figures_of_a_run() -> None:
    run = made_up_run("a", 1, 2.0, ok=800, client_cpu_s=1.5, server_cpu_s=0.5, process_s=4.0)
    assert (run.requests_per_s, run.processes_per_s) == (400, 0.25)  # 400 ok answers
    assert (run.client_cpu, run.server_cpu) == (0.75, 0.25)
    assert (run.client_us, run.server_us) == (1_500, 500)  # of all requests
    unknown = made_up_run("a", 1, 2.0, server_cpu_s=None)
    assert unknown.server_cpu is unknown.server_us is None


def test_limits_and_shares_of_the_least() -> None:
    limits = figures.limits(10, latency_s=0.014, client_s=0.002, server_s=0.004)
    assert limits == pytest.approx({"waiting": 500, "client": 500, "server": 250})
    limits = figures.limits(1, latency_s=0.1, client_s=0, server_s=0)
    assert limits == {"waiting": 10, "client": math.inf, "server": math.inf}
    # Round by round:
    case = made_up_case("a", concurrency=10, server=ServerSettings(latency_ms=7))
    costs = [  # 1,000 requests take so many milliseconds each
        made_up_run("cost", 1, 9.0, client_cpu_s=2.0, server_cpu_s=1.0),
        made_up_run("cost", 2, 9.0, client_cpu_s=1.0, server_cpu_s=2.0),
        made_up_run("cost", 3, 9.0, client_cpu_s=12.0, server_cpu_s=1.0),
    ]
    assert figures.limits_by_round(costs, case, "cost") == {
        1: pytest.approx({"waiting": 1_000, "client": 500, "server": 1_000}),
        2: pytest.approx({"waiting": 1_000, "client": 1_000, "server": 500}),
        3: pytest.approx({"waiting": 500, "client": 1_000 / 12, "server": 1_000}),
    }
    medians = {"waiting": 1_000, "client": 500, "server": 1_000}
    assert figures.typical_limits(costs, case, "cost") == pytest.approx(medians)
    one_at_a_time = figures.typical_limits(costs[:1], made_up_case("a"), "cost")
    assert one_at_a_time["waiting"] == pytest.approx(1_000 / 3)
    # 400, 250 and 67 requests/s; the fourth round has no cost.
    runs = [made_up_run("a", number, s) for number, s in enumerate((2.5, 4, 15, 1), start=1)]
    shares = figures.shares_of_bound([*costs, *runs], case, "cost")
    assert shares == pytest.approx([0.8, 0.5, 0.8])
    assert figures.typical_limits(runs, case, "cost") == {}
