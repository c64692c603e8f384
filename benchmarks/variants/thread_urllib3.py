"""Another library: urllib3, which requests is built on, with threads."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import urllib3

import test_thread as script


def new_pool() -> urllib3.HTTPConnectionPool:
    """Return a pool of one connection."""
    address = urlsplit(script.BASE_URL)
    host = address.hostname or ""  # the script has checked it
    return urllib3.HTTPConnectionPool(host, address.port, timeout=script.TIMEOUT)


def fetch(session: urllib3.HTTPConnectionPool, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    try:
        response = session.request("GET", f"/items/{item_id}", redirect=False, retries=False)
    except urllib3.exceptions.HTTPError as error:
        return script.describe(error)
    return script.check(response.status, response.data, item_id)


def fetch_share(share: Sequence[int], tally: script.Tally) -> None:
    """Request the items of one share, one after another, in a session of this thread's own."""
    with new_pool() as session:
        for item_id in share:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            with tally.lock:
                tally.add(failure, latency)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, with CONCURRENCY threads that each have a share of them."""
    with new_pool() as session:
        failure = fetch(session, 0)
    if failure:
        sys.exit(f"{script.BASE_URL}: {failure}")
    tally.start_clock()
    shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
    with ThreadPoolExecutor(script.CONCURRENCY) as pool:
        workers = [pool.submit(fetch_share, share, tally) for share in shares]
        for worker in workers:
            worker.result()  # raises what the thread raised
