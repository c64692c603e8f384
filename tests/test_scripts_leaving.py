"""How the scripts end on a signal: within a moment, with one report, whatever stdout is."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import CLIENTS, edited, environment, finish, run, start, wait_for
from misbehaving import FAULTS, RIGHT, Fault, Misbehaving, http, item, misbehaving, serve

each_client = pytest.mark.parametrize("client", CLIENTS)
posix_only = pytest.mark.skipif(os.name != "posix", reason="no such signals and shells on Windows")

SLOW = Fault(lambda i: http(item(i)), "", delay=0.02)
HANGING = FAULTS["never answering"]


def is_under_way(server: Misbehaving) -> bool:
    """Say whether the script has sent more than the first requests."""
    return len(server.asked) > 40


@posix_only
@each_client
@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=["Ctrl-C", "SIGTERM"],
)
@pytest.mark.parametrize("held_down", [False, True], ids=["once", "held down"])
def test_signal_in_the_middle_of_a_run(
    client: str, number: signal.Signals, exit_code: int, held_down: bool, tmp_path: Path
) -> None:
    with misbehaving(FAULTS["500"], [1]) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_000_001)")
        process = start(script)
        wait_for(lambda: is_under_way(server), "the run to be under way")
        process.send_signal(number)
        while held_down and process.poll() is None:
            process.send_signal(number)
        outcome = finish(process, seconds=10)
    assert outcome.exit_code == exit_code
    outcome.assert_accounted(10_000_000)
    assert outcome.ok > 0
    assert outcome.failures["HTTP 500"] == 1
    assert [*outcome.failures][-1] == "not answered"
    assert outcome.stdout.count(" ok in ") == 1


@posix_only
@each_client
def test_ctrl_c_while_the_server_hangs(client: str, tmp_path: Path) -> None:
    with misbehaving(HANGING, range(11, 1_000)) as server:
        script = edited(client, tmp_path, base_url=server.url, concurrency=4, timeout=600)
        process = start(script)
        wait_for(lambda: max(server.asked, default=0) > 10, "a request that hangs")
        process.send_signal(signal.SIGINT)
        outcome = finish(process, seconds=10)
    assert outcome.exit_code == 130
    outcome.assert_accounted(100)


@posix_only
@each_client
def test_ctrl_c_before_the_first_answer(client: str, tmp_path: Path) -> None:
    with misbehaving(HANGING, spoil_probe=True) as server:
        process = start(edited(client, tmp_path, base_url=server.url, timeout=600))
        wait_for(lambda: server.probes, "the first request")
        process.send_signal(signal.SIGINT)
        outcome = finish(process, seconds=10)
    assert outcome.exit_code == 130
    outcome.assert_accounted(100)
    assert outcome.failures == {"not answered": 100}


# stdout as a shell makes it: each takes nothing, and none of them may keep a script from ending.
DEAF = {"full": ">/dev/full", "closed": ">&-", "closed pipe": "| true"}


@posix_only
@each_client
@pytest.mark.parametrize("redirection", DEAF.values(), ids=DEAF)
def test_ctrl_c_where_stdout_takes_nothing(client: str, redirection: str, tmp_path: Path) -> None:
    with misbehaving(SLOW, range(1, 100_000)) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 100_000)")
        command = f"{shlex.quote(sys.executable)} {script.name}"
        # The subshell tells the exit code of the script itself, also from within a pipeline.
        line = f"({command}; echo exit code $? >&2) {redirection}"
        shell = subprocess.Popen(
            ["bash", "-c", f"trap '' INT; {line}"],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        wait_for(lambda: is_under_way(server), "the run to be under way")
        os.killpg(shell.pid, signal.SIGINT)
        _, stderr = shell.communicate(timeout=10)
    assert stderr == "exit code 130\n"


@posix_only
@each_client
def test_head_of_a_run(client: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [3]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        ended = subprocess.run(
            ["bash", "-c", f"{shlex.quote(sys.executable)} {script.name} | head -1"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert " 99 of 100 ok in " in ended.stdout
    assert ended.stderr == ""


@posix_only
@each_client
def test_closed_stderr(client: str, tmp_path: Path) -> None:
    with misbehaving(Fault(RIGHT.answer, "", delay=0.5), [50]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        ended = subprocess.run(
            ["bash", "-c", f"{shlex.quote(sys.executable)} {script.name} 2>&-"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert ended.returncode == 0
    assert " 100 of 100 ok in " in ended.stdout


# -- In a terminal ------------------------------------------------------------------------------


@posix_only
@each_client
def test_progress_bar_on_a_terminal_only(client: str, tmp_path: Path) -> None:
    from terminal import run_in_terminal

    with misbehaving(Fault(RIGHT.answer, "", delay=0.5), [100]) as server:
        script = edited(client, tmp_path, base_url=server.url)
        assert run(script).stderr == ""
        exit_code, screen = run_in_terminal(script)
    assert exit_code == 0
    assert "\r100%|" in screen
    assert "| 100/100 [" in screen
    assert "101/100" not in screen
    *_, answer, _, end = screen.split("\r\n")
    assert " 100 of 100 ok in " in answer
    assert end == ""


CTRL_C, CTRL_Q, CTRL_S = b"\x03", b"\x11", b"\x13"


@posix_only
@each_client
@pytest.mark.parametrize("hangs", [False, True], ids=["mid-run", "while the server hangs"])
def test_ctrl_c_in_a_terminal(client: str, hangs: bool, tmp_path: Path) -> None:
    from terminal import run_in_terminal

    with serve(lambda i: HANGING if hangs and i > 100 else SLOW) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)", timeout=600)

        def press(type_keys: Callable[[bytes], None]) -> None:
            wait_for(lambda: is_under_way(server), "the run to be under way")
            # In one go: a terminal drops what is not yet on the screen at each Ctrl-C.
            type_keys(2 * CTRL_C)

        exit_code, screen = run_in_terminal(script, press)
    screen = screen.replace("^C", "")  # the terminal's own echo of the key
    assert exit_code == 130
    assert "Traceback" not in screen
    lines = [line for line in screen.replace("\r", "\n").splitlines() if line]
    assert len([line for line in lines if " ok in " in line]) == 1
    assert lines[-1].endswith(" x not answered")


@posix_only
@each_client
def test_ctrl_c_in_a_terminal_that_is_held(client: str, tmp_path: Path) -> None:
    """After Ctrl-S, the progress bar can't be drawn, and the script waits for the terminal."""
    from terminal import run_in_terminal

    with serve(lambda i: SLOW) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)", timeout=600)

        def press(type_keys: Callable[[bytes], None]) -> None:
            wait_for(lambda: is_under_way(server), "the run to be under way")
            type_keys(CTRL_S)
            counts = [0]

            def stands_still() -> bool:
                counts.append(len(server.asked))
                return len(counts) > 30 and counts[-1] == counts[-30]  # for about 0.3 s

            wait_for(stands_still, "the script to wait for the terminal")
            type_keys(CTRL_C)
            type_keys(CTRL_Q)

        exit_code, screen = run_in_terminal(script, press)
    assert exit_code == 130
    assert "Traceback" not in screen
    assert screen.count(" ok in ") == 1
    assert " x not answered\r\n" in screen
