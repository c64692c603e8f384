"""The tutorial form without a session: requests.get, which opens a connection for each request."""

import time

import requests
import test_blocking as client


def fetch(_: object, __: object, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        response = requests.get(f"{client.BASE_URL}/items/{item_id}", timeout=client.TIMEOUT)
        failure = client.check(response.status_code, response.content, item_id)
    except Exception as error:
        failure = client.name(error)
    return failure, time.perf_counter() - start


client.fetch = fetch
