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
"""Compare the three scripts, each in turn, against a server that this program starts itself.

$ python benchmarks/compare.py
                   async (aiohttp)   threads (requests)  blocking (requests)
elapsed, s        3.59 (3.58-3.64)     19.4 (18.5-20.0)     18.8 (18.1-19.8)
requests/s     6,970 (6,865-6,992)  1,289 (1,251-1,348)  1,326 (1,260-1,380)
times as fast     5.3 (5.1 to 5.4)  0.98 (0.97 to 0.99)                 1.00
p50, ms           3.50 (3.46-3.55)     21.2 (20.3-21.6)     0.73 (0.72-0.74)
p99, ms           7.48 (7.27-7.61)     73.2 (71.3-77.3)     1.04 (0.82-1.17)
max, ms           11.5 (10.6-14.8)        150 (138-189)     4.94 (4.94-5.00)
client CPU          99% (99%-100%)      100% (99%-100%)        79% (77%-79%)
server CPU                    100%        30% (30%-31%)        28% (28%-30%)
failed                           0                    0                    0

3 rounds, 24,999 requests, 32 in flight, 2 cores, 0 ms latency, 1 worker
Python 3.11.7, aiohttp 3.14.5, requests 2.34.2, fastapi 0.165.0, uvicorn 0.54.0

async was 5.3 (5.1 to 5.4) times as fast as blocking, threads 0.98 (0.97 to 0.99).
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

try:
    import typer
    from rich.console import Console
    from rich.table import Table

    import figures
    import report
    from harness.client import TIMEOUT, run_in_turn
    from harness.environment import (
        CLIENT_LIBRARIES,
        SERVER_LIBRARIES,
        describe_environment,
        require,
    )
    from harness.processes import Stopped, stop_on_signals
    from harness.runs import (
        ASYNC,
        BLOCKING,
        THREADS,
        Case,
        MeasurementError,
        Run,
        ServerSettings,
    )
    from harness.server import Server, is_up, start_servers
except ModuleNotFoundError as error:
    requirements = Path(__file__).with_name("requirements.txt")
    command = f"{sys.executable} -m pip install -r {requirements}"
    sys.exit(f"Not installed: {error.name}. Run: {command}")

CLIENTS = (ASYNC, THREADS, BLOCKING)
TOO_SHORT = 0.5  # seconds; in a shorter run, the start distorts the figures
BUSY = 0.75  # of a core; on an idle machine, client or server uses more

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Settings:
    """What the options say."""

    requests: int
    concurrency: int
    rounds: int
    latency_ms: int | None  # None with --url; so is workers
    workers: int | None
    url: str | None


@dataclass(frozen=True)
class Comparison:
    """What was measured, in whole rounds, and what it depends on."""

    settings: Settings
    environment: dict[str, Any]
    runs: list[Run]

    @property
    def rounds_complete(self) -> int:
        """How many rounds there are."""
        return len(self.runs) // len(CLIENTS)


# -- What the runs say: runs in, text out --------------------------------------------------------


def spread(measure: figures.Measure, runs: Sequence[Run], client: str) -> figures.Spread:
    """Return a measure of a client, with the least and the greatest over the rounds."""
    return figures.median_and_range([measure(run) for run in figures.runs_of(runs, client)])


def times_as_fast(runs: Sequence[Run], client: str) -> figures.Spread:
    """Return how many times as many ok answers a second a client got as blocking."""
    ratios = figures.ratios(runs, client, BLOCKING.name, figures.throughput)
    return figures.median_and_range(ratios)


def failures(runs: Sequence[Run], client: str) -> Counter[str]:
    """Return how many requests of a client failed in which way, over all rounds."""
    kinds: Counter[str] = Counter()
    for run in figures.runs_of(runs, client):
        kinds.update(run.failures)
    return kinds


class Figure(NamedTuple):
    """A figure of the comparison: a row of the table, and a name in the JSON file."""

    label: str
    name: str
    measure: Callable[[Sequence[Run], str], figures.Spread]  # from all runs and a client's name
    text: Callable[[figures.Spread], str] = report.with_range


percent = partial(report.with_range, form=report.percent)

FIGURES = (
    Figure("elapsed, s", "elapsed_s", partial(spread, figures.elapsed_s)),
    Figure("requests/s", "requests_per_s", partial(spread, figures.throughput)),
    Figure("times as fast", "times_as_fast_as_blocking", times_as_fast, report.times),
    Figure("p50, ms", "p50_ms", partial(spread, figures.p50_ms)),
    Figure("p99, ms", "p99_ms", partial(spread, figures.p99_ms)),
    Figure("max, ms", "max_ms", partial(spread, figures.max_ms)),
    Figure("client CPU", "client_cpu_share", partial(spread, figures.client_share), percent),
    Figure("server CPU", "server_cpu_share", partial(spread, figures.server_share), percent),
)


def table_rows(runs: Sequence[Run]) -> list[list[str]]:
    """Return the rows of the table: what a figure is called, and the figure of each client."""
    names = [client.name for client in CLIENTS]
    rows = [
        [figure.label, *(figure.text(figure.measure(runs, name)) for name in names)]
        for figure in FIGURES
    ]
    failed = [f"{failures(runs, name).total():,}" for name in names]
    return [*rows, ["failed", *failed]]


def plain_table(runs: Sequence[Run]) -> str:
    """Return the table in plain text: a column a client, a row a figure."""
    table = Table(box=None, pad_edge=False, header_style="")
    table.add_column("")
    for client in CLIENTS:
        table.add_column(client.name, justify="right", no_wrap=True)
    for row in table_rows(runs):
        table.add_row(*row)
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def markdown_table(runs: Sequence[Run]) -> str:
    """Return the table in Markdown."""
    return report.markdown_table(["", *(client.name for client in CLIENTS)], table_rows(runs))


def conclusion(runs: Sequence[Run]) -> str:
    """Return the comparison in one sentence."""
    faster = [times_as_fast(runs, client.name) for client in (ASYNC, THREADS)]
    if any(math.isnan(times.median) for times in faster):
        return "No ratio: blocking got no right answer."
    asynchronous, threads = map(report.times, faster)
    return f"async was {asynchronous} times as fast as blocking, threads {threads}."


def failure_lines(runs: Sequence[Run]) -> list[str]:
    """Return a line for each client and each kind of failure."""
    return [
        f"{client.name}: {count:,} x {kind}"
        for client in CLIENTS
        for kind, count in failures(runs, client.name).most_common()
    ]


def remarks(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Return what makes the figures doubtful."""
    short = [
        client.method
        for client in CLIENTS
        if spread(figures.elapsed_s, runs, client.name).median < TOO_SHORT
    ]
    if short:
        return [f"Too short to measure: {', '.join(short)}. Use -n to send more requests."]
    # With fewer in flight, client and server wait for each other.
    saturated = settings.latency_ms == 0 and settings.workers == 1 and settings.concurrency >= 4
    if saturated and was_starved(runs):
        return ["Neither client nor server had a full core: the machine was busy. Measure again."]
    return []


