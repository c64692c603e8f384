# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "aiohttp~=3.14",
#     "tqdm~=4.70",
# ]
# ///
"""Send all requests with asyncio and aiohttp, many at a time, and print how long it takes.

Start the server in another terminal with `uvicorn main:app --no-access-log`. Then:

$ python test_async.py
async (aiohttp): 24,999 of 24,999 ok in 1.42 s
  17,615 requests/s, p50 1.50 ms, p99 3.11 ms, max 7.29 ms, CPU 99%

The script takes no arguments. To change what it sends, edit the settings below its imports.
"""

import asyncio
import io
import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import aiohttp
from tqdm import tqdm

NAME = "async (aiohttp)"
BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers


def new_session() -> aiohttp.ClientSession:
    """Open a session for all tasks."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=0)  # CONCURRENCY is the only limit; the default is 100
    return aiohttp.ClientSession(timeout=timeout, connector=connector)


async def fetch(session: aiohttp.ClientSession, item_id: int) -> str | None:
    """Request one item; return None if the answer is right, and otherwise what went wrong."""
    try:
        async with session.get(item_url(item_id), allow_redirects=False) as response:
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return describe(error)
    return check(item_id, response.status, body)


async def fetch_share(session: aiohttp.ClientSession, share: Sequence[int], tally: "Tally") -> None:
    """Request the items of one share, one after another; each `await` lets other tasks run."""
    for item_id in share:
        start = time.perf_counter()
        failure = await fetch(session, item_id)
        tally.add(failure, time.perf_counter() - start)


async def fetch_all(tally: "Tally") -> None:
    """Request all items, with CONCURRENCY tasks that each have a share of them."""
    shares = [urls[i::CONCURRENCY] for i in range(CONCURRENCY)]
    async with new_session() as session:
        tasks = [asyncio.create_task(fetch_share(session, share, tally)) for share in shares]
        await asyncio.gather(*tasks)


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


async def probe() -> str | None:
    """Request the first item, before the clock starts; return what fetch returns."""
    async with new_session() as session:
        return await fetch(session, urls[0])


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
    if failure := asyncio.run(probe()):
        question = "Does the right server run there? To start this project's: uvicorn main:app"
        print(f"{url}: {failure}. {question}", file=sys.stderr)
        return 1
    tally = Tally()
    stop_with(tally.report)
    asyncio.run(fetch_all(tally))
    tally.report()
    return 0 if len(tally.latencies) == len(urls) else 1


if __name__ == "__main__":
    sys.exit(main())
