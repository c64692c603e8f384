"""Measure the claims of RESULTS.md on this machine, and publish what was measured.

$ python benchmarks/study.py list
$ python benchmarks/study.py run latency forms

Each study runs its cases in turn, once a round, against servers of its own. It prints its table,
and writes every run to benchmarks/results-here/. The documents stay as they are until `publish`.
"""

import logging
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

import charts
import figures
import report
from claims import CLAIMS, Claim
from harness import BENCHMARKS, PROJECT
from harness.client import run_in_turn
from harness.environment import describe_environment
from harness.processes import Stopped, stop_on_signals
from harness.results import Result, load, save, write_whole
from harness.runs import Case, MeasurementError, Run
from harness.server import start_servers

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


def measure(claim: Claim, folder: Path) -> None:
    """Run a study, print its table, and write its runs to a folder.

    If something stops it, the rounds that are complete are kept.
    """
    cases = available_cases(claim)
    if not cases:
        return
    libraries = {case.library: None for case in cases} | {"fastapi": None, "uvicorn": None}
    environment = describe_environment([*libraries])
    runs: list[Run] = []
    try:
        with start_servers(cases) as servers:
            for run in run_in_turn(cases, servers, claim.rounds):
                runs.append(run)
                log.info(report.run_line(run, f"{claim.name}, round {run.round} of {claim.rounds}"))
    finally:
        runs = figures.whole_rounds(runs, len(cases))
        if runs:
            rounds = len(runs) // len(cases)
            keep(claim, Result(claim.name, rounds, environment, cases, runs), folder)


def available_cases(claim: Claim) -> list[Case]:
    """Return the cases that can run here; log which of the others are left out, and why."""
    obstacles = {
        case.name: obstacle(case.python or sys.executable, case.library) for case in claim.cases
    }
    for reason in dict.fromkeys(filter(None, obstacles.values())):
        names = [name for name, why_not in obstacles.items() if why_not == reason]
        log.warning(f"{claim.name}: {reason}. Left out: {'; '.join(names)}")
    return [case for case in claim.cases if not obstacles[case.name]]


@cache
def obstacle(python: str, library: str) -> str:
    """Return why a Python can't run a client with this library, or nothing."""
    if not shutil.which(python):
        return f"{python} is not on PATH"
    command = [python, "-E", "-c", f"import {library}, requests, tqdm"]
    imports = subprocess.run(command, capture_output=True, text=True, check=False)
    if imports.returncode == 0:
        return ""
    last_line = imports.stderr.strip().rpartition("\n")[2]
    return f"{python} can't import {library}: {last_line}"


def keep(claim: Claim, result: Result, folder: Path) -> None:
    """Print the table of a result, and write its runs, even if the table can't be printed."""
    path = folder / f"{claim.name}.json"
    try:
        print(f"\n{claim.name}: {report.plural(result.rounds, 'round')} of {claim.rounds}\n")
        print(report.aligned(report.table(claim.columns, result.cases, result.runs)))
        print("\n".join(report.failures(result.cases, result.runs)))
        print(f"The published claim, which this may confirm or refute: {claim.statement}")
        print(f"All runs: {path}")
    finally:
        folder.mkdir(exist_ok=True)
        save(result, path)


def measure_all(claims: Sequence[Claim], folder: Path) -> int:
    """Run some studies; return the exit code."""
    stop_on_signals()
    try:
        for claim in claims:
            measure(claim, folder)
    except MeasurementError as error:
        log.error(error)
        return 1
    except Stopped as stop:
        return stop.exit_code
    return 0


def quickened(claims: Sequence[Claim]) -> Iterator[Claim]:
    """Yield the claims with one round of short runs, and each kind of case only once."""
    seen: set[tuple[object, ...]] = set()
    for claim in claims:
        kinds = {
            (case.script, case.method, case.replacement, case.python, case.path, case.server): case
            for case in claim.cases
        }
        # A claim without a new kind runs its first case, so that its table is tested, too.
        cases = [case for kind, case in kinds.items() if kind not in seen] or claim.cases[:1]
        seen.update(kinds)
        yield replace(claim, cases=[quick_case(case) for case in cases], rounds=1)


def quick_case(case: Case) -> Case:
    """Return a case with few requests."""
    concurrency = min(4, case.concurrency) if case.concurrency else None
    return replace(case, requests=min(20, case.requests), concurrency=concurrency)


# -- Publishing ---------------------------------------------------------------------------------


def load_all(folder: Path) -> dict[str, Result]:
    """Read the results of all claims, by their names."""
    return {claim.name: load(folder / f"{claim.name}.json") for claim in CLAIMS}


