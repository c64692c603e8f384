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
#     "rich~=15.0",
#     "typer~=0.29.2",
# ]
# ///
"""Compare the three scripts, in turn, against servers that this program starts itself.

$ python benchmarks/compare.py
A server that answers immediately:
                                 requests    times as fast 24,999 client server
                                    per s      as blocking   take    CPU    CPU
async (aiohttp)     ############   17,266 6.29 (6.05-6.31)  1.4 s    99%    99%
threads (requests)  ##              2,298 0.84 (0.79-0.86)   11 s   102%    29%
blocking (requests) ##              2,756             1.00  9.1 s    76%    27%

A server that takes 100 ms:
                                 requests    times as fast 24,999 client server
                                    per s      as blocking   take    CPU    CPU
async (aiohttp)     ############      308 31.4 (31.3-31.4)   81 s     3%     4%
threads (requests)  ############      308 31.5 (31.2-31.5)   81 s    15%     6%
blocking (requests) #                9.81             1.00 42 min     1%     1%

Medians of 3 rounds, 32 requests in flight or one after another, 2 cores
Python 3.14.7, aiohttp 3.14.5, tqdm 4.70.1, requests 2.34.2, fastapi 0.165.0,
uvicorn 0.54.0, starlette 1.10.0, pydantic 2.14.4, uvloop 0.23.0, httptools
0.9.0

With a server that answers immediately, async (aiohttp) is 6.29 times as fast as
blocking (requests); threads (requests) is 0.84 times as fast as blocking
(requests).
With a server that takes 100 ms, async (aiohttp) is 31.4 times as fast as
blocking (requests); threads (requests) is 31.5 times as fast as blocking
(requests).
In brackets is the library, which differs, too: see "Why" in README.md.
"""

import io
import json
import logging
import math
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import figures
import report
from harness import PROJECT
from harness.client import describe, run_rounds, sized
from harness.environment import describe_environment
from harness.processes import Stopped, stop_on_signals
from harness.results import write_whole
from harness.runs import Case, MeasurementError, Run, ServerSettings
from harness.server import Server, find_server, start_servers

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


Group = Mapping[
    str, Case
]  # the cases of one server, by the NAME of their scripts; the last is the base


@dataclass(frozen=True)
class Comparison:
    """What was measured, in whole rounds, and what it depends on."""

    settings: Settings
    environment: Mapping[str, Any]
    groups: Sequence[Group]
    runs: Sequence[Run]


# -- What the runs say: runs in, text out --------------------------------------------------------


def base_of(group: Group) -> str:
    """Return the name of the script with which the others of a group are compared."""
    return [*group][-1]


