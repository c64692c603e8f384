"""Compare the three clients side by side, on a server of their own.

    $ python benchmarks/compare.py --requests 5000
    client    elapsed s (min-max)   requests/s  x blocking (min-max)
    async     1.37 (1.19-1.42)           3,657  3.5 (3.5-4.0)         ████
    threads   4.69 (4.53-4.76)           1,066  1.0 (1.0-1.1)         ██████████████
    blocking  4.78 (4.77-5.00)           1,045  1.0 (1.0-1.0)         ██████████████

    client     p50 ms    p99 ms  client CPU  server CPU  failed
    async        8.21     17.31         95%         93%  0
    threads     22.57     96.96         98%         39%  0
    blocking     0.93      1.75         67%         38%  0
    3 rounds, 5,000 requests, 32 in flight, 1 worker, 0 ms latency, 2 CPUs
    Python 3.11.7, aiohttp 3.14.5, requests 2.34.2, fastapi 0.165.0, uvicorn 0.54.0

Each client runs unchanged, in a fresh process, once a round. The order rotates from
round to round, so that a machine that slows down or speeds up favours no client.
"""

import os
import signal

if __name__ == "__main__":  # before all else, until there is something to stop
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import json
import math
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

from harness import (
    LIBRARIES,
    Failed,
    Run,
    Server,
    Spread,
    Stopped,
    answers,
    environment,
    failed,
    in_turn,
    leave,
    of_case,
    own_server,
    ratio,
    require_packages,
    run_client,
    spread,
    stop_on_signals,
    throughput,
    whole_rounds,
)

CLIENTS = {"async": "test_async", "threads": "test_thread", "blocking": "test_blocking"}
BAR_WIDTH = 14
BUSY = 0.75  # of a core: what one of client and server reaches if nothing else keeps them waiting


# -- Options ------------------------------------------------------------------------------------


def whole_number(text: str) -> int:
    """Read a command-line value that must be a whole number, 1 or more."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


def milliseconds(text: str) -> float:
    """Read a command-line value that must be a time, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more, not {text!r}")
    return value


def output_file(text: str) -> Path:
    """Read a command-line value that must be a file that can be written."""
    path = Path(text)
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"can't write {text!r}: {error.strerror}") from None
    if new:
        path.unlink()
    return path


def chart_file(text: str) -> Path:
    """Read a command-line value that must be a picture file."""
    if Path(text).suffix not in {".svg", ".png"}:
        raise argparse.ArgumentTypeError(f"must end in .svg or .png, not {text!r}")
    return output_file(text)


def parse_options() -> argparse.Namespace:
    """Read the command line; a wrong option ends the program with one line and exit code 2."""
    parser = argparse.ArgumentParser(
        description="Run the asyncio, the threads and the blocking client against one server, "
        "and print how long each takes.",
        usage=argparse.SUPPRESS,  # so that an error is one line
    )
    add = parser.add_argument
    add("--requests", type=whole_number, metavar="N", help="requests a run (24999)")
    add("--rounds", type=whole_number, metavar="N", help="runs of each client (3)")
    add("--concurrency", type=whole_number, metavar="N", help="requests in flight at once (32)")
    add("--latency-ms", type=milliseconds, metavar="MS", help="time each answer waits, in ms (0)")
    add("--workers", type=whole_number, metavar="N", help="server processes (1)")
    add("--url", help="measure the server that already runs there, such as http://127.0.0.1:8000")
    add("--json", type=output_file, metavar="FILE", help="write every run to this file")
    add("--chart", type=chart_file, metavar="FILE", help="draw the result, as .svg or .png")
    parser.set_defaults(requests=24_999, rounds=3, concurrency=32)
    options = parser.parse_args()
    if options.url and (options.workers or options.latency_ms is not None):
        parser.error("--workers and --latency-ms are for the own server: leave them out with --url")
    options.workers = options.workers or 1
    options.latency_ms = options.latency_ms or 0.0
    return options


# -- What the runs say: runs in, lines out ------------------------------------------------------


def measured(runs: Sequence[Run]) -> list[str]:
    """Return the clients that have run, in the order of the table."""
    return [client for client in CLIENTS if of_case(runs, client)]


