"""The async script on uvloop, another event loop than asyncio's own; not on Windows."""

from typing import Any

import uvloop

from harness.scripts import Script


def fetch_all(script: Script, tally: Any) -> None:
    """Request all items as the script does."""
    uvloop.run(script.original.fetch_all(tally))
