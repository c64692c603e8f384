"""The harness: what is declared arrives, and what comes back is what happened."""

import json
import logging
import os
import platform
import re
import socket
import subprocess
import sys
import textwrap
from collections import namedtuple
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest
import requests

from harness import child, client, environment
from harness import server as server_module
from harness.client import describe, run_case, run_rounds, sized
from harness.runs import Case, MeasurementError, Run, ServerSettings
from harness.server import Server, find_server, start_server, wait_until_up
from helpers import ROOT, posix_only, reserved_port, wait_for
from made_up import made_up_case, made_up_run
from misbehaving import FAULTS, RIGHT, misbehaving, serve

NOWHERE = Server("http://127.0.0.1:9")

# -- Clients ------------------------------------------------------------------------------------

# It says in its failures what it was given. Like some scripts of users it prints, reads stdin and
# leaves a process behind, and like pyreqwest it crashes at its exit.
TALKATIVE = """
    import asyncio, atexit, functools, json, os, signal, subprocess, sys, tracemalloc

    import report
    import only_on_the_path
    from test_blocking import Tally

    NAME, BASE_URL, TIMEOUT, CONCURRENCY, SCRIPT = "talkative", "", 0, 0, ""
    urls = range(100_000, 100_003)

    def logged(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            print(".", end="", flush=True)
            return function(*arguments)
        return wrapper

    @logged
    async def fetch_all(tally):
        left = subprocess.Popen(["sleep", "1000"])
        given = [BASE_URL, TIMEOUT, CONCURRENCY, SCRIPT, list(urls)]
        given += [asyncio.get_running_loop().get_debug(), tracemalloc.is_tracing()]
        given += [sys.flags.dev_mode, os.environ["PYTHON_GIL"], os.environ["OF_THE_CASE"]]
        given += [open("token.txt").read(), sys.stdin.read(), report.WHOSE, left.pid]
        tally.start -= 2
        tally.cpu_start -= 7
        for latency in (0.4, 0.1, 0.3, 0.2):
            tally.add(None, latency)
        tally.add(json.dumps(given), 0.5)
        memory = bytearray(200_000_000)
        atexit.register(crash)

    def crash():
        print("bye", flush=True)
        os.write(1, b"and more")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def written(folder: Path, source: str, name: str = "made_up_script.py") -> str:
    """Write a script; return the path."""
    path = folder / name
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return str(path)


@posix_only
def test_a_case_arrives_and_what_the_script_counted_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("script", "user", "path"):
        (tmp_path / folder).mkdir()
    (tmp_path / "script" / "report.py").write_text("WHOSE = 'mine'")  # benchmarks/ has one, too
    (tmp_path / "user" / "token.txt").write_text("secret")
    (tmp_path / "user" / "json.py").write_text("not a module")
    (tmp_path / "path" / "only_on_the_path.py").touch()
    monkeypatch.chdir(tmp_path / "user")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    for name in ("PYTHONASYNCIODEBUG", "PYTHONTRACEMALLOC", "PYTHONDEVMODE", "PYTHON_GIL"):
        monkeypatch.setenv(name, "1")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nOF_THE_CASE=this exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    script = written(tmp_path / "script", TALKATIVE)
    case = Case("the name", script, requests=5, concurrency=3, settings={"SCRIPT": "test_async"})
    case = replace(case, python=str(python), path="/await", record_spans=True)
    run = run_case(case, NOWHERE, 7)
    ((given, count),) = run.failures.items()
    *surroundings, left = json.loads(given)
    ids = [100_000, 100_001, 100_002, 100_000, 100_001]  # the script's own
    assert surroundings == [
        *("http://127.0.0.1:9/await", 10, 3, "test_async", ids, False, False, False, "1", "this"),
        *("secret", "", "mine"),
    ]
    with suppress(psutil.NoSuchProcess):
        wait_for(lambda: psutil.Process(left).status() == psutil.STATUS_ZOMBIE, "its end")
    assert (run.case, run.round, run.requests, run.ok, count) == ("the name", 7, 5, 4, 1)
    assert (run.p50_ms, run.p99_ms, run.max_ms) == (200, 400, 400)  # of the ok answers
    assert 2 < run.elapsed_s < run.process_s + 2  # by the tally's clock
    assert run.elapsed_s != round(run.elapsed_s, 5)
    assert 7 < run.client_cpu_s < 30
    assert run.server_cpu_s is None and run.gil
    assert run.in_flight == pytest.approx(1.0 / run.elapsed_s)
    lengths = [end - start for start, end in run.spans_s]
    assert lengths == pytest.approx([0.4, 0.1, 0.3, 0.2, 0.5])
    assert all(2 < end <= run.elapsed_s for _, end in run.spans_s)
    if sys.platform == "linux":
        assert run.peak_mib is not None and 190 < run.peak_mib < 300


GROUP = """
import asyncio
async def one():
    raise ValueError("one reason\\nand more")
