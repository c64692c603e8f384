"""The clients against servers that fail: nothing lost, nothing counted twice, no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import CLIENTS, edited, run
from misbehaving import ANY_ERROR, FAULTS, ODDITIES, Fault, misbehaving

each_client = pytest.mark.parametrize("client", CLIENTS)
SPOILED = (1, 7, 8, 20)


@each_client
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault(client: str, fault: Fault, tmp_path: Path) -> None:
    # A short timeout only where one has to run out, so that a busy machine harms no other test.
    timeout = 2 if fault.then == "hang" else 60
    spoiled = SPOILED[:2] if fault.then == "hang" else SPOILED
    with misbehaving(fault, spoiled) as server:
        script = edited(
            client,
            tmp_path,
            base_url=server.url,
            urls="range(1, 21)",
            concurrency=4,
            timeout=timeout,
        )
        outcome = run(script)
    assert outcome.exit_code == 1
    outcome.assert_accounted(20)
    assert outcome.ok == 20 - len(spoiled)
    if fault.failure != ANY_ERROR:
        assert outcome.failures == {fault.failure: len(spoiled)}
    assert "not answered" not in outcome.failures
    assert set(server.asked) == set(range(1, 21))


@each_client
@pytest.mark.parametrize("answer", ODDITIES.values(), ids=ODDITIES)
def test_oddity(client: str, answer: Callable[[int], bytes], tmp_path: Path) -> None:
    with misbehaving(Fault(answer, ""), SPOILED) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 21)"))
    assert outcome.ok == 20
    outcome.assert_accounted(20)
    assert outcome.exit_code == 0


@each_client
def test_kinds_of_failure_are_listed_by_number(client: str, tmp_path: Path) -> None:
    def answer(item_id: int) -> bytes:
        return FAULTS["wrong id" if item_id < 4 else "503"].answer(item_id)

    with misbehaving(Fault(answer, ""), range(1, 1_101)) as server:
        outcome = run(edited(client, tmp_path, base_url=server.url, urls="range(1, 1101)"))
    assert outcome.exit_code == 1
    assert "  0 of 1,100 ok in " in outcome.stdout
    assert "  0 requests/s  p50 0.00 ms  p99 0.00 ms  " in outcome.stdout
    assert outcome.stdout.splitlines()[1:] == ["  1,097 × HTTP 503", "  3 × wrong answer"]
