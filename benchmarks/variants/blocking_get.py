"""The tutorial form without a session: `requests.get` opens a connection for each request."""

import sys
import time

import requests

import test_blocking as script


def fetch(item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = requests.get(url, timeout=script.TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    failure = fetch(0)
    if failure:
        sys.exit(f"{script.BASE_URL}: {failure}")
    tally.start_clock()
    for item_id in script.urls:
        start = time.perf_counter()
        failure = fetch(item_id)
        latency = time.perf_counter() - start
        tally.add(failure, latency)
