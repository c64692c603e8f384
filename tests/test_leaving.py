"""How the clients leave: whatever stdout is, at the end and on Ctrl-C, within a moment."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import CLIENTS, DEADLINE, Outcome, edited, environment, finish, run, start, wait_for
from misbehaving import FAULTS, Fault, Misbehaving, http, item, misbehaving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")
each_client = pytest.mark.parametrize("client", CLIENTS)

# stdout as a shell makes it: each takes nothing, and none of them may keep a script from leaving.
DEAF = {"full": ">/dev/full", "closed": ">&-", "closed pipe": "| true", "all closed": ">&- 2>&-"}
each_deaf_stdout = pytest.mark.parametrize("redirection", DEAF.values(), ids=DEAF)


def shell(script: Path, redirection: str, **env: str) -> subprocess.Popen[str]:
    """Start a script in a shell of its own process group, its stdout redirected; exit as it does."""
    python = f"{shlex.quote(sys.executable)} {script.name}"
    pipe = redirection.startswith("|")
    line = f"set -o pipefail; {python} {redirection}" if pipe else f"exec {python} {redirection}"
    return subprocess.Popen(
        ["bash", "-c", line],
        cwd=script.parent,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


@pytest.fixture
def slow() -> Iterator[Misbehaving]:
    """A server that answers each item after a while, and never the tenth."""
    answer = Fault(lambda i: http(item(i)), "", delay=0.02)
    with misbehaving(answer, range(1, 1_000_000)) as server:
        yield server


@each_client
@each_deaf_stdout
def test_ctrl_c(client: str, redirection: str, slow: Misbehaving, tmp_path: Path) -> None:
    process = shell(edited(client, tmp_path, base_url=slow.url, urls="range(1, 100_000)"), redirection)
    wait_for(lambda: len(slow.asked) > 50, "the run to be under way")
    os.killpg(process.pid, signal.SIGINT)
    outcome = finish(process, seconds=10)
    # A shell whose pipeline was interrupted ends by the signal itself.
    assert outcome.exit_code in {130, -signal.SIGINT}
    assert "Traceback" not in outcome.stderr
    assert "Error" not in outcome.stderr


@each_client
def test_ctrl_c_that_ends_the_reader_too(client: str, slow: Misbehaving, tmp_path: Path) -> None:
    script = edited(client, tmp_path, base_url=slow.url, urls="range(1, 100_000)")
    process = start(script)
    wait_for(lambda: len(slow.asked) > 50, "the run to be under way")
    assert process.stdout
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr
    with process.stderr:
        said = process.stderr.read()
    assert "Traceback" not in said


@each_client
@each_deaf_stdout
@pytest.mark.parametrize("fault", [None, "503"])
def test_normal_end(client: str, redirection: str, fault: str | None, tmp_path: Path) -> None:
    spoiled = [3] if fault else []
    with misbehaving(FAULTS[fault or "503"], spoiled) as server:
        outcome = finish(shell(edited(client, tmp_path, base_url=server.url), redirection))
    assert outcome.exit_code == 1
    assert "Traceback" not in outcome.stderr
    if "2>&-" not in redirection:
        first, report, *_ = outcome.stderr.splitlines()
        assert first == "The report could not be written to stdout:"
        assert f" {100 - len(spoiled)} of 100 ok in " in report


@each_client
def test_no_stderr(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"]) as server:
        outcome = finish(shell(edited(client, tmp_path, base_url=server.url), "2>&-"))
    assert (outcome.exit_code, outcome.ok) == (0, 100)


@each_client
def test_head_of_a_run_with_failures(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3]) as server:
        outcome = finish(shell(edited(client, tmp_path, base_url=server.url), "| head -1"))
    assert " 99 of 100 ok in " in outcome.stdout
    assert outcome.stderr == ""


@each_client
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "cp437"},
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-16"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    ],
    ids=lambda env: " ".join(env.values()),
)
def test_encoding_without_the_sign(client: str, env: dict[str, str], tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3, 4]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        encoding = "utf-16" if "utf-16" in env.values() else "ascii"
        command = [sys.executable, script.name]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment(**env), capture_output=True, timeout=DEADLINE
        )
    report, failures = ended.stdout.decode(encoding).splitlines()
    assert ended.returncode == 1
    assert ended.stderr == b""
    assert " 98 of 100 ok in " in report
    assert re.fullmatch("  2 [x×] × HTTP 503|  2 [x×] HTTP 503", failures)


@each_client
def test_sign_where_there_is_one(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        ended = subprocess.run(
            [sys.executable, script.name],
            cwd=tmp_path,
            env=environment(PYTHONUTF8="0", PYTHONIOENCODING="cp1252"),
            capture_output=True,
            timeout=DEADLINE,
        )
    assert ended.stdout.decode("cp1252").splitlines()[1] == "  1 × HTTP 503"


def test_threads_that_cannot_be_started(tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"]) as server:
        script = edited("thread", tmp_path, base_url=server.url, urls="range(1, 321)", concurrency=32)
        # What `ulimit -u` makes of Thread.start, for any user: root knows no such limit.
        (tmp_path / "limited.py").write_text(
            "import runpy, threading\n"
            "start, started = threading.Thread.start, []\n"
            "def limited(thread):\n"
            "    if 'Pool' in thread.name:\n"
            "        if len(started) == 5:\n"
            '            raise RuntimeError("can\'t start new thread")\n'
            "        started.append(thread)\n"
            "    start(thread)\n"
            "threading.Thread.start = limited\n"
            f"runpy.run_path({script.name!r}, run_name='__main__')\n"
        )
        outcome: Outcome = run(tmp_path / "limited.py")
    assert outcome.exit_code == 1
    outcome.assert_accounted(320)
    assert outcome.ok == 60  # five shares of ten, and the one that was waiting for its thread
    assert outcome.failures == {"can't start new thread": 260}
