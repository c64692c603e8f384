"""Another library: urllib3, which requests is built on, one request after another."""

import sys
import time
from urllib.parse import urlsplit

import urllib3

import test_blocking as script


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


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    with new_pool() as session:
        failure = fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        for item_id in script.urls:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            tally.add(failure, latency)
