"""The scripts when the real server dies, hangs and restarts, and when files run out."""

import re
import signal
from pathlib import Path
from subprocess import Popen

import psutil
import pytest

from helpers import (
    CLIENTS,
    Server,
    edited,
    finish,
    posix_only,
    reserved_port,
    run,
    start,
    uvicorn,
    wait_for,
)
from misbehaving import Fault, http, item, serve

MILLION = 1_000_000


def wait_until_each_is_served(server: Server) -> None:
    """Wait until the server has answered some items of each client, by its access log."""
    wait_for(lambda: all(answered(server, client) > 20 for client in CLIENTS), "the requests")


def answered(server: Server, client: str) -> int:
    """Return how many items of a client the server has answered."""
    number = CLIENTS.index(client) + 1  # of the million from which its items are
    log = server.log.read_text(errors="replace")
    return len(re.findall(rf'GET /items/{number}\d{{6}} HTTP/1.1" 200', log))


def wait_for_new_connection(process: Popen[str]) -> None:
    """Wait until a client has opened a connection that it does not have now."""

    def ports() -> set[int]:
        connections = psutil.Process(process.pid).net_connections("tcp")
        return {connection.laddr.port for connection in connections if connection.laddr}

    before = ports()
    wait_for(lambda: ports() - before, "another connection")


@posix_only
def test_server_that_hangs_dies_and_restarts(tmp_path: Path) -> None:
    """The scripts go on with the server that takes the place of the first one."""
    with reserved_port() as port:
        processes = []
        with uvicorn(tmp_path / "log", port=port, LATENCY_MS="5") as first:
            for number, client in enumerate(CLIENTS, start=1):
                urls = f"range({number * MILLION}, {(number + 1) * MILLION})"
                script = edited(
                    client, tmp_path, base_url=first.url, urls=urls, concurrency=2, timeout=1
                )
                processes.append(start(script))
            wait_until_each_is_served(first)
            first.process.send_signal(signal.SIGSTOP)
            for process in processes:
                wait_for_new_connection(process)  # because a time-out has closed the last one
            first.process.kill()
        with uvicorn(tmp_path / "log2", port=port, LATENCY_MS="5") as second:
            wait_until_each_is_served(second)
            for process in processes:
                process.send_signal(signal.SIGINT)
            outcomes = [finish(process) for process in processes]
    for client, outcome in zip(CLIENTS, outcomes):
        assert outcome.exit_code == 130
        outcome.assert_accounted(MILLION)
        total = answered(first, client) + answered(second, client)
        assert abs(outcome.ok - total) <= 16  # answers that were written, but not read in time
        for kind in ("TimeoutError|ReadTimeout: timed out", r".*Error: \[Errno 111\] Conn.*"):
            assert [failure for failure in outcome.failures if re.fullmatch(kind, failure)]


@posix_only
@pytest.mark.parametrize("client", ["async", "thread"])
def test_too_many_open_files(client: str, tmp_path: Path) -> None:
    slow = Fault(lambda i: http(item(i)), "", delay=2)  # so that all are in flight at once
    with serve(lambda item_id: slow) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 81)", concurrency=80)
        limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))"
        outcome = run(script, before=limit)
    assert outcome.exit_code == 1
    outcome.assert_accounted(80)
    assert outcome.ok > 0
    error = "ClientConnectorError" if client == "async" else "ConnectionError"
    assert [*outcome.failures] == [f"{error}: [Errno 24] Too many open files"]
