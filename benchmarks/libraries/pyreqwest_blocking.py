"""pyreqwest, whose work is done in Rust, for the blocking and the thread script."""

from contextlib import nullcontext
from datetime import timedelta
from functools import cache

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from harness.scripts import Script


@cache
def shared_client(timeout_s: float) -> SyncClient:
    """Open the client of all threads; it ignores proxies and follows no redirect."""
    builder = SyncClientBuilder().timeout(timedelta(seconds=timeout_s))
    return builder.no_proxy().follow_redirects(False).build()


def new_session(script: Script) -> nullcontext[SyncClient]:
    """Give the shared client, because opening one for each thread would take longer than a run."""
    return nullcontext(shared_client(script.TIMEOUT))


def fetch(script: Script, session: SyncClient, item_id: int) -> str | None:
    """Request one item."""
    try:
        response = session.get(script.item_url(item_id)).build().send()
        body = response.bytes()
    except (PyreqwestError, ValueError) as error:
        return script.describe(error)
    return script.check(item_id, response.status, bytes(body))
