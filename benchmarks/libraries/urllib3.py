"""urllib3, which requests is built on, for the blocking and the thread script."""

import urllib3

from harness.scripts import Script


def new_session(script: Script) -> urllib3.PoolManager:
    """Open a pool that keeps its connection; urllib3 ignores the environment."""
    return urllib3.PoolManager(timeout=script.TIMEOUT)


def fetch(script: Script, session: urllib3.PoolManager, item_id: int) -> str | None:
    """Request one item."""
    url = script.item_url(item_id)
    try:
        response = session.request("GET", url, retries=False)  # nor redirects
    except urllib3.exceptions.HTTPError as error:
        return script.describe(error)
    return script.check(item_id, response.status, response.data)