def figure(values: Sequence[float | None], digits: int = 2) -> str:
    """Return the median of what was measured, and a dash where nothing was."""
    known = [value for value in values if value is not None]
    return f"{spread(known).median:,.{digits}f}" if known else "-"


def with_range(values: Spread, digits: int) -> str:
    """Return a median with its range, and a dash where nothing was measured."""
    if math.isnan(values.median):
        return "-"
    return f"{values.median:.{digits}f} ({values.low:.{digits}f}-{values.high:.{digits}f})"


def times_blocking(runs: Sequence[Run], client: str) -> Spread:
    """Return how many times as many ok answers a second a client got as blocking, by rounds."""
    both = {run["round"] for run in of_case(runs, client)} & {
        run["round"] for run in of_case(runs, "blocking")
    }
    return ratio([run for run in runs if run["round"] in both], client, "blocking")


def cores(runs: Sequence[Run], seconds: str) -> list[float | None]:
    """Return for each run the part of one core that client or server used."""
    return [
        None if run[seconds] is None else run[seconds] / run["elapsed_s"]  # type: ignore[literal-required]
        for run in runs
    ]


def percent(values: Sequence[float | None]) -> str:
    """Return the median of some parts as a percentage."""
    text = figure([None if value is None else 100 * value for value in values], 0)
    return text if text == "-" else f"{text}%"


def table(runs: Sequence[Run]) -> list[str]:
    """Return two rows of figures a client, with medians and ranges over the rounds, and a bar each."""
    slowest = max(spread([run["elapsed_s"] for run in of_case(runs, c)]).median for c in measured(runs))
    lines = [f"{'client':8}  {'elapsed s (min-max)':20}  requests/s  x blocking (min-max)"]
    for client in measured(runs):
        mine = of_case(runs, client)
        elapsed = spread([run["elapsed_s"] for run in mine])
        bar = "█" * max(1, round(BAR_WIDTH * elapsed.median / slowest))
        lines.append(
            f"{client:8}  {with_range(elapsed, 2):20}  {figure([*map(throughput, mine)], 0):>10}  "
            f"{with_range(times_blocking(runs, client), 1):20}  {bar}"
        )
    lines += ["", f"{'client':8}   p50 ms    p99 ms  client CPU  server CPU  failed"]
    for client in measured(runs):
        mine = of_case(runs, client)
        lost, asked = sum(map(failed, mine)), sum(run["requests"] for run in mine)
        lines.append(
            f"{client:8}  {figure([run['p50_ms'] for run in mine]):>7}  "
            f"{figure([run['p99_ms'] for run in mine]):>8}  {percent(cores(mine, 'client_cpu_s')):>10}  "
            f"{percent(cores(mine, 'server_cpu_s')):>10}  " + (f"{lost:,} of {asked:,}" if lost else "0")
        )
    return lines


def failures(runs: Sequence[Run]) -> list[str]:
    """Return a line for each client and each kind of failure, over all rounds."""
    lines = []
    for client in measured(runs):
        kinds: Counter[str] = Counter()
        for run in of_case(runs, client):
            kinds.update(run["failed"])
        lines += [f"  {client}: {count:,} × {kind}" for kind, count in kinds.most_common()]
    return lines


def was_busy(runs: Sequence[Run], latency_ms: float, workers: int) -> bool:
    """Say whether neither client nor server had a full core in the async runs, and none waited."""
    shares = [
        max(client, server)
        for client, server in zip(
            cores(of_case(runs, "async"), "client_cpu_s"),
            cores(of_case(runs, "async"), "server_cpu_s"),
            strict=True,
        )
        if client is not None and server is not None
    ]
    return not latency_ms and workers == 1 and bool(shares) and spread(shares).median < BUSY


