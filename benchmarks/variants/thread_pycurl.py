"""Another library: pycurl, whose work is done in C, with threads."""

import io
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pycurl

import test_thread as script


def new_handle() -> pycurl.Curl:
    """Return a handle that ignores proxies in the environment; it keeps its connection."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.TIMEOUT, script.TIMEOUT)
    handle.setopt(pycurl.NOSIGNAL, 1)  # curl's time-outs by signal are not for threads
    return handle


def fetch(session: pycurl.Curl, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    body = io.BytesIO()
    session.setopt(pycurl.URL, f"{script.BASE_URL}/items/{item_id}")
    session.setopt(pycurl.WRITEDATA, body)
    try:
        session.perform()
    except pycurl.error as error:
        return script.describe(error)
    return script.check(session.getinfo(pycurl.RESPONSE_CODE), body.getvalue(), item_id)


def fetch_share(share: Sequence[int], tally: script.Tally) -> None:
    """Request the items of one share, one after another, in a session of this thread's own."""
    with closing(new_handle()) as session:
        for item_id in share:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            with tally.lock:
                tally.add(failure, latency)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, with CONCURRENCY threads that each have a share of them."""
    with closing(new_handle()) as session:
        failure = fetch(session, 0)
    if failure:
        sys.exit(f"{script.BASE_URL}: {failure}")
    tally.start_clock()
    shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
    with ThreadPoolExecutor(script.CONCURRENCY) as pool:
        workers = [pool.submit(fetch_share, share, tally) for share in shares]
        for worker in workers:
            worker.result()  # raises what the thread raised
