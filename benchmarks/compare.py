"""Compare the three clients side by side, on a server of their own.

    $ python benchmarks/compare.py
    client    elapsed s (min-max)   requests/s  x blocking  p50 ms  p99 ms   CPU  failed
    async     3.18 (2.50-4.07)           7,873         4.8     3.5     8.2   96%       0  ███
    thread    13.24 (13.11-14.66)        1,888         1.1    13.9    55.4  103%       0  ████████████
    blocking  15.32 (13.91-16.64)        1,632         1.0     0.6     0.9   67%       0  ██████████████
    Python 3.11.7, aiohttp 3.14.5, requests 2.34.2, fastapi 0.165.0, uvicorn 0.54.0, 2 CPUs, 1 worker, 0 ms latency

Each client runs unchanged, in a fresh process, once a round. The order rotates from
round to round, so that a machine that slows down or speeds up favours no client.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TypedDict

import requests

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ("async", "thread", "blocking")
LIBRARIES = ("aiohttp", "requests", "fastapi", "uvicorn")
START_TIMEOUT = 30  # seconds that the server may take until it answers
BAR_WIDTH = 14

# What a user does who edits the settings of a client and runs it.
RUN_CLIENT = """
import importlib, sys
root, name, url, total = sys.argv[1:]
sys.path.insert(0, root)
client = importlib.import_module(f"test_{name}")
client.BASE_URL, client.urls = url, range(1, int(total) + 1)
sys.exit(client.main())
"""
REPORT = re.compile(
    r".*  ([\d,]+) of ([\d,]+) ok in ([\d.]+) s  ([\d,]+) requests/s  "
    r"p50 ([\d.]+|nan) ms  p99 ([\d.]+|nan) ms  CPU (\d+)%"
)
FAILURE = re.compile(r"  ([\d,]+) × (.+)")


class Run(TypedDict):
    """One run of one client, as its report says; a percentile of no answers is None."""

    client: str
    round: int
    requests: int
    ok: int
    failed: dict[str, int]
    elapsed_s: float
    requests_per_s: int
    p50_ms: float | None
    p99_ms: float | None
    client_cpu_percent: int


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
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"no file can be written at {text!r}")
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
    add("--latency-ms", type=milliseconds, metavar="MS", help="time each answer waits, in ms (0)")
    add("--workers", type=whole_number, metavar="N", help="server processes (1)")
    add("--url", help="measure the server that already runs there, such as http://127.0.0.1:8000")
    add("--json", type=output_file, metavar="FILE", help="write every run to this file")
    add("--chart", type=chart_file, metavar="FILE", help="draw the result, as .svg or .png")
    parser.set_defaults(requests=24_999, rounds=3)
    options = parser.parse_args()
    if options.url and (options.workers or options.latency_ms is not None):
        parser.error("--workers and --latency-ms are for the own server: leave them out with --url")
    if options.chart and not importlib.util.find_spec("matplotlib"):
        parser.error("--chart needs matplotlib: pip install matplotlib")
    options.workers = options.workers or 1
    options.latency_ms = options.latency_ms or 0.0
    return options


def answers(url: str) -> bool:
    """Say whether any server answers there."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(url, timeout=START_TIMEOUT, allow_redirects=False, stream=True)
        except requests.RequestException:
            return False
        return True


