"""Child processes: they end with their parent, however it ends."""

import signal

import psutil
import pytest

from helpers import DEADLINE, ROOT, Outcome, finish, posix_only, start_python, wait_for

BENCHMARKS = ROOT / "benchmarks"

# Two server processes that never answer an item, and two client processes that wait for it.
PROGRAM = """
from harness.client import run_case
from harness.processes import stop_on_signals
from harness.runs import Case, ServerSettings
from harness.server import start_server

stop_on_signals()
with start_server(ServerSettings("endpoints:app", latency_ms=1_000_000, workers=2)) as server:
    case = Case("a", "benchmarks/processes.py", requests=4, concurrency=4, path="/await")
    run_case(case, server, 1)
"""


@posix_only
@pytest.mark.parametrize("number", [9, signal.SIGINT])
def test_children_and_what_they_started_end_with_the_parent(number: int) -> None:
    """Uvicorn does not end at SIGTERM as long as a request is in flight."""
    process = start_python(BENCHMARKS, "-c", PROGRAM)
    program = psutil.Process(process.pid)

    def are_waiting() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            spawned = [
                [connection.status for connection in member.net_connections()]
                for top in program.children()
                for member in top.children()
                if "client" in top.cmdline()
            ]
        except psutil.NoSuchProcess:
            return False
        return sum(psutil.CONN_ESTABLISHED in states for states in spawned) == 2

    wait_for(are_waiting, "requests in flight")
    family = program.children(recursive=True)
    assert len([member for member in family if "spawn_main" in str(member.cmdline())]) == 4
    process.send_signal(number)

    def has_ended_though_it_is_held_down() -> bool:
        if number == signal.SIGINT:
            process.send_signal(number)
        return process.poll() is not None

    wait_for(has_ended_though_it_is_held_down, "the end of the program")
    outcome = finish(process)
    # While Python shuts down, a signal may end it; a shell says the same then.
    assert outcome.exit_code in (-number, 128 + number) and outcome.stderr == ""
    assert not psutil.wait_procs(family, timeout=DEADLINE)[1]


def test_child_ends_itself_where_there_are_no_groups() -> None:
    """At the end of the file that stands for the pipe."""
    code = (
        "import os, harness.child as c\nvars(os).pop('killpg', 0)\n"
        "c.watch_parent(os.open(os.devnull, os.O_RDONLY))\nprint(1)"
    )
    assert finish(start_python(BENCHMARKS, "-c", code)) == Outcome(1, "", "")


SIGNALS = """
from signal import *
from harness.processes import Stopped, stop_on_signals
for number in (SIGINT, SIGTERM, SIGHUP):
    signal(number, SIG_DFL)
    stop_on_signals()
    try:
        raise_signal(number)
    except Stopped as stop:
        raise_signal(SIGINT)
        raise_signal(SIGTERM)
        print(stop.code)
signal(SIGHUP, SIG_IGN)
stop_on_signals()
raise_signal(SIGHUP)
raise_signal(SIGTERM)
"""


@posix_only
def test_only_the_first_signal_raises_and_an_ignored_one_stays_ignored() -> None:
    """If nobody catches it, it is the exit code."""
    assert finish(start_python(BENCHMARKS, "-c", SIGNALS)) == Outcome(143, "130\n143\n129\n", "")
