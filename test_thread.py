# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "requests~=2.34",
#     "tqdm~=4.70",
# ]
# ///
"""Request every item with threads and the requests library, many at a time.

Start the server in another terminal with `uvicorn main:app --no-access-log`. Then:

$ python test_thread.py
threads (requests): 24,999 of 24,999 ok in 18.71 s
  1,336 requests/s, p50 20.45 ms, p99 70.78 ms, max 159.59 ms, CPU 103%

This is no faster than one after another: the library does its work in Python, which only one thread
at a time can run. Threads gain when they wait. Start the server with LATENCY_MS=20 to see it.
"""

import contextlib
import json
import math
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from types import FrameType
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once
TIMEOUT = 10  # seconds
urls = range(1, 25000)  # item ids: a range, list or tuple of whole numbers


def new_session() -> requests.Session:
    """Return a session that does not look up proxies and .netrc for each request."""
    session = requests.Session()
    session.trust_env = False
    return session


def fetch(session: requests.Session, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{BASE_URL}/items/{item_id}"
    try:
        response = session.get(url, timeout=TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:  # ValueError: a malformed header
        return describe(error)
    return check(response.status_code, response.content, item_id)


def fetch_share(share: Sequence[int], tally: "Tally") -> None:
    """Request the items of one share, one after another, in a session of this thread's own."""
    with new_session() as session:  # requests does not promise that threads can share one
        for item_id in share:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            with tally.lock:
                tally.add(failure, latency)


def fetch_all(tally: "Tally") -> None:
    """Request all items, with CONCURRENCY threads that each have a share of them."""
    with new_session() as session:
        failure = fetch(session, 0)  # before the clock starts: is this the right server?
    if failure:
        sys.exit(f"{BASE_URL}/items/0 does not answer as this project's server does: {failure}")
    tally.start_clock()
    shares = [urls[i::CONCURRENCY] for i in range(CONCURRENCY)]
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        running = {pool.submit(fetch_share, share, tally) for share in shares}
        while running:
            # On Windows, a Ctrl-C takes effect only between two waits.
            done, running = wait(running, timeout=0.1)
            for worker in done:
                worker.result()  # raises what the thread raised


# The rest is the same in all three scripts, except the label, CONCURRENCY, asyncio.run and a lock.


def check(status: int, body: bytes, item_id: int) -> str:
    """Return "" if an answer is right, and otherwise what is wrong with it."""
    if status != 200:
        return f"HTTP {status}"
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # not JSON, or nested too deeply to read
        return "wrong answer"
    if repr(answer) != repr({"item_id": item_id}):  # not ==, because 1 == 1.0 == True
        return "wrong answer"
    return ""


def describe(error: BaseException) -> str:
    """Name an error and its cause, such as "ConnectionError: Connection refused"."""
    name = type(error).__name__
    cause = root_cause(error)
    if not isinstance(cause, OSError):
        return name
    # asyncio puts a text of its own into strerror, so ask the system what the number means.
    # A gaierror has numbers of its own, which the system does not know.
    if cause.errno and not isinstance(cause, socket.gaierror):
        text = os.strerror(cause.errno)
    else:
        text = cause.strerror or str(cause)
    return f"{name}: {text}" if text else name


def root_cause(error: BaseException) -> BaseException:
    """Return the error that led to this one; a library raises its own after one of the system."""
    cause = error.__cause__ or error.__context__
    return root_cause(cause) if cause else error


def percentile(latencies: Counter[int], percent: int) -> float:
    """Return the latency in ms that this percentage of the answers did not exceed.

    >>> percentile(Counter({100: 98, 250: 1, 9000: 1}), 99)  # in hundredths of a millisecond
    2.5
    """
    rank = math.ceil(latencies.total() * percent / 100)
    for latency in sorted(latencies):
        rank -= latencies[latency]
        if rank <= 0:
            return latency / 100
    return 0.0


class Tally:
    """Counts the answers, shows the progress and reports."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self.ok = 0
        self.failures = Counter[str]()
        # Of the ok answers, in hundredths of a millisecond: counted, so that memory does not grow.
        self.latencies = Counter[int]()
        on_terminal = sys.stderr is not None and sys.stderr.isatty()  # None if it was closed
        self.bar = tqdm(total=len(urls), unit="req", delay=0.1, disable=not on_terminal)
        self.stopped = False
        # Whoever calls `add` holds this lock, because neither a Counter nor tqdm is thread-safe.
        self.lock = threading.Lock()
        self.start_clock()  # a Ctrl-C before the first answer reports, too

    def start_clock(self) -> None:
        """Start measuring the elapsed time and the processor time."""
        self.start = time.perf_counter()
        self.cpu_start = time.process_time()

    def add(self, failure: str, latency: float) -> None:
        """Count one answer and its latency in seconds."""
        if failure:
            self.failures[failure] += 1
        else:
            self.ok += 1
            self.latencies[round(latency * 100_000)] += 1
        self.bar.update()

    def stop_clock(self) -> None:
        """Record the elapsed time and the processor time; `leave` ignores a signal from now on."""
        self.stopped = True
        self.elapsed = time.perf_counter() - self.start
        self.cpu = time.process_time() - self.cpu_start

    def report(self) -> None:
        """Print the figures, and then a line for each kind of failure."""
        self.bar.close()
        total = len(urls)
        print(f"threads (requests): {self.ok:,} of {total:,} ok in {self.elapsed:.2f} s")
        print(
            f"  {self.ok / self.elapsed:,.0f} requests/s,"
            f" p50 {percentile(self.latencies, 50):.2f} ms,"
            f" p99 {percentile(self.latencies, 99):.2f} ms,"
            f" max {percentile(self.latencies, 100):.2f} ms,"
            f" CPU {self.cpu / self.elapsed:.0%}"
        )
        for failure, count in self.failures.most_common():
            print(f"  {count:,} x {failure}")
        not_answered = total - self.ok - self.failures.total()
        if not_answered:
            print(f"  {not_answered:,} x not answered")

    def leave(self, signal_number: int, frame: FrameType | None) -> None:
        """Report and end the script, without waiting for the requests in flight."""
        if self.stopped:
            return  # the report is being printed
        self.stop_clock()
        try:
            with self.lock:  # only the other threads call `add`, so this one can wait for them
                with contextlib.suppress(RuntimeError):  # the signal interrupted its drawing
                    self.bar.close()
                self.report()
            sys.stdout.flush()
        finally:
            os._exit(128 + signal_number)  # even if the report could not be printed


def settings_error() -> str:
    """Return "" if the settings are valid, and otherwise what is wrong with them."""
    if not isinstance(CONCURRENCY, int) or CONCURRENCY < 1:
        return f"CONCURRENCY must be a whole number of 1 or more, not {CONCURRENCY!r}"
    if TIMEOUT <= 0:
        return f"TIMEOUT must be more than 0 seconds, not {TIMEOUT!r}"
    if not BASE_URL.startswith("http://") or not urlsplit(BASE_URL).hostname:
        return f"BASE_URL must be an http address like http://127.0.0.1:8000, not {BASE_URL!r}"
    return ""


def require_server() -> None:
    """End the script with one line if no server can be reached at BASE_URL."""
    address = urlsplit(BASE_URL)
    host, port = address.hostname, address.port or 80
    try:
        socket.create_connection((host, port), timeout=TIMEOUT).close()
    except ConnectionRefusedError:
        command = f"uvicorn main:app --host {host} --port {port}"
        sys.exit(f"No server listens at {BASE_URL}. Start it in another terminal: {command}")
    except TimeoutError:
        sys.exit(f"{BASE_URL} does not accept a connection within {TIMEOUT} s")
    except OSError as error:
        sys.exit(f"{BASE_URL} cannot be reached: {describe(error)}")


def main() -> int:
    """Request all items and report; return the exit code."""
    error = settings_error()
    if error:
        print(error, file=sys.stderr)
        return 2
    tally = Tally()
    signal.signal(signal.SIGINT, tally.leave)
    signal.signal(signal.SIGTERM, tally.leave)
    require_server()
    fetch_all(tally)
    tally.stop_clock()
    tally.report()
    return 0 if tally.ok == len(urls) else 1


if __name__ == "__main__":
    sys.exit(main())
