"""Another library: httpx2, one request after another."""

import sys
import time

import httpx2

import test_blocking as script


def new_client() -> httpx2.Client:
    """Return a client that ignores proxies in the environment."""
    return httpx2.Client(trust_env=False, timeout=script.TIMEOUT)


def fetch(session: httpx2.Client, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = session.get(url)  # by default it follows no redirect
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    with new_client() as session:
        failure = fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        for item_id in script.urls:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            tally.add(failure, latency)
