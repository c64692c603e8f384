"""The instrument that the scripts share, fed by hand: it prints what it was given."""

import doctest
import re
import threading
from collections.abc import Iterator
from difflib import ndiff
from io import StringIO
from itertools import combinations
from types import ModuleType, SimpleNamespace

import pytest

import test_async
import test_blocking
import test_thread
from helpers import CLIENTS, REPORT, ROOT, each_client

SCRIPTS = (test_async, test_thread, test_blocking)


def source_of(client: str) -> str:
    """Return the text of a script."""
    return (ROOT / f"test_{client}.py").read_text(encoding="utf-8")


# -- Percentiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [
        (1, 50, 1),
        (1, 100, 1),
        (2, 50, 1),
        (3, 50, 2),
        (5, 50, 3),
        (100, 99, 99),
        (101, 99, 100),
        (24_999, 50, 12_500),
        (24_999, 99, 24_750),
        (24_999, 100, 24_999),
        (1, 1, 1),
    ],
)
def test_percentile_is_nearest_rank(count: int, percent: int, expected: int) -> None:
    assert test_async.percentile(range(1, count + 1), percent) == expected


def test_docstring_example() -> None:
    assert doctest.testmod(test_async) == (0, 1)


# -- A tally fed by hand, of each script ----------------------------------------------------------


@pytest.fixture(params=SCRIPTS, ids=CLIENTS)
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A script whose clocks stand still at 10 s and 5 s, and that has 2,000 requests to send."""
    clocks = SimpleNamespace(perf_counter=lambda: 10.0, process_time=lambda: 5.0)
    monkeypatch.setattr(request.param, "time", clocks)
    monkeypatch.setattr(request.param, "urls", range(2_000))
    yield request.param


def test_report(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = script.Tally()
    tally.start, tally.cpu_start = 3.0, 4.0
    tally.start_clock()  # again, after the probe
    for latency, count in ((0.0301, 12), (0.001, 600), (0.002, 588)):
        for _ in range(count):
            tally.add(None, latency)
    for failure, count in (("ReadTimeout: timed out", 3), ("HTTP 503", 6)):
        for _ in range(count):
            tally.add(failure, 9.0)
    later = SimpleNamespace(perf_counter=lambda: 12.5, process_time=lambda: 7.45)
    monkeypatch.setattr(script, "time", later)
    tally.report()
    assert capsys.readouterr() == (
        f"{script.NAME}: 1,200 of 2,000 ok in 2.50 s\n"
        "  480 requests/s, p50 1.00 ms, p99 2.00 ms, max 30.10 ms, CPU 98%\n"
        "  6 x HTTP 503\n"
        "  3 x ReadTimeout: timed out\n"
        "  791 x not answered\n",
        "",
    )


def test_report_without_an_ok_answer(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = script.Tally()
    for _ in range(2_000):
        tally.add("HTTP 500", 1.0)
    tally.report()
    name = script.NAME
    assert capsys.readouterr().out == f"{name}: 0 of 2,000 ok in 0.00 s\n  2,000 x HTTP 500\n"


def test_bar_counts_answers_and_shows_failures(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", screen)
    tally = script.Tally()
    for failure in (None, "HTTP 503", None, "wrong answer", "HTTP 503"):
        tally.add(failure, 0.001)
    assert (tally.bar.n, tally.bar.total, tally.bar.unit) == (5, 2_000, "req")
    assert "failed=3" in str(tally.bar)
    tally.bar.close()


# -- The lock of the threads ----------------------------------------------------------------------


def test_add_counts_under_the_lock() -> None:
    tally = test_thread.Tally()
    adding = threading.Thread(target=tally.add, args=[None, 0.5])
    failing = threading.Thread(target=tally.add, args=["HTTP 503", 0.5])
    with tally.lock:
        for thread in (adding, failing):
            thread.start()
            thread.join(0.2)  # in vain
        assert not tally.latencies and not tally.failures
    for thread in (adding, failing):
        thread.join()
    assert (tally.latencies, tally.failures) == ([0.5], {"HTTP 503": 1})


# -- What the scripts say, and what they have in common -------------------------------------------

COMMON = "# The rest is the same in all three scripts, except for asyncio.run, a lock and the end"


@pytest.mark.parametrize(("one", "other"), [*combinations(CLIENTS, 2)])
def test_scripts_differ_below_the_line_in_what_it_names(one: str, other: str) -> None:
    rests = [source_of(client).split(COMMON)[1] for client in (one, other)]
    lines = [[line.strip() for line in rest.splitlines()] for rest in rests]
    differing = {line[2:] for line in ndiff(lines[0], lines[1]) if line[0] in "+-"}
    named = re.compile(
        r".*\block\b.*|(asyncio\.run\()?fetch_all\(tally\)\)?"
        r"|try:|tally\.report\(\)|sys\.stdout\.flush\(\)|finally:|os\._exit\(130\).*|return 130"
    )
    assert differing
    assert not [line for line in differing if not named.fullmatch(line)]


@each_client
def test_docstring_has_a_report_of_the_real_form(client: str) -> None:
    script = SCRIPTS[CLIENTS.index(client)]
    sample = re.search(rf"\n\$ python test_{client}\.py\n((.+\n)+)", script.__doc__ or "")
    assert sample
    report = REPORT.fullmatch(sample[1])
    assert report and report["throughput"]
    assert (report["name"], report["ok"], report["total"]) == (script.NAME, "24,999", "24,999")
    assert all(len(line) <= 80 for line in sample[1].splitlines())


@each_client
def test_scripts_need_what_requirements_txt_has(client: str) -> None:
    metadata = source_of(client).split("# ///")[1]
    dependencies = re.findall(r'"([a-z].+)",', metadata)
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert dependencies == [
        next(line for line in requirements if line.startswith(library))
        for library in ("aiohttp" if client == "async" else "requests", "tqdm")
    ]
