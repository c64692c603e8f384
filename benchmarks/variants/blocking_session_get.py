"""The tutorial form: a Session that looks up proxies and .netrc for each request."""

import sys
import time

import requests

import test_blocking as script


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    with requests.Session() as session:
        failure = script.fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        for item_id in script.urls:
            start = time.perf_counter()
            failure = script.fetch(session, item_id)
            latency = time.perf_counter() - start
            tally.add(failure, latency)
