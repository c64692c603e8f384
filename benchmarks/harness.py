"""What a measurement stands on: a server of its own, one run of one client, and what it took.

Used by compare.py and study.py. Run as a program, it is the process of one client:
`python harness.py SETTINGS RESULT`, as `run_client` does.
"""

import importlib.util
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from types import FrameType, ModuleType
from typing import Any, NamedTuple, NoReturn, NotRequired, TypedDict, TypeVar, cast

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = ROOT / "benchmarks" / "variants"
LIBRARIES = ("aiohttp", "requests", "httpx", "fastapi", "uvicorn")
T = TypeVar("T")
START_TIMEOUT = 30  # seconds that the server may take until it answers


class Run(TypedDict):
    """What one run of one client took; what could not be measured is None."""

    case: str
    round: int
    requests: int
    ok: int
    failed: dict[str, int]
    elapsed_s: float
    client_cpu_s: float
    server_cpu_s: float | None
    p50_ms: float | None  # of the ok answers, as p99
    p99_ms: float | None
    in_flight: float | None  # on average: the sum of all latencies over elapsed
    peak_mib: float | None  # memory of the client's process
    process_s: float  # from the start of the client's process to its end
    spans: NotRequired[list[tuple[int, float, float]]]  # item, start and end of each request in s


class Failed(Exception):  # noqa: N818  it is no error of the program
    """A measurement that cannot go on; its text is one line for the user."""


class Stopped(BaseException):
    """Ctrl-C, or another signal to stop."""

    def __init__(self, number: int) -> None:
        """Remember the signal; the exit code is as a shell gives it."""
        self.exit_code = 128 + number


# -- Signals: heeded once, and never while a process is being started -------------------------


STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_holding = False
_received: list[int] = []


def _stop(number: int, _: FrameType | None) -> None:
    """Stop once; a further signal would cut off the tidying up."""
    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, lambda *_: None)
    if _holding:
        _received.append(number)
    else:
        raise Stopped(number)


def stop_on_signals() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal raise Stopped, once."""
    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, _stop)


@contextmanager
def held() -> Iterator[None]:
    """Hold a signal back until the end, so that it leaves no process behind."""
    global _holding
    _holding = True
    try:
        yield
    finally:
        _holding = False
    if _received:
        raise Stopped(_received.pop())


@contextmanager
def started(
    command: Sequence[str], *, output: Any, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that a terminal's Ctrl-C does not reach, and end it in the end."""
    process = None
    try:
        with held():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            with held():
                end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; ask first."""
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(START_TIMEOUT)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    process.wait()


def leave(exit_code: int) -> NoReturn:
    """End the program at once: while Python tidies up, a further Ctrl-C would still count."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # there is none, or it takes nothing
            stream.flush()
    os._exit(exit_code)


# -- The packages and the machine ---------------------------------------------------------------


def require_packages() -> None:
    """End the program with one line if a package is missing."""
    packages = ("aiohttp", "fastapi", "httpx", "matplotlib", "psutil", "requests", "tqdm", "uvicorn")
    missing = [package for package in packages if not importlib.util.find_spec(package)]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. Run: pip install -r benchmarks/requirements.txt")


def cpu_model() -> str:
    """Return the name of the processor, as well as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the commit that is measured, if this is a git checkout."""
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()
    return None


def environment() -> dict[str, Any]:
    """Return what every result depends on."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


# -- The server ---------------------------------------------------------------------------------


@dataclass
class Server:
    """A running server; process and log are None if it is not our own."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    def cpu(self) -> float | None:
        """Return the processor time that it used so far, with all its workers, in seconds."""
        import psutil

        if self.process is None:
            return None
        try:
            parent = psutil.Process(self.process.pid)
            times = [member.cpu_times() for member in (parent, *parent.children(recursive=True))]
        except psutil.Error:
            return None
        return sum(member.user + member.system for member in times)

    def troubles(self) -> list[str]:
        """Return a line for each known trouble that its log tells of."""
        if self.log is None or "Too many open files" not in self.log.read_text(errors="replace"):
            return []
        return ["The server ran out of open files: raise its limit with ulimit -n."]


