"""No library: what the async script costs by itself, with its tally and its check."""

from typing import Any

from harness.scripts import Script


async def fetch(script: Script, session: Any, item_id: int) -> str | None:
    """Check a right answer that nobody sent."""
    return script.check(item_id, 200, b'{"item_id":%d}' % item_id)
