"""Another library: one httpx Client instead of a requests Session."""

import time

import test_blocking as client
from httpx import Client


class Session(Client):
    """A Client as a script makes its Session: without arguments."""

    def __init__(self) -> None:
        super().__init__(trust_env=False, timeout=client.TIMEOUT)


def fetch(session: Client, _: object, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        response = session.get(f"{client.BASE_URL}/items/{item_id}")
        failure = client.check(response.status_code, response.content, item_id)
    except Exception as error:
        failure = client.name(error)
    return failure, time.perf_counter() - start


client.Session = Session
client.fetch = fetch
