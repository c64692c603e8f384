"""requests, but each session prepares one request and changes only its URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import requests

from harness.scripts import Script


class Prepared(NamedTuple):
    """A session with its request."""

    session: requests.Session
    request: requests.PreparedRequest


@contextmanager
def new_session(script: Script) -> Iterator[Prepared]:
    """Open a session that ignores the environment, and prepare a request."""
    with requests.Session() as session:
        session.trust_env = False
        request = session.prepare_request(requests.Request("GET", script.BASE_URL))
        yield Prepared(session, request)


def fetch(script: Script, prepared: Prepared, item_id: int) -> str | None:
    """Request one item."""
    session, request = prepared
    request.url = script.item_url(item_id)
    try:
        response = session.send(request, timeout=script.TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return script.describe(error)
    return script.check(item_id, response.status_code, response.content)
