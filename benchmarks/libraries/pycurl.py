"""pycurl, whose work is done in C, for the blocking and the thread script."""

import io
from contextlib import closing

import pycurl

from harness.scripts import Script


def new_session(script: Script) -> closing[pycurl.Curl]:
    """Open a handle that ignores proxies in the environment; it keeps its connection."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.TIMEOUT_MS, int(1_000 * script.TIMEOUT))
    handle.setopt(pycurl.NOSIGNAL, 1)  # curl's time-outs by signal are not for threads
    return closing(handle)


def fetch(script: Script, session: pycurl.Curl, item_id: int) -> str | None:
    """Request one item; by default, curl follows no redirect."""
    body = io.BytesIO()
    session.setopt(pycurl.URL, script.item_url(item_id))
    session.setopt(pycurl.WRITEDATA, body)
    try:
        session.perform()
    except pycurl.error as error:
        return script.describe(error)
    return script.check(item_id, session.getinfo(pycurl.RESPONSE_CODE), body.getvalue())
