"""An `async def` endpoint that awaits: the event loop serves other requests meanwhile."""

import asyncio
import os

from fastapi import FastAPI
from pydantic import BaseModel

LATENCY = int(os.environ.get("LATENCY_MS") or 0) / 1000  # seconds

app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})  # as main.py


class Item(BaseModel):
    """The item that was asked for."""

    item_id: int


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> Item:
    """Wait without keeping others from being served, and answer."""
    if LATENCY:
        await asyncio.sleep(LATENCY)
    return Item(item_id=item_id)
