"""Declare what RESULTS.md claims, and which cases are measured to show it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness import runs
from harness.runs import Case, ServerSettings

ROUNDS = 9  # of which the interval of a median leaves out the first and the last


@dataclass(frozen=True)
class Claim:
    """A statement, and the study that shows whether it holds."""

    name: str
    statement: str
    cases: Sequence[Case]
    tables: Sequence[Sequence[str]]  # the columns of each table
    rounds: int = ROUNDS
    key_cases: Sequence[str] = ()  # those by which RESULTS.md compares its two machines


# As many requests as take about a second without latency on the first machine of RESULTS.md.
ASYNC = replace(runs.ASYNC, requests=7_000)
THREADS = replace(runs.THREADS, requests=1_400)
BLOCKING = replace(runs.BLOCKING, requests=1_400)
SCRIPTS = (ASYNC, THREADS, BLOCKING)

PYREQWEST = (
    Case("async (pyreqwest)", "async_pyreqwest", "async", "pyreqwest", 7_000, 32),
    Case("threads (pyreqwest)", "thread_pyreqwest", "threads", "pyreqwest", 6_000, 32),
    Case("blocking (pyreqwest)", "blocking_pyreqwest", "blocking", "pyreqwest", 3_500),
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


def headline_cases() -> Iterator[Case]:
    """Yield the scripts against the server as people start it, without its log, and at 20 ms."""
    for script in SCRIPTS:
        case = at(script, label="access log", base=f"{BLOCKING.name}, access log")
        yield replace(case, server=ServerSettings(access_log=True))
    for script in SCRIPTS:
        yield at(script, label="no access log", base=f"{BLOCKING.name}, no access log")
    for script in SCRIPTS:
        yield at(script, label="20 ms", base=f"{BLOCKING.name}, 20 ms", latency_ms=20)


def method_cases() -> Iterator[Case]:
    """Yield one library, pyreqwest, in all three methods, without latency and with it."""
    for latency_ms in (0, 20):
        for case in PYREQWEST:
            label = f"{latency_ms} ms"
            base = f"{BLOCKING_PYREQWEST.name}, {label}"
            yield at(case, label=label, base=base, latency_ms=latency_ms)


def library_cases() -> Iterator[Case]:
    """Yield each library in each method that it has."""
    sizes = {
        "requests": {"threads": 1_400, "blocking": 1_400},
        "aiohttp": {"async": 7_000},
        "pyreqwest": {"async": 7_000, "threads": 6_000, "blocking": 3_000},
        "httpx2": {"async": 2_000, "threads": 2_000, "blocking": 2_000},
        "pycurl": {"threads": 6_000, "blocking": 3_000},
        "urllib3": {"threads": 2_000, "blocking": 2_000},
    }
    scripts = {(script.method, script.library): script.client for script in SCRIPTS}
    prefixes = {"async": "async", "threads": "thread", "blocking": "blocking"}
    for library, methods in sizes.items():
        for method, requests in methods.items():
            variant = f"{prefixes[method]}_{library}"
            yield Case(
                f"{method} ({library})",
                scripts.get((method, library), variant),
                method,
                library,
                requests,
                None if method == "blocking" else 32,
                base="async (aiohttp)" if library == "aiohttp" else f"blocking ({library})",
            )


def latency_cases() -> Iterator[Case]:
    """Yield the scripts, and threads with pyreqwest, at each latency of the server."""
    for latency_ms in (0, 1, 3, 10, 30, 100):
        for case in (ASYNC, THREADS_PYREQWEST, THREADS, BLOCKING):
            label = f"{latency_ms} ms"
            base = f"{BLOCKING.name}, {label}"
            yield at(case, label=label, base=base, latency_ms=latency_ms)


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


# How an endpoint waits, its app, and about how many requests/s it answers at most with 20 ms.
ENDPOINTS = (
    ("async def, await", "server_await:app", 5_000),
    ("def, time.sleep", "server_def:app", 2_000),
    ("async def, time.sleep", "server_blocked:app", 48),
)


def endpoint_cases() -> Iterator[Case]:
    """Yield FastAPI's three ways to write an endpoint, without a wait and with one."""
    for latency_ms in (0, 20):
        for name, app, most_with_wait in ENDPOINTS:
            for concurrency in (1, 8, 32, 128):
                label = f"{latency_ms} ms, {concurrency} in flight"
                most = most_with_wait if latency_ms else 5_000
                server = ServerSettings(app=app)
                yield at(
                    replace(ASYNC, name=name, requests=most, server=server),
                    label=label,
                    base=f"async def, await, {label}",
                    latency_ms=latency_ms,
                    concurrency=concurrency,
                )


def form_cases() -> Iterator[Case]:
    """Yield each script and other ways to write it."""
    forms = {
        ASYNC: {
            "a task for each request": "async_gather",
            "a task for each request, Semaphore": "async_semaphore",
            "uvloop": "async_uvloop",
        },
        THREADS: {"prepared once": "thread_prepared", "one shared Session": "thread_shared"},
        BLOCKING: {
            "prepared once": "blocking_prepared",
            "with the environment": "blocking_session_get",
            "requests.get": "blocking_get",
        },
    }
    for script, variants in forms.items():
        name = f"{script.method}: the script"
        yield replace(script, name=name, base=name)
        for form, client in variants.items():
            library = "uvloop" if client == "async_uvloop" else script.library
            variant = replace(script, name=f"{script.method}: {form}", client=client, base=name)
            yield replace(variant, library=library)


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


