"""Declare what RESULTS.md claims: the cases, and which of them each claim shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.runs import Case, ServerSettings

ROUNDS = 9  # so many are needed for an interval of 95%

Row = tuple[Case, Case]  # a case, and the one with which it is compared


@dataclass(frozen=True)
class Claim:
    """A statement, and the view of the measured cases that shows whether it holds."""

    name: str
    statement: str
    rows: Sequence[Row]
    columns: Sequence[str]  # of its table


# -- Clients ------------------------------------------------------------------------------------

ASYNC = Case("async (aiohttp)", "test_async.py", "async", "aiohttp", concurrency=32)
THREADS = Case("threads (requests)", "test_thread.py", "threads", "requests", concurrency=32)
BLOCKING = Case("blocking (requests)", "test_blocking.py", "blocking", "requests")
SCRIPTS = (ASYNC, THREADS, BLOCKING)


def with_library(script: Case, library: str, replacement: str) -> Case:
    """Return a script with another library."""
    name = f"{script.method} ({library})"
    return replace(script, name=name, library=library, replacement=f"libraries.{replacement}")


ASYNC_PYREQWEST = with_library(ASYNC, "pyreqwest", "pyreqwest_async")
THREADS_PYREQWEST = with_library(THREADS, "pyreqwest", "pyreqwest_blocking")
BLOCKING_PYREQWEST = with_library(BLOCKING, "pyreqwest", "pyreqwest_blocking")
ASYNC_HTTPX2 = with_library(ASYNC, "httpx2", "httpx2_async")
THREADS_HTTPX2 = with_library(THREADS, "httpx2", "httpx2_blocking")
BLOCKING_HTTPX2 = with_library(BLOCKING, "httpx2", "httpx2_blocking")
THREADS_PYCURL = with_library(THREADS, "pycurl", "pycurl")
BLOCKING_PYCURL = with_library(BLOCKING, "pycurl", "pycurl")
THREADS_URLLIB3 = with_library(THREADS, "urllib3", "urllib3")
BLOCKING_URLLIB3 = with_library(BLOCKING, "urllib3", "urllib3")


def at(case: Case, latency_ms: int = 0, in_flight: int | None = None) -> Case:
    """Return a client against a server that takes so long, with so many requests in flight."""
    in_flight = in_flight or case.concurrency
    label = f", {in_flight} in flight" if in_flight else ""
    return replace(
        case,
        name=f"{case.name}{label}, {latency_ms} ms",
        concurrency=in_flight,
        server=replace(case.server, latency_ms=latency_ms),
    )


def form(script: Case, name: str, replacement: str, library: str = "") -> Case:
    """Return another way to write a script, against a server that answers immediately."""
    return replace(
        script,
        name=f"{script.method}: {name}",
        replacement=replacement,
        library=library or script.library,
    )


# -- Cases that texts and pictures speak of -----------------------------------------------------

ASYNC_0, THREADS_0, BLOCKING_0 = (at(script) for script in SCRIPTS)
ASYNC_10, THREADS_10, BLOCKING_10 = (at(script, 10) for script in SCRIPTS)
ASYNC_30, THREADS_30, BLOCKING_30 = (at(script, 30) for script in SCRIPTS)
ASYNC_100, THREADS_100, BLOCKING_100 = (at(script, 100) for script in SCRIPTS)
ASYNC_256 = at(ASYNC, 10, 256)

STUB_ASYNC = form(ASYNC, "no library", "forms.stub_async")
STUB_THREADS = form(THREADS, "no library", "forms.stub_blocking")
STUB_BLOCKING = form(BLOCKING, "no library", "forms.stub_blocking")


# -- headline, law, method, library -------------------------------------------------------------

HEADLINE: list[Row] = [(case, BLOCKING_0) for case in (ASYNC_0, THREADS_0, BLOCKING_0)]
HEADLINE += [(case, BLOCKING_100) for case in (ASYNC_100, THREADS_100, BLOCKING_100)]

# What a request costs client and server, measured where nothing but the work counts.
COST_ASYNC = at(ASYNC, in_flight=8)
COST_PYREQWEST = at(THREADS_PYREQWEST, in_flight=8)
COST_REQUESTS = BLOCKING_0

LAW_LATENCIES_MS = (0, 10, 30, 100)
LAW: list[Row] = [(at(BLOCKING, ms), COST_REQUESTS) for ms in LAW_LATENCIES_MS[1:]]
for client, cost, numbers in (
    (THREADS, COST_REQUESTS, (4, 32)),
    (THREADS_PYREQWEST, COST_PYREQWEST, (4, 32)),
    (ASYNC, COST_ASYNC, (4, 32)),
):
    LAW += [(at(client, ms, number), cost) for number in numbers for ms in LAW_LATENCIES_MS]
LAW += [(at(ASYNC, ms, 256), COST_ASYNC) for ms in LAW_LATENCIES_MS[1:]]

METHOD: list[Row] = []
for blocking, *others in (
    (BLOCKING_PYREQWEST, ASYNC_PYREQWEST, THREADS_PYREQWEST),
    (BLOCKING_HTTPX2, ASYNC_HTTPX2, THREADS_HTTPX2),
):
    for ms in (0, 30):
        METHOD += [(at(client, ms), at(blocking, ms)) for client in (*others, blocking)]

LIBRARY: list[Row] = [(ASYNC_0, ASYNC_0)]
for blocking, *others in (
    (BLOCKING, THREADS),
    (BLOCKING_PYREQWEST, THREADS_PYREQWEST, ASYNC_PYREQWEST),
    (BLOCKING_HTTPX2, THREADS_HTTPX2, ASYNC_HTTPX2),
    (BLOCKING_PYCURL, THREADS_PYCURL),
    (BLOCKING_URLLIB3, THREADS_URLLIB3),
):
    LIBRARY += [(at(client), at(blocking)) for client in (*others, blocking)]
LIBRARY += [(case, STUB_BLOCKING) for case in (STUB_ASYNC, STUB_THREADS, STUB_BLOCKING)]


# -- forms, few ---------------------------------------------------------------------------------

TASK_EACH = form(ASYNC, "a task for each request", "forms.task_each")
SEMAPHORE = form(ASYNC, "a task for each request, Semaphore", "forms.semaphore")
UVLOOP = form(ASYNC, "uvloop", "forms.on_uvloop", "uvloop")
THREADS_PREPARED = form(THREADS, "prepared once", "forms.prepared")
THREADS_ENVIRONMENT = form(THREADS, "with the environment", "forms.environment")
SHARED_SESSION = form(THREADS, "one shared Session", "forms.shared_session")
BLOCKING_PREPARED = form(BLOCKING, "prepared once", "forms.prepared")
BLOCKING_ENVIRONMENT = form(BLOCKING, "with the environment", "forms.environment")
REQUESTS_GET = form(BLOCKING, "requests.get", "forms.requests_get")

FORMS: list[Row] = []
for base, *other_forms in (
    (ASYNC_0, TASK_EACH, SEMAPHORE, UVLOOP),
    (THREADS_0, THREADS_PREPARED, THREADS_ENVIRONMENT, SHARED_SESSION),
    (BLOCKING_0, BLOCKING_PREPARED, BLOCKING_ENVIRONMENT, REQUESTS_GET),
):
    FORMS += [(case, base) for case in (base, *other_forms)]


def few(script: Case, latency_ms: int, requests: int) -> Case:
    """Return a script with few requests."""
    name = f"{script.name}, {requests:,} requests, {latency_ms} ms"
    server = ServerSettings(latency_ms=latency_ms)
    return replace(script, name=name, requests=requests, server=server)


FEW: list[Row] = [
    (few(script, latency_ms, number), few(BLOCKING, latency_ms, number))
    for latency_ms, numbers in ((0, (10, 100, 1_000)), (100, (10, 100)))
    for number in numbers
    for script in SCRIPTS
]


# -- endpoint, server ---------------------------------------------------------------------------


def endpoint(path: str, latency_ms: int, in_flight: int) -> Case:
    """Return the async script against one of the three endpoints of endpoints.py."""
    name = {
        "/await": "async def, await",
        "/def": "def, time.sleep",
        "/blocked": "async def, time.sleep",
    }[path]
    case = replace(ASYNC, name=name, path=path, server=ServerSettings(app="endpoints:app"))
    if path == "/blocked" and latency_ms:  # about 48 requests/s, whatever is in flight
        case = replace(case, requests=max(24, 4 * in_flight))
    return at(case, latency_ms, in_flight)


ENDPOINT: list[Row] = [
    (endpoint(path, latency_ms, number), endpoint("/await", latency_ms, number))
    for latency_ms, numbers in ((0, (32,)), (20, (1, 8, 32, 64)))
    for path in ("/await", "/def", "/blocked")
    for number in numbers
]

ACCESS_LOG = replace(
    ASYNC_0, name="async, with an access log", server=ServerSettings(access_log=True)
)
TWO_WORKERS = replace(ASYNC_0, name="async, 2 workers", server=ServerSettings(workers=2))


# -- cores --------------------------------------------------------------------------------------

NO_GIL = "python3.14t"
PROCESSES = "benchmarks/processes.py"


def two_processes(script: Case) -> Case:
    """Return a script in two processes."""
    settings = {"SCRIPT": script.script.removesuffix(".py"), "PROCESSES": 2}
    case = replace(script, script=PROCESSES, settings=settings)
    return at(replace(case, name=f"2 processes, {case.name}"), in_flight=script.concurrency or 2)


def without_gil(case: Case) -> Case:
    """Return a case on a Python without the GIL."""
    return replace(case, name=f"{case.name}, no GIL", python=NO_GIL)


def gil_switched_on(case: Case) -> Case:
    """Return a case on the same build as without the GIL, but with it."""
    return replace(case, name=f"{case.name}, GIL switched on", python=f"{NO_GIL} -X gil=1")


TWO_LOOPS = form(ASYNC, "2 event loops in threads", "forms.two_loops")
HTTPX2_0 = at(ASYNC_HTTPX2)
HTTPX2_LOOPS = form(
    ASYNC_HTTPX2,
    "2 event loops in threads (httpx2)",
    f"{ASYNC_HTTPX2.replacement} {TWO_LOOPS.replacement}",
)
THREADS_4 = at(THREADS, in_flight=4)
BLOCKING_2, THREADS_2, ASYNC_2 = (two_processes(script) for script in SCRIPTS[::-1])

CORES: list[Row] = []
for python in (lambda case: case, without_gil, gil_switched_on):
    CORES += [(python(case), python(BLOCKING_0)) for case in (BLOCKING_0, THREADS_4, THREADS_0)]
for python in (lambda case: case, without_gil):
    CORES += [
        (python(case), python(base))
        for case, base in (
            (BLOCKING_2, BLOCKING_0),
            (THREADS_2, THREADS_0),
            (ASYNC_0, ASYNC_0),
            (TWO_LOOPS, ASYNC_0),
            (ASYNC_2, ASYNC_0),
            (HTTPX2_0, HTTPX2_0),
            (HTTPX2_LOOPS, HTTPX2_0),
        )
    ]
CORES.append((gil_switched_on(ASYNC_0), ASYNC_0))


# -- reuse, timeline ----------------------------------------------------------------------------


def https(case: Case) -> Case:
    """Return a case over https."""
    replacement = (
        case.replacement
        or {
            "async": "forms.https_async",
            "blocking": "forms.https_blocking",
        }[case.method]
    )
    server = replace(case.server, tls=True)
    return replace(case, name=f"{case.name}, https", replacement=replacement, server=server)


SESSION_EACH = form(ASYNC, "a ClientSession for each request", "forms.session_each")
REUSE: list[Row] = [
    (BLOCKING_0, BLOCKING_0),
    (REQUESTS_GET, BLOCKING_0),
    (ASYNC_0, ASYNC_0),
    (SESSION_EACH, ASYNC_0),
    (https(BLOCKING_0), https(BLOCKING_0)),
    (https(REQUESTS_GET), https(BLOCKING_0)),
    (https(ASYNC_0), https(ASYNC_0)),
    (https(SESSION_EACH), https(ASYNC_0)),
]

TIMELINE: list[Row] = []
for script in SCRIPTS:
    number = 8 if script.concurrency else None
    case = replace(at(script, 20, number), requests=96, record_spans=True)
    TIMELINE.append((case, case))


# -- Claims -------------------------------------------------------------------------------------

COSTS = ["client CPU, us per request", "server CPU, us per request"]
SPEEDS = ["requests/s", "times as fast"]

CLAIMS = [
    Claim(
        "headline",
        "Waiting: if the server takes 100 ms, with 32 requests in flight, async and threads are "
        "equally fast, about 32 times as fast as blocking. Work: if it answers immediately, method "
        "and library both count, and threads with requests gain nothing.",
        HEADLINE,
        ["requests", *SPEEDS, "client CPU", "server CPU"],
    ),
    Claim(
        "law",
        "Three limits hold every client, and the least of them says how fast it can be: waiting, "
        "the client's work, the server's work.",
        LAW,
        ["limit", "bound, requests/s", "requests/s", "of its bound", "in flight"],
    ),
    Claim(
        "method",
        "With one library for all three methods, async and threads gain about equally by waiting. "
        "If the server answers immediately, both gain with pyreqwest, and no gain is shown with "
        "httpx2.",
        METHOD,
        [*SPEEDS, "client CPU, us per request", "in flight"],
    ),
    Claim(
        "library",
        "The client's work: what a request costs depends on the library more than on the method.",
        LIBRARY,
        [*COSTS, *SPEEDS],
    ),
    Claim(
        "forms",
        "The client's work: each script is faster than the usual tutorial form of its method.",
        FORMS,
        [*SPEEDS, "client CPU, us per request", "peak memory, MiB"],
    ),
    Claim(
        "reuse",
        "The client's and the server's work: a new session for each request costs throughput, "
        "and over https more than three quarters of it.",
        REUSE,
        [*SPEEDS, *COSTS],
    ),
    Claim(
        "few",
        "Waiting, from start to exit: for a few requests, the time to start Python and to import "
        "the library counts. If the server takes 100 ms, ten requests are enough to gain.",
        FEW,
        [
            "start to exit, s",
            "times as fast, start to exit",
            "elapsed, s",
            "times as fast",
        ],
    ),
    Claim(
        "endpoint",
        "Waiting, in the server: in FastAPI, an `async def` endpoint that blocks serves one "
        "request after another.",
        ENDPOINT,
        [*SPEEDS, "p50, ms", "in flight", "server CPU"],
    ),
    Claim(
        "server",
        "The server's work: if it is the limit, an access log costs throughput. On two cores that "
        "the client shares, a second worker does not help.",
        [(case, ASYNC_0) for case in (ASYNC_0, ACCESS_LOG, TWO_WORKERS)],
        [*SPEEDS, "client CPU", "server CPU", *COSTS],
    ),
    Claim(
        "cores",
        "The client's work: if it is the limit, a second process helps. Without the GIL, threads "
        "and event loops in threads help, too.",
        CORES,
        [*SPEEDS, "compared with", "in flight", "client CPU", "server CPU", COSTS[0]],
    ),
    Claim(
        "timeline",
        "Waiting: blocking has one request in flight; threads and async have up to CONCURRENCY.",
        TIMELINE,
        ["elapsed, s", "requests/s", "p50, ms", "in flight"],
    ),
]


def cases_of(claims: Sequence[Claim]) -> list[Case]:
    """Return the cases that some claims show or compare with, each once."""
    found: Mapping[str, Case] = {
        case.name: case for claim in claims for row in claim.rows for case in row
    }
    return [*found.values()]
