"""The async script over https, with a certificate that only this machine knows."""

import ssl

import aiohttp

from harness.scripts import Script


def new_session(script: Script) -> aiohttp.ClientSession:
    """Open a session that checks the certificate, as the README shows."""
    timeout = aiohttp.ClientTimeout(total=script.TIMEOUT)
    tls = ssl.create_default_context(cafile=script.CA)
    connector = aiohttp.TCPConnector(limit=0, ssl=tls)
    return aiohttp.ClientSession(timeout=timeout, connector=connector)
