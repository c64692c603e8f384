"""A task for each request, all created at once, but only CONCURRENCY of them get on."""

import asyncio

import test_async as client
from aiohttp import ClientSession, ClientTimeout, TCPConnector


async def fetch_one(
    session: ClientSession, free: asyncio.Semaphore, item_id: int, tally: client.Tally
) -> None:
    """Ask for one item, as soon as it is its turn."""
    async with free:
        failure, latency = await client.fetch(session, item_id)
    tally.add(failure, latency)


async def fetch_all(tally: client.Tally) -> None:
    """Ask for all items, with a task for each."""
    connector = TCPConnector(limit=0)
    timeout = ClientTimeout(total=client.TIMEOUT)
    async with ClientSession(connector=connector, timeout=timeout) as session:
        tally.start_clock(*await client.fetch(session, 0))
        free = asyncio.Semaphore(client.CONCURRENCY)
        await asyncio.gather(*(fetch_one(session, free, item_id, tally) for item_id in client.urls))


client.fetch_all = fetch_all
