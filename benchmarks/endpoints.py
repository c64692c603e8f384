"""FastAPI's three ways to write an endpoint that waits, for the study `endpoint`."""

import asyncio
import time

from fastapi import FastAPI

from main import LATENCY, Item

app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})  # as in main.py


@app.get("/await/items/{item_id}")
async def awaits(item_id: int) -> Item:
    """Wait on the event loop, which serves other requests meanwhile."""
    if LATENCY:
        await asyncio.sleep(LATENCY)
    return Item(item_id=item_id)


@app.get("/def/items/{item_id}")
def blocks_a_thread(item_id: int) -> Item:
    """Block a thread of FastAPI's pool."""
    if LATENCY:
        time.sleep(LATENCY)
    return Item(item_id=item_id)


@app.get("/blocked/items/{item_id}")
async def blocks_the_loop(item_id: int) -> Item:
    """Block the event loop, which serves nobody meanwhile."""
    if LATENCY:
        time.sleep(LATENCY)  # noqa: ASYNC251  the mistake that is measured
    return Item(item_id=item_id)
