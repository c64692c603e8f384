"""The figures that texts quote, worked out by hand from made-up runs."""

import doctest
from types import ModuleType

import pytest

import charts
import claims
import figures
import quotes
import report
from made_up import made_up_run

ASYNC, BLOCKING, THREADS = claims.ASYNC_0.name, claims.BLOCKING_0.name, claims.THREADS_0.name
# The median of the ratios is not the ratio of the medians, nor is that of a cost or a share.
RUNS = [
    made_up_run(ASYNC, 1, 2.0, client_cpu_s=1.2, server_cpu_s=0.1, in_flight=4.0),
    made_up_run(ASYNC, 2, 4.0, client_cpu_s=1.6, server_cpu_s=0.2, in_flight=5.24),
    made_up_run(ASYNC, 3, 5.0, client_cpu_s=2.5, server_cpu_s=5.0, in_flight=90.0),
    made_up_run(BLOCKING, 1, 20.0, peak_mib=10.0),  # async is 10 times as fast
    made_up_run(BLOCKING, 2, 12.0, peak_mib=71.3),  # 3 times
    made_up_run(BLOCKING, 3, 25.0, peak_mib=90.0),  # 5 times
    made_up_run(THREADS, 1, 10.0),  # twice as fast as blocking
    made_up_run(THREADS, 2, 10.0),  # 1.2 times
    made_up_run(THREADS, 3, 25.0),  # as fast
]
# A request of async costs 2 ms of the client's time, so the bound is 500 requests/s.
for case, times in (
    (claims.COST_ASYNC, (9.0, 9.0, 9.0)),
    (claims.at(claims.ASYNC, in_flight=4), (2.0, 2.5, 20.0)),  # shares 1, 0.8 and 0.1
    (claims.ASYNC_256, (8.0, 4.0, 4.0)),  # 0.25, 0.5 and 0.5
):
    for number, elapsed in enumerate(times, start=1):
        run = made_up_run(case.name, number, elapsed, client_cpu_s=2.0, server_cpu_s=0.5)
        RUNS.append(run)

QUOTES = {
    "times(ASYNC_0, BLOCKING_0)": "5.0",
    "times(BLOCKING_0, ASYNC_0)": "0.20",
    "verdict(ASYNC_0, BLOCKING_0)": "5.00 times as fast (3.00 to 10.0)",
    "verdict(BLOCKING_0, ASYNC_0)": "0.20 times as fast (0.10 to 0.33)",
    "verdict(THREADS_0, BLOCKING_0)": "no difference shown (1.20, 1.00 to 2.00)",
    "verdict(BLOCKING_0, THREADS_0)": "no difference shown (0.83, 0.50 to 1.00)",
    # The law has ASYNC_0, too, at 0.5 of its bound, and THREADS_0 at 1.08.
    "within(0.5, 0.8)": "3 of 4",
    "within(0.5, 0.79)": "2 of 4",
    "within(0.51, 1)": "1 of 4",
    "share_of_bound(at(ASYNC, in_flight=4))": "0.80",
    "share_of_bound(ASYNC_256)": "0.50",
    "rate(ASYNC_0)": "250",
    "us(ASYNC_0)": "1,600",
    "server_us(ASYNC_0)": "200",
    "seconds(BLOCKING_0)": "20",
    "start_to_exit(ASYNC_0)": "4.5",
    "cpu(ASYNC_0)": "50%",  # of 60%, 40% and 50%
    "server_cpu(ASYNC_0)": "5%",  # of 5%, 5% and 100%
    "in_flight(ASYNC_0)": "5.2",
    "mib(BLOCKING_0)": "71",
}


def test_quotes() -> None:
    assert {expression: quotes.quote(expression, RUNS) for expression in QUOTES} == QUOTES
    assert {expression.partition("(")[0] for expression in QUOTES} == {*quotes.quotes(RUNS)}
    # What was not measured, is not in the law or is not defined is an error.
    for expression in ("us(ASYNC_100)", "share_of_bound(STUB_ASYNC)", "us(ASYNC_1)"):
        with pytest.raises((AssertionError, ValueError, NameError)):
            quotes.quote(expression, RUNS)
    assert [*map(quotes.short, (0.996, 9.94, 9.96, 1_251))] == ["1.0", "9.9", "10", "1,300"]


@pytest.mark.parametrize("module", [charts, figures, quotes, report], ids=lambda m: m.__name__)
def test_docstring_examples(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert attempted and not failed
