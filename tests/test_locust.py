"""Load from many processes: a real master and two real workers, and one that counts failures."""

import csv
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

import test_async
from helpers import DEADLINE, ROOT, environment, finish, free_port, start_python, uvicorn, wait_for
from misbehaving import FAULTS, RIGHT, serve

LOCUSTFILE = ROOT / "benchmarks" / "locustfile.py"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ended by signals")


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


def test_master_and_two_workers(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log") as server, ExitStack() as stack:
        port = str(free_port())

        def locust(name: str, *options: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((tmp_path / name).open("wb"))
            command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options]
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment(), stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        master = locust(
            "master.log",
            *("--master", "--master-bind-port", port, "--expect-workers", "2", "--headless"),
            *("--users", "8", "--spawn-rate", "8", "--host", server.url, "--csv", "result"),
        )
        workers = [locust(f"worker{i}.log", "--worker", "--master-port", port) for i in range(2)]
        server_port = int(server.url.rsplit(":", 1)[1])

        def each_calls_the_server() -> bool:
            sockets = [psutil.Process(worker.pid).net_connections("tcp") for worker in workers]
            return all(
                any(s.raddr and s.raddr.port == server_port for s in mine) for mine in sockets
            )

        def requests_are_counted() -> bool:
            path = tmp_path / "result_stats.csv"
            return path.exists() and any(int(row["Request Count"]) > 50 for row in rows(path))

        wait_for(each_calls_the_server, "requests from both workers")
        wait_for(requests_are_counted, "the workers' reports")
        master.send_signal(signal.SIGTERM)
        assert master.wait(DEADLINE) == 0, (tmp_path / "master.log").read_text()
    items, total = rows(tmp_path / "result_stats.csv")
    assert items["Name"] == "/items/{item_id}"  # one row for all items
    assert total["Name"] == "Aggregated"
    assert int(total["Failure Count"]) == 0


# What Locust calls what goes wrong.
FAILURES = {
    "JSON string": "wrong answer",
    "id as float": "wrong answer",
    "broken gzip": "wrong answer",
    "503": "HTTP 503",
    "204": "HTTP 204",
    "307": "HTTP 307",
    "closed before the head": "HTTPConnectionClosed('connection closed.')",
}


def test_failures(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(
        "from locustfile import ApiUser\n"
        "print('time-outs', ApiUser.connection_timeout, ApiUser.network_timeout)\n"
    )
    answers = [RIGHT, *(FAULTS[name] for name in FAILURES)]

    def kind(item_id: int) -> int:
        return item_id % len(answers)

    with serve(lambda item_id: answers[kind(item_id)]) as server:

        def times_sent() -> list[int]:
            sent = Counter(kind(item_id) for item_id in server.asked.elements())
            return [sent[number] for number in range(len(answers))]

        process = start_python(
            tmp_path,
            *("-m", "locust", "-f", "wrapper.py", "--headless", "--users", "2"),
            *("--host", server.url),
            PYTHONPATH=str(LOCUSTFILE.parent),
        )
        # More often than the two answers that Locust may not have counted in the end.
        wait_for(lambda: min(times_sent()) > 4, "each kind of answer")
        process.send_signal(signal.SIGTERM)
        outcome = finish(process)
    assert outcome.exit_code == 1, outcome
    assert f"time-outs {test_async.TIMEOUT:.1f} {test_async.TIMEOUT:.1f}\n" in outcome.stdout
    assert "Traceback" not in outcome.stderr

    # "GET  /items/{item_id}  17  15(88.24%) | ...", and below "8  GET /items/{item_id}: HTTP 503"
    *_, summary = re.findall(r"^GET +(\S+) +(\d+) +(\d+)\(.*?%\) \| .*\|", outcome.stderr, re.M)
    name, requests, failures = summary[0], int(summary[1]), int(summary[2])
    assert name == "/items/{item_id}"  # one row for all items
    assert 0 < requests - failures <= times_sent()[0]  # the right answers, and no others
    errors = re.findall(r"^\d+ +GET /items/\{item_id\}: (.*?) *$", outcome.stderr, re.M)
    assert set(errors) == set(FAILURES.values())
