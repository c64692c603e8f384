"""The harness: what is declared arrives, and what comes back is what happened."""

import json
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import child, environment
from harness import server as server_module
from harness.client import run_case
from harness.results import Result, load, save, write_whole
from harness.runs import Case, MeasurementError, ServerSettings
from harness.scripts import NotAScriptError, load_script, replace_functions
from harness.server import Server, answers, start_server, wait_until_up
from helpers import DEADLINE, ROOT, free_port, get, posix_only
from made_up import made_up_case, made_up_run
from misbehaving import FAULTS, misbehaving

# -- Clients ------------------------------------------------------------------------------------

# It says in its failures what it was given. Like some edited script it prints, and like pyreqwest
# it crashes at its exit.
TALKATIVE = """
    import asyncio
    import atexit
    import json
    import os
    import signal
    import sys
    import tracemalloc

    import beside_it
    from test_blocking import Tally

    NAME, BASE_URL, TIMEOUT, CONCURRENCY, SCRIPT, urls = "talkative", "", 0, 0, "", []

    async def fetch_all(tally):
        given = [BASE_URL, TIMEOUT, CONCURRENCY, SCRIPT, list(urls)]
        given += [asyncio.get_running_loop().get_debug(), tracemalloc.is_tracing()]
        given += [os.environ.get("PYTHON_OF_THE_CASE")]
        tally.start -= 2
        tally.cpu_start -= 7
        for latency in (0.4, 0.1, 0.3, 0.2):
            tally.add(None, latency)
        tally.add(json.dumps(given), 0.5)
        memory = bytearray(200_000_000)
        print("starting")
        atexit.register(crash)

    def crash():
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def written(folder: Path, source: str) -> str:
    """Write a script and a module beside it; return the path."""
    path = folder / "made_up_script.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    (folder / "beside_it.py").touch()
    return str(path)


@posix_only
def test_a_case_arrives_and_what_the_script_counted_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("PYTHONTRACEMALLOC", "5")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHON_OF_THE_CASE=this exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    case = Case(
        "the name",
        script=written(tmp_path, TALKATIVE),
        method="",
        library="",
        requests=5,
        concurrency=3,
        settings={"SCRIPT": "test_async"},
        python=str(python),
        path="/await",
        record_spans=True,
    )
    run = run_case(case, Server("http://127.0.0.1:9"), 7)
    ((given, count),) = run.failures.items()
    settings = ["http://127.0.0.1:9/await", 10, 3, "test_async", [1, 2, 3, 4, 5]]
    assert json.loads(given) == [*settings, False, False, "this"]
    assert (run.case, run.round, run.requests, run.ok, count) == ("the name", 7, 5, 4, 1)
    assert (run.p50_ms, run.p99_ms, run.max_ms) == (200, 400, 400)  # of the ok answers
    assert 2 < run.elapsed_s < 30  # by the tally's clock
    assert run.elapsed_s != round(run.elapsed_s, 5)
    assert run.process_s > run.elapsed_s - 2
    assert 7 < run.client_cpu_s < 30
    assert run.server_cpu_s is None
    assert run.in_flight == pytest.approx(1.0 / run.elapsed_s)
    assert run.python == platform.python_version() and run.gil
    lengths = [end - start for start, end in run.spans_s]
    assert lengths == pytest.approx([0.4, 0.1, 0.3, 0.2, 0.5])
    assert all(2 < end <= run.elapsed_s for _, end in run.spans_s)
    if sys.platform == "linux":
        assert run.peak_mib is not None and 190 < run.peak_mib < 300


def test_client_without_a_result(tmp_path: Path) -> None:
    source = "from test_blocking import *\ndef fetch_all(tally):\n    print('up')\n    typo\n"
    case = made_up_case("the name", script=written(tmp_path, source))
    with pytest.raises(MeasurementError) as raised:
        run_case(case, Server("http://127.0.0.1:9"), 1)
    expected = "the name ended without a result, exit code 1. NameError: name 'typo'"
    assert str(raised.value).startswith(expected)


def test_percentiles_need_an_answer() -> None:
    assert child.percentile_ms([], 50) is None


# -- Servers ------------------------------------------------------------------------------------


def access_log(server: Server) -> str:
    """Return what a server wrote to its standard output; nothing where that can't be read."""
    assert server.process
    log = Path(f"/proc/{server.process.pid}/fd/1")
    return log.read_text() if log.exists() else ""


