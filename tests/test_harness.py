"""What the measurements stand on: the arithmetic by hand, the rest with real processes."""

import asyncio
import math
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

import harness
from helpers import DEADLINE, ROOT, start_python, wait_for
from made_up import made_up
from misbehaving import FAULTS, Fault, http, item, misbehaving

VARIANTS = sorted(path.stem for path in harness.VARIANTS.glob("*.py"))


def test_spread() -> None:
    assert harness.spread([9.0, 1.0, 2.0]) == (2.0, 1.0, 9.0)
    assert all(math.isnan(value) for value in harness.spread([]))


def test_ratio_is_the_median_over_the_rounds() -> None:
    runs = [
        made_up("a", 1, 1.0),
        made_up("b", 1, 8.0),  # 8 times
        made_up("b", 2, 6.0),
        made_up("a", 2, 2.0),  # 3 times, whatever the order in the round
        made_up("a", 3, 6.0),
        made_up("b", 3, 24.0),  # 4 times; the ratio of the medians, and of the means, is another
    ]
    assert harness.ratio(runs, "a", "b") == (4.0, 3.0, 8.0)
    assert harness.ratio(runs, "b", "a") == (1 / 4, 1 / 8, 1 / 3)


def test_ratio_is_of_ok_answers() -> None:
    runs = [made_up("a", 1, 1.0, ok=100, failed={"HTTP 503": 900}), made_up("b", 1, 2.0)]
    assert harness.ratio(runs, "a", "b").median == 0.2


def test_ratio_to_nothing_is_left_out() -> None:
    runs = [made_up("a", 1, 1.0), made_up("b", 1, 1.0, ok=0)]
    assert math.isnan(harness.ratio(runs, "a", "b").median)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.1, 1.3, False), (0.7, 0.9, False), (0.9, 1.2, True), (1.0, 1.2, True), (0.8, 1.0, True)],
)
def test_what_is_not_shown(low: float, high: float, expected: bool) -> None:
    assert harness.not_shown(harness.Spread((low + high) / 2, low, high)) is expected


def test_percentile_is_nearest_rank() -> None:
    dice = random.Random(1)
    for number in (1, 2, 99, 100, 101, 1_000):
        latencies = [dice.randrange(1, 5_000) for _ in range(number)]
        for percent in (50, 99):
            exact = sorted(latencies)[math.ceil(number * percent / 100) - 1] / 100
            assert harness.percentile(Counter(latencies), percent) == exact
    assert harness.percentile({}, 50) is None


def test_turns_rotate() -> None:
    turns = [*harness.in_turn("abc", 4)]
    assert [case for _, case in turns] == [*"abc", *"bca", *"cab", *"abc"]
    assert [number for number, _ in turns] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_whole_rounds() -> None:
    runs = [made_up(case, 1, 1.0) for case in "abcabca"]
    assert harness.whole_rounds(runs, 3) == runs[:6]
    assert harness.whole_rounds(runs[:2], 3) == []


@pytest.fixture(scope="module")
def server() -> Iterator[harness.Server]:
    """A server as the studies run it."""
    with harness.own_server() as running:
        yield running


def test_scripts_and_variants_are_all_known() -> None:
    assert {"async_gather", "async_httpx", "thread_shared", "blocking_get"} <= set(VARIANTS)
    assert all((ROOT / f"{client}.py").exists() for client in ("test_async", "test_thread"))


@pytest.mark.parametrize("client", ["test_async", "test_thread", "test_blocking", *VARIANTS])
def test_each_form_answers_all(client: str, server: harness.Server) -> None:
    if client == "async_uvloop" and not find_spec("uvloop"):
        pytest.skip("uvloop is not installed")
    concurrency = None if client.startswith(("test_blocking", "blocking")) else 4
    run = harness.run_client(client, server, requests=50, concurrency=concurrency, case="x", round_number=3)
    assert (run["ok"], run["failed"], run["requests"]) == (50, {}, 50)
    assert (run["case"], run["round"]) == ("x", 3)
    assert 0 < run["elapsed_s"] < run["process_s"]


@pytest.mark.parametrize("client", ["test_async", "test_thread", "test_blocking"])
def test_spans_of_the_requests(client: str) -> None:
    with harness.own_server(latency_ms=20) as server:
        concurrency = None if client == "test_blocking" else 4
        run = harness.run_client(client, server, requests=12, concurrency=concurrency, record_spans=True)
    spans = run["spans"]
    assert sorted(item for item, _, _ in spans) == [*range(1, 13)]
    assert all(0 <= start <= end - 0.02 for _, start, end in spans)
    assert max(end for _, _, end in spans) <= run["elapsed_s"] + 0.01
    most = max(sum(a <= t < b for _, a, b in spans) for _, t, _ in spans)
    assert most <= (concurrency or 1)
    assert most == 1 or client != "test_blocking"


