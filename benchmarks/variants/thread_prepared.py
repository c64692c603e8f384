"""The script, but each session prepares one request and changes only its URL."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

import test_thread as script


def fetch(session: requests.Session, request: requests.PreparedRequest, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    request.url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = session.send(request, timeout=script.TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


def fetch_share(share: Sequence[int], tally: script.Tally) -> None:
    """Request the items of one share, one after another, in a session of this thread's own."""
    with requests.Session() as session:
        session.trust_env = False
        request = session.prepare_request(requests.Request("GET", script.BASE_URL))
        for item_id in share:
            start = time.perf_counter()
            failure = fetch(session, request, item_id)
            latency = time.perf_counter() - start
            with tally.lock:
                tally.add(failure, latency)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, with CONCURRENCY threads that each have a share of them."""
    with requests.Session() as session:
        session.trust_env = False
        request = session.prepare_request(requests.Request("GET", script.BASE_URL))
        failure = fetch(session, request, 0)
    if failure:
        sys.exit(f"{script.BASE_URL}: {failure}")
    tally.start_clock()
    shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
    with ThreadPoolExecutor(script.CONCURRENCY) as pool:
        workers = [pool.submit(fetch_share, share, tally) for share in shares]
        for worker in workers:
            worker.result()  # raises what the thread raised
