"""Ctrl-C, pressed in a real terminal."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import CLIENTS, REPORT, edited, wait_for
from misbehaving import FAULTS, Fault, http, item, misbehaving

pytest.importorskip("pty", reason="no pseudo-terminals here")

from terminal import run_in_terminal

each_client = pytest.mark.parametrize("client", CLIENTS)
CTRL_C = b"\x03"
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
