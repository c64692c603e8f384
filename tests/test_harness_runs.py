"""One run of one case: what is declared arrives, and what comes back is what happened."""

import json
import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

import test_async
import test_blocking
import test_thread
from harness import child, environment
from harness import client as client_module
from harness import server as server_module
from harness.client import LOAD_GENERATORS, TIMEOUT, is_available, run_case, run_in_turn
from harness.processes import start_child
from harness.results import Result, load, save
from harness.runs import ASYNC, BLOCKING, THREADS, Case, MeasurementError, ServerSettings
from harness.server import Server, is_up, start_server, start_servers
from helpers import CLIENTS, DEADLINE, ROOT, Outcome, finish, free_port, start_python
from made_up import made_up_case, made_up_run, made_up_server
from misbehaving import FAULTS, RIGHT, Fault, http, item, misbehaving, serve

posix_only = pytest.mark.skipif(os.name != "posix", reason="shell scripts and signals")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server as the benchmarks start it."""
    with start_server(ServerSettings()) as running:
        yield running


# -- Cases --------------------------------------------------------------------------------------


def test_every_field_of_a_case_arrives() -> None:
    slow = Fault(lambda i: http(item(i)), "", delay=0.05)
    case = Case(
        "the name",
        client="thread_urllib3",
        method="threads",
        library="urllib3",
        requests=12,
        concurrency=3,
        record_spans=True,
    )
    with misbehaving(slow, range(1, 13)) as server:
        run = run_case(case, Server(server.url), 7)
    assert (run.case, run.round) == ("the name", 7)
    assert (run.requests, run.ok, run.failures) == (12, 12, {})
    assert server.asked == dict.fromkeys(range(1, 13), 1)
    assert server.connections == 1 + 3  # one before the clock, and one for each thread
    assert any(b"python-urllib3" in head for head in server.heads)  # the client
    assert len(run.spans_s) == 12
    tested_elsewhere = {"server", "method", "base", "library"}
    named_here = {"name", "client", "requests", "concurrency", "record_spans"}
    assert {field.name for field in fields(Case)} == named_here | tested_elsewhere


def test_every_setting_of_a_server_arrives() -> None:
    settings = ServerSettings(app="server_def:app", latency_ms=300, workers=2, access_log=True)
    assert all(value != getattr(ServerSettings(), name) for name, value in vars(settings).items())
    with start_server(settings) as server:
        assert server.process
        family = psutil.Process(server.process.pid).children()
        assert len([process for process in family if "spawn_main" in str(process.cmdline())]) == 2
        if sys.platform == "linux":  # the log goes to a terminal, as people see it
            assert Path(f"/proc/{server.process.pid}/fd/1").readlink().is_relative_to("/dev/pts")
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{server.url}/items/5", timeout=DEADLINE)
            assert answer.elapsed.total_seconds() >= 0.3
            api = session.get(f"{server.url}/openapi.json", timeout=DEADLINE).json()
        assert [*api["paths"]] == ["/items/{item_id}"]  # main.py has two


@pytest.mark.parametrize("access_log", [True, False], ids=["with", "without"])
def test_access_log_has_a_line_for_each_request(access_log: bool, tmp_path: Path) -> None:
    settings = json.dumps(asdict(ServerSettings(access_log=access_log)))
    with (
        (tmp_path / "stdout").open("w+b") as stdout,
        (tmp_path / "stderr").open("w+b") as stderr,
        start_child(["server", settings], stdout=stdout, stderr=stderr) as process,
    ):
        url = server_module.wait_until_up(process, stderr)
        run = run_case(replace(BLOCKING, requests=3), Server(url), 1)
        process.terminate()
        process.wait()
    assert run.ok == 3
    lines = (tmp_path / "stdout").read_text().splitlines()
    asked = [line for line in lines if "GET /items/" in line]
    assert len(asked) == (1 + 3 if access_log else 0)  # one is sent before the clock starts


def test_access_log_goes_to_a_terminal_that_is_read() -> None:
    if not hasattr(os, "openpty"):
        pytest.skip("no pseudo-terminals here")
    with server_module.open_access_log(ServerSettings(access_log=True)) as log:
        assert os.isatty(log)
        os.write(log, b"x" * 1_000_000)  # would block if nobody read it
    with server_module.open_access_log(ServerSettings()) as log:
        assert not os.isatty(log)


def test_timeout_is_that_of_the_scripts() -> None:
    assert test_async.TIMEOUT == test_thread.TIMEOUT == test_blocking.TIMEOUT == TIMEOUT


def test_timeout_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", 0.5)
    with misbehaving(FAULTS["never answering"], [2]) as server:
        run = run_case(replace(BLOCKING, requests=2), Server(server.url), 1)
    assert run.ok == 1
    assert run.failures == {"ReadTimeout: timed out": 1}
    assert 0.5 <= run.elapsed_s < 5


@pytest.mark.parametrize("case", [ASYNC, THREADS, BLOCKING], ids=CLIENTS)
def test_figures_of_a_run(case: Case, server: Server) -> None:
    concurrency = 4 if case.concurrency else None
    run = run_case(replace(case, requests=200, concurrency=concurrency), server, 1)
    assert (run.ok, run.failures) == (200, {})
    assert run.client_cpu_s is not None
    assert run.server_cpu_s is not None
    assert run.p50_ms is not None
    assert run.p99_ms is not None
    assert run.max_ms is not None
    assert run.in_flight is not None
    assert 0 < run.elapsed_s < run.process_s
    if case is not THREADS:  # one thread can't use more; with the imports, it would be 0.2 s more
        assert 0 < run.client_cpu_s <= run.elapsed_s + 0.01
    assert 0 < run.server_cpu_s < run.process_s
    assert 0 < run.p50_ms <= run.p99_ms <= run.max_ms <= 1_000 * run.elapsed_s
    assert 0.5 < run.in_flight <= (4 if case.concurrency else 1)
    if sys.platform == "linux":
        assert run.peak_mib is not None
        assert 15 < run.peak_mib < 100
    assert run.spans_s == []


def test_spans() -> None:
    slow = Fault(RIGHT.answer, "", delay=0.05)
    case = replace(ASYNC, requests=6, concurrency=2, record_spans=True)
    with serve(lambda item_id: slow) as server:
        run = run_case(case, Server(server.url), 1)
    assert len(run.spans_s) == 6
    assert all(0 <= start <= end - 0.05 for start, end in run.spans_s)
    assert max(end for _, end in run.spans_s) <= run.elapsed_s
    most = max(sum(a <= moment < b for a, b in run.spans_s) for moment, _ in run.spans_s)
    assert most == 2


def test_latencies_and_requests_in_flight_are_those_of_the_spans(server: Server) -> None:
    run = run_case(replace(ASYNC, requests=200, concurrency=8, record_spans=True), server, 1)
    latencies_ms = sorted(1_000 * (end - start) for start, end in run.spans_s)
    assert run.p50_ms == pytest.approx(latencies_ms[99], abs=0.02)
    assert run.p99_ms == pytest.approx(latencies_ms[197], abs=0.02)
    assert run.max_ms == pytest.approx(latencies_ms[199], abs=0.02)
    elapsed_ms = 1_000 * run.elapsed_s
    assert run.in_flight == pytest.approx(sum(latencies_ms) / elapsed_ms, rel=0.01, abs=0.02)


def test_failures_of_a_run_have_no_latency() -> None:
    with serve(lambda item_id: FAULTS["503"] if item_id else RIGHT) as server:
        run = run_case(replace(ASYNC, requests=5), Server(server.url), 1)
    assert (run.ok, run.failures) == (0, {"HTTP 503": 5})
    assert (run.p50_ms, run.p99_ms, run.max_ms) == (None, None, None)


def test_settings_of_the_user_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LATENCY_MS", "5000")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    with start_server(ServerSettings()) as server:
        assert server.process
        assert psutil.Process(server.process.pid).children() == []
        for case in (ASYNC, THREADS, BLOCKING):
            run = run_case(replace(case, requests=3), server, 1)
            assert run.ok == 3
            assert run.elapsed_s < 5


# -- Turns --------------------------------------------------------------------------------------


@posix_only
def test_each_round_starts_with_another_case(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("hey", RECORDED["hey"].output, tmp_path, monkeypatch)
    cases = [Case(name, "hey", "", "", 9_600, 32) for name in "abc"]
    runs = [*run_in_turn(cases, {ServerSettings(): server}, 4)]
    assert [run.case for run in runs] == [*"abc", *"bca", *"cab", *"abc"]
    assert [run.round for run in runs] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_each_case_runs_against_its_own_server() -> None:
    one, other = ServerSettings(), ServerSettings(latency_ms=5)
    cases = [
        replace(BLOCKING, requests=1, server=one),
        replace(BLOCKING, requests=2, server=other),
    ]
    with serve(lambda item_id: RIGHT) as first, serve(lambda item_id: RIGHT) as second:
        servers = {one: Server(first.url), other: Server(second.url)}
        assert [run.ok for run in run_in_turn(cases, servers, 1)] == [1, 2]
    assert (first.asked.total(), second.asked.total()) == (1, 2)


def test_each_kind_of_server_is_started_once() -> None:
    slow = ServerSettings(latency_ms=100)
    cases = [made_up_case("a"), made_up_case("b", server=slow), made_up_case("c")]
    with start_servers(cases) as servers:
        assert [*servers] == [ServerSettings(), slow]
        assert servers[slow].url != servers[ServerSettings()].url
        assert all(is_up(server.url) for server in servers.values())
    assert not any(is_up(server.url) for server in servers.values())


# -- Errors -------------------------------------------------------------------------------------


def test_client_without_a_result() -> None:
    with (
        misbehaving(FAULTS["404"], spoil_probe=True) as server,
        pytest.raises(MeasurementError) as raised,
    ):
        run_case(replace(ASYNC, requests=5), Server(server.url), 1)
    expected = "test_async ended without a result, exit code 1. "
    assert str(raised.value) == (
        f"{expected}{server.url}/items/0 does not answer as this project's server does: HTTP 404"
    )


def test_client_that_crashes(server: Server) -> None:
    """Of its traceback, the last line says what went wrong."""
    expected = "no_such_client ended without a result, exit code 1. ModuleNotFoundError: "
    with pytest.raises(MeasurementError, match=expected):
        run_case(replace(BLOCKING, client="no_such_client"), server, 1)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which children import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


# It prints, as an edited script may, and is killed at its exit, as pyreqwest's crash does.
CRASHING = """
    import atexit
    import os
    import signal
    import sys

    import test_blocking as script

    def fetch_all(tally):
        atexit.register(crash)
        print("starting")
        script.fetch_all(tally)

    def crash():
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@posix_only
def test_client_that_prints_more_and_crashes_at_its_exit_is_measured(
    modules: Path, server: Server
) -> None:
    (modules / "crashing.py").write_text(textwrap.dedent(CRASHING))
    run = run_case(replace(BLOCKING, client="crashing", requests=3), server, 1)
    assert (run.requests, run.ok) == (3, 3)


