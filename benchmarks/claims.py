"""Declare what RESULTS.md claims, and which cases are measured to show it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.runs import Case, ServerSettings

ROUNDS = 9  # of nine, the interval of a median leaves out the lowest and the highest


@dataclass(frozen=True)
class Claim:
    """A statement, and the study that shows whether it holds."""

    name: str
    statement: str
    cases: Sequence[Case]
    columns: Sequence[str]  # of its table
    rounds: int = ROUNDS


# The three scripts, with as many requests as take about a second if the server answers immediately.
ASYNC = Case("async (aiohttp)", "test_async.py", "async", "aiohttp", 7_000, 32)
THREADS = Case("threads (requests)", "test_thread.py", "threads", "requests", 1_400, 32)
BLOCKING = Case("blocking (requests)", "test_blocking.py", "blocking", "requests", 1_400)
SCRIPTS = (ASYNC, THREADS, BLOCKING)


def with_library(script: Case, library: str, replacement: str, requests: int) -> Case:
    """Return a script with another library."""
    return replace(
        script,
        name=f"{script.method} ({library})",
        library=library,
        replacement=f"libraries.{replacement}",
        requests=requests,
    )


PYREQWEST = (
    with_library(ASYNC, "pyreqwest", "pyreqwest_async", 7_000),
    with_library(THREADS, "pyreqwest", "pyreqwest_blocking", 6_000),
    with_library(BLOCKING, "pyreqwest", "pyreqwest_blocking", 3_000),
)
ASYNC_PYREQWEST, THREADS_PYREQWEST, BLOCKING_PYREQWEST = PYREQWEST


def at(
    case: Case, *, label: str, base: str, latency_ms: int = 0, concurrency: int | None = None
) -> Case:
    """Return a case with another server latency or number in flight, sized for about a second."""
    if case.concurrency is not None and concurrency is not None:
        case = replace(case, concurrency=concurrency)
    in_flight = case.concurrency or 1
    # About half a millisecond is what the library and the server add to the latency.
    at_most_a_second = round(in_flight * 1_000 / (latency_ms + 0.5))
    return replace(
        case,
        name=f"{case.name}, {label}",
        base=base,
        requests=max(min(case.requests, at_most_a_second), 3 * in_flight),
        server=replace(case.server, latency_ms=latency_ms),
    )


def at_latencies(cases: Sequence[Case], latencies_ms: Sequence[int]) -> Iterator[Case]:
    """Yield cases at each latency of the server; the last of them is the base."""
    for latency_ms in latencies_ms:
        label = f"{latency_ms} ms"
        for case in cases:
            base = f"{cases[-1].name}, {label}"
            yield at(case, label=label, base=base, latency_ms=latency_ms)


def library_cases() -> Iterator[Case]:
    """Yield each library in each method that it has, compared with its own blocking form."""
    cases = [
        *SCRIPTS,
        *PYREQWEST,
        with_library(ASYNC, "httpx2", "httpx2_async", 1_400),
        with_library(THREADS, "httpx2", "httpx2_blocking", 1_400),
        with_library(BLOCKING, "httpx2", "httpx2_blocking", 1_400),
        with_library(THREADS, "pycurl", "pycurl", 6_000),
        with_library(BLOCKING, "pycurl", "pycurl", 3_000),
        with_library(THREADS, "urllib3", "urllib3", 2_000),
        with_library(BLOCKING, "urllib3", "urllib3", 2_000),
    ]
    for case in cases:
        yield replace(case, base=case.name if case is ASYNC else f"blocking ({case.library})")


def concurrency_cases() -> Iterator[Case]:
    """Yield async, and threads with both libraries, with each number of requests in flight."""
    for latency_ms in (0, 20):
        for case in (ASYNC, THREADS_PYREQWEST, THREADS):
            for concurrency in (1, 4, 16, 64, 256, 1_000):
                yield at(
                    case,
                    label=f"{latency_ms} ms, {concurrency:,} in flight",
                    base=f"{case.name}, {latency_ms} ms, 1 in flight",
                    latency_ms=latency_ms,
                    concurrency=concurrency,
                )


# How an endpoint waits, its path, and about how many requests/s it answers at most with 20 ms.
ENDPOINTS = (
    ("async def, await", "/await", 5_000),
    ("def, time.sleep", "/def", 2_000),
    ("async def, time.sleep", "/blocked", 48),
)


def endpoint_cases() -> Iterator[Case]:
    """Yield FastAPI's three ways to write an endpoint, without a wait and with one."""
    server = ServerSettings(app="endpoints:app")
    for latency_ms in (0, 20):
        for name, path, most_with_wait in ENDPOINTS:
            for concurrency in (1, 8, 32, 128):
                label = f"{latency_ms} ms, {concurrency} in flight"
                requests = most_with_wait if latency_ms else 5_000
                yield at(
                    replace(ASYNC, name=name, path=path, requests=requests, server=server),
                    label=label,
                    base=f"async def, await, {label}",
                    latency_ms=latency_ms,
                    concurrency=concurrency,
                )


