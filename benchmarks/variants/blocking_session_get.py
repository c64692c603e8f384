"""The tutorial form with a session: session.get, which prepares each request anew."""

import time

import requests
import test_blocking as client


def fetch(session: requests.Session, _: object, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        response = session.get(f"{client.BASE_URL}/items/{item_id}", timeout=client.TIMEOUT)
        failure = client.check(response.status_code, response.content, item_id)
    except Exception as error:
        failure = client.name(error)
    return failure, time.perf_counter() - start


client.fetch = fetch
