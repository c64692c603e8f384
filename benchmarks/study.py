"""Measure every claim of RESULTS.md anew, each by its name.

    $ python benchmarks/study.py --list
    $ python benchmarks/study.py latency forms   # these two; without a name, all of them

Each study runs its cases in turn, once a round, on servers of its own, and writes every
single run to results/. The tables and pictures are made from these files and nothing else.
"""

import os
import signal

if __name__ == "__main__":  # before all else, until there is something to stop
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness import (
    ROOT,
    Failed,
    Run,
    Server,
    Spread,
    Stopped,
    environment,
    failed,
    in_turn,
    leave,
    not_shown,
    of_case,
    own_server,
    ratio,
    require_packages,
    run_client,
    spread,
    stop_on_signals,
    throughput,
)

BENCHMARKS = Path(__file__).resolve().parent
ROUNDS = 7
METHODS = {"async": "test_async", "threads": "test_thread", "blocking": "test_blocking"}


@dataclass(frozen=True)
class Case:
    """One of the things that a study runs in turn; `base` is the case that it is compared with."""

    name: str
    client: str  # the module of a script or variant, or a tool on PATH
    requests: int
    base: str = ""
    concurrency: int | None = None
    latency_ms: float = 0
    workers: int = 1
    access_log: bool = False
    python: str = ""  # another Python than this one
    spans: bool = False  # note start and end of each request
    rounds: int = 0  # if fewer than the study's


@dataclass(frozen=True)
class Study:
    """What is claimed, what runs in turn to show it, and what of it stands in the table."""

    name: str
    claim: str
    cases: Sequence[Case]
    columns: Sequence[str]
    rounds: int = ROUNDS
    same_runs_as: str = ""  # measures nothing itself


def ms(latency: float) -> str:
    """Return a latency as it stands in the name of a case."""
    return f"{latency:g} ms"


def scripts(requests: int, latency_ms: float = 0, base: str = "blocking", **more: Any) -> list[Case]:
    """Return the three scripts as cases, compared with one of them."""
    at = ms(latency_ms)
    return [
        Case(f"{name}, {at}", client, requests, f"{base}, {at}", latency_ms=latency_ms, **more)
        for name, client in METHODS.items()
    ]


# As many requests as blocking answers in some ten seconds at the most.
LATENCIES = {0: 1_500, 1: 1_500, 2: 1_000, 5: 600, 10: 400, 20: 320, 50: 160, 100: 96}
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1_000)


def concurrency_cases() -> Iterator[Case]:
    """Return async and threads with each number in flight, with and without waiting."""
    for latency, name, client in (
        (latency, name, METHODS[name]) for latency in (0, 20) for name in ("async", "threads")
    ):
        for number in IN_FLIGHT:
            enough = {"async": 2_000, "threads": 800}[name] if latency == 0 else min(30 * number, 3_000)
            requests = max(enough, 3 * number, 50)
            base = f"{name}, {ms(latency)}, 1"
            yield Case(f"{name}, {ms(latency)}, {number}", client, requests, base, number, latency)


