"""Ask for every item with asyncio and aiohttp: many requests in flight, on one thread.

$ python test_async.py  # while `uvicorn main:app` runs in another terminal
async (aiohttp)  24,999 of 24,999 ok in 6.92 s  3,610 requests/s  p50 8.28 ms  p99 18.78 ms  CPU 92%
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import islice
from urllib.parse import urlsplit

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from tqdm import tqdm

BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once
TIMEOUT = 10  # seconds
urls = range(1, 25000)


async def fetch(session: ClientSession, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        url = f"{BASE_URL.rstrip('/')}/items/{item_id}"
        async with session.get(url, allow_redirects=False) as response:
            failure = check(response.status, await response.read(), item_id)
    except Exception as error:  # whatever the server did, the next request is sent
        failure = name(error)
    return failure, time.perf_counter() - start


async def fetch_share(session: ClientSession, share: range, tally: "Tally") -> None:
    """Ask for the items of one share, one after another; each await lets other tasks run."""
    for item_id in share:
        failure, latency = await fetch(session, item_id)
        tally.add(failure, latency)


async def fetch_all(tally: "Tally") -> None:
    """Ask for all items, with one task for each request that may be in flight."""
    connector = TCPConnector(limit=0)  # the tasks are the limit, not its default of 100
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=TIMEOUT)) as session:
        tally.start_clock(*await fetch(session, 0))  # if a server is there
        shares = [urls[i::CONCURRENCY] for i in range(CONCURRENCY)]
        tasks = [asyncio.create_task(fetch_share(session, share, tally)) for share in shares]
        await asyncio.gather(*tasks)


# From here on, all three scripts are the same: they check, count, time and report.
def check(status: int, body: bytes, item_id: int) -> str:
    """Return what is wrong with an answer: nothing, if it is the one asked for."""
    with suppress(ValueError, RecursionError):  # no JSON, or nested deeper than Python follows
        if status == 200 and repr(json.loads(body)) == repr({"item_id": item_id}):  # as 1 == 1.0 == True
            return ""
    return "wrong answer" if status == 200 else f"HTTP {status}"


def name(error: Exception) -> str:
    """Return a short name for what kept an answer from coming."""
    return "too many open files (raise ulimit -n)" if "Too many open" in str(error) else type(error).__name__


class Tally:
    """Counts the answers and their latencies in seconds, shows the progress, and reports."""

    def __init__(self) -> None:
        self.answers, self.latencies = Counter[str](), Counter[int]()
        self.bar = tqdm(total=len(urls), unit="req", delay=0.1, disable=not sys.stderr or None)
        self.start, self.cpu_start = time.perf_counter(), time.process_time()

    def start_clock(self, failure: str, _: float) -> None:
        """Start to measure; but if the request before failed, say what to do and leave."""
        if failure.startswith(("HTTP", "wrong")):
            sys.exit(f"{BASE_URL} answers, but not as this project's server: {failure}")
        if "URL" in failure.upper() or "Schema" in failure:
            sys.exit(f"BASE_URL must be an http:// address, not {BASE_URL} ({failure})")
        if failure:
            start = f"start the server with uvicorn main:app --port {urlsplit(BASE_URL).port or 80}"
            hint = "the server is too slow, or hangs" if "Timeout" in failure else start
            sys.exit(f"No answer from {BASE_URL} ({failure}): {hint}")
        self.start, self.cpu_start = time.perf_counter(), time.process_time()

    def add(self, failure: str, latency: float) -> None:
        self.answers[failure] += 1  # "" for an ok one
        if not failure:
            self.latencies[round(latency * 100_000)] += 1  # in hundredths of a millisecond
        self.bar.update()

    def report(self, rest: str = "not answered") -> int:
        """Print the figures, and under them each kind of failure; return the exit code."""
        signal.signal(signal.SIGINT, lambda *_: None)  # one more would cut off the report
        elapsed, cpu = time.perf_counter() - self.start, time.process_time() - self.cpu_start
        with suppress(Exception):  # Ctrl-C may have come while it was being drawn
            self.bar.close()
        ok, total = self.answers.pop("", 0), len(urls)
        ranked = Counter(dict(sorted(self.latencies.items())))  # its elements() are in order
        p50, p99 = (next(islice(ranked.elements(), max(ok * p - 1, 0) // 100, None), 0) for p in (50, 99))
        text = f"async (aiohttp)  {ok:,} of {total:,} ok in {elapsed:.2f} s  {ok / elapsed:,.0f} "
        text += f"requests/s  p50 {p50 / 100:.2f} ms  p99 {p99 / 100:.2f} ms  CPU {cpu / elapsed:.0%}"
        self.answers[rest] += total - ok - self.answers.total()
        text += "".join(f"\n  {count:,} × {kind}" for kind, count in (+self.answers).most_common())
        with suppress(AttributeError, OSError):  # stdout may be closed, full or gone, or have no ×
            print(text.encode(to := sys.stdout.encoding, "replace").decode(to).replace("?", "x"), flush=True)
            return int(ok < total)
        sys.stdout = sys.stderr  # or Python would try once more at its end, and complain
        sys.exit(f"The report could not be written to stdout:\n{text}")

    def interrupt(self, *_: object) -> None:
        with suppress(BaseException):  # leave, whatever becomes of the report
            self.report()
        os._exit(130)  # at once, without waiting for the requests in flight


def main() -> int:
    """Ask for all items and report; return the exit code."""
    if CONCURRENCY <= 0 or TIMEOUT <= 0:
        print(f"CONCURRENCY ({CONCURRENCY}) and TIMEOUT ({TIMEOUT}) must be more than 0.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, (tally := Tally()).interrupt)
    sys.excepthook = lambda *error: tally.report(str(error[1]))  # such as "can't start new thread"
    asyncio.run(fetch_all(tally))
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
