"""Another event loop: uvloop's instead of asyncio's own (not on Windows)."""

import asyncio

import test_async as client  # noqa: F401
import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