STUDIES = [
    Study(
        "headline",
        "How many times as fast as blocking async and threads are depends on how long the server "
        "takes to answer.",
        [*scripts(10_000), *scripts(1_000, 20)],
        ["requests", "elapsed", "throughput", "ratio", "p50", "client_share", "server_share"],
    ),
    Study(
        "waiting",
        "A gain over blocking is less work for each request, or idle time filled, or both.",
        [*scripts(10_000), *scripts(1_000, 20)],
        ["client_cpu", "server_cpu", "idle", "ratio", "less_work", "idle_filled"],
        same_runs_as="headline",
    ),
    Study(
        "timeline",
        "Blocking has one request in flight, threads and async have as many as CONCURRENCY.",
        [
            case
            for latency in (20, 0)
            for case in (
                replace(c, concurrency=None if c.client == "test_blocking" else 8, spans=True)
                for c in scripts(96, latency)
            )
        ],
        ["elapsed", "throughput", "ratio", "p50", "in_flight"],
    ),
    Study(
        "latency",
        "The longer an answer takes, the nearer the gain comes to the number in flight.",
        [case for latency, requests in LATENCIES.items() for case in scripts(requests, latency)],
        ["requests", "throughput", "ratio", "in_flight"],
    ),
    Study(
        "concurrency",
        "More in flight helps until client or server is busy all the time; then it only queues.",
        [*concurrency_cases()],
        ["requests", "throughput", "ratio", "p50", "in_flight"],
    ),
    Study(
        "library",
        "Without waiting, the library decides: async with aiohttp is faster than blocking, "
        "async with httpx is slower.",
        [
            Case("async, aiohttp", "test_async", 1_500, "blocking, requests"),
            Case("async, aiohttp, 1 in flight", "test_async", 1_500, "blocking, requests", 1),
            Case("threads, requests", "test_thread", 1_500, "blocking, requests"),
            Case("blocking, requests", "test_blocking", 1_500, "blocking, requests"),
            Case("async, httpx", "async_httpx", 1_500, "blocking, httpx"),
            Case("async, httpx, 1 in flight", "async_httpx", 1_500, "blocking, httpx", 1),
            Case("threads, httpx", "thread_httpx", 1_500, "blocking, httpx"),
            Case("blocking, httpx", "blocking_httpx", 1_500, "blocking, httpx"),
        ],
        ["throughput", "ratio", "client_cpu", "server_cpu", "p50"],
    ),
    Study(
        "forms",
        "Each script is faster than the tutorial form of its method, and async takes less memory.",
        [
            Case("async: shares (the script)", "test_async", 10_000, "async: shares (the script)"),
            Case("async: a task each", "async_gather", 10_000, "async: shares (the script)"),
            Case("async: a task each, Semaphore", "async_semaphore", 10_000, "async: shares (the script)"),
            Case("async: uvloop", "async_uvloop", 10_000, "async: shares (the script)"),
            Case(
                "threads: a Session each (the script)",
                "test_thread",
                1_500,
                "threads: a Session each (the script)",
            ),
            Case("threads: one Session, get", "thread_shared", 1_500, "threads: a Session each (the script)"),
            Case(
                "blocking: prepared once (the script)",
                "test_blocking",
                1_500,
                "blocking: prepared once (the script)",
            ),
            Case(
                "blocking: get, trust_env off",
                "blocking_no_env",
                1_500,
                "blocking: prepared once (the script)",
            ),
            Case(
                "blocking: Session.get", "blocking_session_get", 1_500, "blocking: prepared once (the script)"
            ),
            Case("blocking: requests.get", "blocking_get", 1_500, "blocking: prepared once (the script)"),
        ],
        ["requests", "throughput", "ratio", "client_cpu", "peak"],
    ),
    Study(
        "few",
        "Up to 100 requests to a server that answers at once, nothing is faster than blocking: "
        "start-up outweighs the rest.",
        [
            case
            for latency, numbers in ((0, (1, 10, 100, 1_000)), (100, (1, 10, 100, 200)))
            for number in numbers
            for case in (
                replace(c, name=f"{c.name}, {number:,}", base=f"{c.base}, {number:,}")
                for c in scripts(number, latency)
            )
        ],
        ["process", "process_ratio", "elapsed"],
    ),
    Study(
        "server",
        "The server is half of the result: its access log costs, and on two cores a second worker "
        "gains nothing.",
        [
            Case("no access log, 1 worker", "test_async", 5_000, "no access log, 1 worker"),
            Case("access log, 1 worker", "test_async", 5_000, "no access log, 1 worker", access_log=True),
            Case("no access log, 2 workers", "test_async", 5_000, "no access log, 1 worker", workers=2),
        ],
        ["throughput", "ratio", "client_cpu", "server_cpu", "client_share", "server_share"],
    ),
    Study(
        "peers",
        "On this server, the async script is about as fast as load generators written in C and Go.",
        [
            Case("test_async.py", "test_async", 10_000, "test_async.py", 32),
            *(Case(tool, tool, 10_000, "test_async.py", 32) for tool in ("hey", "wrk", "oha", "autocannon")),
        ],
        ["throughput", "ratio", "server_cpu"],
    ),
    Study(
        "pythons",
        "On each Python, async with aiohttp is ahead, and for threads nothing is shown.",
        [],  # found when it runs
        ["throughput", "ratio", "client_cpu"],
    ),
    Study(
        "growth",
        "Memory does not grow with the number of requests.",
        [
            *(
                Case(f"{name}, {number:,}", client, number, f"{name}, {numbers[0]:,}", rounds=rounds)
                for name, client, numbers in (
                    ("async", "test_async", (10_000, 100_000, 1_000_000)),
                    ("threads", "test_thread", (3_000, 30_000)),
                    ("blocking", "test_blocking", (3_000, 30_000)),
                )
                for number, rounds in zip(numbers, (3, 3, 1), strict=False)
            )
        ],
        ["microseconds", "ratio", "peak"],
        rounds=3,
    ),
]


