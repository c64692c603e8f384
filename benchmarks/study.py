"""Measure every claim of RESULTS.md anew, each by its name.

    $ python benchmarks/study.py --list
    $ python benchmarks/study.py latency forms   # these two; without a name, all of them

Each study runs its cases in turn, once a round, on servers of its own, and writes every
single run to results/. The tables and pictures are made from these files and nothing else.
"""

import os
import signal

signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # until there is something to stop

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
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
    not_shown,
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
        "For a handful of requests, the choice does not matter: start-up outweighs it.",
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
        "The server is half of the result: its access log costs, and a second worker needs cores.",
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
        ["requests", "throughput", "ratio", "server_cpu"],
    ),
    Study(
        "pythons",
        "The order of the three is the same on each Python.",
        [],  # found when it runs
        ["throughput", "ratio", "client_cpu"],
    ),
    Study(
        "growth",
        "The time for a request and the memory do not grow with the number of requests.",
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
    found = []
    for minor in range(11, 30):
        if (path := shutil.which(f"python3.{minor}")) and not subprocess.run(
            [path, "-c", ""], capture_output=True, check=False
        ).returncode:
            found.append(path)
    return found


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
    return case.client != "async_uvloop" or bool(shutil.which("true") and _has_uvloop())


def _has_uvloop() -> bool:
    import importlib.util

    return importlib.util.find_spec("uvloop") is not None


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
    print(f"{what}: {run['ok']:,} ok in {run['elapsed_s']:.2f} s", file=sys.stderr)


def write_result(path: Path, result: dict[str, Any]) -> Path:
    """Write a result, one run a line."""
    text = json.dumps({k: v for k, v in result.items() if k != "runs"}, indent=1)
    lines = ",\n".join("  " + json.dumps(run) for run in result["runs"])
    path.write_text(f'{text[:-2]},\n "runs": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    return path
