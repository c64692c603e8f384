"""Format results: figures for people, tables in text and Markdown, and documents with figures."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len

import figures
from figures import Spread
from harness.runs import Case, Run

# -- Figures ------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Return a figure with about three digits.

    >>> number(0.0123), number(0.1234), number(12.34), number(12345.6)
    ('0.012', '0.12', '12.3', '12,346')
    """
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{share:.0%}"


def middle(spread: Spread | None, form: Callable[[float], str] = number) -> str:
    """Return a median, or a dash if it is not known."""
    return form(spread.median) if spread else "-"


def with_interval(spread: Spread | None, form: Callable[[float], str] = number) -> str:
    """Return a median with its interval, unless both look the same.

    >>> with_interval(Spread(4.1, 3.5, 7.6))
    '4.10 (3.50-7.60)'
    """
    if not spread:
        return "-"
    median, low, high = map(form, spread)
    return median if low == high else f"{median} ({low}-{high})"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: `1 round`, `3 rounds`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# -- Tables -------------------------------------------------------------------------------------

Rows = Sequence[Sequence[str]]  # the first one has the headers
Cell = Callable[[Sequence[Run], Case, Case], str]  # from the runs, a case and its base


def aligned(rows: Rows, gap: str = "  ") -> str:
    """Return a table in plain text; all columns but the first are aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        spaces = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        others = [space + cell for cell, space in zip(row[1:], spaces[1:], strict=True)]
        lines.append(gap.join([row[0] + spaces[0], *others]).rstrip())
    return "\n".join(lines)


def markdown(rows: Rows) -> str:
    """Return a table in Markdown; all columns but the first are aligned to the right."""
    headers, *others = rows
    alignment = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headers, alignment, *others])


def values(field: str, form: Callable[[float], str] = number) -> Cell:
    """Return a function that formats a field of a case."""
    return lambda runs, case, base: with_interval(
        figures.spread(figures.values(runs, case.name, field)), form
    )


def ratio(field: str) -> Cell:
    """Return a function that formats how a field of a case compares with that of its base."""

    def cell(runs: Sequence[Run], case: Case, base: Case) -> str:
        if case == base:
            return "1 (base)"
        ratios = figures.ratios(runs, case.name, base.name, field)
        return with_interval(figures.spread(ratios))

    return cell


def requests(runs: Sequence[Run], case: Case, base: Case) -> str:
    """Return how many requests a case sent in a run, which is sized anew in each measurement."""
    sent = sorted(figures.values(runs, case.name, "requests"))
    if not sent:
        return "-"
    return " to ".join(dict.fromkeys(f"{count:,.0f}" for count in (sent[0], sent[-1])))


def compared_with(runs: Sequence[Run], case: Case, base: Case) -> str:
    """Return the name of a case's base."""
    return "" if case == base else base.name


def limit(runs: Sequence[Run], case: Case, base: Case) -> str:
    """Return which limit is the bound of a case."""
    limits = figures.typical_limits(runs, case, base.name)
    return min(limits, key=lambda name: limits[name], default="-")


def bound(runs: Sequence[Run], case: Case, base: Case) -> str:
    """Return the bound of a case, in requests/s."""
    limits = figures.typical_limits(runs, case, base.name)
    return number(min(limits.values())) if limits else "-"


def share_of_bound(runs: Sequence[Run], case: Case, base: Case) -> str:
    """Return which share of its bound a case reaches."""
    return with_interval(figures.spread(figures.shares_of_bound(runs, case, base.name)))


COLUMNS: dict[str, Cell] = {
    "compared with": compared_with,
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
    "limit": limit,
    "bound, requests/s": bound,
    "of its bound": share_of_bound,
}


def table(
    columns: Sequence[str], rows: Sequence[tuple[Case, Case]], runs: Sequence[Run]
) -> list[list[str]]:
    """Return the rows of a table, one for each case."""
    headers = ["", *columns]
    return [headers] + [
        [case.name, *(COLUMNS[column](runs, case, base) for column in columns)]
        for case, base in rows
    ]


def failures(runs: Sequence[Run]) -> list[str]:
    """Return a line for each case that had failures, and each kind of failure."""
    kinds: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for kind, count in run.failures.items():
            kinds[run.case, kind] += count
    return [f"{case}: {count:,} x {kind}" for (case, kind), count in kinds.items()]


def disturbances(runs: Sequence[Run]) -> list[str]:
    """Return a line if other programs took so much processor time that it can have mattered."""
    disturbed = sum(run.disturbed for run in runs)
    if not disturbed:
        return []
    return [
        f"Other programs kept the processor busy in {disturbed:,} of {plural(len(runs), 'run')}:"
        " don't trust these ratios."
    ]


def versions(packages: Mapping[str, str]) -> str:
    """Return packages with their versions."""
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def machine(environment: Mapping[str, Any]) -> str:
    """Return on one line the machine that was measured."""
    cores = plural(environment["cores"], "core")
    return f"{environment['cpu']}, {cores}, {environment['system']}"


# -- Documents ----------------------------------------------------------------------------------


def fill(document: str, text_of: Callable[[str], str]) -> str:
    """Return a document with each text between two markers replaced.

    The first marker says what stands there, and the second one is `<!-- end -->`. A marker
    that is a line by itself is for a paragraph or more, and others are for a few words:

        Async is <!-- times(ASYNC_0, BLOCKING_0) -->5.2<!-- end --> times as fast.
    """

    def replace(match: re.Match[str]) -> str:
        line_break = "\n\n" if match["start"] is not None and match["line_break"] else ""
        text = f"{line_break}{text_of(match['name'])}{line_break}"
        return f"<!-- {match['name']} -->{text}<!-- end -->"

    marked = r"(?P<start>^)?<!-- (?P<name>(?!end )[^\n]+?) -->(?P<line_break>\n)?.*?<!-- end -->"
    return re.sub(marked, replace, document, flags=re.DOTALL | re.MULTILINE)