def test_every_setting_of_a_server_arrives() -> None:
    settings = ServerSettings(app="endpoints:app", latency_ms=50, workers=2, access_log=True)
    assert all(value != getattr(ServerSettings(), name) for name, value in vars(settings).items())
    with start_server(settings) as server:
        assert server.process
        answer = get(f"{server.url}/await/items/5")
        assert answer.json() == {"item_id": 5}
        assert answer.elapsed.total_seconds() >= 0.05
        supervisor = psutil.Process(server.process.pid)
        workers = [w for w in supervisor.children() if "spawn_main" in str(w.cmdline())]
        assert len(workers) == 2
        cpu_of_supervisor = sum(supervisor.cpu_times()[:2])
        cpu = server.cpu_seconds()
        assert cpu is not None and cpu > cpu_of_supervisor + 0.2  # the imports of both workers
        if sys.platform == "linux":
            assert '"GET /await/items/5 HTTP/1.1" 200' in access_log(server)


def test_server_of_default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENCY_MS", "5000")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with start_server(ServerSettings()) as server:
        assert server.process
        process = psutil.Process(server.process.pid)
        assert process.children() == []
        assert process.environ()["LATENCY_MS"] == "0"
        listening = [c.laddr for c in process.net_connections() if c.status == "LISTEN"]
        assert {f"http://{address.ip}:{address.port}" for address in listening} == {server.url}
        assert "://127.0.0.1:" in server.url
        run = run_case(made_up_case("a", requests=3, concurrency=2), server, 1)
        assert (run.ok, run.failures, run.spans_s) == (3, {}, [])
        assert run.server_cpu_s is not None and 0 <= run.server_cpu_s < run.process_s
        assert access_log(server) == ""


def test_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "START_TIMEOUT", 10_000)  # nobody waits for it
    with (
        pytest.raises(MeasurementError, match=r"(?s)did not start\. .*no_such_module"),
        start_server(ServerSettings(app="no_such_module:app")),
    ):
        pass


@pytest.mark.parametrize("answering", [True, False])
def test_address_is_read_while_the_log_is_written(
    answering: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "START_TIMEOUT", DEADLINE if answering else 0.5)
    code = "import sys\nfor i in range(5000): print(i, flush=True)\nprint(sys.argv[1], flush=True)"
    log = tmp_path / "log"
    with (
        misbehaving(FAULTS["never answering"], spoil_probe=not answering) as server,
        log.open("wb") as output,
    ):
        line = f"INFO: running on {server.url} (Press CTRL+C to quit)"
        command = [sys.executable, "-c", f"{code}\nsys.stdin.read()", line]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output) as process:
            if answering:
                assert wait_until_up(process, log) == server.url
                assert log.read_text().splitlines() == [*map(str, range(5000)), line]
            else:
                with pytest.raises(MeasurementError, match=r"did not start\. 0\n1\n"):
                    wait_until_up(process, log)


def test_answers() -> None:
    assert not answers(f"http://127.0.0.1:{free_port()}", DEADLINE)
    assert not answers("http://a..b", DEADLINE)
    with misbehaving(FAULTS["never answering"], spoil_probe=True) as server:
        assert not answers(server.url, 0.2)
    with misbehaving(FAULTS["307"], spoil_probe=True) as server:
        assert answers(server.url, DEADLINE)
        assert server.probes == 1  # it does not follow


def test_server_that_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    with pytest.raises(MeasurementError, match=r"The server ended with exit code 3\."):
        Server("", process).check_alive()
    assert Server("", process).cpu_seconds() is None
    Server("").check_alive()  # somebody else's


