"""How the scripts end on a signal: within a moment, with one report, whatever stdout is."""

import contextlib
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from helpers import CLIENTS, each_client, edited, environment, finish, posix_only, start, wait_for
from misbehaving import FAULTS, Fault, Misbehaving, http, item, misbehaving, serve

pytestmark = posix_only

SLOW = Fault(lambda i: http(item(i)), "", delay=0.02)
HANGING = FAULTS["never answering"]


def is_under_way(server: Misbehaving) -> bool:
    """Say whether the script has sent more than the first requests."""
    return len(server.asked) > 40


@each_client
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT held down"])
def test_signal_in_the_middle_of_a_run(client: str, how: str, tmp_path: Path) -> None:
    with misbehaving(FAULTS["503"], [1]) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_000_001)")
        process = start(script)
        wait_for(lambda: is_under_way(server), "the run to be under way")
        if how == "SIGTERM":
            process.terminate()
        else:
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.015)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(10_000_000)
    assert outcome.ok > 0
    assert outcome.failures["HTTP 503"] == 1
    assert [*outcome.failures][-1] == "not answered"


@pytest.mark.parametrize(
    ("client", "in_flight"),
    [("async", 150), ("thread", 150), ("blocking", 1)],
)
def test_ctrl_c_while_the_server_hangs(client: str, in_flight: int, tmp_path: Path) -> None:
    with serve(lambda item_id: HANGING if item_id > 20 else SLOW) as server:
        script = edited(
            *(client, tmp_path),
            base_url=server.url,
            urls="range(1, 301)",
            concurrency=in_flight,
            timeout=600,
        )
        process = start(script)

        def hanging() -> int:
            return len([item_id for item_id in server.asked if item_id > 20])

        wait_for(lambda: hanging() == in_flight and len(server.asked) == in_flight + 20, "requests")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(300)
    assert outcome.failures == {"not answered": 280}
    assert hanging() == in_flight


@pytest.mark.parametrize("client", ["async", "thread"])
def test_ctrl_c_during_the_probe(client: str, tmp_path: Path) -> None:
    with misbehaving(HANGING, spoil_probe=True) as server:
        process = start(edited(client, tmp_path, base_url=server.url, timeout=600))
        wait_for(lambda: server.probes, "the probe")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(100)
    assert outcome.failures == {"not answered": 100}
    assert not server.asked


@pytest.mark.parametrize(
    ("client", "stdout"),
    [*product(CLIENTS, ["/dev/full"]), ("thread", "a closed pipe")],
)
def test_ctrl_c_where_stdout_takes_nothing(client: str, stdout: str, tmp_path: Path) -> None:
    if stdout == "/dev/full":
        writer = os.open(stdout, os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    with misbehaving(SLOW, range(1, 100_000)) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 100_000)")
        process = subprocess.Popen(
            [sys.executable, script.name],
            cwd=tmp_path,
            env=environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        os.close(writer)
        wait_for(lambda: is_under_way(server), "the run to be under way")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code > 0


@each_client
def test_ctrl_c_in_a_terminal(client: str, tmp_path: Path) -> None:
    from terminal import run_in_terminal

    with serve(lambda item_id: FAULTS["503"] if item_id == 1 else SLOW) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)")
        exit_code, screen = run_in_terminal(script, until=b"failed=1", then_type=b"\x03")
    assert exit_code == 130
    assert "/10000 [" in screen
    assert "Traceback" not in screen
    lines = screen.splitlines()
    assert len([line for line in lines if " ok in " in line]) == 1
    assert lines[-1].endswith(" x not answered")
