"""The blocking script over https, with a certificate that only this machine knows."""

import requests

from harness.scripts import Script


def new_session(script: Script) -> requests.Session:
    """Open a session that checks the certificate, as the README shows."""
    session: requests.Session = script.original.new_session()
    session.verify = script.CA or True
    return session
