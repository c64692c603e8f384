"""Ask for every item with threads and requests: one request in flight on each thread.

$ python test_thread.py  # while `uvicorn main:app` runs in another terminal
threads (requests)  24,999 of 24,999 ok in 25.78 s  970 requests/s  p50 11.23 ms  p99 109.75 ms  CPU 94%
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from urllib.parse import urlsplit

from requests import PreparedRequest, Request, Session
from tqdm import tqdm

BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once
TIMEOUT = 10  # seconds
urls = range(1, 25000)
lock = threading.Lock()  # for the tally: neither a Counter nor tqdm is thread-safe


def fetch(session: Session, request: PreparedRequest, item_id: int) -> tuple[str, float]:
    """Ask for one item, past any proxy; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        request.url = f"{BASE_URL.rstrip('/')}/items/{item_id}"  # the rest was prepared once
        response = session.send(request, timeout=TIMEOUT, allow_redirects=False, proxies={})
        failure = check(response.status_code, response.content, item_id)
    except Exception as error:  # whatever the server did, the next request is sent
        failure = name(error)
    return failure, time.perf_counter() - start


def fetch_share(session: Session, request: PreparedRequest, share: range, tally: "Tally") -> None:
    """Ask for the items of one share, one after another."""
    for item_id in share:
        failure, latency = fetch(session, request, item_id)
        with lock:
            tally.add(failure, latency)


def fetch_all(tally: "Tally") -> None:
    """Ask for all items, with one thread for each request that may be in flight."""
    sessions = [Session() for _ in range(CONCURRENCY)]  # one each: it is not promised to be thread-safe
    requests = [Request("GET", "http://any", session.headers).prepare() for session in sessions]
    shares = [urls[i::CONCURRENCY] for i in range(CONCURRENCY)]
    tally.start_clock(*fetch(sessions[0], requests[0], 0))  # if a server is there
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        workers = [pool.submit(fetch_share, *job, tally) for job in zip(sessions, requests, shares)]
        while wait(workers, timeout=0.1).not_done:
            pass  # Windows heeds a Ctrl-C only between two waits
        [worker.result() for worker in workers]  # raises what a worker raised


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
        lock.acquire(timeout=1)  # for good, so that no thread changes what is reported
        elapsed, cpu = time.perf_counter() - self.start, time.process_time() - self.cpu_start
        with suppress(Exception):  # Ctrl-C may have come while it was being drawn
            self.bar.close()
        ok, total = self.answers.pop("", 0), len(urls)
        ranked = Counter(dict(sorted(self.latencies.items())))  # its elements() are in order
        p50, p99 = (next(islice(ranked.elements(), max(ok * p - 1, 0) // 100, None), 0) for p in (50, 99))
        text = f"threads (requests)  {ok:,} of {total:,} ok in {elapsed:.2f} s  {ok / elapsed:,.0f} "
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
    fetch_all(tally)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
