"""Measure the claims of RESULTS.md on this machine, and publish what was measured.

$ python benchmarks/study.py list
$ python benchmarks/study.py run library forms

A measurement runs the cases of some claims, each once a round, in an order that is shuffled anew. It
prints their tables and writes every run to benchmarks/results-here/. The documents stay as they
are until `publish`.
"""

import io
import logging
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import charts
import figures
import report
from claims import CLAIMS, ROUNDS, Claim, cases_of
from harness import BENCHMARKS, PROJECT
from harness.client import describe, run_rounds, sized
from harness.environment import describe_environment, speed_of_two
from harness.processes import Stopped, stop_on_signals
from harness.results import Result, load, load_all, save, write_whole
from harness.runs import Case, MeasurementError, Run
from harness.server import start_servers
from quotes import quote

PUBLISHED = BENCHMARKS / "results"
MEASURED_HERE = BENCHMARKS / "results-here"
DOCUMENTS = (PROJECT / "README.md", BENCHMARKS / "RESULTS.md")

log = logging.getLogger("study")
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure the claims of RESULTS.md on this machine, and publish what was measured.",
)


# -- Measuring ----------------------------------------------------------------------------------


def measure(claims: Sequence[Claim], declared: Sequence[Case], rounds: int, folder: Path) -> int:
    """Run some cases, print the tables of the claims, and write all runs; return the exit code.

    If something stops it, the rounds that are complete are kept.
    """
    stop_on_signals()
    cases, clients = available(declared)
    seed = time.time_ns()
    environment = describe_environment() | {"clients": clients, "seed": seed}
    environment["speed_of_two"] = speed_of_two()
    runs: list[Run] = []
    exit_code = 0
    try:
        with start_servers(cases) as servers:
            fitting = [sized(case, servers[case.server], each=20) for case in cases]
            for whole_round in run_rounds(fitting, servers, rounds, seed):
                runs += whole_round
    except MeasurementError as error:
        log.error(error)
        exit_code = 1
    except Stopped as stop:
        exit_code = int(stop.code or 0)
    if not runs:
        log.error("Nothing was measured.")
        return exit_code or 1
    try:
        print_tables(claims, runs)
    finally:
        folder.mkdir(exist_ok=True)
        path = folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}.json"
        save(Result(environment, cases, runs), path)
    print(f"All runs: {path}")
    return exit_code or int(any(run.failures for run in runs))