def was_starved(runs: Sequence[Run]) -> bool:
    """Say whether both client and server got too little of a core while async ran."""
    shares = [
        max(figures.client_share(run), figures.server_share(run))
        for run in figures.runs_of(runs, ASYNC.name)
        if run.server_cpu_s is not None
    ]
    return figures.median_and_range(shares).median < BUSY


def estimate_s(settings: Settings) -> float:
    """Return about how long all runs take, in seconds.

    Starting a client takes about 0.3 s. For a request itself, requests needs about a
    millisecond, and aiohttp about a fifth of that.
    """
    latency = (settings.latency_ms or 0) / 1000
    blocking = latency + 0.001
    threads = max(latency / settings.concurrency, 0.001)
    asynchronous = max(latency / settings.concurrency, 0.0002)
    start = 0.3 * len(CLIENTS)
    return settings.rounds * (start + settings.requests * (blocking + threads + asynchronous))


def announcement(settings: Settings) -> str:
    """Say what will run and about how long that takes."""
    rounds = report.plural(settings.rounds, "round")
    requests = report.plural(settings.requests, "request")
    text = f"{rounds} of async, threads and blocking, {requests} each"
    if settings.url:
        return f"{text}."  # how long a server that runs already takes to answer is not known
    seconds = estimate_s(settings)
    about = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    shorter = " Use -n to send fewer." if seconds > 300 else ""
    return f"{text}: about {about}.{shorter}"