def timeline_cases() -> Iterator[Case]:
    """Yield the scripts with few requests in flight, each request noted."""
    for latency_ms in (20, 0):
        for script in SCRIPTS:
            label = f"{latency_ms} ms"
            base = f"{BLOCKING.name}, {label}"
            case = at(script, label=label, base=base, latency_ms=latency_ms, concurrency=8)
            yield replace(case, requests=96, record_spans=True)


def growth_cases() -> Iterator[Case]:
    """Yield each script with few and with many requests."""
    sizes = {ASYNC: (10_000, 200_000), THREADS: (1_000, 10_000), BLOCKING: (1_000, 10_000)}
    for script, numbers in sizes.items():
        for number in numbers:
            yield replace(script, name=f"{script.name}, {number:,} requests", requests=number)


CLAIMS = [
    Claim(
        "headline",
        "How much faster async and threads are than blocking depends on how long the server "
        "takes to answer.",
        [*headline_cases()],
        [
            ["requests", "elapsed, s", "requests/s", "times as fast", "p50, ms"],
            [
                "client CPU, µs a request",
                "server CPU, µs a request",
                "client idle, µs a request",
                "factor of less work",
                "factor of idle time filled",
            ],
        ],
        key_cases=[
            "async (aiohttp), access log",
            "threads (requests), access log",
            "async (aiohttp), no access log",
            "threads (requests), no access log",
            "async (aiohttp), 20 ms",
            "threads (requests), 20 ms",
        ],
    ),
    Claim(
        "method",
        "With one library for all three methods, threads are as fast as async if the server "
        "waits, and 0.8 to 0.9 times as fast if it doesn't.",
        [*method_cases()],
        [["requests/s", "times as fast", "client CPU, µs a request", "in flight"]],
        key_cases=[
            "async (pyreqwest), 0 ms",
            "threads (pyreqwest), 0 ms",
            "async (pyreqwest), 20 ms",
            "threads (pyreqwest), 20 ms",
        ],
    ),
    Claim(
        "library",
        "With no latency, the library decides more than the method.",
        [*library_cases()],
        [["requests/s", "times as fast", "client CPU, µs a request", "server CPU, µs a request"]],
        key_cases=["threads (pycurl)", "threads (urllib3)", "threads (httpx2)", "async (httpx2)"],
    ),
    Claim(
        "latency",
        "The gain rises with the time that the server takes to answer, up to about the number of "
        "requests in flight.",
        [*latency_cases()],
        [["requests", "requests/s", "times as fast", "in flight"]],
    ),
    Claim(
        "concurrency",
        "More requests in flight help until client or server is busy; beyond that, they cost throughput.",
        [*concurrency_cases()],
        [["requests", "requests/s", "times as fast", "p50, ms", "in flight"]],
        rounds=7,
    ),
    Claim(
        "endpoint",
        "In FastAPI, an `async def` endpoint that blocks serves one request after another.",
        [*endpoint_cases()],
        [["requests/s", "times as fast", "p50, ms", "in flight", "server CPU"]],
        rounds=7,
        key_cases=[
            "def, time.sleep, 0 ms, 32 in flight",
            "def, time.sleep, 20 ms, 32 in flight",
            "def, time.sleep, 20 ms, 128 in flight",
            "async def, time.sleep, 20 ms, 32 in flight",
        ],
    ),
    Claim(
        "forms",
        "Each script is faster than the usual tutorial form of its method.",
        [*form_cases()],
        [["requests/s", "times as fast", "client CPU, µs a request", "peak memory, MiB"]],
        key_cases=[
            "async: a task for each request",
            "threads: one shared Session",
            "blocking: with the environment",
        ],
    ),
    Claim(
        "few",
        "A script gains nothing from async or threads up to 100 requests to a server that answers "
        "immediately; with 100 ms of latency, ten requests are enough to gain.",
        [*few_cases()],
        [["start to exit, s", "times as fast, start to exit", "elapsed, s", "times as fast"]],
        rounds=7,
    ),
    Claim(
        "server",
        "The server is half of the result: its access log costs throughput, and on two cores a "
        "second worker does, too.",
        [
            replace(ASYNC, name=name, base="no access log, 1 worker", server=settings)
            for name, settings in (
                ("no access log, 1 worker", ServerSettings()),
                ("access log, 1 worker", ServerSettings(access_log=True)),
                ("no access log, 2 workers", ServerSettings(workers=2)),
            )
        ],
        [
            [
                "requests/s",
                "times as fast",
                "client CPU",
                "server CPU",
                "client CPU, µs a request",
                "server CPU, µs a request",
            ]
        ],
        key_cases=["access log, 1 worker", "no access log, 2 workers"],
    ),
    # hey sends a multiple of the requests in flight.
    Claim(
        "peers",
        "On this server, the async script keeps up with hey, wrk and autocannon.",
        [
            replace(ASYNC, name="test_async.py", requests=9_600, base="test_async.py"),
            *(
                Case(tool, tool, "", "", 9_600, 32, base="test_async.py")
                for tool in ("hey", "wrk", "oha", "autocannon")
            ),
        ],
        [["requests/s", "times as fast", "server CPU, µs a request"]],
        key_cases=["hey", "wrk", "autocannon"],
    ),
    Claim(
        "growth",
        "Memory hardly grows with the number of requests.",
        [*growth_cases()],
        [["peak memory, MiB", "elapsed, s"]],
        rounds=3,
    ),
    Claim(
        "timeline",
        "Blocking has one request in flight; threads and async have up to CONCURRENCY.",
        [*timeline_cases()],
        [["elapsed, s", "requests/s", "p50, ms", "in flight"]],
        rounds=3,
    ),
]