def available(cases: Sequence[Case]) -> tuple[list[Case], dict[str, Any]]:
    """Return the cases that can run here, and for each Python its version, build and packages.

    Log which of the others are left out, and why.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    obstacles: dict[tuple[str, ...], str] = {}
    clients: dict[str, Any] = {}
    able = []
    for case in cases:
        kind = (case.python, case.script, case.replacement, case.library)
        if kind not in found and kind not in obstacles:
            try:
                found[kind] = describe(replace(case, name=case.python or case.script))
            except (MeasurementError, OSError) as error:  # OSError: there is no such Python
                obstacles[kind] = str(error)
        if kind in obstacles:
            log.warning(f"Left out: {case.name} ({obstacles[kind]})")
            continue
        able.append(case)
        client = clients.setdefault(
            case.python or "the same Python",
            {"python": found[kind]["python"], "build": found[kind]["build"], "packages": {}},
        )
        client["packages"] |= found[kind]["packages"]
    return able, clients


def print_tables(claims: Sequence[Claim], runs: Sequence[Run]) -> None:
    """Print what some runs say of some claims."""
    for claim in claims:
        rounds = report.plural(max(run.round for run in runs), "round")
        print(f"\n{claim.name}: {rounds}\n")
        print(report.aligned(report.table(claim.columns, claim.rows, runs)))
        print(f"The published claim, which this may confirm or refute: {claim.statement}")
    print("\n".join(["", *report.failures(runs), *report.disturbances(runs)]))


def quickened(case: Case) -> Case:
    """Return a case with few requests."""
    in_flight = min(4, case.concurrency) if case.concurrency else None
    return replace(case, requests=min(12, case.requests or 12), concurrency=in_flight)


# -- Publishing ---------------------------------------------------------------------------------


def text_of(name: str, results: Sequence[Result]) -> str:
    """Return what stands in a document behind the marker of this name."""
    runs = all_runs(results)
    kind, _, claim_name = name.rpartition(" of ")
    claims = {claim.name: claim for claim in CLAIMS}
    if name == "statements":
        return "\n".join(f"- [{claim.statement}](#{claim.name})" for claim in CLAIMS)
    if name == "measurements":
        return "\n".join(map(measurement, results))
    if name.startswith("printed by "):
        path = PUBLISHED / "printed" / f"{name.removeprefix('printed by ')}.txt"
        return f"```\n{path.read_text(encoding='utf-8').strip()}\n```"
    if kind == "statement":
        return f"**{claims[claim_name].statement}**"
    if kind == "table":
        return folded_table(claims[claim_name], runs)
    return quote(name, runs)


def measurement(result: Result) -> str:
    """Return on one line when and where a result was measured."""
    environment = result.environment
    rounds = report.plural(len({run.round for run in result.runs}), "round")
    disturbed = sum(run.disturbed for run in result.runs)
    clients = ", ".join(
        f"{'' if name == 'the same Python' else f'`{name}`: '}Python {client['python']}"
        f" (`{client['build'] or 'unknown flags'}`)"
        for name, client in environment["clients"].items()
    )
    packages: dict[str, str] = dict(environment["server"])
    for client in environment["clients"].values():
        packages |= client["packages"]
    return (
        f"- {environment['date']}, {rounds} of {report.plural(len(result.cases), 'case')},"
        f" {disturbed} of {report.plural(len(result.runs), 'run')} beside busy other programs."
        f" {report.machine(environment)}; each of two busy processes is"
        f" {environment['speed_of_two']} times as fast as one alone. {clients}."
        f" {report.versions(packages)}."
    )


def folded_table(claim: Claim, runs: Sequence[Run]) -> str:
    """Return the table of a claim, to be unfolded by a click."""
    command = f"<code>python benchmarks/study.py run {claim.name}</code>"
    shown = {case.name for case in cases_of([claim])}
    own = [run for run in runs if run.case in shown]
    rounds = sorted(Counter(run.case for run in own).values())  # a case runs once a round
    often = " to ".join(dict.fromkeys(map(str, (rounds[0], rounds[-1]))))
    summary = f"<summary>{command}, rounds: {often}</summary>"
    rows = report.markdown(report.table(claim.columns, claim.rows, own))
    return "\n\n".join(["<details>", summary, rows, *report.failures(own), "</details>"])


def rendered_documents(results: Sequence[Result]) -> dict[Path, str]:
    """Return what the documents have to be."""
    fill = partial(text_of, results=results)
    return {path: report.fill(path.read_text(encoding="utf-8"), fill) for path in DOCUMENTS}


def differences() -> list[Path]:
    """Return the documents and pictures that are not what the published results make of them."""
    results = load_all(PUBLISHED)
    different = [
        path
        for path, text in rendered_documents(results).items()
        if path.read_text(encoding="utf-8") != text
    ]
    with tempfile.TemporaryDirectory() as folder:
        for picture in charts.pictures(all_runs(results), Path(folder)):
            published = PUBLISHED / picture.name
            if not published.exists() or texts_in(published) != texts_in(picture):
                different.append(published)
    return different


def all_runs(results: Sequence[Result]) -> list[Run]:
    """Return the runs of all results."""
    return [run for result in results for run in result.runs]


def texts_in(picture: Path) -> list[str]:
    """Return the texts in an SVG picture; another release of matplotlib changes its lines."""
    return [
        "".join(element.itertext()) for element in ET.parse(picture).iter() if "text" in element.tag
    ]


def undeclared(result: Result) -> list[str]:
    """Return the names of the cases of a result that are not as claims.py declares them."""
    declared: Mapping[str, Case] = {case.name: case for case in cases_of(CLAIMS)}
    return [case.name for case in result.cases if declared.get(case.name) != case]


# -- The command --------------------------------------------------------------------------------


def chosen(names: list[str] | None) -> list[Claim]:
    """Return the claims with these names, or all without a name; refuse unknown ones."""
    claims = {claim.name: claim for claim in CLAIMS}
    unknown = [name for name in names or [] if name not in claims]
    if unknown:
        text = f"no study is called {', '.join(unknown)}. Choose from {', '.join(claims)}."
        raise typer.BadParameter(text)
    return [claims[name] for name in names or claims]


def minutes_a_round(cases: Sequence[Case]) -> float:
    """Return how long a round of some cases took where it was published."""
    runs = all_runs(load_all(PUBLISHED))
    spreads = [figures.spread(figures.values(runs, case.name, "process_s")) for case in cases]
    return sum(spread.median for spread in spreads if spread) / 60


@app.command("list")
def list_claims() -> None:
    """Name the studies, how long a round of each takes, and what it claims."""
    for claim in CLAIMS:
        print(f"{claim.name:10} {minutes_a_round(cases_of([claim])):4.1f} min  {claim.statement}")


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The studies, or all of them.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each case runs.")] = ROUNDS,
) -> None:
    """Measure: print the tables, and write all runs to results-here/."""
    claims = chosen(names)
    cases = cases_of(claims)
    minutes = (rounds + 1) * minutes_a_round(cases)
    log.info(f"About {minutes:.0f} min. Leave the machine alone meanwhile.")
    sys.exit(measure(claims, cases, rounds, MEASURED_HERE))


@app.command()
def quick() -> None:
    """Run everything once and briefly, and keep nothing: a test of the studies."""
    cases = [quickened(case) for case in cases_of(CLAIMS)]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure(CLAIMS, cases, 1, Path(folder)))


@app.command()
def publish() -> None:
    """Copy what was measured here to results/, and render; refuse what claims.py does not declare."""
    measured = sorted(MEASURED_HERE.glob("*.json"))
    paths = [path for path in measured if not (PUBLISHED / path.name).exists()]
    if not paths:
        sys.exit(f"Nothing to publish: nothing new was measured in {MEASURED_HERE}.")
    for path in paths:
        names = undeclared(load(path))
        if names:
            sys.exit(f"Nothing published: {path.name} has other cases: {', '.join(names)}")
    for path in paths:
        shutil.copy(path, PUBLISHED)
        print(f"Published: {path.name}. Now read the sentences around the new figures.")
    render()


@app.command()
def render() -> None:
    """Write the figures, tables and pictures of results/ into the documents."""
    results = load_all(PUBLISHED)
    for path, text in rendered_documents(results).items():
        write_whole(path, text)
    charts.pictures(all_runs(results), PUBLISHED)


@app.command()
def check() -> None:
    """Fail if a document, or a text in a picture, is not what `render` makes of results/."""
    different = differences()
    for path in different:
        print(f"{path} is out of date. Run: python benchmarks/study.py render")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for failures in any language
    app()
