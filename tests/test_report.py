"""How figures, tables and documents are formatted, worked out by hand."""

import doctest
import math

import pytest

import report
from figures import UNKNOWN, Spread
from harness.results import Result
from made_up import ENVIRONMENT, made_up_case, made_up_run


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
    assert report.with_range(Spread(2, 1.999, 2.001)) == "2.00"
    assert report.with_range(UNKNOWN) == "-"


def test_plural() -> None:
    assert report.plural(1, "round") == "1 round"
    assert report.plural(24_999, "request") == "24,999 requests"


def test_run_line() -> None:
    run = made_up_run("async", 2, 1.234, requests=2_000, ok=1_990)
    assert report.run_line(run, "now") == "now: async, 1,990 of 2,000 ok in 1.23 s"


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
    "Python": "3.11.7",
    "requests": "1,000",
    "elapsed, s": "2.00 (1.00-6.00)",
    "start to exit, s": "2.50 (1.50-6.50)",
    "requests/s": "500 (167-1,000)",
    "p50, ms": "20.0 (1.00-300)",
    "in flight": "20.0 (10.0-30.0)",
    "client CPU": "50% (50%-80%)",
    "server CPU": "60%",
    "client CPU, us per request": "1,000 (800-3,000)",
    "server CPU, us per request": "1,200 (600-3,600)",
    "peak memory, MiB": "50.0 (40.0-90.0)",
    "times as fast": "5.00 (3.00-8.00)",  # 8, 3 and 5 times
    "times as fast, start to exit": "3.20 (1.23-5.33)",  # 8/1.5, 8/2.5 and 8/6.5
}


def test_columns() -> None:
    assert {name: cell(CASE, RUNS) for name, cell in report.COLUMNS.items()} == CELLS


def test_ratio_has_the_interval_and_not_the_range() -> None:
    """Of nine rounds, the interval leaves out the lowest and the highest."""
    runs = [
        run
        for number, seconds in enumerate((20, 30, 1, 50, 40, 60, 70, 900, 80), start=1)
        for run in (made_up_run("a", number, 10.0), made_up_run("base", number, float(seconds)))
    ]
    assert report.COLUMNS["times as fast"](CASE, runs) == "5.00 (2.00-8.00)"
    assert report.COLUMNS["elapsed, s"](made_up_case("base"), runs) == "50.0 (1.00-900)"


def test_base_is_named_and_a_missing_one_is_a_dash() -> None:
    assert report.COLUMNS["times as fast"](made_up_case("base"), RUNS) == "1 (base)"
    assert report.COLUMNS["times as fast"](made_up_case("a", base="left out"), RUNS) == "-"


def test_tables() -> None:
    rows = report.table(["times as fast", "client CPU"], [CASE, made_up_case("base")], RUNS)
    assert report.aligned(rows).splitlines() == [
        "         times as fast     client CPU",
        "a     5.00 (3.00-8.00)  50% (50%-80%)",
        "base          1 (base)  50% (20%-50%)",
    ]
    assert report.markdown(rows).splitlines() == [
        "|  | times as fast | client CPU |",
        "| --- | ---: | ---: |",
        "| a | 5.00 (3.00-8.00) | 50% (50%-80%) |",
        "| base | 1 (base) | 50% (20%-50%) |",
    ]


FAILED = [
    made_up_run("a", 1, 1.0, ok=990, failures={"HTTP 503": 2_000, "wrong answer": 3}),
    made_up_run("a", 2, 1.0, ok=999, failures={"HTTP 503": 1}),
]


def test_failures_of_all_rounds() -> None:
    lines = ["a: 2,001 x HTTP 503", "a: 3 x wrong answer"]
    assert report.failures([CASE, made_up_case("base")], [*FAILED, RUNS[1]]) == lines
    assert report.failures([CASE], RUNS) == []


MACHINE = "A Chip, 2 cores, Linux, Python 3.11.7, aiohttp 3.14.5, uvicorn 0.54.0"


def test_folded_table() -> None:
    result = Result("few", 1, ENVIRONMENT, [CASE], FAILED[:1])
    assert report.folded_table(["requests"], result).split("\n\n") == [
        "<details>",
        "<summary><code>python benchmarks/study.py run few</code>, "
        "1 round, 2026-11-25 08:30</summary>",
        "|  | requests |\n| --- | ---: |\n| a | 1,000 |",
        "a: 2,000 x HTTP 503",
        "a: 3 x wrong answer",
        MACHINE,
        "</details>",
    ]


def test_fill() -> None:
    text = "a\n<!-- x -->\n\nold\n\n<!-- end -->\nb\n<!-- y y -->\n<!-- end -->\n"
    filled = report.fill(text, {"x": "X\\1", "y y": "Y"})
    assert filled == "a\n<!-- x -->\n\nX\\1\n\n<!-- end -->\nb\n<!-- y y -->\n\nY\n\n<!-- end -->\n"
    assert report.fill(filled, {"x": "X\\1", "y y": "Y"}) == filled
    with pytest.raises(KeyError):
        report.fill(text, {"x": "X"})


def test_docstring_examples() -> None:
    assert doctest.testmod(report) == (0, 2)
