"""How the scripts end on a signal: within a moment, with one report, whatever stdout is."""

import signal
from itertools import product
from pathlib import Path

import pytest

from helpers import CLIENTS, each_client, edited, finish, posix_only, start, wait_for
from misbehaving import FAULTS, RIGHT, Fault, http, item, serve

pytestmark = posix_only

SLOW = Fault(lambda i: http(item(i)), "", delay=0.02)
HANGING = FAULTS["never answering"]

# As a shell starts what has a & after it.
IGNORING_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

# A report that takes its time: the threads must count nothing meanwhile, and a second signal
# must not cut it.
SLOW_REPORT = {
    "        if not_answered := ": (
        '        open("reporting", "w").close()\n'
        "        time.sleep(0.5)\n"
        "        if not_answered := "
    )
}


@each_client
@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, ""), (signal.SIGTERM, IGNORING_CTRL_C)],
    ids=["SIGINT", "SIGTERM"],
)
def test_signal_in_the_middle_of_a_run(
    client: str, number: signal.Signals, before: str, tmp_path: Path
) -> None:
    with serve(lambda item_id: RIGHT if item_id % 3 else FAULTS["503"]) as server:
        urls = "range(1, 10_000_001)"
        script = edited(client, tmp_path, base_url=server.url, urls=urls, replace=SLOW_REPORT)
        process = start(script, before=before)
        wait_for(lambda: len(server.asked) > 40, "the run to be under way")
        process.send_signal(number)
        wait_for((tmp_path / "reporting").exists, "the report")
        process.send_signal(number)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(10_000_000)
    assert outcome.ok > 0
    assert [*outcome.failures] == ["HTTP 503", "not answered"]


@pytest.mark.parametrize(
    ("client", "in_flight"), [("async", 150), ("thread", 150), ("blocking", 1)]
)
def test_ctrl_c_while_the_server_hangs(client: str, in_flight: int, tmp_path: Path) -> None:
    with serve(lambda item_id: HANGING if item_id > 20 else SLOW) as server:
        script = edited(
            client,
            tmp_path,
            base_url=server.url,
            urls="range(1, 301)",
            concurrency=in_flight,
            timeout=600,
        )
        process = start(script)
        wait_for(lambda: len(server.asked) == 20 + in_flight, "requests")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code == 130
    outcome.assert_accounted(300)
    assert outcome.failures == {"not answered": 280}
    assert len(server.asked) == 20 + in_flight


def test_ctrl_c_is_not_lost_in_a_library_that_catches_everything(tmp_path: Path) -> None:
    everything = {"except (requests.RequestException, ValueError)": "except BaseException"}
    with serve(lambda item_id: SLOW) as server:
        script = edited("blocking", tmp_path, base_url=server.url, replace=everything)
        process = start(script)
        wait_for(lambda: len(server.asked) > 5, "the run to be under way")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code == 130
    assert [*outcome.failures] == ["not answered"]


FULL_DISK = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"
CLOSED_PIPE = "import os; reader, writer = os.pipe(); os.dup2(writer, 1); os.close(reader)"


@pytest.mark.parametrize(
    ("client", "before", "error"),
    [
        *product(CLIENTS, [FULL_DISK], ["[Errno 28] No space left"]),
        ("thread", CLOSED_PIPE, "[Errno 32] Broken pipe"),
    ],
    ids=[*CLIENTS, "closed pipe"],
)
def test_ctrl_c_where_stdout_takes_nothing(
    client: str, before: str, error: str, tmp_path: Path
) -> None:
    with serve(lambda item_id: SLOW) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 100_000)")
        process = start(script, before=before)
        wait_for(lambda: len(server.asked) > 40, "the run to be under way")
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
    assert outcome.exit_code > 0
    assert error in outcome.stderr


@each_client
def test_ctrl_c_in_a_terminal(client: str, tmp_path: Path) -> None:
    from terminal import run_in_terminal

    with serve(lambda item_id: FAULTS["503"] if item_id == 2 else SLOW) as server:
        script = edited(client, tmp_path, base_url=server.url, urls="range(1, 10_001)")
        exit_code, screen = run_in_terminal(script, until=b"failed=1", then_type=b"\x03")
    assert exit_code == 130
    assert "/10000 [" in screen
    assert "Traceback" not in screen
    lines = screen.splitlines()
    assert len([line for line in lines if " ok in " in line]) == 1
    assert lines[-1].endswith(" x not answered")
