# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "fastapi~=0.165.0",
#     "uvicorn[standard]~=0.54.0",
#     "aiohttp~=3.14",
#     "requests~=2.34",
#     "pydantic~=2.14",
#     "tqdm~=4.70",
#     "psutil~=7.2",
#     "typer~=0.29.2",
# ]
# ///
"""Compare the three scripts, in turn, against servers that this program starts itself.

$ python benchmarks/compare.py
A server that answers immediately:
                                 requests    times as fast 24,999 client server
                                    per s      as blocking   take    CPU    CPU
async (aiohttp)     ############    3,522 5.18 (4.61-6.69)  7.1 s    94%    96%
threads (requests)  ###               594 0.92 (0.82-0.96)   42 s    95%    35%
blocking (requests) ###               627             1.00   40 s    74%    32%

A server that takes 100 ms:
                                 requests    times as fast 24,999 client server
                                    per s      as blocking   take    CPU    CPU
async (aiohttp)     ############      290 30.2 (30.2-30.4)   86 s    13%    16%
threads (requests)  ############      286 29.9 (29.7-30.3)   87 s    45%    22%
blocking (requests) #                9.58             1.00 43 min     2%     2%

Medians of 3 rounds, 32 requests in flight or one after another, 2 cores
Python 3.11.7, aiohttp 3.14.5, requests 2.34.2, fastapi 0.165.0, uvicorn 0.54.0

With a server that answers immediately, async (aiohttp) is 5.18 times, threads
(requests) is 0.92 times as fast as blocking (requests).
With a server that takes 100 ms, async (aiohttp) is 30.2 times, threads
(requests) is 29.9 times as fast as blocking (requests).
In brackets is the library, which differs, too: see "Why" in README.md.
"""

import json
import logging
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

import figures
import report
from harness import PROJECT
from harness.client import TIMEOUT, run_case, run_in_turn
from harness.environment import describe_environment
from harness.processes import Stopped, stop_on_signals
from harness.runs import Case, MeasurementError, Run, ServerSettings
from harness.scripts import NotAScriptError, load_script
from harness.server import Server, answers, start_servers

SCRIPTS = [PROJECT / f"test_{method}.py" for method in ("async", "thread", "blocking")]
LATENCIES_MS = [0, 100]
ALL = 24_999  # requests of a script by itself
BAR = 12  # characters

log = logging.getLogger("compare")
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Settings:
    """What the options say."""

    requests: int | None  # of each run; None for about as many as take a second
    concurrency: int
    rounds: int
    latencies_ms: list[int] | None  # a server each; None with a url
    url: str | None


@dataclass(frozen=True)
class Comparison:
    """What was measured, in whole rounds, and what it depends on."""

    settings: Settings
    environment: Mapping[str, Any]
    groups: Sequence[Sequence[Case]]  # for each server, its cases; the last of them is the base
    runs: Sequence[Run]


# -- What the runs say: runs in, text out --------------------------------------------------------


def script_name(case: Case) -> str:
    """Return what a case's script calls itself."""
    return case.name.removesuffix(f", {case.server.latency_ms} ms")


