# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "requests~=2.34",
#     "tqdm~=4.70",
# ]
# ///
"""Request every item with the requests library, one after another.

Start the server in another terminal with `uvicorn main:app --no-access-log`. Then:

$ python test_blocking.py
blocking (requests): 24,999 of 24,999 ok in 38.03 s
  657 requests/s, p50 1.42 ms, p99 3.93 ms, max 7.42 ms, CPU 72%

The script takes no arguments. To change what it sends, edit the settings below its imports.
"""

import http.client
import math
import signal
import sys
import textwrap
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence

import requests
from tqdm import tqdm

NAME = "blocking (requests)"
BASE_URL = "http://127.0.0.1:8000"
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers


def new_session() -> requests.Session:
    """Open a session for all requests."""
    session = requests.Session()
    session.trust_env = False  # do not look up proxies and .netrc for each request
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


# The rest is the same in all three scripts, except for asyncio.run, a lock and the end on Ctrl-C.


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
    """Return the type of an error and the text of the one that led to it.

    For example, "ConnectionError: [Errno 111] Connection refused".
    """
    cause = error
    while cause.__context__:  # a library raises its own error after one of the system
        cause = cause.__context__
    text = textwrap.shorten(f"{type(error).__name__}: {cause}", 100).removesuffix(":")
    return ascii(text)[1:-1]  # some texts quote what the server sent, which can be any character


def require_server() -> None:
    """Exit with a one-line message if the server does not answer the first item rightly."""
    url = item_url(urls[0])
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # without a proxy
    try:
        with direct.open(url, timeout=TIMEOUT) as response:
            failure = check(urls[0], response.status, response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        failure = describe(error)
    if failure:
        question = "Does this project's server run there? To start it: uvicorn main:app"
        sys.exit(f"{url}: {failure}. {question}")


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the lowest of the ordered values that this percentage of them do not exceed.

    >>> percentile([1.5, 1.7, 2.0, 9.0], 50)
    1.7
    """
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


class Tally:
    """Counts the answers, shows the progress and reports."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self.latencies: list[float] = []  # of the ok answers, in seconds
        self.failures = Counter[str]()
        # No bar where stderr is no terminal (None), nor before there is something to show (delay).
        self.bar = tqdm(total=len(urls), unit="req", delay=0.1, disable=None)
        self.start_clock()

    def start_clock(self) -> None:
        """Start measuring the elapsed time and the processor time."""
        self.start = time.perf_counter()
        self.cpu_start = time.process_time()

    def add(self, failure: str | None, latency: float) -> None:
        """Count one answer and its latency in seconds."""
        if failure is None:
            self.latencies.append(latency)
        else:
            self.failures[failure] += 1
            self.bar.set_postfix(failed=self.failures.total(), refresh=False)
        self.bar.update()

    def report(self) -> None:
        """Print the figures, and then a line for each kind of failure."""
        elapsed = time.perf_counter() - self.start
        cpu = time.process_time() - self.cpu_start
        self.bar.close()
        ordered = sorted(self.latencies)
        ok, total = len(ordered), len(urls)
        print(f"{NAME}: {ok:,} of {total:,} ok in {elapsed:.2f} s")
        if ok:
            print(
                f"  {ok / elapsed:,.0f} requests/s,"
                f" p50 {1000 * percentile(ordered, 50):.2f} ms,"
                f" p99 {1000 * percentile(ordered, 99):.2f} ms,"
                f" max {1000 * percentile(ordered, 100):.2f} ms,"
                f" CPU {cpu / elapsed:.0%}"
            )
        for failure, count in self.failures.most_common():
            print(f"  {count:,} x {failure}")
        not_answered = total - ok - self.failures.total()
        if not_answered:
            print(f"  {not_answered:,} x not answered")


def main() -> int:
    """Request all items and report; return the exit code."""
    if len(sys.argv) > 1:
        print(__doc__)
        return 2
    # SIGTERM does what Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    tally = Tally()
    try:
        require_server()
        tally.start_clock()  # again: what came before does not count
        fetch_all(tally)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the report
        tally.report()
        return 130
    tally.report()
    return 0 if len(tally.latencies) == len(urls) else 1


if __name__ == "__main__":
    sys.exit(main())
