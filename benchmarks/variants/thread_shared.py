"""The tutorial form: one Session for all threads, of ten connections, and session.get."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests
import test_thread as client


def fetch(session: requests.Session, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        response = session.get(f"{client.BASE_URL}/items/{item_id}", timeout=client.TIMEOUT)
        failure = client.check(response.status_code, response.content, item_id)
    except Exception as error:
        failure = client.name(error)
    return failure, time.perf_counter() - start


def fetch_one(session: requests.Session, item_id: int, tally: client.Tally) -> None:
    """Ask for one item, and count it."""
    failure, latency = client.fetch(session, item_id)
    with client.lock:
        tally.add(failure, latency)


def fetch_all(tally: client.Tally) -> None:
    """Ask for all items, with a job for each."""
    with requests.Session() as session, ThreadPoolExecutor(client.CONCURRENCY) as pool:
        tally.start_clock(*client.fetch(session, 0))
        for item_id in client.urls:
            pool.submit(fetch_one, session, item_id, tally)


client.fetch = fetch
client.fetch_all = fetch_all
