"""The clients when the real server dies, hangs, restarts or is overloaded."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from helpers import (
    CLIENTS,
    Server,
    edited,
    finish,
    free_port,
    run,
    start,
    uvicorn,
    wait_for,
)

each_client = pytest.mark.parametrize("client", CLIENTS)
posix_only = pytest.mark.skipif(os.name != "posix", reason="no such signals on Windows")


def answered(server: Server) -> int:
    """Return how many items the server has answered, by its access log."""
    return server.log.read_text(errors="replace").count("GET /items/")


@each_client
def test_server_killed(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log") as server:
        process = start(edited(client, tmp_path, base_url=server.url, urls="range(4_000)"))
        wait_for(lambda: answered(server) > 100, "the run to be under way")
        server.process.kill()
        outcome = finish(process)
    assert outcome.exit_code == 1
    outcome.assert_accounted(4_000)
    assert 0 < outcome.ok < 4_000
    assert "not answered" not in outcome.failures


@each_client
def test_server_restarted(client: str, tmp_path: Path) -> None:
    port = free_port()
    total = 25_000 if client == "async" else 6_000
    with uvicorn(tmp_path / "log", port=port) as server:
        process = start(edited(client, tmp_path, base_url=server.url, urls=f"range({total})"))
        wait_for(lambda: answered(server) > 100, "the run to be under way")
        server.process.kill()
        server.process.wait()
        before = answered(server)
    with uvicorn(tmp_path / "log2", port=port):
        outcome = finish(process, seconds=90)
    assert outcome.exit_code == 1
    outcome.assert_accounted(total)
    assert outcome.ok >= before - 32  # those whose answer was written, but not read
    assert "not answered" not in outcome.failures


@posix_only
@each_client
def test_server_stopped_and_continued(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(2_000)", timeout=60)
        process = start(script)
        wait_for(lambda: answered(server) > 100, "the run to be under way")
        server.process.send_signal(signal.SIGSTOP)
        state = psutil.Process(server.process.pid)
        wait_for(lambda: state.status() == psutil.STATUS_STOPPED, "the server to stop")
        assert process.poll() is None
        server.process.send_signal(signal.SIGCONT)
        outcome = finish(process)
    assert outcome.exit_code == 0
    outcome.assert_accounted(2_000)
    assert outcome.ok == 2_000


@posix_only
@each_client
def test_server_stopped_for_longer_than_the_timeout(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(2_000)", timeout=1)
        process = start(script)
        wait_for(lambda: answered(server) > 100, "the run to be under way")
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(2)  # the time is what is tested here
        server.process.send_signal(signal.SIGCONT)
        outcome = finish(process)
    assert outcome.exit_code == 1
    outcome.assert_accounted(2_000)
    assert outcome.ok > 0
    assert "not answered" not in outcome.failures


@each_client
def test_server_reloads(client: str, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    main = folder / "main.py"
    main.write_bytes((Path(__file__).parent.parent / "main.py").read_bytes())
    total = 12_000 if client == "async" else 3_000
    with uvicorn(tmp_path / "log", "--reload", cwd=folder) as server:
        process = start(edited(client, tmp_path, base_url=server.url, urls=f"range({total})"))
        wait_for(lambda: answered(server) > 100, "the run to be under way")
        main.write_text(main.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
        outcome = finish(process, seconds=90)
        wait_for(lambda: server.log.read_text().count("Started server process") == 2, "a reload")
    outcome.assert_accounted(total)
    assert outcome.ok > 100
    assert "not answered" not in outcome.failures
    assert outcome.exit_code == int(bool(outcome.failures))


@each_client
def test_overload(client: str, tmp_path: Path) -> None:
    options = ("--limit-concurrency", "8", "--no-access-log")
    with uvicorn(tmp_path / "log", *options, LATENCY_MS="5") as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(300)"))
        outcome.assert_accounted(300)
        assert outcome.ok > 0
        if client == "blocking":
            assert outcome.exit_code == 0
        else:
            assert outcome.failures["HTTP 503"] > 0
            assert outcome.exit_code == 1
        # The server has recovered: it serves as many as it may.
        again = run(edited(client, tmp_path, base_url=server.url, concurrency=4))
        assert (again.exit_code, again.ok) == (0, 100)


@posix_only
@pytest.mark.parametrize("client", ["async", "thread"])
def test_too_many_open_files(client: str, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log", LATENCY_MS="500") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(400)", concurrency=200)
        limited = script.with_name("limited.py")
        limited.write_text(
            "import resource, runpy\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
            f"runpy.run_path({script.name!r}, run_name='__main__')\n"
        )
        outcome = run(limited)
    assert outcome.exit_code == 1
    outcome.assert_accounted(400)
    assert any("ulimit -n" in kind for kind in outcome.failures), outcome


@pytest.mark.parametrize("client", ["async", "thread"])
@pytest.mark.parametrize("concurrency", [1, 256, 1_000])
def test_concurrency(client: str, concurrency: int, tmp_path: Path) -> None:
    with uvicorn(tmp_path / "log", "--no-access-log") as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(2_000)", concurrency=concurrency)
        outcome = run(script)
    assert (outcome.exit_code, outcome.ok) == (0, 2_000)
    outcome.assert_accounted(2_000)
