"""session.get, but without looking for proxies and netrc in the environment each time."""

import blocking_session_get
import requests

client = blocking_session_get.client


class Session(requests.Session):
    """A Session that does not look into the environment."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False


client.Session = Session
