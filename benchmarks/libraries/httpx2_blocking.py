"""httpx2, the successor of httpx, for the blocking and the thread script."""

import httpx2

from harness.scripts import Script

TLS = httpx2.create_ssl_context()  # made once, because it takes longer than a hundred requests


def new_session(script: Script) -> httpx2.Client:
    """Open a client that ignores the environment."""
    return httpx2.Client(timeout=script.TIMEOUT, trust_env=False, verify=TLS)


def fetch(script: Script, session: httpx2.Client, item_id: int) -> str | None:
    """Request one item; by default, httpx2 follows no redirect."""
    try:
        response = session.get(script.item_url(item_id))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return script.describe(error)
    return script.check(item_id, response.status_code, response.content)