# Other ways to write each script: what it is called, and what takes the place of its functions.
FORMS: Mapping[str, Mapping[str, str]] = {
    "async": {
        "a task for each request": "forms.task_each",
        "a task for each request, Semaphore": "forms.semaphore",
        "uvloop": "forms.on_uvloop",
    },
    "threads": {
        "prepared once": "libraries.requests_prepared",
        "with the environment": "libraries.requests_environment",
        "one shared Session": "forms.shared_session",
    },
    "blocking": {
        "prepared once": "libraries.requests_prepared",
        "with the environment": "libraries.requests_environment",
        "requests.get": "libraries.requests_get",
    },
}


def form_cases() -> Iterator[Case]:
    """Yield each script and other ways to write it."""
    for script in SCRIPTS:
        name = f"{script.method}: the script"
        yield replace(script, name=name, base=name)
        for form, replacement in FORMS[script.method].items():
            library = "uvloop" if form == "uvloop" else script.library
            yield replace(
                script,
                name=f"{script.method}: {form}",
                library=library,
                replacement=replacement,
                base=name,
            )


def few_cases() -> Iterator[Case]:
    """Yield the scripts with few requests, without latency and with 100 ms."""
    for latency_ms, numbers in ((0, (1, 10, 100, 1_000)), (100, (1, 10, 200))):
        for number in numbers:
            for script in SCRIPTS:
                requests = "1 request" if number == 1 else f"{number:,} requests"
                label = f"{latency_ms} ms, {requests}"
                yield replace(
                    script,
                    name=f"{script.name}, {label}",
                    base=f"{BLOCKING.name}, {label}",
                    requests=number,
                    server=ServerSettings(latency_ms=latency_ms),
                )


def server_cases() -> Iterator[Case]:
    """Yield the async script against the server as it can be started."""
    for name, settings in (
        ("no access log, 1 worker", ServerSettings()),
        ("access log, 1 worker", ServerSettings(access_log=True)),
        ("no access log, 2 workers", ServerSettings(workers=2)),
    ):
        yield replace(ASYNC, name=name, base="no access log, 1 worker", server=settings)


def timeline_cases() -> Iterator[Case]:
    """Yield the scripts with few requests in flight, each request noted."""
    for script in SCRIPTS:
        base = f"{BLOCKING.name}, 20 ms"
        case = at(script, label="20 ms", base=base, latency_ms=20, concurrency=8)
        yield replace(case, requests=96, record_spans=True)


GIL, NO_GIL = "python3.13", "python3.13t"
PROCESSES = "benchmarks/forms/processes.py"


