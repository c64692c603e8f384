"""Another library: pyreqwest, whose work is done in Rust, with asyncio."""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

import test_async as script


def new_client() -> Client:
    """Return a client that ignores proxies in the environment and follows no redirects."""
    builder = ClientBuilder().timeout(timedelta(seconds=script.TIMEOUT))
    return builder.no_proxy().follow_redirects(False).build()


async def fetch(session: Client, item_id: int) -> str:
    """Request one item; return "" if the answer is right, and otherwise what went wrong."""
    url = f"{script.BASE_URL}/items/{item_id}"
    try:
        response = await session.get(url).build().send()
        body = await response.bytes()
    except (PyreqwestError, ValueError) as error:
        return script.describe(error)
    return script.check(response.status, bytes(body), item_id)


async def fetch_share(session: Client, share: Sequence[int], tally: script.Tally) -> None:
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