def test_client_that_prints_and_crashes_has_no_result(modules: Path, server: Server) -> None:
    (modules / "crashing.py").write_text(
        "import test_blocking as script\n"
        "def fetch_all(tally):\n"
        "    print('starting', flush=True)\n"
        "    raise NameError('a typo')\n"
    )
    message = "crashing ended without a result, exit code 1. NameError: a typo"
    with pytest.raises(MeasurementError, match=message):
        run_case(replace(BLOCKING, client="crashing"), server, 1)


def test_server_that_ends_under_its_client(modules: Path) -> None:
    app = """
        import os

        async def app(scope, receive, send):
            if scope["type"] == "http":
                if scope["path"] != "/":
                    os._exit(9)
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body"})
    """
    with start_server(made_up_server(modules, app)) as server:
        assert server.cpu_seconds() is not None
        with pytest.raises(MeasurementError, match="test_blocking ended without a result"):
            run_case(replace(BLOCKING, requests=5), server, 1)
        assert server.process
        assert server.process.wait(DEADLINE) == 9
        assert server.cpu_seconds() is None


def test_server_that_ends_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "START_TIMEOUT", 10_000)  # nobody waits for it
    with (
        pytest.raises(MeasurementError, match=r"(?s)did not start\. .*no_such_module"),
        start_server(ServerSettings(app="no_such_module:app")),
    ):
        pass