async def fetch_all(tally):
    async with asyncio.TaskGroup() as group:
        group.create_task(one())
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def fetch_all(tally):\n    typo", r": NameError: name 'typo' is .* \(a\.py, line 3\)$"),
        ("def fetch_all(tally): input('?')", r": EOFError: EOF when .* \(a\.py, line 2\)$"),
        (
            "def fetch_all(tally):\n    breakpoint()\n    1",
            r": (BdbQuit|SystemExit: 1) \(a\.py, line [34]\)$",
        ),
        (GROUP, r": ValueError: one reason \(a\.py, line 5\)$"),
        ("def fetch_all(tally): print('why', flush=True); os._exit(3)", r"code 3\. why$"),
        ("from my_base import *", r"counted 1 answers more .* Does it import fetch_all from an"),
        ("del fetch_all", r"NotAScriptError: it has no fetch_all, as the client scripts have$"),
    ],
    ids=["name", "input", "breakpoint", "group", "stdout", "another's fetch_all", "shape"],
)
def test_why_a_script_gives_no_result(source: str, message: str, tmp_path: Path) -> None:
    blocking = (ROOT / "test_blocking.py").read_text(encoding="utf-8")
    written(tmp_path, blocking.replace("range(1, 25000)", "range(1, 4)"), "my_base.py")
    script = written(tmp_path, f"from test_blocking import *; import os\n{source}\n", "a.py")
    with pytest.raises(MeasurementError, match=f"^the name.*{message}"):
        run_case(made_up_case("the name", script=script, requests=2), NOWHERE, 1)


def test_what_a_script_is(tmp_path: Path) -> None:
    source = (ROOT / "test_thread.py").read_text(encoding="utf-8")
    source = source.replace("tqdm~=4", "psutil[x] >1").replace("requests~", "tqdm~")
    found = describe(Case("a", written(tmp_path, source), library="aiohttp"))
    assert (found["name"], found["has_concurrency"]) == ("threads (requests)", True)
    assert (found["python"], "build" in found) == (platform.python_version(), True)
    assert found["packages"].keys() == {"tqdm", "psutil", "aiohttp"}
    written(tmp_path, "def fetsh(script): pass", "misspelt.py")
    case = Case("a", written(tmp_path, "from test_blocking import *"))
    found = describe(case)
    assert (found["packages"], found["has_concurrency"]) == ({}, False)
    with pytest.raises(MeasurementError, match="made_up_script has no fetsh to replace"):
        describe(replace(case, replacement="misspelt"))


def test_rounds_are_whole_and_shuffled_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cases = [made_up_case(name) for name in "abcdef"]
    servers = {ServerSettings(): NOWHERE}

    def run(case: Case, server: Server, number: int) -> Run:
        return made_up_run(case.name, number, 1.234, requests=2_000, ok=1_990)

    monkeypatch.setattr(client, "run_case", run)

    def orders(seed: int) -> list[str]:
        rounds = [*run_rounds(cases, servers, 4, seed)]
        assert [[run.round for run in each] for each in rounds] == [[n] * 6 for n in (1, 2, 3, 4)]
        return ["".join(run.case for run in each) for each in rounds]

    first = orders(1)
    assert all(sorted(order) == [*"abcdef"] for order in first)
    assert len({*first, "abcdef"}) == 5  # each round has another order
    assert orders(1) == first != orders(2)
    assert caplog.messages[0] == f"round 1 of 4: {first[0][0]}, 1,990 of 2,000 ok in 1.23 s"


