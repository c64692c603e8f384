"""Define what is measured (Case) and what one measurement gives (Run)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServerSettings:
    """How to start the server."""

    app: str = "main:app"  # as uvicorn takes it: main.py or benchmarks/endpoints.py
    latency_ms: int = 0  # how long each answer waits
    workers: int = 1  # server processes
    access_log: bool = False  # a line for each request, written to a file
    tls: bool = False  # https, with a certificate that the client checks


@dataclass(frozen=True)
class Case:
    """One of the things that are measured in turn."""

    name: str  # as it stands in a table
    script: str  # its path, from the project's folder
    method: str = ""  # async, threads or blocking
    library: str = ""  # the package that sends the requests
    requests: int | None = None  # None for as many as take about a second
    concurrency: int | None = None  # requests in flight; None for one after another
    replacement: str = ""  # modules of libraries/ or forms/, in place of the script's functions
    settings: Mapping[str, object] = field(default_factory=dict)  # further settings of the script
    python: str = ""  # the command of the client's Python; by default, the one that runs this
    path: str = ""  # of the endpoint, before /items
    server: ServerSettings = ServerSettings()
    record_spans: bool = False  # note when each request started and ended


@dataclass(frozen=True)
class Run:
    """What one run of one case gave; what could not be measured is None."""

    case: str
    round: int  # counted from 1
    requests: int
    ok: int
    failures: Mapping[str, int]  # how many requests failed in which way
    elapsed_s: float  # from the start of the first request to the end of the last
    process_s: float  # from the start of the client's process to its end
    client_cpu_s: float  # within elapsed_s
    server_cpu_s: float | None  # within process_s, with all workers
    others_s: float  # processor time of other programs within process_s, on the cores of this one
    idle_s: float  # how long these cores had nothing to do within process_s, added up
    p50_ms: float | None  # latency of the ok answers; so are the next two
    p99_ms: float | None
    max_ms: float | None
    in_flight: float  # on average: the sum of these latencies over elapsed_s
    peak_mib: float | None  # memory of the client's processes
    gil: bool  # whether the client's Python had the GIL
    spans_s: list[list[float]] = field(default_factory=list)  # [start, end] of each request

    @property
    def requests_per_s(self) -> float:
        """Throughput: ok answers per second."""
        return self.ok / self.elapsed_s

    @property
    def processes_per_s(self) -> float:
        """How many times per second the client's whole process could run."""
        return 1 / self.process_s

    @property
    def client_cpu(self) -> float:
        """Processor time of the client over the elapsed time: 1 is one full core."""
        return self.client_cpu_s / self.elapsed_s

    @property
    def server_cpu(self) -> float | None:
        """Processor time of the server over the elapsed time."""
        return None if self.server_cpu_s is None else self.server_cpu_s / self.elapsed_s

    @property
    def client_us(self) -> float:
        """Processor time of the client per request, in microseconds."""
        return 1e6 * self.client_cpu_s / self.requests

    @property
    def server_us(self) -> float | None:
        """Processor time of the server per request, in microseconds."""
        return None if self.server_cpu_s is None else 1e6 * self.server_cpu_s / self.requests

    @property
    def disturbed(self) -> bool:
        """Whether other programs took a tenth of a core or more, and left less than half of one."""
        return self.others_s > 0.1 * self.process_s and self.idle_s < 0.5 * self.process_s


class MeasurementError(Exception):
    """Something keeps a measurement from going on; the text says what, for the user."""
