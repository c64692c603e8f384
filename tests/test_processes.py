"""The script with several processes, by itself and in the harness."""

import os
import re
import signal
import time
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

import processes
from harness.client import run_case
from harness.server import Server
from helpers import DEADLINE, ROOT, Outcome, edited, finish, posix_only, start_python, wait_for
from made_up import made_up_case
from misbehaving import FAULTS, RIGHT, misbehaving

COMMAND = "benchmarks/processes.py"  # as in its docstring


def copied(folder: Path, url: str, requests: int, edits: dict[str, str], **own: object) -> None:
    """Copy the script and those that it runs to where they are in the project, and edit them."""
    source = (ROOT / COMMAND).read_text(encoding="utf-8")
    own = {"SCRIPT": "test_thread", **own, "BASE_URL": url, "urls": range(1, requests + 1)}
    for name, value in {**own, "TIMEOUT": 600}.items():
        source, count = re.subn(rf"^{name} = .*", f"{name} = {value!r}", source, flags=re.MULTILINE)
        assert count == 1
    (folder / "benchmarks").mkdir()
    (folder / COMMAND).write_text(source, encoding="utf-8")
    edited("blocking", folder, base_url="")
    edited(str(own["SCRIPT"]).removeprefix("test_"), folder, base_url="", replace=edits)


def report(outcome: Outcome) -> Outcome:
    """Return the report as those of the scripts are; they have shorter names."""
    assert outcome.stdout.startswith("processes, threads (requests): "), outcome
    return Outcome(outcome.exit_code, outcome.stdout.removeprefix("processes, "), outcome.stderr)


# A script that takes 1.5 s to import, and whose requests take 20 ms of processor time each.
SLOW = {
    "\nimport requests\n": "\nimport requests\ntime.sleep(1.5)\n",
    "\n    return check(item_id, response.s": (
        "\n    start = time.thread_time()\n    while time.thread_time() < start + 0.02: pass"
        "\n    return check(item_id, response.s"
    ),
}


def test_clock_starts_with_the_processes_and_the_cpu_is_that_of_all(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [4]) as server:
        copied(tmp_path, server.url, 40, SLOW)
        start = time.perf_counter()
        outcome = report(finish(start_python(tmp_path, COMMAND)))
        took = time.perf_counter() - start
    assert (outcome.exit_code, outcome.failures) == (1, {"HTTP 503": 1})
    outcome.assert_accounted(40)
    assert server.asked == {1: 2} | dict.fromkeys(range(2, 41), 1)  # the probe is for the first
    assert server.connections == 1 + 32  # the probe's, and 16 of each process
    elapsed = float(outcome.figures["elapsed"])
    assert elapsed < took - 2 * 1.5  # first the parent imports the script, and then the processes
    assert elapsed * int(outcome.figures["cpu"]) / 100 > 40 * 0.02 * 0.9


def test_process_that_ends_costs_its_own_items(tmp_path: Path) -> None:
    """Of three, one is killed at item 19, and one has an error at item 20."""
    fetch = "    try:\n        async with session.get"
    dying = "    import os; item_id == 19 and os.kill(os.getpid(), 9); 1 // (item_id - 20)\n"
    with misbehaving(RIGHT) as server:
        edits = {fetch: dying + fetch}
        copied(tmp_path, server.url, 300, edits, SCRIPT="test_async", PROCESSES=3)
        outcome = finish(start_python(tmp_path, COMMAND))
    assert (outcome.exit_code, [*report(outcome).failures]) == (1, ["not answered"])
    assert 100 <= report(outcome).ok < 300 == report(outcome).total
    assert {*range(3, 301, 3)} <= {*server.asked}
    assert b"aiohttp" in server.requests[0]  # the probe is the script's own
    assert "\nZeroDivisionError: " in outcome.stderr
    ends = re.findall(r"^A process ended with exit code (.*)\.$", outcome.stderr, re.MULTILINE)
    assert sorted(ends) == (["-9", "1"] if os.name == "posix" else ["1", "9"])


# In a session of its own, as a terminal has; a shell's & makes that Ctrl-C is ignored.
START = "import os, signal, sys; os.setsid(); signal.signal(signal.SIGINT, signal.SIG_{}); "
START += f"os.execl(sys.executable, sys.executable, {COMMAND!r})"
SLEEP = "\nimport requests\nopen(f'{time.time_ns()}.import', 'x').close(); time.sleep(1)\n"


@posix_only
@pytest.mark.parametrize("pressed", ["Ctrl-C", "Ctrl-C early", "SIGTERM"])
def test_signal_ends_it_with_the_report(pressed: str, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all processes; SIGTERM works where Ctrl-C is ignored."""
    with misbehaving(FAULTS["never answering"], range(10, 100)) as server:
        copied(tmp_path, server.url, 99, {})
        if pressed == "Ctrl-C early":
            edited("blocking", tmp_path, base_url="", replace={"\nimport requests\n": SLEEP})
        code = START.format("IGN" if pressed == "SIGTERM" else "DFL")
        process = start_python(tmp_path, "-c", code)
        if pressed == "Ctrl-C early":
            wait_for(lambda: len([*tmp_path.glob("*.import")]) == 3, "the imports of all")
        else:  # after the probe, nine items are answered, and then 32 wait
            wait_for(lambda: server.asked.total() >= 1 + 9 + 32, "requests in flight")
        children = psutil.Process(process.pid).children()
        if pressed == "SIGTERM":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
        outcome = report(finish(process))
    assert (outcome.exit_code, [*outcome.failures]) == (130, ["not answered"])
    outcome.assert_accounted(99)
    assert not psutil.wait_procs(children, timeout=DEADLINE)[1]


def test_what_is_counted_is_sent_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand answers in a second: some ten messages, and the rest in the end."""
    clock = Mock(perf_counter=Mock(return_value=0.0), process_time=Mock(return_value=5.0))
    monkeypatch.setattr(processes, "time", clock)
    sender = processes.Sender(connection := Mock())
    answers = [("HTTP 503" if number == 7 else None, number / 9) for number in range(1_000)]
    for number, answer in enumerate(answers):
        clock.perf_counter.return_value = number / 1_000
        clock.process_time.return_value += 1
        sender.add(*answer)
    sender.send()
    messages = [call.args[0] for call in connection.send.call_args_list]
    assert 9 <= len(messages) <= 11
    assert [answer for batch, _ in messages for answer in batch] == answers
    assert sum(cpu for _, cpu in messages) == 1_000


def test_processes_in_the_harness() -> None:
    """Its memory is that of three processes with the libraries."""
    settings = {"SCRIPT": "test_async", "PROCESSES": 2}
    case = made_up_case("a", script=COMMAND, requests=100, concurrency=6, settings=settings)
    with misbehaving(RIGHT) as server:
        run = run_case(case, Server(server.url), 1)
    assert (run.ok, run.failures, server.connections) == (100, {}, 6)
    assert server.asked == dict.fromkeys(range(1, 101), 1)
    assert run.peak_mib is None or 60 < run.peak_mib < 300
