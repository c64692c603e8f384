"""httpx2, the successor of httpx, for the async script."""

import httpx2

from harness.scripts import Script


def new_session(script: Script) -> httpx2.AsyncClient:
    """Open a client that ignores the environment and has no limit but CONCURRENCY."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(timeout=script.TIMEOUT, trust_env=False, limits=limits)


async def fetch(script: Script, session: httpx2.AsyncClient, item_id: int) -> str | None:
    """Request one item; by default, httpx2 follows no redirect."""
    try:
        response = await session.get(script.item_url(item_id))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return script.describe(error)
    return script.check(item_id, response.status_code, response.content)
