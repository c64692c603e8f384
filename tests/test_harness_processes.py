"""Child processes: they end with their parent, however it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.processes import Stopped, start_child
from harness.server import start_server
from helpers import DEADLINE, ROOT, Outcome, finish, start_python, wait_for
from made_up import HANGING, made_up_server

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")

COMPARE = ROOT / "benchmarks" / "compare.py"

SLEEPING = "import time; print('up', flush=True); time.sleep(1_000)"
WITH_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1_000)']);"
    "print(child.pid, flush=True);"
    "time.sleep(1_000)"
)


def read_line(process: subprocess.Popen[bytes]) -> str:
    """Return the next line that a child prints."""
    assert process.stdout
    return process.stdout.readline().decode().strip()


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python code in a child."""
    arguments = ["command", sys.executable, "-c", code]
    with start_child(arguments, stdout=subprocess.PIPE, stderr=None) as process:
        yield process


# -- The with block -----------------------------------------------------------------------------


def test_with_block_ends_the_child_and_what_it_started() -> None:
    with child(WITH_CHILD) as process:
        grandchild = psutil.Process(int(read_line(process)))
        assert grandchild.is_running()
    assert process.returncode == -signal.SIGTERM  # asked, not killed
    assert_gone([grandchild])


def test_with_block_ends_the_child_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), child(SLEEPING) as process:
        read_line(process)
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGTERM


def test_what_a_child_leaves_behind_is_killed() -> None:
    """The child itself is gone already, as a server that was killed."""
    with child(WITH_CHILD) as process:
        grandchild = psutil.Process(int(read_line(process)))
        process.kill()
        process.wait()
        assert grandchild.is_running()
    assert_gone([grandchild])


def test_child_that_does_not_end_when_asked_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uvicorn waits for the request that it is answering."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with socket.socket() as connection:
        with start_server(made_up_server(tmp_path, HANGING)) as server:
            assert server.process
            uvicorn = psutil.Process(server.process.pid)
            connection.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            connection.sendall(b"GET /items/5 HTTP/1.1\r\nHost: here\r\n\r\n")
            wait_for(lambda: is_connected(uvicorn), "the connection")
        assert server.process.returncode == -signal.SIGKILL


def test_child_keeps_its_exit_code() -> None:
    with child("import sys; sys.exit(7)") as process:
        assert process.wait(DEADLINE) == 7


def test_program_that_a_child_runs_has_no_standard_input() -> None:
    with child("import sys; print(repr(sys.stdin.read()))") as process:
        assert read_line(process) == "''"


# -- Whole programs -----------------------------------------------------------------------------


def is_connected(process: psutil.Process) -> bool:
    """Say whether a process has a connection that is open at both ends."""
    connections = process.net_connections("tcp")
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


def start_compare(folder: Path, workers: int) -> subprocess.Popen[str]:
    """Start a comparison of which each request takes four seconds."""
    options = ("--latency-ms", "4000", "--workers", str(workers))
    return start_python(folder, str(COMPARE), *options)


def start_study(folder: Path, workers: int) -> subprocess.Popen[str]:
    """Start a study whose server never answers."""
    settings = made_up_server(folder, HANGING, workers=workers)
    code = (
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "import study\n"
        "from claims import Claim\n"
        "from harness.runs import ASYNC, ServerSettings\n"
        f"case = replace(ASYNC, server={settings!r})\n"
        "study.CLAIMS[:] = [Claim('hanging', 'It hangs.', [case], [['requests']])]\n"
        "study.MEASURED_HERE = Path('results-here')\n"
        "study.app()\n"
    )
    path = os.pathsep.join([str(COMPARE.parent), str(folder)])
    return start_python(folder, "-c", code, PYTHONPATH=path)


START = {"a comparison": start_compare, "a study": start_study}


def family_with_a_request(process: subprocess.Popen[str], workers: int) -> list[psutil.Process]:
    """Return the processes that a program started, once its client waits for an answer."""
    program = psutil.Process(process.pid)
    # A client and a server; with two workers, uvicorn starts both of them and a resource tracker.
    complete = 2 if workers == 1 else 5

    def is_complete() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            family = program.children(recursive=True)
            clients = [member for member in program.children() if "client" in member.cmdline()]
            return len(family) >= complete and any(is_connected(client) for client in clients)
        except psutil.NoSuchProcess:
            return False

    wait_for(is_complete, "a request in flight")
    return program.children(recursive=True)


def assert_gone(family: list[psutil.Process]) -> None:
    """Assert that processes end within three seconds."""
    _, left = psutil.wait_procs(family, timeout=3)
    assert not left, [process.cmdline() for process in left]


@pytest.mark.parametrize("workers", [1, 2], ids=["1 worker", "2 workers"])
@pytest.mark.parametrize("program", START)
def test_kill_9_leaves_nothing(program: str, workers: int, tmp_path: Path) -> None:
    process = START[program](tmp_path, workers)
    family = family_with_a_request(process, workers)
    process.kill()
    assert_gone(family)
    finish(process)


def assert_stopped(outcome: Outcome, exit_code: int) -> None:
    """Assert that a program said once that it was stopped, and no more."""
    assert (outcome.exit_code, outcome.stdout) == (exit_code, "")
    assert outcome.stderr.splitlines()[-1] == "Stopped."
    assert outcome.stderr.count("Stopped.") == 1
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("program", "workers", "number", "exit_code"),
    [
        ("a comparison", 2, signal.SIGINT, 130),
        ("a study", 1, signal.SIGINT, 130),
        ("a study", 1, signal.SIGTERM, 143),
        ("a study", 1, signal.SIGHUP, 129),  # its terminal was closed
    ],
)
def test_signal_leaves_nothing(
    program: str, workers: int, number: signal.Signals, exit_code: int, tmp_path: Path
) -> None:
    process = START[program](tmp_path, workers)
    family = family_with_a_request(process, workers)
    process.send_signal(number)
    assert_stopped(finish(process), exit_code)
    assert_gone(family)


def test_ctrl_c_held_down_leaves_nothing(tmp_path: Path) -> None:
    process = start_study(tmp_path, workers=2)
    family = family_with_a_request(process, workers=2)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    outcome = finish(process)
    # While Python shuts down, a signal may end it; a shell says 130 then, too.
    assert outcome.exit_code in (130, -signal.SIGINT)
    assert_stopped(outcome, outcome.exit_code)
    assert_gone(family)


def test_server_killed_under_a_comparison_leaves_nothing(tmp_path: Path) -> None:
    """The supervisor is killed; its workers go on to answer, so the first run ends."""
    options = ("-n", "1", "--latency-ms", "1000", "--workers", "2")
    process = start_python(tmp_path, str(COMPARE), *options)
    family = family_with_a_request(process, workers=2)
    (supervisor,) = (member for member in family if "server" in member.cmdline())
    supervisor.kill()
    outcome = finish(process)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines()[1:] == ["The server ended with exit code -9."]
    assert_gone(family)


# -- Signals ------------------------------------------------------------------------------------


def test_only_the_first_signal_raises(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "from harness.processes import Stopped, stop_on_signals\n"
        "stop_on_signals()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "except Stopped as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print(stop.exit_code)\n"
    )
    outcome = finish(start_python(tmp_path, "-c", code, PYTHONPATH=str(ROOT / "benchmarks")))
    assert (outcome.stdout, outcome.stderr) == ("143\n", "")


def test_stopped_is_no_exception_that_a_program_catches_by_mistake() -> None:
    assert not issubclass(Stopped, Exception)
