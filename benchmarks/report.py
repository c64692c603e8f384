"""Format results: figures for people, tables in Markdown, and documents with tables in them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import figures
from figures import Measure, Spread
from harness.results import Result
from harness.runs import Case, Run

# -- Figures ------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Return a figure with about three digits, or a dash for not a number.

    >>> number(0.1234), number(12.34), number(12345.6)
    ('0.12', '12.3', '12,346')
    """
    if math.isnan(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """Return a share as a percentage, or a dash for not a number."""
    return "-" if math.isnan(share) else f"{share:.0%}"


def with_range(values: Spread, form: Callable[[float], str] = number) -> str:
    """Return a median with the values around it, where they look different."""
    median, low, high = map(form, values)
    return median if low == high else f"{median} ({low}-{high})"


def times(values: Spread) -> str:
    """Return a ratio with its range in words: `4.1 (3.5 to 7.6)`."""
    if math.isnan(values.median) or values.low == values.high:
        return number(values.median)
    median, low, high = ratio_digits(values)
    return median if low == high else f"{median} ({low} to {high})"


def ratio_digits(values: Spread) -> tuple[str, str, str]:
    """Return the three figures of a ratio, with as many digits as their distance calls for."""
    width = values.high - values.low
    if values.high < 0.1:
        digits = 3
    elif width < 0.1:
        digits = 2
    elif width < 1 or values.low < 10:
        digits = 1
    else:
        digits = 0
    if 1 in (round(values.low, digits), round(values.high, digits)):
        digits = 2
    if not values.low <= 1 <= values.high:
        # What shows a difference must not look as if it reached 1.
        while 1 in (round(values.low, digits), round(values.high, digits)):
            digits += 1
    median, low, high = (f"{value:.{digits}f}" for value in values)
    return median, low, high


def verdict(values: Spread) -> str:
    """Say what a ratio with its interval shows.

    >>> verdict(Spread(4.1, 3.5, 7.6)), verdict(Spread(1.1, 0.9, 1.3))
    ('4.1 (3.5 to 7.6)', 'no difference shown (0.9 to 1.3)')
    """
    if not values.low <= 1 <= values.high:
        return times(values)
    _, low, high = ratio_digits(values)
    if values.low >= 0.9 and values.high <= 1.1:
        return f"about the same ({low} to {high})"
    return f"no difference shown ({low} to {high})"


def run_line(run: Run, rounds: int) -> str:
    """Return a line on a run that has just ended."""
    return (
        f"round {run.round} of {rounds}: {run.case}, "
        f"{run.ok:,} of {run.requests:,} ok in {run.elapsed_s:.2f} s"
    )


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: `1 round`, `3 rounds`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# -- Tables -------------------------------------------------------------------------------------

Cell = Callable[[Case, Sequence[Run]], str]  # from a case and the runs of all cases


def requests(case: Case, runs: Sequence[Run]) -> str:
    """Return how many requests a case sends."""
    return f"{case.requests:,}"


def value(measure: Measure, form: Callable[[float], str] = number) -> Cell:
    """Return a function that formats a measure of a case, with its range over the rounds."""

    def cell(case: Case, runs: Sequence[Run]) -> str:
        values = [measure(run) for run in figures.runs_of(runs, case.name)]
        return with_range(figures.median_and_range(values), form)

    return cell


def ratio(measure: Measure) -> Cell:
    """Return a function that says how a measure of a case compares with that of its base."""

    def cell(case: Case, runs: Sequence[Run]) -> str:
        if case.name == case.base:
            return "1 (base)"
        values = figures.ratios(runs, case.name, case.base, measure)
        return verdict(figures.median_and_interval(values))

    return cell


COLUMNS: dict[str, Cell] = {
    "requests": requests,
    "elapsed, s": value(figures.elapsed_s),
    "start to exit, s": value(figures.process_s),
    "requests/s": value(figures.throughput),
    "p50, ms": value(figures.p50_ms),
    "p99, ms": value(figures.p99_ms),
    "in flight": value(figures.in_flight),
    "client CPU": value(figures.client_share, percent),
    "server CPU": value(figures.server_share, percent),
    "client CPU, µs a request": value(figures.client_cpu_us),
    "server CPU, µs a request": value(figures.server_cpu_us),
    "client idle, µs a request": value(figures.idle_us),
    "µs a request": value(figures.elapsed_us),
    "peak memory, MiB": value(figures.peak_mib),
    "times as fast": ratio(figures.throughput),
    "factor of less work": ratio(figures.requests_per_cpu_s),
    "factor of idle time filled": ratio(figures.client_share),
    "times as fast, start to exit": ratio(figures.process_rate),
}


def table(columns: Sequence[str], cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return a table in Markdown, a row a case, and under it which of them had failures."""
    rows = [[case.name, *(COLUMNS[column](case, runs) for column in columns)] for case in cases]
    lines = [markdown_table(["", *columns], rows)]
    for case in cases:
        failed = sum(sum(run.failures.values()) for run in figures.runs_of(runs, case.name))
        if failed:
            lines.append(f"\n{case.name}: {plural(failed, 'request')} failed.")
    return "\n".join(lines)


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    alignment = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headers, alignment, *rows])


def machine(environment: Mapping[str, Any]) -> str:
    """Return on one line what a result depends on."""
    libraries = [f"{name} {version}" for name, version in environment["libraries"].items()]
    return ", ".join(
        [
            environment["cpu"],
            plural(environment["cores"], "core"),
            environment["system"],
            f"Python {environment['python']}",
            *libraries,
        ]
    )


# -- Documents ----------------------------------------------------------------------------------


def folded_tables(tables: Sequence[Sequence[str]], result: Result) -> str:
    """Return the tables of a study, one for each list of columns, to be unfolded by a click."""
    command = f"<code>python benchmarks/study.py {result.claim}</code>"
    rounds = plural(result.rounds, "round")
    cpu, date = result.environment["cpu"], result.environment["date"]
    summary = f"<summary>{command}, {rounds}, {cpu}, {date}</summary>"
    body = [table(columns, result.cases, result.runs) for columns in tables]
    return "\n\n".join(["<details>", summary, *body, machine(result.environment), "</details>"])


def fill(document: str, blocks: Mapping[str, str]) -> str:
    """Return a document with the text between its markers replaced.

    A marker is a line `<!-- NAME -->` where NAME is one of the blocks; `<!-- end -->` ends it.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n\n{blocks[name]}\n\n<!-- end -->"

    return re.sub(r"<!-- ([^>]+) -->\n.*?<!-- end -->", replace, document, flags=re.DOTALL)
