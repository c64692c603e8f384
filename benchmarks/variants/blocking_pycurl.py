"""Another library: pycurl, whose work is done in C, one request after another."""

import io
import sys
import time
from contextlib import closing

import pycurl

import test_blocking as script


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


def fetch_all(tally: script.Tally) -> None:
    """Request all items, one after another."""
    with closing(new_handle()) as session:
        failure = fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        for item_id in script.urls:
            start = time.perf_counter()
            failure = fetch(session, item_id)
            latency = time.perf_counter() - start
            tally.add(failure, latency)