def describe(options: argparse.Namespace, rounds: int) -> list[str]:
    """Return what a result depends on, on lines of less than 80 columns."""
    versions = [f"{library} {version(library)}" for library in LIBRARIES if library != "httpx"]
    cpus = f"{os.cpu_count()} CPUs"
    if options.url:
        where = [f"server at {options.url}"]
    else:
        workers = "1 worker" if options.workers == 1 else f"{options.workers} workers"
        where = [workers, f"{options.latency_ms:g} ms latency"]
    of_rounds = f"{rounds} of {options.rounds} rounds" if rounds < options.rounds else f"{rounds} rounds"
    asked = f"{options.requests:,} requests, {options.concurrency} in flight"
    return [
        ", ".join([of_rounds, asked, *where, cpus]),
        ", ".join([f"Python {platform.python_version()}", *versions]),
    ]


def result(options: argparse.Namespace, runs: Sequence[Run], rounds: int) -> dict[str, object]:
    """Return what is written as JSON: every run, and what it depends on."""
    settings = {
        "requests": options.requests,
        "rounds": options.rounds,
        "rounds_done": rounds,
        "concurrency": options.concurrency,
        "latency_ms": None if options.url else options.latency_ms,
        "workers": None if options.url else options.workers,
        "url": options.url,
    }
    return {"environment": environment() | settings, "runs": runs}


# -- Measuring ----------------------------------------------------------------------------------


def measure(server: Server, options: argparse.Namespace, runs: list[Run]) -> None:
    """Run all clients once a round, and show how far it is; add to runs."""
    from tqdm import tqdm

    total = options.rounds * len(CLIENTS)
    with tqdm(total=total, unit="run", disable=None, leave=False, file=sys.stderr) as bar:
        for number, client in in_turn([*CLIENTS], options.rounds):
            bar.set_description(f"round {number} of {options.rounds}, {client}")
            run = run_client(
                CLIENTS[client],
                server,
                requests=options.requests,
                concurrency=None if client == "blocking" else options.concurrency,
                case=client,
                round_number=number,
            )
            runs.append(run)
            bar.update()
            if bar.disable:
                took = f"{run['ok']:,} of {run['requests']:,} ok in {run['elapsed_s']:.2f} s"
                print(f"Round {number} of {options.rounds}: {client}, {took}", file=sys.stderr)


def show(options: argparse.Namespace, runs: Sequence[Run], remarks: Sequence[str]) -> bool:
    """Write the files, then print the table; return whether stdout took it."""
    rounds = len(runs) // len(CLIENTS)
    if options.json:
        text = json.dumps(result(options, runs, rounds), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.chart:
        import charts

        title = describe(options, rounds)[0]
        charts.comparison(options.chart, [(title, runs, {client: client for client in measured(runs)})])
    text = "\n".join([*table(runs), *describe(options, rounds), *failures(runs), *remarks])
    try:
        encoding = sys.stdout.encoding
        if any(sign not in sign.encode(encoding, "replace").decode(encoding) for sign in "█×"):
            text = text.replace("█", "#").replace("×", "x")
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except (AttributeError, OSError):  # stdout is closed, full or gone
        sys.stdout = sys.stderr  # or Python would try once more at its end, and complain
        print("The table could not be written to stdout:", text, sep="\n", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Compare the clients as the options say; return the exit code."""
    options = parse_options()
    require_packages()
    stop_on_signals()
    runs: list[Run] = []
    remarks: list[str] = []
    exit_code = 0
    try:
        if options.url and not answers(options.url):
            raise Failed(f"No answer from {options.url}. Is the server running?")
        server = own_server(latency_ms=options.latency_ms, workers=options.workers)
        with nullcontext(Server(options.url)) if options.url else server as running:
            try:
                measure(running, options, runs)
            finally:
                remarks += running.troubles()
    except Failed as failure:
        print(failure, file=sys.stderr)
        exit_code = 1
    except Stopped as stop:
        print("Stopped.", file=sys.stderr)
        exit_code = stop.exit_code
    # Only whole rounds can be compared; but where there is none yet, what there is, is shown.
    runs = whole_rounds(runs, len(CLIENTS)) or runs
    if runs:
        if not options.url and was_busy(runs, options.latency_ms, options.workers):
            remarks.append("Neither client nor server had a full core: the machine was busy, measure again.")
        shown = show(options, runs, remarks)
        exit_code = exit_code or int(not shown)
    return exit_code or int(any(run["failed"] for run in runs))


if __name__ == "__main__":
    leave(main())
