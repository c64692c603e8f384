"""An `async def` endpoint that blocks: the event loop serves nobody meanwhile."""

import os
import time

from fastapi import FastAPI
from pydantic import BaseModel

LATENCY = int(os.environ.get("LATENCY_MS") or 0) / 1000  # seconds

app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})  # as main.py


class Item(BaseModel):
    """The item that was asked for."""

    item_id: int


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> Item:
    """Block the event loop, and answer."""
    if LATENCY:
        time.sleep(LATENCY)  # noqa: ASYNC251  the mistake that is measured
    return Item(item_id=item_id)