def start(
    command: Sequence[str], *, stderr: int | None = None, **env: str
) -> subprocess.Popen[str]:
    """Start a process; a signal that would end this one waits until there is one to stop."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda n, _: received.append(n)) for number in signals]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | env,
        encoding="utf-8",
        errors="replace",
    )
    for number, handler in zip(signals, handlers, strict=True):
        signal.signal(number, handler)
    if received:
        process.kill()
        signal.raise_signal(received[0])
    return process


@contextmanager
def own_server(workers: int, latency_ms: float) -> Iterator[str]:
    """Run the server of this project on a free port; give its URL, and stop it in the end."""
    command = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(ROOT)]
    command += ["--host", "127.0.0.1", "--port", "0", "--no-access-log", "--workers", str(workers)]
    server = start(command, stderr=subprocess.PIPE, LATENCY_MS=str(latency_ms))
    try:
        assert server.stderr
        log = []
        # The server chose the port itself, so whoever answers there is this server.
        for line in server.stderr:
            log.append(line)
            if running := re.search(r"running on (http://\S+)", line):
                break
        else:
            sys.exit("The server did not start:\n" + "".join(log))
        # Its log is not needed any more, but a full pipe would stop it.
        threading.Thread(target=server.stderr.read, daemon=True).start()
        url = running[1]
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The server at {url} does not answer.")
            time.sleep(0.05)
        yield url
    finally:
        signal.signal(signal.SIGINT, lambda *_: None)  # it would leave the server behind
        server.terminate()
        try:
            server.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()


def run_client(client: str, round_number: int, url: str, total: int) -> Run:
    """Run a client in a process of its own, and read its report."""
    process = start([sys.executable, "-c", RUN_CLIENT, str(ROOT), client, url, str(total)])
    try:
        output, _ = process.communicate()
    finally:
        process.kill()  # if it still runs, because of a Ctrl-C
    report, *failures = output.splitlines() or [""]
    match = REPORT.fullmatch(report)
    if not match:
        sys.exit(f"test_{client}.py ended without a report, exit code {process.returncode}.")
    ok, asked, elapsed, throughput, p50, p99, cpu = (
        part.replace(",", "") for part in match.groups()
    )
    kinds = (FAILURE.fullmatch(line) for line in failures)
    return {
        "client": client,
        "round": round_number,
        "requests": int(asked),
        "ok": int(ok),
        "failed": {kind[2]: int(kind[1].replace(",", "")) for kind in kinds if kind},
        "elapsed_s": float(elapsed),
        "requests_per_s": int(throughput),
        "p50_ms": None if p50 == "nan" else float(p50),
        "p99_ms": None if p99 == "nan" else float(p99),
        "client_cpu_percent": int(cpu),
    }


def measure(url: str, rounds: int, total: int, runs: list[Run]) -> None:
    """Run all clients once a round, starting each round with another one; add to runs."""
    for number in range(rounds):
        first = number % len(CLIENTS)
        for client in CLIENTS[first:] + CLIENTS[:first]:
            if sys.stderr.isatty():
                print(f"Round {number + 1} of {rounds}: test_{client}.py", file=sys.stderr)
            runs.append(run_client(client, number + 1, url, total))


def of_client(runs: Sequence[Run], client: str) -> list[Run]:
    """Pick the runs of one client, in the order of the rounds."""
    return [run for run in runs if run["client"] == client]


def times_as_fast(runs: Sequence[Run], client: str) -> float:
    """Return how many times as fast as blocking a client is: the median over the rounds."""
    pairs = zip(of_client(runs, client), of_client(runs, "blocking"), strict=True)
    # A run that took less than can be printed counts as the least that can.
    return median(max(b["elapsed_s"], 0.01) / max(a["elapsed_s"], 0.01) for a, b in pairs)


def typical(values: Sequence[float | None]) -> float:
    """Return the median of what was measured, and not a number where nothing was."""
    return median([value for value in values if value is not None] or [math.nan])


def table(runs: Sequence[Run]) -> str:
    """Return one row a client, with medians over the rounds and a bar as long as the run took."""
    lines = ["client    elapsed s (min-max)   requests/s  x blocking  p50 ms  p99 ms   CPU  failed"]
    slowest = max(median(run["elapsed_s"] for run in of_client(runs, c)) for c in CLIENTS)
    for client in CLIENTS:
        mine = of_client(runs, client)
        elapsed = [run["elapsed_s"] for run in mine]
        spread = f"{median(elapsed):.2f} ({min(elapsed):.2f}-{max(elapsed):.2f})"
        failed = sum(sum(run["failed"].values()) for run in mine)
        bar = "█" * max(1, round(BAR_WIDTH * median(elapsed) / max(slowest, 0.01)))
        lines.append(
            f"{client:8}  {spread:20}  {median(run['requests_per_s'] for run in mine):10,.0f}  "
            f"{times_as_fast(runs, client):10.1f}  {typical([run['p50_ms'] for run in mine]):6.1f}  "
            f"{typical([run['p99_ms'] for run in mine]):6.1f}  "
            f"{median(run['client_cpu_percent'] for run in mine):3.0f}%  {failed:6,}  {bar}"
        )
    return "\n".join(lines)


def failures(runs: Sequence[Run]) -> list[str]:
    """Return a line for each client and each kind of failure, over all rounds."""
    lines = []
    for client in CLIENTS:
        kinds: Counter[str] = Counter()
        for run in of_client(runs, client):
            kinds.update(run["failed"])
        lines += [f"  {client}: {count:,} × {kind}" for kind, count in kinds.most_common()]
    return lines


def describe(options: argparse.Namespace) -> str:
    """Return what a result depends on, on one line."""
    parts = [f"Python {platform.python_version()}"]
    parts += [f"{library} {version(library)}" for library in LIBRARIES]
    parts += [f"{os.cpu_count()} CPUs"]
    if options.url:
        parts += [f"server at {options.url}"]
    else:
        workers = "1 worker" if options.workers == 1 else f"{options.workers} workers"
        parts += [workers, f"{options.latency_ms:g} ms latency"]
    return ", ".join(parts)


def write_json(path: Path, options: argparse.Namespace, runs: Sequence[Run]) -> None:
    """Write every run, and what it depends on."""
    environment = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "requests": options.requests,
        "rounds": options.rounds,
        "latency_ms": None if options.url else options.latency_ms,
        "workers": None if options.url else options.workers,
        "url": options.url,
    }
    text = json.dumps({"environment": environment, "runs": runs}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def draw_chart(path: Path, options: argparse.Namespace, runs: Sequence[Run]) -> None:
    """Draw the elapsed time of each client, with the spread over the rounds."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "comparison"  # the same result gives the same file
    figure, axes = pyplot.subplots(figsize=(8, 2.6), layout="constrained")
    longest = max(run["elapsed_s"] for run in runs)
    colors = {"async": "#2a9d8f", "thread": "#e9a23b", "blocking": "#c8553d"}
    for row, client in enumerate(CLIENTS):
        elapsed = [run["elapsed_s"] for run in of_client(runs, client)]
        middle = median(elapsed)
        error = [[middle - min(elapsed)], [max(elapsed) - middle]]
        axes.barh(row, middle, xerr=error, color=colors[client], height=0.6, capsize=4)
        throughput = median(run["requests_per_s"] for run in of_client(runs, client))
        label = f"{middle:.2f} s, {throughput:,.0f} requests/s"
        axes.text(max(elapsed) + longest * 0.02, row, label, va="center")
    axes.set_yticks(range(len(CLIENTS)), [f"test_{client}.py" for client in CLIENTS])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.42)
    axes.set_xlabel("elapsed, seconds")
    axes.spines[["top", "right"]].set_visible(False)
    done = len(runs) // len(CLIENTS)
    figure.suptitle(f"{options.requests:,} requests: median, min and max of {done} rounds")
    axes.set_title(describe(options), fontsize=7.5, color="#555555")
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> int:
    """Compare the clients as the options say; return the exit code."""
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # A shell starts a job in the background with Ctrl-C ignored; stop on it there, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if options.url and not answers(options.url):
        sys.exit(f"No answer from {options.url}. Is the server running?")
    runs: list[Run] = []
    exit_code = 0
    server = own_server(options.workers, options.latency_ms)
    try:
        with nullcontext(options.url) if options.url else server as url:
            measure(url, options.rounds, options.requests, runs)
    except KeyboardInterrupt:
        exit_code = 130
        del runs[len(runs) - len(runs) % len(CLIENTS) :]  # only whole rounds can be compared
        if not runs:
            print("Stopped before the first round was over.", file=sys.stderr)
    if runs:
        print(table(runs), describe(options), *failures(runs), sep="\n")
        if options.json:
            write_json(options.json, options, runs)
        if options.chart:
            draw_chart(options.chart, options, runs)
    return exit_code or int(any(run["failed"] for run in runs))


if __name__ == "__main__":
    sys.exit(main())
