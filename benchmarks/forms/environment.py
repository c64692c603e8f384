"""The tutorial form: a Session that looks up proxies and .netrc for each request."""

import requests

from harness.scripts import Script


def new_session(script: Script) -> requests.Session:
    """Open a session as it is by default."""
    return requests.Session()
