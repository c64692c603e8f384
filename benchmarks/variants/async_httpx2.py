"""Another library: httpx2, with asyncio."""

import asyncio
import sys
import time
from collections.abc import Sequence

import httpx2

import test_async as script


def new_client() -> httpx2.AsyncClient:
    """Return a client that ignores proxies in the environment."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(trust_env=False, timeout=script.TIMEOUT, limits=limits)


async def fetch(session: httpx2.AsyncClient, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = await session.get(url)  # by default it follows no redirect
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return script.describe(error)
    return script.check(response.status_code, response.content, item_id)


async def fetch_share(
    session: httpx2.AsyncClient, share: Sequence[int], tally: script.Tally
) -> None:
    """Request the items of one share, one after another."""
    for item_id in share:
        start = time.perf_counter()
        failure = await fetch(session, item_id)
        latency = time.perf_counter() - start
        tally.add(failure, latency)


async def fetch_all(tally: script.Tally) -> None:
    """Request all items, with CONCURRENCY tasks that each have a share of them."""
    async with new_client() as session:
        failure = await fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
        tasks = [asyncio.create_task(fetch_share(session, share, tally)) for share in shares]
        await asyncio.gather(*tasks)
