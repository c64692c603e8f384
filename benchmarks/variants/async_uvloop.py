"""The script on uvloop, another event loop than asyncio's own; not on Windows."""

import uvloop

import test_async as script


def fetch_all(tally: script.Tally) -> None:
    """Request all items as the script does."""
    uvloop.run(script.fetch_all(tally))
