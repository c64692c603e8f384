"""Run one script, variant or load generator once, in a process of its own."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from .processes import start_child
from .runs import Case, MeasurementError, Run, ServerSettings
from .server import Server, read_log

TIMEOUT = 10  # seconds that a client waits for an answer, as the scripts do by themselves


def run_in_turn(
    cases: Sequence[Case], servers: Mapping[ServerSettings, Server], rounds: int
) -> Iterator[Run]:
    """Run each case once a round, and yield each run as it ends; may raise MeasurementError.

    Each round starts with another case, so that a machine that slows down favours none.
    """
    for round_number in range(1, rounds + 1):
        first = (round_number - 1) % len(cases)
        for case in (*cases[first:], *cases[:first]):
            yield run_case(case, servers[case.server], round_number)


def run_case(case: Case, server: Server, round_number: int) -> Run:
    """Run a case once; raise MeasurementError if it gives no result or the server has ended."""
    if case.client in LOAD_GENERATORS:
        run = run_load_generator(case, server, round_number)
    else:
        run = run_client(case, server, round_number)
    if server.process and server.process.poll() is not None:  # its workers may still answer
        raise MeasurementError(f"The server ended with exit code {server.process.returncode}.")
    return run


def run_client(case: Case, server: Server, round_number: int) -> Run:
    """Run a script or a variant, by the name of its module."""
    settings = {
        "client": case.client,
        "url": server.url,
        "requests": case.requests,
        "concurrency": case.concurrency,
        "timeout_s": TIMEOUT,
        "record_spans": case.record_spans,
    }
    arguments = ["client", json.dumps(settings)]
    output, process_s, server_cpu_s = run_child(case, server, arguments, result=r'\{"ok": .*\}$')
    measured = json.loads(output.splitlines()[-1])  # an edited script may print more than this
    return Run(
        case=case.name,
        round=round_number,
        requests=case.requests,
        process_s=process_s,
        server_cpu_s=server_cpu_s,
        **measured,
    )


def run_child(
    case: Case, server: Server, arguments: list[str], result: str
) -> tuple[str, float, float | None]:
    """Run a child to its end; return what it printed, its time and the server's CPU time in s.

    Raise MeasurementError if it did not print the result, which is a regular expression. On a terminal, a script draws its progress bar itself. Elsewhere, what it writes to
    stderr is kept for the error message.
    """
    on_terminal = sys.stderr.isatty()
    cpu_before = server.cpu_seconds()
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        start_child(
            arguments, stdout=subprocess.PIPE, stderr=None if on_terminal else log
        ) as process,
    ):
        assert process.stdout  # it is a pipe
        output = process.stdout.read().decode(errors="replace")
        exit_code = process.wait()
        process_s = round(time.perf_counter() - start, 4)
        # A library may crash Python at its exit, as pyreqwest does: the result counts.
        if not re.search(result, output.strip()):
            last_line = (read_log(log) or output).strip().rpartition("\n")[2]
            message = f"{case.client} ended without a result, exit code {exit_code}. {last_line}"
            raise MeasurementError(message.strip())
    cpu_after = server.cpu_seconds()
    if cpu_before is None or cpu_after is None:
        return output, process_s, None
    return output, process_s, round(cpu_after - cpu_before, 3)


@dataclass(frozen=True)
class LoadGenerator:
    """A program that sends the same request again and again."""

    arguments: Callable[[str, int, int], list[str]]  # from URL, requests, requests in flight
    ok: str  # pattern of the number of ok answers in what it prints
    seconds: str  # pattern of the elapsed time
    failure: str  # pattern that only a run with failed requests prints
    counts: bool = True  # it takes a number of requests, and not a duration


# autocannon takes a number, too, but then reports the elapsed time in whole seconds.
LOAD_GENERATORS = {
    "hey": LoadGenerator(
        lambda url, requests, concurrency: ["-n", str(requests), "-c", str(concurrency), url],
        ok=r"\[200\]\s+(\d+) responses",
        seconds=r"Total:\s+([\d.]+) secs",
        failure=r"\[[1345]\d\d\]\s+\d+ responses|Error distribution",
    ),
    "oha": LoadGenerator(
        lambda url, requests, concurrency: [
            *("--no-tui", "-n", str(requests), "-c", str(concurrency), url)
        ],
        ok=r"\[200\] (\d+) responses",
        seconds=r"Total:\s+([\d.]+) sec",
        failure=r"\[[1345]\d\d\] \d+ responses|Error distribution",
    ),
    "wrk": LoadGenerator(
        lambda url, requests, concurrency: ["-t1", f"-c{concurrency}", "-d2s", url],
        ok=r"(\d+) requests in",
        seconds=r"requests in ([\d.]+)s",
        failure=r"Non-2xx|Socket errors",
        counts=False,
    ),
    "autocannon": LoadGenerator(
        lambda url, requests, concurrency: ["--json", "-d", "2", "-c", str(concurrency), url],
        ok=r'"2xx":(\d+)',
        seconds=r'"duration":([\d.]+)',
        failure=r'"(?:errors|non2xx)":[1-9]',
        counts=False,
    ),
}


def run_load_generator(case: Case, server: Server, round_number: int) -> Run:
    """Run a load generator; it asks for one item again and again.

    If a request fails, the run is no result: load generators count failures in different ways.
    """
    program = LOAD_GENERATORS[case.client]
    url = f"{server.url}/items/5"
    arguments = program.arguments(url, case.requests, case.concurrency or 1)
    command = ["command", case.client, *arguments]
    output, process_s, server_cpu_s = run_child(case, server, command, result=program.seconds)
    ok, seconds = re.search(program.ok, output), re.search(program.seconds, output)
    if not ok or not seconds or re.search(program.failure, output):
        raise MeasurementError(f"{case.client} had failed requests: {output.strip()[-200:]}")
    return Run(
        case=case.name,
        round=round_number,
        requests=case.requests if program.counts else int(ok[1]),
        ok=int(ok[1]),
        failures={},
        elapsed_s=float(seconds[1]),
        process_s=process_s,
        server_cpu_s=server_cpu_s,
    )


def is_available(case: Case) -> bool:
    """Say whether the program that a case needs is installed, or its library can be imported."""
    if case.client in LOAD_GENERATORS:
        return shutil.which(case.client) is not None
    try:
        import_module(case.library)
    except ImportError:
        return False
    return True
