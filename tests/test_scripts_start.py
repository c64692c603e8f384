"""What the scripts do before their clock starts, and how they end without a report."""

import re
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest

import test_async
import test_blocking
import test_thread
from helpers import (
    CLIENTS,
    Server,
    edited,
    finish,
    reserved_port,
    run,
    start_python,
)
from misbehaving import FAULTS, RIGHT, Fault, http, item, misbehaving, serve

HELP = "Does this project's server run there? To start it: uvicorn main:app"

# -- The probe, which is the same in all three scripts --------------------------------------------


def refusal(base_url: str, monkeypatch: pytest.MonkeyPatch, timeout: float = 30) -> str:
    """Return the cause in the line with which a script ends that finds no server there."""
    monkeypatch.setattr(test_blocking, "BASE_URL", base_url)
    monkeypatch.setattr(test_blocking, "TIMEOUT", timeout)
    with pytest.raises(SystemExit) as raised:
        test_blocking.require_server()
    message = str(raised.value)
    url, end = f"{base_url}/items/1: ", f". {HELP}"
    assert message.startswith(url) and message.endswith(end), message
    assert message.isascii() and message.isprintable()
    return message.removeprefix(url).removesuffix(end)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("404", "HTTPError: HTTP Error 404: Not Found"),
        ("204", "HTTP 204"),
        ("wrong id", "wrong answer"),
        ("no HTTP", "BadStatusLine: SSH-2.0-OpenSSH_9.6"),
        ("no HTTP and no text", r"BadStatusLine: \x1b[31m\xe9\x07\xff"),
        ("negative chunk size", "ValueError: read length must be non-negative or -1"),
        ("truncated body", "IncompleteRead: IncompleteRead(10 bytes read, 3 more expected)"),
        ("never answering", "TimeoutError: timed out"),
    ],
)
def test_another_server(fault: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = 0.5 if fault == "never answering" else 30
    with misbehaving(FAULTS[fault], spoil_probe=True) as server:
        assert refusal(server.url, monkeypatch, timeout) == cause
    assert (server.probes, len(server.asked)) == (1, 0)


@pytest.mark.parametrize(
    ("base_url", "cause"),
    [
        ("http://no-such-host.invalid:8000", r"URLError: \[Errno -\d\] .*name.*"),
        ("http://127.0.0.1:65537", "URLError: .+"),  # the system takes it for port 1
        ("http://127.0.0.1:8OOO", "InvalidURL: .+'8OOO'"),
        ("http://", "URLError: .+no host given.*"),
        ("127.0.0.1:8000", "URLError: .+unknown url type: 127.0.0.1.*"),
        ("", "ValueError: unknown url type: '/items/1'"),
    ],
)
def test_impossible_base_url(base_url: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(cause, refusal(base_url, monkeypatch), re.IGNORECASE)


def test_right_server_by_a_wrong_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # The double slash is no path of this server.
    assert refusal(f"{server.url}/", monkeypatch) == "HTTPError: HTTP Error 404: Not Found"
    assert "SSL" in refusal(server.url.replace("http:", "https:"), monkeypatch)


def test_nobody_listens(tmp_path: Path) -> None:
    with reserved_port() as port:
        base_url = f"http://127.0.0.1:{port}"
        outcome = run(edited("async", tmp_path, base_url=base_url))
    cause = "URLError: [Errno 111] Connection refused"
    assert outcome.one_line == f"{base_url}/items/1: {cause}. {HELP}"
    assert outcome.exit_code == 1


def test_the_clock_starts_after_the_probe(tmp_path: Path) -> None:
    slow = Fault(lambda i: http(item(i)), "", delay=3)
    with misbehaving(slow, spoil_probe=True) as server:
        outcome = run(edited("blocking", tmp_path, base_url=server.url, urls="range(1, 4)"))
    assert outcome.ok == 3
    assert float(outcome.figures["elapsed"]) < 3


# -- Arguments, imports, mistakes -----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["-n", "100"]], ids=str)
def test_any_argument_prints_the_docstring(arguments: list[str], tmp_path: Path) -> None:
    with serve(lambda item_id: RIGHT) as server:
        outcome = run(edited("thread", tmp_path, base_url=server.url), *arguments)
    assert (outcome.exit_code, outcome.stderr) == (2, "")
    assert outcome.stdout == f"{test_thread.__doc__}\n"
    assert not server.heads


def test_importing_only_defines(tmp_path: Path) -> None:
    code = (
        "import signal, test_async, test_thread, test_blocking\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "assert signal.getsignal(signal.SIGINT) == signal.default_int_handler\n"
    )
    with serve(lambda item_id: RIGHT) as server:
        for client in CLIENTS:
            edited(client, tmp_path, base_url=server.url)
        outcome = finish(start_python(tmp_path, "-c", code))
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "")
    assert not server.heads


@pytest.mark.parametrize("script", [test_async, test_thread, test_blocking])
def test_pytest_finds_no_test_in_the_scripts(script: ModuleType) -> None:
    # It collects them for their file names when it is called in the root.
    assert not [name for name in vars(script) if name.lower().startswith("test")]


MISTAKES = {
    "in fetch": ("session.get(item_url(", "session.get(item_ulr("),
    "in the loop": ("tally.add(failure, ", "tally.add(failrue, "),
    "in check": ("body != expected", "body != expceted"),
}


@pytest.mark.parametrize(
    ("client", "mistake"),
    [*product(CLIENTS, ["in fetch", "in the loop"]), ("blocking", "in check")],
)
def test_a_mistake_ends_in_a_traceback(client: str, mistake: str, tmp_path: Path) -> None:
    with serve(lambda item_id: RIGHT) as server:
        replace = dict([MISTAKES[mistake]])
        outcome = run(edited(client, tmp_path, base_url=server.url, replace=replace))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Traceback (most recent call last):")
    assert outcome.stderr.splitlines()[-1].startswith("NameError: ")
