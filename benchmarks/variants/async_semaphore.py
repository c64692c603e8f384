"""A task for each request, of which a semaphore lets CONCURRENCY send theirs."""

import asyncio
import sys
import time

import aiohttp

import test_async as script


async def fetch_one(
    session: aiohttp.ClientSession,
    semaphore: asyncio.Semaphore,
    item_id: int,
    tally: script.Tally,
) -> None:
    """Request one item as soon as the semaphore allows it, and count the answer."""
    async with semaphore:
        start = time.perf_counter()
        failure = await script.fetch(session, item_id)
        latency = time.perf_counter() - start
    tally.add(failure, latency)


async def fetch_all(tally: script.Tally) -> None:
    """Request all items, with a task for each of them."""
    timeout = aiohttp.ClientTimeout(total=script.TIMEOUT)
    connector = aiohttp.TCPConnector(limit=0)  # the semaphore is the limit
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        failure = await script.fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        semaphore = asyncio.Semaphore(script.CONCURRENCY)
        tasks = [
            asyncio.create_task(fetch_one(session, semaphore, item_id, tally))
            for item_id in script.urls
        ]
        await asyncio.gather(*tasks)
