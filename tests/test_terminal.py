"""Ctrl-C, pressed in a real terminal."""

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import CLIENTS, DEADLINE, REPORT, ROOT, edited, environment, wait_for
from misbehaving import FAULTS, Fault, http, item, misbehaving

pytest.importorskip("pty", reason="no pseudo-terminals here")

import fcntl
import pty
import termios

from terminal import run_in_terminal

each_client = pytest.mark.parametrize("client", CLIENTS)
CTRL_C, CTRL_Q, CTRL_S = b"\x03", b"\x11", b"\x13"
SLOW = Fault(lambda i: http(item(i)), "", delay=0.02)


@each_client
@pytest.mark.parametrize(
    ("fault", "spoiled", "spoil_probe"),
    [
        (SLOW, range(10_000), False),
        (FAULTS["never answering"], range(200, 10_000), False),
        (FAULTS["never answering"], (), True),
    ],
    ids=["mid-run", "while the server hangs", "before the first answer"],
)
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c(
    client: str,
    fault: Fault,
    spoiled: range,
    spoil_probe: bool,
    presses: int,
    tmp_path: Path,
) -> None:
    with misbehaving(fault, spoiled, spoil_probe=spoil_probe) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)", timeout=600)

        def under_way() -> bool:
            if spoil_probe:
                return server.probes > 0
            return any(item_id in spoiled for item_id in server.asked)

        def press(type_keys: Callable[[bytes], None]) -> None:
            wait_for(under_way, "the run to be under way")
            # In one go: a terminal throws away what is not yet on the screen at each Ctrl-C.
            type_keys(presses * CTRL_C)

        exit_code, screen = run_in_terminal(script, press)
    screen = screen.replace("^C", "")  # the terminal's own echo of the key
    assert exit_code == 130
    assert "Traceback" not in screen
    assert "Error" not in screen
    reports = [line for line in screen.replace("\r", "\n").splitlines() if " ok in " in line]
    assert len(reports) == 1
    assert REPORT.search(reports[0])
    assert " × not answered\r\n" in screen
    assert screen.endswith("\r\n")


@each_client
def test_ctrl_s_then_ctrl_c(client: str, tmp_path: Path) -> None:
    with misbehaving(SLOW, range(10_000)) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)", timeout=600)

        def press(type_keys: Callable[[bytes], None]) -> None:
            wait_for(lambda: len(server.asked) > 20, "the run to be under way")
            type_keys(CTRL_S)
            time.sleep(1)  # until the progress bar wants to write, and has to wait
            type_keys(CTRL_C)
            type_keys(CTRL_Q)

        exit_code, screen = run_in_terminal(script, press)
    assert exit_code == 130
    assert "Traceback" not in screen
    assert "reentrant" not in screen
    assert screen.count(" ok in ") == 1
    assert " × not answered\r\n" in screen


def test_one_progress_line_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / "compare.py"), "--requests", "20", "--rounds", "1"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=theirs,
        encoding="utf-8",
    )
    os.close(theirs)
    screen = b""
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:
            break
        if not data:
            break
        screen += data
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    assert process.stdout
    with process.stdout:
        assert "elapsed s" in process.stdout.read()
    text = screen.decode()
    assert "round 1 of 1, blocking" in text
    assert "/3 [" in text
    assert "req/s" not in text
    assert "\n" not in text.strip("\r\n")
