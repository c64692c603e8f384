"""The instrument that the scripts share, fed by hand: it prints what it was given."""

import doctest
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from difflib import ndiff
from io import StringIO
from itertools import combinations
from types import ModuleType

import pytest

import test_async
import test_blocking
import test_thread
from helpers import CLIENTS, ROOT, Outcome

LABELS = {
    test_async: "async (aiohttp)",
    test_thread: "threads (requests)",
    test_blocking: "blocking (requests)",
}


@pytest.fixture(params=LABELS, ids=CLIENTS)
def script(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A script, whose `urls` are restored afterwards."""
    urls = request.param.urls
    yield request.param
    request.param.urls = urls


def tally_of(
    script: ModuleType, total: int, elapsed: float = 2.0, cpu: float = 1.0
) -> test_async.Tally:
    """Return a stopped tally of so many requests, with these times in seconds."""
    script.urls = range(total)  # type: ignore[attr-defined]  # a setting, edited as users do
    tally: test_async.Tally = script.Tally()
    tally.stop_clock()
    tally.elapsed = elapsed
    tally.cpu = cpu
    return tally


def test_report(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = tally_of(script, 2_000, elapsed=2.0, cpu=1.94)
    for latency, count in ((0.001, 600), (0.002, 588), (0.0301, 12)):
        for _ in range(count):
            tally.add("", latency)
    for failure, count in (("ReadTimeout: timed out", 3), ("HTTP 503", 6)):
        for _ in range(count):
            tally.add(failure, 9.0)
    tally.report()
    assert capsys.readouterr().out == (
        f"{LABELS[script]}: 1,200 of 2,000 ok in 2.00 s\n"
        "  600 requests/s, p50 1.00 ms, p99 2.00 ms, max 30.10 ms, CPU 97%\n"
        "  6 x HTTP 503\n"
        "  3 x ReadTimeout: timed out\n"
        "  791 x not answered\n"
    )


def test_report_changes_nothing(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = tally_of(script, 3)
    tally.add("", 0.001)
    tally.add("HTTP 500", 0.001)
    tally.report()
    first = capsys.readouterr().out
    tally.report()
    assert capsys.readouterr().out == first
    assert "1 x not answered" in first


def test_report_of_the_usual_run_fits_80_columns(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = tally_of(script, 24_999, elapsed=1.234, cpu=1.3)
    for number in range(24_999):
        tally.add("", 0.0607 if number else 9.87654)
    tally.report()
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


def test_report_of_no_requests(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally_of(script, 0).report()
    outcome = Outcome(0, *capsys.readouterr())
    assert (outcome.ok, outcome.total) == (0, 0)
    assert outcome.figures["max"] == "0.00"


def test_report_needs_only_write(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    writer = Writer()
    monkeypatch.setattr(sys, "stdout", writer)
    tally_of(script, 1).report()
    assert "0 of 1 ok in 2.00 s" in writer.text


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(1, 0.5), (50, 0.5), (51, 0.6), (98, 0.6), (99, 0.7), (100, 90.0)],
)
def test_percentile_is_nearest_rank(percent: int, expected: float) -> None:
    latencies = Counter({9_000: 1, 50: 50, 60: 48, 70: 1})  # of 100, in hundredths of a ms
    for script in LABELS:
        assert script.percentile(latencies, percent) == expected


def test_percentile_of_few_and_of_none() -> None:
    for script in LABELS:
        assert script.percentile(Counter({100: 1, 200: 1, 300: 1}), 50) == 2.0
        assert script.percentile(Counter({123: 1}), 1) == 1.23
        assert script.percentile(Counter(), 50) == 0


def test_docstring_example() -> None:
    assert doctest.testmod(test_async).attempted == 1
    assert doctest.testmod(test_async).failed == 0


def burn(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_clocks_start_and_stop_where_they_are_told(script: ModuleType) -> None:
    tally = script.Tally()
    burn(0.2)  # before the clock
    before, cpu_before = time.perf_counter(), time.process_time()
    tally.start_clock()
    worker = threading.Thread(target=burn, args=[0.2])
    worker.start()
    worker.join()
    time.sleep(0.2)  # time without work
    tally.stop_clock()
    outer, cpu_outer = time.perf_counter() - before, time.process_time() - cpu_before
    burn(0.1)  # after the clock
    assert 0.4 <= tally.elapsed <= outer
    assert 0.2 <= tally.cpu <= cpu_outer


class Screen(StringIO):
    """What a terminal is to a progress bar."""

    def isatty(self) -> bool:
        """Say that this is one."""
        return True


def test_bar_moves_for_ok_answers_and_failures(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    tally = tally_of(script, 5)
    for failure in ("", "HTTP 503", "", "wrong answer", "HTTP 503"):
        tally.add(failure, 0.001)
    assert (tally.bar.n, tally.bar.total, tally.bar.unit) == (5, 5, "req")
    tally.bar.close()


def test_threads_count_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = 0
    most = 0
    counted = 0

    class SlowTally(test_thread.Tally):
        def add(self, failure: str, latency: float) -> None:
            nonlocal inside, most, counted
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)  # lets the other threads run
            counted += 1
            inside -= 1

    monkeypatch.setattr(test_thread, "fetch", lambda session, item_id: "")
    tally = SlowTally()
    threads = [
        threading.Thread(target=test_thread.fetch_share, args=(range(10), tally)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counted, most) == (80, 1)


# -- What the scripts have in common ------------------------------------------------------------

COMMON = "# The rest is the same in all three scripts"


def instrument(client: str) -> list[str]:
    """Return the lines of a script from the comment on, after which all are the same."""
    _, rest = (ROOT / f"test_{client}.py").read_text(encoding="utf-8").split(COMMON)
    return rest.splitlines()


@pytest.mark.parametrize(("one", "other"), [*combinations(CLIENTS, 2)])
def test_scripts_differ_below_the_line_in_what_it_says(one: str, other: str) -> None:
    differing = [line for line in ndiff(instrument(one), instrument(other)) if line[0] in "+-"]
    named = re.compile(
        r"\((aiohttp|requests)\): |CONCURRENCY|fetch_all\(tally\)|lock"
        r"|self\.report\(\)|self\.bar\.close\(\)|suppress"  # what stands under the lock
    )
    assert all(named.search(line) for line in differing), differing


@pytest.mark.parametrize("client", CLIENTS)
def test_dependencies_stand_in_requirements_txt(client: str) -> None:
    source = (ROOT / f"test_{client}.py").read_text(encoding="utf-8")
    metadata = source.split("# ///")[1]
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    dependencies = re.findall(r'"([a-z].+)",', metadata)
    assert len(dependencies) == 2
    assert set(dependencies) <= set(requirements)
