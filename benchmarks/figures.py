"""Compute what a table or picture shows from runs: medians, ratios, intervals and bounds."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from harness.runs import Case, Run


class Spread(NamedTuple):
    """A median, and the values between which it lies."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return the median of some values with its interval; None if there is no value.

    Of nine values or more, the interval leaves out the lowest and the highest. It then has a
    confidence of 95% or more, whatever the distribution. Of fewer, it is their range.

    >>> spread([1, 2, 3, 4, 5, 6, 7, 8, 90])
    Spread(median=5, low=2, high=8)
    """
    if not values:
        return None
    ordered = sorted(values)
    outer = 1 if len(ordered) >= 9 else 0
    return Spread(median(ordered), ordered[outer], ordered[-1 - outer])


def by_round(runs: Sequence[Run], case: str, field: str) -> dict[int, float]:
    """Return a field or property of a case's runs for each round in which it was measured."""
    found = {run.round: getattr(run, field) for run in runs if run.case == case}
    return {number: value for number, value in found.items() if value is not None}


def values(runs: Sequence[Run], case: str, field: str) -> list[float]:
    """Return a field or property of all runs of a case."""
    return [*by_round(runs, case, field).values()]


def ratios(runs: Sequence[Run], case: str, base: str, field: str) -> list[float]:
    """Return a field of a case over that of another one, for each round that both have run."""
    over = by_round(runs, base, field)
    own = by_round(runs, case, field)
    return [value / over[number] for number, value in own.items() if over.get(number)]


# -- The law ------------------------------------------------------------------------------------


def limits(in_flight: int, latency_s: float, client_s: float, server_s: float) -> dict[str, float]:
    """Return the requests/s that each of three limits allows a closed loop; the least one holds.

    The client and the server need so many seconds of processor time for a request (0 if it is
    too short to measure), and the server waits so long before it answers.

    >>> limits(32, 0.1, 0.001, 0.0002)
    {'waiting': 316.2..., 'client': 1000.0, 'server': 5000.0}
    """
    return {
        "waiting": in_flight / (latency_s + client_s + server_s),
        "client": 1 / client_s if client_s else math.inf,
        "server": 1 / server_s if server_s else math.inf,
    }


def limits_by_round(runs: Sequence[Run], case: Case, base: str) -> dict[int, dict[str, float]]:
    """Return the limits of a case for each round, from what a request of another case costs."""
    client_us = by_round(runs, base, "client_us")
    server_us = by_round(runs, base, "server_us")
    latency_s = case.server.latency_ms / 1e3
    return {
        number: limits(case.concurrency or 1, latency_s, client_us[number] / 1e6, us / 1e6)
        for number, us in server_us.items()
    }


def shares_of_bound(runs: Sequence[Run], case: Case, base: str) -> list[float]:
    """Return the requests/s of a case over its bound, for each round."""
    bounds = limits_by_round(runs, case, base)
    rates = by_round(runs, case.name, "requests_per_s")
    return [
        rate / min(bounds[number].values()) for number, rate in rates.items() if number in bounds
    ]


def typical_limits(runs: Sequence[Run], case: Case, base: str) -> Mapping[str, float]:
    """Return the median of each limit of a case over the rounds."""
    found = [*limits_by_round(runs, case, base).values()]
    return {name: median(each[name] for each in found) for name in found[0]} if found else {}