def blocks(results: Mapping[str, Result]) -> dict[str, str]:
    """Return all that is generated into the documents, by the names of its markers."""
    statements = [f"- [{claim.statement}](#{claim.name})" for claim in CLAIMS]
    found = {
        "statements": "\n".join(statements),
        "machine": report.machine(results["headline"].environment),
    }
    for claim in CLAIMS:
        found[f"statement of {claim.name}"] = f"**{claim.statement}**"
        found[f"table of {claim.name}"] = report.folded_table(claim.columns, results[claim.name])
    return found


def rendered_documents() -> dict[Path, str]:
    """Return what the documents have to be."""
    generated = blocks(load_all(PUBLISHED))
    return {path: report.fill(path.read_text(encoding="utf-8"), generated) for path in DOCUMENTS}


def differences() -> list[Path]:
    """Return the documents and pictures that are not what the published results make of them."""
    different = [
        path
        for path, text in rendered_documents().items()
        if path.read_text(encoding="utf-8") != text
    ]
    with tempfile.TemporaryDirectory() as folder:
        for picture in charts.pictures(load_all(PUBLISHED), Path(folder)):
            published = PUBLISHED / picture.name
            if not published.exists() or texts_in(published) != texts_in(picture):
                different.append(published)
    return different


def texts_in(picture: Path) -> list[str]:
    """Return the texts in an SVG picture; another release of matplotlib changes its lines."""
    return [
        "".join(element.itertext()) for element in ET.parse(picture).iter() if "text" in element.tag
    ]


def mentions(claim: Claim) -> Iterator[str]:
    """Yield where the documents speak of a claim: its section, and each line with a link to it."""
    for path in DOCUMENTS:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            if line == f"## {claim.name}" or f"#{claim.name})" in line:
                yield f"{path.relative_to(PROJECT)}:{number}: {line}"


# -- The command --------------------------------------------------------------------------------


def known(names: list[str] | None) -> list[str]:
    """Return the names of studies, or of all without a name; refuse unknown ones."""
    all_names = [claim.name for claim in CLAIMS]
    unknown = [name for name in names or [] if name not in all_names]
    if unknown:
        text = f"no study is called {', '.join(unknown)}. Choose from {', '.join(all_names)}."
        raise typer.BadParameter(text)
    return names or all_names


Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="The studies, or all of them.")
]


def chosen(names: list[str] | None) -> list[Claim]:
    """Return the claims with these names."""
    return [claim for claim in CLAIMS if claim.name in known(names)]


def minutes(claim: Claim) -> float:
    """Return how long the published runs of a study took."""
    path = PUBLISHED / f"{claim.name}.json"
    return sum(run.process_s for run in load(path).runs) / 60 if path.exists() else 0


@app.command("list")
def list_claims() -> None:
    """Name the studies, how long each took where it was published, and what it claims."""
    for claim in CLAIMS:
        print(f"{claim.name:12} {minutes(claim):4.1f} min  {claim.statement}")


@app.command()
def run(names: Names = None) -> None:
    """Measure: print the tables, and write all runs to results-here/."""
    claims = chosen(names)
    log.info(f"About {sum(map(minutes, claims)):.0f} min. Leave the machine alone meanwhile.")
    sys.exit(measure_all(claims, MEASURED_HERE))


@app.command()
def quick() -> None:
    """Run everything once and briefly, and keep nothing: a test of the studies."""
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure_all([*quickened(CLAIMS)], Path(folder)))


@app.command()
def publish(names: Names = None) -> None:
    """Copy what was measured here to results/, and render; refuse a study that lacks rounds."""
    measured = [c for c in chosen(names) if (MEASURED_HERE / f"{c.name}.json").exists()]
    if not measured:
        sys.exit(f"Nothing to publish: none of these studies was measured in {MEASURED_HERE}.")
    for claim in measured:
        result = load(MEASURED_HERE / f"{claim.name}.json")
        if result.rounds < claim.rounds or len(result.cases) < len(claim.cases):
            sys.exit(
                f"Nothing published: {claim.name} has {result.rounds} of {claim.rounds} rounds "
                f"and {len(result.cases)} of {len(claim.cases)} cases."
            )
    for claim in measured:
        shutil.copy(MEASURED_HERE / f"{claim.name}.json", PUBLISHED)
    render()
    for claim in measured:
        print(f"Published: {claim.name}. Compare its table with these lines, and with its")
        print(f"statement in claims.py: {claim.statement}")
        print("\n".join(mentions(claim)))


@app.command()
def render() -> None:
    """Write the tables and pictures of results/ into the documents."""
    for path, text in rendered_documents().items():
        write_whole(path, text)
    charts.pictures(load_all(PUBLISHED), PUBLISHED)


@app.command()
def check() -> None:
    """Fail if a document, or a text in a picture, is not what `render` makes of results/."""
    different = differences()
    for path in different:
        print(f"{path} is out of date. Run: python benchmarks/study.py render")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app()