def answers(url: str, timeout: float = START_TIMEOUT) -> bool:
    """Say whether any server answers there within so many seconds."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(url, timeout=timeout, allow_redirects=False, stream=True)
        except Exception:  # whatever keeps an answer from coming, such as an address that is none
            return False
        return True


@contextmanager
def own_server(*, latency_ms: float = 0, workers: int = 1, access_log: bool = False) -> Iterator[Server]:
    """Run the server of this project on a free port, and stop it in the end; may raise Failed."""
    command = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(ROOT)]
    # The server chooses its port itself, so whoever answers there is this server.
    command += ["--host", "127.0.0.1", "--port", "0", "--workers", str(workers)]
    command += ["--log-level", "info", "--access-log" if access_log else "--no-access-log"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("UVICORN_")}
    env |= {"LATENCY_MS": str(latency_ms), "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "server.log")
        with log.open("wb") as output, started(command, output=output, env=env) as process:
            deadline = time.monotonic() + START_TIMEOUT
            while not (running := re.search(r"running on (http://\S+)", log.read_text(errors="replace"))):
                if process.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text(errors="replace").strip() or "It said nothing."
                    raise Failed(f"The server did not start.\n{said}")
                time.sleep(0.05)
            while not answers(running[1]):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"The server at {running[1]} does not answer.")
                time.sleep(0.05)
            yield Server(running[1], process, log)


# -- One run ------------------------------------------------------------------------------------


def run_client(
    client: str,
    server: Server,
    *,
    requests: int,
    concurrency: int | None = None,
    python: str = sys.executable,
    record_spans: bool = False,
    case: str = "",
    round_number: int = 1,
) -> Run:
    """Run a client or variant, by the name of its module, in a process of its own; may raise Failed."""
    settings = {
        "client": client,
        "url": server.url,
        "requests": requests,
        "concurrency": concurrency,
        "record_spans": record_spans,
    }
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder, "result.json"), Path(folder, "client.log")
        command = [python, str(Path(__file__)), json.dumps(settings), str(result)]
        server_cpu = server.cpu()
        with log.open("wb") as output:
            start = time.perf_counter()
            with started(command, output=output) as process:
                exit_code = process.wait()
                took = time.perf_counter() - start
        if not result.exists():
            last = (log.read_text(errors="replace").strip() or "it said nothing").splitlines()[-1]
            raise Failed(f"{client} ended without a report, exit code {exit_code}: {last}")
        figures = json.loads(result.read_text())
    after = server.cpu()
    server_used = None if server_cpu is None or after is None else round(after - server_cpu, 3)
    run: dict[str, Any] = {
        "case": case or client,
        "round": round_number,
        "requests": requests,
        "server_cpu_s": server_used,
        "process_s": round(took, 4),
        **figures,
    }
    return cast(Run, run)


def in_turn(cases: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Give each case once a round, with the round's number; each round starts with another one."""
    for number in range(rounds):
        first = number % len(cases)
        for case in (*cases[first:], *cases[:first]):
            yield number + 1, case


def whole_rounds(runs: Sequence[Run], cases: int) -> list[Run]:
    """Return the runs of the rounds in which each of so many cases has run."""
    return list(runs[: len(runs) - len(runs) % cases])


# -- The arithmetic: runs in, figures out -------------------------------------------------------


class Spread(NamedTuple):
    """A median with the least and the greatest value."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of some values; that of none is not a number."""
    return Spread(median(values), min(values), max(values)) if values else Spread(*3 * [math.nan])


def of_case(runs: Sequence[Run], case: str) -> list[Run]:
    """Pick the runs of one case, in the order of the rounds."""
    return sorted((run for run in runs if run["case"] == case), key=lambda run: run["round"])


def throughput(run: Run) -> float:
    """Return the ok answers a second."""
    return run["ok"] / run["elapsed_s"]


