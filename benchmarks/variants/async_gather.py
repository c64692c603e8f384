"""The tutorial form: a task for each request, all created at once, and aiohttp's default limit."""

import asyncio

import test_async as client
from aiohttp import ClientSession, ClientTimeout


async def fetch_one(session: ClientSession, item_id: int, tally: client.Tally) -> None:
    """Ask for one item."""
    failure, latency = await client.fetch(session, item_id)
    tally.add(failure, latency)


async def fetch_all(tally: client.Tally) -> None:
    """Ask for all items at once; 100 connections serve them."""
    async with ClientSession(timeout=ClientTimeout(total=None)) as session:  # most of them queue
        tally.start_clock(*await client.fetch(session, 0))
        await asyncio.gather(*(fetch_one(session, item_id, tally) for item_id in client.urls))


client.fetch_all = fetch_all
