"""How figures, tables and documents are formatted, worked out by hand."""

import doctest
import math

import pytest

import report
from figures import Spread
from harness.results import Result
from made_up import made_up_case, made_up_run


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_345.6, "12,346"),
        (100, "100"),
        (99.94, "99.9"),
        (9.994, "9.99"),
        (0.1234, "0.12"),
        (0.0123, "0.012"),
        (math.nan, "-"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert report.number(value) == text


def test_percent() -> None:
    assert report.percent(0.974) == "97%"
    assert report.percent(math.nan) == "-"


def test_with_range() -> None:
    assert report.with_range(Spread(2, 1, 30)) == "2.00 (1.00-30.0)"
    assert report.with_range(Spread(0.5, 0.4, 0.6), report.percent) == "50% (40%-60%)"
    assert report.with_range(Spread(2, 2, 2)) == "2.00"
    assert report.with_range(Spread(2, 1.999, 2.001)) == "2.00"
    assert report.with_range(Spread(math.nan, math.nan, math.nan)) == "-"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((4.12, 3.5, 7.61), "4.1 (3.5 to 7.6)"),
        ((1.234, 1.21, 1.26), "1.23 (1.21 to 1.26)"),
        ((1.1, 1.02, 1.3), "1.10 (1.02 to 1.30)"),  # not 1.0 to 1.3
        ((0.7, 0.4, 0.97), "0.70 (0.40 to 0.97)"),  # not 0.4 to 1.0
        ((0.9, 0.86, 0.998), "0.900 (0.860 to 0.998)"),  # not 0.86 to 1.00
        ((1.01, 1.0004, 1.03), "1.0100 (1.0004 to 1.0300)"),
        ((2.001, 2.0, 2.002), "2.00"),
        ((9.5, 8.1, 12.2), "9.5 (8.1 to 12.2)"),
        ((11.02, 10.93, 11.04), "11.0 (10.9 to 11.0)"),
        ((26.2, 24.1, 28.7), "26 (24 to 29)"),
        ((0.0312, 0.031, 0.036), "0.031 (0.031 to 0.036)"),
        ((2.5, 2.5, 2.5), "2.50"),
        ((math.nan, math.nan, math.nan), "-"),
    ],
)
def test_times(values: tuple[float, float, float], text: str) -> None:
    assert report.times(Spread(*values)) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((4.12, 3.5, 7.61), "4.1 (3.5 to 7.6)"),
        ((0.53, 0.49, 0.55), "0.53 (0.49 to 0.55)"),
        ((1.1, 0.89, 1.3), "no difference shown (0.9 to 1.3)"),
        ((1.0, 0.92, 1.09), "about the same (0.9 to 1.1)"),
        ((1.0, 0.9, 1.1), "about the same (0.9 to 1.1)"),
        ((1.05, 1.02, 1.08), "1.05 (1.02 to 1.08)"),
        ((1.2, 1.0, 1.4), "no difference shown (1.00 to 1.40)"),
        ((0.8, 0.6, 1.0), "no difference shown (0.60 to 1.00)"),
        ((1.0, 0.89, 1.05), "no difference shown (0.9 to 1.1)"),
        ((1.0, 0.95, 1.12), "no difference shown (0.9 to 1.1)"),
        ((math.nan, math.nan, math.nan), "-"),
    ],
)
def test_verdict(values: tuple[float, float, float], text: str) -> None:
    assert report.verdict(Spread(*values)) == text


def test_docstring_examples() -> None:
    assert doctest.testmod(report).failed == 0


def test_plural() -> None:
    assert report.plural(1, "round") == "1 round"
    assert report.plural(24_999, "request") == "24,999 requests"


def test_run_line() -> None:
    run = made_up_run("async", 2, 1.234, ok=990)
    assert report.run_line(run, 3) == "round 2 of 3: async, 990 of 1,000 ok in 1.23 s"


# -- Tables -------------------------------------------------------------------------------------

# The ratio of the medians of the elapsed times is 4, the median of the ratios is 5.
CASE = made_up_case("a")
RUNS = [
    made_up_run("a", 1, 1.0, client_cpu_s=0.8, p50_ms=1.0, peak_mib=40.0, in_flight=10.0),
    made_up_run("base", 1, 8.0, client_cpu_s=4.0, process_s=8.0),
    made_up_run("a", 2, 2.0, client_cpu_s=1.0, p50_ms=20.0, peak_mib=50.0, in_flight=20.0),
    made_up_run("base", 2, 6.0, client_cpu_s=3.0, process_s=8.0),
    made_up_run("a", 3, 6.0, client_cpu_s=3.0, p50_ms=300.0, peak_mib=90.0, in_flight=30.0),
    made_up_run("base", 3, 30.0, client_cpu_s=6.0, process_s=8.0),
]
CELLS = {
    "requests": "1,000",
    "elapsed, s": "2.00 (1.00-6.00)",
    "start to exit, s": "2.50 (1.50-6.50)",
    "requests/s": "500 (167-1,000)",
    "p50, ms": "20.0 (1.00-300)",
    "p99, ms": "5.00",
    "in flight": "20.0 (10.0-30.0)",
    "client CPU": "50% (50%-80%)",
    "server CPU": "60%",
    "client CPU, µs a request": "1,000 (800-3,000)",
    "server CPU, µs a request": "1,200 (600-3,600)",
    "client idle, µs a request": "1,000 (200-3,000)",
    "µs a request": "2,000 (1,000-6,000)",
    "peak memory, MiB": "50.0 (40.0-90.0)",
    "times as fast": "5.0 (3.0 to 8.0)",  # 8, 3 and 5 times
    "factor of less work": "3.0 (2.0 to 5.0)",  # 4/0.8, 3/1 and 6/3
    "factor of idle time filled": "no difference shown (1.00 to 2.50)",  # 0.8/0.5, 0.5/0.5, 0.5/0.2
    "times as fast, start to exit": "3.2 (1.2 to 5.3)",  # 8/1.5, 8/2.5 and 8/6.5
}


