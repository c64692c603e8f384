"""Define what is measured (Case) and what one measurement gives (Run)."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServerSettings:
    """How to start the server."""

    app: str = "main:app"  # as uvicorn takes it: a module of the project or of variants/
    latency_ms: int = 0  # how long each answer waits
    workers: int = 1  # server processes
    access_log: bool = False  # a line for each request, on a terminal


@dataclass(frozen=True)
class Case:
    """One of the things that are measured in turn."""

    name: str  # as it stands in a table
    client: str  # the module of a script or variant, or the name of a load generator
    method: str  # async, threads or blocking
    library: str
    requests: int
    concurrency: int | None = None  # requests in flight; None for one after another
    server: ServerSettings = field(default_factory=ServerSettings)
    base: str = ""  # the name of the case that this one is compared with
    record_spans: bool = False  # note when each request started and ended


# The three scripts, as they stand.
ASYNC = Case("async (aiohttp)", "test_async", "async", "aiohttp", 24_999, 32)
THREADS = Case("threads (requests)", "test_thread", "threads", "requests", 24_999, 32)
BLOCKING = Case("blocking (requests)", "test_blocking", "blocking", "requests", 24_999)


@dataclass(frozen=True)
class Run:
    """What one run of one case gave; what could not be measured is None."""

    case: str
    round: int  # counted from 1
    requests: int
    ok: int
    failures: dict[str, int]  # how many requests failed in which way
    elapsed_s: float  # from the start of the first request to the end of the last
    process_s: float  # from the start of the client's process to its end
    client_cpu_s: float | None = None  # within elapsed_s
    server_cpu_s: float | None = None  # within process_s, with all workers
    p50_ms: float | None = None  # latency of the ok answers; so are the next two
    p99_ms: float | None = None
    max_ms: float | None = None
    in_flight: float | None = None  # on average: the sum of these latencies over elapsed_s
    peak_mib: float | None = None  # memory of the client's process
    spans_s: list[list[float]] = field(default_factory=list)  # [start, end] of each request


class MeasurementError(Exception):
    """Something keeps a measurement from going on; the text says what, for the user."""
