"""The tutorial form: a task for each request, all of them created at the start."""

import asyncio
import sys
import time

import aiohttp

import test_async as script


async def fetch_one(session: aiohttp.ClientSession, item_id: int, tally: script.Tally) -> None:
    """Request one item and count the answer."""
    start = time.perf_counter()
    failure = await script.fetch(session, item_id)
    latency = time.perf_counter() - start
    tally.add(failure, latency)


async def fetch_all(tally: script.Tally) -> None:
    """Request all items; aiohttp's default limit of 100 connections lets the tasks queue."""
    timeout = aiohttp.ClientTimeout(total=None)  # the time in the queue would count
    async with aiohttp.ClientSession(timeout=timeout) as session:
        failure = await script.fetch(session, 0)
        if failure:
            sys.exit(f"{script.BASE_URL}: {failure}")
        tally.start_clock()
        tasks = [asyncio.create_task(fetch_one(session, item_id, tally)) for item_id in script.urls]
        await asyncio.gather(*tasks)
