"""Another library: pyreqwest, whose work is done in Rust, with threads."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

import test_thread as script


def new_client() -> SyncClient:
    """Return a client that ignores proxies in the environment and follows no redirects."""
    builder = SyncClientBuilder().timeout(timedelta(seconds=script.TIMEOUT))
    return builder.no_proxy().follow_redirects(False).build()


def fetch(session: SyncClient, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = session.get(url).build().send()
        body = response.bytes()
    except (PyreqwestError, ValueError) as error:
        return script.describe(error)
    return script.check(response.status, bytes(body), item_id)


def fetch_share(session: SyncClient, share: Sequence[int], tally: script.Tally) -> None:
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
