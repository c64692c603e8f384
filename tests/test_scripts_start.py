"""What the scripts do before their clock starts, and how they end without a report."""

import re
import signal
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import test_async
import test_thread
from helpers import (
    CLIENTS,
    Server,
    call_main,
    each_client,
    edited,
    finish,
    posix_only,
    reserved_port,
    run,
    start,
    start_python,
    wait_for,
)
from misbehaving import FAULTS, RIGHT, Fault, http, misbehaving, serve

QUESTION = "Does the right server run there? To start this project's: uvicorn main:app"
HANGING = FAULTS["never answering"]
Capture = pytest.CaptureFixture[str]

# -- The probe, with main() called in this process ------------------------------------------------


def cause(printed: tuple[str, str], base_url: str) -> str:
    """Return what went wrong, by the one line that a script printed that found no right server."""
    stdout, stderr = printed
    start, end = f"{base_url}/items/1: ", f". {QUESTION}\n"
    assert stdout == "" and stderr.count("\n") == 1, printed
    assert stderr.startswith(start) and stderr.endswith(end), printed
    return stderr.removeprefix(start).removesuffix(end)


@pytest.mark.parametrize("name", FAULTS)
def test_the_probe_names_a_fault_as_the_run_does(
    script: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    fault = FAULTS[name]
    timeout = 0.5 if fault.then == "hang" else 60
    with misbehaving(fault, [1]) as server:
        assert call_main(script, monkeypatch, BASE_URL=server.url, TIMEOUT=timeout) == 1
    assert cause(capsys.readouterr(), server.url) == fault.failure_of(
        script.__name__.removeprefix("test_")
    )
    # No redirect is followed; aiohttp repeats a GET that got no answer.
    assert server.asked == {1: 1} or not fault.answer(1)


def test_the_timeout_of_async_limits_the_whole_probe(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    endless = Fault(lambda i: http(b" " * 1_000_000), "", piece=1, pause=0.1)
    with misbehaving(endless, [1]) as server:
        assert call_main(test_async, monkeypatch, BASE_URL=server.url, TIMEOUT=0.5) == 1
    assert cause(capsys.readouterr(), server.url) == "TimeoutError"


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://no-such-host.invalid:8000", "(ClientConnectorDNS|Connection)Error: .+"),
        ("http://127.0.0.1:99999", "InvalidU(rlClientError|RL): .+"),
        ("http://127.0.0.1:8OOO", "InvalidU(rlClientError|RL): .+"),
        ("http://", "InvalidU(rlClientError|RL): .+"),
        ("127.0.0.1:8000", "(NonHttpUrlClientError|InvalidSchema): .+"),
        ("", "(InvalidUrlClientError|MissingSchema): .+"),
        ("http://SERVER/", "HTTP 404"),  # a double slash is no path of this server
        ("https://SERVER", ".+SSL.+"),
    ],
)
def test_wrong_base_url(
    script: ModuleType,
    base_url: str,
    expected: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    base_url = base_url.replace("SERVER", server.url.removeprefix("http://"))
    assert call_main(script, monkeypatch, BASE_URL=base_url) == 1
    assert re.fullmatch(expected, cause(capsys.readouterr(), base_url))


def test_the_clock_starts_after_the_probe(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with serve(lambda item_id: RIGHT) as server:

        def clock() -> float:
            """Go on by 100 s with each request."""
            return 100.0 * server.asked.total()

        clocks = SimpleNamespace(perf_counter=clock, process_time=clock)
        settings = {"BASE_URL": server.url, "urls": [1, 2, 3], "CONCURRENCY": 1}
        assert call_main(script, monkeypatch, time=clocks, **settings) == 0
    each = "100000.00 ms"
    assert capsys.readouterr().out == (
        f"{script.NAME}: 3 of 3 ok in 300.00 s\n"
        f"  0 requests/s, p50 {each}, p99 {each}, max {each}, CPU 100%\n"
    )


# -- The probe of a script that runs --------------------------------------------------------------


@each_client
def test_nobody_listens(client: str, tmp_path: Path) -> None:
    with reserved_port() as port:
        base_url = f"http://127.0.0.1:{port}"
        outcome = run(edited(client, tmp_path, base_url=base_url))
    assert outcome.exit_code == 1
    error = r"(ClientConnector|Connection)Error: \[Errno \d+\] Connect.+"
    assert re.fullmatch(error, cause((outcome.stdout, outcome.stderr), base_url))


@posix_only
@each_client
def test_ctrl_c_during_the_probe(client: str, tmp_path: Path) -> None:
    with misbehaving(HANGING, [1]) as server:
        process = start(edited(client, tmp_path, base_url=server.url, timeout=600))
        wait_for(lambda: server.asked, "the probe")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code == 130
    assert outcome.one_line == f"{server.url}/items/1: stopped before it answered"
    assert server.asked == {1: 1}


# -- Arguments, imports, mistakes -----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["-n", "100"]], ids=str)
def test_any_argument_prints_the_docstring(arguments: list[str], tmp_path: Path) -> None:
    with serve(lambda item_id: RIGHT) as server:
        outcome = run(edited("thread", tmp_path, base_url=server.url), *arguments)
    assert (outcome.exit_code, outcome.stderr) == (2, "")
    assert outcome.stdout == f"{test_thread.__doc__}\n"
    assert not server.requests


def test_importing_only_defines(tmp_path: Path) -> None:
    code = (
        "import signal\n"
        "handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
        "import test_async, test_thread, test_blocking\n"
        "assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
    )
    with serve(lambda item_id: RIGHT) as server:
        for client in CLIENTS:
            edited(client, tmp_path, base_url=server.url)
        outcome = finish(start_python(tmp_path, "-c", code))
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "")
    assert not server.requests


def test_pytest_finds_no_test_in_the_scripts(script: ModuleType) -> None:
    # It collects them for their file names when it is called in the root.
    assert not [name for name in vars(script) if name.lower().startswith("test")]


MISTAKES = {
    "in fetch": ("session.get(item_url(", "session.get(item_ulr("),
    "in the loop": ("tally.add(failure, ", "tally.add(failrue, "),
    "in check": ("body != expected", "body != expceted"),
}


@each_client
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_a_traceback(client: str, mistake: str, tmp_path: Path) -> None:
    """The script ends although its other threads or tasks wait for a server that hangs."""
    with serve(lambda item_id: RIGHT if item_id == 1 else HANGING) as server:
        replace = dict([MISTAKES[mistake]])
        script = edited(client, tmp_path, base_url=server.url, timeout=600, replace=replace)
        outcome = run(script)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Traceback (most recent call last):")
    assert outcome.stderr.splitlines()[-1].startswith("NameError: ")
