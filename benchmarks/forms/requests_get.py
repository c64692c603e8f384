"""The tutorial form: `requests.get`, which opens a session and a connection for each request."""

import requests

from harness.scripts import Script


def fetch(script: Script, session: requests.Session, item_id: int) -> str | None:
    """Request one item, without the session."""
    try:
        response = requests.get(
            script.item_url(item_id),
            timeout=script.TIMEOUT,
            allow_redirects=False,
            verify=script.CA or True,
        )
    except (requests.RequestException, ValueError) as error:
        return script.describe(error)
    return script.check(item_id, response.status_code, response.content)
