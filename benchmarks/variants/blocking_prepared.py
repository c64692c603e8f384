"""The script, but each session prepares one request and changes only its URL."""

import sys
import time

import requests

import test_blocking as script


def fetch(session: requests.Session, request: requests.PreparedRequest, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    request.url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = session.send(request, timeout=script.TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    with requests.Session() as session:
        session.trust_env = False
        request = session.prepare_request(requests.Request("GET", script.BASE_URL))
        failure = fetch(session, request, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        for item_id in script.urls:
            start = time.perf_counter()
            failure = fetch(session, request, item_id)
            latency = time.perf_counter() - start
            tally.add(failure, latency)
