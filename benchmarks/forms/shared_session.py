"""The tutorial form of threads: one Session for all, and a job of the pool for each request."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from harness.scripts import Script


def fetch_all(script: Script, tally: Any) -> None:
    """Request all items over a Session that keeps ten connections and reads the environment."""

    def fetch_one(item_id: int) -> None:
        start = time.perf_counter()
        failure = script.fetch(session, item_id)
        tally.add(failure, time.perf_counter() - start)

    with requests.Session() as session, ThreadPoolExecutor(script.CONCURRENCY) as pool:
        for job in [pool.submit(fetch_one, item_id) for item_id in script.urls]:
            job.result()  # raises what the thread raised
