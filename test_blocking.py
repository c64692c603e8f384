# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "requests~=2.34",
#     "tqdm~=4.70",
# ]
# ///
"""Send all requests with requests, one after another, and print how long it takes.

Start the server in another terminal with `uvicorn main:app --no-access-log`. Then:

$ python test_blocking.py
blocking (requests): 24,999 of 24,999 ok in 9.13 s
  2,738 requests/s, p50 0.35 ms, p99 0.52 ms, max 4.67 ms, CPU 76%

The script takes no arguments. To change what it sends, edit the settings below its imports.
"""

import io
import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import requests
from tqdm import tqdm

NAME = "blocking (requests)"
BASE_URL = "http://127.0.0.1:8000"
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers


def new_session() -> requests.Session:
    """Open a session for all requests."""
    session = requests.Session()
    session.trust_env = False  # no look-up of proxies, .netrc, REQUESTS_CA_BUNDLE each time
    return session


def fetch(session: requests.Session, item_id: int) -> str | None:
    """Request one item; return None if the answer is right, and otherwise what went wrong."""
    try:
        response = session.get(item_url(item_id), timeout=TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:  # ValueError: a malformed header
        return describe(error)
    return check(item_id, response.status_code, response.content)


def fetch_all(tally: "Tally") -> None:
    """Request all items, one after another."""
    with new_session() as session:
        for item_id in urls:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            tally.add(failure, time.perf_counter() - start)


# The rest is the same in all three scripts, except for async and await, a lock and the end.


def item_url(item_id: int) -> str:
    """Return the address of an item."""
    return f"{BASE_URL}/items/{item_id}"


def check(item_id: int, status: int, body: bytes) -> str | None:
    """Return None if an answer is right, and otherwise what is wrong with it."""
    expected = b'{"item_id":%d}' % item_id
    if status != 200:
        return f"HTTP {status}"
    if body != expected:
        return "wrong answer"
    return None


def describe(error: BaseException) -> str:
    """Return the type of an error and the text of the one that led to it, on one line."""
    cause = error
    while cause.__context__:  # a library raises its own error after one of the system
        cause = cause.__context__
    text = f"{type(error).__name__}: {cause}"  # it may quote any character that a server sent
    words = "".join(char if char.isprintable() else " " for char in text).split()
    line = " ".join(words).removesuffix(":")
    return line if len(line) <= 100 else f"{line[:97]}..."


def probe() -> str | None:
    """Request the first item, before the clock starts; return what fetch returns."""
    with new_session() as session:
        return fetch(session, urls[0])


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the least value that so many percent of the ordered values are at or below."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


class Tally:
    """Counts the answers, shows the progress and reports."""

    def __init__(self) -> None:
        """Start the clock, with nothing counted."""
        self.latencies: list[float] = []  # of the ok answers, in seconds
        self.failures: Counter[str] = Counter()
        tqdm.set_lock(threading.RLock())  # its own lock is for processes too, and os._exit leaks it
        # No bar where stderr is no terminal (None) or closed, nor before there is something to show.
        disable = None if sys.stderr else True
        self.bar = tqdm(total=len(urls), unit="req", delay=0.1, disable=disable)
        self.start = time.perf_counter()
        self.cpu_start = time.process_time()

    def add(self, failure: str | None, latency: float) -> None:
        """Count one answer and its latency in seconds."""
        if failure is None:
            self.latencies.append(latency)
        else:
            self.failures[failure] += 1
            self.bar.set_postfix(failed=self.failures.total(), refresh=False)
        try:
            self.bar.update()
        except (OSError, ValueError):  # the terminal is gone: go on without a bar
            self.bar.disable = True

    def report(self) -> None:
        """Print the figures, and then a line for each kind of failure."""
        elapsed = time.perf_counter() - self.start
        cpu = time.process_time() - self.cpu_start
        self.bar.close()
        ordered = sorted(self.latencies)
        ok, total = len(ordered), len(urls)
        print(f"{NAME}: {ok:,} of {total:,} ok in {elapsed:.2f} s")
        if ok:
            p50, p99 = (1000 * percentile(ordered, percent) for percent in (50, 99))
            latency = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {1000 * ordered[-1]:.2f} ms"
            print(f"  {ok / elapsed:,.0f} requests/s, {latency}, CPU {cpu / elapsed:.0%}")
        for failure, count in self.failures.most_common():
            print(f"  {count:,} x {failure}")
        if not_answered := total - ok - self.failures.total():
            print(f"  {not_answered:,} x not answered")


def stop_with(report: Callable[[], None]) -> None:
    """Let Ctrl-C and SIGTERM end the script at once, with a last report."""

    def stop(*_: object) -> None:  # no exception: it could end in a library that holds a lock
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second signal must not cut the report
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            report()
        except OSError as error:  # stdout takes nothing
            print(error, file=sys.stderr)
        os._exit(130)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def main() -> int:
    """Request all items and report; return the exit code."""
    if len(sys.argv) > 1:
        print(__doc__)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    url = item_url(urls[0])
    stop_with(lambda: print(f"{url}: stopped before it answered", file=sys.stderr))
    if failure := probe():
        question = "Does the right server run there? To start this project's: uvicorn main:app"
        print(f"{url}: {failure}. {question}", file=sys.stderr)
        return 1
    tally = Tally()
    stop_with(tally.report)
    fetch_all(tally)
    tally.report()
    return 0 if len(tally.latencies) == len(urls) else 1


if __name__ == "__main__":
    sys.exit(main())
