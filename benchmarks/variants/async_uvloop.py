"""Another event loop: uvloop's instead of asyncio's own (not on Windows)."""

import asyncio

import test_async as client
import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