# -- Measuring ----------------------------------------------------------------------------------


def pythons() -> list[str]:
    """Return each Python on PATH, from 3.11 on, that runs."""
    paths = [shutil.which(f"python3.{minor}") for minor in range(11, 30)]
    return [path for path in paths if path and works(path)]


def works(python: str) -> bool:
    """Say whether a Python is more than a name."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@contextmanager
def python_cases(quick: bool) -> Iterator[list[Case]]:
    """Make a virtual environment for each Python, and give the scripts in each as cases."""
    with tempfile.TemporaryDirectory() as folder:
        cases: list[Case] = []
        for python in [sys.executable] if quick else pythons():
            if not quick:
                home = Path(folder, Path(python).name)
                subprocess.run([python, "-m", "venv", home], check=True)
                python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
                requirements = str(ROOT / "requirements.txt")
                subprocess.run([python, "-m", "pip", "install", "-qr", requirements], check=True)
            code = "import platform; print(platform.python_version())"
            version = subprocess.check_output([python, "-c", code], text=True).strip()
            cases += [
                replace(c, name=f"{version}, {c.name}", base=f"{version}, {c.base}", python=python)
                for c in scripts(1_500)
            ]
        yield cases


# What a tool is called with, and how it says how many answers it got in which time.
TOOLS: dict[str, tuple[Callable[[str, int, int], list[str]], str, str]] = {
    "hey": (
        lambda url, n, c: ["hey", "-n", str(n), "-c", str(c), url],
        r"\[200\]\s+(\d+) responses",
        r"Total:\s+([\d.]+) secs",
    ),
    "wrk": (
        lambda url, n, c: ["wrk", "-t1", f"-c{c}", "-d2s", url],
        r"(\d+) requests in",
        r"requests in ([\d.]+)s",
    ),
    "oha": (
        lambda url, n, c: ["oha", "--no-tui", "-n", str(n), "-c", str(c), url],
        r"\[200\] (\d+) responses",
        r"Total:\s+([\d.]+) secs",
    ),
    "autocannon": (
        lambda url, n, c: ["autocannon", "--json", "-a", str(n), "-c", str(c), url],
        r'"2xx":(\d+)',
        r'"duration":([\d.]+)',
    ),
}


def run_tool(case: Case, server: Server, round_number: int) -> Run:
    """Run a load generator; may raise Failed."""
    command, answers, seconds = TOOLS[case.client]
    url = f"{server.url}/items/5"
    before = server.cpu() or 0
    start = time.perf_counter()
    ended = subprocess.run(
        command(url, case.requests, case.concurrency or 1),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    took = time.perf_counter() - start
    ok, elapsed = re.search(answers, ended.stdout), re.search(seconds, ended.stdout)
    if not ok or not elapsed:
        raise Failed(f"{case.client} did not report: {(ended.stdout + ended.stderr).strip()[-200:]}")
    return {
        "case": case.name,
        "round": round_number,
        "requests": case.requests if case.client != "wrk" else int(ok[1]),
        "ok": int(ok[1]),
        "failed": {},
        "elapsed_s": float(elapsed[1]),
        "client_cpu_s": 0,
        "server_cpu_s": round((server.cpu() or 0) - before, 3),
        "p50_ms": None,
        "p99_ms": None,
        "in_flight": None,
        "peak_mib": None,
        "process_s": round(took, 4),
    }


def run_case(case: Case, server: Server, round_number: int) -> Run:
    """Run one case once; may raise Failed."""
    if case.client in TOOLS:
        return run_tool(case, server, round_number)
    return run_client(
        case.client,
        server,
        requests=case.requests,
        concurrency=case.concurrency,
        python=case.python or sys.executable,
        record_spans=case.spans,
        case=case.name,
        round_number=round_number,
    )


def available(case: Case) -> bool:
    """Say whether what a case needs is installed."""
    if case.client in TOOLS:
        return shutil.which(case.client) is not None
    return case.client != "async_uvloop" or find_spec("uvloop") is not None


def quickened(case: Case) -> Case:
    """Return a case at a hundredth of its size."""
    return replace(case, requests=max(2, case.requests // 100), rounds=0)


def measure(study: Study, folder: Path, quick: bool) -> None:
    """Run a study and write its runs; what was measured is kept also if it has to stop."""
    rounds = 1 if quick else study.rounds
    runs: list[Run] = []
    with ExitStack() as stack:
        cases = list(study.cases)
        if study.name == "pythons":
            cases = stack.enter_context(python_cases(quick))
        cases = [quickened(case) if quick else case for case in cases if available(case)]
        result = {
            "study": study.name,
            "command": f"python benchmarks/study.py {study.name}",
            "environment": environment(),
            "rounds": rounds,
            "cases": [asdict(replace(case, python="")) for case in cases],
            "runs": runs,
        }
        servers: dict[tuple[float, int, bool], Server] = {}
        for case in cases:
            kind = (case.latency_ms, case.workers, case.access_log)
            if kind not in servers:
                options = {"latency_ms": kind[0], "workers": kind[1], "access_log": kind[2]}
                servers[kind] = stack.enter_context(own_server(**options))  # type: ignore[arg-type]
        try:
            for number, case in in_turn(cases, rounds):
                if case.rounds and number > case.rounds:
                    continue
                server = servers[case.latency_ms, case.workers, case.access_log]
                runs.append(run_case(case, server, number))
                say(f"{study.name}, round {number} of {rounds}: {case.name}", runs[-1])
        except (Failed, Stopped):
            part = write_result(folder / f"{study.name}.part.json", result)
            print(f"What was measured so far is in {part}", file=sys.stderr)
            raise
    write_result(folder / f"{study.name}.json", result)


def say(what: str, run: Run) -> None:
    """Print a line on a finished run."""
    print(f"{what}: {run['ok']:,} ok in {run['elapsed_s']:.2f} s", file=sys.stderr, flush=True)


def write_result(path: Path, result: dict[str, Any]) -> Path:
    """Write a result, one run a line."""
    head = json.dumps({key: value for key, value in result.items() if key != "runs"}, indent=1)
    runs = ",\n".join("  " + json.dumps(run) for run in result["runs"])
    path.write_text(f'{head[:-2]},\n "runs": [\n{runs}\n ]\n}}\n', encoding="utf-8")
    return path


# -- Rendering: from the committed runs to tables and pictures, without measuring ---------------


def number(value: float) -> str:
    """Return a figure with some three digits, or with all before the point."""
    if math.isnan(value):
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f}"


def median_and_range(values: Spread) -> str:
    """Return a median with its range."""
    return f"{number(values.median)} ({number(values.low)}–{number(values.high)})"


def times(values: Spread) -> str:
    """Return a ratio with its range, in as many digits as that allows."""
    unclear = not_shown(values)
    width = values.high - values.low
    digits = 0 if width >= 5 else 1 if width >= 0.1 else 2
    if not unclear and 1 in (round(values.low, digits), round(values.high, digits)):
        digits += 1  # a range that does not reach 1 does not look as if it did
    median, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{median} ({low}–{high})" + (", not shown" if unclear else "")


def per_request(seconds: str) -> Callable[[Run], float]:
    """Return a measure: a time of a run, in microseconds a request."""
    return lambda run: 1e6 * (run[seconds] or math.nan) / run["requests"]  # type: ignore[literal-required]


def share(seconds: str) -> Callable[[Run], float]:
    """Return a measure: processor time, in percent of one core."""
    return lambda run: 100 * (run[seconds] or math.nan) / run["elapsed_s"]  # type: ignore[literal-required]


def value_of(key: str) -> Callable[[Run], float]:
    """Return a measure: what a run holds under a key."""
    return lambda run: math.nan if run[key] is None else run[key]  # type: ignore[literal-required]


def idle(run: Run) -> float:
    """Return the time in which the client did not compute, in microseconds a request."""
    return max(0, 1e6 * (run["elapsed_s"] - run["client_cpu_s"]) / run["requests"])


MEASURES: dict[str, tuple[str, Callable[[Run], float]]] = {
    "elapsed": ("elapsed, s", value_of("elapsed_s")),
    "throughput": ("requests/s", throughput),
    "p50": ("p50, ms", value_of("p50_ms")),
    "in_flight": ("in flight", value_of("in_flight")),
    "client_cpu": ("client CPU, µs a request", per_request("client_cpu_s")),
    "server_cpu": ("server CPU, µs a request", per_request("server_cpu_s")),
    "idle": ("client idle, µs a request", idle),
    "client_share": ("client CPU, %", share("client_cpu_s")),
    "server_share": ("server CPU, %", share("server_cpu_s")),
    "peak": ("peak memory, MiB", value_of("peak_mib")),
    "process": ("start to exit, s", value_of("process_s")),
    "microseconds": ("µs a request", per_request("elapsed_s")),
}
# Ratios to the base case; where less is better, base over case.
RATIOS: dict[str, tuple[str, Callable[[Run], float]]] = {
    "ratio": ("times as fast", throughput),
    "process_ratio": ("times as fast, start to exit", lambda run: 1 / run["process_s"]),
    "less_work": ("of it less work", lambda run: run["requests"] / run["client_cpu_s"]),
    "idle_filled": ("of it idle time filled", share("client_cpu_s")),
}


def cell(column: str, case: dict[str, Any], runs: Sequence[Run]) -> str:
    """Return one field of a table."""
    mine = of_case(runs, case["name"])
    if column == "requests":
        return f"{case['requests']:,}"
    if column in RATIOS:
        if case["base"] == case["name"]:
            return "1"
        return times(against_base(column, case, runs))
    return median_and_range(spread([MEASURES[column][1](run) for run in mine]))


def against_base(column: str, case: dict[str, Any], runs: Sequence[Run]) -> Spread:
    """Return a ratio to the base case, round by round, over the rounds that both have."""
    rounds = {run["round"] for run in of_case(runs, case["name"])}
    shared = [run for run in runs if run["round"] in rounds]
    return ratio(shared, case["name"], case["base"], RATIOS[column][1])


def table(columns: Sequence[str], cases: Sequence[dict[str, Any]], runs: Sequence[Run]) -> str:
    """Return a Markdown table: a row a case."""
    headers = ["", *(({"requests": ("requests",)} | MEASURES | RATIOS)[c][0] for c in columns)]
    lines = [headers, ["---", *["---:"] * len(columns)]]
    lines += [[case["name"], *(cell(column, case, runs) for column in columns)] for case in cases]
    lost = [
        f"\nNot ok: {case['name']}, {sum(map(failed, of_case(runs, case['name']))):,} requests."
        for case in cases
        if any(map(failed, of_case(runs, case["name"])))
    ]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + lost)


def machine(result: dict[str, Any]) -> str:
    """Return on one line what a result depends on."""
    about = result["environment"]
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    return (
        f"{about['date']}, commit {about['commit']}: {about['cpu']}, {about['cores']} cores, "
        f"{about['system']}, Python {about['python']}, {libraries}."
    )


def not_shown_list(results: dict[str, dict[str, Any]]) -> str:
    """Return a line for each comparison whose rounds disagree."""
    lines = []
    for study in STUDIES:
        result = results[study.same_runs_as or study.name]
        for column in ("ratio", "process_ratio"):
            if column not in study.columns or study.same_runs_as:
                continue
            for case in result["cases"]:
                values = against_base(column, case, result["runs"])
                if case["base"] != case["name"] and not_shown(values):
                    text = times(values).removesuffix(", not shown")
                    lines.append(
                        f"- `{study.name}`: {case['name']}, against {case['base']}: {text} {RATIOS[column][0]}"
                    )
    return "\n".join(lines) or "Every comparison separates."


def blocks(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return all that is generated into the documents, by the names of its markers."""
    found = {"not shown": not_shown_list(results), "machine": machine(results["headline"])}
    for study in STUDIES:
        result = results[study.same_runs_as or study.name]
        rounds = f"{result['rounds']} rounds in turn" if result["rounds"] > 1 else "1 round"
        command = f"`python benchmarks/study.py {study.same_runs_as or study.name}`, {rounds}:"
        found[study.name] = (
            f"**{study.claim}**\n\n{command}\n\n{table(study.columns, result['cases'], result['runs'])}"
        )
    headline = results["headline"]
    tables = [
        table(["requests", "elapsed", "throughput", "ratio"], cases, headline["runs"])
        for cases in (
            [case for case in headline["cases"] if case["latency_ms"] == latency] for latency in (0, 20)
        )
    ]
    found["both tables of headline"] = "\n\n".join(tables)
    return found