# -- Scripts ------------------------------------------------------------------------------------


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget from which folders scripts import."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_functions_are_replaced_under_the_names_of_the_script(
    imports: None, tmp_path: Path
) -> None:
    source = (ROOT / "test_blocking.py").read_text(encoding="utf-8") + "\nimport beside_it\n"
    script = load_script(Path(written(tmp_path, source)))
    assert script.NAME == "blocking (requests)"
    (tmp_path / "replacing.py").write_text(
        "from textwrap import fill as check\n"
        "def fetch(script, session, item_id):\n"
        "    return (script, script.original.fetch, session, item_id)\n"
    )
    own_fetch, own_check = script.fetch, script.check
    replace_functions(script, "replacing")
    assert script.fetch("session", 5) == (script, own_fetch, "session", 5)
    assert script.check is own_check
    (tmp_path / "misspelt.py").write_text("def fetsh(script): pass")
    with pytest.raises(NotAScriptError, match="made_up_script has no fetsh to replace"):
        replace_functions(script, "misspelt")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("shapeless.py", "NAME = BASE_URL = urls = ''", "has no TIMEOUT, Tally, fetch_all, as the"),
        ("notes.txt", "some text", "is not a Python file"),
    ],
)
def test_file_that_is_no_script(
    name: str, source: str, message: str, imports: None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(source)
    with pytest.raises(NotAScriptError, match=message):
        load_script(tmp_path / name)


# -- What the system tells ----------------------------------------------------------------------


def test_peak_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t   36864 kB\nVmRSS:\t 1 kB\n")
    assert child.linux_peak(status) == 36.0
    status.write_text("Name:\tpython\n")
    assert child.linux_peak(status) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert child.peak_memory() is None


@pytest.mark.skipif(sys.platform == "win32", reason="no such module on Windows")
def test_peak_memory_of_macos_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(
        resource,
        "getrusage",
        lambda who: {0: resource.struct_rusage([0, 0, 3 * 2**20] + 13 * [0])}[who],
    )
    assert child.peak_memory() == 3


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: A Chip: 3 GHz\nmodel name: B\n")
    assert environment.cpu_model(cpuinfo) == "A Chip: 3 GHz"
    fallback = platform.processor() or platform.machine()
    assert environment.cpu_model(tmp_path / "none") == fallback
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 2, 5}, raising=False)
    found = environment.describe_environment(["psutil"])
    assert (found["cores"], found["python"]) == (3, platform.python_version())
    assert found["libraries"] == {"psutil": psutil.__version__}
    monkeypatch.delattr(os, "sched_getaffinity")
    assert environment.cores() == os.cpu_count()


# -- Results ------------------------------------------------------------------------------------


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    server = ServerSettings("endpoints:app", latency_ms=5, workers=2, access_log=True)
    more: dict[str, Any] = {"concurrency": 7, "settings": {"SCRIPT": "test_async"}}
    cases = [made_up_case("a", server=server, record_spans=True, **more), made_up_case("b")]
    runs = [
        made_up_run("a", 1, 1.5, failures={"HTTP 503": 2}, spans_s=[[0.1, 0.2], [0.15, 0.3]]),
        made_up_run("b", 1, 2.0, server_cpu_s=None, p50_ms=None),
    ]
    result = Result("few", 1, {"cpu": "A Chip"}, cases, runs)
    save(result, tmp_path / "few.json")
    assert load(tmp_path / "few.json") == result


def test_what_was_in_a_file_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old"


def test_writing_whole_leaves_one_file(tmp_path: Path) -> None:
    for text in ("old and longer", "new"):
        write_whole(tmp_path / "file", text)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "new"


def test_cpu_of_a_server_has_its_system_time() -> None:
    code = "import os; [os.urandom(10**6) for _ in range(200)]; print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()  # from now on, it is idle
    times = psutil.Process(process.pid).cpu_times()
    used = Server("", process).cpu_seconds()
    process.communicate(b"\n")
    assert times.system > 0
    assert used == pytest.approx(times.user + times.system, abs=0.02)
