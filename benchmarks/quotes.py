"""The figures that the texts of README.md and RESULTS.md quote, each computed from the runs.

A text says which one with a marker: <!-- times(ASYNC_0, BLOCKING_0) -->5.2<!-- end -->. The names
of the cases are those of claims.py.
"""

import math
from collections.abc import Callable, Sequence

import claims
import figures
import report
from harness.runs import Case, Run


def short(value: float) -> str:
    """Return a figure with two digits, for texts.

    >>> short(0.0123), short(5.24), short(9.96), short(268.4), short(1234.5)
    ('0.012', '5.2', '10', '270', '1,200')
    """
    rounded = float(f"{value:.2g}")
    digits = max(0, 1 - math.floor(math.log10(rounded))) if rounded else 0
    return f"{rounded:,.{digits}f}"


def quotes(runs: Sequence[Run]) -> dict[str, Callable[..., str]]:
    """Return the functions that markers can name; each returns a text about these runs."""

    def median(case: Case, field: str) -> float:
        spread = figures.spread(figures.values(runs, case.name, field))
        assert spread, f"{case.name} has no {field}"
        return spread.median

    def ratio(case: Case, base: Case, field: str = "requests_per_s") -> figures.Spread:
        spread = figures.spread(figures.ratios(runs, case.name, base.name, field))
        assert spread, f"{case.name} and {base.name} have no round in common"
        return spread

    def times(case: Case, base: Case) -> str:
        """How many times as fast a case is as another one."""
        return short(ratio(case, base).median)

    def verdict(case: Case, base: Case) -> str:
        """How a case compares with another one, with its interval."""
        spread = ratio(case, base)
        middle, low, high = map(report.number, spread)
        if spread.low <= 1 <= spread.high:
            return f"no difference shown ({middle}, {low} to {high})"
        return f"{middle} times as fast ({low} to {high})"

    def within(low: float, high: float) -> str:
        """How many cases of the law reach at least and at most such shares of their bounds."""
        shares = [
            figures.spread(figures.shares_of_bound(runs, case, base.name))
            for case, base in claims.LAW
        ]
        known = [share.median for share in shares if share]
        return f"{sum(low <= share <= high for share in known)} of {len(known)}"

    def share_of_bound(case: Case) -> str:
        """Which share of its bound a case of the law reaches."""
        (base,) = [base for other, base in claims.LAW if other == case]
        spread = figures.spread(figures.shares_of_bound(runs, case, base.name))
        assert spread
        return short(spread.median)

    return {
        "times": times,
        "verdict": verdict,
        "within": within,
        "share_of_bound": share_of_bound,
        "rate": lambda case: report.number(median(case, "requests_per_s")),
        "us": lambda case: short(median(case, "client_us")),
        "server_us": lambda case: short(median(case, "server_us")),
        "seconds": lambda case: short(median(case, "elapsed_s")),
        "start_to_exit": lambda case: short(median(case, "process_s")),
        "cpu": lambda case: report.percent(median(case, "client_cpu")),
        "server_cpu": lambda case: report.percent(median(case, "server_cpu")),
        "in_flight": lambda case: short(median(case, "in_flight")),
        "mib": lambda case: short(median(case, "peak_mib")),
    }


def quote(expression: str, runs: Sequence[Run]) -> str:
    """Return what an expression of a marker says of these runs."""
    result: str = eval(expression, vars(claims) | quotes(runs))
    return result
