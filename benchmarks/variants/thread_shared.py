"""The tutorial form: one Session for all threads, which looks at the environment."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

import test_thread as script


def fetch_one(session: requests.Session, item_id: int, tally: script.Tally) -> None:
    """Request one item and count the answer."""
    start = time.perf_counter()
    failure = script.fetch(session, item_id)
    latency = time.perf_counter() - start
    with tally.lock:
        tally.add(failure, latency)


def fetch_all(tally: script.Tally) -> None:
    """Request all items, with a job of the pool for each of them."""
    with requests.Session() as session:  # keeps ten connections, and closes the others
        failure = script.fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        with ThreadPoolExecutor(script.CONCURRENCY) as pool:
            jobs = [pool.submit(fetch_one, session, item_id, tally) for item_id in script.urls]
            for job in jobs:
                job.result()  # raises what the thread raised