def describe(comparison: Comparison) -> list[str]:
    """Return two lines on what the figures depend on."""
    settings, environment = comparison.settings, comparison.environment
    rounds = report.plural(settings.rounds, "round")
    if comparison.rounds_complete < settings.rounds:
        rounds = f"{comparison.rounds_complete} of {rounds}"
    parts = [
        rounds,
        report.plural(settings.requests, "request"),
        f"{settings.concurrency} in flight",
        report.plural(environment["cores"], "core"),
    ]
    if settings.url:
        parts.append(f"server at {settings.url}")
    else:
        parts.append(f"{settings.latency_ms} ms latency")
        parts.append(report.plural(settings.workers or 1, "worker"))
    libraries = [f"{name} {version}" for name, version in environment["libraries"].items()]
    return [", ".join(parts), ", ".join([f"Python {environment['python']}", *libraries])]


def summary(comparison: Comparison) -> dict[str, Any]:
    """Return each client's figures: the median, the least and the greatest of each."""
    runs = comparison.runs
    clients: dict[str, dict[str, Any]] = {}
    for client in CLIENTS:
        spreads = {figure.name: figure.measure(runs, client.name) for figure in FIGURES}
        clients[client.name] = {
            name: None if math.isnan(values.median) else values._asdict()
            for name, values in spreads.items()
        }
        clients[client.name]["failed"] = failures(runs, client.name).total()
    return {"rounds_complete": comparison.rounds_complete, "clients": clients}


def plain_text(comparison: Comparison) -> str:
    """Return all that is printed in the end."""
    runs = comparison.runs
    lines = [
        plain_table(runs),
        "",
        *describe(comparison),
        *failure_lines(runs),
        *remarks(comparison.settings, runs),
        "",
        conclusion(runs),
    ]
    return "\n".join(lines)


# -- Files --------------------------------------------------------------------------------------