def ratio(runs: Sequence[Run], case: str, base: str, measure: Callable[[Run], float] = throughput) -> Spread:
    """Return how many times as much a case reached as another, round by round."""
    pairs = zip(of_case(runs, case), of_case(runs, base), strict=True)
    return spread([measure(a) / measure(b) for a, b in pairs if measure(b)])


def not_shown(times: Spread) -> bool:
    """Say whether the rounds disagree on which of two is more."""
    return not (times.low > 1 or times.high < 1)


def failed(run: Run) -> int:
    """Return the number of requests that were not ok."""
    return sum(run["failed"].values())


def percentile(latencies: Mapping[int, int], percent: int) -> float | None:
    """Return the nearest-rank percentile of counted latencies, by hundredths of a ms, in ms."""
    rank = math.ceil(sum(latencies.values()) * percent / 100)
    for latency in sorted(latencies):
        rank -= latencies[latency]
        if rank <= 0:
            return latency / 100
    return None


# -- The process of one client ------------------------------------------------------------------


def peak_memory() -> float | None:
    """Return the peak memory of this process, in MiB."""
    with suppress(OSError):  # getrusage would count the process that started this one, too
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        if match := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(match[1]) / 1024
    with suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    return None


def record_spans(client: ModuleType, spans: list[tuple[int, float, float]]) -> None:
    """Wrap a client's fetch, so that start and end of each request are noted."""
    fetch = client.fetch

    def note(item_id: int, start: float) -> None:
        spans.append((item_id, start, time.perf_counter()))

    async def async_fetch(*arguments: Any) -> Any:
        start = time.perf_counter()
        outcome = await fetch(*arguments)
        note(arguments[-1], start)
        return outcome

    def blocking_fetch(*arguments: Any) -> Any:
        start = time.perf_counter()
        outcome = fetch(*arguments)
        note(arguments[-1], start)
        return outcome

    is_async = fetch.__code__.co_flags & 0x80  # CO_COROUTINE
    client.fetch = async_fetch if is_async else blocking_fetch  # type: ignore[attr-defined]


def be_client(settings: Mapping[str, Any], result: Path) -> int:
    """Do what a user does who edits a client's settings and runs it; write what it counted."""
    sys.path[:0] = [str(ROOT), str(VARIANTS)]
    module = importlib.import_module(settings["client"])
    client: Any = getattr(module, "client", module)  # what a variant changes
    client.BASE_URL, client.urls = settings["url"], range(1, settings["requests"] + 1)
    if settings["concurrency"] is not None:
        client.CONCURRENCY = settings["concurrency"]
    spans: list[tuple[int, float, float]] = []
    if settings["record_spans"]:
        record_spans(client, spans)

    class Tally(client.Tally):  # type: ignore[misc]
        """The client's own tally, that also writes its figures to a file."""

        def report(self, *arguments: str) -> Any:
            elapsed = time.perf_counter() - self.start
            cpu = time.process_time() - self.cpu_start
            answers: Counter[str] = Counter(self.answers)
            latencies: Counter[int] = Counter(self.latencies)
            exit_code = super().report(*arguments)
            figures = {
                "ok": answers.pop("", 0),
                "failed": dict(answers),
                "elapsed_s": round(elapsed, 5),
                "client_cpu_s": round(cpu, 5),
                "p50_ms": percentile(latencies, 50),
                "p99_ms": percentile(latencies, 99),
                "in_flight": round(sum(k * n for k, n in latencies.items()) / 1e5 / elapsed, 2),
                "peak_mib": peak_memory(),
            }
            if spans:
                figures["spans"] = [
                    (i, round(a - self.start, 5), round(b - self.start, 5)) for i, a, b in spans if i
                ]
            result.write_text(json.dumps(figures))
            return exit_code

    client.Tally = Tally
    exit_code: int = client.main()
    return exit_code


if __name__ == "__main__":
    sys.exit(be_client(json.loads(sys.argv[1]), Path(sys.argv[2])))
