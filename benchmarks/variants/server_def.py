"""A `def` endpoint that blocks: FastAPI runs it in a thread of its pool."""

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
def read_item(item_id: int) -> Item:
    """Block one thread of the pool, and answer."""
    if LATENCY:
        time.sleep(LATENCY)
    return Item(item_id=item_id)
