"""The tutorial form of async: a task for each request, all of them created at the start."""

import asyncio
from typing import Any

import aiohttp

from harness.scripts import Script


def new_session(script: Script) -> aiohttp.ClientSession:
    """Open a session as it is by default: with 100 connections, for which the tasks queue."""
    timeout = aiohttp.ClientTimeout(total=None)  # it would include the time in the queue
    return aiohttp.ClientSession(timeout=timeout)


async def fetch_all(script: Script, tally: Any) -> None:
    """Request all items, each as a share of its own."""
    async with script.new_session() as session:
        tasks = [
            asyncio.create_task(script.fetch_share(session, [item_id], tally))
            for item_id in script.urls
        ]
        await asyncio.gather(*tasks)
