"""Child processes: they end with their parent, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness import processes
from harness.processes import Stopped, end
from helpers import DEADLINE, ROOT, finish, posix_only, start_python, wait_for

BENCHMARKS = ROOT / "benchmarks"

# A program with a server that never answers an item, and a client that waits for it.
PROGRAM = """
import sys
from harness.client import run_case
from harness.processes import Stopped, stop_on_signals
from harness.runs import Case, ServerSettings
from harness.server import start_server

stop_on_signals()
script, workers = sys.argv[1:]
settings = ServerSettings(app="endpoints:app", latency_ms=1_000_000, workers=int(workers))
try:
    with start_server(settings) as server:
        run_case(Case("a", script, "", "", 4, 4, path="/await"), server, 1)
except Stopped as stop:
    sys.exit(stop.exit_code)
"""


def is_connected(process: psutil.Process) -> bool:
    """Say whether a process has a connection that is open at both ends."""
    connections = process.net_connections("tcp")
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


def start_program(folder: Path, script: str, workers: int) -> subprocess.Popen[str]:
    """Start the program with a script and a number of server processes."""
    path = os.pathsep.join([str(BENCHMARKS), str(ROOT)])
    return start_python(folder, "-c", PROGRAM, script, str(workers), PYTHONPATH=path)


def waiting_family(process: subprocess.Popen[str], clients: int) -> list[psutil.Process]:
    """Return the processes that a program started, once its clients wait for an answer."""
    program = psutil.Process(process.pid)

    def is_complete() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            tops = [child for child in program.children() if "client" in child.cmdline()]
            family = [member for top in tops for member in (top, *top.children(recursive=True))]
            return sum(map(is_connected, family)) == clients
        except psutil.NoSuchProcess:
            return False

    wait_for(is_complete, "requests in flight")
    return program.children(recursive=True)


def assert_gone(family: list[psutil.Process]) -> None:
    """Assert that processes end soon."""
    _, left = psutil.wait_procs(family, timeout=DEADLINE)
    assert not left, [process.cmdline() for process in left]


@posix_only
def test_kill_9_of_the_parent_ends_the_children_and_what_they_started(tmp_path: Path) -> None:
    process = start_program(tmp_path, "benchmarks/forms/processes.py", workers=2)
    family = waiting_family(process, clients=2)
    spawned = [member for member in family if "spawn_main" in str(member.cmdline())]
    assert len(spawned) == 4  # two processes of the client, and two workers
    process.kill()
    assert_gone(family)
    process.communicate()


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signal_ends_the_children_though_they_wait(number: signal.Signals, tmp_path: Path) -> None:
    """Uvicorn does not end at SIGTERM as long as a request is in flight."""
    process = start_program(tmp_path, "test_blocking.py", workers=1)
    family = waiting_family(process, clients=1)
    process.send_signal(number)
    if number == signal.SIGINT:  # held down
        while process.poll() is None:
            process.send_signal(number)
    outcome = finish(process)
    # While Python shuts down, a signal may end it; a shell says the same then.
    assert outcome.exit_code in (128 + number, -number), outcome
    assert outcome.stderr == ""
    assert_gone(family)


DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(1000)"


@posix_only
def test_child_that_ignores_sigterm_is_killed_where_there_are_no_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "GRACE_PERIOD", 0.1)
    monkeypatch.delattr(os, "killpg")
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    end(process)
    assert process.returncode == -signal.SIGKILL
    assert process.stdout.closed


def test_child_ends_itself_where_there_are_no_groups() -> None:
    code = "import os, harness.child as c\nvars(os).pop('killpg', 0)\nc.watch_parent()\nprint(1)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=BENCHMARKS, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


@posix_only
def test_only_the_first_signal_raises_and_an_ignored_one_stays_ignored(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "from harness.processes import Stopped, stop_on_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "stop_on_signals()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "except Stopped as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print(stop.exit_code)\n"
    )
    outcome = finish(start_python(tmp_path, "-c", code, PYTHONPATH=str(BENCHMARKS)))
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "143\n", "")


def test_stopped_is_no_exception_that_a_program_catches_by_mistake() -> None:
    assert not issubclass(Stopped, Exception)