@pytest.mark.parametrize(("in_flight", "least"), [(None, 10), (32, 320)])
@pytest.mark.parametrize("rate", [2, 90, 1_000, 30_000])
@pytest.mark.parametrize("start_s", [0.0, 0.1])  # to open the connections
def test_runs_are_sized_to_a_second(
    start_s: float, rate: int, in_flight: int | None, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = []

    def run(case: Case, server: Server, number: int) -> Run:
        assert case.requests
        trials.append(case.requests)
        return made_up_run(case.name, number, start_s + case.requests / rate)

    monkeypatch.setattr(client, "run_case", run)
    found = sized(made_up_case("a", requests=None, concurrency=in_flight), NOWHERE, each=10)
    assert found.requests and trials[0] == least <= found.requests
    assert found.requests == least or 0.7 < start_s + found.requests / rate < 1.5
    assert len(trials) <= 6 and trials == sorted({*trials})


def test_time_of_other_programs_is_what_neither_client_nor_server_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client uses half a second or more, and the server 40 of 100."""
    source = "def fetch_all(tally):\n    while time.process_time() < 0.5: pass"
    script = written(tmp_path, f"from test_blocking import *\n{source}\n")
    monkeypatch.setattr(client, "processor_times", Mock(side_effect=[(200, 50.0), (300, 50.25)]))
    server = Mock(url="", ca=None, cpu_seconds=Mock(side_effect=[5.0, 45.0]))
    run = run_case(made_up_case("a", script=script), server, 1)
    assert 0.5 <= 60 - run.others_s < 60
    assert (run.idle_s, run.server_cpu_s) == (0.25, 40)


def test_disturbed() -> None:
    """A tenth of a core, and less than half of one left, in 2 s from start to exit."""
    for others_s, idle_s, expected in [(0.19, 0, False), (0.21, 0.99, True), (0.21, 1.01, False)]:
        run = made_up_run("a", 1, 1.0, process_s=2.0, others_s=others_s, idle_s=idle_s)
        assert run.disturbed == expected


def test_processor_times_are_those_of_its_own_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    times = namedtuple("times", "user nice system idle iowait irq softirq steal guest")
    cores = [times(*(10**place * core for place in range(9))) for core in (1, 2, 4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: cores)
    monkeypatch.setattr(environment, "cores", lambda: [0, 2])
    assert environment.processor_times() == (5 * 10_000_111, 5 * 11_000)
    windows = namedtuple("windows", "user system idle interrupt dpc")
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [windows(1, 2, 4, 8, 16)] * 3)
    assert environment.processor_times() == (6, 8)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs cores of its own")
def test_busy_loop_on_the_same_core_is_noticed(tmp_path: Path) -> None:
    source = "from test_blocking import *\ndef fetch_all(tally): time.sleep(0.5)\n"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(cores)])  # children inherit it
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        run = run_case(made_up_case("a", script=written(tmp_path, source)), NOWHERE, 1)
    finally:
        loop.kill()
        loop.wait()
        os.sched_setaffinity(0, cores)
    assert run.disturbed and run.others_s > 0.2 and run.failures == {"not answered": 1_000}


# -- Servers ------------------------------------------------------------------------------------


def access_log(server: Server) -> str:
    """Return what a server wrote to its standard output; nothing where that can't be read."""
    assert server.process
    log = Path(f"/proc/{server.process.pid}/fd/1")
    return log.read_text() if log.exists() else ""


def test_every_setting_of_a_server_arrives() -> None:
    settings = ServerSettings("endpoints:app", latency_ms=50, workers=2, access_log=True, tls=True)
    assert all(value != getattr(ServerSettings(), name) for name, value in vars(settings).items())
    with start_server(settings) as server, requests.Session() as session:
        assert server.process
        session.trust_env = False
        answer = session.get(f"{server.url}/await/items/5", verify=server.ca)
        assert answer.json() == {"item_id": 5}
        assert answer.elapsed.total_seconds() >= 0.05
        supervisor = psutil.Process(server.process.pid)
        workers = [w for w in supervisor.children() if "spawn_main" in str(w.cmdline())]
        assert len(workers) == 2

        def used() -> float:  # with the system's work for them
            times = [process.cpu_times() for process in (supervisor, *supervisor.children())]
            return sum(time.user + time.system for time in times)

        before, cpu, after = used(), server.cpu_seconds(), used()
        assert cpu and before - 1e-6 <= cpu <= after + 1e-6
        if sys.platform == "linux":
            assert '"GET /await/items/5 HTTP/1.1" 200' in access_log(server)
    assert server.cpu_seconds() is None  # it has ended


def test_default_server_and_a_client_with_packages_by_pythonpath_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site_packages = str(Path(requests.__file__).parent.parent)
    ignored = {"LATENCY_MS": "5000", "WEB_CONCURRENCY": "3"}
    for name, value in {"PYTHONPATH": site_packages, **ignored}.items():
        monkeypatch.setenv(name, value)
    # Not that of a virtual environment, which knows its packages.
    monkeypatch.setattr(sys, "executable", getattr(sys, "_base_executable", sys.executable))
    with start_server(ServerSettings()) as server:
        assert server.process
        process = psutil.Process(server.process.pid)
        assert process.children() == []
        assert process.environ()["LATENCY_MS"] == "0"
        listening = [c.laddr for c in process.net_connections() if c.status == "LISTEN"]
        assert {f"http://{address.ip}:{address.port}" for address in listening} == {server.url}
        assert server.url.startswith("http://127.0.0.1:")
        run = run_case(made_up_case("a", requests=3, concurrency=2), server, 1)
        assert (run.ok, run.failures, run.spans_s) == (3, {}, [])
        assert run.server_cpu_s is not None and 0 <= run.server_cpu_s < run.process_s
        assert access_log(server) == ""


def test_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "START_TIMEOUT", 10_000)  # nobody waits for it
    with (
        pytest.raises(MeasurementError, match=r"^The server did not start\. .*no_such_module.*$"),
        start_server(ServerSettings(app="no_such_module:app")),
    ):
        pass