def times_as_fast(case: Case, runs: Sequence[Run]) -> figures.Spread:
    """Return a case's requests/s over those of its base; unknown if a request of either failed."""
    if any(run.failures for run in runs if run.case in (case.name, case.base)):
        return figures.UNKNOWN
    return figures.median_and_range(figures.ratios(runs, case.name, case.base, "requests_per_s"))


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(3.62), duration(18.7), duration(2508.0)
    ('3.6 s', '19 s', '42 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def lines_of(cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return a line for each script, all against one server, with a bar for its requests/s."""
    base = script_name(cases[-1]).partition(" (")[0]
    rows = [
        ["", " " * BAR, "requests", "times as fast", f"{ALL:,}", "client", "server"],
        ["", "", "per s", f"as {base}", "take", "CPU", "CPU"],
    ]
    rates = [figures.spread(runs, case.name, "requests_per_s").median for case in cases]
    for case, rate in zip(cases, rates, strict=True):
        rows.append(
            [
                script_name(case),
                bar(rate, max(rates)),
                report.number(rate),
                report.with_range(times_as_fast(case, runs)),
                duration(ALL / rate) if rate else "-",
                report.percent(figures.spread(runs, case.name, "client_cpu").median),
                report.percent(figures.spread(runs, case.name, "server_cpu").median),
            ]
        )
    return report.aligned(rows, gap=" ")


def bar(rate: float, highest: float) -> str:
    """Return a bar whose length says how much of the highest rate this one is.

    >>> bar(1_300, 6_900)
    '###         '
    """
    length = math.ceil(BAR * rate / highest) if rate else 0
    return ("#" * length).ljust(BAR)


def server_name(settings: Settings, server: ServerSettings) -> str:
    """Return a description of a server."""
    if settings.url:
        return f"at {settings.url}"
    return f"that takes {server.latency_ms} ms" if server.latency_ms else "that answers immediately"


def answer(settings: Settings, cases: Sequence[Case], runs: Sequence[Run]) -> str:
    """Return in one sentence how the scripts compare on one server."""
    base = cases[-1]
    parts = []
    for case in cases[:-1]:
        times = times_as_fast(case, runs)
        if not math.isnan(times.median):
            parts.append(f"{script_name(case)} is {report.number(times.median)} times")
    server = server_name(settings, base.server)
    if not parts:
        return f"With a server {server}, there is nothing to compare."
    sentence = f"With a server {server}, {', '.join(parts)} as fast as {script_name(base)}."
    return textwrap.fill(sentence, 80)


def conditions(comparison: Comparison) -> list[str]:
    """Return two lines on what the figures depend on."""
    settings, environment = comparison.settings, comparison.environment
    rounds = report.plural(settings.rounds, "round")
    complete = max(run.round for run in comparison.runs)
    if complete < settings.rounds:
        rounds = f"{complete} of {rounds}"
    most = min(settings.concurrency, settings.requests or settings.concurrency)
    in_flight = f"{report.plural(most, 'request')} in flight"
    cores = report.plural(environment["cores"], "core")
    libraries = [f"{name} {version}" for name, version in environment["libraries"].items()]
    return [
        f"Medians of {rounds}, {in_flight} or one after another, {cores}",
        textwrap.fill(", ".join([f"Python {environment['python']}", *libraries]), 80),
    ]


def text(comparison: Comparison) -> str:
    """Return all that is printed in the end."""
    settings, groups, runs = comparison.settings, comparison.groups, comparison.runs
    parts = []
    for cases in groups:
        parts += [f"A server {server_name(settings, cases[0].server)}:", lines_of(cases, runs), ""]
    parts += conditions(comparison)
    parts += report.failures([case for cases in groups for case in cases], runs)
    parts += ["", *(answer(settings, cases, runs) for cases in groups)]
    parts.append('In brackets is the library, which differs, too: see "Why" in README.md.')
    return "\n".join(parts)


def json_text(comparison: Comparison) -> str:
    """Return every run, a summary, and what they depend on, as JSON."""
    cases = {case.name: case for cases in comparison.groups for case in cases}

    def client(case: Case) -> dict[str, Any]:
        latency_ms = None if comparison.settings.url else case.server.latency_ms
        return {"client": script_name(case), "latency_ms": latency_ms}

    summary = []
    for case in cases.values():
        rate = figures.spread(comparison.runs, case.name, "requests_per_s")
        times = times_as_fast(case, comparison.runs)
        known_times = None if math.isnan(times.median) else times._asdict()
        summary.append(
            client(case) | {"requests_per_s": rate._asdict(), "times_as_fast": known_times}
        )
    runs = []
    for run in comparison.runs:
        fields = asdict(run)
        del fields["case"], fields["spans_s"]
        runs.append(client(cases[run.case]) | fields)
    content = {
        "settings": asdict(comparison.settings),
        "environment": comparison.environment,
        "summary": summary,
        "runs": runs,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


# -- The command --------------------------------------------------------------------------------


def case_groups(scripts: Sequence[Path], settings: Settings) -> list[list[Case]]:
    """Return for each server the cases that run against it; may raise NotAScriptError."""
    loaded = {path: load_script(path) for path in scripts}
    names = [script.NAME for script in loaded.values()]
    if len(set(names)) < len(names):
        raise NotAScriptError(f"two scripts have the same NAME: {', '.join(names)}")

    def case(path: Path, latency_ms: int) -> Case:
        script = loaded[path]
        label = "" if settings.url else f", {latency_ms} ms"
        return Case(
            name=script.NAME + label,
            script=str(path.resolve()),
            method="",
            library="",
            requests=settings.requests or 0,
            concurrency=settings.concurrency if hasattr(script, "CONCURRENCY") else None,
            server=ServerSettings(latency_ms=latency_ms),
            base=names[-1] + label,
        )

    return [[case(path, ms) for path in scripts] for ms in settings.latencies_ms or [0]]


def start_or_find_servers(
    settings: Settings, cases: Sequence[Case]
) -> AbstractContextManager[Mapping[ServerSettings, Server]]:
    """Give the servers to measure: those that are started here, or the one that runs at a URL."""
    if not settings.url:
        return start_servers(cases)
    if not answers(settings.url, TIMEOUT):
        raise MeasurementError(f"No server answers at {settings.url} within {TIMEOUT} s.")
    return nullcontext({ServerSettings(): Server(settings.url)})


def sized(case: Case, server: Server) -> Case:
    """Return a case with as many requests as take about a second.

    It is found by runs that do not count, each with ten times as many requests as the one
    before, until one of them takes long enough to tell.
    """
    requests = 10 * (case.concurrency or 1)
    while True:
        run = run_case(replace(case, requests=requests), server, round_number=0)
        log.info(report.run_line(run, "to find how many requests take a second"))
        if run.elapsed_s > 0.2 or run.failures:
            return replace(case, requests=max(requests, round(run.requests_per_s)))
        requests *= 10


def measure(settings: Settings, cases: Sequence[Case], runs: list[Run]) -> None:
    """Run all cases once a round, and add each run as it ends; log a line for each.

    If the number of requests is not set, extra runs find it.
    """
    with start_or_find_servers(settings, cases) as servers:
        if settings.requests is None:
            cases = [sized(case, servers[case.server]) for case in cases]
        for run in run_in_turn(cases, servers, settings.rounds):
            runs.append(run)
            log.info(report.run_line(run, f"round {run.round} of {settings.rounds}"))


def compare(scripts: Sequence[Path], settings: Settings, json_file: Path | None) -> int:
    """Measure, and print what was measured in whole rounds; return the exit code."""
    groups = case_groups(scripts, settings)
    libraries = ["aiohttp", "requests"] + ([] if settings.url else ["fastapi", "uvicorn"])
    environment = describe_environment(libraries)
    cases = [case for group in groups for case in group]
    runs: list[Run] = []
    exit_code = 0
    try:
        measure(settings, cases, runs)
    except MeasurementError as error:
        log.error(error)
        exit_code = 1
    except Stopped as stop:
        exit_code = stop.exit_code
    runs = figures.whole_rounds(runs, len(cases))
    if not runs:
        return exit_code or 1
    comparison = Comparison(settings, environment, groups, runs)
    try:
        print(text(comparison))
    finally:
        if json_file:
            json_file.write_text(json_text(comparison), encoding="utf-8")
    failed = any(run.failures for run in runs)
    return exit_code or int(failed)


def writable(path: Path | None) -> Path | None:
    """Return a path to write to; refuse one that can't be opened."""
    if path:
        try:
            path.open("a").close()
        except OSError as error:
            raise typer.BadParameter(str(error)) from None
    return path


@app.command()
def main(
    scripts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SCRIPT]...",
            exists=True,
            dir_okay=False,
            help="Scripts to compare with the last one of them; by default, the three.",
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("-n", "--requests", min=1, help="Requests of each run; by default, a second."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("-c", "--concurrency", min=1, help="Requests in flight.")
    ] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each script on each server.")] = 3,
    latency_ms: Annotated[
        int | None,
        typer.Option(min=0, help="Measure one server that takes so long, instead of 0 and 100 ms."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Measure the server at this address, and start none.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", callback=writable, help="Write all runs to this file, as JSON."),
    ] = None,
) -> None:
    """Compare the async, the thread and the blocking script, or any scripts of their shape."""
    if url and latency_ms is not None:
        raise typer.BadParameter("--url and --latency-ms exclude each other")
    latencies_ms = LATENCIES_MS if latency_ms is None else [latency_ms]
    settings = Settings(
        requests, concurrency, rounds, None if url else latencies_ms, url and url.rstrip("/")
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stop_on_signals()
    try:
        sys.exit(compare(scripts or SCRIPTS, settings, json_file))
    except NotAScriptError as error:
        raise typer.BadParameter(str(error)) from None
    except Stopped as stop:
        sys.exit(stop.exit_code)


if __name__ == "__main__":
    app()