def write_json(comparison: Comparison, path: Path) -> None:
    """Write every run, a summary, and what they depend on."""
    runs = [{"client": run.case, **asdict(run)} for run in comparison.runs]
    for run in runs:
        del run["case"], run["spans_s"]
    content = {
        "settings": asdict(comparison.settings),
        "environment": comparison.environment,
        "summary": summary(comparison),
        "runs": runs,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write what is printed, with the table in Markdown, for an issue or a README."""
    runs = comparison.runs
    parts = [
        markdown_table(runs),
        *describe(comparison),
        *failure_lines(runs),
        *remarks(comparison.settings, runs),
        conclusion(runs),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def draw_chart(comparison: Comparison, path: Path) -> None:
    """Draw the elapsed times as a picture, in the format that the file's name says."""
    import charts

    charts.save_comparison(path, describe(comparison)[0], CLIENTS, comparison.runs)


Writer = Callable[[Comparison, Path], None]


def write(writer: Writer, comparison: Comparison, path: Path) -> bool:
    """Write a file; return whether it worked, and if it didn't, say why on stderr."""
    try:
        writer(comparison, path)
    except (OSError, ValueError) as error:  # ValueError: no picture format has this ending
        print(f"{path} was not written: {error}", file=sys.stderr)
        return False
    return True


# -- The command --------------------------------------------------------------------------------


def cases(settings: Settings) -> list[Case]:
    """Return the three clients with these settings."""
    server = ServerSettings(latency_ms=settings.latency_ms or 0, workers=settings.workers or 1)
    return [
        replace(
            client,
            requests=settings.requests,
            concurrency=settings.concurrency if client.concurrency else None,
            server=server,
        )
        for client in CLIENTS
    ]


@contextmanager
def find_or_start_server(settings: Settings) -> Iterator[dict[ServerSettings, Server]]:
    """Give the server to measure: the one that runs at a URL, or one that is started here."""
    if settings.url is None:
        with start_servers(cases(settings)) as servers:
            yield servers
    elif is_up(settings.url):
        yield {ServerSettings(): Server(settings.url)}
    else:
        raise MeasurementError(f"No server answers at {settings.url}.")


def measure(settings: Settings) -> tuple[list[Run], int]:
    """Run all clients once a round, with a line for each run; return the runs and an exit code."""
    runs: list[Run] = []
    try:
        with find_or_start_server(settings) as servers:
            print(announcement(settings), file=sys.stderr)
            for run in run_in_turn(cases(settings), servers, settings.rounds):
                runs.append(run)
                print(report.run_line(run, settings.rounds), file=sys.stderr)
    except MeasurementError as error:
        print(error, file=sys.stderr)
        return runs, 1
    except Stopped as stop:
        print("Stopped.", file=sys.stderr)
        return runs, stop.exit_code
    return runs, 0


def compare(
    settings: Settings, libraries: Sequence[str], files: Mapping[Writer, Path | None]
) -> int:
    """Measure, print the result and write the files that are wanted; return the exit code."""
    environment = describe_environment(libraries)
    runs, exit_code = measure(settings)
    runs = figures.whole_rounds(runs, len(CLIENTS))
    if not runs:
        return exit_code
    comparison = Comparison(settings, environment, runs)
    try:
        print(plain_text(comparison), flush=True)
    finally:  # a closed pipe must not cost the files
        written = [write(writer, comparison, path) for writer, path in files.items() if path]
    all_ok = all(written) and not any(run.failures for run in runs)
    return exit_code or int(not all_ok)


def check_options(url: str | None, latency_ms: int | None, workers: int | None) -> None:
    """Refuse what the types of the options allow, but can't be measured."""
    if url is not None and not (url.startswith("http://") and urlsplit(url).hostname):
        raise typer.BadParameter(f"{url!r} is not like http://127.0.0.1:8000.", param_hint="--url")
    if url and (latency_ms is not None or workers is not None):
        raise typer.BadParameter(
            "--latency-ms and --workers are for the server that this program starts.",
            param_hint="--url",
        )
    if latency_ms is not None and latency_ms >= 1000 * TIMEOUT:
        raise typer.BadParameter(
            f"the clients wait for {TIMEOUT} s, so it must be less than {1000 * TIMEOUT}.",
            param_hint="--latency-ms",
        )


@app.command()
def main(
    requests: Annotated[
        int, typer.Option("--requests", "-n", min=1, help="Requests of each run.")
    ] = 24_999,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, help="Requests in flight.")
    ] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each client.")] = 3,
    latency_ms: Annotated[
        int | None,
        typer.Option(min=0, show_default=False, help="Wait before each answer, 0 by default."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Server processes, 1 by default.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Measure the server at this address instead of starting one.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all runs to this file, as JSON.")
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write what is printed to this file, as Markdown."),
    ] = None,
    chart_file: Annotated[
        Path | None, typer.Option("--chart", help="Draw the result, as .svg or .png.")
    ] = None,
) -> None:
    """Compare the asyncio, the threads and the blocking script against one server."""
    check_options(url, latency_ms, workers)
    settings = Settings(
        requests,
        concurrency,
        rounds,
        latency_ms=None if url else latency_ms or 0,
        workers=None if url else workers or 1,
        url=url.rstrip("/") if url else None,
    )
    libraries = CLIENT_LIBRARIES if url else CLIENT_LIBRARIES + SERVER_LIBRARIES
    require([*libraries, "tqdm"], "requirements.txt")
    if chart_file:
        require(["matplotlib"], "requirements-study.txt")

    files: dict[Writer, Path | None] = {
        write_json: json_file,
        write_markdown: markdown_file,
        draw_chart: chart_file,
    }
    stop_on_signals()
    try:
        sys.exit(compare(settings, libraries, files))
    except Stopped as stop:
        sys.exit(stop.exit_code)


if __name__ == "__main__":
    app()
