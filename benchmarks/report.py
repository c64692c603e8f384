"""Format results: figures for people, tables in text and Markdown, and documents with tables."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import figures
from figures import Spread
from harness.results import Result
from harness.runs import Case, Run

# -- Figures ------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Return a figure with about three digits, or a dash for not a number.

    >>> number(0.0123), number(0.1234), number(12.34), number(12345.6)
    ('0.012', '0.12', '12.3', '12,346')
    """
    if math.isnan(value):
        return "-"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """Return a share as a percentage, or a dash for not a number."""
    return "-" if math.isnan(share) else f"{share:.0%}"


def with_range(values: Spread, form: Callable[[float], str] = number) -> str:
    """Return a median with the values around it, where they look different.

    >>> with_range(Spread(4.1, 3.5, 7.6))
    '4.10 (3.50-7.60)'
    """
    median, low, high = map(form, values)
    return median if low == high else f"{median} ({low}-{high})"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: `1 round`, `3 rounds`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def run_line(run: Run, when: str) -> str:
    """Return a line on a run that has just ended."""
    return f"{when}: {run.case}, {run.ok:,} of {run.requests:,} ok in {run.elapsed_s:.2f} s"


# -- Tables -------------------------------------------------------------------------------------

Rows = Sequence[Sequence[str]]  # the first one has the headers
Cell = Callable[[Case, Sequence[Run]], str]  # from a case and the runs of all cases


def aligned(rows: Rows, gap: str = "  ") -> str:
    """Return a table in plain text; all columns but the first are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(gap.join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def markdown(rows: Rows) -> str:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    headers, *others = rows
    alignment = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headers, alignment, *others])


def requests(case: Case, runs: Sequence[Run]) -> str:
    """Return how many requests a case sends."""
    return f"{case.requests:,}"


def python(case: Case, runs: Sequence[Run]) -> str:
    """Return the version of the Python that ran a case."""
    return figures.runs_of(runs, case.name)[0].python


def values(field: str, form: Callable[[float], str] = number) -> Cell:
    """Return a function that formats a field of a case, with its range over the rounds."""
    return lambda case, runs: with_range(figures.spread(runs, case.name, field), form)


def ratio(field: str) -> Cell:
    """Return a function that formats how a field of a case compares with that of its base."""

    def cell(case: Case, runs: Sequence[Run]) -> str:
        if case.name == case.base:
            return "1 (base)"
        ratios = figures.ratios(runs, case.name, case.base, field)
        return with_range(figures.median_and_interval(ratios))

    return cell


COLUMNS: dict[str, Cell] = {
    "Python": python,
    "requests": requests,
    "elapsed, s": values("elapsed_s"),
    "start to exit, s": values("process_s"),
    "requests/s": values("requests_per_s"),
    "p50, ms": values("p50_ms"),
    "in flight": values("in_flight"),
    "client CPU": values("client_cpu", percent),
    "server CPU": values("server_cpu", percent),
    "client CPU, us per request": values("client_us"),
    "server CPU, us per request": values("server_us"),
    "peak memory, MiB": values("peak_mib"),
    "times as fast": ratio("requests_per_s"),
    "times as fast, start to exit": ratio("processes_per_s"),
}


def table(columns: Sequence[str], cases: Sequence[Case], runs: Sequence[Run]) -> list[list[str]]:
    """Return the rows of a table, one for each case."""
    headers = ["", *columns]
    return [headers] + [
        [case.name, *(COLUMNS[column](case, runs) for column in columns)] for case in cases
    ]


def failures(cases: Sequence[Case], runs: Sequence[Run]) -> list[str]:
    """Return a line for each case that had failures, and each kind of failure."""
    lines = []
    for case in cases:
        kinds: dict[str, int] = {}
        for run in figures.runs_of(runs, case.name):
            for kind, count in run.failures.items():
                kinds[kind] = kinds.get(kind, 0) + count
        lines += [f"{case.name}: {count:,} x {kind}" for kind, count in kinds.items()]
    return lines


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


def folded_table(columns: Sequence[str], result: Result) -> str:
    """Return the table of a study, to be unfolded by a click."""
    command = f"<code>python benchmarks/study.py run {result.claim}</code>"
    rounds = plural(result.rounds, "round")
    summary = f"<summary>{command}, {rounds}, {result.environment['date']}</summary>"
    rows = markdown(table(columns, result.cases, result.runs))
    parts = ["<details>", summary, rows, *failures(result.cases, result.runs)]
    return "\n\n".join([*parts, machine(result.environment), "</details>"])


def fill(document: str, blocks: Mapping[str, str]) -> str:
    """Return a document with the text between its markers replaced.

    A marker is a line `<!-- NAME -->` where NAME is one of the blocks; `<!-- end -->` ends it.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- {name} -->\n\n{blocks[name]}\n\n<!-- end -->"

    return re.sub(r"<!-- ([^>]+) -->\n.*?<!-- end -->", replace, document, flags=re.DOTALL)