def times_as_fast(group: Group, name: str, runs: Sequence[Run]) -> figures.Spread | None:
    """Return a script's requests/s over those of the base; None if a request of either failed."""
    case, base = group[name].name, group[base_of(group)].name
    if any(run.failures for run in runs if run.case in (case, base)):
        return None
    return figures.spread(figures.ratios(runs, case, base, "requests_per_s"))


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> duration(3.62), duration(18.7), duration(2508.0)
    ('3.6 s', '19 s', '42 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def table_of(group: Group, runs: Sequence[Run]) -> str:
    """Return a line for each script, all against one server, with a bar for its requests/s."""
    rows = [
        ["", " " * BAR, "requests", "times as fast", f"{ALL:,}", "client", "server"],
        ["", "", "per s", f"as {base_of(group).partition(' (')[0]}", "take", "CPU", "CPU"],
    ]

    def spread(name: str, field: str) -> figures.Spread | None:
        return figures.spread(figures.values(runs, group[name].name, field))

    rates = {name: spread(name, "requests_per_s") for name in group}
    highest = max(rate.median for rate in rates.values() if rate)
    for name, rate in rates.items():
        times = times_as_fast(group, name, runs)
        rows.append(
            [
                name,
                bar(rate.median / highest if rate and highest else 0),
                report.middle(rate),
                report.middle(times) if name == base_of(group) else report.with_interval(times),
                duration(ALL / rate.median) if rate and rate.median else "-",
                report.middle(spread(name, "client_cpu"), report.percent),
                report.middle(spread(name, "server_cpu"), report.percent),
            ]
        )
    return report.aligned(rows, gap=" ")


def bar(share: float) -> str:
    """Return a bar whose length says what share of the highest rate this one is.

    >>> bar(0.19)
    '###         '
    """
    return ("#" * math.ceil(BAR * share)).ljust(BAR)


def server_clause(settings: Settings, group: Group) -> str:
    """Return what follows "a server", to say which one it is."""
    latency_ms = group[base_of(group)].server.latency_ms
    if settings.url:
        return f"at {settings.url}"
    return f"that takes {latency_ms} ms" if latency_ms else "that answers immediately"


def answer(settings: Settings, group: Group, runs: Sequence[Run]) -> str:
    """Return in one sentence how the scripts compare on one server."""
    base = base_of(group)
    parts = []
    for name in [*group][:-1]:
        times = times_as_fast(group, name, runs)
        if times and times.low <= 1 <= times.high:
            parts.append(f"{name}: no difference shown from {base}")
        elif times:
            parts.append(f"{name} is {report.number(times.median)} times as fast as {base}")
    found = "; ".join(parts) or "there is nothing to compare"
    return textwrap.fill(f"With a server {server_clause(settings, group)}, {found}.", 80)


def conditions(comparison: Comparison) -> list[str]:
    """Return some lines on what the figures depend on."""
    settings, environment = comparison.settings, comparison.environment
    rounds = report.plural(settings.rounds, "round")
    complete = max(run.round for run in comparison.runs)
    if complete < settings.rounds:
        rounds = f"{complete} of {rounds}"
    most = min(settings.concurrency, settings.requests or settings.concurrency)
    in_flight = f"{report.plural(most, 'request')} in flight"
    cores = report.plural(environment["cores"], "core")
    packages = report.versions(all_packages(environment) | environment["server"])
    return [
        f"Medians of {rounds}, {in_flight} or one after another, {cores}",
        textwrap.fill(f"Python {environment['python']}, {packages}", 80),
        *report.failures(comparison.runs),
        *(textwrap.fill(line, 80) for line in report.disturbances(comparison.runs)),
    ]


def all_packages(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of what any of the scripts needs."""
    return {
        name: version
        for packages in environment["clients"].values()
        for name, version in packages.items()
    }


def libraries_differ(environment: Mapping[str, Any]) -> bool:
    """Return whether the scripts are known to use different libraries."""
    clients = [set(packages) - {"tqdm"} for packages in environment["clients"].values()]
    return all(clients) and any(packages != clients[0] for packages in clients)


def text(comparison: Comparison) -> str:
    """Return all that is printed in the end."""
    settings, runs = comparison.settings, comparison.runs
    parts = []
    for group in comparison.groups:
        parts += [f"A server {server_clause(settings, group)}:", table_of(group, runs), ""]
    parts += conditions(comparison)
    if len(comparison.groups[0]) > 1:
        parts += ["", *(answer(settings, group, runs) for group in comparison.groups)]
    if libraries_differ(comparison.environment):
        parts.append('In brackets is the library, which differs, too: see "Why" in README.md.')
    return "\n".join(parts)


def json_text(comparison: Comparison) -> str:
    """Return every run, a summary, and what they depend on, as JSON."""
    runs = comparison.runs
    clients = {}
    summary = []
    for group in comparison.groups:
        for name, case in group.items():
            latency_ms = None if comparison.settings.url else case.server.latency_ms
            clients[case.name] = {"client": name, "latency_ms": latency_ms}
            rate = figures.spread(figures.values(runs, case.name, "requests_per_s"))
            times = times_as_fast(group, name, runs)
            summary.append(
                clients[case.name]
                | {
                    "requests_per_s": rate and rate._asdict(),
                    "times_as_fast": times and times._asdict(),
                }
            )
    fields = [asdict(run) for run in runs]
    for run in fields:
        del run["spans_s"]
    content = {
        "settings": asdict(comparison.settings),
        "environment": comparison.environment,
        "summary": summary,
        "runs": [
            clients[run.pop("case")] | run | {"disturbed": of.disturbed}
            for run, of in zip(fields, runs, strict=True)
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


# -- The command --------------------------------------------------------------------------------


def groups_of(scripts: Sequence[Path], settings: Settings) -> tuple[list[Group], dict[str, Any]]:
    """Return for each server the cases that run against it, and what the scripts depend on.

    A script that can't be loaded is a wrong option, and so are two with the same NAME.
    """
    try:
        found = [(path, describe(Case(path.name, str(path.resolve())))) for path in scripts]
    except MeasurementError as error:
        raise typer.BadParameter(str(error)) from None
    names = [script["name"] for _, script in found]
    if len(set(names)) < len(names):
        raise typer.BadParameter(f"two scripts have the same NAME: {', '.join(names)}")
    groups: list[Group] = [
        {
            script["name"]: Case(
                name=script["name"] if settings.url else f"{script['name']}, {latency_ms} ms",
                script=str(path.resolve()),
                requests=settings.requests,
                concurrency=settings.concurrency if script["has_concurrency"] else None,
                server=ServerSettings(latency_ms=latency_ms),
            )
            for path, script in found
        }
        for latency_ms in settings.latencies_ms or [0]
    ]
    return groups, {script["name"]: script["packages"] for _, script in found}


def start_or_find_servers(
    settings: Settings, cases: Sequence[Case]
) -> AbstractContextManager[Mapping[ServerSettings, Server]]:
    """Give the servers to measure: those that are started here, or the one that runs at a URL."""
    if settings.url:
        return nullcontext({ServerSettings(): find_server(settings.url)})
    return start_servers(cases)


def measure(settings: Settings, cases: Sequence[Case], seed: int) -> Iterator[list[Run]]:
    """Run all cases once a round, and yield each whole round; may raise MeasurementError."""
    log.info("Leave the machine alone meanwhile: other programs change the answer.")
    with start_or_find_servers(settings, cases) as servers:
        cases = [sized(case, servers[case.server], each=10) for case in cases]
        yield from run_rounds(cases, servers, settings.rounds, seed)


def compare(scripts: Sequence[Path], settings: Settings, json_file: Path | None) -> int:
    """Measure, and print what was measured in whole rounds; return the exit code."""
    seed = time.time_ns()
    environment = describe_environment() | {"seed": seed}
    if settings.url:
        environment["server"] = {}
    runs: list[Run] = []
    exit_code = 0
    try:
        groups, environment["clients"] = groups_of(scripts, settings)
        for whole_round in measure(settings, [*(c for g in groups for c in g.values())], seed):
            runs += whole_round
    except MeasurementError as error:
        log.error(error)
        exit_code = 1
    except Stopped as stop:
        log.info("Stopped." if runs else "Stopped before a round was complete: nothing to show.")
        exit_code = int(stop.code or 0)
    if not runs:
        return exit_code
    comparison = Comparison(settings, environment, groups, runs)
    try:
        print(json_text(comparison) if json_file == Path("-") else text(comparison))
    finally:
        if json_file and json_file != Path("-"):
            write_json(json_text(comparison), json_file)
    return exit_code or int(any(run.failures for run in runs))


def write_json(content: str, path: Path) -> None:
    """Write the JSON file whole or not at all; a pipe or a device gets it as it is."""
    if path.exists() and not path.is_file():
        path.write_text(content, encoding="utf-8")
    else:
        write_whole(path.resolve(), content)


def writable(path: Path | None) -> Path | None:
    """Return a path to write to; refuse one where nothing can be written."""
    if path and path != Path("-"):
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder")
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            raise typer.BadParameter(f"{path} can't be written")
    return path


def address(url: str | None) -> str | None:
    """Return a URL without a slash at its end; refuse an empty one."""
    if url == "":
        raise typer.BadParameter("it is empty")
    return url and url.rstrip("/")


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
        typer.Option(
            min=0,
            max=9_999,  # the scripts wait for 10 s
            help="Measure one server that takes so long, instead of 0 and 100 ms.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(callback=address, help="Measure the server at this address, and start none."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            callback=writable,
            help="Write all runs as JSON to this file, or to stdout (-) instead of the table.",
        ),
    ] = None,
) -> None:
    """Compare the async, the thread and the blocking script, or any scripts of their shape."""
    if url and latency_ms is not None:
        raise typer.BadParameter("--url and --latency-ms exclude each other")
    latencies_ms = LATENCIES_MS if latency_ms is None else [latency_ms]
    settings = Settings(requests, concurrency, rounds, None if url else latencies_ms, url)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for names and failures in any language
    stop_on_signals()
    sys.exit(compare(scripts or SCRIPTS, settings, json_file))


if __name__ == "__main__":
    app()
