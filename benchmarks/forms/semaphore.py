"""Async with a task for each request; a semaphore lets CONCURRENCY of them run at a time."""

import asyncio
from typing import Any

from harness.scripts import Script


async def fetch_all(script: Script, tally: Any) -> None:
    """Request all items, each as a share of its own."""
    semaphore = asyncio.Semaphore(script.CONCURRENCY)

    async def fetch_one(item_id: int) -> None:
        async with semaphore:
            await script.fetch_share(session, [item_id], tally)

    async with script.new_session() as session:
        tasks = [asyncio.create_task(fetch_one(item_id)) for item_id in script.urls]
        await asyncio.gather(*tasks)
