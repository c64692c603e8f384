"""Another library: pyreqwest, whose work is done in Rust, one request after another."""

import sys
import time
from datetime import timedelta

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

import test_blocking as script


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
