"""Made-up runs, to work results out by hand."""

from typing import Any

from harness import Run


def made_up(case: str, round_number: int, elapsed: float, **more: Any) -> Run:
    """Return a run of 1,000 requests, all ok, that took so many seconds."""
    run: Run = {
        "case": case,
        "round": round_number,
        "requests": 1_000,
        "ok": 1_000,
        "failed": {},
        "elapsed_s": elapsed,
        "client_cpu_s": 0.9 * elapsed,
        "server_cpu_s": 0.6 * elapsed,
        "p50_ms": 2.0,
        "p99_ms": 5.0,
        "in_flight": 30.0,
        "peak_mib": 40.0,
        "process_s": elapsed + 0.5,
    }
    return run | more  # type: ignore[return-value]
