"""Run cases, each in a process of its own."""

import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .environment import processor_times
from .processes import start_child
from .runs import Case, MeasurementError, Run, ServerSettings
from .server import Server

TIMEOUT = 10  # seconds that a client waits for an answer, as the scripts do by themselves
PILOT_S = 0.4  # seconds that a run must take to tell how many requests take a second

log = logging.getLogger(__name__)


def run_rounds(
    cases: Sequence[Case], servers: Mapping[ServerSettings, Server], rounds: int, seed: int
) -> Iterator[list[Run]]:
    """Run each case once a round, in an order that is shuffled anew, and yield each whole round.

    Log a line for each run; may raise MeasurementError.
    """
    shuffle = random.Random(seed).shuffle
    for number in range(1, rounds + 1):
        order = list(cases)
        shuffle(order)
        runs = []
        for case in order:
            runs.append(run_case(case, servers[case.server], number))
            log.info(f"round {number} of {rounds}: {line_on(runs[-1])}")
        yield runs


def sized(case: Case, server: Server, each: int) -> Case:
    """Return a case with as many requests as take about a second, if their number is not set.

    There are at least so many for each in flight, because it takes time until all of them are.
    Trial runs find it: each is longer than the one before, until one is long enough to tell.
    """
    if case.requests is not None:
        return case
    least = requests = each * (case.concurrency or 1)
    while True:
        run = run_case(replace(case, requests=requests), server, 0)
        log.info(f"trial run: {line_on(run)}")
        per_second = requests / run.elapsed_s
        if run.elapsed_s > PILOT_S or run.failures:
            return replace(case, requests=max(least, round(per_second)))
        requests = max(2 * requests, round(1.3 * PILOT_S * per_second))


def line_on(run: Run) -> str:
    """Return on one line what a run gave."""
    return f"{run.case}, {run.ok:,} of {run.requests:,} ok in {run.elapsed_s:.2f} s"


def run_case(case: Case, server: Server, round_number: int) -> Run:
    """Run a case once; raise MeasurementError if it gives no result or the server has ended."""
    settings: dict[str, object] = {
        "BASE_URL": server.url + case.path,
        "TIMEOUT": TIMEOUT,
        "CA": server.ca,
    }
    if case.concurrency is not None:
        settings["CONCURRENCY"] = case.concurrency
    before = readings(server)
    counted = ask_child(
        "client",
        case,
        requests=case.requests,
        settings=settings | dict(case.settings),
        record_spans=case.record_spans,
    )
    used = {name: value - before[name] for name, value in readings(server).items()}
    server.check_alive()
    # Windows does not tell what the children used; they tell themselves what they used for requests.
    client_s = used["children"] or counted["client_cpu_s"]
    return Run(
        case=case.name,
        round=round_number,
        requests=case.requests or 0,
        process_s=used["time"],
        server_cpu_s=used["server"] if server.process else None,
        others_s=max(0.0, used["busy"] - used["server"] - client_s),
        idle_s=used["idle"],
        **counted | {"failures": failures(case, counted)},
    )


def readings(server: Server) -> dict[str, float]:
    """Return the time, and the processor times so far, in seconds."""
    busy, idle = processor_times()
    return {
        "time": time.perf_counter(),
        "busy": busy,
        "idle": idle,
        "server": server.cpu_seconds() or 0.0,
        "children": sum(os.times()[2:4]),  # of those that have ended, with theirs
    }


def failures(case: Case, counted: Mapping[str, Any]) -> dict[str, int]:
    """Return how many requests failed in which way, the unanswered ones among them."""
    failed: dict[str, int] = counted["failures"]
    missing = (case.requests or 0) - counted["ok"] - sum(failed.values())
    if missing < 0:
        raise MeasurementError(
            f"{case.name} counted {-missing:,} answers more than the {case.requests:,} requests"
            " that it was to send. Does it import fetch_all from another script? That one has"
            " urls and a BASE_URL of its own."
        )
    return failed | ({"not answered": missing} if missing else {})


def describe(case: Case) -> dict[str, Any]:
    """Return what child.describe says of a case's script; raise MeasurementError if it fails."""
    return ask_child("describe", case, settings=dict(case.settings))


def ask_child(role: str, case: Case, **more: object) -> dict[str, Any]:
    """Run a child for a case, and return its result; raise MeasurementError if there is none."""
    settings = {
        "script": case.script,
        "replacement": case.replacement,
        "library": case.library,
        **more,
    }
    # Files, not pipes: a process that the script leaves behind could keep a pipe open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log_file:
        with start_child(
            [role, json.dumps(settings)],
            stdout=output,
            stderr=log_file,
            python=case.python,
        ) as process:
            exit_code = process.wait()
        output.seek(0)
        text = output.read()
        log_file.seek(0)
        last_line = log_file.read().decode(errors="replace").strip().rpartition("\n")[2]
    # The exit code doesn't matter if there is a result: a library may crash Python at its exit.
    result: dict[str, Any] = json.loads(text) if text else {}
    if not result:
        raise MeasurementError(
            f"{case.name} ended without a result, exit code {exit_code}. {last_line}".strip()
        )
    if "error" in result:
        raise MeasurementError(f"{case.name}: {result['error']}")
    return result
