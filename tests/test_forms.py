"""The form with several processes, as a script of its own and in the harness."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.client import run_case
from harness.server import Server
from helpers import ROOT, Outcome, edited, finish, posix_only, start_python, wait_for
from made_up import made_up_case
from misbehaving import FAULTS, RIGHT, misbehaving

PROCESSES = ROOT / "benchmarks" / "forms" / "processes.py"


def copied(folder: Path, url: str, requests: int, **edits: str) -> None:
    """Copy the form and its scripts to a folder, as its docstring says, and edit its settings."""
    source = PROCESSES.read_text(encoding="utf-8")
    for pattern, replacement in {
        r"^BASE_URL = .*": f'BASE_URL = "{url}"',
        r"^TIMEOUT = .*": "TIMEOUT = 600",
        r"^urls = .*": f"urls = range(1, {requests + 1})",
    }.items():
        source, count = re.subn(pattern, replacement, source, flags=re.MULTILINE)
        assert count == 1
    (folder / "processes.py").write_text(source, encoding="utf-8")
    edited("blocking", folder, base_url="http://nowhere.invalid")
    edited("thread", folder, base_url="http://nowhere.invalid", replace=edits)


def report(outcome: Outcome) -> Outcome:
    """Return the report as those of the scripts are; they have shorter names."""
    assert outcome.stdout.startswith("processes, threads (requests): "), outcome
    return Outcome(outcome.exit_code, outcome.stdout.removeprefix("processes, "), outcome.stderr)


# A script that takes 3 s to start, and whose requests take 20 ms of processor time each.
SLOW_START = {
    "\nimport requests\n": "\nimport requests\ntime.sleep(3)\n",
    "\n    return check(item_id, response.s": (
        "\n    start = time.thread_time()\n    while time.thread_time() < start + 0.02: pass"
        "\n    return check(item_id, response.s"
    ),
}


def test_clock_starts_with_the_processes_and_the_cpu_is_that_of_all(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [4]) as server:
        copied(tmp_path, server.url, 40, **SLOW_START)
        outcome = report(finish(start_python(tmp_path, "processes.py")))
    assert (outcome.exit_code, outcome.failures) == (1, {"HTTP 503": 1})
    outcome.assert_accounted(40)
    assert server.asked == dict.fromkeys(range(1, 41), 1)
    assert server.connections == 1 + 32  # the probe, and 16 in each process
    elapsed = float(outcome.figures["elapsed"])
    assert elapsed < 3
    assert elapsed * int(outcome.figures["cpu"]) / 100 > 40 * 0.02 * 0.9


IN_A_GROUP = "import os, sys; os.setsid(); os.execl(sys.executable, sys.executable, 'processes.py')"


@posix_only
@pytest.mark.parametrize("to_group", [False, True], ids=["the parent", "all processes"])
def test_ctrl_c_reports_what_was_answered(to_group: bool, tmp_path: Path) -> None:
    with misbehaving(FAULTS["never answering"], range(10, 100)) as server:
        copied(tmp_path, server.url, 99)
        process = start_python(tmp_path, "-c", IN_A_GROUP)
        # Two processes send the nine items that are answered, and then 32 wait.
        wait_for(lambda: server.asked.total() >= 9 + 32, "requests in flight")
        children = psutil.Process(process.pid).children()
        connected = [child for child in children if len(child.net_connections()) > 8]
        assert len(connected) == 2
        if to_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        outcome = report(finish(process))
    assert outcome.exit_code == 130
    assert 0 < outcome.ok <= 9
    assert [*outcome.failures] == ["not answered"]
    outcome.assert_accounted(99)
    assert not psutil.wait_procs(children, timeout=30)[1]


def test_error_in_one_process_ends_the_script(tmp_path: Path) -> None:
    divide = {"    response = session": "    1 // (item_id - 20)\n        response = session"}
    with misbehaving(RIGHT) as server:
        copied(tmp_path, server.url, 20, **divide)
        outcome = finish(start_python(tmp_path, "processes.py"))
    assert outcome.exit_code == 1
    assert "ZeroDivisionError: integer division or modulo by zero\n" in outcome.stderr


def test_processes_in_the_harness() -> None:
    """Its memory is that of three processes with the libraries."""
    settings: dict[str, Any] = {"SCRIPT": "test_async", "PROCESSES": 2}
    case = made_up_case("a", script=str(PROCESSES), requests=100, concurrency=6, settings=settings)
    with misbehaving(RIGHT) as server:
        run = run_case(case, Server(server.url), 1)
    assert (run.ok, run.failures, server.connections) == (100, {}, 6)
    assert server.asked == dict.fromkeys(range(1, 101), 1)
    assert run.peak_mib is None or 60 < run.peak_mib < 300


def test_docstring_has_a_sample_run() -> None:
    source = PROCESSES.read_text(encoding="utf-8")
    sample = re.search(r"^processes, .*\n  .*\n", source, re.MULTILINE)
    assert sample
    outcome = report(Outcome(0, sample[0], ""))
    outcome.assert_accounted(outcome.total)
    assert f'\nNAME = "processes, {outcome.figures["name"]}"\n' in source
