"""How figures, tables and documents are formatted, worked out by hand."""

import pytest

import report
from figures import Spread
from harness.runs import ServerSettings
from made_up import made_up_case, made_up_run


def test_figures() -> None:
    values = (12_345.6, 100, 99.94, 9.994, 0.1234, 0.0123)
    assert [*map(report.number, values)] == ["12,346", "100", "99.9", "9.99", "0.12", "0.012"]
    assert report.plural(1, "round") == "1 round"
    assert report.plural(24_999, "request") == "24,999 requests"
    assert report.with_interval(Spread(2, 1, 30)) == "2.00 (1.00-30.0)"
    assert report.with_interval(Spread(0.5, 0.4, 0.6), report.percent) == "50% (40%-60%)"
    assert report.with_interval(Spread(2, 1.999, 2.001)) == "2.00"
    assert report.middle(Spread(0.974, 0, 1), report.percent) == "97%"
    assert report.with_interval(None) == report.middle(None) == "-"


# The ratio of the medians of the elapsed times is 4, the median of the ratios is 5.
CASE = made_up_case("a", concurrency=10, server=ServerSettings(latency_ms=5))
BASE = made_up_case("base")
RUNS = [
    made_up_run("a", 1, 1.0, client_cpu_s=0.8, p50_ms=1.0, peak_mib=40.0, in_flight=10.0),
    made_up_run("base", 1, 8.0, client_cpu_s=4.0, server_cpu_s=1.0, process_s=8.0),
    made_up_run("a", 2, 2.0, client_cpu_s=1.0, p50_ms=20.0, peak_mib=50.0, in_flight=20.0),
    made_up_run("base", 2, 6.0, client_cpu_s=3.0, server_cpu_s=1.0, process_s=8.0),
    made_up_run("a", 3, 6.0, client_cpu_s=3.0, p50_ms=300.0, peak_mib=90.0, in_flight=30.0),
    made_up_run("base", 3, 30.0, client_cpu_s=6.0, server_cpu_s=1.0, process_s=8.0),
]
CELLS = {
    "compared with": "base",
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
    "limit": "client",  # it needs 4, 3 and 6 ms for a request of the base, and waiting 1 ms
    "bound, requests/s": "250",
    "of its bound": "1.50 (1.00-4.00)",  # 1,000/250, 500/333 and 167/167
}


def test_columns() -> None:
    assert {name: cell(RUNS, CASE, BASE) for name, cell in report.COLUMNS.items()} == CELLS
    assert {cell([], CASE, BASE) for cell in report.COLUMNS.values()} == {"-", "base"}
    # Another measurement sizes its runs anew.
    runs = [*RUNS, made_up_run("a", 4, 1.0, requests=1_200)]
    assert report.COLUMNS["requests"](runs, CASE, BASE) == "1,000 to 1,200"


def test_tables() -> None:
    rows = report.table(["times as fast", "client CPU"], [(CASE, BASE), (BASE, BASE)], RUNS)
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


def test_disturbances_are_those_that_can_have_mattered() -> None:
    little, much = [made_up_run("a", 1, 1.0, others_s=each, idle_s=0.0) for each in (0.1, 0.9)]
    assert report.disturbances([little]) == []
    assert "busy in 1 of 2 runs:" in report.disturbances([little, much])[0]


def test_fill() -> None:
    texts = {"x": "X\\1", "y y": "Y", "z(1, 2)": "Z"}
    text = "a\n<!-- x -->\n\nold\n\n<!-- end -->\nb\n<!-- y y -->\n<!-- end -->\nIt is "
    inline = "<!-- z(1, 2) -->9<!-- end -->, not <!-- x --><!-- end -->."
    filled = report.fill(text + inline, texts.__getitem__)
    assert filled == (
        "a\n<!-- x -->\n\nX\\1\n\n<!-- end -->\nb\n<!-- y y -->\n\nY\n\n<!-- end -->\nIt is "
        "<!-- z(1, 2) -->Z<!-- end -->, not <!-- x -->X\\1<!-- end -->."
    )
    assert report.fill(filled, texts.__getitem__) == filled
    with pytest.raises(KeyError):
        report.fill(text, {"x": "X"}.__getitem__)
