"""Another library: httpx's AsyncClient instead of aiohttp."""

import asyncio
import time

import test_async as client
from httpx import AsyncClient, Limits


async def fetch(session: AsyncClient, item_id: int) -> tuple[str, float]:
    """Ask for one item; return what failed, if anything, and the latency in seconds."""
    start = time.perf_counter()
    try:
        response = await session.get(f"{client.BASE_URL}/items/{item_id}")
        failure = client.check(response.status_code, response.content, item_id)
    except Exception as error:
        failure = client.name(error)
    return failure, time.perf_counter() - start


async def fetch_share(session: AsyncClient, share: range, tally: client.Tally) -> None:
    """Ask for the items of one share, one after another."""
    for item_id in share:
        failure, latency = await client.fetch(session, item_id)
        tally.add(failure, latency)


async def fetch_all(tally: client.Tally) -> None:
    """Ask for all items, with one task for each request that may be in flight."""
    limits = Limits(max_connections=None, max_keepalive_connections=None)
    async with AsyncClient(trust_env=False, timeout=client.TIMEOUT, limits=limits) as session:
        tally.start_clock(*await client.fetch(session, 0))
        shares = [client.urls[i :: client.CONCURRENCY] for i in range(client.CONCURRENCY)]
        tasks = [asyncio.create_task(fetch_share(session, share, tally)) for share in shares]
        await asyncio.gather(*tasks)


client.fetch = fetch
client.fetch_all = fetch_all