def filled(text: str, generated: dict[str, str]) -> str:
    """Return a document with what stands between its markers made anew."""

    def put(match: re.Match[str]) -> str:
        return f"{match[1]}\n\n{generated[match[2]]}\n\n{match[3]}"

    return re.sub(r"(<!-- made from ([^>]+) -->)\n.*?(<!-- end -->)", put, text, flags=re.DOTALL)


def rendered(folder: Path, results: Path) -> dict[Path, bytes]:
    """Return what the documents and pictures have to be, by their paths below a folder."""
    import charts

    loaded = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.glob("*.json")}
    if missing := [s.name for s in STUDIES if not s.same_runs_as and s.name not in loaded]:
        raise Failed(f"No runs of {', '.join(missing)} in {results}")
    generated = blocks(loaded)
    files = {
        path: filled((folder / path).read_text(encoding="utf-8"), generated).encode()
        for path in (Path("README.md"), Path("benchmarks/RESULTS.md"))
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, picture in charts.pictures(loaded, Path(scratch)).items():
            files[Path("benchmarks", name)] = picture.read_bytes()
    return files


def differing(folder: Path, results: Path) -> list[Path]:
    """Return the files below a folder that are not what the results make of them."""
    files = rendered(folder, results)
    return [path for path, content in files.items() if not is_file(folder / path, content)]


def is_file(path: Path, content: bytes) -> bool:
    """Say whether a file holds this, whatever its line ends."""
    return path.is_file() and path.read_bytes().replace(b"\r\n", b"\n") == content.replace(b"\r\n", b"\n")


# -- The command --------------------------------------------------------------------------------


def parse_options() -> argparse.Namespace:
    """Read the command line; a wrong option ends the program with one line and exit code 2."""
    parser = argparse.ArgumentParser(
        description="Measure the claims of RESULTS.md anew, and make its tables and pictures.",
        usage=argparse.SUPPRESS,  # so that an error is one line
    )
    add = parser.add_argument
    add("studies", nargs="*", metavar="STUDY", help="the studies to run (all)")
    add("--list", action="store_true", help="name the studies and their claims, and end")
    add("--quick", action="store_true", help="run at a hundredth of the size, to see that all works")
    add("--render", action="store_true", help="make tables and pictures anew, without measuring")
    add("--check", action="store_true", help="fail if --render would change anything")
    add("--results", type=Path, default=BENCHMARKS / "results", metavar="DIR", help="the folder of the runs")
    options = parser.parse_args()
    names = [study.name for study in STUDIES]
    if unknown := set(options.studies) - set(names):
        parser.error(f"no study is named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


def chosen(names: Sequence[str]) -> list[Study]:
    """Return the studies that have to be measured for these names, or for all."""
    wanted = {study.same_runs_as or study.name for study in STUDIES if not names or study.name in names}
    return [study for study in STUDIES if study.name in wanted]


def measure_all(options: argparse.Namespace) -> None:
    """Run the chosen studies, and make the documents from them; may raise Failed and Stopped."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if options.quick else options.results
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise Failed(f"{folder} can't be written: {error.strerror}") from None
        for study in chosen(options.studies):
            measure(study, folder, options.quick)
    if not options.quick and folder == BENCHMARKS / "results":
        render()


def render() -> None:
    """Make the documents and pictures anew."""
    for path, content in rendered(ROOT, BENCHMARKS / "results").items():
        (ROOT / path).write_bytes(content)


def main() -> int:
    """Do what the options say; return the exit code."""
    options = parse_options()
    if options.list:
        for study in STUDIES:
            print(f"{study.name:12} {study.claim}")
        return 0
    require_packages()
    stop_on_signals()
    try:
        if options.check:
            for path in (changed := differing(ROOT, options.results)):
                print(f"{path} is not what the runs make of it: python benchmarks/study.py --render")
            return int(bool(changed))
        if options.render:
            render()
        else:
            measure_all(options)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except Stopped as stop:
        return stop.exit_code
    return 0


if __name__ == "__main__":
    leave(main())
