"""The instrument that the scripts share: it prints what it was given, with a bar and without."""

import re
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import test_async
from helpers import ROOT, each_client, edited, posix_only, run
from misbehaving import FAULTS, Fault, http, item, serve


def source_of(client: str) -> str:
    """Return the text of a script."""
    return (ROOT / f"test_{client}.py").read_text(encoding="utf-8")


# -- Percentiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [
        (1, 50, 1),
        (2, 50, 1),
        (3, 50, 2),
        (100, 99, 99),
        (101, 99, 100),
        (24_999, 50, 12_500),
        (24_999, 99, 24_750),
    ],
)
def test_percentile_is_nearest_rank(count: int, percent: int, expected: int) -> None:
    assert test_async.percentile(range(1, count + 1), percent) == expected


# -- A tally fed by hand, of each script ----------------------------------------------------------


@pytest.fixture
def script(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script whose clocks stand still at 10 s and 5 s, and that has 2,000 requests to send."""
    clocks = SimpleNamespace(perf_counter=lambda: 10.0, process_time=lambda: 5.0)
    monkeypatch.setattr(script, "time", clocks)
    monkeypatch.setattr(script, "urls", range(2_000))
    return script


def test_report(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = script.Tally()
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
    report = f"{script.NAME}: 0 of 2,000 ok in 0.00 s\n  2,000 x HTTP 500\n"
    assert capsys.readouterr().out == report


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


# -- Runs whose bar fails -------------------------------------------------------------------------


def run_without_a_bar(client: str, folder: Path, before: str = "") -> None:
    """Run a script for longer than it takes until a bar shows, and find all in its report."""
    slow = Fault(lambda i: http(item(i)), "", delay=0.02)
    with serve(lambda item_id: FAULTS["503"] if item_id == 2 else slow) as server:
        script = edited(client, folder, base_url=server.url, urls="range(1, 61)", concurrency=2)
        outcome = run(script, before=before)
    assert (outcome.exit_code, outcome.failures) == (1, {"HTTP 503": 1})
    outcome.assert_accounted(60)


@posix_only
@each_client
def test_run_without_stderr(client: str, tmp_path: Path) -> None:
    run_without_a_bar(client, tmp_path, before="import os; os.close(2)")


@each_client
def test_run_with_a_tqdm_that_fails(client: str, tmp_path: Path) -> None:
    (tmp_path / "tqdm.py").write_text(
        "from unittest.mock import Mock\n"
        "tqdm = Mock()\n"
        "tqdm.return_value.update.side_effect = OSError\n"
    )
    run_without_a_bar(client, tmp_path)


# -- What the scripts say, and what they have in common -------------------------------------------

COMMON = (
    "# The rest is the same in all three scripts, except for async and await, a lock and the end."
)


def common_of(client: str) -> list[str]:
    """Return the lines below the comment line, without what it excepts."""
    rest = source_of(client).split(COMMON)[1].split("\nif __name__")[0]
    rest = re.sub(r"async |await |asyncio\.run\((.+)\)", r"\1", rest)
    return [line.strip() for line in rest.splitlines() if not re.search(r"\block\b", line)]


@pytest.mark.parametrize("client", ["async", "thread"])
def test_scripts_differ_below_the_line_in_what_it_names(client: str) -> None:
    assert common_of(client) == common_of("blocking")


@each_client
def test_scripts_need_what_requirements_txt_has(client: str) -> None:
    metadata = source_of(client).split("# ///")[1]
    dependencies = re.findall(r'"([a-z].+)",', metadata)
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert dependencies == [
        next(line for line in requirements if line.startswith(library))
        for library in ("aiohttp" if client == "async" else "requests", "tqdm")
    ]
