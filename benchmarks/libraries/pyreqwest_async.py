"""pyreqwest, whose work is done in Rust, for the async script."""

from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from harness.scripts import Script


def new_session(script: Script) -> Client:
    """Open a client that ignores proxies in the environment and follows no redirect."""
    builder = ClientBuilder().timeout(timedelta(seconds=script.TIMEOUT))
    return builder.no_proxy().follow_redirects(False).build()


async def fetch(script: Script, session: Client, item_id: int) -> str | None:
    """Request one item."""
    try:
        response = await session.get(script.item_url(item_id)).build().send()
        body = await response.bytes()
    except (PyreqwestError, ValueError) as error:
        return script.describe(error)
    return script.check(item_id, response.status, bytes(body))
