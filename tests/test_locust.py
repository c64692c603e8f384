"""The load from many machines: a real master and two real workers, on this one."""

import csv
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from helpers import DEADLINE, ROOT, environment, finish, free_port, start_python, uvicorn, wait_for
from misbehaving import FAULTS, misbehaving

LOCUSTFILE = ROOT / "benchmarks" / "locustfile.py"
SECONDS = 5


def test_master_and_two_workers(tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log") as server, ExitStack() as stack:
        port = str(free_port())

        def locust(name: str, *options: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((tmp_path / name).open("wb"))
            command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options]
            process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        master = locust(
            "master.log",
            *("--master", "--master-bind-port", port, "--expect-workers", "2", "--headless"),
            *("--users", "8", "--spawn-rate", "8", "--run-time", f"{SECONDS}s"),
            *("--host", server.url, "--csv", "result"),
        )
        workers = [locust(f"worker{i}.log", "--worker", "--master-port", port) for i in range(2)]
        server_port = int(server.url.rsplit(":", 1)[1])

        def each_calls_the_server() -> bool:
            sockets = [psutil.Process(worker.pid).net_connections("tcp") for worker in workers]
            return all(any(s.raddr and s.raddr.port == server_port for s in mine) for mine in sockets)

        wait_for(each_calls_the_server, "requests from both workers")
        exit_code = master.wait(SECONDS + DEADLINE)
        assert exit_code == 0, (tmp_path / "master.log").read_text()
    with (tmp_path / "result_stats.csv").open(newline="") as file:
        (total,) = (row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    assert int(total["Request Count"]) > 100
    assert int(total["Failure Count"]) == 0


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("JSON string", "wrong answer"),
        ("broken gzip", "wrong answer"),
        ("503", "HTTP 503"),
        ("closed before the head", ""),  # as Locust names it
    ],
)
def test_failures(fault: str, failure: str, tmp_path: Path) -> None:
    options = ("--headless", "--users", "2", "--run-time", "2s", "--csv", "result")
    with misbehaving(FAULTS[fault], range(1, 25_000)) as server:
        arguments = ("-m", "locust", "-f", str(LOCUSTFILE), "--host", server.url, *options)
        outcome = finish(start_python(tmp_path, *arguments), 2 * DEADLINE)
    assert outcome.exit_code == 1
    with (tmp_path / "result_failures.csv").open(newline="") as file:
        errors = {row["Error"] for row in csv.DictReader(file)}
    assert errors
    assert all(failure in error for error in errors)
    assert not any("HTTP 0" in error for error in errors)
    with (tmp_path / "result_exceptions.csv").open(newline="") as file:
        assert not [*csv.DictReader(file)]
