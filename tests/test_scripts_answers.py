"""What the scripts make of answers, right and wrong."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import test_async
from helpers import each_client, edited, run
from misbehaving import FAULTS, ODDITIES, RIGHT, Fault, serve

# -- check and describe, which are the same in all three scripts ----------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"item_id":6}',
        b'{"item_id":55}',
        b'{"item_id": 5}',
        b'{"item_id":5}\n',
        b' {"item_id":5}',
        b'{"item_id":"5"}',
        b'{"item_id":5.0}',
        b'{"item_id":true}',
        b'{"item_id":5,"more":1}',
        b'{"more":1,"item_id":5}',
        b'"{\\"item_id\\":5}"',
        b"",
        b"<html><body>5</body></html>",
        b'{"item_id":"\xff\xfe"}',
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_check_finds_a_wrong_body(body: bytes) -> None:
    assert test_async.check(5, 200, body) == "wrong answer"


def test_check_compares_with_the_id() -> None:
    assert test_async.check(5, 200, b'{"item_id":5}') is None
    assert test_async.check(1, 200, b'{"item_id":true}') == "wrong answer"
    assert test_async.check(-7, 200, b'{"item_id":-7}') is None


@pytest.mark.parametrize("status", [201, 204, 307, 404, 503])
@pytest.mark.parametrize("body", [b'{"item_id":5}', b"busy"])
def test_check_names_another_status_first(status: int, body: bytes) -> None:
    assert test_async.check(5, status, body) == f"HTTP {status}"


def test_numbers_of_numpy_are_whole_numbers() -> None:
    item_id: Any = np.int64(5)
    assert test_async.item_url(item_id) == "http://127.0.0.1:8000/items/5"
    assert test_async.check(item_id, 200, b'{"item_id":5}') is None


def caught(*errors: Exception) -> Exception:
    """Return the last of these errors, each raised while the one before it was handled."""
    handled: BaseException | None = None
    for error in errors:
        error.__context__, handled = handled, error
    return errors[-1]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "TimeoutError"),
        (ConnectionRefusedError(111, "Refused"), "ConnectionRefusedError: [Errno 111] Refused"),
        (
            caught(OSError(104, "Reset"), KeyError("pool"), OSError("top")),
            "OSError: [Errno 104] Reset",
        ),
        (caught(TimeoutError(), ValueError("the text of the root is empty")), "ValueError"),
        (ValueError("one\r\n  two\t three\n"), "ValueError: one two three"),
        (ValueError("é \x1b[31m € \x00"), r"ValueError: \xe9 \x1b[31m \u20ac \x00"),
        (ValueError("ends with:"), "ValueError: ends with"),
        (ValueError("a " * 44), "ValueError:" + 44 * " a"),
        (ValueError("a " * 45), "ValueError:" + 41 * " a" + " [...]"),
        (ValueError("é " * 44), "ValueError:" + 44 * r" \xe9"),
        (ValueError("x" * 1_000), "ValueError: [...]"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_describe(error: Exception, text: str) -> None:
    assert test_async.describe(error) == text


# -- Whole runs -----------------------------------------------------------------------------------


@each_client
def test_every_fault_is_one_failure_with_its_name(client: str, tmp_path: Path) -> None:
    """Every second item has another fault, and the rest is right, but partly unusual."""
    answers = dict.fromkeys(range(1, 2 * len(FAULTS) + 1), RIGHT)
    answers |= dict(enumerate([Fault(answer, "") for answer in ODDITIES], start=1))
    faults = {2 * len(ODDITIES) + 2 * i: fault for i, fault in enumerate(FAULTS.values())}
    answers |= faults
    total = max(answers)
    with serve(lambda item_id: answers.get(item_id, RIGHT)) as server:
        urls = f"range(1, {total + 1})"
        script = edited(client, tmp_path, base_url=server.url, urls=urls, concurrency=4, timeout=2)
        # What a server sends must not break the report where Python can print only ASCII.
        outcome = run(script, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert outcome.exit_code == 1
    outcome.assert_accounted(total)
    assert outcome.failures == Counter(fault.failure_of(client) for fault in faults.values())
    assert [*outcome.failures.values()] == sorted(outcome.failures.values(), reverse=True)
    assert set(server.asked) == set(range(1, total + 1))
    redirected = next(i for i, fault in faults.items() if fault is FAULTS["307"])
    assert server.asked[redirected] == 1  # not followed, to the same address
