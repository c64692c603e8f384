"""Run cases, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .processes import start_child
from .runs import Case, MeasurementError, Run, ServerSettings
from .server import Server

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
    cpu_before = server.cpu_seconds()
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        start_child(
            ["client", json.dumps(child_settings(case, server))],
            stdout=subprocess.PIPE,
            stderr=log,
            python=case.python or sys.executable,
        ) as process,
    ):
        assert process.stdout  # it is a pipe
        output = process.stdout.read().decode(errors="replace")
        exit_code = process.wait()
        process_s = time.perf_counter() - start
        log.seek(0)
        errors = log.read().decode(errors="replace")
    cpu_after = server.cpu_seconds()
    server.check_alive()
    return Run(
        case=case.name,
        round=round_number,
        requests=case.requests,
        process_s=process_s,
        server_cpu_s=None if cpu_before is None or cpu_after is None else cpu_after - cpu_before,
        **result(case, output, errors, exit_code),
    )


def child_settings(case: Case, server: Server) -> dict[str, object]:
    """Return what the child needs to know of a case."""
    settings = {"BASE_URL": server.url + case.path, "TIMEOUT": TIMEOUT, **case.settings}
    if case.concurrency is not None:
        settings["CONCURRENCY"] = case.concurrency
    return {
        "script": case.script,
        "replacement": case.replacement,
        "requests": case.requests,
        "settings": settings,
        "record_spans": case.record_spans,
    }


def result(case: Case, output: str, errors: str, exit_code: int) -> dict[str, Any]:
    """Return what a child counted: its last line, because an edited script may print more.

    Raise MeasurementError if there is none. The exit code doesn't matter, because a library
    may crash Python at its exit, as pyreqwest does: the result counts.
    """
    last_line = output.strip().rpartition("\n")[2]
    try:
        counted: dict[str, Any] = json.loads(last_line)
    except ValueError:
        reason = (errors or output).strip().rpartition("\n")[2]
        message = f"{case.name} ended without a result, exit code {exit_code}. {reason}"
        raise MeasurementError(message.strip()) from None
    return counted
