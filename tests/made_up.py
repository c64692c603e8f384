"""Made-up cases, runs and results of studies, for what tests work out by hand."""

from dataclasses import replace
from typing import Any

from claims import ROUNDS, Claim, cases_of
from harness.results import Result
from harness.runs import Case, Run

ENVIRONMENT: dict[str, Any] = {
    "date": "2026-11-25 08:30",
    "cpu": "A Chip",
    "cores": 2,
    "system": "Linux",
    "python": "3.11.7",
    "server": {"uvicorn": "0.54.0"},
    "seed": 7,
}
CLIENT = {"python": "3.11.7", "build": "'--flag'", "packages": {"aiohttp": "3.14.5"}}


def made_up_case(name: str, **more: Any) -> Case:
    """Return a case of 1,000 requests."""
    return replace(Case(name, "test_async.py", "async", "aiohttp", 1_000), **more)


def made_up_run(case: str, round_number: int, elapsed_s: float, **more: Any) -> Run:
    """Return a run of 1,000 requests, all ok, that took so many seconds, alone on two cores."""
    fields: dict[str, Any] = {
        "requests": 1_000,
        "ok": 1_000,
        "failures": {},
        "process_s": elapsed_s + 0.5,
        "client_cpu_s": 0.9 * elapsed_s,
        "server_cpu_s": 0.6 * elapsed_s,
        "others_s": 0.0,
        "idle_s": 0.5 * elapsed_s,
        "p50_ms": 2.0,
        "p99_ms": 5.0,
        "max_ms": 9.0,
        "in_flight": 30.0,
        "peak_mib": 40.0,
        "gil": True,
    }
    return Run(case=case, round=round_number, elapsed_s=elapsed_s, **(fields | more))


def made_up_result(*claims: Claim, rounds: int = ROUNDS, **more: Any) -> Result:
    """Return a result in which the n-th case takes n, n / 2, 2 n, n, n, ... seconds."""
    cases = cases_of(claims)
    runs = [
        made_up_run(case.name, number, place * {2: 0.5, 3: 2.0}.get(number, 1.0), **more)
        for number in range(1, rounds + 1)
        for place, case in enumerate(cases, start=1)
    ]
    environment = {"speed_of_two": 0.9, "clients": {"the same Python": CLIENT}}
    return Result(ENVIRONMENT | environment, cases, runs)