def test_address_is_read_while_the_log_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys\nfor i in range(5000): print(i, flush=True)\nprint(sys.argv[1], flush=True)"
    log = tmp_path / "log"
    with misbehaving(RIGHT) as server, reserved_port() as port, log.open("wb") as output:
        line = f"INFO: running on {server.url} (Press CTRL+C to quit)"
        command = [sys.executable, "-c", f"{code}\nsys.stdin.read()", line]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output) as process:
            assert wait_until_up(process, log) == server.url
            assert log.read_text().splitlines() == [*map(str, range(5000)), line]
            monkeypatch.setattr(server_module, "START_TIMEOUT", 0.1)
            log.write_text(f"0\nrunning on http://127.0.0.1:{port}")  # but nobody listens there
            with pytest.raises(MeasurementError, match=r"start within 0\.1 s\. running on http"):
                wait_until_up(process, log)


def test_server_of_somebody_else_has_to_take_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda item_id: FAULTS["never answering"]) as server:
        for url in (server.url, server.url.replace("http:", "https:")):
            assert find_server(url) == Server(url)
    no_url = "it does not start with http:// or https:// and a host"
    with reserved_port() as port:
        for url, reason in {
            f"http://127.0.0.1:{port}": r"\[.* \d+\] .*refused.*",
            f"127.0.0.1:{port}": no_url,
            "ftp://127.0.0.1": no_url,
            "http://": no_url,
            "http://127.0.0.1:70000": "Port out of range 0-65535",
            "http://a.invalid": r"\[.* -?\d+\] .+",
        }.items():
            with pytest.raises(MeasurementError, match=f"^{re.escape(url)}: {reason}$"):
                find_server(url)
    monkeypatch.setattr(socket, "create_connection", connect := Mock())
    for scheme, port in (("http", 80), ("https", 443)):
        find_server(f"{scheme}://a/b")
        assert connect.call_args[0] == (("a", port), 10)
    connect.side_effect = TimeoutError
    with pytest.raises(MeasurementError, match=r"^http://a: no connection within 10 s$"):
        find_server("http://a")


def test_peak_memory_of_macos_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = Mock(**{"getrusage.return_value.ru_maxrss": 3 * 2**20})
    monkeypatch.setitem(sys.modules, "resource", resource)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert child.peak_memory() == 3


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: A Chip: 3 GHz\nmodel name: B\n")
    assert environment.cpu_model(cpuinfo) == "A Chip: 3 GHz"
    fallback = platform.processor() or platform.machine()
    assert environment.cpu_model(tmp_path / "none") == fallback
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 1, 2}, raising=False)
    assert environment.cores() == [1, 2, 5]
    assert environment.describe_environment()["cores"] == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert environment.cores() == [*range(os.cpu_count() or 0)]
    monkeypatch.setattr(environment, "subprocess", popen := Mock())
    seconds = [0, 3, 4, 7]  # by how many were started: one alone takes 3 s, and two together 4 s
    clock = Mock(perf_counter=lambda: seconds[popen.Popen.call_count])
    monkeypatch.setattr(environment, "time", clock)
    assert (environment.speed_of_two(), popen.Popen.call_count) == (0.75, 3)