@pytest.mark.parametrize("column", report.COLUMNS)
def test_column(column: str) -> None:
    assert report.COLUMNS[column](CASE, RUNS) == CELLS[column]


def test_every_column_is_tested() -> None:
    assert CELLS.keys() == report.COLUMNS.keys()


def test_ratio_has_the_interval_and_not_the_range() -> None:
    """Of nine rounds, the interval leaves out the first and the last."""
    runs = [
        run
        for number, seconds in enumerate((20, 30, 1, 50, 40, 60, 70, 900, 80), start=1)
        for run in (made_up_run("a", number, 10.0), made_up_run("base", number, float(seconds)))
    ]
    assert report.COLUMNS["times as fast"](CASE, runs) == "5.0 (2.0 to 8.0)"
    assert report.COLUMNS["elapsed, s"](made_up_case("base"), runs) == "50.0 (1.00-900)"


def test_base_is_named() -> None:
    assert report.COLUMNS["times as fast"](made_up_case("base"), RUNS) == "1 (base)"


def test_ratio_without_a_base_is_a_dash() -> None:
    assert report.COLUMNS["times as fast"](made_up_case("a", base="not installed"), RUNS) == "-"


def test_table() -> None:
    cases = [CASE, made_up_case("base")]
    assert report.table(["times as fast", "peak memory, MiB"], cases, RUNS) == (
        "|  | times as fast | peak memory, MiB |\n"
        "| --- | ---: | ---: |\n"
        "| a | 5.0 (3.0 to 8.0) | 50.0 (40.0-90.0) |\n"
        "| base | 1 (base) | 40.0 |"
    )


def test_failures_are_said_under_the_table() -> None:
    runs = [
        made_up_run("a", 1, 1.0, ok=990, failures={"HTTP 503": 7, "wrong answer": 3}),
        made_up_run("a", 2, 1.0, ok=999, failures={"HTTP 503": 1}),
    ]
    text = report.table(["elapsed, s"], [CASE], runs)
    assert text.endswith("|\n\na: 11 requests failed.")


def test_machine() -> None:
    environment = {
        "cpu": "A Chip",
        "cores": 2,
        "system": "Linux",
        "python": "3.11.7",
        "libraries": {"aiohttp": "3.14.5", "uvicorn": "0.54.0"},
    }
    expected = "A Chip, 2 cores, Linux, Python 3.11.7, aiohttp 3.14.5, uvicorn 0.54.0"
    assert report.machine(environment) == expected
    assert ", 1 core, " in report.machine(environment | {"cores": 1})


def test_folded_tables() -> None:
    environment = {
        "date": "2026-11-25 08:30",
        "cpu": "A Chip",
        "cores": 2,
        "system": "Linux",
        "python": "3.11.7",
        "libraries": {},
    }
    result = Result("few", 3, environment, [CASE], RUNS)
    assert report.folded_tables([["requests"], ["elapsed, s"]], result).split("\n\n") == [
        "<details>",
        "<summary><code>python benchmarks/study.py few</code>, "
        "3 rounds, A Chip, 2026-11-25 08:30</summary>",
        "|  | requests |\n| --- | ---: |\n| a | 1,000 |",
        "|  | elapsed, s |\n| --- | ---: |\n| a | 2.00 (1.00-6.00) |",
        "A Chip, 2 cores, Linux, Python 3.11.7",
        "</details>",
    ]
    one = Result("few", 1, environment, [CASE], RUNS[:1])
    assert ", 1 round, " in report.folded_tables([["requests"]], one)


def test_fill() -> None:
    text = "a\n<!-- x -->\n\nold\n\n<!-- end -->\nb\n<!-- y y -->\n<!-- end -->\n"
    filled = report.fill(text, {"x": "X", "y y": "Y"})
    assert filled == ("a\n<!-- x -->\n\nX\n\n<!-- end -->\nb\n<!-- y y -->\n\nY\n\n<!-- end -->\n")
    assert report.fill(filled, {"x": "X", "y y": "Y"}) == filled
    with pytest.raises(KeyError):
        report.fill(text, {"x": "X"})