def core_cases() -> Iterator[Case]:
    """Yield what could help a client that keeps its core busy: no GIL, and two processes."""
    for python, label in ((GIL, "GIL"), (NO_GIL, "no GIL")):
        yield replace(BLOCKING, name=f"blocking (requests), {label}", python=python)
        for concurrency in (4, 32):
            name = f"threads (requests), {concurrency} in flight, {label}"
            yield replace(THREADS, name=name, concurrency=concurrency, python=python)
    for script, name in (
        (BLOCKING, "2 processes, blocking (requests), GIL"),
        (THREADS, "2 processes, threads (requests), 32 in flight, GIL"),
    ):
        module = script.script.removesuffix(".py")
        yield replace(
            script,
            name=name,
            script=PROCESSES,
            settings={"SCRIPT": module, "PROCESSES": 2},
            requests=2_000,
            concurrency=script.concurrency or 2,
            python=GIL,
        )
    yield replace(ASYNC, name="async (aiohttp), 32 in flight, GIL", python=GIL)
    yield replace(
        ASYNC,
        name="2 processes, async (aiohttp), 32 in flight, GIL",
        script=PROCESSES,
        settings={"SCRIPT": "test_async", "PROCESSES": 2},
        python=GIL,
    )


CLAIMS = [
    Claim(
        "headline",
        "If the server takes 100 ms, async and threads are equally fast: about as many times as "
        "fast as blocking as they have requests in flight. If it answers immediately, threads "
        "with requests gain little.",
        [*at_latencies(SCRIPTS, (0, 100))],
        ["requests", "requests/s", "times as fast", "client CPU", "server CPU"],
    ),
    Claim(
        "method",
        "With one library for all three methods, threads are about as fast as async, whether the "
        "server waits or not.",
        [*at_latencies(PYREQWEST, (0, 20))],
        ["requests/s", "times as fast", "client CPU, us per request", "in flight"],
    ),
    Claim(
        "library",
        "If the server answers immediately, the library decides more than the method.",
        [*library_cases()],
        ["requests/s", "times as fast", "client CPU, us per request", "server CPU, us per request"],
    ),
    Claim(
        "latency",
        "The gain rises with the time that the server takes, up to about the number of requests "
        "in flight.",
        [*at_latencies((ASYNC, THREADS_PYREQWEST, THREADS, BLOCKING), (0, 1, 3, 10, 30, 100))],
        ["requests", "requests/s", "times as fast", "in flight"],
    ),
    Claim(
        "concurrency",
        "More requests in flight help until client or server is busy; beyond that, they cost "
        "throughput.",
        [*concurrency_cases()],
        ["requests", "requests/s", "times as fast", "p50, ms", "in flight"],
        rounds=7,
    ),
    Claim(
        "endpoint",
        "In FastAPI, an `async def` endpoint that blocks serves one request after another.",
        [*endpoint_cases()],
        ["requests/s", "times as fast", "p50, ms", "in flight", "server CPU"],
        rounds=7,
    ),
    Claim(
        "forms",
        "Each script is faster than the usual tutorial form of its method.",
        [*form_cases()],
        ["requests/s", "times as fast", "client CPU, us per request", "peak memory, MiB"],
    ),
    Claim(
        "few",
        "A script gains nothing from async or threads for up to 100 requests to a server that answers "
        "immediately; if it takes 100 ms, ten requests are enough to gain.",
        [*few_cases()],
        ["start to exit, s", "times as fast, start to exit", "elapsed, s", "times as fast"],
        rounds=7,
    ),
    Claim(
        "server",
        "The server is half of the result: its access log costs throughput, and on two cores a "
        "second worker gains nothing.",
        [*server_cases()],
        [
            "requests/s",
            "times as fast",
            "client CPU",
            "server CPU",
            "client CPU, us per request",
            "server CPU, us per request",
        ],
    ),
    Claim(
        "cores",
        "Two processes help a client that fills its core. Without the GIL, threads with requests "
        "gain, too, but Python 3.13 without it is slower by as much.",
        [replace(case, base="blocking (requests), GIL") for case in core_cases()],
        ["Python", "requests/s", "times as fast", "client CPU", "server CPU", "peak memory, MiB"],
    ),
    Claim(
        "timeline",
        "Blocking has one request in flight; threads and async have up to CONCURRENCY.",
        [*timeline_cases()],
        ["elapsed, s", "requests/s", "p50, ms", "in flight"],
        rounds=3,
    ),
]
