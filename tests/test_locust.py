"""Load from many processes: the Locust file, run by Locust without its web interface."""

import re
import signal
from collections import Counter
from pathlib import Path

from helpers import ROOT, finish, posix_only, start_python, wait_for
from misbehaving import FAULTS, RIGHT, serve

# What Locust calls what goes wrong.
FAILURES = {
    "wrong id": "wrong answer",
    "white space": "wrong answer",
    "deeply nested": "wrong answer",
    "503": "HTTP 503",
    "204": "HTTP 204",
    "307": "HTTP 307",
    "closed before the head": "HTTPConnectionClosed('connection closed.')",
    "broken gzip": "error: Error -5 while decompressing data: incomplete or truncated stream",
}


@posix_only
def test_right_answers_and_failures(tmp_path: Path) -> None:
    code = "from locustfile import ApiUser as a; print(a.host, a.connection_timeout, a.network_timeout)"
    (tmp_path / "wrapper.py").write_text(code)
    answers = [RIGHT, *(FAULTS[name] for name in FAILURES)]

    def kind(item_id: int) -> int:
        return item_id % len(answers)

    with serve(lambda item_id: answers[kind(item_id)]) as server:

        def times_sent() -> list[int]:
            sent = Counter(kind(item_id) for item_id in server.asked.elements())
            return [sent[number] for number in range(len(answers))]

        process = start_python(
            tmp_path,
            *("-m", "locust", "-f", "wrapper.py", "--headless", "--users", "2"),
            *("--host", server.url),
            PYTHONPATH=str(ROOT / "benchmarks"),
        )
        # More often than the two answers that Locust may not have counted in the end.
        wait_for(lambda: min(times_sent()) > 4, "each kind of answer")
        process.send_signal(signal.SIGTERM)
        outcome = finish(process)
    assert outcome.exit_code == 1, outcome
    assert "http://127.0.0.1:8000 10.0 10.0\n" in outcome.stdout
    assert "Traceback" not in outcome.stderr

    # "GET  /items/{item_id}  17  15(88.24%) | ...", and below "8  GET /items/{item_id}: HTTP 503"
    *_, summary = re.findall(r"^GET +(\S+) +(\d+) +(\d+)\(.*?%\) \| .*\|", outcome.stderr, re.M)
    name, requests, failures = summary[0], int(summary[1]), int(summary[2])
    assert name == "/items/{item_id}"  # one row for all items
    assert 0 < requests - failures <= times_sent()[0]  # the right answers, and no others
    errors = re.findall(r"^\d+ +GET /items/\{item_id\}: (.*?) *$", outcome.stderr, re.M)
    named = {error for error in errors if "Connection" not in error or "closed" in error}
    assert named == set(FAILURES.values()), outcome.stderr  # a reset has yet another name
    assert all(1 <= int(item_id) < 25_000 for item_id in server.asked)
