"""A common slip: a ClientSession, and so a connection, for each request."""

import ssl
from functools import cache
from typing import Any

import aiohttp

from harness.scripts import Script


@cache
def tls_settings(authority: str | None) -> ssl.SSLContext:
    """Read the certificates once, because that takes longer than a request."""
    return ssl.create_default_context(cafile=authority)


async def fetch(script: Script, session: Any, item_id: int) -> str | None:
    """Request one item in a session of its own."""
    connector = aiohttp.TCPConnector(ssl=tls_settings(script.CA))
    timeout = aiohttp.ClientTimeout(total=script.TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as own:
        result: str | None = await script.original.fetch(own, item_id)
        return result
