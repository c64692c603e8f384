"""What the scripts do before their clock starts, and how they end without a report."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import test_async
import test_blocking
import test_thread
from helpers import (
    CLIENTS,
    DEADLINE,
    ROOT,
    Server,
    edited,
    environment,
    finish,
    free_port,
    run,
    start_python,
    uvicorn,
    wait_for,
)
from misbehaving import FAULTS, RIGHT, Fault, http, item, misbehaving, serve

each_client = pytest.mark.parametrize("client", CLIENTS)
concurrent_client = pytest.mark.parametrize("client", ["async", "thread"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server."""
    with uvicorn(tmp_path_factory.mktemp("server") / "log", "--no-access-log") as running:
        yield running


# -- Settings -----------------------------------------------------------------------------------


@concurrent_client
@pytest.mark.parametrize("value", ["0", "-1", "1.5", '"8"'])
def test_impossible_concurrency(client: str, value: str, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url="http://127.0.0.1:1", concurrency=value))
    assert outcome.exit_code == 2
    expected = (
        f"CONCURRENCY must be a whole number of 1 or more, not {value.replace(chr(34), chr(39))}"
    )
    assert outcome.one_line == expected


@each_client
@pytest.mark.parametrize("value", [0, -0.5])
def test_impossible_timeout(client: str, value: float, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url="http://127.0.0.1:1", timeout=value))
    assert outcome.exit_code == 2
    assert outcome.one_line == f"TIMEOUT must be more than 0 seconds, not {value}"


@each_client
@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "https://127.0.0.1:8000", "http://"])
def test_impossible_base_url(client: str, base_url: str, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url=base_url))
    assert outcome.exit_code == 2
    assert outcome.one_line == (
        f"BASE_URL must be an http address like http://127.0.0.1:8000, not {base_url!r}"
    )


# -- The server ---------------------------------------------------------------------------------


@each_client
def test_no_server_names_the_command_that_helps(client: str, tmp_path: Path) -> None:
    port = free_port()
    script = edited(client, tmp_path, base_url=f"http://localhost:{port}")
    outcome = run(script)
    assert outcome.exit_code == 1
    advice, command = outcome.one_line.split(": uvicorn ")
    assert advice == f"No server listens at http://localhost:{port}. Start it in another terminal"

    process = start_python(ROOT, "-m", "uvicorn", *shlex.split(command))
    try:
        wait_for(lambda: run(script).exit_code == 0, "the server that the command starts")
    finally:
        process.terminate()
        finish(process)


@pytest.mark.parametrize("script", [test_async, test_thread, test_blocking])
def test_a_base_url_without_a_port_means_port_80(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "BASE_URL", "http://127.0.0.1")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 80)) == 0:
            pytest.skip("a server listens on port 80 of this machine")
    with pytest.raises(SystemExit, match=r"--host 127\.0\.0\.1 --port 80$"):
        script.require_server()


@each_client
def test_no_such_host(client: str, tmp_path: Path) -> None:
    outcome = run(edited(client, tmp_path, base_url="http://no-such-host.invalid:8000"))
    assert outcome.exit_code == 1
    assert outcome.one_line.startswith(
        "http://no-such-host.invalid:8000 cannot be reached: gaierror: "
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, a full backlog refuses")
@each_client
def test_server_that_accepts_no_connection(client: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):  # fills the backlog
            base_url = f"http://127.0.0.1:{address[1]}"
            outcome = run(edited(client, tmp_path, base_url=base_url, timeout=0.5))
    assert outcome.exit_code == 1
    assert outcome.one_line == f"{base_url} does not accept a connection within 0.5 s"


@each_client
@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("404", "HTTP 404"),
        ("wrong id", "wrong answer"),
        ("no HTTP", ""),
        ("never answering", ""),
    ],
)
def test_another_server(client: str, fault: str, failure: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS[fault], spoil_probe=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, timeout=1))
    assert outcome.exit_code == 1
    expected = f"{server.url}/items/0 does not answer as this project's server does: {failure}"
    assert outcome.one_line.startswith(expected)
    assert not server.asked


@each_client
def test_the_clock_starts_after_the_first_answer(client: str, tmp_path: Path) -> None:
    slow = Fault(RIGHT.answer, "", delay=2)
    with misbehaving(slow, spoil_probe=True) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 6)"))
    assert outcome.ok == 5
    assert float(outcome.figures["elapsed"]) < 2


# -- Mistakes in the code -----------------------------------------------------------------------

MISTAKES = {
    "a misspelt name in fetch": ({"check(response": "chek(response"}, "NameError"),
    "a wrong keyword in fetch": ({"allow_redirects=": "redirects="}, "TypeError"),
    "a misspelt name in the loop": ({"tally.add(failure, latency)": "taly.add()"}, "NameError"),
    "a misspelt name in check": ({"json.loads(body)": "jsn.loads(body)"}, "NameError"),
    "a misspelt attribute in add": ({"self.ok += 1": "self.oks += 1"}, "AttributeError"),
}


@each_client
@pytest.mark.parametrize(("replace", "error"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_in_a_traceback(
    client: str, replace: dict[str, str], error: str, server: Server, tmp_path: Path
) -> None:
    outcome = run(edited(client, tmp_path, base_url=server.url, replace=replace))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Traceback (most recent call last):")
    assert outcome.stderr.splitlines()[-1].startswith((f"{error}: ", f"{error}("))


# -- Imports ------------------------------------------------------------------------------------


@each_client
def test_importing_sends_nothing(client: str, tmp_path: Path) -> None:
    with serve(lambda item_id: RIGHT) as server:
        edited(client, tmp_path, base_url=server.url)
        ended = finish(start_python(tmp_path, "-c", f"import test_{client}"))
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")
    assert not server.connections


@each_client
def test_main_works_twice_in_one_interpreter(client: str, server: Server, tmp_path: Path) -> None:
    edited(client, tmp_path, base_url=server.url)
    code = f"import test_{client} as script; print(script.main() + script.main())"
    ended = finish(start_python(tmp_path, "-c", code))
    assert ended.stdout.count("100 of 100 ok") == 2
    assert ended.stdout.splitlines()[-1] == "0"


def test_pytest_in_the_root_collects_no_client() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    assert process.returncode == 0, process.stdout
    collected = [line for line in process.stdout.splitlines() if "::" in line]
    assert collected
    assert all(line.startswith("tests/") for line in collected)


def test_redirects_are_not_followed(tmp_path: Path) -> None:
    for client in CLIENTS:
        with misbehaving(FAULTS["307"], [3]) as server:
            outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 5)"))
        assert outcome.failures == {"HTTP 307": 1}
        assert server.asked[3] == 1


def test_answers_that_wait_are_ok(tmp_path: Path) -> None:
    late = Fault(lambda i: http(item(i)), "", delay=0.2)
    with misbehaving(late, [3]) as server:
        outcome = run(edited("async", tmp_path, base_url=server.url, urls="range(1, 5)"))
    assert outcome.ok == 4
    assert float(outcome.figures["max"]) >= 200
