"""Another library: httpx2, with threads."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2

import test_thread as script


def new_client() -> httpx2.Client:
    """Return a client that ignores proxies in the environment."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.Client(trust_env=False, timeout=script.TIMEOUT, limits=limits)


def fetch(session: httpx2.Client, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = session.get(url)  # by default it follows no redirect
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


def fetch_share(session: httpx2.Client, share: Sequence[int], tally: script.Tally) -> None:
    """Request the items of one share, one after another."""
    for item_id in share:
        start = time.perf_counter()
        failure = fetch(session, item_id)
        latency = time.perf_counter() - start
        with tally.lock:
            tally.add(failure, latency)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, with CONCURRENCY threads that each have a share of them."""
    with new_client() as session:  # for all threads, as its documentation advises
        failure = fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
        with ThreadPoolExecutor(script.CONCURRENCY) as pool:
            workers = [pool.submit(fetch_share, session, share, tally) for share in shares]
            for worker in workers:
                worker.result()  # raises what the thread raised
