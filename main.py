"""The server: a small FastAPI app for the three clients to call.

Start it with `uvicorn main:app`. It listens at http://127.0.0.1:8000, and documents
itself at /docs. Add `--reload` while you edit it, and `--no-access-log` to measure.

Set LATENCY_MS in the environment to make each answer wait that many
milliseconds, as a slow network or database would. It is a whole number, because
uvicorn runs on uvloop where it can, and the timers of uvloop count whole milliseconds.
"""

import asyncio
import os
import random
import string
import sys

from fastapi import Depends, FastAPI
from pydantic import BaseModel


def read_latency() -> float:
    """Return the simulated latency in seconds; end the program if LATENCY_MS is not valid."""
    text = os.environ.get("LATENCY_MS") or "0"
    if not text.isdecimal():
        sys.exit(f"LATENCY_MS must be a whole number of milliseconds, 0 or more, not {text!r}")
    return int(text) / 1000


LATENCY = read_latency()


async def simulate_latency() -> None:
    """Hold the answer back; other requests are served meanwhile."""
    await asyncio.sleep(LATENCY)


class RandomData(BaseModel):
    """Five random lowercase ASCII letters."""

    data: str


class Item(BaseModel):
    """The item that was asked for."""

    item_id: int


app = FastAPI(
    title="Python concurrency: async, threads, blocking",
    description="A small server to call with asyncio, with threads and one request at a time.",
    version="1.0.0",
    # Checking for OpenTelemetry takes time on every request, and nothing here collects its data.
    telemetry={"tracing": False, "metrics": False, "logs": False},
    # Without a latency there is no dependency, because it would cost time on every request.
    dependencies=[Depends(simulate_latency)] if LATENCY else None,
)


@app.get("/")
async def read_root() -> RandomData:
    """Answer with five random letters, different each time."""
    return RandomData(data="".join(random.choices(string.ascii_lowercase, k=5)))


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> Item:
    """Answer with the id that was asked for."""
    return Item(item_id=item_id)
