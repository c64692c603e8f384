"""What the scripts make of answers, right and wrong."""

import os
import socket
from collections import Counter
from pathlib import Path

import pytest
import requests

import test_async
import test_blocking
import test_thread
from helpers import CLIENTS, edited, run
from misbehaving import ANY_ERROR, FAULTS, ODDITIES, RIGHT, Fault, misbehaving, serve

SCRIPTS = (test_async, test_thread, test_blocking)
each_client = pytest.mark.parametrize("client", CLIENTS)


@pytest.mark.parametrize(
    "body",
    [
        b'{"item_id":6}',
        b'{"item_id":"5"}',
        b'{"item_id":5.0}',
        b'{"item_id":true}',
        b'{"item_id":5,"more":1}',
        b'{"id":5}',
        b"\"{'item_id': 5}\"",
        b"[5]",
        b"null",
        b"",
        b"item 5",
        b"<html><body>5</body></html>",
        b'{"item_id":"\xff\xfe"}',
        b'{"item_id":5',
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"item_id":%s}' % (b"9" * 6_000),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_check_finds_a_wrong_body(body: bytes) -> None:
    for script in SCRIPTS:
        assert script.check(200, body, 5) == "wrong answer"


def test_check_finds_true_and_1_0_for_1() -> None:
    assert test_async.check(200, b'{"item_id":true}', 1) == "wrong answer"
    assert test_async.check(200, b'{"item_id":1.0}', 1) == "wrong answer"


@pytest.mark.parametrize("body", [b'{"item_id":5}', b' { "item_id" : 5 }\n'])
def test_check_accepts_the_right_body(body: bytes) -> None:
    for script in SCRIPTS:
        assert script.check(200, body, 5) == ""


@pytest.mark.parametrize("status", [201, 204, 307, 404, 500, 503])
def test_check_names_another_status(status: int) -> None:
    for script in SCRIPTS:
        assert script.check(status, b'{"item_id":5}', 5) == f"HTTP {status}"


@each_client
def test_every_fault_is_a_failure(client: str, tmp_path: Path) -> None:
    """Every third item has another fault, and the items between them are answered rightly."""
    items = {3 * number: fault for number, fault in enumerate(FAULTS.values(), start=1)}
    total = 3 * len(FAULTS)
    with serve(lambda item_id: items.get(item_id, RIGHT)) as server:
        urls = f"range(1, {total + 1})"
        script = edited(client, tmp_path, base_url=server.url, urls=urls, concurrency=4, timeout=3)
        outcome = run(script)
    assert outcome.exit_code == 1
    outcome.assert_accounted(total)
    assert outcome.ok == total - len(FAULTS)
    assert "not answered" not in outcome.failures
    assert set(server.asked) == set(range(1, total + 1))
    named = Counter(fault.failure for fault in FAULTS.values() if fault.failure != ANY_ERROR)
    assert named <= Counter(outcome.failures)
    for failure in outcome.failures:
        assert not failure.startswith(("NameError", "TypeError", "AttributeError"))


@each_client
def test_unusual_but_right_answers_are_ok(client: str, tmp_path: Path) -> None:
    answers = dict(enumerate(ODDITIES.values(), start=1))
    with serve(lambda item_id: Fault(answers[item_id], "") if item_id else RIGHT) as server:
        urls = f"range(1, {len(ODDITIES) + 1})"
        outcome = run(edited(client, tmp_path, base_url=server.url, urls=urls, concurrency=2))
    assert (outcome.exit_code, outcome.ok) == (0, len(ODDITIES)), outcome


@each_client
def test_a_failure_keeps_its_cause(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["closed before the head"], [3]) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 6)"))
    if client == "async":
        assert outcome.failures == {"ServerDisconnectedError": 1}
    else:
        cause = "Remote end closed connection without response"
        assert outcome.failures == {f"ConnectionError: {cause}": 1}


# -- describe -----------------------------------------------------------------------------------


def refused_by(session: requests.Session) -> requests.ConnectionError:
    """Return the error that requests raises where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as raised:
        session.get(f"http://127.0.0.1:{port}")
    return raised.value


def test_describe_names_the_cause_that_the_system_gave() -> None:
    with requests.Session() as session:
        session.trust_env = False
        error = refused_by(session)
    for script in SCRIPTS:
        assert script.describe(error) == "ConnectionError: Connection refused"


def test_describe_gives_the_text_of_a_resolver() -> None:
    error = socket.gaierror(8, "Name or service not known")  # on macOS, 8 also is ENOEXEC
    for script in SCRIPTS:
        assert script.describe(error) == "gaierror: Name or service not known"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(24, "whatever"), f"OSError: {os.strerror(24)}"),
        (TimeoutError("timed out"), "TimeoutError: timed out"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("no OSError, so its text is not the system's"), "ValueError"),
    ],
)
def test_describe(error: Exception, text: str) -> None:
    for script in SCRIPTS:
        assert script.describe(error) == text


def test_root_cause_follows_causes_and_contexts() -> None:
    root, middle, top = KeyError("root"), ValueError("middle"), TypeError("top")
    top.__cause__ = middle
    middle.__context__ = root
    for script in SCRIPTS:
        assert script.root_cause(top) is root
        assert script.root_cause(root) is root