def test_processor_time_of_the_server_with_its_workers() -> None:
    with harness.own_server(workers=2) as server:
        before = server.cpu()
        run = harness.run_client("test_async", server, requests=3_000)
        after = server.cpu()
        assert server.process
        parent = psutil.Process(server.process.pid)
        times = [p.cpu_times() for p in (parent, *parent.children(recursive=True))]
    assert before is not None
    assert after is not None
    assert after == pytest.approx(sum(t.user + t.system for t in times), abs=0.05)
    assert sum(t.system for t in times) > 0.1
    # 3,000 answers take more than 50 µs of processor time each, wherever they are made.
    assert run["server_cpu_s"] is not None
    assert 0.15 < run["server_cpu_s"] <= after - before + 0.1
    assert len(times) >= 3


@pytest.mark.parametrize("client", ["test_async", "test_thread", "test_blocking"])
def test_figures_of_a_run(client: str) -> None:
    # Two of a hundred answers take half a second, three are wrong: each figure shows its own.
    slow = Fault(lambda i: http(item(i)), "", delay=0.5)
    with misbehaving(slow, [20, 70]) as server:
        run = harness.run_client(client, harness.Server(server.url), requests=100)
    assert (run["ok"], run["failed"], run["server_cpu_s"]) == (100, {}, None)
    assert run["p50_ms"] is not None
    assert run["p99_ms"] is not None
    assert run["p50_ms"] < 500 <= run["p99_ms"]
    assert run["elapsed_s"] >= 0.5
    with misbehaving(FAULTS["503"], [1, 2, 3]) as server:
        run = harness.run_client(client, harness.Server(server.url), requests=100)
    assert (run["ok"], run["failed"]) == (97, {"HTTP 503": 3})


def test_latency_of_the_own_server() -> None:
    with harness.own_server(latency_ms=50) as server:
        run = harness.run_client("test_blocking", server, requests=4)
    assert run["elapsed_s"] >= 0.2
    assert run["p50_ms"] is not None
    assert run["p50_ms"] >= 50
    assert run["in_flight"] is not None
    assert 0.8 < run["in_flight"] <= 1.05


def test_access_log_of_the_own_server() -> None:
    for access_log in (True, False):
        with harness.own_server(access_log=access_log) as server:
            harness.run_client("test_blocking", server, requests=4)
            assert server.log
            assert ("GET /items/4" in server.log.read_text()) is access_log


def test_client_without_a_server() -> None:
    with pytest.raises(harness.Failed, match=r"test_blocking ended without a report, exit code 1: No answer"):
        harness.run_client("test_blocking", harness.Server("http://127.0.0.1:1"), requests=4)


def test_nothing_is_left_of_a_process_with_children(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=None)"
    process = start_python(tmp_path, "-c", code)
    parent = psutil.Process(process.pid)
    wait_for(parent.children, "a child")
    family = [parent, *parent.children(recursive=True)]
    harness.end(process)  # type: ignore[arg-type]
    _, alive = psutil.wait_procs(family, DEADLINE)
    assert not alive
    process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals of a POSIX system")
def test_signal_is_heeded_once_and_not_while_held(tmp_path: Path) -> None:
    code = (
        "import harness, signal\n"
        "harness.stop_on_signals()\n"
        "try:\n"
        "    with harness.held():\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        print('still here')\n"
        "    print('never')\n"
        "except harness.Stopped as stop:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print(stop.exit_code)\n"
    )
    process = start_python(tmp_path, "-c", code, PYTHONPATH=str(ROOT / "benchmarks"))
    stdout, stderr = process.communicate(timeout=DEADLINE)
    assert (stdout, stderr) == ("still here\n143\n", "")


def test_spans_of_a_coroutine_and_of_a_function() -> None:
    async def fetch_async(_: object, item_id: int) -> str:
        await asyncio.sleep(0.01)
        return "async"

    def fetch(_: object, __: object, item_id: int) -> str:
        time.sleep(0.01)
        return "blocking"

    for function in (fetch_async, fetch):
        client: Any = ModuleType("client")
        client.fetch = function
        spans: list[tuple[int, float, float]] = []
        harness.record_spans(client, spans)
        if function is fetch_async:
            assert asyncio.run(client.fetch(None, 7)) == "async"
        else:
            assert client.fetch(None, None, 7) == "blocking"
        ((item, start, end),) = spans
        assert item == 7
        assert end - start >= 0.01
