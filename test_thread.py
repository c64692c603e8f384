"""Ask for every item with threads and requests: one request in flight on each thread.

Start the server with `uvicorn main:app`, then run this in another terminal:

    $ python test_thread.py
    threads (requests)  24,999 of 24,999 ok in 14.55 s  1,719 requests/s  p50 15.2 ms  p99 60.7 ms  client CPU 104%
"""

import json
import math
import os
import signal
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from requests import PreparedRequest, Request, Session
from tqdm import tqdm

BASE_URL = "http://127.0.0.1:8000"
CONCURRENCY = 32  # requests in flight at once
TIMEOUT = 10  # seconds
urls = range(1, 25000)

Record = Callable[[str | None, float], None]  # takes a failure or None, and a latency in seconds
lock = threading.Lock()  # for recording: neither a Counter nor tqdm is thread-safe


def open_session() -> Session:
    """Open a session: it keeps its connection open from one request to the next."""
    session = Session()
    session.trust_env = False  # no look-up of proxies and netrc, as in aiohttp
    return session


def check(status: int, body: bytes, item_id: int) -> str | None:
    """Return what is wrong with an answer, or None if it is the one asked for."""
    if status != 200:
        return f"HTTP {status}"
    try:  # compared as text, because 1 == 1.0 == True in Python
        right = str(json.loads(body)) == str({"item_id": item_id})
    except (ValueError, RecursionError):  # no JSON, or nested deeper than Python follows
        right = False
    return None if right else "wrong answer"


def name(error: Exception) -> str:
    """Return a short name for what kept an answer from coming."""
    if "Too many open files" in str(error):
        return "too many open files (raise ulimit -n)"
    return type(error).__name__


def fetch(session: Session, request: PreparedRequest, item_id: int, record: Record) -> None:
    """Ask for one item; record how that went and how long it took."""
    start = time.perf_counter()
    try:
        request.url = f"{BASE_URL}/items/{item_id}"
        response = session.send(request, timeout=TIMEOUT, allow_redirects=False)
        failure = check(response.status_code, response.content, item_id)
    except Exception as error:  # whatever the server did, the next request is sent
        failure = name(error)
    latency = time.perf_counter() - start
    with lock:
        record(failure, latency)


def fetch_share(share: Sequence[int], record: Record) -> None:
    """Ask for the items of one share, one after another."""
    with open_session() as session:  # its own, as a Session is not promised to be thread-safe
        # Prepared once for all items, because only the url changes from one to the next.
        request = session.prepare_request(Request("GET", BASE_URL))
        for item_id in share:
            fetch(session, request, item_id, record)


def fetch_all(record: Record) -> None:
    """Ask for all items, with one thread for each request that may be in flight."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        shares = [urls[i::CONCURRENCY] for i in range(CONCURRENCY)]
        workers = [pool.submit(fetch_share, share, record) for share in shares]
        while wait(workers, timeout=0.1).not_done:
            pass  # Windows heeds a Ctrl-C only between two waits
        for worker in workers:
            worker.result()  # raises what the worker raised


def server_answers() -> bool:
    """Send one request; if no answer comes, say on stderr what to do."""
    try:
        with open_session() as session:
            session.get(BASE_URL, timeout=TIMEOUT, allow_redirects=False, stream=True)
            return True
    except Exception as error:
        reason = f"No answer from {BASE_URL} ({name(error)})."
        print(reason, "Start the server in another terminal: uvicorn main:app", file=sys.stderr)
        return False


def report(
    label: str, failures: Counter[str], latencies: Sequence[float], elapsed: float, cpu: float
) -> None:
    """Print the figures on one line, and each kind of failure under it; times are in seconds."""
    ok, total = len(latencies), len(urls)
    # Rounded as printed and counted first: to sort them all as they are takes four times the memory.
    tenths = Counter(round(1000 * latency, 1) for latency in latencies)
    ordered = sorted(tenths.elements()) or [math.nan]
    p50, p99 = (ordered[math.ceil(len(ordered) * part) - 1] for part in (0.50, 0.99))
    print(
        f"{label}  {ok:,} of {total:,} ok in {elapsed:.2f} s  {ok / elapsed:,.0f} requests/s  "
        f"p50 {p50:.1f} ms  p99 {p99:.1f} ms  client CPU {cpu / elapsed:.0%}"
    )
    not_answered = Counter({"not answered": total - ok - failures.total()})
    for kind, count in (failures + not_answered).most_common():
        print(f"  {count:,} × {kind}")


def main() -> int:
    """Ask for all items and report; return the exit code."""
    failures: Counter[str] = Counter()
    latencies = array("d")  # seconds, of the requests that went well
    bar = tqdm(total=len(urls), unit="req", disable=None, delay=0.1)

    def record(failure: str | None, latency: float) -> None:
        if failure:
            failures[failure] += 1
        else:
            latencies.append(latency)
        bar.update()

    def finish() -> None:
        signal.signal(signal.SIGINT, lambda *_: None)  # one more would cut off the report
        lock.acquire()  # for good, so that no thread changes what is reported
        elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        bar.close()
        report("threads (requests)", failures, latencies, elapsed, cpu)

    def interrupt(*_: object) -> None:
        finish()
        sys.stdout.flush()
        os._exit(130)  # leave at once, without waiting for the requests in flight

    start, cpu_start = time.perf_counter(), time.process_time()  # in case of an early Ctrl-C
    signal.signal(signal.SIGINT, interrupt)
    if not server_answers():
        return 1
    start, cpu_start = time.perf_counter(), time.process_time()
    fetch_all(record)
    finish()
    return int(len(latencies) < len(urls))


if __name__ == "__main__":
    sys.exit(main())