def test_server_that_never_answers(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = """
        import asyncio

        async def app(scope, receive, send):
            if scope["type"] == "http":
                await asyncio.sleep(1_000)
    """
    monkeypatch.setattr(server_module, "START_TIMEOUT", 3)
    with (
        pytest.raises(MeasurementError, match=r"(?s)did not start\..* running on "),
        start_server(made_up_server(modules, app)),
    ):
        pass


def test_server_that_prints_much(modules: Path) -> None:
    app = """
        import sys

        print("x" * 300_000, flush=True)
        print("y" * 300_000, file=sys.stderr)
        from main import app as app
    """
    with start_server(made_up_server(modules, app)) as server:
        assert is_up(server.url)


def test_is_up() -> None:
    assert not is_up(f"http://127.0.0.1:{free_port()}")
    assert not is_up("http://a..b")
    with misbehaving(FAULTS["never answering"], spoil_probe=True) as server:
        assert not is_up(f"{server.url}/items/0", timeout=0.2)


# -- The server's processor time ----------------------------------------------------------------


def test_processor_time_of_all_workers() -> None:
    with start_server(ServerSettings(workers=2)) as server:
        assert server.process
        supervisor = psutil.Process(server.process.pid)

        def used_by_each() -> list[float]:
            family = (supervisor, *supervisor.children(recursive=True))
            times = [process.cpu_times() for process in family]
            return [time.user + time.system for time in times]

        before = used_by_each()
        run = run_case(replace(ASYNC, requests=2_000), server, 1)
        least = used_by_each()
        used = server.cpu_seconds()
        most = used_by_each()
    assert run.server_cpu_s is not None
    assert used is not None
    assert 0.1 < run.server_cpu_s <= sum(least) - sum(before) + 0.001  # it is rounded
    assert sum(least) <= used + 0.001
    assert used <= sum(most) + 0.001
    assert least[0] < used - 0.1  # the supervisor's is the lesser part


def test_processor_time_of_another_server_is_unknown() -> None:
    assert Server("http://127.0.0.1:1").cpu_seconds() is None


# -- Load generators ----------------------------------------------------------------------------


@dataclass
class Recorded:
    """What a load generator is given, and what is made of what it prints."""

    options: list[str]
    output: str
    requests: int
    ok: int
    elapsed_s: float


# The outputs were captured, but for that of oha, which follows its documentation.
RECORDED = {
    "hey": Recorded(
        options=["-n", "9600", "-c", "32"],
        output="""
Summary:
  Total:\t1.4870 secs
  Slowest:\t0.0722 secs
  Fastest:\t0.0002 secs
  Average:\t0.0048 secs
  Requests/sec:\t6456.1175

  Total data:\t124800 bytes
  Size/request:\t13 bytes

Response time histogram:
  0.000 [1]\t|
  0.007 [9256]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■
  0.015 [343]\t|■

Latency distribution:
  50% in 0.0047 secs
  99% in 0.0095 secs

Status code distribution:
  [200]\t9600 responses
""",
        requests=9_600,
        ok=9_600,
        elapsed_s=1.487,
    ),
    "oha": Recorded(
        options=["--no-tui", "-n", "9600", "-c", "32"],
        output="""
Summary:
  Success rate:\t100.00%
  Total:\t1.2345 sec
  Slowest:\t0.0291 sec
  Fastest:\t0.0008 sec
  Average:\t0.0041 sec
  Requests/sec:\t7776.4277

Response time distribution:
  50.00% in 0.0040 sec
  99.00% in 0.0074 sec

Status code distribution:
  [200] 9600 responses
""",
        requests=9_600,
        ok=9_600,
        elapsed_s=1.2345,
    ),
    "wrk": Recorded(
        options=["-t1", "-c32", "-d2s"],
        output="""Running 2s test @ http://127.0.0.1:46003/items/5
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.91ms  600.80us  33.19ms   98.73%
    Req/Sec     6.56k    70.58     6.67k    80.00%
  13051 requests in 2.00s, 1.72MB read
Requests/sec:   6522.52
Transfer/sec:      0.86MB
""",
        requests=13_051,
        ok=13_051,
        elapsed_s=2.0,
    ),
    "autocannon": Recorded(
        options=["--json", "-d", "2", "-c", "32"],
        output=(
            '{"url":"http://127.0.0.1:46003/items/5","connections":32,"sampleInt":1000,'
            '"pipelining":1,"workers":0,"duration":2.02,"samples":2,'
            '"start":"2026-11-25T09:21:47.032Z","finish":"2026-11-25T09:21:49.054Z",'
            '"errors":0,"timeouts":0,"mismatches":0,"non2xx":0,"resets":0,'
            '"1xx":0,"2xx":11970,"3xx":0,"4xx":0,"5xx":0,'
            '"statusCodeStats":{"200":{"count":11970}},"latency":{"average":4.74}}'
        ),
        requests=11_970,
        ok=11_970,
        elapsed_s=2.02,
    ),
}


def record(name: str, output: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program on PATH that prints what a load generator printed, and keeps its arguments."""
    (folder / "output").write_text(output, encoding="utf-8")
    program = folder / name
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{folder}/arguments'\ncat '{folder}/output'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@posix_only
@pytest.mark.parametrize("name", LOAD_GENERATORS)
def test_load_generator(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(name, RECORDED[name].output, tmp_path, monkeypatch)
    case = Case(name, name, "", "", 9_600, 32)
    assert is_available(case)
    run = run_case(case, server, 3)
    recorded = RECORDED[name]
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments == [*recorded.options, f"{server.url}/items/5"]
    assert (run.case, run.round) == (name, 3)
    assert (run.requests, run.ok) == (recorded.requests, recorded.ok)
    assert run.elapsed_s == recorded.elapsed_s
    assert run.process_s > 0
    assert run.server_cpu_s is not None
    assert (run.client_cpu_s, run.p50_ms, run.peak_mib) == (None, None, None)


@posix_only
def test_load_generator_that_prints_no_result(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("hey", "it broke\n", tmp_path, monkeypatch)
    with pytest.raises(
        MeasurementError, match=r"hey ended without a result, exit code 0\. it broke"
    ):
        run_case(Case("hey", "hey", "", "", 100), server, 1)


@posix_only
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("hey", "9600 responses", "9598 responses\n  [503]\t2 responses"),
        ("hey", "9600 responses", "9598 responses\n\nError distribution:\n  [2]\tGet: refused"),
        ("hey", "[200]", "[503]"),
        ("oha", "9600 responses", "9598 responses\n  [503] 2 responses"),
        ("oha", "9600 responses", "9598 responses\n\nError distribution:\n  [2] refused"),
        ("wrk", "Requests/sec", "  Non-2xx or 3xx responses: 13051\nRequests/sec"),
        ("wrk", "Requests/sec", "  Socket errors: connect 0, read 2, write 0\nRequests/sec"),
        ("autocannon", '"non2xx":0', '"non2xx":2'),
        ("autocannon", '"errors":0', '"errors":2'),
    ],
)
def test_load_generator_with_failed_requests(
    name: str,
    old: str,
    new: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert old in RECORDED[name].output
    record(name, RECORDED[name].output.replace(old, new), tmp_path, monkeypatch)
    with pytest.raises(MeasurementError, match=f"{name} had failed requests: "):
        run_case(Case(name, name, "", "", 9_600, 32), server, 1)


def test_what_is_not_installed_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not is_available(Case("hey", "hey", "", "", 100, 4))
    assert not is_available(made_up_case("a", library="no_such_library"))
    assert is_available(ASYNC)


def test_a_client_pays_for_no_import_that_its_script_does_without() -> None:
    """The import of asyncio would lengthen the time from start to exit of threads and of blocking."""
    code = "import sys, harness.child; print('asyncio' in sys.modules)"
    outcome = finish(start_python(ROOT / "benchmarks", "-c", code))
    assert outcome == Outcome(0, "False\n", "")


# -- What the system tells ----------------------------------------------------------------------


def test_peak_memory_is_read_from_the_status(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t   36864 kB\nVmRSS:\t 1 kB\n")
    assert child.peak_memory(status) == 36.0
    status.write_text("Name:\tpython\n")
    assert child.peak_memory(status) is None


def test_cpu_model_is_read_from_cpuinfo(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel\t\t: 1\nmodel name\t: A Chip: 3 GHz\nmodel name\t: B\n"
    )
    assert environment.cpu_model(cpuinfo) == "A Chip: 3 GHz"
    cpuinfo.write_text("processor\t: 0\n")
    fallback = platform.processor() or platform.machine()
    assert environment.cpu_model(cpuinfo) == fallback
    assert environment.cpu_model(tmp_path / "none") == fallback


def test_versions_of_what_is_installed() -> None:
    assert environment.versions(["no-such-library", "psutil"]) == {"psutil": psutil.__version__}


def test_environment() -> None:
    found = environment.describe_environment(["aiohttp"])
    assert [*found["libraries"]] == ["aiohttp"]
    assert found["cores"] == os.cpu_count()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cpu"] == environment.cpu_model()
    assert found["commit"] == environment.commit()
    assert found["system"].startswith(platform.system())
    date = datetime.strptime(found["date"], "%Y-%m-%d %H:%M")
    assert timedelta() <= datetime.now() - date < timedelta(minutes=2)


def test_missing_package_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        environment.require(["psutil", "no_such_package"], "requirements.txt")
    requirements = ROOT / "benchmarks" / "requirements.txt"
    command = f"{sys.executable} -m pip install -r {requirements}"
    assert str(leaving.value) == f"Not installed: no_such_package. Run: {command}"


def test_commit_is_that_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    if head.returncode != 0:
        pytest.skip("no git checkout")
    monkeypatch.chdir(tmp_path)  # not that of the folder in which the program is called
    commit = environment.commit()
    assert commit
    assert head.stdout.startswith(commit)


def test_commit_is_unknown_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment.commit() is None


# -- Results ------------------------------------------------------------------------------------


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    settings = ServerSettings("server_def:app", latency_ms=5, workers=2, access_log=True)
    cases = [
        made_up_case("a", concurrency=7, server=settings, record_spans=True),
        made_up_case("b"),
    ]
    spans: Any = [[0.1, 0.2], [0.15, 0.3]]  # lists, as they come from the client's process
    runs = [
        made_up_run("a", 1, 1.5, failures={"HTTP 503": 2}, spans_s=spans),
        made_up_run("b", 1, 2.0, client_cpu_s=None),
    ]
    result = Result("few", 1, {"cpu": "A Chip"}, cases, runs)
    path = tmp_path / "few.json"
    save(result, {"a": 1}, path)
    assert load(path) == result
    content = json.loads(path.read_text())
    assert [*content] == ["settings", "environment", "summary", "runs"]
    assert content["summary"] == {"a": 1}
    lines = path.read_text().splitlines()
    assert len([line for line in lines if '"round"' in line]) == 2  # one run a line
