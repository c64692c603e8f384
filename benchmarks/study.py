"""Measure the claims of RESULTS.md on this machine, or publish what was measured.

$ python benchmarks/study.py --list
$ python benchmarks/study.py latency forms

Each study runs its cases in turn, once a round, against servers of its own. It writes every run
to benchmarks/results-here/ and prints the tables. The documents stay as they are.
"""

import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

try:
    import typer

    import charts
    import figures
    import report
    from claims import CLAIMS, Claim
    from harness.client import is_available, run_in_turn
    from harness.environment import describe_environment, require
    from harness.processes import Stopped, stop_on_signals
    from harness.results import Result, load, save
    from harness.runs import Case, MeasurementError, Run
    from harness.server import start_servers
except ModuleNotFoundError as error:
    requirements = Path(__file__).with_name("requirements-study.txt")
    command = f"{sys.executable} -m pip install -r {requirements}"
    sys.exit(f"Not installed: {error.name}. Run: {command}")

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
PUBLISHED = BENCHMARKS / "results"
SECOND_MACHINE = BENCHMARKS / "results-second"
MEASURED_HERE = BENCHMARKS / "results-here"
DOCUMENTS = (Path("README.md"), Path("benchmarks/RESULTS.md"))
SCRIPT_LIBRARIES = ["aiohttp", "requests", "fastapi", "uvicorn"]
OTHER_LIBRARIES = ["httpx2", "pycurl", "pyreqwest", "urllib3", "uvloop"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


# -- Measuring ----------------------------------------------------------------------------------


def measure(claim: Claim, folder: Path) -> None:
    """Run a study, write its runs to a folder and print its tables.

    If something stops it, the rounds that are complete are kept.
    """
    cases = available_cases(claim)
    if not cases:
        return
    libraries = [library for library in OTHER_LIBRARIES if library in {c.library for c in cases}]
    environment = describe_environment(SCRIPT_LIBRARIES + libraries)
    runs: list[Run] = []
    try:
        with start_servers(cases) as servers:
            for run in run_in_turn(cases, servers, claim.rounds):
                runs.append(run)
                print(f"{claim.name}, {report.run_line(run, claim.rounds)}", file=sys.stderr)
    finally:
        runs = figures.whole_rounds(runs, len(cases))
        if runs:
            rounds = len(runs) // len(cases)
            keep(claim, Result(claim.name, rounds, environment, cases, runs), folder)


def available_cases(claim: Claim) -> list[Case]:
    """Return the cases whose library or program is installed; name the others on stderr."""
    missing = [case for case in claim.cases if not is_available(case)]
    if missing:
        names = ", ".join(case.name for case in missing)
        print(f"{claim.name}: not installed, so not measured: {names}", file=sys.stderr)
    return [case for case in claim.cases if case not in missing]


def keep(claim: Claim, result: Result, folder: Path) -> None:
    """Write a result, and print its tables."""
    path = folder / f"{claim.name}.json"
    save(result, summary(result), path)
    if result.rounds < claim.rounds:
        print(f"{result.rounds} of {claim.rounds} rounds are kept in {path}.", file=sys.stderr)
    print(f"\n{claim.statement}\n")
    for columns in claim.tables:
        print(report.table(columns, result.cases, result.runs), end="\n\n")


def summary(result: Result) -> dict[str, Any]:
    """Return the throughput of each case: the median, the least and the greatest."""
    return {
        case.name: {
            "requests_per_s": figures.median_and_range(
                [figures.throughput(run) for run in figures.runs_of(result.runs, case.name)]
            )._asdict()
        }
        for case in result.cases
    }


def quickened(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims with one round of short runs, and each client on each server only once."""
    seen = set()
    quick = []
    for claim in claims:
        cases = []
        for case in claim.cases:
            kind = (case.client, case.server)
            if kind not in seen:
                seen.add(kind)
                cases.append(quick_case(case))
        # A claim without a new kind runs its first case, so that its tables are tested, too.
        cases = cases or [quick_case(claim.cases[0])]
        quick.append(replace(claim, cases=cases, rounds=1))
    return quick


def quick_case(case: Case) -> Case:
    """Return a case with few requests."""
    concurrency = min(4, case.concurrency) if case.concurrency else None
    return replace(case, requests=min(20, case.requests), concurrency=concurrency)


# -- Publishing ---------------------------------------------------------------------------------


def load_all(folder: Path) -> dict[str, Result]:
    """Read the results of all claims, by their names."""
    return {claim.name: load(folder / f"{claim.name}.json") for claim in CLAIMS}


def blocks(results: Mapping[str, Result], second: Mapping[str, Result]) -> dict[str, str]:
    """Return all that is generated into the documents, by the names of its markers.

    It takes the results of the machine that the documents speak of, and those of a second one.
    """
    statements = [f"- [{claim.statement}](#{claim.name})" for claim in CLAIMS]
    headline = results["headline"]
    found = {
        "statements": "\n".join(statements),
        "machine": report.machine(headline.environment),
        "second machine": report.machine(second["headline"].environment),
        "two machines": two_machines(results, second),
        "headline in short": report.table(
            ["requests/s", "times as fast", "client CPU", "server CPU"],
            [case for case in headline.cases if not case.server.access_log],
            headline.runs,
        ),
    }
    for claim in CLAIMS:
        found[f"statement of {claim.name}"] = f"**{claim.statement}**"
        found[f"tables of {claim.name}"] = "\n\n".join(
            report.folded_tables(claim.tables, machine[claim.name]) for machine in (results, second)
        )
    return found


def two_machines(first: Mapping[str, Result], second: Mapping[str, Result]) -> str:
    """Return a table that compares the ratios of the key cases on two machines."""
    times_as_fast = report.COLUMNS["times as fast"]
    machines = (first, second)
    rows = []
    for claim in CLAIMS:
        cases = {case.name: case for case in claim.cases}
        for name in claim.key_cases:
            ratios = [times_as_fast(cases[name], machine[claim.name].runs) for machine in machines]
            rows.append([f"[{claim.name}](#{claim.name}): {name}", *ratios])
    cpus = [str(machine["headline"].environment["cpu"]) for machine in machines]
    return report.markdown_table(["times as fast", *cpus], rows)


def rendered_documents() -> dict[Path, str]:
    """Return what the documents have to be, by their paths in the project."""
    generated = blocks(load_all(PUBLISHED), load_all(SECOND_MACHINE))
    return {
        path: report.fill((ROOT / path).read_text(encoding="utf-8"), generated)
        for path in DOCUMENTS
    }


def render() -> None:
    """Write the tables and pictures of the published results into the documents."""
    for path, text in rendered_documents().items():
        (ROOT / path).write_text(text, encoding="utf-8")
    charts.pictures(load_all(PUBLISHED), PUBLISHED)


def differences() -> list[Path]:
    """Return the documents and pictures that are not what the published results make of them."""
    different = [
        path
        for path, text in rendered_documents().items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    with tempfile.TemporaryDirectory() as folder:
        for picture in charts.pictures(load_all(PUBLISHED), Path(folder)):
            published = PUBLISHED / picture.name
            if not published.exists() or texts_in(published) != texts_in(picture):
                different.append(published.relative_to(ROOT))
    return different


def texts_in(picture: Path) -> list[str]:
    """Return the texts in an SVG picture; another release of matplotlib changes its lines."""
    return [
        "".join(element.itertext()) for element in ET.parse(picture).iter() if "text" in element.tag
    ]


def path_here(claim: Claim) -> Path:
    """Return the file with the runs that were measured here."""
    return MEASURED_HERE / f"{claim.name}.json"


def publish(claims: Sequence[Claim]) -> None:
    """Copy what was measured here to the published results, and render the documents.

    A study that was stopped before its last round is not published.
    """
    measured = [claim for claim in claims if path_here(claim).exists()]
    if not measured:
        sys.exit(f"Nothing to publish: none of these studies was measured in {MEASURED_HERE}.")
    for claim in measured:
        rounds = load(path_here(claim)).rounds
        if rounds < claim.rounds:
            sys.exit(f"Nothing published: {claim.name} has {rounds} of {claim.rounds} rounds.")
    for claim in measured:
        names = [case.name for case in load(path_here(claim)).cases]
        missing = [case.name for case in claim.cases if case.name not in names]
        without = f", without {', '.join(missing)}" if missing else ""
        print(f"Published: {claim.name}{without}")
        shutil.copy(path_here(claim), PUBLISHED)
    absent = [claim.name for claim in claims if claim not in measured]
    if absent:
        print(f"Not measured here: {', '.join(absent)}", file=sys.stderr)
    render()


# -- The command --------------------------------------------------------------------------------


def chosen(names: Sequence[str]) -> list[Claim]:
    """Return the claims with these names, or all of them without a name."""
    known = [claim.name for claim in CLAIMS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"no study is called {', '.join(unknown)}. Choose from {', '.join(known)}.",
            param_hint="NAME",
        )
    return [claim for claim in CLAIMS if not names or claim.name in names]


def check_options(names: Sequence[str], **modes: bool) -> None:
    """Refuse what typer allows, but what says two things."""
    wanted = [f"--{mode}" for mode, on in modes.items() if on]
    if len(wanted) > 1:
        raise typer.BadParameter("use only one of them.", param_hint=" and ".join(wanted))
    if names and wanted in (["--render"], ["--check"]):
        raise typer.BadParameter("it takes no NAME, but all studies.", param_hint=wanted[0])


def measure_all(claims: Sequence[Claim], folder: Path) -> int:
    """Run some studies; return the exit code."""
    require([*SCRIPT_LIBRARIES, "tqdm"], "requirements-study.txt")
    stop_on_signals()
    try:
        for claim in claims:
            measure(claim, folder)
    except MeasurementError as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped as stop:
        print("Stopped.", file=sys.stderr)
        return stop.exit_code
    return 0


def check() -> int:
    """Name each document or picture that is not what the results make of it."""
    different = differences()
    for path in different:
        print(f"{path} is out of date. Run: python benchmarks/study.py --render")
    return int(bool(different))


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The studies to run, or all.")
    ] = None,
    list_claims: Annotated[
        bool, typer.Option("--list", help="Name the studies and what each of them claims.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run everything once and briefly, and keep nothing.")
    ] = False,
    publish_results: Annotated[
        bool, typer.Option("--publish", help="Publish what was measured here in the documents.")
    ] = False,
    render_documents: Annotated[
        bool, typer.Option("--render", help="Render the documents from the published runs.")
    ] = False,
    check_documents: Annotated[
        bool,
        typer.Option("--check", help="Fail if a document, or a text in a picture, is out of date."),
    ] = False,
) -> None:
    """Measure the claims of RESULTS.md on this machine, or publish what was measured."""
    claims = chosen(names or [])
    check_options(
        names or [],
        list=list_claims,
        quick=quick,
        publish=publish_results,
        render=render_documents,
        check=check_documents,
    )
    if list_claims:
        for claim in claims:
            print(f"{claim.name:12} {claim.statement}")
    elif publish_results:
        publish(claims)
    elif render_documents:
        render()
    elif check_documents:
        sys.exit(check())
    elif quick:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(measure_all(quickened(claims), Path(folder)))
    else:
        MEASURED_HERE.mkdir(exist_ok=True)
        sys.exit(measure_all(claims, MEASURED_HERE))


if __name__ == "__main__":
    app()
