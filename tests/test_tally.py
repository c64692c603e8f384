"""The instrument itself, fed by hand: what it prints must be what it was given."""

import contextlib
import importlib.util
import io
import math
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from helpers import CLIENTS, ROOT, Outcome

FIGURES = ("elapsed", "throughput", "p50", "p99", "cpu")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A client, imported anew for each test; what it does to signals and stdout is undone."""
    spec = importlib.util.spec_from_file_location("client", ROOT / f"test_{request.param}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler, stdout = signal.getsignal(signal.SIGINT), sys.stdout
    yield module
    signal.signal(signal.SIGINT, handler)
    sys.stdout = stdout


def report(tally: Any, total: int, client: ModuleType, capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Let a tally report on so many requests asked for; return what it printed."""
    client.urls = range(total)  # type: ignore[attr-defined]  # a setting, edited as users do
    exit_code = tally.report()
    return Outcome(exit_code, *capsys.readouterr())


@pytest.mark.parametrize("number", [1, 2, 3, 50, 99, 100, 101, 199, 200, 201, 1_000, 9_973])
def test_percentiles_are_nearest_rank(
    number: int, client: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(number)
    latencies = [dice.lognormvariate(-6, 1.5) for _ in range(number)]  # seconds, a few ms each
    tally = client.Tally()
    for latency in latencies:
        tally.add("", latency)
    outcome = report(tally, number, client, capsys)
    ordered = sorted(latencies)
    for percent in (50, 99):
        exact = 1_000 * ordered[math.ceil(number * percent / 100) - 1]
        printed = float(outcome.figures[f"p{percent}"])
        assert abs(printed - exact) <= 0.005_001, (percent, exact, printed)


def test_percentiles_worked_out_by_hand(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    for hundredth in range(1, 101):  # 0.11, 0.12, ... 1.10 ms: no two alike
        tally.add("", (10 + hundredth) / 100_000)
    outcome = report(tally, 100, client, capsys)
    assert (outcome.figures["p50"], outcome.figures["p99"]) == ("0.60", "1.09")


def test_percentiles_are_of_the_ok_answers(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    for _ in range(10):
        tally.add("", 0.002)
        tally.add("HTTP 503", 0.000_01)
        tally.add("HTTP 503", 5)
    outcome = report(tally, 30, client, capsys)
    assert (outcome.figures["p50"], outcome.figures["p99"]) == ("2.00", "2.00")


def test_throughput_is_of_the_ok_answers(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    tally.start_clock("", 0)
    tally.start -= 1_000  # as if it had started that many seconds earlier
    for i in range(7_000):
        tally.add("" if i % 7 else "HTTP 503", 0.001)
    outcome = report(tally, 7_000, client, capsys)
    assert outcome.exit_code == 1
    assert outcome.ok == 6_000
    assert outcome.failures == {"HTTP 503": 1_000}
    assert float(outcome.figures["elapsed"]) == pytest.approx(1_000, abs=30)
    assert outcome.figures["throughput"] == "6"


def test_report_of_the_usual_run_fits_110_columns(
    client: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = client.Tally()
    tally.start -= 100
    for _ in range(24_999):
        tally.add("", 0.0607)
    (line,) = report(tally, 24_999, client, capsys).stdout.splitlines()
    assert len(line) <= 110


def test_nothing_is_lost(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    for failure, number in (("", 5), ("wrong answer", 1_200), ("HTTP 503", 3)):
        for _ in range(number):
            tally.add(failure, 0.001)
    outcome = report(tally, 2_000, client, capsys)
    assert (outcome.exit_code, outcome.ok, outcome.total) == (1, 5, 2_000)
    assert outcome.stdout.splitlines()[1:] == [
        "  1,200 × wrong answer",
        "  792 × not answered",
        "  3 × HTTP 503",
    ]


def test_all_ok_is_one_line_and_exit_code_0(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    for _ in range(3):
        tally.add("", 0.001)
    outcome = report(tally, 3, client, capsys)
    assert outcome.exit_code == 0
    assert outcome.stdout.count("\n") == 1


def test_nothing_asked_for(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = report(client.Tally(), 0, client, capsys)
    assert (outcome.exit_code, outcome.ok, outcome.total) == (0, 0, 0)
    assert "nan" not in outcome.stdout


def burn(seconds: float) -> None:
    """Keep a processor busy for so long, by the clock of this thread's own work."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_cpu_is_of_all_threads_and_not_of_the_wall_clock(
    client: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = client.Tally()
    burn(0.3)  # before the clock: not to be counted
    outer = time.perf_counter()
    tally.start_clock("", 0)
    before = time.process_time()
    worker = threading.Thread(target=burn, args=[0.4])
    worker.start()
    worker.join()
    time.sleep(0.6)  # as if it waited for answers: time, but no work
    worked = time.process_time() - before
    outcome = report(tally, 0, client, capsys)
    elapsed = float(outcome.figures["elapsed"])
    counted = int(outcome.figures["cpu"]) / 100 * elapsed
    assert elapsed >= 1
    assert elapsed <= time.perf_counter() - outer + 0.005
    assert counted >= 0.4 - 0.01 * elapsed
    assert counted == pytest.approx(worked, abs=0.1)


def test_start_clock_starts_anew(client: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tally = client.Tally()
    tally.start -= 1_000
    tally.cpu_start -= 1_000
    tally.start_clock("", 0)
    figures = report(tally, 0, client, capsys).figures
    assert float(figures["elapsed"]) < 500
    assert int(figures["cpu"]) / 100 * float(figures["elapsed"]) < 500


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("HTTP 404", "answers, but not as this project's server: HTTP 404"),
        ("wrong answer", "answers, but not as this project's server: wrong answer"),
        ("ReadTimeout", "No answer from http://127.0.0.1:8000 (ReadTimeout): the server is too slow"),
        ("TimeoutError", "No answer from http://127.0.0.1:8000 (TimeoutError): the server is too slow"),
        ("InvalidURL", "BASE_URL must be an http:// address"),
        ("InvalidUrlClientError", "BASE_URL must be an http:// address"),
        ("MissingSchema", "BASE_URL must be an http:// address"),
        ("ConnectionError", "(ConnectionError): start the server with uvicorn main:app --port 8000"),
    ],
)
def test_what_to_do(failure: str, words: str, client: ModuleType) -> None:
    with pytest.raises(SystemExit) as leaving:
        client.Tally().start_clock(failure, 0)
    assert words in str(leaving.value)


def test_no_port_is_port_80(client: ModuleType) -> None:
    client.BASE_URL = "http://localhost/"  # type: ignore[attr-defined]
    with pytest.raises(SystemExit, match=r"uvicorn main:app --port 80$"):
        client.Tally().start_clock("ConnectionError", 0)


class Screen(io.StringIO):
    """What a terminal is to a progress bar."""

    def isatty(self) -> bool:
        """Say that this is one."""
        return True


def test_bar_moves_for_failures_too(client: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    client.urls = range(5)  # type: ignore[attr-defined]
    tally = client.Tally()
    for failure in ("", "HTTP 503", "", "wrong answer", "HTTP 503"):
        tally.add(failure, 0.001)
    assert (tally.bar.n, tally.bar.total) == (5, 5)
    assert tally.bar.unit == "req"


def test_further_ctrl_c_does_not_cut_off_the_report(
    client: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heeded = []
    signal.signal(signal.SIGINT, lambda *_: heeded.append(1))
    tally = client.Tally()
    close = tally.bar.close

    def close_while_ctrl_c_is_pressed() -> None:
        signal.raise_signal(signal.SIGINT)
        close()

    monkeypatch.setattr(tally.bar, "close", close_while_ctrl_c_is_pressed)
    outcome = report(tally, 2, client, capsys)
    assert outcome.failures == {"not answered": 2}
    assert not heeded


def test_bar_that_cannot_be_closed(
    client: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = client.Tally()

    def close() -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr(tally.bar, "close", close)
    assert report(tally, 0, client, capsys).exit_code == 0


def test_check(client: ModuleType) -> None:
    assert client.check(200, b'{"item_id": 5}', 5) == ""
    assert client.check(200, b'{"item_id": 6}', 5) == "wrong answer"
    assert client.check(200, b"\"{'item_id': 5}\"", 5) == "wrong answer"
    assert client.check(201, b'{"item_id": 5}', 5) == "HTTP 201"


def test_names(client: ModuleType) -> None:
    assert client.name(KeyError("x")) == "KeyError"
    assert client.name(OSError(24, "Too many open files")) == "too many open files (raise ulimit -n)"


@pytest.fixture
def threads() -> Any:
    """The script with threads, imported anew."""
    spec = importlib.util.spec_from_file_location("client", ROOT / "test_thread.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_thread_counts_after_the_report(threads: Any, capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.getsignal(signal.SIGINT)
    report(threads.Tally(), 0, threads, capsys)
    signal.signal(signal.SIGINT, handler)
    assert threads.lock.locked()


def test_what_goes_wrong_in_a_thread_is_not_lost(threads: Any) -> None:
    class Broken:
        """A tally that does not count."""

        def start_clock(self, *_: object) -> None:
            """Do nothing."""

        def add(self, *_: object) -> None:
            """Fail."""
            raise ZeroDivisionError

    threads.fetch = lambda *_: ("", 0.001)
    with pytest.raises(ZeroDivisionError):
        threads.fetch_all(Broken())


def test_threads_record_one_at_a_time(threads: Any) -> None:
    client = threads
    inside = overlaps = counted = 0

    class Watching:
        """A tally that takes its time, and sees whether another thread comes in meanwhile."""

        def add(self, *_: object) -> None:
            """Count one answer."""
            nonlocal inside, overlaps, counted
            inside += 1
            overlaps += inside > 1
            time.sleep(0.002)  # let the others run
            counted += 1
            inside -= 1

    client.fetch = lambda *_: ("", 0.001)
    shares = [
        threading.Thread(target=client.fetch_share, args=(None, None, range(10), Watching()))
        for _ in range(8)
    ]
    with contextlib.ExitStack() as stack:
        for share in shares:
            share.start()
            stack.callback(share.join)
    assert (counted, overlaps) == (80, 0)
