"""The scripts when the real server dies, hangs, restarts or is overloaded."""

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from helpers import CLIENTS, Server, edited, finish, free_port, run, start, uvicorn, wait_for

each_client = pytest.mark.parametrize("client", CLIENTS)
posix_only = pytest.mark.skipif(os.name != "posix", reason="no such signals on Windows")


def answered(server: Server) -> int:
    """Return how many items the server has answered, by its access log."""
    return server.log.read_text(errors="replace").count("GET /items/")


def wait_until_under_way(server: Server) -> None:
    """Wait until the server has answered some items."""
    wait_for(lambda: answered(server) > 50, "the run to be under way")


@each_client
def test_server_killed(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log") as server:
        process = start(edited(client, tmp_path, base_url=server.url, urls="range(3_000)"))
        wait_until_under_way(server)
        server.process.kill()
        outcome = finish(process)
    assert outcome.exit_code == 1
    outcome.assert_accounted(3_000)
    assert 0 < outcome.ok < 3_000
    error = "ClientConnectorError" if client == "async" else "ConnectionError"
    assert outcome.failures[f"{error}: Connection refused"] > 0
    assert "not answered" not in outcome.failures


@each_client
def test_server_restarted(client: str, tmp_path: Path) -> None:
    """The script goes on with the server that took the place of the first one."""
    port = free_port()
    with uvicorn(tmp_path / "log", port=port, LATENCY_MS="5") as server:
        urls = "range(100_000_000)"
        process = start(edited(client, tmp_path, base_url=server.url, urls=urls, concurrency=4))
        wait_until_under_way(server)
        server.process.kill()
        server.process.wait()
        before = answered(server)
    with uvicorn(tmp_path / "log2", port=port, LATENCY_MS="5") as second:
        wait_until_under_way(second)
        process.send_signal(signal.SIGTERM)
        outcome = finish(process)
        after = answered(second)
    outcome.assert_accounted(100_000_000)
    assert outcome.ok > before
    assert abs(outcome.ok - before - after) <= 16  # answers that were written, but not read


@posix_only
@each_client
def test_server_stopped_and_continued(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1_000)", timeout=60)
        process = start(script)
        wait_until_under_way(server)
        server.process.send_signal(signal.SIGSTOP)
        state = psutil.Process(server.process.pid)
        wait_for(lambda: state.status() == psutil.STATUS_STOPPED, "the server to stop")
        assert process.poll() is None
        server.process.send_signal(signal.SIGCONT)
        outcome = finish(process)
    assert (outcome.exit_code, outcome.ok) == (0, 1_000)
    outcome.assert_accounted(1_000)


@posix_only
@each_client
def test_server_stopped_for_longer_than_the_timeout(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", LATENCY_MS="50") as server:
        script = edited(
            client, tmp_path, base_url=server.url, urls="range(24)", concurrency=2, timeout=0.5
        )
        process = start(script)
        wait_for(lambda: answered(server) > 12, "the run to be under way")
        server.process.send_signal(signal.SIGSTOP)
        outcome = finish(process)
        server.process.send_signal(signal.SIGCONT)
    assert outcome.exit_code == 1
    outcome.assert_accounted(24)
    assert outcome.ok > 0
    assert outcome.failures
    # If the server stops in the middle of a body, requests calls it a ConnectionError.
    timeouts = re.compile("Timeout|ConnectionError: timed out")
    assert all(timeouts.search(failure) for failure in outcome.failures), outcome.failures


@each_client
def test_server_that_restarts_its_workers(client: str, tmp_path: Path) -> None:
    options = ("--workers", "2", "--limit-max-requests", "100", "--no-access-log")
    with uvicorn(tmp_path / "log", *options) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(500)"))
    outcome.assert_accounted(500)
    assert outcome.ok > 100
    assert "not answered" not in outcome.failures
    assert outcome.exit_code == int(outcome.ok < 500)


@pytest.mark.parametrize("client", ["async", "thread"])
def test_overload(client: str, tmp_path: Path) -> None:
    options = ("--limit-concurrency", "8", "--no-access-log")
    with uvicorn(tmp_path / "log", *options, LATENCY_MS="5") as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(300)"))
        assert outcome.exit_code == 1
        outcome.assert_accounted(300)
        assert outcome.ok > 0
        assert outcome.failures["HTTP 503"] > 0
        # The server has recovered: it serves as many as it may.
        again = run(edited(client, tmp_path, base_url=server.url, concurrency=3))
        assert (again.exit_code, again.ok) == (0, 100)


@posix_only
@pytest.mark.parametrize("client", ["async", "thread"])
def test_too_many_open_files(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log", LATENCY_MS="200") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(160)", concurrency=80)
        limited = script.with_name("limited.py")
        limited.write_text(
            "import resource, runpy\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))\n"
            f"runpy.run_path({script.name!r}, run_name='__main__')\n"
        )
        outcome = run(limited)
    assert outcome.exit_code == 1
    outcome.assert_accounted(160)
    assert outcome.ok > 0
    error = "ClientConnectorError" if client == "async" else "ConnectionError"
    assert outcome.failures[f"{error}: {os.strerror(24)}"] > 0, outcome
