"""Async on two event loops, each in a thread of its own, with its own session and half the shares.

Without the GIL, the two loops can use two cores.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.scripts import Script

LOOPS = 2


class LockedTally:
    """Lets several threads count in the tally of the async script, which has no lock."""

    def __init__(self, tally: Any) -> None:
        """Count in this tally."""
        self.tally = tally
        self.lock = threading.Lock()

    def add(self, failure: str | None, latency: float) -> None:
        """Count one answer and its latency in seconds."""
        with self.lock:
            self.tally.add(failure, latency)


def fetch_all(script: Script, tally: Any) -> None:
    """Request all items, with CONCURRENCY tasks on all loops together."""
    shares = [script.urls[i :: script.CONCURRENCY] for i in range(script.CONCURRENCY)]
    locked = LockedTally(tally)

    async def fetch_part(part: Sequence[Sequence[int]]) -> None:
        async with script.new_session() as session:
            await asyncio.gather(*(script.fetch_share(session, share, locked) for share in part))

    with ThreadPoolExecutor(LOOPS) as pool:
        loops = [pool.submit(asyncio.run, fetch_part(shares[i::LOOPS])) for i in range(LOOPS)]
    for loop in loops:
        loop.result()  # raises what the thread raised
