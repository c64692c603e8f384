"""What the scripts make of answers, right and wrong."""

from collections import Counter
from pathlib import Path

import pytest

import test_async
from helpers import each_client, edited, run
from misbehaving import FAULTS, ODDITIES, RIGHT, Fault, serve

# -- check and describe, which are the same in all three scripts ----------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"item_id":55}',
        b'{"item_id":5}\n',
        b'{"item_id":"5"}',
        b'{"item_id":5.0}',
        b'{"item_id":5,"more":1}',
        b'{"item_id":"\xff\xfe"}',
    ],
    ids=repr,
)
def test_check_finds_a_wrong_body(body: bytes) -> None:
    assert test_async.check(5, 200, body) == "wrong answer"


def test_check_compares_with_the_id() -> None:
    assert test_async.check(5, 200, b'{"item_id":5}') is None
    assert test_async.check(-7, 200, b'{"item_id":-7}') is None


REFUSED = "由于目标计算机积极拒绝，无法连接。"  # as Windows says it


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
        (OSError(f"[Errno 10061] {REFUSED}"), f"OSError: [Errno 10061] {REFUSED}"),
        (ValueError("é\x1b[31m\x85€\x00\u202e!"), "ValueError: é [31m € !"),
        (ValueError(r"C:\temp\new"), r"ValueError: C:\temp\new"),
        (ValueError("ends with:"), "ValueError: ends with"),
        (ValueError("x" * 88), "ValueError: " + "x" * 88),
        (ValueError("x" * 89), "ValueError: " + "x" * 85 + "..."),
        (ValueError("无 " * 1_000), "ValueError:" + " 无" * 43 + "..."),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_describe(error: Exception, text: str) -> None:
    assert test_async.describe(error) == text


# -- Whole runs -----------------------------------------------------------------------------------


@each_client
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_fault_is_one_failure_with_its_name(
    client: str, encoding: str, tmp_path: Path
) -> None:
    """The first items are unusual, but right; of the others, every second has another fault."""
    answers = [Fault(answer, "") for answer in ODDITIES]
    for fault in FAULTS.values():
        answers += [RIGHT, fault]
    total = len(answers)
    with serve(lambda item_id: answers[item_id - 1]) as server:
        script = edited(
            client,
            tmp_path,
            base_url=server.url,
            urls=f"range(1, {total + 1})",
            concurrency=4,
            timeout=2,
            replace={'"wrong answer"': f'"{REFUSED}"'},
        )
        # A failure must not break the report where Python can't print its text.
        outcome = run(script, PYTHONIOENCODING=encoding)
    assert outcome.exit_code == 1
    outcome.assert_accounted(total)
    failures = [fault.failure_of(client) for fault in FAULTS.values()]
    texts = [text.replace("wrong answer", REFUSED) for text in failures]
    printed = [text.encode(encoding, "backslashreplace").decode(encoding) for text in texts]
    assert outcome.failures == Counter(printed)
    assert outcome.stdout.replace("\n", "").isprintable()
    assert [*outcome.failures.values()] == sorted(outcome.failures.values(), reverse=True)
    assert set(server.asked) == set(range(1, total + 1))
