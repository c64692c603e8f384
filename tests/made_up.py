"""Made-up cases, runs and results of studies, for what tests work out by hand."""

from dataclasses import replace
from typing import Any

from claims import Claim
from harness.results import Result
from harness.runs import Case, Run

ENVIRONMENT = {
    "date": "2026-11-25 08:30",
    "cpu": "A Chip",
    "cores": 2,
    "system": "Linux",
    "python": "3.11.7",
    "libraries": {"aiohttp": "3.14.5", "uvicorn": "0.54.0"},
}


def made_up_case(name: str, base: str = "base", **more: Any) -> Case:
    """Return a case of 1,000 requests."""
    return replace(Case(name, "test_async.py", "async", "aiohttp", 1_000, base=base), **more)


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
        "python": "3.11.7",
        "gil": True,
    }
    return Run(case=case, round=round_number, elapsed_s=elapsed_s, **(fields | more))


def made_up_result(claim: Claim, **more: Any) -> Result:
    """Return a result in which the n-th case of a claim takes n, n / 2, 2 n, n, n, ... seconds."""
    runs = [
        made_up_run(case.name, number, place * {2: 0.5, 3: 2.0}.get(number, 1.0), **more)
        for number in range(1, claim.rounds + 1)
        for place, case in enumerate(claim.cases, start=1)
    ]
    return Result(claim.name, claim.rounds, ENVIRONMENT, claim.cases, runs)
