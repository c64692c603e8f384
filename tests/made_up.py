"""Made-up cases, runs and servers, for what tests work out by hand."""

import textwrap
from pathlib import Path
from typing import Any

from harness.runs import Case, Run, ServerSettings


def made_up_case(name: str, base: str = "base", **more: Any) -> Case:
    """Return a case of 1,000 requests."""
    fields: dict[str, Any] = {
        "client": "test_async",
        "method": "async",
        "library": "aiohttp",
        "requests": 1_000,
    }
    return Case(name=name, base=base, **(fields | more))


def made_up_run(case: str, round_number: int, elapsed_s: float, **more: Any) -> Run:
    """Return a run of 1,000 requests, all ok, that took so many seconds."""
    fields: dict[str, Any] = {
        "requests": 1_000,
        "ok": 1_000,
        "failures": {},
        "process_s": elapsed_s + 0.5,
        "client_cpu_s": 0.9 * elapsed_s,
        "server_cpu_s": 0.6 * elapsed_s,
        "p50_ms": 2.0,
        "p99_ms": 5.0,
        "max_ms": 9.0,
        "in_flight": 30.0,
        "peak_mib": 40.0,
    }
    return Run(case=case, round=round_number, elapsed_s=elapsed_s, **(fields | more))


def made_up_server(folder: Path, app: str, **settings: Any) -> ServerSettings:
    """Write a server; return how to start it by a child that has the folder on PYTHONPATH."""
    (folder / "made_up_app.py").write_text(textwrap.dedent(app), encoding="utf-8")
    return ServerSettings(app="made_up_app:app", **settings)


# It answers whether it is there, and then no more.
HANGING = """
    import asyncio

    async def app(scope, receive, send):
        if scope["type"] == "http":
            if scope["path"] != "/":
                await asyncio.sleep(1_000)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
"""
